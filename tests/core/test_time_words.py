"""Words of time in a text that is to be sent again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.time_words import time_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Two weeks ago we addressed the second step.", ("Two weeks ago",)),
        ("Last week a customer called, and last week again.", ("Last week",)),
        ("In 2014, earlier this year, before Christmas.", ("2014", "earlier this year", "Christmas")),
        ("In the next three months, or yesterday", ("In the next three months", "yesterday")),
        ("Call within two days, and listen next time.", ()),
        ("There are 2000 ways; see https://example.com/2014/07/x and [this](https://example.com/2015/).", ("2000",)),
        ("An easterly wind, a newcomer, a superb year.", ()),
        ("", ()),
    ],
)
def test_words_of_time_are_named_once_each(text: str, words: tuple[str, ...]) -> None:
    """In their order, whatever their capitals; an address is no text."""
    assert time_words(text) == words


@given(st.text(alphabet="last week ago 2014 two\n", max_size=80))
def test_any_text_is_taken(text: str) -> None:
    """Whatever stands there, each word is one of the text."""
    assert all("".join(word.split()) in "".join(text.split()) for word in time_words(text))
