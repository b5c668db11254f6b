"""Sending an edition over real SMTP."""

from __future__ import annotations

from collections.abc import Callable

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import Edition, EditionStatus
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store.unit import Unit
from newsletter.testing.catcher import Catcher
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import make_sender, work


def test_everybody_gets_one_mail(
    unit: Unit, clock: FixedClock, catcher: Catcher, frozen: Callable[[int], Edition]
) -> None:
    """Each person of the audience gets exactly one mail, the books balance, and the edition is closed."""
    edition = frozen(120)
    done = work(make_sender(unit, clock, catcher.port))
    assert done.trouble == ""
    assert catcher.accepted == {f"p{n}@example.com": 1 for n in range(120)}
    with unit.read() as tx:
        counts = deliveries.counts(tx, edition.id)
        closed = editions.by_id(tx, edition.id)
        totals = editions.totals(tx, edition.id)
    assert counts[DeliveryState.ACCEPTED] == edition.audience == 120
    assert closed.status is EditionStatus.FINISHED
    assert totals == {state.value: count for state, count in counts.items()}
