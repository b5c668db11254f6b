"""The browser that asked: a cookie by which it is known for an hour, so that it confirms without a further press.

In: a request or a response. Out: the hash of the cookie, which is all that the database keeps. The cookie names no
person, and a scanner that opens the link of a mail does not have it.
"""

from __future__ import annotations

import hashlib

from starlette.requests import Request
from starlette.responses import Response

ASKED_COOKIE = "__Host-asked"
"""The prefix makes browsers refuse it without https, and from any other host (RFC 6265bis)."""
ASKED_SECONDS = 3600


def hash_of_browser(cookie: str) -> str:
    """Return what the database keeps of a cookie."""
    return hashlib.sha256(cookie.encode()).hexdigest()


def browser_hash(request: Request) -> str:
    """Return the hash of the cookie of a request; that of nothing when it has none."""
    return hash_of_browser(request.cookies.get(ASKED_COOKIE, ""))


def remember_browser(response: Response, cookie: str) -> None:
    """Give the browser its cookie."""
    response.set_cookie(
        ASKED_COOKIE, cookie, max_age=ASKED_SECONDS, path="/", secure=True, httponly=True, samesite="lax"
    )
