"""The tick on a real store: machines that were down, schedules that changed, and slots with nothing to send."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from newsletter.core.cadence import SlotState, extra_slot
from newsletter.core.edition import Edition
from newsletter.core.monitor import ServicePart
from newsletter.core.tip import TipStatus
from newsletter.operations.ticker import Ticker
from newsletter.store import alert as alerts
from newsletter.store import edition as editions
from newsletter.store import heartbeat as heartbeats
from newsletter.store import slot as slots
from newsletter.store import tip as tips
from newsletter.store.alert import AlertKind
from newsletter.store.heartbeat import Heartbeat
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import CADENCE, TUESDAY, add_people, add_tip

WEEK = timedelta(weeks=1)
NOON = TUESDAY + timedelta(hours=3)


def sent(unit: Unit) -> Sequence[Edition]:
    """Return every edition, oldest first."""
    with unit.read() as tx:
        return list(reversed(editions.latest(tx)))


def alerted(unit: Unit) -> dict[tuple[AlertKind, str], str]:
    """Return the open alerts."""
    with unit.read() as tx:
        return {(one.kind, one.about): one.message for one in alerts.open_alerts(tx)}


def state(unit: Unit, on: date) -> SlotState | None:
    """Return the state of a slot that has a row."""
    with unit.read() as tx:
        stored_slot = slots.get(tx, on)
    return None if stored_slot is None else stored_slot.state


def approved(unit: Unit) -> list[str]:
    """Return the tips that still wait to be sent."""
    with unit.read() as tx:
        return [tip.slug for tip in tips.all_tips(tx) if tip.status is TipStatus.APPROVED]


def ready(unit: Unit, ticker: Ticker, *, count: int = 2) -> None:
    """Begin on Sunday with three people and some tips."""
    add_people(unit, 3)
    for number in range(count):
        add_tip(unit, f"tip-{number}")
    assert ticker.tick() is None


def test_the_slot_is_frozen_at_its_time_and_once(unit: Unit, clock: FixedClock, ticker: Ticker) -> None:
    """A second before nine nothing happens; at nine one edition is made, however often the bell rings afterwards."""
    ready(unit, ticker)
    clock.set(TUESDAY - timedelta(seconds=1))
    assert ticker.tick() is None
    clock.set(TUESDAY)
    edition = ticker.tick()
    assert edition is not None
    assert (edition.date, edition.tip.slug, edition.audience) == (date(2026, 11, 3), "tip-0", 3)
    assert [ticker.tick() for _ in range(3)] == [None] * 3
    assert [one.id for one in sent(unit)] == [edition.id]
    assert alerted(unit) == {}


def test_down_from_monday_to_wednesday(unit: Unit, clock: FixedClock, ticker: Ticker) -> None:
    """A machine that slept through its Tuesday sends within the grace, late and once, and no second on that day."""
    ready(unit, ticker)
    clock.set(TUESDAY + timedelta(hours=26))
    edition = ticker.tick()
    assert edition is not None
    assert edition.date == date(2026, 11, 3)
    assert ticker.tick() is None
    assert approved(unit) == ["tip-1"]
    clock.set(TUESDAY + WEEK)
    again = ticker.tick()
    assert again is not None
    assert (again.date, again.tip.slug) == (date(2026, 11, 10), "tip-1")


def test_down_for_three_weeks(unit: Unit, clock: FixedClock, ticker: Ticker) -> None:
    """Three slots that nobody sent are missed with an alert each, nothing goes out late, and no tip is lost."""
    ready(unit, ticker)
    clock.set(TUESDAY + 2 * WEEK + timedelta(hours=36))
    assert ticker.tick() is None
    missed = [date(2026, 11, day) for day in (3, 10, 17)]
    assert [state(unit, day) for day in missed] == [SlotState.MISSED] * 3
    assert alerted(unit).keys() == {(AlertKind.MISSED_SLOT, day.isoformat()) for day in missed}
    assert sent(unit) == []
    assert approved(unit) == ["tip-0", "tip-1"]
    clock.set(TUESDAY + 3 * WEEK)
    edition = ticker.tick()
    assert edition is not None
    assert (edition.date, edition.tip.slug) == (date(2026, 11, 24), "tip-0")


def test_of_several_missed_slots_one_is_sent(unit: Unit, clock: FixedClock, ticker: Ticker) -> None:
    """A machine that comes back on the second Tuesday sends that one, and only that one."""
    ready(unit, ticker)
    clock.set(TUESDAY + WEEK + timedelta(hours=1))
    edition = ticker.tick()
    assert edition is not None
    assert edition.date == date(2026, 11, 10)
    assert ticker.tick() is None
    assert state(unit, date(2026, 11, 3)) is SlotState.MISSED
    assert len(sent(unit)) == 1


def test_first_start_on_a_wednesday(unit: Unit, clock: FixedClock, ticker: Ticker) -> None:
    """An installation that begins the day after a slot mails nobody before the next one."""
    clock.set(TUESDAY + timedelta(days=1))
    ready(unit, ticker)
    clock.turn(hours=12)
    assert ticker.tick() is None
    assert (sent(unit), alerted(unit)) == ([], {})
    clock.set(TUESDAY + WEEK)
    assert ticker.tick() is not None


def test_another_day_at_noon_mails_nobody_again(unit: Unit, clock: FixedClock, ticker: Ticker) -> None:
    """Whoever changes Tuesday to Monday after Tuesday's mail gets the next one on Monday, and no alert."""
    ready(unit, ticker)
    clock.set(TUESDAY)
    assert ticker.tick() is not None
    clock.set(NOON)
    monday = replace(ticker, cadence=replace(CADENCE, weekday=0))
    assert [monday.tick() for _ in range(2)] == [None, None]
    clock.set(TUESDAY + timedelta(days=5))
    assert monday.tick() is None
    assert alerted(unit) == {}
    clock.set(TUESDAY + timedelta(days=6))
    edition = monday.tick()
    assert edition is not None
    assert edition.date == date(2026, 11, 9)


def test_another_hour_in_the_past_mails_nobody_again(unit: Unit, clock: FixedClock, ticker: Ticker) -> None:
    """A time of day that is moved back, or forth and back, on the day itself makes nothing due a second time."""
    ready(unit, ticker)
    clock.set(TUESDAY)
    assert ticker.tick() is not None
    for hour in (7, 10, 9):
        clock.turn(hours=1)
        assert replace(ticker, cadence=replace(CADENCE, at=CADENCE.at.replace(hour=hour))).tick() is None
        clock.turn(hours=1)
        assert replace(ticker, cadence=replace(CADENCE, at=CADENCE.at.replace(hour=hour))).tick() is None
    assert len(sent(unit)) == 1


def test_a_change_does_not_hide_what_is_owed(unit: Unit, clock: FixedClock, ticker: Ticker) -> None:
    """A slot that was still to be sent late when the schedule changed is missed with an alert, never in silence."""
    ready(unit, ticker)
    clock.set(NOON)
    assert replace(ticker, cadence=replace(CADENCE, weekday=0)).tick() is None
    assert state(unit, date(2026, 11, 3)) is SlotState.MISSED
    assert "schedule was changed" in alerted(unit)[AlertKind.MISSED_SLOT, "2026-11-03"]
    assert approved(unit) == ["tip-0", "tip-1"]


def test_an_empty_queue_waits_through_the_grace(unit: Unit, clock: FixedClock, ticker: Ticker) -> None:
    """With nothing to send there is an alert at once; a tip approved within the grace goes out late and clears it."""
    ready(unit, ticker, count=0)
    clock.set(TUESDAY)
    assert ticker.tick() is None
    assert (AlertKind.EMPTY_SLOT, "2026-11-03") in alerted(unit)
    assert state(unit, date(2026, 11, 3)) is SlotState.OPEN
    clock.turn(hours=35)
    assert ticker.tick() is None
    add_tip(unit, "just-in-time")
    edition = ticker.tick()
    assert edition is not None
    assert (edition.date, edition.tip.slug) == (date(2026, 11, 3), "just-in-time")
    assert alerted(unit) == {}


def test_an_empty_slot_ends_empty(unit: Unit, clock: FixedClock, ticker: Ticker) -> None:
    """After the grace a slot without a tip is `empty`, with an alert, and a later tip waits for the next slot."""
    ready(unit, ticker, count=0)
    clock.set(TUESDAY)
    ticker.tick()
    clock.turn(hours=36)
    assert ticker.tick() is None
    add_tip(unit, "too-late")
    assert ticker.tick() is None
    assert state(unit, date(2026, 11, 3)) is SlotState.EMPTY
    assert alerted(unit).keys() == {(AlertKind.MISSED_SLOT, "2026-11-03")}
    assert "nothing to send" in alerted(unit)[AlertKind.MISSED_SLOT, "2026-11-03"]


def test_a_pinned_tip_goes_out_without_an_alarm(unit: Unit, clock: FixedClock, ticker: Ticker) -> None:
    """A tip pinned to a weekly date is not called stranded at the tick that sends it, on time or late."""
    add_people(unit, 1)
    add_tip(unit, "on-time", pin=TUESDAY.date())
    add_tip(unit, "late", pin=(TUESDAY + WEEK).date())
    ticker.tick()
    for moment, slug in ((TUESDAY, "on-time"), (TUESDAY + WEEK + timedelta(hours=2), "late")):
        clock.set(moment)
        edition = ticker.tick()
        assert edition is not None
        assert edition.tip.slug == slug
        with unit.read() as tx:
            assert [one for one in alerts.unclosed(tx) if one.kind is AlertKind.STRANDED_PIN] == []


def test_an_audience_of_nobody(unit: Unit, clock: FixedClock, ticker: Ticker) -> None:
    """Without a single active subscriber nothing is frozen, the tip is kept, and people are told."""
    add_tip(unit, "tip-0")
    ticker.tick()
    clock.set(TUESDAY)
    assert ticker.tick() is None
    assert "no active subscriber" in alerted(unit)[AlertKind.EMPTY_SLOT, "2026-11-03"]
    assert approved(unit) == ["tip-0"]
    add_people(unit, 1)
    edition = ticker.tick()
    assert edition is not None
    assert edition.audience == 1


def test_a_skipped_slot_stays_silent(unit: Unit, clock: FixedClock, ticker: Ticker) -> None:
    """A date that was skipped on purpose sends nothing, alerts nobody, and leaves the tip for the next one."""
    ready(unit, ticker)
    with unit.write() as tx:
        skipped = replace(
            extra_slot(CADENCE, date(2026, 11, 3)), state=SlotState.SKIPPED, extra=False, reason="holiday"
        )
        slots.add(tx, skipped, now=clock.now())
    clock.set(TUESDAY)
    assert ticker.tick() is None
    clock.turn(hours=40)
    assert ticker.tick() is None
    assert (state(unit, date(2026, 11, 3)), alerted(unit)) == (SlotState.SKIPPED, {})
    clock.set(TUESDAY + WEEK)
    edition = ticker.tick()
    assert edition is not None
    assert edition.tip.slug == "tip-0"


def test_a_slot_that_is_skipped_as_it_comes_due(unit: Unit, clock: FixedClock, ticker: Ticker) -> None:
    """A skip that falls between the tick's look and its freeze wins, and raises no alert that nobody could clear."""
    ready(unit, ticker)
    clock.set(TUESDAY)
    due = ticker.decide(clock.now())
    assert due is not None
    with unit.write() as tx:
        slots.add(tx, replace(due, state=SlotState.SKIPPED, reason="holiday"), now=clock.now())
    assert ticker._freeze(due, clock.now()) is None
    assert (sent(unit), alerted(unit)) == ([], {})


def test_an_extra_date(unit: Unit, clock: FixedClock, ticker: Ticker) -> None:
    """A date beside the weekly ones is sent like them, and the weekly ones go on."""
    ready(unit, ticker)
    friday = date(2026, 11, 6)
    with unit.write() as tx:
        slots.add(tx, extra_slot(CADENCE, friday), now=clock.now())
    dates = []
    for days in range(8):
        clock.set(TUESDAY + timedelta(days=days))
        edition = ticker.tick()
        dates += [edition.date] if edition else []
    assert dates == [date(2026, 11, 3), friday]
    # Nobody sends in this test, so that those who were never tried are told about as well.
    assert alerted(unit).keys() == {
        (AlertKind.EXPIRED_PEOPLE, "2026-11-03"),
        (AlertKind.EMPTY_SLOT, "2026-11-10"),
    }


def test_the_clock_steps_back(unit: Unit, clock: FixedClock, ticker: Ticker) -> None:
    """A clock that goes back over a slot sends nothing twice."""
    ready(unit, ticker)
    clock.set(TUESDAY + timedelta(minutes=1))
    assert ticker.tick() is not None
    for back in (timedelta(minutes=5), timedelta(days=1), timedelta(days=3)):
        clock.set(TUESDAY - back)
        assert ticker.tick() is None
    clock.set(TUESDAY + timedelta(minutes=2))
    assert ticker.tick() is None
    assert len(sent(unit)) == 1


def test_the_clock_steps_forward_and_back(unit: Unit, clock: FixedClock, ticker: Ticker) -> None:
    """Slots marked missed while the clock was months ahead are sent in their time once it is right again."""
    ready(unit, ticker)
    clock.set(datetime(2027, 3, 5, tzinfo=UTC))
    assert ticker.tick() is None
    assert state(unit, date(2026, 11, 3)) is SlotState.MISSED
    assert sent(unit) == []
    clock.set(TUESDAY - timedelta(hours=2))
    assert ticker.tick() is None
    assert state(unit, date(2026, 11, 3)) is SlotState.OPEN
    assert alerted(unit) == {}
    clock.set(TUESDAY)
    edition = ticker.tick()
    assert edition is not None
    assert edition.date == date(2026, 11, 3)


def test_a_tip_that_cannot_be_rendered(unit: Unit, clock: FixedClock, ticker: Ticker) -> None:
    """A tip that the gates refuse is told about at once; mended it goes out, and left alone the slot is missed."""
    ready(unit, ticker, count=0)
    add_tip(unit, "broken", preheader="{{ nothing_of_that_name }}")
    for week in range(2):
        clock.set(TUESDAY + week * WEEK)
        assert ticker.tick() is None
        about = clock.now().date().isoformat()
        assert (AlertKind.CANNOT_FREEZE, about) in alerted(unit)
        if week == 0:
            clock.turn(hours=36)
            assert ticker.tick() is None
            assert alerted(unit).keys() == {(AlertKind.MISSED_SLOT, about)}
    with unit.write() as tx:
        tips.set_status(tx, tips.all_tips(tx)[0], TipStatus.RETIRED, now=clock.now())
    add_tip(unit, "whole")
    edition = ticker.tick()
    assert edition is not None
    assert edition.tip.slug == "whole"
    assert alerted(unit).keys() == {(AlertKind.MISSED_SLOT, "2026-11-03")}


def test_each_tick_gives_a_sign_of_life(unit: Unit, clock: FixedClock, ticker: Ticker) -> None:
    """The heartbeat bears the time of the last tick, whatever it found."""
    ready(unit, ticker)
    clock.set(TUESDAY)
    ticker.tick()
    with unit.read() as tx:
        assert heartbeats.heartbeats(tx)[ServicePart.SCHEDULER] == Heartbeat(at=TUESDAY, process="test 1")
