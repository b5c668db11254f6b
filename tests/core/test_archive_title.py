"""Titles of an old archive: the date goes out of them, and only a date that can be."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.archive_title import split_patterns, split_title
from newsletter.settings.model import setting_fields

TODAY = date(2026, 12, 1)
PATTERNS = split_patterns(str(setting_fields()["import_titles"].default))


@pytest.mark.parametrize(
    ("title", "alone", "day"),
    [
        ("Defend without Being Defensive \N{EN DASH} 7/8/14 TOW", "Defend without Being Defensive", date(2014, 7, 8)),
        ("Three Steps \N{EN DASH} 7/22/14 TOW", "Three Steps", date(2014, 7, 22)),
        ("Highlight the Hidden Value - 7/1/25", "Highlight the Hidden Value", date(2025, 7, 1)),
        ("Before the Turn of the Century — 12/31/99", "Before the Turn of the Century", date(1999, 12, 31)),
        ("Two  Blanks -  2/3/2012  tow", "Two Blanks", date(2012, 2, 3)),
        ("No Blanks-7/1/25", "No Blanks", date(2025, 7, 1)),
        ("Say A - B - 2/3/12", "Say A - B", date(2012, 2, 3)),
    ],
)
def test_the_date_of_a_title_becomes_its_day(title: str, alone: str, day: date) -> None:
    """Month, day and year at the end, with any dash and with or without the mark of the series."""
    split = split_title(title, PATTERNS, today=TODAY)
    assert (split.title, split.published_on, split.fault) == (alone, day, "")


@pytest.mark.parametrize(
    "title", ["Answer with a Date", "Be There 24/7", "9-5 Is Over", "A Holiday Poem", "7/1/25", ""]
)
def test_a_title_without_a_date_stays(title: str) -> None:
    """Undated specials, and numbers that are no date."""
    assert split_title(title, PATTERNS, today=TODAY).title == title


@pytest.mark.parametrize(
    ("title", "fault"),
    [
        ("Too Many Months - 13/1/14", "does not exist"),
        ("No Such Day - 2/30/14 TOW", "does not exist"),
        ("No Day - 7/0/14", "does not exist"),
        ("Typed Wrong - 7/1/52", "still to come, 2052-07-01"),
        ("Older than Mail - 7/1/1825", "before the first mail"),
    ],
)
def test_a_date_that_cannot_be_is_refused_and_the_title_stays_whole(title: str, fault: str) -> None:
    """A person sees the title as it was, and the reason."""
    split = split_title(title, PATTERNS, today=TODAY)
    assert (split.title, split.published_on) == (title, None)
    assert fault in split.fault


def test_other_patterns_are_those_of_the_setting() -> None:
    """A site that wrote its dates in another way says so."""
    patterns = split_patterns(" {day}.{month}.{year}: {title} | ({year}/{month}/{day}) {title} ")
    assert split_title("8.7.2014: Zuerst fragen", patterns, today=TODAY).published_on == date(2014, 7, 8)
    assert split_title("(14/7/8) Ask first", patterns, today=TODAY).title == "Ask first"


@given(st.text(max_size=60))
def test_any_title_is_taken(title: str) -> None:
    """No title raises, and each gives a line."""
    assert "\n" not in split_title(title, PATTERNS, today=TODAY).title


@given(st.dates(min_value=date(1971, 1, 1), max_value=TODAY), st.sampled_from("-–—"))  # noqa: RUF001
def test_every_day_is_read(day: date, dash: str) -> None:
    """Whatever the day, with two digits or four."""
    split = split_title(f"Title {dash} {day.month}/{day.day}/{day.year} TOW", PATTERNS, today=TODAY)
    assert split.published_on == day
