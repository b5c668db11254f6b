"""Who came and left lately, counted from the evidence without reading imports."""

from __future__ import annotations

from datetime import timedelta

from newsletter.store import subscriber as subscribers
from newsletter.store.people_changes import PeopleChanges, changes_since
from newsletter.store.subscriber import Consent
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from tests.flows.people_fixtures import put
from tests.store.query_plans import plan_steps


def note(unit: Unit, clock: FixedClock, action: str, *, days_ago: int = 0) -> None:
    """Write a piece of evidence about somebody."""
    person = put(unit, f"p{next(COUNT)}@example.com")
    with unit.write() as tx:
        consent = Consent(at=clock.now() - timedelta(days=days_ago), action=action, channel="web")
        subscribers.add_consent(tx, person.id, consent)


COUNT = iter(range(10_000))


def test_what_counts(unit: Unit, clock: FixedClock) -> None:
    """Sign-ups and those who came back, against leavings that stand; an import is no sign-up, and old news is none."""
    for action in ("subscribed", "reactivated", "imported", "unsubscribed", "unsubscribed", "unsubscribed taken back"):
        note(unit, clock, action)
    for action in ("bounced", "complained", "paused", "address changed"):
        note(unit, clock, action)
    note(unit, clock, "subscribed", days_ago=8)
    with unit.read() as tx:
        changes = changes_since(tx, clock.now() - timedelta(days=7))
    assert changes == PeopleChanges(came=2, left=1, bounced=1, complained=1)


def test_an_import_is_not_read(sqlite_unit: Unit, clock: FixedClock) -> None:
    """SQLite walks the index that leaves imports out, and no row of the table."""
    note(sqlite_unit, clock, "subscribed")
    steps = plan_steps(sqlite_unit, lambda tx: changes_since(tx, clock.now()), table="consent")
    assert "COVERING INDEX ix_consent_counted" in steps[0]
