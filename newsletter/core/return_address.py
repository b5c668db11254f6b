"""Where a form on another site of the operator's sends its reader afterwards: only to a site that is listed.

In: an address that somebody wrote into a form, and the listed sites. Out: the address, or nothing. An address that is
not exactly one of a listed site would make the page an open redirect (OWASP ASVS 5.0, 3.7.2).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

RETURN_ADDRESS_LENGTH_MAX = 2_000

_PLAIN = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?:[/?#][!-\[\]-~]*)?")
"""Printable ASCII without a backslash, which browsers read as a slash, and without a name before an @ sign."""


def allowed_return(text: str, origins: Collection[str]) -> str:
    """Return an address on one of the listed sites, such as `https://www.example.com`; empty for anything else."""
    if len(text) > RETURN_ADDRESS_LENGTH_MAX or not _PLAIN.fullmatch(text):
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return text if f"{parts.scheme}://{parts.netloc}" in origins else ""
