"""Checks of every request: where a form was sent from, the header that keeps browsers on https, and no NUL.

In: an ASGI application. Out: one that refuses forms of other sites. Pages hold no token for it, so that public pages
can be cached: browsers say themselves where a request comes from (`Sec-Fetch-Site`, else `Origin`).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
"""RFC 9110, section 9.2.1: they change nothing, so anybody may send them from anywhere."""
HSTS = "max-age=31536000"

_OWN = frozenset(("same-origin", "none"))


def same_origin(headers: Headers, *, own_origin: str, listed: Collection[str] = (), null_allowed: bool = True) -> bool:
    """Tell whether a form was sent by a page of this site, or by no page at all.

    Every browser since 2023 sends `Sec-Fetch-Site` to an https address, and older ones `Origin`. A request with
    neither comes from a program, which has nobody's cookies. `Origin: null` is what a page with `no-referrer` sends:
    our own pages with a token in their address, whose token is the proof; where a cookie is the proof (not
    `null_allowed`), it is refused, since a page of another site can send it too. Sites in `listed` are the operator's.
    """
    if headers.get("Origin") in listed:
        return True
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in _OWN
    origin = headers.get("Origin")
    if origin is None:
        return True
    if origin == "null":
        return null_allowed
    return origin == own_origin or urlsplit(origin).netloc == headers.get("Host")


class RequestChecks:
    """The checks, in front of an application.

    Below the paths of `any_origin` forms come from anywhere; at `form_paths`, from the sites of `form_origins` too.
    Below `cookie_path` a cookie is the proof of who sends a form.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        base_url: str,
        any_origin: Collection[str],
        form_paths: Collection[str],
        form_origins: Collection[str],
        cookie_path: str,
        refused: Response,
    ) -> None:
        parts = urlsplit(base_url)
        self._app = app
        self._own_origin = f"{parts.scheme}://{parts.netloc}"
        self._https = parts.scheme == "https"
        self._any_origin = re.compile("|".join(rf"{re.escape(path)}(/.*)?" for path in any_origin), re.DOTALL)
        self._form_paths = form_paths
        self._form_origins = form_origins
        self._cookie_path = cookie_path
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start" and self._https:
                MutableHeaders(scope=message)["Strict-Transport-Security"] = HSTS
            await send(message)

        # PostgreSQL refuses a text with NUL: a question with one would fail as a whole. A sign stands in its place, so
        # that no wrong address becomes a right one.
        path = scope["path"].replace("\0", "\ufffd")
        query = scope["query_string"].replace(b"%00", b"%EF%BF%BD")
        scope = {**scope, "path": path, "query_string": query}
        app = self._app if self._allowed(Request(scope)) else self._refused
        await app(scope, receive, send_secured)

    def _allowed(self, request: Request) -> bool:
        if request.method in SAFE_METHODS or self._any_origin.fullmatch(request.scope["path"]):
            return True
        listed = self._form_origins if request.scope["path"] in self._form_paths else ()
        null_allowed = not f"{request.scope['path']}/".startswith(f"{self._cookie_path}/")
        return same_origin(request.headers, own_origin=self._own_origin, listed=listed, null_allowed=null_allowed)
