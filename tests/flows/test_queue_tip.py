"""Tip files on their way into the queue: all or none, every fault at its line, and nothing that went out rewritten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date

import pytest

from newsletter.core.tip import TipStatus
from newsletter.errors import InputError, NotNow
from newsletter.flows.change_tip import retire_tip, unpin_tip
from newsletter.flows.queue_tip import QueueOutcome, TipText, edit_tip
from newsletter.store.unit import Tx, Unit
from tests.flows.tip_fixtures import (
    NOW,
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


def test_files_become_tips_in_their_order(unit: Unit) -> None:
    """The queue has the order of the files, and the log names each tip."""
    report = queue(unit, tip_file("b"), tip_file("a", status="draft"))
    assert [one.outcome for one in report] == [QueueOutcome.ADDED, QueueOutcome.ADDED]
    assert [(slug, tip.status) for slug, tip in stored(unit).items()] == [
        ("b", TipStatus.APPROVED),
        ("a", TipStatus.DRAFT),
    ]
    assert logged(unit) == [("tip add", "b"), ("tip add", "a")]


def test_one_faulty_file_keeps_all_out_and_every_fault_is_listed(unit: Unit) -> None:
    """Nothing is changed; the faults of both files come with file and line."""
    wrong = tip_file("a", "pni: 2026-11-10")
    worse = tip_file("b", f"pin: {WEDNESDAY}", body="Hello {{ frist_name|x }}")
    late = tip_file("c", f"pin: {WEDNESDAY}")
    with pytest.raises(InputError, match="3 of 4 files") as caught:
        queue(unit, tip_file("good"), wrong, worse, late)
    details = "\n".join(caught.value.details)
    assert "a.md: line 5:" in details
    assert "b.md: line 8: unknown merge field" in details
    assert "c.md: line 5: pin: nothing goes out on Wednesday 4 November 2026" in details
    assert "newsletter slot add 2026-11-04" in details
    assert stored(unit) == {}
    assert logged(unit) == []


def test_the_same_file_again_changes_nothing(unit: Unit) -> None:
    """A folder may be imported as often as one likes."""
    queue(unit, tip_file("a"))
    before = stored(unit)
    assert queue(unit, tip_file("a"))[0].outcome is QueueOutcome.UNCHANGED
    assert stored(unit) == before
    assert logged(unit) == [("tip add", "a")]


def test_a_changed_file_updates_its_tip_in_place(unit: Unit) -> None:
    """The words change, the place in the queue stays."""
    queue(unit, tip_file("a"), tip_file("b"))
    place = stored(unit)["a"].position
    assert queue(unit, tip_file("a", body="Better."))[0].outcome is QueueOutcome.UPDATED
    assert (stored(unit)["a"].body, stored(unit)["a"].position) == ("Better.", place)


def test_an_import_takes_back_neither_an_approval_nor_a_pin(unit: Unit) -> None:
    """A file that says nothing of them leaves alone what people decided since."""
    queue(unit, tip_file("a", f"pin: {TUESDAYS[2]}"))
    queue(unit, tip_file("a", status="draft", body="Better."))
    tip = stored(unit)["a"]
    assert (tip.status, tip.pin, tip.body) == (TipStatus.APPROVED, TUESDAYS[2], "Better.")


def test_a_retired_tip_is_not_brought_back_by_its_file(unit: Unit) -> None:
    """A folder imported again does not undo what a person took out."""
    queue(unit, tip_file("a", f"pin: {TUESDAYS[2]}"))
    retire_tip(unit, stored(unit)["a"], who=WHO, why="", now=NOW)
    queue(unit, tip_file("a", f"pin: {TUESDAYS[2]}", body="Better."))
    tip = stored(unit)["a"]
    assert (tip.status, tip.pin, tip.body) == (TipStatus.RETIRED, None, "Better.")


def test_a_tip_that_went_out_is_left_alone(unit: Unit) -> None:
    """The stored words are those that readers got; the caller hears of it."""
    subscribe(unit, "ada")
    queue(unit, tip_file("a", f"pin: {TUESDAYS[0]}"))
    freeze_on(unit, TUESDAYS[0])
    before = stored(unit)
    assert queue(unit, tip_file("a", body="Better."))[0].outcome is QueueOutcome.SENT
    assert queue(unit, tip_file("a", f"pin: {TUESDAYS[0]}"))[0].outcome is QueueOutcome.UNCHANGED
    assert stored(unit) == before


def test_an_evergreen_that_went_out_may_be_reworded(unit: Unit) -> None:
    """It goes out again, so its next readers get the new words; its old pin is not set again."""
    subscribe(unit, "ada")
    keys = ("evergreen: true", f"pin: {TUESDAYS[0]}")
    queue(unit, tip_file("a", *keys))
    freeze_on(unit, TUESDAYS[0])
    assert queue(unit, tip_file("a", *keys, body="Better."))[0].outcome is QueueOutcome.UPDATED
    tip = stored(unit)["a"]
    assert (tip.body, tip.status, tip.pin) == ("Better.", TipStatus.APPROVED, None)


def test_a_tip_that_could_not_be_frozen_is_not_taken_as_approved(unit: Unit) -> None:
    """A body of 56 KB is too long once it is a mail, so the gate says no at the import and not on Tuesday."""
    long = "\n\n".join(["word " * 8] * 1_400)
    with pytest.raises(InputError) as caught:
        queue(unit, tip_file("a", body=long))
    assert "the HTML part is" in caught.value.details[0]
    assert queue(unit, tip_file("a", status="draft", body=long))[0].outcome is QueueOutcome.ADDED


@pytest.mark.parametrize("key", ["date", "first_published"])
def test_a_first_publication_lies_in_the_past(unit: Unit, key: str) -> None:
    """An author who writes the coming date means a pin; an evergreen would rest from a day that is still to come."""
    with pytest.raises(InputError) as caught:
        queue(unit, tip_file("a", f"{key}: {TUESDAYS[0]}"))
    (fault,) = caught.value.details
    assert fault.endswith(
        f"{key}: {TUESDAYS[0]} is still to come; “pin: {TUESDAYS[0]}” chooses the date on which a tip goes out"
    )
    assert queue(unit, tip_file("a", f"{key}: 2019-03-05"))[0].outcome is QueueOutcome.ADDED


def test_two_files_of_one_slug_are_refused(unit: Unit) -> None:
    """One would silently undo the other."""
    twin = TipText(name="twin.md", text=tip_file("a").text)
    with pytest.raises(InputError, match="1 of 2 files") as caught:
        queue(unit, tip_file("a"), twin)
    assert "twin.md: line 3: slug: a.md is named" in caught.value.details[0]


def test_a_date_has_one_pin(unit: Unit) -> None:
    """Neither a stored tip nor a file of the same folder can have it too."""
    queue(unit, tip_file("a", f"pin: {TUESDAYS[1]}"))
    with pytest.raises(InputError) as caught:
        queue(unit, tip_file("b", f"pin: {TUESDAYS[1]}"))
    assert "newsletter tip unpin a" in caught.value.details[0]
    with pytest.raises(InputError):
        queue(unit, tip_file("c", f"pin: {TUESDAYS[2]}"), tip_file("d", f"pin: {TUESDAYS[2]}"))
    assert list(stored(unit)) == ["a"]


def test_two_tips_can_swap_their_pins(unit: Unit) -> None:
    """One import of both changed files is enough, whichever comes first."""
    queue(unit, tip_file("a", f"pin: {TUESDAYS[1]}"), tip_file("b", f"pin: {TUESDAYS[2]}"))
    queue(unit, tip_file("a", f"pin: {TUESDAYS[2]}"), tip_file("b", f"pin: {TUESDAYS[1]}"))
    assert {slug: tip.pin for slug, tip in stored(unit).items()} == {"a": TUESDAYS[2], "b": TUESDAYS[1]}


class Meddled(Unit):
    """A door behind which somebody else imports a file just before the first write."""

    meddle: Callable[[], object] | None = None

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """Let the other one go first, once."""
        if self.meddle is not None:
            first, self.meddle = self.meddle, None
            first()
        with super().write() as tx:
            yield tx


def test_an_import_beside_another_one_overwrites_nothing(unit: Unit) -> None:
    """The second of two people who change one tip at the same moment is told, and changes nothing."""
    queue(unit, tip_file("a"))
    door = Meddled(unit._engine)
    door.meddle = lambda: queue(unit, tip_file("a", body="Hers."))
    with pytest.raises(NotNow, match="Try again"):
        queue(door, tip_file("a", body="Mine."), tip_file("b"))
    assert {slug: tip.body for slug, tip in stored(unit).items()} == {"a": "Hers."}


def test_a_tip_frozen_while_its_file_is_read_is_not_rewritten(unit: Unit) -> None:
    """The edition began between the look and the write, so the words that went out stand."""
    subscribe(unit, "ada")
    queue(unit, tip_file("a"))
    door = Meddled(unit._engine)
    door.meddle = lambda: freeze_on(unit, TUESDAYS[0])
    with pytest.raises(NotNow):
        queue(door, tip_file("a", body="Too late."))
    assert (stored(unit)["a"].body, stored(unit)["a"].status) == ("One idea.", TipStatus.SENT)


def edited(unit: Unit, slug: str, file: TipText) -> QueueOutcome:
    """Save a file as the editor of a stored tip does."""
    return edit_tip(unit, stored(unit)[slug], file, review(), who=WHO).outcome


def test_an_edit_takes_away_what_the_file_no_longer_says(unit: Unit) -> None:
    """Unlike an import, an edit begins with all that is known: what was deleted was meant."""
    queue(unit, tip_file("a", f"pin: {TUESDAYS[1]}"))
    assert edited(unit, "a", tip_file("b", status="draft")) is QueueOutcome.UPDATED
    tip = stored(unit)["b"]
    assert (tip.status, tip.pin) == (TipStatus.DRAFT, None)
    assert edited(unit, "b", tip_file("b", status="draft")) is QueueOutcome.UNCHANGED


def test_an_edit_cannot_take_the_name_of_another_tip(unit: Unit) -> None:
    """The fault stands at the line of the slug, and nothing is changed."""
    queue(unit, tip_file("a"), tip_file("b"))
    with pytest.raises(InputError) as caught:
        edited(unit, "a", tip_file("b"))
    assert caught.value.details[0].startswith("line 3: slug: another tip has it")
    assert list(stored(unit)) == ["a", "b"]


def test_an_edit_of_a_tip_that_somebody_changed_meanwhile_is_refused(unit: Unit) -> None:
    """The change of the other person is not overwritten by what was opened before it."""
    queue(unit, tip_file("a", f"pin: {TUESDAYS[1]}"))
    seen = stored(unit)["a"]
    unpin_tip(unit, seen, who=WHO, now=NOW)
    with pytest.raises(NotNow, match="changed by another command at this moment"):
        edit_tip(unit, seen, tip_file("a", body="Better."), review(), who=WHO)
    assert stored(unit)["a"] == replace(seen, pin=None)


def test_an_edit_of_a_sent_tip_leaves_it_sent(unit: Unit) -> None:
    """A typo may be mended for the archive; nobody gets it twice."""
    subscribe(unit, "ada")
    queue(unit, tip_file("a"))
    freeze_on(unit, TUESDAYS[0])
    edited(unit, "a", tip_file("a", body="Mended."))
    assert (stored(unit)["a"].body, stored(unit)["a"].status) == ("Mended.", TipStatus.SENT)
