"""The path of the public address: pages are found whether the reverse proxy takes it off or not.

In: an ASGI application. Out: one that answers `/news/u/TOKEN` as `/u/TOKEN` where the newsletter lives at
`https://example.com/news`.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class BasePath:
    """The path, in front of an application."""

    def __init__(self, app: ASGIApp, *, base_path: str) -> None:
        self._app = app
        self._prefix = base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._prefix and scope["type"] == "http" and scope["path"].startswith(f"{self._prefix}/"):
            scope = {**scope, "path": scope["path"].removeprefix(self._prefix)}
        await self._app(scope, receive, send)
