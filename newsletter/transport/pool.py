"""The relays of this process: which one takes the next connection, and what they were heard to say.

In: the relays in order of preference, and what came back over their connections. Out: a connection, or how long to wait
for one; and a line in the log when a relay is left alone, and when it takes mail again. It never sends a message, and
never takes one that a relay refused, or may have taken, to another relay.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from newsletter.clock import Clock
from newsletter.core.reply import Effect, RelayAction, Reply, Verdict, judge
from newsletter.core.throttle import (
    CLEAN_SPAN_SECONDS,
    Complaint,
    Throttle,
    cap_connections,
    fail,
    grow,
    new_throttle,
    recover,
    slow_down,
)
from newsletter.event_loop import run_in_thread
from newsletter.transport.base import ConnectFailure, Connection, Relay
from newsletter.transport.pooled import PooledConnection

logger = logging.getLogger(__name__)

BUSY_WAIT_SECONDS = 1.0
"""Seconds until it pays to ask again when all connections are in use, or one is being tried out."""

EMPTY_CONNECTIONS_MAX = 3
"""Connections in a row that may be lost before they carried one message; then the relay counts as absent."""

_REPUTATION = frozenset({"4.7.28", "4.7.650", "4.7.651"})
"""Too much mail for a sender of our standing: Gmail's code, and those of Microsoft's consumer mail."""

Dial = Callable[[Relay], Connection | ConnectFailure]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolBusy:
    """No relay may take a further connection right now."""

    seconds: float
    """When it pays to ask again."""
    plain: str
    """Why, in a sentence for people."""
    trouble: bool = False
    """True when nothing goes out at all; False while connections stand, or one is being tried out."""
    needs_person: bool = False
    """True when waiting will not cure any of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayState:
    """How one relay stands, for people."""

    name: str
    connections: int
    """Open now."""
    allowed: int
    """At most so many at present …"""
    most: int
    """… and so many when all is well."""
    since: datetime | None = None
    """When the last complaint came; None while all is well."""
    trouble: str = ""
    """That complaint in words."""
    again_at: datetime | None = None
    """When a connection is tried again; None when nothing stands in the way."""
    needs_person: bool = False


class _Answer(Enum):
    """The answer to a request for a connection."""

    GRANTED = auto()
    WAIT = auto()
    NEXT = auto()
    """Try the next relay."""


class _Line:
    """One relay, with what is open to it; changed only under the lock of the pool."""

    def __init__(self, relay: Relay, throttle: Throttle) -> None:
        self.relay = relay
        self.name = relay.name or f"{relay.host}:{relay.port}"
        self.throttle = throttle
        self.lent: list[PooledConnection] = []
        """Oldest first."""
        self.opening = 0
        self.proved = False
        """True once a connection was to be had, until there is none to be had."""
        self.failure: ConnectFailure | None = None
        """Why there was none."""
        self.empty_connections = 0
        """Connections in a row that were lost before they carried a message."""

    @property
    def degraded(self) -> bool:
        """Tell whether mail that is taken is news."""
        return self.throttle.open or self.empty_connections > 0

    @property
    def taken(self) -> int:
        return len(self.lent) + self.opening

    @property
    def probing(self) -> bool:
        """Tell whether a connection is being tried that shows if the relay has recovered."""
        return self.opening > 0 or any(item.opened_at >= self.throttle.retry_at for item in self.lent)

    @property
    def turned_away(self) -> _Answer:
        """Return the answer to a request for which no connection is free.

        The next relay is not for those whom this one merely wants slower; but it helps one that recovers.
        """
        return _Answer.NEXT if self.throttle.recovering else _Answer.WAIT

    def recall(self, keep: int) -> None:
        """Let all but the oldest so many finish what they hold and come home."""
        for connection in self.lent[max(0, keep) :]:
            connection.recall()


class Pool:
    """Opens connections over one or more relays; used by any number of threads."""

    def __init__(
        self,
        relays: Sequence[Relay],
        *,
        connections: int | Sequence[int],
        clock: Clock,
        jitter: Callable[[], float],
        dial: Dial,
        abort_dial: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the relays, the preferred one first, and the most connections: for each of them, or one number for all.

        `jitter` gives numbers in [-1, 1]; `dial` opens a connection, and never raises for what a server does;
        `abort_dial` makes each `dial` under way fail at once.
        """
        self.abort_opening = abort_dial
        self._clock = clock
        self._jitter = jitter
        self._dial = dial
        self._turn = threading.Condition()
        now = clock.monotonic()
        most = [connections] * len(relays) if isinstance(connections, int) else connections
        self._lines = [_Line(relay, new_throttle(count, now=now)) for relay, count in zip(relays, most, strict=True)]

    def connect(self) -> Connection | ConnectFailure | PoolBusy:
        """Open a connection to the first relay that may have one; a failure only when every relay fails.

        While other connections stand it is no failure that there is not one more of them. DNS, TLS and a login block,
        so they run in a thread; other greenlets go on.
        """
        return run_in_thread(self._connect)

    def _connect(self) -> Connection | ConnectFailure | PoolBusy:
        tried = False
        for line in self._lines:
            answer: PooledConnection | _Answer = self._reserve(line)
            if answer is _Answer.GRANTED:
                tried = True
                answer = self._open(line)
            if isinstance(answer, PooledConnection):
                return answer
            if answer is _Answer.WAIT:
                with self._turn:
                    return self._later([line])
        with self._turn:
            failures = [line.failure for line in self._lines if line.failure is not None]
            if tried and len(failures) == len(self._lines) and not any(line.taken for line in self._lines):
                return _together(failures)
            return self._later(self._lines)

    def release(self, connection: Connection) -> None:
        """Remove a closed connection; may be called twice."""
        if not isinstance(connection, PooledConnection):
            return
        with self._turn:
            line = self._lines[connection.place]
            if connection in line.lent:
                line.lent.remove(connection)

    def observe(self, connection: Connection, verdict: Verdict, reply: Reply | None = None) -> None:
        """Hear what became of a message; `reply` adds the server's own words. Nearly free for mail that was taken."""
        if not isinstance(connection, PooledConnection):
            return
        if verdict.effect is Effect.ACCEPT:
            connection.fruitful = True
            if self._lines[connection.place].degraded:
                self._took_mail(connection)
        elif verdict.relay is RelayAction.BACK_OFF:
            self._complained(connection, verdict, reply)
        elif verdict.relay is RelayAction.STOP:
            self._shut(connection, verdict, reply)
        elif verdict.relay is RelayAction.RECONNECT and not connection.fruitful:
            self._lost(connection, verdict, reply)

    def states(self) -> list[RelayState]:
        """Return how each relay stands, in order of preference."""
        with self._turn:
            now, instant = self._clock.monotonic(), self._clock.now()
            for line in self._lines:
                line.throttle = grow(line.throttle, now=now)
            return [_for_people(line, now, instant) for line in self._lines]

    def _reserve(self, line: _Line) -> _Answer:
        """Set a place aside for a connection that is about to be opened, if there is one."""
        with self._turn:
            # Until one connection has come through, the others wait for it: ten wrong logins at once lock an account.
            self._turn.wait_for(lambda: line.proved or line.throttle.open or not line.opening)
            now = self._clock.monotonic()
            state = line.throttle = grow(line.throttle, now=now)
            if state.open:
                free = now >= state.retry_at and not line.probing
            else:
                free = now >= state.retry_at and line.taken < state.allowed
            if not free:
                return line.turned_away
            line.opening += 1
            return _Answer.GRANTED

    def _open(self, line: _Line) -> PooledConnection | _Answer:
        """Open a connection in the place that was set aside."""
        opened: Connection | ConnectFailure | None = None
        try:
            opened = self._dial(line.relay)
        finally:
            # Also after a bug, so that no thread waits for ever for this place.
            with self._turn:
                line.opening -= 1
                answer = self._opened(line, opened) if opened is not None else _Answer.NEXT
                self._turn.notify_all()
        return answer

    def _opened(self, line: _Line, opened: Connection | ConnectFailure) -> PooledConnection | _Answer:
        now = self._clock.monotonic()
        if isinstance(opened, ConnectFailure):
            return self._refused(line, opened, now)
        line.proved = True
        line.failure = None
        lent = PooledConnection(opened, place=self._lines.index(line), opened_at=now, on_close=self.release)
        line.lent.append(lent)
        return lent

    def _refused(self, line: _Line, failure: ConnectFailure, now: float) -> _Answer:
        reply, jitter = failure.reply, self._jitter()
        if line.lent and 400 <= reply.code < 500:  # noqa: PLR2004 - a transient reply, RFC 5321 §4.2.1.
            line.throttle = cap_connections(line.throttle, len(line.lent), now=now, jitter=jitter, plain=failure.plain)
            return line.turned_away
        person = judge(reply).relay is RelayAction.STOP
        line.failure = failure
        line.proved = False
        self._stand(line, fail(line.throttle, now=now, jitter=jitter, plain=failure.plain, needs_person=person))
        return _Answer.NEXT

    def _took_mail(self, connection: PooledConnection) -> None:
        with self._turn:
            line = self._lines[connection.place]
            line.empty_connections = 0
            if not line.throttle.open:
                return
            after = recover(line.throttle, opened_at=connection.opened_at)
            self._stand(line, after)
            if not after.open:
                self._call_home(connection.place)

    def _call_home(self, place: int) -> None:
        """Bring back as many connections from the relays behind this one as it has room for again."""
        line = self._lines[place]
        room = line.throttle.allowed - line.taken
        away = [connection for other in self._lines[place + 1 :] for connection in other.lent]
        for connection in away[: max(0, room)]:
            connection.recall()

    def _complained(self, connection: PooledConnection, verdict: Verdict, reply: Reply | None) -> None:
        with self._turn:
            line = self._lines[connection.place]
            slower = slow_down(
                line.throttle,
                _complaint(verdict, reply),
                now=self._clock.monotonic(),
                jitter=self._jitter(),
                plain=_words(verdict, reply),
            )
            self._stand(line, slower)
            line.recall(0 if line.throttle.open else line.throttle.allowed)

    def _shut(self, connection: PooledConnection, verdict: Verdict, reply: Reply | None) -> None:
        with self._turn:
            line = self._lines[connection.place]
            self._fail(line, verdict, reply, needs_person=True)
            line.recall(0)

    def _lost(self, connection: PooledConnection, verdict: Verdict, reply: Reply | None) -> None:
        with self._turn:
            line = self._lines[connection.place]
            line.empty_connections += 1
            if line.empty_connections >= EMPTY_CONNECTIONS_MAX:
                line.empty_connections = 0
                self._fail(line, verdict, reply, needs_person=False)

    def _fail(self, line: _Line, verdict: Verdict, reply: Reply | None, *, needs_person: bool) -> None:
        words = _words(verdict, reply)
        if reply is not None:
            line.failure = ConnectFailure(reply=reply, plain=words)
        line.proved = False
        now, jitter = self._clock.monotonic(), self._jitter()
        self._stand(line, fail(line.throttle, now=now, jitter=jitter, plain=words, needs_person=needs_person))

    def _stand(self, line: _Line, throttle: Throttle) -> None:
        """Let a relay stand otherwise from now on; the log hears when its breaker opens or closes, and only then."""
        before, line.throttle = line.throttle, throttle
        if throttle.open and not before.open:
            others = [item.name for item in self._lines if item is not line and not item.throttle.open]
            instead = f"it goes to {others[0]}" if others else "nothing goes out"
            logger.warning("no mail goes to %s for now, %s: %s", line.name, instead, throttle.plain)
        elif before.open and not throttle.open:
            logger.info("%s takes mail again", line.name)

    def _later(self, lines: Sequence[_Line]) -> PoolBusy:
        now = self._clock.monotonic()
        states = [line.throttle for line in lines]
        return PoolBusy(
            seconds=min(_wait(line, now) for line in lines),
            plain=" ".join(_why(line) for line in lines),
            # Those who have a connection, or are trying one out, will find out how it stands.
            trouble=not any(line.taken for line in self._lines) and all(state.open for state in states),
            needs_person=all(state.needs_person for state in states),
        )


def _wait(line: _Line, now: float) -> float:
    state = line.throttle
    if now < state.retry_at:
        return state.retry_at - now
    if not state.open and state.allowed < state.most:
        return max(BUSY_WAIT_SECONDS, state.clean_since + CLEAN_SPAN_SECONDS - now)
    return BUSY_WAIT_SECONDS


def _why(line: _Line) -> str:
    state = line.throttle
    if state.plain:
        return state.plain
    return f"All {state.allowed} connections to {line.name} are in use."


def _words(verdict: Verdict, reply: Reply | None) -> str:
    if reply is None or not (reply.code or reply.text):
        return verdict.plain
    words = " ".join(part for part in (str(reply.code or ""), reply.enhanced, reply.text) if part)
    return f'{verdict.plain} It said "{words}".' if reply.code else f"{verdict.plain} ({words})"


def _complaint(verdict: Verdict, reply: Reply | None) -> Complaint:
    # The words may have been judged before the code, as in Gmail's "4.7.28 … unusual rate".
    if verdict.rule == "4.7.28" or (reply is not None and reply.enhanced in _REPUTATION):
        return Complaint.REPUTATION
    return Complaint.QUOTA if verdict.rule == "text:quota" else Complaint.RATE


def _together(failures: Sequence[ConnectFailure]) -> ConnectFailure:
    """Make one failure of those of all relays: it is a person's matter only when each of them is."""
    curable = [failure for failure in failures if judge(failure.reply).relay is not RelayAction.STOP]
    return ConnectFailure(reply=(curable or failures)[0].reply, plain=" ".join(failure.plain for failure in failures))


def _for_people(line: _Line, now: float, instant: datetime) -> RelayState:
    state = line.throttle
    wrong = not state.well
    return RelayState(
        name=line.name,
        connections=len(line.lent),
        allowed=state.allowed,
        most=state.most,
        since=instant - timedelta(seconds=now - state.struck_at) if wrong else None,
        trouble=state.plain if wrong else "",
        again_at=instant + timedelta(seconds=state.retry_at - now) if now < state.retry_at else None,
        needs_person=state.needs_person,
    )
