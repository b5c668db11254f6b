"""The result of an attempt, for a delivery of an edition and for a notice alike, and how it is recorded.

In: the verdict on a reply. Out: the outcome, and the rows that bear it. A message whose connections keep being lost is
deferred, so that it cannot hold up the others.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from newsletter.core.delivery import Delivery, DeliveryId, DeliveryState, Outcome, UncertainPolicy, settle
from newsletter.core.edition import EditionId
from newsletter.core.reply import ACCEPTED, Effect, Reply, ReplyClass, Verdict
from newsletter.core.subscriber import SubscriberId
from newsletter.core.tally import REFUSED_AS
from newsletter.flows.bounce import count_failure, suppress
from newsletter.store import claims
from newsletter.store import delivery as deliveries
from newsletter.store import tally as tallies
from newsletter.store.tally import TallySource
from newsletter.store.unit import Tx
from newsletter.store.worker import WorkerId

RETURNS_MAX = 3
"""How often a message may be queued again at once because its connection was lost; then it is deferred."""

_TALLIED_AS = {
    DeliveryState.ACCEPTED: "accepted",
    DeliveryState.DEFERRED: "deferred",
    DeliveryState.UNCERTAIN: "uncertain",
}


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


class AcceptedReply(NamedTuple):
    """What accepted messages of an edition share: the reply, but for its text."""

    edition: EditionId
    code: int
    enhanced: str


AcceptedTexts = Mapping[AcceptedReply, Mapping[DeliveryId, str]]
"""The text of the reply to each accepted message."""


def record_accepted(tx: Tx, accepted: AcceptedTexts, *, who: WorkerId, now: datetime) -> None:
    """Write that these messages were accepted, and count them."""
    counts: Counter[EditionId] = Counter()
    for reply, texts in accepted.items():
        counts[reply.edition] += len(texts)
        claims.record_accepted(
            tx, texts, code=reply.code, enhanced=reply.enhanced, reason=ACCEPTED.plain, kind=ACCEPTED.kind
        )
    for edition, count in sorted(counts.items()):
        tallies.add(tx, edition, who, {"accepted": count}, now=now)


def record(tx: Tx, results: Sequence[AttemptResult], *, who: WorkerId | None, now: datetime) -> None:
    """Write outcomes, count them, and suppress addresses that no longer exist."""
    claims.record(tx, [(result.delivery, result.outcome, result.kind) for result in results], who=who)
    counts: defaultdict[EditionId, Counter[str]] = defaultdict(Counter)
    lost: defaultdict[EditionId, list[DeliveryId]] = defaultdict(list)
    for result in results:
        if result.outcome.state is DeliveryState.QUEUED and result.outcome.reply_code is None:
            lost[result.edition].append(result.delivery)
        if result.outcome.suppress:
            suppress(tx, result.subscriber, why=result.why, now=now)
        elif result.outcome.state is not DeliveryState.ACCEPTED:
            count_failure(tx, result.subscriber, state=result.outcome.state, kind=result.kind.value, now=now)
        name = _tallied(result)
        if name:
            counts[result.edition][name] += 1
    for edition, counted in sorted(counts.items()):
        tallies.add(tx, edition, TallySource.RECOVERY if who is None else who, counted, now=now)
    for edition, ids in sorted(lost.items()):
        # The message may be what ends the connections: at the head of the queue a few of them would hold up all others.
        deliveries.move_to_end(tx, edition, ids)


def _tallied(result: AttemptResult) -> str:
    if result.outcome.state is DeliveryState.REJECTED:
        return REFUSED_AS.get(result.kind, "refused")
    return _TALLIED_AS.get(result.outcome.state, "")


@dataclass(slots=True, kw_only=True)
class AttemptSettler:
    """Settles attempts, and counts how often each message was queued again at once."""

    now: Callable[[], datetime]
    jitter: Callable[[], float]
    expire_after: timedelta
    uncertain_policy: UncertainPolicy
    _returns: Counter[int] = field(default_factory=Counter)

    def settle(self, delivery: Delivery, reply: Reply, verdict: Verdict) -> tuple[Outcome, Verdict]:
        """Return the outcome of the attempt that `delivery` counts already, and the verdict that stands."""
        if verdict.effect is Effect.REQUEUE:
            verdict = self._limit(delivery.id, verdict)
        outcome = settle(
            # `core.delivery.settle` counts the attempt as well.
            replace(delivery, attempts=delivery.attempts - 1),
            verdict,
            reply=reply,
            now=self.now(),
            jitter=self.jitter(),
            expire_after=self.expire_after,
            uncertain_policy=self.uncertain_policy,
        )
        return outcome, verdict

    def forget(self) -> None:
        """Begin to count anew."""
        self._returns.clear()

    def _limit(self, key: int, verdict: Verdict) -> Verdict:
        self._returns[key] += 1
        if self._returns[key] < RETURNS_MAX:
            return verdict
        return Verdict(
            effect=Effect.DEFER,
            kind=ReplyClass.SYSTEM,
            relay=verdict.relay,
            rule="lost-again",
            plain=f"The connection was lost {RETURNS_MAX} times in a row at this message.",
        )
