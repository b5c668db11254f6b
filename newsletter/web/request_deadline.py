"""A deadline for complete requests, so that silent connections do not use up the server's places.

In: the connections of one server. Out: uvicorn's HTTP protocol, which closes a connection whose request is not complete
in time, and the one that has waited longest where too many wait at once. A complete request is never closed here.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle


class IncompleteRequests:
    """The connections of a server that have not sent a complete request, the one that waits longest first."""

    def __init__(self, *, seconds: float, most: int) -> None:
        self.seconds = seconds
        self._most = most
        self._connections: dict[DeadlineProtocol, None] = {}

    def add(self, connection: DeadlineProtocol) -> None:
        """Count a connection; close the oldest one when there are too many."""
        self._connections[connection] = None
        if len(self._connections) > self._most:
            next(iter(self._connections)).abort()

    def discard(self, connection: DeadlineProtocol) -> None:
        """Forget a connection whose request is complete, or that is closed."""
        self._connections.pop(connection, None)


class DeadlineProtocol(H11Protocol):
    """uvicorn's protocol with a deadline from the connection, or the last response, to the end of the request."""

    def __init__(self, *positional: Any, incomplete: IncompleteRequests, **named: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*positional, **named)
        self._incomplete = incomplete
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._end_wait()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Read what was received, and see whether the request is complete."""
        super().handle_events()
        # uvicorn has no cycle before the first request, whatever its annotation says.
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.more_body and not cycle.response_complete:
            self._end_wait()

    def on_response_complete(self) -> None:
        """Wait for the next request of this connection."""
        self._wait()
        super().on_response_complete()

    def abort(self) -> None:
        """Close the connection at once: its client has not said what it wants."""
        self._end_wait()
        self.transport.abort()

    def _wait(self) -> None:
        self._end_wait()
        self._timer = self.loop.call_later(self._incomplete.seconds, self.abort)
        self._incomplete.add(self)

    def _end_wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._incomplete.discard(self)


def deadline_protocol(*, seconds: float, most: int) -> type[asyncio.Protocol]:
    """Return what uvicorn makes a connection with."""
    factory: Any = partial(DeadlineProtocol, incomplete=IncompleteRequests(seconds=seconds, most=most))
    return factory  # type: ignore[no-any-return]
