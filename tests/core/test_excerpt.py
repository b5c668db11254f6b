"""The beginning of a text, and how long it takes to read."""

from __future__ import annotations

import pytest

from newsletter.core.excerpt import excerpt, reading_minutes


@pytest.mark.parametrize(
    ("text", "beginning"),
    [
        ("", ""),
        ("  One\n two  ", "One two"),
        ("w " * 55, ("w " * 55).strip()),
        ("w " * 54 + "end, more", "w " * 54 + "end …"),
    ],
)
def test_a_beginning_ends_at_a_word(text: str, beginning: str) -> None:
    """Fifty-five words and no sign after them; a shorter text is whole."""
    assert excerpt(text) == beginning


@pytest.mark.parametrize(("words", "minutes"), [(0, 1), (230, 1), (400, 2), (2300, 10)])
def test_minutes_are_counted_by_words(words: int, minutes: int) -> None:
    """A text takes at least a minute."""
    assert reading_minutes("word " * words) == minutes
