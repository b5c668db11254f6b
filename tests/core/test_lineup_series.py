"""The parts of a series keep their order, whatever happens to one of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from newsletter.core.cadence import Slot, SlotState
from newsletter.core.lineup import Choice, LineupRules, Sending, lineup
from newsletter.core.tip import Tip, TipId, TipPart, TipStatus

FIRST = date(2026, 11, 24)
WEEK = timedelta(days=7)


def tip(number: int, **changes: object) -> Tip:
    """Return an approved tip, named by its place in the queue."""
    name = f"tip-{number}"
    plain = Tip(
        id=TipId(number), slug=name, title=name, subject=name, status=TipStatus.APPROVED, body="", position=number
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def part(number: int, nth: int, **changes: object) -> Tip:
    """Return part `of` of the series, at a place in the queue."""
    return tip(number, part=TipPart(series="git", number=nth), **changes)


def plan(weeks: int, tips: list[Tip], *sent: tuple[int, date]) -> list[Choice]:
    """Return the lineup of some weeks."""
    days = [FIRST + n * WEEK for n in range(weeks)]
    slots = [Slot(date=day, sends_at=datetime(day.year, day.month, day.day, 14, tzinfo=UTC)) for day in days]
    return lineup(slots, tips, [Sending(tip=TipId(number), date=day) for number, day in sent], LineupRules())


def slugs(choices: list[Choice]) -> list[str]:
    """Return the slug that each slot gets, or `none`."""
    return [choice.tip.slug if choice.tip else "none" for choice in choices]


def test_parts_go_by_part_and_not_by_position() -> None:
    """Part 2, ahead in the queue, lets part 1 go first and then follows at once."""
    choices = plan(3, [part(1, nth=2), tip(2), part(3, nth=1)])
    assert slugs(choices) == ["tip-2", "tip-3", "tip-1"]
    assert choices[0].warnings == ("'tip-1' waits for part 1 of its series, 'tip-3', which is behind it in the queue",)
    assert choices[1].warnings == choices[2].warnings == ()


def test_a_draft_holds_up_its_series_and_nothing_else() -> None:
    """Parts 2 and 3 wait while part 1 is a draft; other tips go, and the forecast says so once."""
    choices = plan(
        3,
        [
            part(1, nth=1, status=TipStatus.DRAFT),
            part(2, nth=2),
            part(3, nth=3),
            tip(4),
        ],
    )
    assert slugs(choices) == ["tip-4", "none", "none"]
    assert choices[0].why == "next in the queue (3rd of 3)"
    assert choices[0].warnings == ("'tip-2' waits for part 1 of its series, 'tip-1', which is a draft",)
    assert choices[1].warnings == ()
    assert choices[1].why == "no queued tip can go yet (2 waiting for an earlier part of a series)"


def test_a_waiting_series_lets_an_evergreen_in() -> None:
    """When every queued tip waits, an evergreen fills the slot and its reason does not call the queue empty."""
    [choice] = plan(1, [part(1, nth=1, status=TipStatus.DRAFT), part(2, nth=2), tip(3, evergreen=True)])
    assert slugs([choice]) == ["tip-3"]
    assert choice.why == "no queued tip can go yet: an evergreen, never sent before"


@pytest.mark.parametrize("status", [TipStatus.RETIRED, TipStatus.SENT])
def test_a_part_that_is_done_is_stepped_over(status: TipStatus) -> None:
    """A retired or sent part holds nobody up."""
    assert slugs(plan(2, [part(1, nth=1, status=status), part(2, nth=2), part(3, nth=3)])) == ["tip-2", "tip-3"]


def test_a_part_waits_for_one_that_is_pinned_later() -> None:
    """Part 2 lets others go until the pinned part 1 has gone."""
    choices = plan(4, [part(1, nth=2), part(2, nth=1, pin=FIRST + 2 * WEEK), tip(3), tip(4)])
    assert slugs(choices) == ["tip-3", "tip-4", "tip-2", "tip-1"]
    assert choices[0].warnings == ("'tip-1' waits for part 1 of its series, 'tip-2', which is pinned to 2026-12-08",)


def test_a_part_waits_for_one_that_is_stranded() -> None:
    """A pin in the past holds its series up until a person acts; telling it out of order would be worse."""
    choices = plan(2, [part(1, nth=1, pin=FIRST - WEEK), part(2, nth=2), tip(3)])
    assert slugs(choices) == ["tip-3", "none"]
    assert "which is pinned to 2026-11-17" in choices[0].warnings[0]


def test_a_pinned_part_may_break_the_order() -> None:
    """A person's pin on part 2 stands though part 1 comes later, with a warning; part 3 still waits for part 1."""
    choices = plan(3, [part(1, nth=3), part(2, nth=2, pin=FIRST), part(3, nth=1)])
    assert slugs(choices) == ["tip-2", "tip-3", "tip-1"]
    assert choices[0].warnings == (
        "out of order: part 1 of its series has not gone out, 'tip-3', which is behind it in the queue",
    )


def test_a_pinned_part_in_order_does_not_warn() -> None:
    """A pin after the earlier part is nothing to warn of."""
    choices = plan(2, [part(1, nth=1), part(2, nth=2, pin=FIRST + WEEK)])
    assert [choice.warnings for choice in choices] == [(), ()]


def test_tips_between_two_parts_are_reported() -> None:
    """Other tips may go between two parts; the second part says how many, also when the first went out long ago."""
    choices = plan(3, [part(1, nth=1), tip(2, pin=FIRST + WEEK), part(3, nth=2)])
    assert choices[2].warnings == ("1 other tip between it and part 1 of its series",)
    earlier = [(1, FIRST - 4 * WEEK), (8, FIRST - 3 * WEEK), (9, FIRST - 2 * WEEK)]
    [choice] = plan(1, [part(1, nth=1, status=TipStatus.SENT), part(3, nth=2)], *earlier)
    assert choice.warnings == ("2 other tips between it and part 1 of its series",)


def test_a_part_that_nobody_wrote_is_reported() -> None:
    """Part 3 without a part 2 goes out, as it could wait for ever, with a warning."""
    choices = plan(2, [part(1, nth=1), part(2, nth=3)])
    assert slugs(choices) == ["tip-1", "tip-2"]
    assert choices[1].warnings == ("part 2 of its series is not among the tips",)
    [choice] = plan(1, [part(1, nth=2)])
    assert choice.warnings == ("part 1 of its series is not among the tips",)


def test_an_evergreen_series_keeps_its_order_in_each_round() -> None:
    """Part 2 is not sent before part 1 was, though it stands ahead of it."""
    tips = [part(1, nth=2, evergreen=True), part(2, nth=1, evergreen=True)]
    assert slugs(plan(3, tips)) == ["tip-2", "tip-1", "none"]


def test_a_later_round_of_an_evergreen_series_does_not_warn() -> None:
    """What went between two parts matters when they are new, not when they come again years later."""
    tips = [part(1, nth=1, evergreen=True), part(2, nth=2, evergreen=True)]
    [choice] = plan(1, tips, (2, date(2024, 1, 9)), (1, date(2026, 1, 6)), (9, date(2026, 6, 2)))
    assert (slugs([choice]), choice.warnings) == (["tip-2"], ())


def test_two_sendings_of_one_date_have_a_fixed_order() -> None:
    """Two editions of one date are read in the same order however the store returns them."""
    tips = [part(1, nth=1, status=TipStatus.SENT), part(2, nth=2)]
    sent = [(1, FIRST - WEEK), (9, FIRST - WEEK)]
    assert plan(1, tips, *sent) == plan(1, tips, *sent[::-1])


def test_a_queued_part_waits_for_an_evergreen_one() -> None:
    """Part 1 is an evergreen and takes no queue place: part 2 waits until it filled a slot."""
    choices = plan(3, [part(1, nth=1, evergreen=True), part(2, nth=2), tip(3)])
    assert slugs(choices) == ["tip-3", "tip-1", "tip-2"]
    assert "which is an evergreen and takes no queue place" in choices[0].warnings[0]


def test_two_series_do_not_wait_for_each_other() -> None:
    """A held-up series leaves another one alone."""
    other = [tip(number, part=TipPart(series="mail", number=number - 2)) for number in (3, 4)]
    assert slugs(plan(2, [part(1, nth=1, status=TipStatus.DRAFT), part(2, nth=2), *other])) == ["tip-3", "tip-4"]


def test_a_skipped_slot_does_not_move_a_series() -> None:
    """The part that a skipped slot would have had goes a week later, before the next part."""
    slots = [
        Slot(date=FIRST, sends_at=datetime(2026, 11, 24, 14, tzinfo=UTC), state=SlotState.SKIPPED),
        Slot(date=FIRST + WEEK, sends_at=datetime(2026, 12, 1, 14, tzinfo=UTC)),
    ]
    assert slugs(lineup(slots, [part(1, nth=2), part(2, nth=1)], [], LineupRules())) == [
        "none",
        "tip-2",
    ]
