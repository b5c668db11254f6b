"""What `newsletter status` tells: how things stand, and what needs a person, on both kinds of database."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from sqlalchemy import update

from newsletter.core.alert import AlertKind
from newsletter.core.cadence import Cadence, Slot, SlotState
from newsletter.core.delivery import DeliveryCounts, DeliveryState
from newsletter.core.edition import EditionStatus
from newsletter.core.lineup import LineupRules
from newsletter.core.monitor import ServicePart
from newsletter.core.tip import TipDraft, TipStatus
from newsletter.flows.overview import UNCERTAIN_STANDS, Overview, overview
from newsletter.flows.plan import PlanRules
from newsletter.store import alert as alerts
from newsletter.store import edition as editions
from newsletter.store import heartbeat as heartbeats
from newsletter.store import installation as installations
from newsletter.store import slot as slots
from newsletter.store import tip as tips
from newsletter.store import worker as workers
from newsletter.store.alert import Alert
from newsletter.store.schema import delivery
from newsletter.store.unit import Unit
from tests.flows.people_fixtures import begin_edition, put, set_delivery

RULES = PlanRules(
    cadence=Cadence(weekday=1, at=time(9), zone="America/New_York"), lineup=LineupRules(), grace=timedelta(hours=36)
)
FRIDAY = datetime(2026, 11, 6, 12, tzinfo=UTC)
TUESDAY = datetime(2026, 11, 10, 14, tzinfo=UTC)
"""09:00 in New York."""


def look(unit: Unit, now: datetime = FRIDAY, *, held: str = "") -> Overview:
    """Return how things stand."""
    with unit.read() as tx:
        return overview(tx, RULES, now=now, held=held)


def beat(unit: Unit, at: datetime, *parts: str) -> None:
    """Let parts of the service give a sign of life."""
    with unit.write() as tx:
        for part in parts or ("scheduler", "sender"):
            heartbeats.record(tx, ServicePart(part), now=at, process="test 1")


@pytest.fixture
def well(unit: Unit) -> Unit:
    """Return a database with a person, tips for five weeks and a service that runs."""
    put(unit, "ada@example.com")
    with unit.write() as tx:
        installations.begin(tx, now=datetime(2026, 11, 1, tzinfo=UTC), cadence="tuesday 09:00 America/New_York")
        for number in range(5):
            draft = TipDraft(slug=f"t{number}", title="T", subject="S", body="B", status=TipStatus.APPROVED)
            tips.add(tx, draft, now=FRIDAY)
    beat(unit, FRIDAY)
    return unit


def test_all_is_well(well: Unit) -> None:
    """With a tip, a person and a service nothing needs anybody, and the next date is told with its tip."""
    summary = look(well)
    assert summary.needs == []
    assert summary.next is not None
    assert (summary.next.slot.date, summary.next.tip and summary.next.tip.slug) == (date(2026, 11, 10), "t0")
    assert (summary.outlook.stock.fresh, summary.stock_is_more, summary.snapshot.running, summary.snapshot.last) == (
        5,
        False,
        [],
        None,
    )
    assert all(part.alive and part.process == "test 1" for part in summary.snapshot.parts.values())


def test_a_skipped_date_comes_before_the_next(well: Unit) -> None:
    """The next date is the first that is not skipped, and what is skipped before it is told too."""
    with well.write() as tx:
        slots.add(tx, Slot(date=TUESDAY.date(), sends_at=TUESDAY), now=FRIDAY)
        slots.move(tx, TUESDAY.date(), was=SlotState.OPEN, to=SlotState.SKIPPED, reason="holiday", now=FRIDAY)
    summary = look(well)
    assert [one.slot.reason for one in summary.skipped] == ["holiday"]
    assert summary.next is not None
    assert summary.next.slot.date == date(2026, 11, 17)
    assert summary.needs == []


def test_open_alerts_come_first_and_once(well: Unit) -> None:
    """What an alert tells already is not told again in other words."""
    with well.write() as tx:
        for tip in tips.all_tips(tx):
            tips.set_status(tx, tip, TipStatus.RETIRED, now=FRIDAY)
        alerts.raise_alert(tx, Alert(kind=AlertKind.LOW_STOCK, about="stock", message="No tips.", raised_at=FRIDAY))
        alerts.raise_alert(tx, Alert(kind=AlertKind.HELD, about="database", message="Held.", raised_at=FRIDAY))
    assert look(well, held="This database is held.").needs == ["No tips.", "Held."]


def test_held(well: Unit) -> None:
    """A copy that nobody adopted needs a person even before the service has noticed."""
    assert look(well, held="This database is held.").needs == ["This database is held."]


def test_no_tip_and_nobody(unit: Unit) -> None:
    """A new installation is told what is missing: a tip and a person."""
    needs = look(unit).needs
    assert [one.split(".")[0] for one in needs] == [
        "There is no tip for Tuesday 10 November 2026: the queue is empty",
        "No subscriber is active, so nothing would go out",
    ]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (FRIDAY + timedelta(days=1), None),
        (TUESDAY - timedelta(hours=20), "Tuesday 10 November 2026 is 20 hours away, and the scheduler is not running"),
        (TUESDAY + timedelta(hours=1), "Tuesday 10 November 2026 is due, and the scheduler is not running"),
    ],
)
def test_a_silent_scheduler(well: Unit, now: datetime, expected: str | None) -> None:
    """A service that rests between two dates is no need; one that is not there the day before, or at the hour, is."""
    summary = look(well, now)
    assert not summary.snapshot.parts["scheduler"].alive
    assert [need.partition(". `")[0] for need in summary.needs] == ([expected] if expected else [])


def test_an_edition_under_way(well: Unit) -> None:
    """Its progress is told; a sender that is silent meanwhile is a need, and one that is alive is not."""
    edition = begin_edition(well, date(2026, 11, 3))
    [story] = look(well).snapshot.running
    assert (story.edition.id, story.receipt.settled, story.receipt.edition.audience) == (edition.id, 0, 1)
    assert look(well).needs == []
    later = FRIDAY + timedelta(minutes=5)
    beat(well, later, "scheduler")
    assert [one.partition(",")[0] for one in look(well, later).needs] == ["An edition waits to be sent"]


def test_how_long_it_takes_still(well: Unit) -> None:
    """What is left is reckoned by the edition's own pace, and only while something is moving."""
    for number in range(3):
        put(well, f"more{number}@example.com")
    ada = put(well, "ben@example.com")
    edition = begin_edition(well, date(2026, 11, 3))
    set_delivery(well, edition, ada, DeliveryState.ACCEPTED)
    [story] = look(well).snapshot.running
    now = edition.started_at + timedelta(seconds=10)
    assert story.left(now) == timedelta(seconds=40)
    assert story.left(edition.started_at) is None


def test_no_time_left_while_nothing_moves(well: Unit) -> None:
    """While the mail server takes nothing it is named instead; neither where another takes mail, nor by the dead."""
    edition = begin_edition(well, date(2026, 11, 3))
    ada = put(well, "ben@example.com")
    other = begin_edition(well, date(2026, 11, 4))
    set_delivery(well, other, ada, DeliveryState.ACCEPTED)
    gone = {"name": "smtp.example.com:587", "connections": 0, "trouble": "It does not answer."}
    spare = {"name": "spare.example.com:587", "connections": 2, "trouble": "It is slow."}
    now = edition.started_at + timedelta(seconds=10)
    beat(well, now)
    with well.write() as tx:
        who = workers.start(tx, name="here 1", machine="m", now=now)
        workers.beat(tx, who, now=now, report={"relays": [gone]})

    def told() -> tuple[str | None, bool]:
        [_, story] = look(well, now).snapshot.running
        return story.away.name if story.away else None, story.left(now) is not None

    assert told() == ("smtp.example.com:587", False)
    with well.write() as tx:
        workers.beat(tx, who, now=now, report={"relays": [gone, spare]})
    assert told() == (None, True)
    with well.write() as tx:
        workers.beat(tx, who, now=now, report={"relays": [gone]})
        workers.end(tx, who, now=now)
    assert told() == (None, True)
    with well.write() as tx:
        heartbeats.stop(tx, "test 1", now=TUESDAY, part=ServicePart.SENDER)
    assert told() == (None, False)


def test_a_cancelled_edition_with_a_message_in_flight(well: Unit) -> None:
    """It has got as far as it came: whom the cancel left out is not done."""
    ben, *others = [put(well, f"{name}@example.com") for name in ("ben", "cem", "dee")]
    edition = begin_edition(well, date(2026, 11, 3))
    set_delivery(well, edition, ben, DeliveryState.ACCEPTED)
    for other_id in others:
        set_delivery(well, edition, other_id, DeliveryState.SKIPPED)
    with well.write() as tx:
        editions.move(tx, edition.id, was=[EditionStatus.SENDING], to=EditionStatus.CANCELLED, why="a typo")
    [story] = look(well).snapshot.running
    assert (story.receipt.settled, story.receipt.reached, story.receipt.edition.audience) == (3, 1, 4)


@pytest.mark.parametrize(("why", "message"), [("wrong link", "paused: wrong link"), ("by ann", "paused by ann")])
def test_a_paused_edition(well: Unit, why: str, message: str) -> None:
    """It needs a person, with the command that goes on; without a reason it says who did it."""
    edition = begin_edition(well, date(2026, 11, 3))
    with well.write() as tx:
        editions.move(tx, edition.id, was=[EditionStatus.SENDING], to=EditionStatus.PAUSED, why=why)
    [need] = look(well).needs
    assert need.startswith(f"The edition of 2026-11-03 is {message}, and 1 person waits.")
    assert "`newsletter edition resume 2026-11-03`" in need


def test_the_uncertain(well: Unit) -> None:
    """Somebody is asked for a week; then the next tip is out, and doing nothing was the answer."""
    edition = begin_edition(well, date(2026, 11, 3))
    with well.write() as tx:
        tx.execute(update(delivery).values(state="uncertain"))
        editions.close(tx, edition.id, totals=DeliveryCounts(uncertain=1), now=FRIDAY)
    [need] = look(well).needs
    assert "1 person may or may not have it" in need
    assert "edition resolve 2026-11-03 --resend" in need
    after = edition.started_at + UNCERTAIN_STANDS + timedelta(minutes=1)
    beat(well, after)
    summary = look(well, after)
    assert not [one for one in summary.needs if "may or may not" in one]
    assert summary.snapshot.last is not None
    assert summary.snapshot.last.receipt.counts.uncertain == 1


def test_a_report_that_does_not_add_up(well: Unit) -> None:
    """A gap in the books needs a person whatever else is well."""
    edition = begin_edition(well, date(2026, 11, 3))
    with well.write() as tx:
        editions.close(tx, edition.id, totals=DeliveryCounts(accepted=3), now=FRIDAY)
    [need] = look(well).needs
    assert need.startswith("The report of 2026-11-03 does not add up: the gap is -2.")


def test_a_service_that_was_stopped_is_not_alive(well: Unit) -> None:
    """A service that ended in order is not called running for the rest of the minute; one that was killed is."""
    assert all(part.alive for part in look(well).snapshot.parts.values())
    with well.write() as tx:
        heartbeats.stop(tx, "test 2", now=TUESDAY)
    assert all(part.alive for part in look(well).snapshot.parts.values())
    with well.write() as tx:
        heartbeats.stop(tx, "test 1", now=TUESDAY)
    assert not any(part.alive for part in look(well).snapshot.parts.values())
