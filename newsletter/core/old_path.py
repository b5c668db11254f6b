"""The address of a page in an archive before this one, in the one form in which it is stored and looked up.

In: an address or a path, as an export or a request has it. Out: a path without a host, a closing slash or capitals, and
of the query only what names a post (`?p=123`).
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

_POST_KEYS = ("p", "page_id")
OLD_PATH_LENGTH_MAX = 500


def old_path(address: str) -> str:
    """Return the stored form of an old address; empty for one that cannot be an address of a page."""
    try:
        parts = urlsplit(address.strip())
        query = dict(parse_qsl(parts.query))
    except ValueError:
        return ""
    path = "/" + re.sub(r"/+", "/", unquote(parts.path, errors="replace")).strip("/").casefold()
    number = next((f"?{key}={query[key]}" for key in _POST_KEYS if query.get(key, "").isdigit()), "")
    stored = f"{path}{number}" if path == "/" else path
    return "" if stored == "/" or "\0" in stored or len(stored) > OLD_PATH_LENGTH_MAX else stored
