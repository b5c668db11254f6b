"""The three kinds of responses: who may keep a copy, and what other sites learn of the address.

In: a kind. Out: its headers. `SECRET` is a page whose address is a secret of the reader, `ADMIN` is a page for
the people who run the newsletter, and `PUBLIC` is the same for everybody and may be cached.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import Enum

from starlette.requests import Request
from starlette.responses import Response

PUBLIC_SECONDS = 300
"""How long a cache may answer with a copy of a public page."""
RETRY_SECONDS = 30
"""What `Retry-After` says while the database cannot be reached."""

_EVERY = {"X-Content-Type-Options": "nosniff"}


class ResponseKind(Enum):
    """How a response is treated on its way."""

    SECRET = "secret"  # noqa: S105 - a word, no password
    ADMIN = "admin"
    PUBLIC = "public"


KIND_HEADERS: Mapping[ResponseKind, Mapping[str, str]] = {
    # The address of the page is a secret of the reader: no cache, no search engine and no other site may learn it.
    ResponseKind.SECRET: {
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Robots-Tag": "noindex",
        **_EVERY,
    },
    # With `no-referrer` forms would bear `Origin: null`, which the admin area refuses: see `request_checks.py`.
    ResponseKind.ADMIN: {
        "Cache-Control": "no-store, private",
        "Referrer-Policy": "same-origin",
        "X-Robots-Tag": "noindex",
        **_EVERY,
    },
    # The referrer stays on this site, where the check of a form's origin needs it: see `request_checks.py`.
    ResponseKind.PUBLIC: {
        "Cache-Control": f"public, max-age={PUBLIC_SECONDS}",
        "Referrer-Policy": "same-origin",
        **_EVERY,
    },
}
"""What every response of a kind bears."""


def cacheable(request: Request, response: Response) -> Response:
    """Add a strong validator to a public response; answer 304 where the browser has these very bytes."""
    tag = f'"{hashlib.sha256(bytes(response.body)).hexdigest()[:32]}"'
    response.headers["ETag"] = tag
    if tag not in known_tags(request):
        return response
    headers = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
    return Response(status_code=304, headers=headers)


def known_tags(request: Request) -> frozenset[str]:
    """Return the validators of the copies that the browser has, without the sign of a weak one (RFC 9110, 13.1.2)."""
    parts = request.headers.get("If-None-Match", "").split(",")
    return frozenset(part.strip().removeprefix("W/") for part in parts)
