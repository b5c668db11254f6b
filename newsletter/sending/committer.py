"""Group commit: the results of all connections and their next claims share one transaction.

In: requests with results, unused claims, and how many claims are wanted. Out: claims, durable before any of their data
is written to a server (promise 5). It shares a thread with the connections
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
from newsletter.core.pace import Limits
from newsletter.core.reply import ReplyClass
from newsletter.core.subscriber import SubscriberId
from newsletter.core.tally import REFUSED_AS
from newsletter.errors import NewsletterError, Stop
from newsletter.event_loop import new_event, yield_now
from newsletter.flows.bounce import count_failure, suppress
from newsletter.sending.block_queue import BlockQueue
from newsletter.sending.quota import reserve_quota
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

BEAT_SECONDS = 1.0
AHEAD_SECONDS = 1.0
"""How far ahead of its time under a rate per second a message is claimed."""

COMMIT_RETRY_SECONDS = 60.0
"""How long a commit with results is retried while the database fails."""

GATHER_SECONDS = 0.004
"""How long a request waits for those of other connections, unless a connection waits for its commit."""

COMMIT_RETRY_STOPPING_SECONDS = 5.0
"""The same once a stop is asked for: the journal has the results, and the next start records them."""


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """The outcome of one attempt, as it is recorded."""

    delivery: DeliveryId
    edition: EditionId
    subscriber: SubscriberId
    outcome: Outcome
    kind: ReplyClass
    why: str = ""
    """For people, in the history of the subscriber."""


_OF_STATE = {
    DeliveryState.ACCEPTED: "accepted",
    DeliveryState.DEFERRED: "deferred",
    DeliveryState.UNCERTAIN: "uncertain",
}


def record(tx: Tx, results: Sequence[AttemptResult], *, who: WorkerId | None, now: datetime) -> None:
    """Write outcomes, count them, and suppress addresses that no longer exist."""
    claims.record(tx, [(result.delivery, result.outcome, result.kind) for result in results], who=who)
    counts: defaultdict[EditionId, Counter[str]] = defaultdict(Counter)
    for result in results:
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
    """A delivery that this connection may send, unless it is revoked."""

    person: ClaimedDelivery
    not_before: float
    """On the monotonic clock: when the rate per second allows it."""
    term: int = 0
    """The lease under which it was claimed (`GroupCommitter.term`)."""
    revoked: bool = False
    """Set by the revocation watcher. Claimed anew, the delivery has another `Claim`."""


@dataclass(frozen=True, slots=True)
class QuotaWait:
    """A quota is used up; nothing may go out for so many seconds."""

    seconds: float


@dataclass(slots=True, eq=False)
class CommitRequest:
    """Results and unused claims of a connection, the number of claims that it wants, and those that it gets."""

    results: Sequence[AttemptResult] = ()
    unused: Sequence[DeliveryId] = ()
    """Claimed, and never handed to a server."""
    for_others: bool = False
    """Whether another connection may send the unused claims at once."""
    wants: int = 0
    claims: deque[Claim] = field(default_factory=deque)
    """Set before `committed`; the revocation watcher may remove some before the connection takes them."""
    queue_empty: bool = False
    """True when claims were wanted and none was left."""
    wait: QuotaWait | None = None
    error: NewsletterError | None = None
    committed: Event = field(default_factory=new_event)


@dataclass(slots=True, kw_only=True)
class GroupCommitter:
    """Commits for all connections of one pass."""

    unit: Unit
    clock: Clock
    limits: Limits
    breaker: Callable[[EditionId], None]
    """Pauses an edition of which too much was refused."""
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
    connections: Callable[[], int] = lambda: 1
    """How many connections there are at this moment."""
    report: Callable[[], Mapping[str, object]] = dict
    """The state of the worker, for people."""
    counts: Counter[DeliveryState] = field(default_factory=Counter)
    """Outcomes of this pass."""
    busy_seconds: float = 0.0
    """Time from the beginning of a transaction to its end; the connections went on meanwhile."""
    lease_until: float = 0.0
    """On the monotonic clock: after this, another worker may have the reserved blocks."""
    term: int = 0
    """Counts the leases that ran out: a claim of an earlier one is given back, not sent."""
    bug: Exception | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    """Set after the last commit."""
    _waiting: list[CommitRequest] = field(default_factory=list)
    _called: Event = field(default_factory=new_event)
    """Set when there is something to do."""
    _hurry: Event = field(default_factory=new_event)
    """Set when nothing is gained by waiting for further requests."""
    _over: bool = False
    _ended: bool = False
    _refused: set[EditionId] = field(default_factory=set)
    """Editions with a refusal since their breaker was last checked."""
    _beat_at: float = float("-inf")

    def submit(self, request: CommitRequest) -> CommitRequest:
        """Queue a request for the next commit; its `committed` is set after it."""
        if self._ended:
            request.error = Stop("the committer has ended")
            request.committed.set()
        else:
            self._waiting.append(request)
            self._called.set()
            if len(self._waiting) >= self.connections():
                self._hurry.set()
        return request

    def wait_for(self, request: CommitRequest) -> None:
        """Wait until a request is committed, or has failed."""
        if request in self._waiting:
            self._hurry.set()
        request.committed.wait()

    def run(self) -> None:
        """Commit requests until `close`."""
        try:
            while (group := self._next_group()) is not None:
                self._work(group)
        except Exception as bug:  # noqa: BLE001 it is raised again in the thread that waits for this one
            self.bug = bug
        finally:
            self._ended = True
            left, self._waiting = self._waiting, []
            for request in left:
                request.error = Stop("a fault in this program")
                request.committed.set()
            self.ended.set()

    def close(self) -> None:
        """Let `run` return after the commit of all requests."""
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
            for request in group:
                request.error = error
                request.committed.set()

    def _commit_patiently(self, group: list[CommitRequest]) -> None:
        """Commit; while the database fails and the group has results, retry for a minute."""
        began = self.clock.monotonic()
        never = threading.Event()
        again = False
        while True:
            try:
                self._commit(group, again=again)
            except NewsletterError as error:
                again = True
                outcomes = [result for request in group for result in request.results]
                patience = COMMIT_RETRY_STOPPING_SECONDS if self.stopping() else COMMIT_RETRY_SECONDS
                if not outcomes or self.clock.monotonic() - began > patience:
                    _log_unrecorded(outcomes)
                    raise
                logger.error("%s (%s outcomes wait to be recorded)", error, len(outcomes))  # noqa: TRY400 - no bug, so no trace
                self.clock.wait(never, 2.0)
            else:
                return

    def _commit(self, group: list[CommitRequest], *, again: bool = False) -> None:
        began = self.clock.monotonic()
        now = self.clock.now()
        results = [result for request in group for result in request.results]
        count = sum(request.wants for request in group)
        beats = began - self._beat_at >= BEAT_SECONDS
        with self.unit.write() as tx:
            claims.give_back(tx, [delivery for request in group for delivery in request.unused], who=self.who)
            record(tx, self._unwritten(tx, results) if again else results, who=self.who, now=now)
            yield_now()
            if began >= self.lease_until:
                # After such a sleep another worker may have the blocks; free ones are reserved anew.
                self.block_queue.leave(tx)
                self.term += 1
            self.block_queue.put_back(
                [delivery for request in group if request.for_others for delivery in request.unused]
            )
            if beats:
                heartbeats.record(tx, ServicePart.SENDER, now=now, process=self.process)
                workers.beat(tx, self.who, now=now, report=self.report())
                self.block_queue.extend(tx)
            claimed, wait = self._claim(tx, count) if count else ([], None)
        if beats or began >= self.lease_until:
            self._beat_at = began
            self.lease_until = began + self.lease.total_seconds()
        self.on_recorded(result.delivery for result in results)
        # After the commit only: a claim that was rolled back must not be sent.
        self._deal_claims(group, claimed, wait)
        self._refused.update(result.edition for result in results if result.outcome.state is DeliveryState.REJECTED)
        if beats:
            self._check_breakers()
        self.counts.update(result.outcome.state for result in results)
        self.busy_seconds += self.clock.monotonic() - began
        self.on_commit(self.counts)

    def _unwritten(self, tx: Tx, results: Sequence[AttemptResult]) -> Sequence[AttemptResult]:
        """Leave out recorded results: the commit before may have succeeded, and only its answer got lost."""
        marked = {row.id for row in claims.marked_by(tx, self.who)}
        return [result for result in results if result.delivery in marked]

    def _check_breakers(self) -> None:
        for edition in list(self._refused):
            try:
                self.breaker(edition)
            except NewsletterError as error:
                # The commit stands. To repeat it would claim deliveries for no connection.
                logger.warning("%s (the breaker is checked again)", error)
                return
            self._refused.discard(edition)

    def _deal_claims(self, group: list[CommitRequest], claimed: list[Claim], wait: QuotaWait | None) -> None:
        """Deal the claims to the requests: to each its share, in the order of the queue."""
        asking = [request for request in group if request.wants]
        count = sum(request.wants for request in asking)
        begin = 0
        so_far = 0
        for request in asking:
            so_far += request.wants
            end = len(claimed) * so_far // count
            request.claims = deque(claimed[begin:end])
            request.queue_empty = not request.claims
            request.wait = wait if request.queue_empty else None
            begin = end

    def _claim(self, tx: Tx, count: int) -> tuple[list[Claim], QuotaWait | None]:
        claimed: list[Claim] = []
        while len(claimed) < count:
            ids = self.block_queue.take(tx, count - len(claimed))
            if not ids:
                break
            # The pace first: what it refuses must not use up the quota.
            paced, first, pause = self._pace(tx, len(ids))
            granted, wait = reserve_quota(tx, paced, limits=self.limits, now=self.clock.now())
            self.block_queue.put_back(ids[granted:])
            marked = claims.claim(tx, ids[:granted], who=self.who, now=self.clock.now()) if granted else []
            if len(marked) < granted:
                self.block_queue.look_again(tx)
            interval = 1 / self.rate if self.rate else 0.0
            claimed += [Claim(person, first + place * interval, self.term) for place, person in enumerate(marked)]
            if granted < len(ids):
                return claimed, QuotaWait(max(wait, pause).total_seconds())
        return claimed, None

    def _pace(self, tx: Tx, count: int) -> tuple[int, float, timedelta]:
        """Hold to the rate per second of all workers: how many may be claimed, from when on, or how long to wait.

        A claim is sent within a second; deliveries that must wait for longer are not claimed yet.
        """
        if not self.rate:
            return count, 0.0, timedelta()
        granted = min(count, max(1, int(self.rate * AHEAD_SECONDS)))
        seconds = quotas.reserve_pace(tx, granted, rate=self.rate, now=self.clock.now(), at_most=AHEAD_SECONDS)
        if seconds > AHEAD_SECONDS:
            return 0, 0.0, timedelta(seconds=seconds - AHEAD_SECONDS)
        more = timedelta(seconds=seconds + granted / self.rate)
        return granted, self.clock.monotonic() + seconds, more if granted < count else timedelta()


def _log_unrecorded(outcomes: list[AttemptResult]) -> None:
    # The journal has them too, and the next start records them.
    for result in outcomes:
        logger.error(
            "not recorded: delivery %s is %s (%s)", result.delivery, result.outcome.state, result.outcome.reply_text
        )
