"""The bounds of a tip's size: what would cost minutes or megabytes is refused in a sentence, before it is rendered."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.front_matter import Fault
from newsletter.core.tip_body import body_faults
from newsletter.core.tip_markdown import (
    ADDRESSES_MAX,
    BRACKETS_MAX,
    ELEMENTS_MAX,
    TABLE_COLUMNS_MAX,
    TIP_BODY_BYTES_MAX,
)
from newsletter.render.markdown import render_markdown
from newsletter.render.splice import Sentinels

CALLS_MAX = 6_000_000
"""Python calls for one body of 60 KB. The quadratic inputs below took from 20 to 400 million before the bounds."""
HTML_BYTES_MAX = 400_000


def wide_table(columns: int, rows: int = 1) -> str:
    """Return a table of empty cells."""
    return "|" + "a|" * columns + "\n|" + "-|" * columns + "\n" + "|\n" * rows


TOO_MUCH = {
    "many columns": (wide_table(2_000), "line 5: the table has 2,000 columns; 20 are the limit"),
    "a wide table below a narrow one": (
        wide_table(2) + "\n" + wide_table(TABLE_COLUMNS_MAX + 1),
        "line 9: the table has 21 columns; 20 are the limit",
    ),
    "many rows": (wide_table(20, 1_000), "line 101: the text has 21,024 elements"),
    "brackets": ("[" * 59_000, "line 5: the text has 59,000 square brackets; 1,000 are the limit"),
    "pictures": ("x\n" * 2_000 + "![" * 20_000, "line 2005: the text has 20,000 square brackets"),
    "addresses": ("http://" * 8_000, "line 5: the text has 8,000 web addresses; 300 are the limit"),
    "quotes": ("> " * 50 + "a", "line 5: lists, quotes or emphasis are nested too deeply"),
    "lists": ("- " * 50 + "a", "line 5: lists, quotes or emphasis are nested too deeply"),
    "emphasis": ("a\n\n" + "*a _b " * 50 + "c_ d* " * 50, "line 7: lists, quotes or emphasis are nested too deeply"),
    "words in bold": ("*a* " * 5_000, "line 5: the text has 5,001 elements"),
    "line breaks": ("a\\\n" * 5_000, "line 5: the text has 5,000 elements"),
    "bytes": ("é" * TIP_BODY_BYTES_MAX, "line 5: the text is 122,880 bytes long; 61,440 are the limit"),
}


@pytest.mark.parametrize("description", TOO_MUCH)
def test_a_bound_is_a_fault_with_its_line(description: str) -> None:
    """The author reads what is too much, the number that is the limit, and where it stands."""
    body, fault = TOO_MUCH[description]
    faults = body_faults(body, 5)
    assert len(faults) == 1
    assert str(faults[0]).startswith(fault)


def test_what_a_tip_needs_is_within_the_bounds() -> None:
    """A table of twenty columns, six lists within each other, a long poem and many links are all right."""
    body = "\n".join(
        [
            wide_table(TABLE_COLUMNS_MAX, 20),
            "\n".join("  " * level + "- item" for level in range(6)),
            "",
            "line\\\n" * 400,
            "",
            "[a](https://example.com/) " * (ADDRESSES_MAX - 10),
        ]
    )
    assert body_faults(body, 1) == []


def counted(work: Callable[[], object], most: int) -> int:
    """Return how many Python calls some work makes; stop counting at `most`."""
    calls = 0

    class TooManyError(Exception):
        pass

    def count(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event == "call"
        if calls > most:
            raise TooManyError

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    except TooManyError:
        pass
    finally:
        sys.setprofile(before)
    return calls


def judged(body: str) -> tuple[list[Fault], int]:
    """Return the faults of a body, and the bytes of its HTML when there are none."""
    faults = body_faults(body, 1)
    return faults, 0 if faults else len(render_markdown(body, Sentinels("n0nce")).html.encode())


PIECES = ("[", "![", "](", "]", "<", "<!--", "`", "``", "*", "**", "_", "~~", "> ", "- ", "1. ", "|", "-|", "\\", "&")
PIECES += ("\n", "\n\n", "# ", "http://", "{{", "a", " ", "\t", "(", "[^", "https://a.b/")


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("part", [8, pytest.param(1, marks=pytest.mark.torture)])
def test_one_piece_repeated_costs_a_bounded_number_of_calls(piece: str, part: int) -> None:
    """Whatever is repeated up to the limit of the size is refused or rendered by work that grows with its length."""
    body = "a " + piece * ((TIP_BODY_BYTES_MAX // part - 2) // len(piece.encode()))
    sizes = []
    calls_max = CALLS_MAX // part
    assert counted(lambda: sizes.append(judged(body)[1]), calls_max) <= calls_max
    assert sizes[0] <= HTML_BYTES_MAX // part


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=6), st.integers(100, 500))
def test_pieces_repeated_together_cost_a_bounded_number_of_calls(pieces: list[str], times: int) -> None:
    """Pieces in turn are bounded as well, in calls and in bytes of HTML."""
    body = ("".join(pieces) * times)[: TIP_BODY_BYTES_MAX // 8]
    sizes = []
    assert counted(lambda: sizes.append(judged(body)[1]), CALLS_MAX) <= CALLS_MAX
    assert sizes[0] <= HTML_BYTES_MAX


def test_the_bounds_are_those_of_the_manual() -> None:
    """The numbers in the refusals are the constants."""
    assert (BRACKETS_MAX, ADDRESSES_MAX, ELEMENTS_MAX) == (1_000, 300, 2_000)
