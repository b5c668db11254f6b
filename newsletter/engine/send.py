"""The sender: it works off what is queued, over a handful of connections, one thread each.

In: rows that are queued or due again. Out: one outcome per row. It decides nothing about a reply (`core/reply.py`)
nor about what follows from it (`core/delivery.py`), and holds no transaction open while it speaks to a server.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import timedelta

from newsletter.clock import Clock
from newsletter.core.delivery import DeliveryId, DeliveryState, UncertainPolicy
from newsletter.core.edition import Edition
from newsletter.core.message import Publication
from newsletter.core.pace import Limits
from newsletter.core.token import Keyring
from newsletter.engine.books import close_finished, expire_overdue, gather_due, judge_orphans
from newsletter.engine.courier import Courier, Post, Shared
from newsletter.engine.desk import BEAT_SECONDS, Desk, Settled, record
from newsletter.engine.feed import Feed
from newsletter.errors import NotNow, Stop
from newsletter.flows.alert import report, settle_alert
from newsletter.store.alert import Alert, AlertKind
from newsletter.store.unit import Unit
from newsletter.transport.base import ConnectFailure, Connection

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 30.0
"""How long messages in flight may take after a stop was asked for (promise 6)."""

LAST_SECONDS = 10.0
"""How long all connections together may take to come back once they were hung up."""

EXPIRE_EVERY = 60.0
RELAY = "mail server"

Progress = Callable[[Counter[DeliveryState]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRules:
    """What the operator decided about sending."""

    connections: int
    rate_per_second: float | None
    limits: Limits
    expire_after: timedelta
    uncertain_policy: UncertainPolicy
    jitter: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What one pass over the queue came to."""

    counts: Counter[DeliveryState] = field(default_factory=Counter)
    trouble: str = ""
    """What is wrong with the relay or the database, in one sentence; empty when nothing is."""
    needs_person: bool = False
    """True when waiting will not cure the trouble."""
    wait: float = 0.0
    """Seconds until a quota allows more; 0 when none was in the way."""
    unanswered: int = 0
    """Messages that were still unanswered when the drain time was over."""
    finished: tuple[Edition, ...] = ()
    """Editions that were closed."""
    book_seconds: float = 0.0
    """Time spent in transactions, all connections together."""


@dataclass(kw_only=True)
class Sender:
    """The one sending process of a database; whoever makes it holds the sender lock."""

    unit: Unit
    clock: Clock
    connect: Callable[[], Connection | ConnectFailure]
    publication: Publication
    keyring: Keyring
    rules: SendRules
    process: str
    held: Callable[[], str] = lambda: ""
    """Why nothing may be sent, in words; empty when all is well."""
    sign: Callable[[bytes], bytes] | None = None
    """What puts a DKIM signature in front of each message; None: the relay does."""
    drain_seconds: float = DRAIN_SECONDS
    _expire_at: float = float("-inf")
    _beat_at: float = float("-inf")
    _returns: Counter[DeliveryId] = field(default_factory=Counter)
    still_mine: Callable[[], bool] = lambda: True
    """Whether the right to send is still held."""
    _torn: bool = False
    _unrecorded: list[Settled] = field(default_factory=list)

    def beat_due(self) -> bool:
        """Tell whether it is time for a sign of life; true once every five seconds."""
        now = self.clock.monotonic()
        if now - self._beat_at < BEAT_SECONDS:
            return False
        self._beat_at = now
        return True

    def recover(self) -> int:
        """Judge what a dead process left marked; return how many deliveries that were.

        Raises `Stop` when this database is held until a person adopts it: not even that much is its business then.
        """
        held = self.held()
        if held:
            raise Stop(held)
        if self._unrecorded:
            # What we know for certain comes first; until it is written, nothing more goes out.
            with self.unit.write() as tx:
                record(tx, self._unrecorded, now=self.clock.now())
            self._unrecorded.clear()
        return judge_orphans(
            self.unit,
            now=self.clock.now(),
            jitter=self.rules.jitter,
            expire_after=self.rules.expire_after,
            uncertain_policy=self.rules.uncertain_policy,
        )

    def work(self, stop: threading.Event, *, progress: Progress = lambda _: None) -> Pass:
        """Send everything that is due now and return; a set `stop` lets the messages in flight finish."""
        now = self.clock.now()
        if self._torn:
            # No connection is at work yet, so whatever is still marked is left from a pass that the database failed.
            self.recover()
            self._torn = False
        if self.clock.monotonic() - self._expire_at >= EXPIRE_EVERY:
            expire_overdue(self.unit, now=now, expire_after=self.rules.expire_after)
            self._expire_at = self.clock.monotonic()
        gather_due(self.unit, now=now)
        desk = Desk(
            unit=self.unit,
            clock=self.clock,
            limits=self.rules.limits,
            process=self.process,
            on_commit=progress,
            still_mine=self.still_mine,
        )
        shared = Shared(stop=stop, free_at=self.clock.monotonic())
        unanswered = self._run(desk, shared) if self._anything() else 0
        if desk.lost:
            raise NotNow("The connection that held the right to send was lost; it is taken anew.")
        finished = close_finished(self.unit, now=self.clock.now())
        if finished:
            self._returns.clear()
        self._tell(shared.trouble, well=desk.counts[DeliveryState.ACCEPTED] > 0)
        return Pass(
            counts=desk.counts,
            trouble=shared.trouble,
            needs_person=shared.needs_person,
            wait=shared.wait,
            unanswered=unanswered,
            finished=tuple(finished),
            book_seconds=desk.busy_seconds,
        )

    def _tell(self, trouble: str, *, well: bool) -> None:
        """Raise an alert when the relay is in trouble, and clear it once mail goes out again."""
        if not trouble and not well:
            return
        now = self.clock.now()
        with self.unit.write() as tx:
            if trouble:
                message = f"Mail cannot be sent: {trouble} Nothing is lost; what is queued waits."
                report(tx, Alert(kind=AlertKind.RELAY, about=RELAY, message=message, raised_at=now))
            else:
                settle_alert(tx, AlertKind.RELAY, RELAY, now=now)

    def _anything(self) -> bool:
        # A look at the queue first: without work there is no reason to disturb the relay.
        with self.unit.read() as tx:
            return bool(Feed().take(tx, 1))

    def _run(self, desk: Desk, shared: Shared) -> int:
        """Run the connections until nothing is queued; return how many messages stayed unanswered."""
        post = Post(
            unit=self.unit,
            clock=self.clock,
            publication=self.publication,
            keyring=self.keyring,
            expire_after=self.rules.expire_after,
            uncertain_policy=self.rules.uncertain_policy,
            jitter=self.rules.jitter,
            rate=self.rules.rate_per_second,
            returns=self._returns,
            sign=self.sign,
        )
        couriers = [
            Courier(desk=desk, post=post, shared=shared, connect=self.connect) for _ in range(self.rules.connections)
        ]
        threads = [
            # Its lines of the log bear what this thread bound: the part of the service.
            threading.Thread(target=copy_context().run, args=(courier.run,), name=f"connection-{number}", daemon=True)
            for number, courier in enumerate(couriers, start=1)
        ]
        for thread in threads:
            thread.start()
        unanswered = self._join(threads, couriers, shared.stop)
        self._torn = any(courier.torn for courier in couriers)
        self._unrecorded += desk.unrecorded
        for courier in couriers:
            if courier.bug is not None:
                raise courier.bug
        return unanswered

    def _join(self, threads: list[threading.Thread], couriers: list[Courier], stop: threading.Event) -> int:
        """Wait for the threads; once a stop is asked for, no longer than messages in flight may take."""
        stopped_at: float | None = None
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(0.05)
            if not stop.is_set():
                continue
            stopped_at = self.clock.monotonic() if stopped_at is None else stopped_at
            if self.clock.monotonic() - stopped_at > self.drain_seconds:
                # Hanging up makes each thread return with what is known: no reply was read.
                for courier in couriers:
                    courier.abort()
                for thread in threads:
                    thread.join(LAST_SECONDS / len(threads))
                return sum(courier.unanswered for courier in couriers)
        return 0
