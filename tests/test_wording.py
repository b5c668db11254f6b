"""The wording of counts and lists: one owner for the whole program."""

from __future__ import annotations

import calendar
from datetime import date, timedelta

import pytest

from newsletter.wording import MONTHS, WEEKDAYS, inflected, listed, people_words, plural, weekday_name


@pytest.mark.parametrize(("count", "text"), [(0, "0 people"), (1, "1 person"), (2, "2 people"), (1204, "1,204 people")])
def test_people(count: int, text: str) -> None:
    """One is a person, and thousands are grouped."""
    assert people_words(count) == text


def test_plurals() -> None:
    """An s is enough for most nouns; the verb may come along."""
    assert plural(1, "tip") == "1 tip"
    assert plural(3, "tip") == "3 tips"
    assert plural(2, "bounce waits", "bounces wait") == "2 bounces wait"
    assert (inflected(1, "it", "them"), inflected(0, "it", "them")) == ("it", "them")


@pytest.mark.parametrize(
    ("items", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_lists(items: list[str], text: str) -> None:
    """The last item is joined with `and`."""
    assert listed(items) == text


def test_names_of_days_and_months_are_in_the_order_of_the_calendar() -> None:
    """Monday is 0 and January 1, as in `datetime`; the names are English in every locale."""
    monday = date(2026, 11, 23)
    assert monday.weekday() == calendar.MONDAY
    assert [weekday_name((monday + timedelta(days=day)).weekday()).lower() for day in range(7)] == list(WEEKDAYS)
    assert (MONTHS[0], MONTHS[date(2026, 11, 1).month - 1], len(MONTHS)) == ("January", "November", 12)
