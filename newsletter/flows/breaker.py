"""The circuit breaker of an edition, as the database knows it: too many refusals pause it, and a person is told.

In: what all workers counted. Out: a paused edition with its alert, or nothing.
"""

from __future__ import annotations

from datetime import datetime

from newsletter.core.breaker import BreakerLimits, judge_complaints, judge_edition
from newsletter.core.delivery import Later
from newsletter.core.edition import Edition, EditionId
from newsletter.flows.hold import pause_for_trouble
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import tally as tallies
from newsletter.store.unit import Tx, Unit


def check(unit: Unit, edition: EditionId, limits: BreakerLimits, *, now: datetime) -> bool:
    """Pause an edition of which too much was refused since it began or was last resumed; tell whether it was."""
    with unit.read() as tx:
        counted, borne = tallies.of_edition(tx, edition), tallies.borne(tx, edition)
    trip = judge_edition(counted, limits, resumed_at=borne)
    if trip is None:
        return False
    pause_for_trouble(unit, edition, why=trip.why, now=now)
    return True


def check_complaints(unit: Unit, edition_id: EditionId, limits: BreakerLimits, *, now: datetime) -> bool:
    """Pause an edition of which too many readers complained; tell whether it was."""
    with unit.read() as tx:
        count, accepted = complaints(tx, editions.by_id(tx, edition_id))
        borne = tallies.borne_complaints(tx, edition_id)
    trip = judge_complaints(count, accepted, limits, borne=borne)
    if trip is None:
        return False
    pause_for_trouble(unit, edition_id, why=trip.why, now=now)
    return True


def complaints(tx: Tx, edition: Edition) -> tuple[int, int]:
    """Return how many readers complained of an edition, and how many have it; without a count, its whole audience."""
    count = deliveries.later_counts(tx, edition.id).get(Later.COMPLAINED, 0)
    return count, tallies.of_edition(tx, edition.id, bounces=False).accepted or edition.audience
