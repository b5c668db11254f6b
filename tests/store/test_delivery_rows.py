"""The deliveries that people look at, and the last editions of one person."""

from __future__ import annotations

from datetime import timedelta

import pytest

from newsletter.core.delivery import DeliveryState
from newsletter.store import report
from newsletter.store import subscriber_list as lists
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.flows.people_fixtures import begin_edition, put, set_delivery
from tests.store.query_plans import plan_steps

DAYS = [START.date() + timedelta(weeks=week) for week in range(3)]
REJECTED = [DeliveryState.REJECTED]


def test_deliveries_of_a_state(unit: Unit) -> None:
    """Of one edition they come in the order of the people, of all editions the newest first, each up to a limit."""
    people = [put(unit, f"p{number}@example.com") for number in range(4)]
    editions = [begin_edition(unit, day) for day in DAYS]
    for item in editions:
        for person in people[1:]:
            set_delivery(unit, item, person, DeliveryState.REJECTED, reason="no mailbox")
    with unit.read() as tx:
        rows = report.rows(tx, edition_id=editions[0].id, states=REJECTED, limit=2)
        assert [row.email for row in rows] == ["p1@example.com", "p2@example.com"]
        rows = report.rows(tx, states=REJECTED, limit=4)
        newest, before = DAYS[2].isoformat(), DAYS[1].isoformat()
        emails = ["p3@example.com", "p2@example.com", "p1@example.com"]
        assert [(row.edition, row.email) for row in rows] == [
            *((newest, email) for email in emails),
            (before, "p3@example.com"),
        ]
        assert [row.edition for row in report.rows(tx, who=people[0].id)] == [f"{day}" for day in reversed(DAYS)]


@pytest.mark.parametrize("edition_id", ["edition", "person", "all", "last editions"])
def test_no_list_of_deliveries_reads_or_sorts_all(sqlite_unit: Unit, edition_id: str) -> None:
    """Each list comes out of the index on edition and subscriber, in its order."""
    people = [put(sqlite_unit, f"p{number}@example.com") for number in range(20)]
    edition, *_ = [begin_edition(sqlite_unit, day) for day in DAYS]
    jobs = {
        "edition": lambda tx: list(report.rows(tx, edition_id=edition.id, states=REJECTED, limit=5)),
        "person": lambda tx: list(report.rows(tx, who=people[0].id, limit=5)),
        "all": lambda tx: list(report.rows(tx, states=REJECTED, limit=5)),
        "last editions": lambda tx: lists.last_editions(tx, people[0].id, limit=5),
    }
    steps = plan_steps(sqlite_unit, jobs[edition_id], table="delivery")
    assert any(step.startswith(("SEARCH delivery USING", "SCAN delivery USING INDEX")) for step in steps), steps
    # The editions of one person are few.
    assert edition_id in {"person", "last editions"} or not [step for step in steps if "TEMP" in step], steps
