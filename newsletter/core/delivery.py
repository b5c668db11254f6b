"""A delivery: one person of one edition, and its outcome.

In: a delivery, the reply of the server and its verdict. Out: the next state, as an `Outcome` for `store/` to write.
It never reads the clock or rolls dice: `now` and `jitter` are arguments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

from newsletter.core.edition import EditionId
from newsletter.core.reply_value import Effect, Reply, Verdict
from newsletter.core.retry import retry_time
from newsletter.core.subscriber import SubscriberId
from newsletter.errors import InputError

DeliveryId = NewType("DeliveryId", int)


class DeliveryState(StrEnum):
    """The eight states; at every moment their counts add up to the audience of the edition."""

    QUEUED = "queued"
    SENDING = "sending"
    DEFERRED = "deferred"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNCERTAIN = "uncertain"
    EXPIRED = "expired"
    SKIPPED = "skipped"


OPEN_STATES = (DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.DEFERRED)
"""While any delivery is in one of these, its edition is not finished."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeliveryCounts(Mapping[DeliveryState, int]):
    """How many people of an edition are in each of the eight states; a mapping that has every state."""

    queued: int = 0
    sending: int = 0
    deferred: int = 0
    accepted: int = 0
    rejected: int = 0
    uncertain: int = 0
    expired: int = 0
    skipped: int = 0

    def __getitem__(self, state: DeliveryState) -> int:
        """Return how many people are in this state."""
        count: int = getattr(self, DeliveryState(state).value)
        return count

    def __iter__(self) -> Iterator[DeliveryState]:
        """Yield the states in their order."""
        return iter(DeliveryState)

    def __len__(self) -> int:
        """Return the number of states."""
        return len(DeliveryState)

    @property
    def total(self) -> int:
        """Return how many people have a state."""
        return sum(self.values())

    @property
    def left(self) -> int:
        """Return how many people are queued or under way: they wait for no other try."""
        return self.queued + self.sending

    @property
    def open(self) -> int:
        """Return for how many people the outcome is still to come."""
        return sum(self[state] for state in OPEN_STATES)

    def to_dict(self) -> dict[str, int]:
        """Return the counts by the name of the state, as JSON has them."""
        return {state.value: count for state, count in self.items()}


class Later(StrEnum):
    """What came to light after a server took the mail, the weakest first."""

    NOTHING = ""
    DELAYED = "delayed"
    """A server on the way still tries: information only."""
    HELD = "held"
    """It came back together with so many others that a person must look before subscriptions end."""
    BOUNCED = "bounced"
    COMPLAINED = "complained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One row of the log."""

    id: DeliveryId
    edition_id: EditionId
    subscriber_id: SubscriberId | None
    """None once the person was erased."""
    state: DeliveryState
    reason: str = ""
    """Why it is in this state, in plain language."""
    attempts: int = 0
    first_attempt_at: datetime | None = None
    last_attempt_at: datetime | None = None
    next_attempt_at: datetime | None = None
    reply_code: int | None = None
    reply_enhanced: str = ""
    reply_text: str = ""
    """The server's words."""


class UncertainPolicy(StrEnum):
    """What happens to a delivery whose outcome is unknown."""

    HOLD = "hold"
    """A person decides: at most once. A missing tip costs less than a second copy."""
    RETRY = "retry"
    """Send it again with the same Message-ID: at least once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one attempt made of a delivery; the fields bear the names of `Delivery`."""

    state: DeliveryState
    reason: str
    attempts: int
    first_attempt_at: datetime | None
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None = None
    """Only set while deferred."""
    reply_code: int | None = None
    """None when there was no reply."""
    reply_enhanced: str = ""
    reply_text: str = ""
    suppress: bool = False
    """True when the subscriber becomes `bounced`."""


def settle(
    delivery: Delivery,
    verdict: Verdict,
    *,
    reply: Reply,
    now: datetime,
    jitter: float,
    expire_after: timedelta,
    uncertain_policy: UncertainPolicy,
) -> Outcome:
    """Tell what becomes of a delivery after an attempt; `jitter` is in [-1, 1].

    Raises ValueError for a delivery that is already done: a final state never changes by an attempt.
    """
    if delivery.state not in OPEN_STATES:
        raise ValueError(f"delivery {delivery.id} is {delivery.state}: there is nothing to settle")
    if verdict.effect is Effect.REQUEUE:
        return _outcome(delivery, reply, state=DeliveryState.QUEUED, reason=verdict.plain)
    tried = replace(
        delivery,
        attempts=delivery.attempts + 1,
        first_attempt_at=delivery.first_attempt_at or now,
        last_attempt_at=now,
    )
    if verdict.effect is Effect.ACCEPT:
        return _outcome(tried, reply, state=DeliveryState.ACCEPTED, reason=verdict.plain)
    if verdict.effect is Effect.REJECT:
        return _outcome(tried, reply, state=DeliveryState.REJECTED, reason=verdict.plain, suppress=verdict.suppress)
    begun = tried.first_attempt_at or now
    next_attempt_at = retry_time(tried.attempts, begun=begun, now=now, jitter=jitter, expire_after=expire_after)
    if verdict.effect is Effect.UNKNOWN and (uncertain_policy is UncertainPolicy.HOLD or next_attempt_at is None):
        # Not `expired`, even when time is up: that would claim that the message did not arrive.
        return _outcome(tried, reply, state=DeliveryState.UNCERTAIN, reason=verdict.plain)
    if next_attempt_at is None:
        reason = f"Given up after {tried.attempts} attempts: {verdict.plain}"
        return _outcome(tried, reply, state=DeliveryState.EXPIRED, reason=reason)
    return _outcome(tried, reply, state=DeliveryState.DEFERRED, reason=verdict.plain, next_attempt_at=next_attempt_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What came to light about an uncertain delivery: the relay's log, a bounce, a word from the reader."""

    arrived: bool
    source: str
    """Where it comes from, in plain words: `bounce of 24 November`, `seen in the relay's log`."""


def resolve(delivery: Delivery, resolution: Resolution) -> Outcome:
    """Turn `uncertain` into `accepted` or `rejected`. Nothing else can be resolved, and no way leads back."""
    if delivery.state is not DeliveryState.UNCERTAIN:
        raise InputError(f"Delivery {delivery.id} is {delivery.state}, not uncertain: there is nothing to resolve.")
    state, words = (
        (DeliveryState.ACCEPTED, "It arrived") if resolution.arrived else (DeliveryState.REJECTED, "It did not arrive")
    )
    return Outcome(
        state=state,
        reason=f"{words}: {resolution.source}",
        attempts=delivery.attempts,
        first_attempt_at=delivery.first_attempt_at,
        last_attempt_at=delivery.last_attempt_at,
        reply_code=delivery.reply_code,
        reply_enhanced=delivery.reply_enhanced,
        reply_text=delivery.reply_text,
    )


def _outcome(
    delivery: Delivery,
    reply: Reply,
    *,
    state: DeliveryState,
    reason: str,
    next_attempt_at: datetime | None = None,
    suppress: bool = False,
) -> Outcome:
    return Outcome(
        state=state,
        reason=reason,
        attempts=delivery.attempts,
        first_attempt_at=delivery.first_attempt_at,
        last_attempt_at=delivery.last_attempt_at,
        next_attempt_at=next_attempt_at,
        reply_code=reply.code or None,
        reply_enhanced=reply.enhanced,
        reply_text=reply.text,
        suppress=suppress,
    )
