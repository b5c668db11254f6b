"""Tables as text: no line is wider than the terminal, and nothing is lost in the folding."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from newsletter.cli.layout import cells_of, lay_out

WORDS = st.text(st.sampled_from("ab-c  d花"), max_size=40).map(lambda text: " ".join(text.split()))
ROWS = st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=5)


def test_a_table_has_no_blank_edges() -> None:
    """It begins with its headings at the left edge, and numbers stand to the right."""
    assert lay_out(("state", "people"), [("accepted", "1,204"), ("rejected", "3")], None) == [
        "state     people",
        "────────────────",
        "accepted   1,204",
        "rejected       3",
    ]


def test_a_slug_is_folded_behind_a_hyphen() -> None:
    """A name that does not fit is broken where a person would break it."""
    assert lay_out(("tip", "why"), [("read-it-aloud-before-you-send-it", "next in the queue")], 30) == [
        "tip             why",
        "──────────────────────────────",
        "read-it-aloud-  next in the",
        "before-you-     queue",
        "send-it",
    ]


@given(ROWS, st.integers(min_value=30, max_value=100))
def test_no_line_is_wider_than_the_terminal(rows: list[tuple[str, str, str]], width: int) -> None:
    """Whatever the cells hold, each line fits."""
    assert all(cells_of(line) <= width for line in lay_out(("a", "b", "c"), rows, width))


@given(ROWS, st.integers(min_value=30, max_value=100))
def test_nothing_is_lost_in_the_folding(rows: list[tuple[str, str, str]], width: int) -> None:
    """All letters of a table are there at any width."""
    wide, narrow = lay_out(("a", "b", "c"), rows, None), lay_out(("a", "b", "c"), rows, width)
    letters = [sorted("".join(lines).replace(" ", "").replace("─", "")) for lines in (wide, narrow)]
    assert letters[0] == letters[1]


def test_a_long_word_makes_no_tower_of_the_others() -> None:
    """A slug that cannot be folded is broken, before the dates beside it are folded into a word a line."""
    row = ("Tue 24 Nov 2026, 09:00 UTC-5", "w" * 78, "next in the queue (1st of 4)", "1,204")
    lines = lay_out(("goes out", "tip", "why", "people"), [row], 80)
    assert max(map(cells_of, lines)) <= 80
    assert lines[2].startswith("Tue 24 Nov 2026,")
    assert len(lines) - 2 <= 6


def test_an_address_is_broken_before_the_reason_beside_it() -> None:
    """A column of text keeps room for a few words, however long an address stands beside it."""
    address = "a-very-long-local-part@" + ".".join(["department"] * 6) + ".example.com"
    lines = lay_out(("when", "about", "why"), [("Sun 2026-11-22 06:53:24", address, "a short reason " * 3)], 80)
    assert max(map(cells_of, lines)) <= 80
    assert "a short reason" in lines[2]
