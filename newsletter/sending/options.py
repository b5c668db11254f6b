"""Options of the sender, as the operator set them, and the result of one pass over the queue.

In: settings, from the wiring. Out: values that the whole pass shares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from newsletter.core.breaker import BreakerLimits
from newsletter.core.delivery import DeliveryState, UncertainPolicy
from newsletter.core.edition import Edition
from newsletter.core.pace import Limits
from newsletter.flows.ramp import RampRules

LEASE = timedelta(seconds=30)


DRAIN_SECONDS = 30.0
"""How long messages in flight may take after a request to stop (promise 6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerHost:
    """Where a worker runs."""

    process: str
    machine: str
    journals: Path
    """The folder of the journals."""
    sole: bool = True
    """Whether no other worker can be alive while this one is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOptions:
    """Options of sending, as the operator set them."""

    connections: int
    rate_per_second: float | None
    limits: Limits
    expire_after: timedelta
    uncertain_policy: UncertainPolicy
    jitter: Callable[[], float]
    breaker: BreakerLimits = field(default_factory=BreakerLimits)
    ramp: RampRules = field(default_factory=RampRules)
    lease: timedelta = LEASE
    """How long a block stays reserved without a sign of life."""
    local_grace: timedelta | None = None
    """As far as this a wave that is late waits for its readers' day; None where all get it at one instant."""
    drain_seconds: float = DRAIN_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class PassResult:
    """The result of one pass over the queue."""

    counts: Counter[DeliveryState] = field(default_factory=Counter)
    trouble: str = ""
    """The trouble of the relay or the database, in one sentence; empty when there is none."""
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
