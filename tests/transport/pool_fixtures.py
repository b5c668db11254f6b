"""Relays that a test puts into trouble, and the pool over them; nothing touches a wire."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from newsletter.core.reply import Effect, Phase, Reply, judge
from newsletter.testing.clocks import FixedClock
from newsletter.transport.base import ConnectFailure, Connection, Envelope, Relay
from newsletter.transport.pool import Pool, PoolBusy
from newsletter.transport.pooled import PooledConnection

TAKEN = Reply(phase=Phase.DOT, code=250, enhanced="2.0.0", text="Ok")
NO_SUCH_USER = Reply(phase=Phase.RCPT, code=550, enhanced="5.1.1", text="No such user")
TOO_FAST = Reply(phase=Phase.MAIL, code=454, text="Throttling failure: Maximum sending rate exceeded.")
QUOTA = Reply(phase=Phase.MAIL, code=454, text="Throttling failure: Daily message quota exceeded.")
REPUTATION = Reply(phase=Phase.DOT, code=421, enhanced="4.7.28", text="An unusual rate of mail from you")
LOGIN_WANTED = Reply(phase=Phase.MAIL, code=530, enhanced="5.7.0", text="Authentication required")
LOST = Reply(phase=Phase.MAIL, text="connection lost")
MAILBOX_BUSY = Reply(phase=Phase.RCPT, code=450, enhanced="4.2.1", text="Receiving mail at a rate too high")
MESSAGE = Envelope(mail_from="tips@example.com", rcpt_to="p1@example.com", content=b"Subject: x\r\n\r\n")


class Wire:
    """A connection that takes everything."""

    closed = False

    def __init__(self, relay: str) -> None:
        self.relay = relay
        self.announced: list[Envelope | None] = []

    @property
    def needs_recycling(self) -> bool:
        """True once closed."""
        return self.closed

    pipelines = True

    @property
    def announces(self) -> bool:
        """True while something was announced and not handed over."""
        return bool(self.announced) and self.announced[-1] is not None

    def hand_over(
        self,
        envelope: Envelope,
        *,
        following: Envelope | None = None,
        before_data: Callable[[], None] | None = None,
    ) -> Reply | None:
        """Take it."""
        self.announced.append(following)
        return None

    def answer(self) -> Reply:
        """Say 250."""
        return TAKEN

    def send(self, envelope: Envelope, *, before_data: Callable[[], None] | None = None) -> Reply:
        """Take it and say 250."""
        return self.hand_over(envelope, before_data=before_data) or self.answer()

    def close(self) -> None:
        """Hang up."""
        self.closed = True

    def abort(self) -> None:
        """Hang up."""
        self.closed = True


ABSENT = ConnectFailure(reply=Reply(phase=Phase.CONNECT, text="refused"), plain="Nobody is there.")
FULL = ConnectFailure(reply=Reply(phase=Phase.CONNECT, code=421, text="Too many connections"), plain="It is full.")
WRONG_LOGIN = ConnectFailure(
    reply=Reply(phase=Phase.AUTH, code=535, enhanced="5.7.8", text="No"), plain="It refuses the login."
)


class World:
    """Relays by name, whose trouble a test sets; and the pool over them."""

    def __init__(self, *names: str, connections: int | list[int] = 4) -> None:
        self.clock = FixedClock()
        self.trouble: dict[str, ConnectFailure] = {}
        self.most: dict[str, int] = {}
        """Connections that a relay takes at the same time."""
        self.dialled: Counter[str] = Counter()
        self.wires: list[Wire] = []
        relays = [Relay(host=f"{name}.example.com", port=25, name=name) for name in names]
        # A jitter of 1 takes nothing away from a pause.
        self.pool = Pool(relays, connections=connections, clock=self.clock, jitter=lambda: 1.0, dial=self.dial)

    def dial(self, relay: Relay) -> Connection | ConnectFailure:
        """Answer as the trouble of that relay says."""
        self.dialled[relay.name] += 1
        if relay.name in self.trouble:
            return self.trouble[relay.name]
        if sum(wire.relay == relay.name and not wire.closed for wire in self.wires) >= self.most.get(relay.name, 99):
            return FULL
        wire = Wire(relay.name)
        self.wires.append(wire)
        return wire

    def suffer(self, name: str, trouble: ConnectFailure | None) -> None:
        """Put a relay into trouble, or out of it."""
        self.trouble.pop(name, None)
        if trouble is not None:
            self.trouble[name] = trouble

    def get(self) -> PooledConnection:
        """Get a connection."""
        lent = self.pool.connect()
        assert isinstance(lent, PooledConnection), lent
        return lent

    def later(self) -> PoolBusy:
        """Get none."""
        wait = self.pool.connect()
        assert isinstance(wait, PoolBusy), wait
        return wait

    def hear(self, lent: Connection, reply: Reply) -> None:
        """Tell the pool of a reply, as a connection worker does, and hang up where it would."""
        verdict = judge(reply)
        self.pool.observe(lent, verdict, reply)
        if verdict.effect is not Effect.ACCEPT and verdict.relay in {"reconnect", "back-off", "stop"}:
            lent.close()
