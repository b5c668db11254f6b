"""A connection on loan from the pool: the same as the one it holds, but it can be called home.

In and out: what the port says. It adds no reply of its own and changes no message.
"""

from __future__ import annotations

from collections.abc import Callable

from newsletter.core.reply import Reply
from newsletter.transport.base import Connection, Envelope


class PooledConnection:
    """One connection of a `Pool`; used by one thread, but for `recall` and `abort`."""

    __slots__ = ("_connection", "_on_close", "_recalled", "answer", "fruitful", "opened_at", "place")

    def __init__(
        self, connection: Connection, *, place: int, opened_at: float, on_close: Callable[[Connection], None]
    ) -> None:
        """Take over an open connection to the relay of that place in the order of preference."""
        self._connection = connection
        self._on_close = on_close
        self._recalled = False
        self.answer = connection.answer
        """Wait for the reply to what was handed over; bound here, since it is called for each message."""
        self.place = place
        self.opened_at = opened_at
        self.fruitful = False
        """True once it carried a message."""

    @property
    def relay(self) -> str:
        """The name of the relay it goes to, for people."""
        return self._connection.relay

    @property
    def needs_recycling(self) -> bool:
        """True when no more messages should go this way; never while a message is announced on a healthy session."""
        return (self._recalled and not self._connection.announces) or self._connection.needs_recycling

    @property
    def pipelines(self) -> bool:
        """True when a message can be announced behind another one."""
        return self._connection.pipelines

    @property
    def announces(self) -> bool:
        """True while the server has the envelope of a message that was not handed over."""
        return self._connection.announces

    def hand_over(
        self,
        envelope: Envelope,
        *,
        following: Envelope | None = None,
        before_data: Callable[[], None] | None = None,
    ) -> Reply | None:
        """Agree on the envelope and write its content (see `Connection`); nothing more is announced once recalled."""
        if self._recalled:
            following = None
        return self._connection.hand_over(envelope, following=following, before_data=before_data)

    def send(self, envelope: Envelope, *, before_data: Callable[[], None] | None = None) -> Reply:
        """Hand over one message and return the reply that decided."""
        return self._connection.send(envelope, before_data=before_data)

    def recall(self) -> None:
        """Ask for it to be closed after what it holds; from any thread."""
        self._recalled = True

    def close(self) -> None:
        """Say goodbye, hang up and go back to the pool; may be called twice."""
        self._connection.close()
        self._on_close(self)

    def abort(self) -> None:
        """Hang up at once, from any thread."""
        self._connection.abort()
