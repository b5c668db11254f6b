"""Moving a tip within the queue, as the person who saw its order wants it."""

from __future__ import annotations

import random

import pytest

from newsletter.core.queue_order import order_digest
from newsletter.errors import InputError, NotNow
from newsletter.flows.move_in_queue import QueueMove, move_in_queue
from newsletter.flows.plan import outlook
from newsletter.store.unit import Unit
from tests.flows.tip_fixtures import NOW, RULES, WHO, logged, queue, stored, tip_file

WEEKS = 12
TIPS = ("a", "b", "c", "d", "e")


def order(unit: Unit) -> list[str]:
    """Return the tips in the order of the dates that they go out on."""
    ahead = outlook(unit, RULES, weeks=WEEKS, now=NOW)
    return [choice.tip.slug for choice in ahead.choices if choice.tip is not None]


def move(unit: Unit, slug: str, to: QueueMove, *, before: str = "", seen: str = "") -> str:
    """Move a tip; return the slug of the one that stood behind it."""
    return move_in_queue(unit, RULES, slug, to, before=before, weeks=WEEKS, seen=seen, who=WHO, now=NOW).follower


@pytest.mark.parametrize(
    ("slug", "to", "expected"),
    [
        ("c", QueueMove.UP, "acbde"),
        ("b", QueueMove.UP, "bacde"),
        ("b", QueueMove.DOWN, "acbde"),
        ("d", QueueMove.DOWN, "abced"),
        ("d", QueueMove.TOP, "dabce"),
        ("a", QueueMove.END, "bcdea"),
    ],
)
def test_a_tip_goes_where_it_is_sent(unit: Unit, slug: str, to: QueueMove, expected: str) -> None:
    """Up and down are one date, top and end the whole queue."""
    queue(unit, *(tip_file(name) for name in TIPS))
    move(unit, slug, to)
    assert "".join(order(unit)) == expected
    assert logged(unit)[-1] == ("tip move", slug)


def test_a_move_is_taken_back(unit: Unit) -> None:
    """The tip that stood behind it before says where it goes back to, also at the end of the queue."""
    queue(unit, *(tip_file(name) for name in TIPS))
    for slug in TIPS:
        for to in (QueueMove.TOP, QueueMove.END):
            follower = move(unit, slug, to)
            move(unit, slug, QueueMove.BEFORE if follower else QueueMove.END, before=follower)
            assert order(unit) == list(TIPS)


def test_random_moves_keep_every_tip(unit: Unit) -> None:
    """Whatever is moved, the order is that of a list in which the same moves were made."""
    queue(unit, *(tip_file(name) for name in TIPS))
    expected = list(TIPS)
    chance = random.Random(11)
    for _ in range(60):
        slug = chance.choice(TIPS)
        to = chance.choice([QueueMove.UP, QueueMove.DOWN, QueueMove.TOP, QueueMove.END])
        place = expected.index(slug)
        if (to is QueueMove.UP and place == 0) or (to is QueueMove.DOWN and place == len(TIPS) - 1):
            with pytest.raises(InputError, match=r"is the (first|last)"):
                move(unit, slug, to)
            continue
        move(unit, slug, to)
        expected.remove(slug)
        places = {QueueMove.UP: place - 1, QueueMove.DOWN: place + 1, QueueMove.TOP: 0, QueueMove.END: len(expected)}
        expected.insert(places[to], slug)
        assert order(unit) == expected


def test_an_order_that_changed_meanwhile_is_left_alone(unit: Unit) -> None:
    """Of two people who saw the same order the second moves nothing, and looks at the queue again."""
    queue(unit, *(tip_file(name) for name in TIPS))
    seen = order_digest(outlook(unit, RULES, weeks=WEEKS, now=NOW).choices)
    move(unit, "c", QueueMove.UP, seen=seen)
    with pytest.raises(NotNow, match="Somebody else changed the queue"):
        move(unit, "e", QueueMove.TOP, seen=seen)
    assert "".join(order(unit)) == "acbde"
    assert stored(unit).keys() == set(TIPS)


def test_what_cannot_be_moved_is_a_sentence(unit: Unit) -> None:
    """A tip that is gone, one without a date, and one that should go before itself."""
    queue(unit, tip_file("a"), tip_file("b"), tip_file("draft", status="draft"))
    for slug, to, before, sentence in (
        ("gone", QueueMove.UP, "", "not there any more"),
        ("draft", QueueMove.UP, "", "has no date"),
        ("a", QueueMove.BEFORE, "a", "before itself"),
        ("a", QueueMove.BEFORE, "gone", "not there any more"),
    ):
        with pytest.raises(InputError, match=sentence):
            move(unit, slug, to, before=before)
    assert order(unit) == ["a", "b"]
