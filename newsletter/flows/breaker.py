"""The circuit breaker of an edition, as the database knows it: too many refusals pause it, and a person is told.

In: what all workers counted. Out: a paused edition with its alert, or nothing.
"""

from __future__ import annotations

from datetime import datetime

from newsletter.core.breaker import BreakerLimits, judge_edition
from newsletter.core.edition import EditionId
from newsletter.flows.hold import pause_for_trouble
from newsletter.store import tally as tallies
from newsletter.store.unit import Unit


def check(unit: Unit, edition: EditionId, limits: BreakerLimits, *, now: datetime) -> bool:
    """Pause an edition of which too much was refused since it began or was last resumed; tell whether it was."""
    with unit.read() as tx:
        counted, borne = tallies.of_edition(tx, edition), tallies.borne(tx, edition)
    trip = judge_edition(counted, limits, resumed_at=borne)
    if trip is None:
        return False
    pause_for_trouble(unit, edition, why=trip.why, now=now)
    return True
