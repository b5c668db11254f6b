"""Serving: an ASGI application on a port, in a thread of its own, until it is told to stop.

In: an application, an address, and the event that stops the service. Out: a `WebServer` that listens already. It takes
no signals, which are the service's, and logs no paths, which hold tokens.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from newsletter.errors import Stop
from newsletter.web.request_deadline import deadline_protocol

GRACE_SECONDS = 10
"""How long requests under way may take after the stop."""
CONNECTIONS_MAX = 500
"""The service needs its file descriptors for sending too."""
INCOMPLETE_REQUESTS_MAX = 400
"""Connections without a complete request; beyond it the oldest is closed, so that the others have places left."""
WEB_STOP_POLL_SECONDS = 0.5
"""Between two checks for the stop of the service."""
REQUEST_SECONDS_MAX = 10.0
"""From the connection to the end of its request."""


class WebServer:
    """A server at work; as a context manager it stops when the block is left."""

    def __init__(
        self, app: ASGIApp, bound: socket.socket, stop: threading.Event, *, request_seconds: float, incomplete_max: int
    ) -> None:
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=deadline_protocol(seconds=request_seconds, most=incomplete_max),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        self._server = _Server(config, stop)
        self._bound = bound
        self.port: int = bound.getsockname()[1]
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._server.run, [bound]), name="web", daemon=True
        )
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Tell whether the server is at work."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Finish what is under way, and return when all is closed."""
        self._server.end()
        self._thread.join()
        self._bound.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


class _Server(uvicorn.Server):
    """uvicorn without its ten ticks a second, and without signals: it does not run in the main thread."""

    def __init__(self, config: uvicorn.Config, stop: threading.Event) -> None:
        super().__init__(config)
        self._stop = stop
        self._wake: Callable[[], object] = lambda: None

    async def main_loop(self) -> None:
        """Serve until the stop; a tick renews the `Date` of the answers."""
        woken = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._wake = lambda: loop.call_soon_threadsafe(woken.set)
        # uvicorn renews the date at every tenth of its ticks.
        while not (await self.on_tick(0) or self._stop.is_set()):
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), WEB_STOP_POLL_SECONDS)

    def end(self) -> None:
        """Leave the main loop at once; called from another thread."""
        self.should_exit = True
        # A loop that is closed has left already.
        with suppress(RuntimeError):
            self._wake()


def serve(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    stop: threading.Event,
    request_seconds: float = REQUEST_SECONDS_MAX,
    incomplete_max: int = INCOMPLETE_REQUESTS_MAX,
) -> WebServer:
    """Serve until `stop` is set or the server is closed; when this returns, connections are accepted.

    Raises `Stop` when the address cannot be used.
    """
    bound = _bind(host, port)
    return WebServer(app, bound, stop, request_seconds=request_seconds, incomplete_max=incomplete_max)


def _bind(host: str, port: int) -> socket.socket:
    """Open the socket here, so that a port in use is told before anything claims to run."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except (socket.gaierror, UnicodeError, OSError) as error:
        raise Stop(f"NEWSLETTER_WEB_HOST: {host!r} is not an address of this machine; 127.0.0.1 always is.") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise Stop(_advice(host, port, error)) from error
    return bound


def _advice(host: str, port: int, error: OSError) -> str:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"Another program listens on {where}. If `newsletter status` shows a service that runs, it is that one; "
            "else end the program, or choose another port with NEWSLETTER_WEB_PORT."
        )
    if error.errno == errno.EACCES:
        return f"Listening on {where} is not allowed: choose NEWSLETTER_WEB_PORT above 1023, behind a reverse proxy."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"NEWSLETTER_WEB_HOST: {host!r} is not an address of this machine; 127.0.0.1 always is."
    return f"The web part cannot listen on {where}: {error.strerror}."
