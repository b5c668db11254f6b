"""The content security policy of a page, as data: what the page may load, run, and be shown in.

In: directives with their sources. Out: the value of the header. A page names only what differs from `PAGE_POLICY`; a
source that a page adds takes the place of `'none'`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping

Policy = Mapping[str, tuple[str, ...]]
"""Sources by directive, such as `{"form-action": ("'self'",)}`."""

NO_SOURCE = "'none'"
OWN_SITE = "'self'"

PAGE_POLICY: Policy = {
    "default-src": (NO_SOURCE,),
    "style-src": (NO_SOURCE,),
    "form-action": (OWN_SITE,),
    "frame-ancestors": (NO_SOURCE,),
    "base-uri": (NO_SOURCE,),
    # OWASP ASVS 5.0, 3.4.3 names this directive; `default-src` does not stand for it in every browser.
    "object-src": (NO_SOURCE,),
}
"""Every page: nothing is loaded or run, forms go to this site, and no other site may frame the page."""

_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


def merge_policies(*policies: Policy) -> Policy:
    """Return the policy that allows what any of these allows."""
    merged: dict[str, tuple[str, ...]] = {}
    for policy in policies:
        for directive, sources in policy.items():
            together = dict.fromkeys((*merged.get(directive, ()), *sources))
            merged[directive] = tuple(source for source in together if source != NO_SOURCE) or (NO_SOURCE,)
    return merged


def policy_header(policy: Policy) -> str:
    """Return the value of `Content-Security-Policy`."""
    return "; ".join(f"{directive} {' '.join(sources)}" for directive, sources in policy.items())


def style_policy(html: str) -> Policy:
    """Allow the style sheets inside a page by their hashes: an operator's own template is allowed its own."""
    hashes = [base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() for style in _STYLE.findall(html)]
    return {"style-src": tuple(f"'sha256-{digest}'" for digest in hashes)} if hashes else {}
