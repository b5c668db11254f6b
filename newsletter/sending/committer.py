"""The desk: where connections hand in outcomes and order the next run, one transaction after the other.

In: what became of messages, what was not used of a run, how much is wanted. Out: runs, durably marked as going out
before any of their data is written (promise 5). It shares a thread with the connections
(`newsletter/event_loop.py`): they send while it waits for the database, and the requests that they submit meanwhile
share the next transaction.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from newsletter.clock import Clock
from newsletter.core.delivery import DeliveryId, DeliveryState, Outcome
from newsletter.core.edition import EditionId
from newsletter.core.monitor import ServicePart
from newsletter.core.pace import Limits, Window, reserve
from newsletter.core.reply import ReplyClass
from newsletter.core.subscriber import SubscriberId
from newsletter.core.tally import REFUSED_AS
from newsletter.errors import NewsletterError, Stop
from newsletter.event_loop import new_event, yield_now
from newsletter.flows.bounce import count_failure, suppress
from newsletter.sending.block_queue import BlockQueue
from newsletter.store import claims
from newsletter.store import heartbeat as heartbeats
from newsletter.store import quota as quotas
from newsletter.store import tally as tallies
from newsletter.store import worker as workers
from newsletter.store.claims import ClaimedDelivery
from newsletter.store.tally import TallySource
from newsletter.store.unit import Tx, Unit
from newsletter.store.worker import WorkerId

if TYPE_CHECKING:
    from gevent.event import Event

logger = logging.getLogger(__name__)

QUOTA = "relay"
BEAT_SECONDS = 1.0
AHEAD_SECONDS = 1.0
"""How far ahead of its moment under a rate per second a message is marked."""

COMMIT_RETRY_SECONDS = 60.0
"""Seconds for which a failing database is asked again, while outcomes that nobody else knows wait to be written."""

GATHER_SECONDS = 0.02
"""How long a request waits for those of other connections, unless a connection waits for its commit."""

COMMIT_RETRY_STOPPING_SECONDS = 5.0
"""The same once a stop is asked for: the journal has the outcomes, and the next start is told by it."""


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """What became of one message."""

    delivery: DeliveryId
    edition: EditionId
    subscriber: SubscriberId
    outcome: Outcome
    kind: ReplyClass
    why: str = ""
    """In plain words, for the person's own history."""


_OF_STATE = {
    DeliveryState.ACCEPTED: "accepted",
    DeliveryState.DEFERRED: "deferred",
    DeliveryState.UNCERTAIN: "uncertain",
}


def record(tx: Tx, settled: Sequence[AttemptResult], *, who: WorkerId | None, now: datetime) -> None:
    """Write what became of messages, count it, and note the people whose address is no more."""
    claims.record(tx, [(result.delivery, result.outcome, result.kind) for result in settled], who=who)
    counts: defaultdict[EditionId, Counter[str]] = defaultdict(Counter)
    for result in settled:
        if result.outcome.suppress:
            suppress(tx, result.subscriber, why=result.why, now=now)
        elif result.outcome.state is not DeliveryState.ACCEPTED:
            count_failure(tx, result.subscriber, state=result.outcome.state, kind=result.kind.value, now=now)
        name = _tallied(result)
        if name:
            counts[result.edition][name] += 1
    for edition, counted in sorted(counts.items()):
        tallies.add(tx, edition, TallySource.RECOVERY if who is None else who, counted, now=now)


def _tallied(result: AttemptResult) -> str:
    if result.outcome.state is DeliveryState.REJECTED:
        return REFUSED_AS.get(result.kind, "refused")
    return _OF_STATE.get(result.outcome.state, "")


@dataclass(slots=True, eq=False)
class Claim:
    """One delivery, marked: it may go out, unless the look finds that it must not any more."""

    person: ClaimedDelivery
    not_before: float
    """On the monotonic clock: when the rate per second allows it."""
    term: int = 0
    """The lease under which it was marked (`GroupCommitter.term`)."""
    revoked: bool = False
    """Set by the look, when it must not go out any more. Marked anew it is another job."""


@dataclass(frozen=True, slots=True)
class QuotaWait:
    """A quota is used up; nothing may go out for so many seconds."""

    seconds: float


@dataclass(slots=True, eq=False)
class CommitRequest:
    """What a connection hands in and orders at once, and what it gets for it."""

    settled: Sequence[AttemptResult] = ()
    unused: Sequence[DeliveryId] = ()
    """Marked, and never handed to a server."""
    for_others: bool = False
    """Whether what is unused may go out over another connection at once."""
    wants: int = 0
    jobs: deque[Claim] = field(default_factory=deque)
    """Set before `done`. They wait here for the connection, and the look may take from them meanwhile."""
    dry: bool = False
    """True when something was wanted, and there was nothing."""
    wait: QuotaWait | None = None
    error: NewsletterError | None = None
    done: Event = field(default_factory=new_event)


@dataclass(slots=True, kw_only=True)
class GroupCommitter:
    """One pass of the sender; shared by its connections."""

    unit: Unit
    clock: Clock
    limits: Limits
    breaker: Callable[[EditionId], None]
    """Looks whether too much of an edition was refused."""
    rate: float | None
    who: WorkerId
    process: str
    block_queue: BlockQueue
    lease: timedelta
    on_commit: Callable[[Counter[DeliveryState]], None]
    on_recorded: Callable[[Iterable[DeliveryId]], None] = lambda _: None
    """Called after each commit with the deliveries whose outcome the database has now: the journal drops them."""
    stopping: Callable[[], bool] = lambda: False
    """Tells whether a stop was asked for."""
    hands: Callable[[], int] = lambda: 1
    """How many connections there are at this moment."""
    report: Callable[[], Mapping[str, object]] = dict
    """What the worker is at, for people."""
    counts: Counter[DeliveryState] = field(default_factory=Counter)
    """Outcomes of this pass."""
    busy_seconds: float = 0.0
    """Time from the beginning of a transaction to its end; the connections had their turns meanwhile."""
    lease_until: float = 0.0
    """On the monotonic clock: after this, what is reserved may be another worker's."""
    term: int = 0
    """Counts the leases that ran out: what was marked under an earlier one is given back, not sent."""
    bug: Exception | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when nothing is worked any more."""
    _waiting: list[CommitRequest] = field(default_factory=list)
    _called: Event = field(default_factory=new_event)
    """Set when there is something to do."""
    _hurry: Event = field(default_factory=new_event)
    """Set when nothing is gained by waiting for further requests."""
    _over: bool = False
    _ended: bool = False
    _refused: set[EditionId] = field(default_factory=set)
    """Editions of which somebody was refused since the last look at how many are."""
    _beat_at: float = float("-inf")

    def submit(self, ticket: CommitRequest) -> CommitRequest:
        """Queue a request for the next commit; its `done` is set after it."""
        if self._ended:
            ticket.error = Stop("the committer has ended")
            ticket.done.set()
        else:
            self._waiting.append(ticket)
            self._called.set()
            if len(self._waiting) >= self.hands():
                self._hurry.set()
        return ticket

    def wait_for(self, ticket: CommitRequest) -> None:
        """Wait until a request is committed, or has failed."""
        if ticket in self._waiting:
            self._hurry.set()
        ticket.done.wait()

    def run(self) -> None:
        """Work tickets until `close`."""
        try:
            while (group := self._next_group()) is not None:
                self._work(group)
        except Exception as bug:  # noqa: BLE001 it is raised again in the thread that waits for this one
            self.bug = bug
        finally:
            # Nobody must wait for an answer that never comes.
            self._ended = True
            left, self._waiting = self._waiting, []
            for ticket in left:
                ticket.error = Stop("a fault in this program")
                ticket.done.set()
            self.ended.set()

    def close(self) -> None:
        """Let `run` return once all that was handed in is worked."""
        self._over = True
        self._called.set()
        self._hurry.set()

    def _next_group(self) -> list[CommitRequest] | None:
        """Wait for requests: what is committed together costs less each."""
        self._called.wait()
        self._hurry.wait(GATHER_SECONDS)
        if not self._over:
            self._called.clear()
            self._hurry.clear()
        group, self._waiting = self._waiting, []
        return group or None

    def _work(self, group: list[CommitRequest]) -> None:
        error: NewsletterError | None = Stop("a fault in this program")
        try:
            self._commit_patiently(group)
            error = None
        except NewsletterError as failure:
            error = failure
        finally:
            for ticket in group:
                ticket.error = error
                ticket.done.set()

    def _commit_patiently(self, group: list[CommitRequest]) -> None:
        """Commit; where the database fails and there are outcomes to lose, ask again for a minute."""
        began = self.clock.monotonic()
        never = threading.Event()
        again = False
        while True:
            try:
                self._commit(group, again=again)
            except NewsletterError as error:
                again = True
                outcomes = [one for ticket in group for one in ticket.settled]
                patience = COMMIT_RETRY_STOPPING_SECONDS if self.stopping() else COMMIT_RETRY_SECONDS
                if not outcomes or self.clock.monotonic() - began > patience:
                    _lament(outcomes)
                    raise
                logger.error("%s (%s outcomes wait to be recorded)", error, len(outcomes))  # noqa: TRY400 - no bug, so no trace
                self.clock.wait(never, 2.0)
            else:
                return

    def _commit(self, group: list[CommitRequest], *, again: bool = False) -> None:
        began = self.clock.monotonic()
        now = self.clock.now()
        settled = [one for ticket in group for one in ticket.settled]
        count = sum(ticket.wants for ticket in group)
        beats = began - self._beat_at >= BEAT_SECONDS
        with self.unit.write() as tx:
            claims.give_back(tx, [one for ticket in group for one in ticket.unused], who=self.who)
            record(tx, self._unwritten(tx, settled) if again else settled, who=self.who, now=now)
            yield_now()
            if began >= self.lease_until:
                # Whoever slept so long may have lost what it had reserved; what is free is taken anew.
                self.block_queue.leave(tx)
                self.term += 1
            self.block_queue.put_back([one for ticket in group if ticket.for_others for one in ticket.unused])
            if beats:
                heartbeats.record(tx, ServicePart.SENDER, now=now, process=self.process)
                workers.beat(tx, self.who, now=now, report=self.report())
                self.block_queue.extend(tx)
            jobs, wait = self._next(tx, count) if count else ([], None)
        if beats or began >= self.lease_until:
            self._beat_at = began
            self.lease_until = began + self.lease.total_seconds()
        self.on_recorded(one.delivery for one in settled)
        # Only what is committed is told: a job whose mark was rolled back must not go out.
        self._share_out(group, jobs, wait)
        self._refused.update(one.edition for one in settled if one.outcome.state is DeliveryState.REJECTED)
        if beats:
            self._look_at_refusals()
        self.counts.update(one.outcome.state for one in settled)
        self.busy_seconds += self.clock.monotonic() - began
        self.on_commit(self.counts)

    def _unwritten(self, tx: Tx, settled: Sequence[AttemptResult]) -> Sequence[AttemptResult]:
        """Leave out what the database has: the commit before may have succeeded, and only its answer got lost."""
        marked = {row.id for row in claims.marked_by(tx, self.who)}
        return [one for one in settled if one.delivery in marked]

    def _look_at_refusals(self) -> None:
        for edition in list(self._refused):
            try:
                self.breaker(edition)
            except NewsletterError as error:
                # The commit before stands, whatever comes of this; to do it again would mark another run for nobody.
                logger.warning("%s (how many were refused is looked at again)", error)
                return
            self._refused.discard(edition)

    def _share_out(self, group: list[CommitRequest], jobs: list[Claim], wait: QuotaWait | None) -> None:
        """Deal the jobs to those that asked: to each its share, in the order of the queue."""
        asking = [ticket for ticket in group if ticket.wants]
        count = sum(ticket.wants for ticket in asking)
        begin = 0
        so_far = 0
        for ticket in asking:
            so_far += ticket.wants
            end = len(jobs) * so_far // count
            ticket.jobs = deque(jobs[begin:end])
            ticket.dry = not ticket.jobs
            ticket.wait = wait if ticket.dry else None
            begin = end

    def _next(self, tx: Tx, count: int) -> tuple[list[Claim], QuotaWait | None]:
        jobs: list[Claim] = []
        while len(jobs) < count:
            ids = self.block_queue.take(tx, count - len(jobs))
            if not ids:
                break
            # The pace first: what it refuses must not use up the quota.
            paced, first, pause = self._pace(tx, len(ids))
            granted, wait = self._reserve(tx, paced)
            self.block_queue.put_back(ids[granted:])
            marked = claims.claim(tx, ids[:granted], who=self.who, now=self.clock.now()) if granted else []
            if len(marked) < granted:
                self.block_queue.look_again(tx)
            apart = 1 / self.rate if self.rate else 0.0
            jobs += [Claim(one, first + place * apart, self.term) for place, one in enumerate(marked)]
            if granted < len(ids):
                return jobs, QuotaWait(max(wait, pause).total_seconds())
        return jobs, None

    def _pace(self, tx: Tx, count: int) -> tuple[int, float, timedelta]:
        """Hold to the rate per second of all workers: how many may be marked, from when on, or how long to wait.

        What is marked goes out within a moment: whoever must wait for longer is not marked before.
        """
        if not self.rate:
            return count, 0.0, timedelta()
        granted = min(count, max(1, int(self.rate * AHEAD_SECONDS)))
        seconds = quotas.reserve_pace(tx, granted, rate=self.rate, now=self.clock.now(), at_most=AHEAD_SECONDS)
        if seconds > AHEAD_SECONDS:
            return 0, 0.0, timedelta(seconds=seconds - AHEAD_SECONDS)
        more = timedelta(seconds=seconds + granted / self.rate)
        return granted, self.clock.monotonic() + seconds, more if granted < count else timedelta()

    def _reserve(self, tx: Tx, count: int) -> tuple[int, timedelta]:
        if not count or (self.limits.per_hour is None and self.limits.per_day is None):
            return count, timedelta()
        stored = quotas.load_quota(tx, QUOTA)
        window = Window() if stored is None else Window.from_json(stored)
        reserved = reserve(window, count, self.clock.now(), limits=self.limits)
        quotas.save_quota(tx, QUOTA, reserved.window.to_json())
        return reserved.granted, reserved.wait


def _lament(outcomes: list[AttemptResult]) -> None:
    # The journal has them too, and the next start finds them there.
    for result in outcomes:
        logger.error(
            "not recorded: delivery %s is %s (%s)", result.delivery, result.outcome.state, result.outcome.reply_text
        )
