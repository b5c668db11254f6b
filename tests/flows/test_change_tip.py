"""What people do to tips, one by one: approve, retire, move, pin and unpin."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from newsletter.core.tip import TipStatus
from newsletter.errors import InputError, NotNow
from newsletter.flows.change_slot import add_slot, skip_slot
from newsletter.flows.change_tip import approve_tips, move_tip, pin_tip, retire_tip, unpin_tip
from newsletter.flows.queue_tip import edit_tip
from newsletter.store.unit import Unit
from tests.flows.tip_fixtures import (
    NOW,
    RULES,
    TUESDAYS,
    WHO,
    freeze_on,
    logged,
    queue,
    review,
    stored,
    subscribe,
    tip_file,
)

WEDNESDAY = date(2026, 11, 4)


def test_approving_tells_which_were_not_approved_before(unit: Unit) -> None:
    """Approving twice is harmless and logged once."""
    queue(unit, tip_file("a", status="draft"), tip_file("b"))
    fresh = approve_tips(unit, list(stored(unit).values()), review(), who=WHO)
    assert [tip.slug for tip in fresh] == ["a"]
    assert {tip.status for tip in stored(unit).values()} == {TipStatus.APPROVED}
    assert logged(unit)[-1] == ("tip approve", "a")


def test_a_tip_that_cannot_be_sent_is_not_approved(unit: Unit) -> None:
    """The gates of the freeze say no, and the good tip of the same command waits with it."""
    long = "\n\n".join(["word " * 8] * 1_400)
    queue(unit, tip_file("good", status="draft"), tip_file("long", status="draft", body=long))
    with pytest.raises(InputError, match="not approved: long: the HTML part is"):
        approve_tips(unit, list(stored(unit).values()), review(), who=WHO)
    assert {tip.status for tip in stored(unit).values()} == {TipStatus.DRAFT}


def test_a_tip_that_went_out_is_not_approved_again(unit: Unit) -> None:
    """Nobody gets it twice because of one word on a command line, not even after it was retired."""
    subscribe(unit, "ada")
    queue(unit, tip_file("a"))
    freeze_on(unit, TUESDAYS[0])
    with pytest.raises(InputError, match="was sent already"):
        approve_tips(unit, [stored(unit)["a"]], review(), who=WHO)


def test_a_retired_tip_that_went_out_stays_out_once_it_is_no_evergreen(unit: Unit) -> None:
    """Readers had it; that it was taken out and lost its key since does not make it new."""
    subscribe(unit, "ada")
    queue(unit, tip_file("a", "evergreen: true"))
    freeze_on(unit, TUESDAYS[0])
    retire_tip(unit, stored(unit)["a"], who=WHO, why="", now=NOW)
    edit_tip(unit, stored(unit)["a"], tip_file("a", status="draft"), review(), who=WHO)
    with pytest.raises(InputError, match="was sent already"):
        approve_tips(unit, [stored(unit)["a"]], review(), who=WHO)
    assert stored(unit)["a"].status is TipStatus.RETIRED


def test_retiring_frees_the_date(unit: Unit) -> None:
    """Another tip can be pinned to it at once."""
    queue(unit, tip_file("a", f"pin: {TUESDAYS[1]}"), tip_file("b"))
    retire_tip(unit, stored(unit)["a"], who=WHO, why="outdated", now=NOW)
    pin_tip(unit, stored(unit)["b"], TUESDAYS[1], review(), who=WHO)
    tips = stored(unit)
    assert (tips["a"].status, tips["a"].pin, tips["b"].pin) == (TipStatus.RETIRED, None, TUESDAYS[1])


def test_a_tip_moves_before_another_first_and_last(unit: Unit) -> None:
    """The queue has the new order after each move."""
    queue(unit, *(tip_file(slug) for slug in "abcd"))
    tips = stored(unit)
    move_tip(unit, tips["d"], before=tips["b"], who=WHO, now=NOW)
    assert list(stored(unit)) == ["a", "d", "b", "c"]
    move_tip(unit, stored(unit)["c"], before=None, first=True, who=WHO, now=NOW)
    assert list(stored(unit)) == ["c", "a", "d", "b"]
    move_tip(unit, stored(unit)["c"], before=None, who=WHO, now=NOW)
    assert list(stored(unit)) == ["a", "d", "b", "c"]


def test_a_tip_that_is_out_of_the_queue_cannot_be_moved(unit: Unit) -> None:
    """A retired tip has no place, and none can be put before it; nor before itself."""
    queue(unit, tip_file("a"), tip_file("b"))
    retire_tip(unit, stored(unit)["a"], who=WHO, why="", now=NOW)
    tips = stored(unit)
    for tip, before in ((tips["a"], tips["b"]), (tips["b"], tips["a"]), (tips["b"], tips["b"])):
        with pytest.raises(InputError):
            move_tip(unit, tip, before=before, who=WHO, now=NOW)


def test_a_pin_needs_a_date_on_which_something_goes_out(unit: Unit) -> None:
    """A Wednesday is refused with the dates around it and the command that adds it; a past date as well."""
    queue(unit, tip_file("a"))
    tip = stored(unit)["a"]
    with pytest.raises(InputError, match=r"^nothing goes out on Wednesday.*newsletter slot add 2026-11-04$"):
        pin_tip(unit, tip, WEDNESDAY, review(), who=WHO)
    with pytest.raises(InputError, match="is past"):
        pin_tip(unit, tip, date(2026, 10, 27), review(), who=WHO)
    assert stored(unit)["a"].pin is None
    add_slot(unit, WEDNESDAY, None, review(), tip=None, who=WHO)
    assert pin_tip(unit, tip, WEDNESDAY, review(), who=WHO).pin == WEDNESDAY


def test_an_extra_date_takes_no_pin_once_its_hour_has_come(unit: Unit) -> None:
    """A pin to it would go out at once, which is not what a date for later means."""
    queue(unit, tip_file("a"))
    add_slot(unit, WEDNESDAY, time(11), review(), tip=None, who=WHO)
    noon = review(datetime(2026, 11, 4, 17, tzinfo=UTC))
    with pytest.raises(InputError, match="the time of Wednesday 4 November 2026 is past"):
        pin_tip(unit, stored(unit)["a"], WEDNESDAY, noon, who=WHO)


def test_a_date_has_one_tip(unit: Unit) -> None:
    """The refusal names the other tip; the same pin again changes nothing."""
    queue(unit, tip_file("a", f"pin: {TUESDAYS[1]}"), tip_file("b"))
    with pytest.raises(InputError, match="a is pinned to Tuesday 10 November 2026 already"):
        pin_tip(unit, stored(unit)["b"], TUESDAYS[1], review(), who=WHO)
    before = logged(unit)
    assert pin_tip(unit, stored(unit)["a"], TUESDAYS[1], review(), who=WHO).pin == TUESDAYS[1]
    assert logged(unit) == before


def test_a_tip_is_not_pinned_to_a_date_that_is_gone(unit: Unit) -> None:
    """A skipped date and one whose edition has begun are refused with what can be done."""
    subscribe(unit, "ada")
    queue(unit, tip_file("a"), tip_file("b"))
    freeze_on(unit, TUESDAYS[0])
    skip_slot(unit, TUESDAYS[1], RULES, who=WHO, because="fair", now=NOW)
    tip = stored(unit)["b"]
    with pytest.raises(InputError, match="has begun already"):
        pin_tip(unit, tip, TUESDAYS[0], review(), who=WHO)
    with pytest.raises(InputError, match=r"is skipped \(fair\); `newsletter slot unskip 2026-11-10`"):
        pin_tip(unit, tip, TUESDAYS[1], review(), who=WHO)


def test_tips_that_are_done_are_not_pinned(unit: Unit) -> None:
    """Neither one that went out nor one that is retired can wait for a date."""
    subscribe(unit, "ada")
    queue(unit, tip_file("a"), tip_file("b"))
    freeze_on(unit, TUESDAYS[0])
    retire_tip(unit, stored(unit)["b"], who=WHO, why="", now=NOW)
    for slug in ("a", "b"):
        with pytest.raises(InputError):
            pin_tip(unit, stored(unit)[slug], TUESDAYS[2], review(), who=WHO)


def test_unpinning_gives_a_tip_back_to_the_queue(unit: Unit) -> None:
    """It has its old place there; unpinning it again changes nothing."""
    queue(unit, tip_file("a", f"pin: {TUESDAYS[4]}"), tip_file("b"))
    freed = unpin_tip(unit, stored(unit)["a"], who=WHO, now=NOW)
    assert freed.pin is None
    assert list(stored(unit)) == ["a", "b"]
    before = logged(unit)
    assert unpin_tip(unit, freed, who=WHO, now=NOW) == freed
    assert logged(unit) == before


def test_a_tip_that_changed_since_it_was_read_is_not_changed_again(unit: Unit) -> None:
    """Two people at once: the second is told, and overwrites nothing."""
    queue(unit, tip_file("a"))
    seen = stored(unit)["a"]
    retire_tip(unit, seen, who=WHO, why="", now=NOW)
    with pytest.raises(NotNow):
        pin_tip(unit, seen, TUESDAYS[1], review(), who=WHO)
    with pytest.raises(NotNow):
        move_tip(unit, seen, before=None, who=WHO, now=NOW)
