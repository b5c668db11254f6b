"""What an attempt comes to, for a delivery of an edition and for a notice alike.

In: the verdict on a reply. Out: the outcome to record. A message whose connections keep being lost is deferred, so that
it cannot hold up the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from newsletter.core.delivery import Delivery, Outcome, UncertainPolicy, settle
from newsletter.core.reply import Effect, Reply, ReplyClass, Verdict

RETURNS_MAX = 3
"""How often a message may be queued again at once because its connection was lost; then it is deferred."""


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
