"""The forecast says in time what runs out and what is stranded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest

from newsletter.core.cadence import Cadence, Slot, SlotState, extra_slot, slot_on
from newsletter.core.forecast import forecast_warnings, stock_of, stranded
from newsletter.core.lineup import Choice, LineupRules, Sending, Source
from newsletter.core.tip import Tip, TipId, TipStatus

TUESDAYS = Cadence(weekday=1, at=time(9), zone="America/New_York")
FIRST = date(2026, 11, 24)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
RULES = LineupRules(low_stock_weeks=3)
NAMES = {"q": Source.QUEUE, "p": Source.PINNED, "e": Source.EVERGREEN, "-": Source.NONE, "s": Source.SKIPPED}


def tip(number: int, **changes: object) -> Tip:
    """Return an approved tip, named by its place in the queue."""
    name = f"tip-{number}"
    plain = Tip(
        id=TipId(number), slug=name, title=name, subject=name, status=TipStatus.APPROVED, body="", position=number
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def tuesday(day: date = FIRST, **changes: object) -> Slot:
    """Return the weekly slot of a date."""
    slot = slot_on(TUESDAYS, day)
    assert slot is not None
    return replace(slot, **changes)  # type: ignore[arg-type]


def choices(text: str) -> list[Choice]:
    """Return one choice a week: `q`ueue, `p`inned, `e`vergreen, `s`kipped or `-`."""
    return [
        Choice(
            slot=tuesday(FIRST + n * WEEK), tip=tip(n + 1) if letter in "qpe" else None, source=NAMES[letter], why="."
        )
        for n, letter in enumerate(text)
    ]


def why(pinned_tip: Tip, *slots: Slot, sent: tuple[Sending, ...] = (), now: datetime = NOW) -> str:
    """Return why a tip is stranded, or nothing."""
    stranded_tips = stranded([pinned_tip], slots, sent, cadence=TUESDAYS, now=now)
    return stranded_tips[0].why if stranded_tips else ""


@pytest.mark.parametrize(
    ("text", "weeks"), [("", 0), ("-", 0), ("qq", 2), ("qpe--", 3), ("qsq-q", 2), ("s-", 0), ("q-qqq", 1)]
)
def test_stock_counts_the_weeks_before_the_first_empty_slot(text: str, weeks: int) -> None:
    """Any source fills a week, a skipped one neither counts nor ends it, and what lies behind a hole is no stock."""
    assert stock_of(choices(text)).weeks == weeks


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("q" + 16 * "e", "1 fresh tip, then 16 evergreens"),
        ("qqe", "2 fresh tips, then 1 evergreen"),
        ("ee", "no fresh tip, then 2 evergreens"),
        ("pq", "2 fresh tips"),
        ("-", "no fresh tip"),
    ],
)
def test_evergreens_are_no_fresh_tips(text: str, words: str) -> None:
    """Evergreens fill weeks, and are named beside the fresh tips."""
    assert stock_of(choices(text)).describe() == words


def test_an_extra_date_is_no_week_of_stock() -> None:
    """A tip that goes to an extra date leaves the weeks as they are."""
    extra = Choice(slot=extra_slot(TUESDAYS, date(2026, 11, 26)), tip=tip(9), source=Source.PINNED, why=".")
    first, second = choices("qq")
    assert stock_of([first, extra, second]).weeks == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("qqqq", []),
        ("qq", []),
        ("qqq-", ["approved tips end on Tuesday 8 December 2026"]),
        (
            "qq--",
            ["approved tips end on Tuesday 1 December 2026", "low stock: 2 fresh tips for the next 3 weeks"],
        ),
        (
            "--",
            [
                "no approved tip for the next edition, Tuesday 24 November 2026",
                "low stock: no fresh tip for the next 3 weeks",
            ],
        ),
        ("qqqs-q", ["no approved tip for Tuesday 22 December 2026"]),
        (
            "qepee",
            [
                "low stock: 2 fresh tips, then 3 evergreens for the next 3 weeks",
                "only evergreens are left from Tuesday 15 December 2026 on",
            ],
        ),
        (
            "ee",
            [
                "low stock: no fresh tip, then 2 evergreens for the next 3 weeks",
                "only evergreens are left from Tuesday 24 November 2026 on",
            ],
        ),
        ("ss", []),
        ("", []),
    ],
)
def test_what_a_lineup_warns_of(text: str, message: list[str]) -> None:
    """The end of the tips, low stock and the last queued tip are told with their dates, and otherwise nothing."""
    assert forecast_warnings(choices(text), RULES) == message


def test_warnings_of_a_date_follow_with_that_date() -> None:
    """What a choice warns of is repeated after the warnings of the whole."""
    first, second, *_ = choices("qqq")
    third = replace(second, warnings=("out of season", "only 2 days after the edition of 2026-11-24"))
    assert forecast_warnings([first, third], RULES) == [
        "2026-12-01: out of season",
        "2026-12-01: only 2 days after the edition of 2026-11-24",
    ]


@pytest.mark.parametrize(
    ("state", "reason", "message"),
    [
        (SlotState.OPEN, "", ""),
        (SlotState.SKIPPED, "holiday", "Tuesday 24 November 2026 was skipped: holiday"),
        (SlotState.SKIPPED, "", "Tuesday 24 November 2026 was skipped"),
        (SlotState.MISSED, "too late", "Tuesday 24 November 2026 was missed: too late"),
        (SlotState.EMPTY, "nobody to send to", "Tuesday 24 November 2026 stayed empty: nobody to send to"),
        (SlotState.FROZEN, "", "the edition of Tuesday 24 November 2026 was cancelled"),
    ],
)
def test_a_pin_shares_the_fate_of_its_slot(state: SlotState, reason: str, message: str) -> None:
    """A pinned tip is stranded when its slot is over without it, with the reason; an open slot strands nobody."""
    assert why(tip(1, pin=FIRST), tuesday(state=state, reason=reason)) == message


def test_a_slot_that_took_another_tip() -> None:
    """When another tip went out on the pin's date, that is said."""
    frozen = tuesday(state=SlotState.FROZEN)
    sent = (Sending(tip=TipId(2), date=FIRST),)
    assert why(tip(1, pin=FIRST), frozen, sent=sent) == "Tuesday 24 November 2026 took another tip"


def test_a_late_slot_inside_the_grace_strands_nobody() -> None:
    """A slot whose time is over but which is still open may yet go out with its pin."""
    assert why(tip(1, pin=FIRST), tuesday(), now=datetime(2026, 11, 25, 12, tzinfo=UTC)) == ""


@pytest.mark.parametrize(
    ("pin", "message"),
    [
        (FIRST, ""),
        (date(2030, 1, 1), ""),
        (date(2026, 11, 17), "Tuesday 17 November 2026 has passed"),
        (date(2026, 11, 18), "Wednesday 18 November 2026 has passed"),
        (
            date(2026, 11, 25),
            (
                "no edition goes out on Wednesday 25 November 2026; "
                "the nearest are Tuesday 24 November 2026 and Tuesday 1 December 2026"
            ),
        ),
    ],
)
def test_a_pin_without_a_stored_slot(pin: date, message: str) -> None:
    """A coming Tuesday is waited for however far it is; a past date and a day without an edition are told."""
    assert why(tip(1, pin=pin)) == message


def test_a_pin_on_today_after_the_hour() -> None:
    """A Tuesday that is over by an hour, and of which nothing is stored, has passed."""
    assert why(tip(1, pin=FIRST), now=datetime(2026, 11, 24, 15, tzinfo=UTC)) == "Tuesday 24 November 2026 has passed"


def test_an_extra_date_takes_its_pin() -> None:
    """A pin on a Thursday is fine when that Thursday was added."""
    thursday = date(2026, 11, 26)
    assert why(tip(1, pin=thursday), extra_slot(TUESDAYS, thursday)) == ""


def test_the_second_of_two_pins_is_stranded() -> None:
    """Of two tips on one date the one behind in the queue is told who goes first."""
    [stranded_tips] = stranded([tip(2, pin=FIRST), tip(1, pin=FIRST)], [], [], cadence=TUESDAYS, now=NOW)
    assert stranded_tips.tip.slug == "tip-2"
    assert stranded_tips.why == "'tip-1' is pinned to Tuesday 24 November 2026 too and goes first"


def test_an_approved_tip_that_was_sent_is_stranded() -> None:
    """It takes no slot, which must not be silent; an evergreen does, and its used pin strands it no more."""
    sent = (Sending(tip=TipId(1), date=date(2026, 11, 17)),)
    assert why(tip(1), sent=sent) == "it went out on Tuesday 17 November 2026 and is no evergreen"
    assert why(tip(1, first_published=date(2019, 1, 8))) == "it went out on Tuesday 8 January 2019 and is no evergreen"
    assert why(tip(1, evergreen=True, pin=date(2026, 11, 17)), sent=sent) == ""


@pytest.mark.parametrize("status", sorted(set(TipStatus) - {TipStatus.APPROVED}))
def test_only_an_approved_tip_can_be_stranded(status: TipStatus) -> None:
    """A draft, a sent or a retired tip waits for nothing."""
    assert why(tip(1, pin=date(2026, 11, 17), status=status)) == ""


def test_a_tip_without_a_pin_waits_its_turn() -> None:
    """The queue strands nobody."""
    assert why(tip(1), tuesday(state=SlotState.SKIPPED)) == ""
