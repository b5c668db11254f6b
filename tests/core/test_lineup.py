"""Each slot gets a tip from one source, with its reason, and the queue keeps its order."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.cadence import Slot, SlotState
from newsletter.core.lineup import Choice, LineupRules, Sending, Source, in_season, last_sent, lineup
from newsletter.core.tip import Season, Tip, TipId, TipPart, TipStatus

FIRST = date(2026, 11, 24)
WEEK = timedelta(days=7)
RULES = LineupRules()


def tip(number: int, **changes: object) -> Tip:
    """Return an approved tip, named by its place in the queue."""
    name = f"tip-{number}"
    plain = Tip(
        id=TipId(number), slug=name, title=name, subject=name, status=TipStatus.APPROVED, body="", position=number
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def weeks(count: int, first: date = FIRST) -> list[Slot]:
    """Return open slots, one a week."""
    return [on(first + n * WEEK) for n in range(count)]


def on(day: date, **changes: object) -> Slot:
    """Return an open slot on a date."""
    slot = Slot(date=day, sends_at=datetime(day.year, day.month, day.day, 14, tzinfo=UTC))
    return replace(slot, **changes)  # type: ignore[arg-type]


def plan(slots: list[Slot], tips: list[Tip], history: list[Sending] | None = None, rest: int = 52) -> list[Choice]:
    """Return the lineup."""
    return lineup(slots, tips, history or [], LineupRules(evergreen_rest_weeks=rest))


def slugs(choices: list[Choice]) -> list[str]:
    """Return the slug that each slot gets, or the source where it gets none."""
    return [choice.tip.slug if choice.tip else choice.source.value for choice in choices]


def test_the_queue_goes_by_position() -> None:
    """Tips go in the order of the queue, each once, each saying its place, and then there is nothing."""
    choices = plan(weeks(3), [tip(2), tip(1)])
    assert slugs(choices) == ["tip-1", "tip-2", "none"]
    assert [choice.source for choice in choices] == [Source.QUEUE, Source.QUEUE, Source.NONE]
    assert [choice.why for choice in choices] == [
        "next in the queue (1st of 2)",
        "next in the queue (2nd of 2)",
        "the queue is empty",
    ]


def test_places_are_english_ordinals() -> None:
    """The eleventh is not the 11st."""
    whys = [choice.why for choice in plan(weeks(23), [tip(n) for n in range(1, 24)])]
    assert [whys[n - 1].split("(")[1].split()[0] for n in (2, 3, 4, 11, 12, 13, 21, 22, 23)] == [
        *("2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "23rd")
    ]


@pytest.mark.parametrize("status", sorted(set(TipStatus) - {TipStatus.APPROVED}))
def test_only_approved_tips_go_out(status: TipStatus) -> None:
    """A draft, a sent or a retired tip is never chosen, neither from the queue nor as an evergreen nor by its pin."""
    tips = [tip(1, status=status), tip(2, status=status, evergreen=True), tip(3, status=status, pin=FIRST)]
    assert slugs(plan(weeks(1), tips)) == ["none"]


def test_a_tip_of_the_history_is_not_sent_again() -> None:
    """A tip that stands approved and has gone out, by us or before us, takes no slot unless it is evergreen."""
    tips = [tip(1), tip(2, first_published=date(2019, 1, 8)), tip(3, pin=FIRST), tip(4)]
    sent = [Sending(tip=TipId(n), date=date(2025, 3, 4)) for n in (1, 3)]
    assert slugs(plan(weeks(2), tips, sent)) == ["tip-4", "none"]


def test_a_skipped_slot_takes_no_tip() -> None:
    """A slot skipped on purpose repeats its reason, and the queue waits a week."""
    slots = [on(FIRST, state=SlotState.SKIPPED, reason="holiday"), on(FIRST + WEEK, state=SlotState.SKIPPED)]
    choices = plan([*slots, on(FIRST + 2 * WEEK)], [tip(1)])
    assert slugs(choices) == ["skipped", "skipped", "tip-1"]
    assert [choice.why for choice in choices[:2]] == ["skipped on purpose: holiday", "skipped on purpose"]


def test_a_pin_on_a_skipped_slot_is_reported() -> None:
    """The pinned tip of a skipped slot goes nowhere else by itself, and the slot warns."""
    choices = plan([on(FIRST, state=SlotState.SKIPPED), on(FIRST + WEEK)], [tip(1, pin=FIRST)])
    assert slugs(choices) == ["skipped", "none"]
    assert choices[0].warnings == ("'tip-1' is pinned to this date and will not go out",)


def test_slots_that_are_history_get_no_choice() -> None:
    """Sent, missed and empty slots are not the lineup's business; the others come in order of time."""
    slots = [on(FIRST + n * WEEK, state=state) for n, state in enumerate(SlotState)]
    choices = plan(slots[::-1], [tip(1)])
    assert [choice.slot.state for choice in choices] == [SlotState.OPEN, SlotState.SKIPPED]


def test_a_pin_goes_before_the_queue() -> None:
    """A pinned tip takes its date and nothing but its date; the queue goes around it."""
    choices = plan(weeks(3), [tip(1), tip(2, pin=FIRST + WEEK), tip(3)])
    assert slugs(choices) == ["tip-1", "tip-2", "tip-3"]
    assert (choices[1].source, choices[1].why) == (Source.PINNED, "pinned to this date")
    assert choices[2].why == "next in the queue (2nd of 2)"


def test_two_pins_on_one_date() -> None:
    """The one that is ahead in the queue goes, the other one stays out of the queue, and the slot warns."""
    choices = plan(weeks(2), [tip(2, pin=FIRST), tip(1, pin=FIRST)])
    assert slugs(choices) == ["tip-1", "none"]
    assert choices[0].warnings == ("'tip-2' is pinned to this date too",)


def test_a_pinned_draft_is_reported() -> None:
    """A draft does not go out on its pin date; the queue does, with a warning while there is time."""
    [choice] = plan(weeks(1), [tip(1, pin=FIRST, status=TipStatus.DRAFT), tip(2)])
    assert slugs([choice]) == ["tip-2"]
    assert choice.warnings == ("'tip-1' is pinned to this date but is a draft",)


def test_evergreens_fill_in_after_the_queue() -> None:
    """First those never sent, by position, then the one sent longest ago; a first-published date counts as sent."""
    tips = [
        tip(1, evergreen=True, first_published=date(2020, 1, 7)),
        tip(2, evergreen=True),
        tip(3, evergreen=True),
        tip(4, evergreen=True),
        tip(9),
    ]
    choices = plan(weeks(6), tips, [Sending(tip=TipId(2), date=date(2019, 1, 8))])
    assert slugs(choices) == ["tip-9", "tip-3", "tip-4", "tip-2", "tip-1", "none"]
    assert [choice.why for choice in choices[1::2]] == [
        "the queue is empty: an evergreen, never sent before",
        "the queue is empty: an evergreen, last sent Tuesday 8 January 2019",
        "the queue is empty and no evergreen of 4 is rested and in season",
    ]
    assert choices[1].source is Source.EVERGREEN


def test_an_evergreen_rests() -> None:
    """An evergreen comes again when its weeks of rest are over and not a week earlier, also within one lineup."""
    choices = plan(weeks(5), [tip(1, evergreen=True)], [Sending(tip=TipId(1), date=FIRST - WEEK)], rest=3)
    assert slugs(choices) == ["none", "none", "tip-1", "none", "none"]
    assert slugs(plan(weeks(4), [tip(1, evergreen=True)], rest=2)) == ["tip-1", "none", "tip-1", "none"]


def test_the_pin_of_an_evergreen_is_used_once() -> None:
    """An evergreen waits for its pin date, goes out then, and afterwards is an evergreen like any other."""
    pinned = tip(1, evergreen=True, pin=FIRST + WEEK)
    assert slugs(plan(weeks(5), [pinned], rest=2)) == ["none", "tip-1", "none", "tip-1", "none"]
    assert slugs(plan(weeks(1, FIRST + 3 * WEEK), [pinned], [Sending(tip=TipId(1), date=FIRST + WEEK)], rest=2)) == [
        "tip-1"
    ]


def test_an_evergreen_sent_ahead_of_time_rests_from_its_latest_date() -> None:
    """A pin before the date of an edition that was sent early does not shorten the rest after that edition."""
    sent = [Sending(tip=TipId(1), date=FIRST + 2 * WEEK)]
    choices = plan(weeks(6), [tip(1, evergreen=True, pin=FIRST)], sent, rest=3)
    assert slugs(choices) == ["tip-1", "none", "none", "none", "none", "tip-1"]


def test_a_pin_beats_rest_and_season_with_a_warning() -> None:
    """What a person pinned goes out, and the forecast says what speaks against it."""
    evergreen = tip(1, evergreen=True, pin=FIRST, season=Season(first=(6, 1), last=(8, 31)))
    [choice] = plan(weeks(1), [evergreen], [Sending(tip=TipId(1), date=date(2026, 10, 6))])
    assert choice.tip == evergreen
    assert choice.warnings == ("an evergreen that has not rested, last sent Tuesday 6 October 2026", "out of season")


@pytest.mark.parametrize(
    ("day", "inside"),
    [
        (date(2026, 11, 14), False),
        (date(2026, 11, 15), True),
        (date(2026, 12, 31), True),
        (date(2027, 1, 6), True),
        (date(2027, 1, 7), False),
    ],
)
def test_a_season_runs_over_the_new_year(day: date, *, inside: bool) -> None:
    """Both ends belong to a season, and the turn of the year does not end it."""
    assert in_season(Season(first=(11, 15), last=(1, 6)), day) is inside


def test_a_season_within_one_year_and_none_at_all() -> None:
    """A summer is not the winter, and a tip without a season is always in season."""
    summer = Season(first=(6, 1), last=(8, 31))
    assert [in_season(summer, date(2027, month, 1)) for month in (5, 6, 8, 9)] == [False, True, True, False]
    assert in_season(None, FIRST)


def test_an_evergreen_waits_for_its_season() -> None:
    """Out of season another evergreen goes, though it was sent later."""
    tips = [tip(1, evergreen=True, season=Season(first=(12, 1), last=(12, 31))), tip(2, evergreen=True)]
    assert slugs(plan(weeks(3), tips)) == ["tip-2", "tip-1", "none"]


def test_a_queued_tip_out_of_season_warns() -> None:
    """The queue keeps its order, and says that the tip does not fit the time of year."""
    [choice] = plan(weeks(1), [tip(1, season=Season(first=(6, 1), last=(8, 31)))])
    assert (slugs([choice]), choice.warnings) == (["tip-1"], ("out of season",))


def test_an_extra_date_close_to_another_warns() -> None:
    """Two mails within a week are told on both sides, also against what was sent; a week apart is not."""
    choices = plan([*weeks(2), on(date(2026, 11, 26), extra=True)], [tip(1), tip(2), tip(3)])
    assert [choice.warnings for choice in choices] == [
        (),
        ("only 2 days after the edition of 2026-11-24",),
        ("only 5 days after the edition of 2026-11-26",),
    ]
    [choice] = plan(weeks(1), [tip(1)], [Sending(tip=TipId(9), date=date(2026, 11, 23))])
    assert choice.warnings == ("only 1 day after the edition of 2026-11-23",)
    [choice] = plan(weeks(1), [tip(1)], [Sending(tip=TipId(9), date=FIRST - WEEK)])
    assert choice.warnings == ()


def test_last_sent_is_the_latest_of_all() -> None:
    """A first-published date is a sending, and the latest date counts."""
    tips = [tip(1, first_published=date(2019, 1, 8)), tip(2)]
    assert last_sent(tips, []) == {1: date(2019, 1, 8)}
    sent = [Sending(tip=TipId(1), date=date(2025, 1, 7)), Sending(tip=TipId(1), date=date(2024, 1, 2))]
    assert last_sent(tips, sent) == {1: date(2025, 1, 7)}


some_tips = st.lists(
    st.builds(
        dict,
        status=st.sampled_from([TipStatus.APPROVED] * 4 + list(TipStatus)),
        evergreen=st.booleans(),
        pin=st.sampled_from([None] * 4 + [FIRST + n * WEEK for n in range(-1, 5)]),
        part=st.none() | st.builds(TipPart, series=st.sampled_from(["git", "mail"]), number=st.integers(1, 4)),
        first_published=st.sampled_from([None, None, None, date(2026, 3, 3)]),
        season=st.sampled_from([None, None, Season(first=(12, 1), last=(1, 6))]),
    ),
    max_size=9,
).map(lambda values: [tip(n, **one) for n, one in enumerate(values, start=1)])
some_slots = st.lists(st.sampled_from([SlotState.OPEN] * 3 + [SlotState.SKIPPED]), max_size=10).map(
    lambda states: [on(FIRST + n * WEEK, state=state) for n, state in enumerate(states)]
)
some_history = st.lists(
    st.builds(Sending, tip=st.integers(1, 9).map(TipId), date=st.integers(1, 60).map(lambda n: FIRST - n * WEEK)),
    max_size=4,
)


@given(slots=some_slots, tips=some_tips, history=some_history, rest=st.integers(1, 5))
def test_no_tip_comes_twice_unless_it_is_evergreen_and_rested(
    slots: list[Slot], tips: list[Tip], history: list[Sending], rest: int
) -> None:
    """Counting what was sent before, a plain tip goes out at most once and an evergreen only after its rest."""
    last = last_sent(tips, history)
    choices = plan(slots, tips, history, rest)
    assert len(choices) == len(slots)
    for choice in choices:
        assert choice.why
        if choice.tip is None:
            continue
        assert choice.tip.status is TipStatus.APPROVED
        before = last.get(choice.tip.id)
        if choice.source is Source.EVERGREEN:
            assert before is None or choice.slot.date - before >= rest * WEEK
        else:
            assert before is None or choice.tip.evergreen
        last[choice.tip.id] = choice.slot.date


@given(slots=some_slots, tips=some_tips, history=some_history)
def test_the_queue_keeps_its_order(slots: list[Slot], tips: list[Tip], history: list[Sending]) -> None:
    """Tips outside a series leave the queue by position, and those of one series by part."""
    queued = [choice.tip for choice in plan(slots, tips, history) if choice.source is Source.QUEUE and choice.tip]
    plain = [tip.position for tip in queued if tip.part is None]
    assert plain == sorted(plain)
    for name in ("git", "mail"):
        parts = [tip.part.number for tip in queued if tip.part and tip.part.series == name]
        assert parts == sorted(parts)


@given(slots=some_slots, tips=some_tips, history=some_history, place=st.integers(0, 9))
def test_an_evergreen_never_takes_a_queue_place(
    slots: list[Slot], tips: list[Tip], history: list[Sending], place: int
) -> None:
    """One more evergreen, wherever it stands, changes nothing about which queued or pinned tip goes where."""
    # An evergreen that a series waits for is a turn of that series, and may well move it.
    tips = [tip for tip in tips if not (tip.evergreen and tip.part)]
    more = tip(100, evergreen=True, position=place)

    def fixed(choices: list[Choice]) -> list[tuple[date, Tip]]:
        return [
            (choice.slot.date, choice.tip)
            for choice in choices
            if choice.tip and choice.source in (Source.QUEUE, Source.PINNED)
        ]

    assert fixed(plan(slots, [*tips, more], history)) == fixed(plan(slots, tips, history))


@given(slots=some_slots, tips=some_tips, history=some_history, order=st.randoms(use_true_random=False))
def test_a_lineup_depends_on_nothing_but_its_input(
    slots: list[Slot], tips: list[Tip], history: list[Sending], order: object
) -> None:
    """The same slots, tips and history give the same lineup in whatever order they come."""
    expected = plan(slots, tips, history)
    for values in (slots, tips, history):
        order.shuffle(values)  # type: ignore[attr-defined]
    assert plan(slots, tips, history) == expected


def test_a_long_lineup_is_quick() -> None:
    """A thousand tips, a twenty years' history and a year of slots take no time that a person would notice."""
    series = [None, None, "git", "old"]
    parts = [TipPart(series=name, number=n) if (name := series[n % 4]) else None for n in range(1, 1001)]
    tips = [tip(n, part=part, evergreen=n % 4 in (1, 3)) for n, part in enumerate(parts, start=1)]
    history = [Sending(tip=TipId(4 * n % 1000), date=FIRST - n * WEEK) for n in range(1, 1041)]
    start = time.perf_counter()
    choices = plan(weeks(52), tips, history)
    # Measured: about 10 ms. The limit is far off, since a busy machine must not fail the suite.
    assert time.perf_counter() - start < 1
    assert all(choice.tip for choice in choices)
