"""Dates become instants: one for each, in every zone, on every day that people move their clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.cadence import (
    Cadence,
    Slot,
    SlotState,
    calendar,
    describe_date,
    describe_instant,
    describe_span,
    extra_slot,
    instant,
    local,
    nearest_slots,
    next_slots,
    retimed,
    slot_on,
    slots_between,
)

ZONES = sorted(available_timezones() - {"localtime", "Factory"})
NEW_YORK = Cadence(weekday=1, at=time(9), zone="America/New_York")
DAY = timedelta(days=1)

zones = st.sampled_from(ZONES)
days = st.dates(date(2020, 1, 1), date(2045, 12, 30))
times = st.builds(time, st.integers(0, 23), st.sampled_from((0, 1, 15, 30, 45, 59)))


def utc(*parts: int) -> datetime:
    """Return an instant."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


def changes(zone: ZoneInfo, year: int) -> list[date]:
    """Return the first midnight after each change of offset in a year, searched a month at a time."""
    instants = []
    start = datetime(year, 1, 1, tzinfo=zone)
    steps = [(start + timedelta(days=30 * n)) for n in range(14)]
    for first, last in pairwise(steps):
        low, high = first, last
        if low.utcoffset() != high.utcoffset():
            while high - low > DAY:
                middle = low + timedelta(days=(high - low).days // 2)
                low, high = (middle, high) if middle.utcoffset() == low.utcoffset() else (low, middle)
            instants.append(high.date())
    return instants


@given(zone=zones, day=days, at=times)
def test_every_date_has_one_instant(zone: str, day: date, at: time) -> None:
    """A date's instant shows the wanted wall-clock time, or lies after it by a gap of a few hours at most."""
    there = local(instant(day, at, zone), zone).replace(tzinfo=None)
    expected = datetime.combine(day, at)
    assert there == expected or timedelta(0) < there - expected <= timedelta(hours=3)


@given(zone=zones, day=days, at=times)
def test_instants_rise_with_their_dates(zone: str, day: date, at: time) -> None:
    """The instant of a later date is later: no date is sent twice and none overtakes another."""
    assert instant(day, at, zone) < instant(day + DAY, at, zone)


@given(zone=zones, day=days, at=times)
def test_no_earlier_instant_shows_the_same_time(zone: str, day: date, at: time) -> None:
    """Of a time that comes twice the first is taken."""
    chosen = instant(day, at, zone)
    expected = local(chosen, zone).replace(tzinfo=None, fold=0)
    assert all(
        local(chosen - timedelta(minutes=back), zone).replace(tzinfo=None, fold=0) != expected for back in (30, 60, 120)
    )


@pytest.mark.parametrize("year", [2020, 2026, 2033, 2045])
def test_all_zones_around_every_change_of_clocks(year: int) -> None:
    """In each zone there is, on the days around each change, dates and instants stay one to one and in order."""
    seen = 0
    for name in ZONES:
        zone = ZoneInfo(name)
        for change in changes(zone, year):
            seen += 1
            around = [change + DAY * n for n in (-2, -1, 0, 1)]
            for at in (time(0), time(2, 30), time(23, 30)):
                instants = [instant(day, at, name) for day in around]
                assert all(earlier < later for earlier, later in pairwise(instants)), (name, change, at)
                for day, moment in zip(around, instants, strict=True):
                    expected = datetime.combine(day, at, tzinfo=zone)
                    exists = expected.astimezone(UTC).astimezone(zone).replace(fold=0) == expected
                    assert exists == (local(moment, name).replace(fold=0) == expected), (name, day, at)
                    assert exists or local(moment, name).replace(tzinfo=None) > datetime.combine(day, at)
    assert seen > 200


@pytest.mark.parametrize(
    ("zone", "day", "at", "moment"),
    [
        ("America/New_York", date(2027, 3, 14), time(9), utc(2027, 3, 14, 13)),
        ("America/New_York", date(2027, 3, 13), time(9), utc(2027, 3, 13, 14)),
        ("America/New_York", date(2026, 11, 1), time(9), utc(2026, 11, 1, 14)),
        ("America/New_York", date(2026, 10, 31), time(9), utc(2026, 10, 31, 13)),
        ("Europe/Berlin", date(2027, 3, 28), time(9), utc(2027, 3, 28, 7)),
        ("Europe/Berlin", date(2027, 3, 27), time(9), utc(2027, 3, 27, 8)),
        ("Europe/Berlin", date(2026, 10, 25), time(9), utc(2026, 10, 25, 8)),
        ("Europe/Berlin", date(2026, 10, 24), time(9), utc(2026, 10, 24, 7)),
    ],
)
def test_both_clock_change_days(zone: str, day: date, at: time, moment: datetime) -> None:
    """Nine o'clock stays nine o'clock on both days of the year that change the clocks, and on the days before."""
    assert instant(day, at, zone) == moment


def test_a_time_in_the_gap_moves_forward() -> None:
    """02:30 does not exist in New York on 14 March 2027: the mail goes at 03:30."""
    assert instant(date(2027, 3, 14), time(2, 30), "America/New_York") == utc(2027, 3, 14, 7, 30)


def test_a_repeated_time_is_its_first() -> None:
    """01:30 comes twice in New York on 1 November 2026: the mail goes at the first, summer time."""
    assert instant(date(2026, 11, 1), time(1, 30), "America/New_York") == utc(2026, 11, 1, 5, 30)
    assert instant(date(2026, 11, 1), time(1, 30, fold=1), "America/New_York") == utc(2026, 11, 1, 5, 30)


@pytest.mark.parametrize(
    ("zone", "day", "shown"),
    [
        ("America/Havana", date(2027, 3, 14), "01:00"),
        ("Asia/Beirut", date(2027, 3, 28), "01:00"),
        ("America/Santiago", date(2026, 9, 6), "01:00"),
        ("Africa/Cairo", date(2027, 4, 30), "01:00"),
        ("America/Havana", date(2026, 11, 1), "00:00"),
        ("Asia/Beirut", date(2026, 10, 25), "00:00"),
        ("America/Santiago", date(2027, 4, 4), "00:00"),
        ("Africa/Cairo", date(2026, 10, 30), "00:00"),
    ],
)
def test_zones_that_change_at_midnight_lose_no_week(zone: str, day: date, shown: str) -> None:
    """Where midnight itself is skipped or repeated, a weekly slot at 00:00 still comes once, on its date."""
    cadence = Cadence(weekday=day.weekday(), at=time(0), zone=zone)
    start = instant(day - 7 * DAY, time(12), zone)
    [slot] = slots_between(cadence, start, start + 8 * DAY)
    assert slot.date == day
    assert local(slot.sends_at, zone).date() == day
    assert f"{local(slot.sends_at, zone):%H:%M}" == shown


def test_a_gap_before_midnight_moves_past_it() -> None:
    """Nuuk skips the last hour of 27 March 2027: 23:30 becomes half past midnight, and the slot keeps its date."""
    cadence = Cadence(weekday=5, at=time(23, 30), zone="America/Nuuk")
    slot = slot_on(cadence, date(2027, 3, 27))
    assert slot is not None
    assert f"{local(slot.sends_at, cadence.zone):%Y-%m-%d %H:%M}" == "2027-03-28 00:30"
    assert slots_between(cadence, slot.sends_at - timedelta(seconds=1), slot.sends_at) == [slot]


def test_a_date_that_a_zone_left_out_is_sent_a_day_later() -> None:
    """Apia had no 30 December 2011: the slot of that Friday goes at the same time on the 31st, and no week is lost."""
    cadence = Cadence(weekday=4, at=time(9), zone="Pacific/Apia")
    slots = slots_between(cadence, utc(2011, 12, 22), utc(2012, 1, 8))
    assert [slot.date.day for slot in slots] == [23, 30, 6]
    assert f"{local(slots[1].sends_at, cadence.zone):%Y-%m-%d %H:%M}" == "2011-12-31 09:00"
    assert all(a.sends_at < b.sends_at for a, b in pairwise(slots))


@given(zone=zones, weekday=st.integers(0, 6), at=times, day=days, weeks=st.integers(0, 60))
def test_a_span_holds_each_of_its_weeks_once(zone: str, weekday: int, at: time, day: date, weeks: int) -> None:
    """Cutting a span of time anywhere, even on a slot, neither loses a slot nor gives one twice."""
    cadence = Cadence(weekday=weekday, at=at, zone=zone)
    start = instant(day, time(12), zone)
    slots = next_slots(cadence, start, weeks + 2)
    assert all(b.date - a.date == 7 * DAY for a, b in pairwise(slots))
    assert start < slots[0].sends_at <= start + 8 * DAY
    cut, end = slots[weeks // 2].sends_at, slots[-1].sends_at
    assert slots_between(cadence, start, cut) + slots_between(cadence, cut, end) == slots


def test_a_span_is_open_below_and_closed_above() -> None:
    """A slot exactly at the beginning of a span is not in it; one exactly at its end is."""
    nine = utc(2026, 11, 24, 14)
    assert slots_between(NEW_YORK, nine, nine + DAY) == []
    assert [slot.date for slot in slots_between(NEW_YORK, nine - DAY, nine)] == [date(2026, 11, 24)]
    assert [slot.date.day for slot in next_slots(NEW_YORK, nine, 2)] == [1, 8]


def test_slot_on_knows_its_weekday() -> None:
    """A Tuesday has a weekly slot, the Wednesday after it has none."""
    assert slot_on(NEW_YORK, date(2026, 11, 24)) == Slot(date=date(2026, 11, 24), sends_at=utc(2026, 11, 24, 14))
    assert slot_on(NEW_YORK, date(2026, 11, 25)) is None


@pytest.mark.parametrize(("day", "before", "after"), [(25, 24, 1), (24, 17, 1), (23, 17, 24), (30, 24, 1)])
def test_nearest_slots_lie_around_a_date(day: int, before: int, after: int) -> None:
    """For any date the weekly slots just before and just after it are named; the date itself is neither."""
    assert [slot.date.day for slot in nearest_slots(NEW_YORK, date(2026, 11, day))] == [before, after]


def test_an_extra_slot_takes_the_time_of_the_cadence() -> None:
    """An extra date goes out at the usual time unless a person names another."""
    thursday = date(2026, 11, 26)
    assert extra_slot(NEW_YORK, thursday).sends_at == utc(2026, 11, 26, 14)
    assert extra_slot(NEW_YORK, thursday, time(0)).sends_at == utc(2026, 11, 26, 5)
    assert extra_slot(NEW_YORK, thursday).extra


def test_the_calendar_lays_stored_slots_over_the_weekly_ones() -> None:
    """What a person or the machine did to a date wins over the plain weekly slot, and extra dates stand in order."""
    start = utc(2026, 11, 20)
    skipped = Slot(date=date(2026, 12, 1), sends_at=utc(2026, 12, 1, 14), state=SlotState.SKIPPED, reason="holiday")
    extra = extra_slot(NEW_YORK, date(2026, 11, 26))
    late = Slot(date=date(2026, 11, 17), sends_at=utc(2026, 11, 17, 14))
    dates = calendar(NEW_YORK, [skipped, extra, late], after=start, until=start + 14 * DAY)
    assert [slot.date.day for slot in dates] == [17, 24, 26, 1]
    assert dates[0] == late
    assert dates[-1] == skipped


def test_the_calendar_ends_at_its_limit() -> None:
    """A stored slot after the end is left out, and a sent one hides the weekly slot of its date wherever it lies."""
    start = utc(2026, 11, 24)
    far = extra_slot(NEW_YORK, date(2026, 12, 31))
    sent = Slot(date=date(2026, 11, 24), sends_at=utc(2026, 11, 24, 20), state=SlotState.FROZEN)
    assert calendar(NEW_YORK, [far, sent], after=start, until=utc(2026, 11, 24, 15)) == []


def test_the_calendar_follows_a_changed_day_and_keeps_history() -> None:
    """After the day moved to Monday a stored open Tuesday is gone, a sent one stays, and the time is the new one."""
    monday = Cadence(weekday=0, at=time(10), zone="America/New_York")
    sent = Slot(date=date(2026, 11, 24), sends_at=utc(2026, 11, 24, 14), state=SlotState.FROZEN)
    stale = Slot(date=date(2026, 12, 1), sends_at=utc(2026, 12, 1, 14))
    stored = Slot(date=date(2026, 11, 30), sends_at=utc(2026, 11, 30, 14))
    dates = calendar(monday, [sent, stale, stored], after=utc(2026, 11, 24, 17), until=utc(2026, 12, 2))
    assert [(slot.date.day, slot.sends_at.hour) for slot in dates] == [(24, 14), (30, 15)]


def test_a_changed_zone_moves_open_slots_only() -> None:
    """Moving to Berlin changes when an open or skipped slot goes out, never what was sent, nor an extra date."""
    berlin = Cadence(weekday=1, at=time(9), zone="Europe/Berlin")
    for state in SlotState:
        slot = Slot(date=date(2026, 11, 24), sends_at=utc(2026, 11, 24, 14), state=state)
        moved = retimed(berlin, slot)
        assert moved is not None
        assert moved.sends_at.hour == (8 if state in (SlotState.OPEN, SlotState.SKIPPED) else 14)
    extra = extra_slot(NEW_YORK, date(2026, 11, 24))
    assert retimed(berlin, extra) == extra


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("America/New_York", "Tuesday 24 November 2026, 09:00 EST (UTC\N{MINUS SIGN}5)"),
        ("Europe/London", "Tuesday 24 November 2026, 14:00 GMT (UTC+0)"),
        ("UTC", "Tuesday 24 November 2026, 14:00 UTC"),
        ("Asia/Kolkata", "Tuesday 24 November 2026, 19:30 IST (UTC+5:30)"),
        ("America/St_Johns", "Tuesday 24 November 2026, 10:30 NST (UTC\N{MINUS SIGN}3:30)"),
        ("America/Sao_Paulo", "Tuesday 24 November 2026, 11:00 (UTC\N{MINUS SIGN}3)"),
        ("Pacific/Auckland", "Wednesday 25 November 2026, 03:00 NZDT (UTC+13)"),
    ],
)
def test_an_instant_in_words(zone: str, words: str) -> None:
    """An instant is told with weekday, zone and offset, and an offset that has no name is told once."""
    assert describe_instant(utc(2026, 11, 24, 14), zone) == words


def test_a_date_in_words() -> None:
    """A date is told with its weekday."""
    assert describe_date(date(2028, 2, 29)) == "Tuesday 29 February 2028"


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(seconds=59), "less than a minute"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(hours=2, minutes=10), "2 hours 10 minutes"),
        (timedelta(hours=36), "36 hours"),
        (timedelta(days=2), "2 days"),
        (timedelta(days=21, hours=3, minutes=5), "21 days 3 hours"),
    ],
)
def test_a_span_in_words(span: timedelta, words: str) -> None:
    """A length of time is told in two units at most, and a grace of 36 hours as what it was set to."""
    assert describe_span(span) == words


def test_a_naive_time_is_refused() -> None:
    """An instant without a zone is a bug of the caller, not a guess."""
    with pytest.raises(ValueError, match="has no time zone"):
        local(datetime(2026, 11, 24, 9), "UTC")  # noqa: DTZ001
    assert local(datetime(2026, 11, 24, 9, tzinfo=timezone(timedelta(hours=1))), "UTC").hour == 8
