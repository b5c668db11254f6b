"""Records are the same however many lines are read ahead."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.csv_row import BadRow
from newsletter.flows.csv_records import Lines, Records

PIECES = (
    *("a", "é", ",", '"', '""', "\n", "\r\n", "\r", " ", "\ufeff", "\x1a", "\x1a\n"),
    *("ab,cd\n", '"a\nb"\n', "x" * 50_000),
)


def read(content: bytes, block_bytes: int) -> list[object]:
    """Return each record with its line, and each rejected one."""
    rows: list[object] = []
    for block in Records(Lines(io.BytesIO(content), "utf-8", block_bytes=block_bytes), ",", "UTF-8"):
        rows += [block] if isinstance(block, BadRow) else zip(block.lines, block.records, strict=True)
    return rows


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), st.booleans(), st.sampled_from([7, 60, 4_096]))
def test_a_block_holds_what_its_lines_hold(text: str, damaged: bool, block_bytes: int) -> None:  # noqa: FBT001
    """Reading line by line and reading blocks give the same records, lines and faults."""
    content = text.encode() + (b'"\xff",b\n' if damaged else b"")
    assert read(content, block_bytes) == read(content, 1)


def test_a_mark_of_dos_after_a_stray_quotation_mark() -> None:
    """A line that holds the end-of-file mark only is read again after a fault before it."""
    rows = read(b'a,"b\n\x1a', 60)
    assert [row.line if isinstance(row, BadRow) else row for row in rows] == [1, (2, [])]
