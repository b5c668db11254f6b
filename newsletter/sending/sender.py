"""The sender: it works off what is queued, over a handful of connections that take turns in one thread.

In: rows that are queued or due again. Out: one outcome per row. It decides nothing about a reply (`core/reply.py`)
nor about what follows from it (`core/delivery.py`), and holds no transaction open while it speaks to a server.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path

from newsletter.clock import Clock
from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionId
from newsletter.core.message import Publication
from newsletter.core.monitor import ServicePart
from newsletter.core.pace import Limits
from newsletter.core.ramp import smaller
from newsletter.core.token import Keyring
from newsletter.errors import NewsletterError, Stop
from newsletter.flows.alert import settle_alert
from newsletter.flows.breaker import check
from newsletter.flows.hold import pause_for_trouble
from newsletter.flows.ramp import day_limit
from newsletter.journal.writer import Journal
from newsletter.sending.attempt import AttemptSettler
from newsletter.sending.block_queue import BlockQueue
from newsletter.sending.claim_buffer import ClaimBuffer
from newsletter.sending.committer import BEAT_SECONDS, GroupCommitter
from newsletter.sending.connection_group import ConnectionGroup
from newsletter.sending.connection_worker import ConnectionWorker
from newsletter.sending.housekeeping import (
    RELAY,
    close_finished,
    defer_late_waves,
    expire_overdue,
    gather_due,
    report_relay_trouble,
)
from newsletter.sending.message_builder import MessageBuilder
from newsletter.sending.options import PassResult, SendOptions
from newsletter.sending.pass_state import PassState
from newsletter.sending.recovery import Recovery
from newsletter.sending.revocation import RevocationWatcher
from newsletter.store import block as blocks
from newsletter.store import claims
from newsletter.store import heartbeat as heartbeats
from newsletter.store import installation as installations
from newsletter.store import worker as workers
from newsletter.store.alert import AlertKind
from newsletter.store.block import BlockId
from newsletter.store.unit import Unit
from newsletter.store.worker import WorkerId
from newsletter.transport.base import ConnectFailure, Connection
from newsletter.transport.pool import Pool, RelayState

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 30.0
"""How long messages in flight may take after a stop was asked for (promise 6)."""

EXPIRE_EVERY_SECONDS = 60.0
ADOPT_EVERY_SECONDS = 5.0
"""Between two checks for workers that died."""

Progress = Callable[[Counter[DeliveryState]], None]


@dataclass(frozen=True, slots=True)
class Registration:
    """This process as a worker."""

    id: WorkerId
    journal: Journal


@dataclass(kw_only=True)
class Sender:
    """A sending process. On SQLite there is one, which holds the sender lock; on PostgreSQL there are any number."""

    unit: Unit
    clock: Clock
    pool: Pool
    connect: Callable[[], Connection | ConnectFailure]
    """A connection beside those of the pool, for notices."""
    publication: Publication
    keyring: Keyring
    rules: SendOptions
    process: str
    machine: str
    journals: Path
    """The folder of the journals."""
    sole: bool = True
    """Whether no other worker can be alive while this one is."""
    held: Callable[[], str] = lambda: ""
    """Why nothing may be sent, in words; empty when all is well."""
    sign: Callable[[bytes], bytes] | None = None
    """Puts a DKIM signature in front of a message."""
    wished: Callable[[], BlockId | None] = lambda: None
    """The blocks that jobs call this process for; they are taken before others."""
    drain_seconds: float = DRAIN_SECONDS
    _worker: Registration | None = None
    _expire_at: float = float("-inf")
    _adopt_at: float = float("-inf")
    _beat_at: float = float("-inf")
    _settler: AttemptSettler = field(init=False)

    def __post_init__(self) -> None:
        """Settle attempts by the options."""
        self._settler = AttemptSettler(
            now=self.clock.now,
            jitter=self.rules.jitter,
            expire_after=self.rules.expire_after,
            uncertain_policy=self.rules.uncertain_policy,
        )

    @property
    def who(self) -> WorkerId | None:
        """This process as a worker; None while it is none."""
        return None if self._worker is None else self._worker.id

    def beat(self) -> None:
        """Give a sign of life between passes, once in a while."""
        now = self.clock.monotonic()
        if now - self._beat_at < BEAT_SECONDS:
            return
        self._beat_at = now
        with self.unit.write() as tx:
            heartbeats.record(tx, ServicePart.SENDER, now=self.clock.now(), process=self.process)
            if self._worker is not None:
                workers.beat(tx, self._worker.id, now=self.clock.now(), report=self._report(0))

    def recover(self) -> int:
        """Settle the claims of dead workers; return how many deliveries that were.

        Raises `Stop` when this database is held until a person adopts it: not even that much is its business then.
        """
        held = self.held()
        if held:
            raise Stop(held)
        recovery = self._recovery()
        return recovery.adopt() + recovery.settle_lost(self.who)

    def retire(self) -> None:
        """End this worker: release its blocks, and delete the journal unless it has results that the database lacks."""
        worker, self._worker = self._worker, None
        if worker is None:
            return
        worker.journal.close()
        with self.unit.write() as tx:
            blocks.release(tx, worker.id)
            workers.end(tx, worker.id, now=self.clock.now())
            # Else it would seem to run for another minute.
            heartbeats.stop(tx, self.process, now=self.clock.now(), part=ServicePart.SENDER)

    def work(self, stop: threading.Event, *, progress: Progress = lambda _: None) -> PassResult:
        """Send everything that is due now and return; a set `stop` lets the messages in flight finish."""
        now = self.clock.now()
        worker = self._registered()
        if self.clock.monotonic() - self._expire_at >= EXPIRE_EVERY_SECONDS:
            expire_overdue(self.unit, now=now, expire_after=self.rules.expire_after)
            self._expire_at = self.clock.monotonic()
        gather_due(self.unit, now=now)
        if self.rules.local_grace is not None:
            defer_late_waves(self.unit, grace=self.rules.local_grace, now=now)
        pass_state = PassState(stop=stop, size=self.rules.connections, on_pause=self._pause, limits=self.rules.breaker)
        committer = self._committer(worker, pass_state, progress)
        unanswered = self._run(worker, committer, pass_state) if self._any_claimable() else 0
        finished = close_finished(self.unit, now=self.clock.now())
        if finished:
            self._settler.forget()
        self._alert(pass_state.trouble, well=committer.counts[DeliveryState.ACCEPTED] > 0)
        return PassResult(
            counts=committer.counts,
            trouble=pass_state.trouble,
            needs_person=pass_state.needs_person,
            wait=pass_state.wait,
            unanswered=unanswered,
            finished=tuple(finished),
            book_seconds=committer.busy_seconds,
        )

    def _recovery(self) -> Recovery:
        return Recovery(
            unit=self.unit,
            folder=self.journals,
            sole=self.sole,
            now=self.clock.now,
            jitter=self.rules.jitter,
            expire_after=self.rules.expire_after,
            uncertain_policy=self.rules.uncertain_policy,
        )

    def _registered(self) -> Registration:
        """Register as a worker after recovering orphaned claims; check for new orphans every ADOPT_EVERY_SECONDS."""
        due = self.clock.monotonic() - self._adopt_at >= ADOPT_EVERY_SECONDS
        if self._worker is None or (due and not self.sole):
            self.recover()
            self._adopt_at = self.clock.monotonic()
        if self._worker is None:
            with self.unit.write() as tx:
                who = workers.start(tx, name=self.process, machine=self.machine, now=self.clock.now())
                identity = installations.get(tx).identity
            self._worker = Registration(who, self._journal(who, identity))
        return self._worker

    def _journal(self, who: WorkerId, identity: str) -> Journal:
        try:
            return Journal.open(self.journals, identity=identity, worker=who, machine=self.machine)
        except Stop:
            with self.unit.write() as tx:
                workers.end(tx, who, now=self.clock.now())
            raise

    def _alert(self, trouble: str, *, well: bool) -> None:
        """Raise an alert when the relay is in trouble, and clear it once mail goes out again."""
        if trouble:
            report_relay_trouble(self.unit, trouble, now=self.clock.now())
        elif well:
            with self.unit.write() as tx:
                settle_alert(tx, AlertKind.RELAY, RELAY, now=self.clock.now())

    def _any_claimable(self) -> bool:
        # A look at the queue first: without work there is no reason to disturb the relay.
        with self.unit.read() as tx:
            return blocks.any_claimable(tx, now=self.clock.now())

    def _committer(self, worker: Registration, pass_state: PassState, progress: Progress) -> GroupCommitter:
        return GroupCommitter(
            unit=self.unit,
            clock=self.clock,
            limits=self._limits(),
            breaker=lambda edition: self._check(edition, pass_state),
            rate=self.rules.rate_per_second,
            who=worker.id,
            process=self.process,
            block_queue=BlockQueue(who=worker.id, lease=self.rules.lease, now=self.clock.now, wished=self.wished),
            lease=self.rules.lease,
            on_commit=progress,
            on_recorded=worker.journal.recorded,
            stopping=pass_state.stop.is_set,
            connections=lambda: pass_state.connected,
            report=lambda: self._report(pass_state.connected),
        )

    def _limits(self) -> Limits:
        """Return the provider's quotas, and below them what a fresh list may get in a day."""
        limits = self.rules.limits
        if not self.rules.ramp.start:
            return limits
        with self.unit.read() as tx:
            return replace(limits, per_day=smaller(limits.per_day, day_limit(tx, self.rules.ramp)))

    def _pause(self, edition: EditionId, why: str) -> None:
        pause_for_trouble(self.unit, edition, why=why, now=self.clock.now())

    def _check(self, edition: EditionId, pass_state: PassState) -> None:
        if check(self.unit, edition, self.rules.breaker, now=self.clock.now()):
            pass_state.paused.add(edition)

    def _report(self, connections: int) -> Mapping[str, object]:
        """Say what this worker is at, for people."""
        return {"connections": connections, "relays": [_told(state) for state in self.pool.states()]}

    def _run(self, worker: Registration, committer: GroupCommitter, pass_state: PassState) -> int:
        """Run the connections until nothing is queued; return how many messages stayed unanswered."""
        message_builder = MessageBuilder(
            unit=self.unit,
            publication=self.publication,
            keyring=self.keyring,
            settler=self._settler,
            sign=self.sign,
        )
        connection_workers = [
            ConnectionWorker(
                claim_buffer=ClaimBuffer(committer=committer, message_builder=message_builder, pass_state=pass_state),
                pass_state=pass_state,
                pool=self.pool,
                journal=worker.journal,
                clock=self.clock,
                rate=self.rules.rate_per_second,
            )
            for _ in range(self.rules.connections)
        ]
        pass_state.any_claims_left = lambda: any(item.claim_buffer.held() for item in connection_workers)
        revocation_watcher = RevocationWatcher(
            unit=self.unit, committer=committer, connection_workers=connection_workers
        )
        group = ConnectionGroup(
            committer=committer, connection_workers=connection_workers, revocation_watcher=revocation_watcher
        )
        with group.going():
            unanswered = group.wait(
                pass_state.stop, self.clock, drain_seconds=self.drain_seconds, meanwhile=self._housekeep
            )
        self._leave(worker, committer, outcome_unrecorded=group.outcome_unrecorded, all_finished=group.all_finished)
        for bug in group.bugs:
            raise bug
        return unanswered

    def _leave(
        self, worker: Registration, committer: GroupCommitter, *, outcome_unrecorded: bool, all_finished: bool
    ) -> None:
        """Give back what is reserved. Where the database failed us, the journal tells the rest at the next start."""
        if outcome_unrecorded or committer.bug is not None or not all_finished:
            self._abandon(worker)
            return
        try:
            with self.unit.write() as tx:
                # Every claim of a connection is settled or given back. A row that is still claimed belongs to a commit
                # whose answer got lost, and went to no connection.
                claims.give_back(tx, [row.id for row in claims.marked_by(tx, worker.id)], who=worker.id)
                committer.block_queue.leave(tx)
                workers.beat(tx, worker.id, now=self.clock.now(), report=self._report(0))
        except BaseException:
            self._abandon(worker)
            raise

    def _abandon(self, worker: Registration) -> None:
        """End this worker, and leave the rest to the journal.

        An empty one is kept too: it proves that claimed rows were never sent.
        """
        self._worker = None
        worker.journal.close(keep=True)

    def _housekeep(self) -> None:
        """Do now and then in a long pass what else is done before one: settle what the dead left, gather who is due."""
        if self.clock.monotonic() - self._adopt_at < ADOPT_EVERY_SECONDS:
            return
        self._adopt_at = self.clock.monotonic()
        try:
            if not self.sole:
                self.recover()
            gather_due(self.unit, now=self.clock.now())
        except NewsletterError as error:
            # The next pass does it, if not the next look.
            logger.warning("%s", error)


def _told(state: RelayState) -> Mapping[str, object]:
    """Return how a relay stands as it is written into the row of the worker."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in ((field.name, getattr(state, field.name)) for field in fields(state))
    }
