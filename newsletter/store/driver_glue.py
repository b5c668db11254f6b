"""A connection to PostgreSQL that waits in turns with whatever else its thread does.

In: what the driver waits for, as the driver says it. Out: the same results. Alone in a thread it is the driver's own.
Only imported where PostgreSQL is used.
"""

from __future__ import annotations

import select
from typing import Any, TypeVar

from psycopg import Connection
from psycopg.abc import PQGen
from psycopg.waiting import Ready, Wait

from newsletter.greenlet_loop import comes, in_turns

T = TypeVar("T")

_WAIT_SECONDS = 60.0
"""Seconds between two looks at a connection that says nothing; whether the server is there is TCP's business."""


class LoopConnection(Connection[Any]):
    """The driver's connection, but that others may go on while it waits."""

    def wait(self, gen: PQGen[T], *own: Any, **named: Any) -> T:  # noqa: ANN401 - the driver's business
        """Do what a generator of the driver does, and wait for the socket as it says (`psycopg.waiting`)."""
        if own or named or not in_turns():
            return super().wait(gen, *own, **named)
        try:
            awaited = next(gen)
            while True:
                came = comes(self.pgconn.socket, _EVENTS[awaited], _WAIT_SECONDS)
                awaited = gen.send(_READY[bool(came & ~select.POLLOUT), bool(came & ~select.POLLIN)])
        except StopIteration as ended:
            result: T = ended.value
            return result


_EVENTS = {Wait.R: select.POLLIN, Wait.W: select.POLLOUT, Wait.RW: select.POLLIN | select.POLLOUT}
_READY = {
    (False, False): Ready.NONE,
    (True, False): Ready.R,
    (False, True): Ready.W,
    # Or the connection is broken, which both reading and writing will tell.
    (True, True): Ready.RW,
}
