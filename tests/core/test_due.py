"""Late, missed, passed over: the newsletter was down, its clock jumped, or its schedule changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.cadence import Cadence, Slot, SlotState, calendar, extra_slot, slot_on, slots_between
from newsletter.core.due import SlotJudgement, judge_slots

TUESDAYS = Cadence(weekday=1, at=time(9), zone="America/New_York")
GRACE = timedelta(hours=36)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
NINE = datetime(2026, 11, 24, 14, tzinfo=UTC)
"""Tuesday 24 November 2026, 09:00 in New York."""
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def weeklies(first: date, count: int = 1) -> list[Slot]:
    """Return open weekly slots, one a week from a date on."""
    slots = [slot_on(TUESDAYS, first + n * 7 * DAY) for n in range(count)]
    return [slot for slot in slots if slot is not None]


[TUESDAY] = weeklies(date(2026, 11, 24))
THURSDAY = extra_slot(TUESDAYS, date(2026, 11, 26))
WEDNESDAY = extra_slot(TUESDAYS, date(2026, 11, 25))


def judge(*slots: Slot, now: datetime, not_before: datetime = LONG_AGO) -> SlotJudgement:
    """Judge with the usual grace, told in New York's time."""
    return judge_slots(slots, now=now, not_before=not_before, grace=GRACE, zone="America/New_York")


def reasons(slots: tuple[Slot, ...]) -> list[str]:
    """Return the reasons of slots that were marked missed."""
    assert all(slot.state is SlotState.MISSED for slot in slots)
    return [slot.reason for slot in slots]


def test_a_slot_is_due_from_its_instant_on() -> None:
    """One second early nothing is due; at the instant the slot is, and not yet late."""
    assert judge(TUESDAY, now=NINE - timedelta(seconds=1)) == SlotJudgement()
    on_time = judge(TUESDAY, now=NINE)
    assert on_time == SlotJudgement(due=TUESDAY)
    assert not on_time.late


def test_down_from_monday_to_wednesday_inside_the_grace() -> None:
    """Started again on Wednesday at 20:59, the Tuesday goes out late, and its lateness is told."""
    judged = judge(TUESDAY, now=NINE + GRACE - timedelta(minutes=1))
    assert judged.due == TUESDAY
    assert judged.late
    assert judged.lateness == timedelta(hours=35, minutes=59)
    assert judged.missed == ()


def test_a_slot_as_old_as_the_grace_is_missed() -> None:
    """At the end of the grace the slot is missed, with a reason that names both lengths."""
    judged = judge(TUESDAY, now=NINE + GRACE)
    assert judged.due is None
    assert reasons(judged.missed) == ["not sent within 36 hours of its time, which is 36 hours ago"]


def test_down_for_three_weeks() -> None:
    """Three weeks of silence become three missed slots and no mail at all when the last is too old."""
    judged = judge(*weeklies(date(2026, 11, 10), 4), now=NINE + 3 * DAY)
    assert judged.due is None
    assert [slot.date.day for slot in judged.missed] == [10, 17, 24]


def test_down_for_three_weeks_and_back_on_a_tuesday() -> None:
    """Of three slots that were missed the one inside the grace is sent, and the two before it are not."""
    judged = judge(*weeklies(date(2026, 11, 10), 4), now=NINE + HOUR)
    assert judged.due == TUESDAY
    assert [slot.date.day for slot in judged.missed] == [10, 17]


def test_several_slots_inside_the_grace_give_one_mail() -> None:
    """Of a Tuesday and an extra Wednesday, both inside the grace, the newer is sent and the older says why not."""
    judged = judge(WEDNESDAY, TUESDAY, now=NINE + 25 * HOUR)
    assert judged.due == WEDNESDAY
    assert reasons(judged.missed) == ["the later date 2026-11-25 is due too, and two are never sent at once"]


def test_an_older_slot_does_not_follow_a_newer_edition() -> None:
    """A Tuesday left open for want of a tip is not sent after the extra Wednesday has gone out."""
    sent = replace(WEDNESDAY, state=SlotState.FROZEN)
    judged = judge(TUESDAY, sent, now=NINE + 25 * HOUR)
    assert judged.due is None
    assert reasons(judged.missed) == ["the later edition of 2026-11-25 has already gone out"]


def test_an_edition_sent_early_does_not_use_up_an_earlier_slot() -> None:
    """Next week's slot, frozen ahead of its time, leaves this Tuesday due."""
    early = replace(weeklies(date(2026, 12, 1))[0], state=SlotState.FROZEN)
    assert judge(early, TUESDAY, now=NINE).due == TUESDAY


def test_slots_that_are_settled_are_left_alone() -> None:
    """A slot that was sent, skipped, found empty or missed is never due again."""
    for state in set(SlotState) - {SlotState.OPEN}:
        assert judge(replace(TUESDAY, state=state), now=NINE + HOUR) == SlotJudgement()


def test_nothing_at_or_before_the_first_tick_is_due() -> None:
    """A slot in the very second of the first tick, or before it, mails nobody; one a second later does."""
    assert judge(TUESDAY, now=NINE, not_before=NINE).due is None
    assert judge(TUESDAY, now=NINE, not_before=NINE - timedelta(seconds=1)).due == TUESDAY


def test_first_installed_on_a_wednesday() -> None:
    """The Tuesday before the installation is not even a slot, and the next one goes out on time."""
    first_tick = NINE + DAY
    slots = calendar(TUESDAYS, [], after=first_tick, until=first_tick + HOUR)
    assert slots == []
    a_week_on = NINE + 7 * DAY
    slots = calendar(TUESDAYS, [], after=first_tick, until=a_week_on)
    assert judge(*slots, now=a_week_on, not_before=first_tick).due == weeklies(date(2026, 12, 1))[0]


def test_a_stored_slot_from_before_the_schedule_is_passed_over_with_a_reason() -> None:
    """A slot that the new time moved into the past is not sent, and a person reads since when it counts."""
    judged = judge(TUESDAY, now=NINE + 3 * HOUR, not_before=NINE + 2 * HOUR)
    assert judged.due is None
    assert judged.missed == ()
    began = "Tuesday 24 November 2026, 11:00 EST (UTC\N{MINUS SIGN}5)"
    assert reasons(judged.passed_over) == [f"its time lay in the past when this schedule began, {began}"]


def test_the_day_changed_from_tuesday_to_monday_at_noon_on_tuesday() -> None:
    """Yesterday, now a slot inside the grace, mails nobody; the next Monday is the first under the new schedule."""
    noon = NINE + 3 * HOUR
    mondays = replace(TUESDAYS, weekday=0)
    sent = replace(TUESDAY, state=SlotState.FROZEN)
    tick = noon + timedelta(seconds=5)
    judged = judge(*slots_between(mondays, tick - GRACE, tick), sent, now=tick, not_before=noon)
    assert judged.due is None
    assert [slot.date.day for slot in judged.passed_over] == [23]
    [monday] = calendar(mondays, [], after=noon, until=noon + 7 * DAY)
    assert monday.date.day == 30
    assert judge(sent, monday, now=monday.sends_at, not_before=noon).due == monday


def test_the_time_changed_after_the_slot_was_sent() -> None:
    """Moving nine o'clock to three in the afternoon at noon does not send this Tuesday again."""
    afternoon = replace(TUESDAYS, at=time(15))
    sent = replace(TUESDAY, state=SlotState.FROZEN)
    slots = calendar(afternoon, [sent], after=NINE + 3 * HOUR, until=NINE + 7 * HOUR)
    assert judge(*slots, now=NINE + 7 * HOUR, not_before=NINE + 3 * HOUR) == SlotJudgement()


def test_the_zone_changed_so_that_the_slot_lies_in_the_past() -> None:
    """Moved to Berlin at seven in New York, this Tuesday's nine o'clock is over: passed over, and said so."""
    berlin = replace(TUESDAYS, zone="Europe/Berlin")
    seven = NINE - 2 * HOUR
    slots = calendar(berlin, [TUESDAY], after=seven, until=seven + HOUR)
    judged = judge(*slots, now=seven, not_before=seven)
    assert judged.due is None
    assert [slot.date for slot in judged.passed_over] == [TUESDAY.date]


def test_a_clock_that_steps_back_makes_nothing_due_early() -> None:
    """A slot that was due lies in the future again after the clock stepped back, and waits."""
    assert judge(TUESDAY, now=NINE + HOUR).due == TUESDAY
    assert judge(TUESDAY, now=NINE - HOUR) == SlotJudgement()


def test_a_slot_missed_by_a_fast_clock_is_opened_again() -> None:
    """Marked missed while the clock was days ahead, a slot that lies in the future again is reopened and then sent."""
    [missed] = judge(TUESDAY, now=NINE + 3 * DAY).missed
    judged = judge(missed, now=NINE - HOUR)
    assert judged.reopen == (TUESDAY,)
    assert judge(*judged.reopen, now=NINE).due == TUESDAY


def test_a_slot_from_before_the_schedule_is_not_opened_again() -> None:
    """A clock that stepped back behind the beginning of the schedule opens nothing that was passed over."""
    missed = replace(TUESDAY, state=SlotState.MISSED, reason="too late")
    assert judge(missed, now=NINE - HOUR, not_before=NINE).reopen == ()


def test_a_missed_slot_in_the_past_stays_missed() -> None:
    """What people were told is missed is not sent after all because the grace grew."""
    [missed] = judge(TUESDAY, now=NINE + 3 * DAY).missed
    longer = judge_slots([missed], now=NINE + 3 * DAY, not_before=LONG_AGO, grace=7 * DAY)
    assert longer == SlotJudgement()


def test_a_schedule_that_begins_in_the_future_is_shown() -> None:
    """When the first tick was made by a clock that ran ahead, a person is told that nothing goes out until then."""
    judged = judge(TUESDAY, now=NINE, not_before=NINE + 400 * DAY)
    assert judged.due is None
    assert "the clock has stepped back" in judged.warnings[0]
    assert judge(TUESDAY, now=NINE).warnings == ()


@given(
    states=st.lists(st.sampled_from(SlotState), min_size=1, max_size=8),
    now=st.integers(-100, 1500),
    not_before=st.integers(-100, 1500),
    grace=st.integers(1, 400),
    order=st.randoms(use_true_random=False),
)
def test_each_open_slot_of_the_past_has_one_fate(
    states: list[SlotState], now: int, not_before: int, grace: int, order: object
) -> None:
    """Every open slot that is over is due, missed or passed over, once; at most one is due; order does not matter."""
    slots = [
        replace(slot, state=state)
        for slot, state in zip(weeklies(date(2026, 11, 24), len(states)), states, strict=True)
    ]
    when = {"now": NINE + now * HOUR, "not_before": NINE + not_before * HOUR, "grace": grace * HOUR}
    judged = judge_slots(slots, **when)  # type: ignore[arg-type]
    over = [slot.date for slot in slots if slot.state is SlotState.OPEN and slot.sends_at <= when["now"]]
    due = [judged.due] if judged.due else []
    assert sorted(slot.date for slot in (*due, *judged.missed, *judged.passed_over)) == over
    assert all(slot.reason for slot in (*judged.missed, *judged.passed_over))
    if judged.due:
        assert when["not_before"] < judged.due.sends_at
        assert judged.lateness < when["grace"]
        assert all(slot.date < judged.due.date for slot in judged.missed)
    order.shuffle(slots)  # type: ignore[attr-defined]
    assert judge_slots(slots, **when) == judged  # type: ignore[arg-type]
