"""A table of a tip as plain text: aligned columns, wrapped cells, or one line per cell where it is too wide.

In: rows of cells, the first the head, and the side to which each column is aligned. Out: lines no wider than the room,
single words aside.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from itertools import zip_longest

_BAR = " | "


def text_table(rows: Sequence[Sequence[str]], *, right: Sequence[bool], room: int) -> list[str]:
    """Return the lines of a table; `right` tells which columns are aligned to the right."""
    cells = [[" ".join(cell.split()) for cell in row] for row in rows]
    widths = _widths(cells, room - len(_BAR) * (len(right) - 1))
    if widths is None:
        return _records(cells, room)
    head, *body = cells
    lines = _row(head, widths, right)
    lines.append("-+-".join("-" * width for width in widths))
    blocks = [_row(row, widths, right) for row in body]
    return lines + [line for block in blocks for line in block]


def display_width(text: str) -> int:
    """Return the cells that a text takes in a fixed-width font: wide East Asian signs take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in {"W", "F"}) for sign in text
    )


def _widths(cells: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """Return the width of each column; None where not even the longest words fit beside each other."""
    columns = list(zip_longest(*cells, fillvalue=""))
    widths = [min(max(map(display_width, column)), max(room, 0)) for column in columns]
    least = [max(display_width(word) for cell in column for word in (cell.split() or [""])) for column in columns]
    if sum(least) > room:
        return None
    while sum(widths) > room:
        # The widest column that can still be wrapped gives way.
        widest = max((at for at in range(len(widths)) if widths[at] > least[at]), key=widths.__getitem__)
        widths[widest] -= 1
    return widths


def _row(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> list[str]:
    """Return the lines of one row."""
    wrapped = [_wrap(cell, width) for cell, width in zip(row, widths, strict=False)]
    lines = []
    for parts in zip_longest(*wrapped, fillvalue=""):
        padded = []
        for part, width, to_the_right in zip(parts, widths, right, strict=False):
            blanks = " " * (width - display_width(part))
            padded.append(blanks + part if to_the_right else part + blanks)
        lines.append(_BAR.join(padded).rstrip())
    return lines


def _records(cells: Sequence[Sequence[str]], room: int) -> list[str]:
    """Return each row as lines of `head: cell`, rows parted by an empty line."""
    head, *body = cells
    lines: list[str] = []
    for row in body or [head]:
        lines += [""] if lines else []
        for name, cell in zip(head, row, strict=False):
            if cell:
                entry = f"{name}: {cell}" if body and name else cell
                lines += textwrap.wrap(entry, room, break_long_words=False, break_on_hyphens=False)
    return lines


def _wrap(text: str, width: int) -> list[str]:
    """Return the lines of a cell."""
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if line and display_width(longer) > width:
            lines.append(line)
            line = word
        else:
            line = longer
    return [*lines, line]
