"""The sender: sends queued deliveries over a handful of connections that take turns in one thread.

In: rows that are queued or due again. Out: one outcome per row. It decides nothing about a reply (`core/reply.py`)
nor about what follows from it (`core/delivery.py`), and holds no transaction open while it speaks to a server.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import partial

from newsletter.clock import Clock
from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionId
from newsletter.core.message import Publication
from newsletter.core.monitor import ServicePart
from newsletter.core.pace import Limits
from newsletter.core.ramp import smaller
from newsletter.core.token import Keyring
from newsletter.errors import NewsletterError, Stop
from newsletter.event_loop import run_greenlets
from newsletter.flows.alert import settle_alert
from newsletter.flows.breaker import check
from newsletter.flows.hold import pause_for_trouble
from newsletter.flows.ramp import day_limit
from newsletter.journal.writer import Journal
from newsletter.sending.attempt import AttemptSettler
from newsletter.sending.block_queue import BlockQueue
from newsletter.sending.claim_buffer import ClaimBuffer
from newsletter.sending.claimer import Claimer
from newsletter.sending.committer import BEAT_SECONDS, GroupCommitter
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
from newsletter.sending.options import PassResult, SendOptions, WorkerHost
from newsletter.sending.pass_state import Pacer, PassState
from newsletter.sending.recovery import Recovery
from newsletter.sending.revocation import RevocationWatcher
from newsletter.store import block as blocks
from newsletter.store import claims
from newsletter.store import heartbeat as heartbeats
from newsletter.store import installation as installations
from newsletter.store import worker as workers
from newsletter.store.alert import AlertKind
from newsletter.store.block import BlockId
from newsletter.store.unit import Tx, Unit
from newsletter.store.worker import WorkerId
from newsletter.transport.base import ConnectFailure, Connection
from newsletter.transport.pool import Pool, RelayState

logger = logging.getLogger(__name__)

JOIN_SECONDS = 10.0
"""How long all connections together may take to finish once they were hung up."""

EXPIRE_EVERY_SECONDS = 60.0
JOIN_POLL_SECONDS = 0.05
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
    host: WorkerHost
    held: Callable[[], str] = lambda: ""
    """Why nothing may be sent, in words; empty when all is well."""
    sign: Callable[[bytes], bytes] | None = None
    """Puts a DKIM signature in front of a message."""
    wished: Callable[[], BlockId | None] = lambda: None
    """The blocks that jobs call this process for; they are taken before others."""
    _worker: Registration | None = None
    _settler: AttemptSettler = field(init=False)
    _last_run: dict[str, float] = field(default_factory=dict)
    """When work that is not due in each pass was last done, on the monotonic clock."""

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
        if not self._due("beat", BEAT_SECONDS):
            return
        with self.unit.write() as tx:
            self._write_beat(tx, connections=0)

    def _write_beat(self, tx: Tx, *, connections: int) -> None:
        now = self.clock.now()
        heartbeats.record(tx, ServicePart.SENDER, now=now, process=self.host.process)
        if self._worker is not None:
            workers.beat(tx, self._worker.id, now=now, report=self._report(connections))

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
            heartbeats.stop(tx, self.host.process, now=self.clock.now(), part=ServicePart.SENDER)

    def work(self, stop: threading.Event, *, progress: Progress = lambda _: None) -> PassResult:
        """Send everything that is due now and return; a set `stop` lets the messages in flight finish."""
        now = self.clock.now()
        worker = self._registered()
        if self._due("expire", EXPIRE_EVERY_SECONDS):
            expire_overdue(self.unit, now=now, expire_after=self.rules.expire_after)
        gather_due(self.unit, now=now)
        if self.rules.local_grace is not None:
            defer_late_waves(self.unit, grace=self.rules.local_grace, now=now)
        rate = self.rules.rate_per_second
        pass_state = PassState(
            stop=stop,
            size=self.rules.connections,
            on_pause=self._pause,
            limits=self.rules.breaker,
            pacer=Pacer(rate=rate) if rate else None,
        )
        counts: Counter[DeliveryState] = Counter()
        busy_seconds, unanswered = 0.0, 0
        if self._any_claimable():
            committer = self._committer(worker, pass_state, progress)
            unanswered = self._run(worker, committer)
            counts, busy_seconds = committer.counts, committer.busy_seconds
        finished = close_finished(self.unit, now=self.clock.now())
        if finished:
            self._settler.forget()
        self._alert(pass_state.trouble, well=counts[DeliveryState.ACCEPTED] > 0)
        return PassResult(
            counts=counts,
            trouble=pass_state.trouble,
            needs_person=pass_state.needs_person,
            wait=pass_state.wait,
            unanswered=unanswered,
            finished=tuple(finished),
            book_seconds=busy_seconds,
        )

    def _recovery(self) -> Recovery:
        return Recovery(
            unit=self.unit,
            folder=self.host.journals,
            sole=self.host.sole,
            now=self.clock.now,
            jitter=self.rules.jitter,
            expire_after=self.rules.expire_after,
            uncertain_policy=self.rules.uncertain_policy,
        )

    def _registered(self) -> Registration:
        """Register as a worker after recovering orphaned claims; check for new orphans every ADOPT_EVERY_SECONDS."""
        due = self._due("adopt", ADOPT_EVERY_SECONDS)
        if self._worker is None or (due and not self.host.sole):
            self.recover()
        if self._worker is None:
            with self.unit.write() as tx:
                worker_id = workers.start(tx, name=self.host.process, machine=self.host.machine, now=self.clock.now())
                identity = installations.get(tx).identity
            self._worker = Registration(worker_id, self._journal(worker_id, identity))
        return self._worker

    def _journal(self, who: WorkerId, identity: str) -> Journal:
        try:
            return Journal.open(self.host.journals, identity=identity, worker=who, machine=self.host.machine)
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
        block_queue = BlockQueue(who=worker.id, lease=self.rules.lease, now=self.clock.now, wished=self.wished)
        return GroupCommitter(
            unit=self.unit,
            clock=self.clock,
            claimer=Claimer(
                block_queue=block_queue,
                limits=self._limits(),
                rate=self.rules.rate_per_second,
                clock=self.clock,
            ),
            claim_buffer=ClaimBuffer(clock=self.clock, pass_state=pass_state),
            pass_state=pass_state,
            journal=worker.journal,
            breaker=lambda edition: self._check(edition, pass_state),
            on_commit=progress,
            beat=lambda tx: self._write_beat(tx, connections=pass_state.connected),
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
        """Return the report of this worker, for people."""
        return {"connections": connections, "relays": [_as_json(state) for state in self.pool.states()]}

    def _run(self, worker: Registration, committer: GroupCommitter) -> int:
        """Run the connections until nothing is queued; return how many messages stayed unanswered."""
        pass_state = committer.pass_state
        connections = _Connections(committer=committer, workers=self._connection_workers(committer))
        watcher = RevocationWatcher(
            unit=self.unit,
            clock=self.clock,
            who=worker.id,
            claim_buffer=committer.claim_buffer,
            connection_workers=connections.workers,
        )
        try:
            unanswered = connections.run(
                watcher, meanwhile=self._housekeep, drain_seconds=self.rules.drain_seconds, clock=self.clock
            )
        except BaseException:
            self._abandon(worker)
            raise
        if pass_state.bugs or committer.claim_buffer.unrecorded.recorded() or not connections.all_finished:
            # An outcome may be in the journal only, and its delivery still claimed.
            self._abandon(worker)
        else:
            self._leave(worker, committer)
        for bug in pass_state.bugs:
            raise bug
        return unanswered

    def _connection_workers(self, committer: GroupCommitter) -> list[ConnectionWorker]:
        message_builder = MessageBuilder(
            unit=self.unit,
            publication=self.publication,
            keyring=self.keyring,
            settler=self._settler,
            sign=self.sign,
        )
        return [
            ConnectionWorker(
                claim_buffer=committer.claim_buffer,
                message_builder=message_builder,
                pass_state=committer.pass_state,
                pool=self.pool,
                journal=committer.journal,
                clock=self.clock,
            )
            for _ in range(self.rules.connections)
        ]

    def _leave(self, worker: Registration, committer: GroupCommitter) -> None:
        """Release the reserved blocks."""
        try:
            with self.unit.write() as tx:
                # Every claim of a connection is settled or given back. A row that is still claimed belongs to a commit
                # whose answer got lost, and went to no connection.
                claims.give_back(tx, [row.id for row in claims.marked_by(tx, worker.id)], who=worker.id)
                committer.claimer.block_queue.leave(tx)
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
        """Repeat the work that precedes a pass: settle the claims of dead workers, gather due deliveries."""
        if not self._due("adopt", ADOPT_EVERY_SECONDS):
            return
        try:
            if not self.host.sole:
                self.recover()
            gather_due(self.unit, now=self.clock.now())
        except NewsletterError as error:
            # The next pass does it, if not the next look.
            logger.warning("%s", error)
        except Exception:
            # The messages in flight need this thread to wait for them.
            logger.exception("the housekeeping beside a pass failed")

    def _due(self, work: str, every_seconds: float) -> bool:
        """Tell whether this work was last done so long ago, and note that it is done now."""
        now = self.clock.monotonic()
        if now - self._last_run.get(work, float("-inf")) < every_seconds:
            return False
        self._last_run[work] = now
        return True


@dataclass(slots=True, kw_only=True)
class _Connections:
    """The event loop of one pass in a thread of its own: connection workers, revocation watcher and committer."""

    committer: GroupCommitter
    workers: Sequence[ConnectionWorker]
    _unfinished_count: int = 0
    """How many connection workers have not finished."""
    _finished: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)

    def run(
        self, watcher: RevocationWatcher, *, meanwhile: Callable[[], None], drain_seconds: float, clock: Clock
    ) -> int:
        """Send until the workers have finished; return how many messages were cut off without an answer.

        Once a stop is asked for, messages in flight have `drain_seconds`. `meanwhile` is called now and then.
        """
        self._unfinished_count = len(self.workers)
        # Lines of the log bear what this thread bound: the part of the service.
        loop = threading.Thread(target=copy_context().run, args=(self._serve, watcher), name="connections", daemon=True)
        loop.start()
        try:
            return self._wait(loop, meanwhile=meanwhile, drain_seconds=drain_seconds, clock=clock)
        except BaseException:
            # The connections finish their messages before the committer ends.
            self.committer.pass_state.end("a fault in this program")
            loop.join(JOIN_SECONDS)
            raise
        finally:
            self._finished.set()
            # A commit under way is finished, also when a connection is abandoned.
            self._ended.wait(JOIN_SECONDS)

    @property
    def all_finished(self) -> bool:
        """Tell whether every connection worker has finished, and the committer after them."""
        return self._ended.is_set() and not self._unfinished_count

    def _wait(
        self, loop: threading.Thread, *, meanwhile: Callable[[], None], drain_seconds: float, clock: Clock
    ) -> int:
        stop = self.committer.pass_state.stop
        stopped_at: float | None = None
        while loop.is_alive():
            loop.join(JOIN_POLL_SECONDS)
            if not stop.is_set():
                meanwhile()
                continue
            for worker in self.workers:
                # A session that is still being opened has no message in flight: nothing is to be waited for.
                worker.pool.abort_opening()
            stopped_at = clock.monotonic() if stopped_at is None else stopped_at
            if clock.monotonic() - stopped_at > drain_seconds:
                # Closing the connection makes each of them return without a reply.
                for worker in self.workers:
                    worker.abort()
                loop.join(JOIN_SECONDS)
                return sum(worker.unanswered for worker in self.workers)
        return 0

    def _serve(self, watcher: RevocationWatcher) -> None:
        """Run the event loop; the committer ends last, once nothing else hands in a result."""
        try:
            run_greenlets(
                [
                    self.committer.run,
                    partial(self._watch, watcher),
                    *(partial(self._work, item) for item in self.workers),
                ]
            )
        except BaseException as fault:  # noqa: BLE001 it is raised again in the thread that waits for this one
            self.committer.pass_state.fail(fault)
        finally:
            self._ended.set()

    def _work(self, worker: ConnectionWorker) -> None:
        try:
            worker.run()
        except Exception as fault:  # noqa: BLE001 as above; the others finish what they hold
            self.committer.pass_state.fail(fault)
        self._unfinished_count -= 1
        if not self._unfinished_count:
            self._finished.set()

    def _watch(self, watcher: RevocationWatcher) -> None:
        try:
            watcher.run(self._finished)
        finally:
            self.committer.close()


def _as_json(state: RelayState) -> Mapping[str, object]:
    """Return how a relay stands as it is written into the row of the worker."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in ((field.name, getattr(state, field.name)) for field in fields(state))
    }
