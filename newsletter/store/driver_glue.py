"""A connection to PostgreSQL whose waits let other greenlets of the thread go on.

In: the driver's generators. Out: their results. Outside an event loop the driver's own wait is used. Imported only
where PostgreSQL is used.
"""

from __future__ import annotations

import select
from typing import Any, TypeVar

from psycopg import Connection
from psycopg.abc import PQGen
from psycopg.waiting import Ready, Wait

from newsletter.event_loop import in_loop, wait_for_io

T = TypeVar("T")

_WAIT_SECONDS = 60.0
"""Between two checks of a silent connection; TCP's keep-alive finds out that the server is gone."""


class LoopConnection(Connection[Any]):
    """The driver's connection, waiting by the event loop."""

    def wait(self, gen: PQGen[T], *own: Any, **named: Any) -> T:  # noqa: ANN401 - the driver's business
        """Run a generator of the driver and wait for its socket as it asks (`psycopg.waiting`)."""
        if own or named or not in_loop():
            return super().wait(gen, *own, **named)
        try:
            awaited = next(gen)
            while True:
                ready = wait_for_io(self.pgconn.socket, _EVENTS[awaited], _WAIT_SECONDS)
                # Neither reading nor writing blocks, so ready for one of the two may be told as ready for both.
                awaited = gen.send(Ready(awaited) if ready else Ready.NONE)
        except StopIteration as ended:
            result: T = ended.value
            return result


_EVENTS = {Wait.R: select.POLLIN, Wait.W: select.POLLOUT, Wait.RW: select.POLLIN | select.POLLOUT}
