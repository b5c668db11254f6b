"""Tables as text: columns side by side, folded at spaces and hyphens to fit a width.

In: headings, rows of one-line texts, and a width or none. Out: lines without spaces at their ends. It prints nothing,
and counts in the cells of a terminal, of which a CJK character takes two.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

GAP_WIDTH = 2
NAME_WIDTH = 30
"""The first column names its row, and up to this width it is folded after all others."""

NAME_FOLDED_WIDTH = 16
"""Cells that a folded first column keeps, if that can be: a date with its hour then takes two lines, not six."""

TEXT_COLUMN_WIDTH_MIN = 20
"""Cells that other columns keep at first: below this, a sentence becomes a tower of single words."""

LONG_WORD_LENGTH = 24
"""A word longer than this is broken before whole columns of other words are folded into towers."""

COLUMN_WIDTH_MIN = 8
"""Cells below which no column is made narrower for a single long word; such a word is broken instead."""

_NUMBER = re.compile(r"[\d,]+")
_BREAK = re.compile(r"(?<= )(?=\S)|(?<=[^\W\d_]-)(?=\w)|(?<=@)(?=\w)")
"""Where a line may end: behind a space, within a slug or an address, but not within a date."""


def lay_out(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Return the heading, a rule, and the rows; numbers stand to the right. Without a width nothing is folded."""
    columns = [[heading, *cells] for heading, *cells in zip(headings, *rows, strict=True)]
    widths = _widths(columns, width)
    right = [any(cells[1:]) and all(_NUMBER.fullmatch(cell) for cell in cells[1:] if cell) for cells in columns]
    lines = list(_row(headings, widths, right))
    lines.append("─" * (sum(widths) + GAP_WIDTH * (len(widths) - 1)))
    for row in rows:
        lines.extend(_row(row, widths, right))
    return lines


def cells_of(text: str) -> int:
    """Return how many cells of a terminal a text takes."""
    return sum(
        0 if unicodedata.combining(item) else 2 if unicodedata.east_asian_width(item) in {"W", "F"} else 1
        for item in text
    )


def padded(text: str, width: int, *, to_right: bool = False) -> str:
    """Return a text with blanks behind it, or before it, so many cells wide in all."""
    blank = " " * (width - cells_of(text))
    return blank + text if to_right else text + blank


def fold_words(text: str, width: int) -> list[str]:
    """Break a text into lines between its words; one that is longer than a line stays whole.

    Chinese and Japanese have no blanks between words: a longer word of theirs is broken anywhere.
    """
    lines: list[str] = []
    line = ""
    for word in filter(None, re.split(r"[ \t\n]", text)):
        pieces = [word]
        if cells_of(word) > width and any(cells_of(letter) > 1 for letter in word):
            pieces = _fold(word, width)
        for piece in pieces:
            if line and cells_of(f"{line} {piece}") > width:
                lines.append(line)
                line = piece
            else:
                line = f"{line} {piece}" if line else piece
    return [*lines, line] if line else lines


def _widths(columns: Sequence[Sequence[str]], width: int | None) -> list[int]:
    """Give each column what it wants, and take from the widest what is too much."""
    widths = [max(map(cells_of, cells)) for cells in columns]
    if width is None:
        return widths
    room = width - GAP_WIDTH * (len(widths) - 1)
    words = [max(cells_of(piece.rstrip()) for cell in cells for piece in _BREAK.split(cell)) for cells in columns]
    for least in _floors(tuple(widths), words, room):
        while sum(widths) > room:
            spare = [(have, at) for at, (have, floor) in enumerate(zip(widths, least, strict=True)) if have > floor]
            if not spare:
                break
            widths[max(spare)[1]] -= 1
    return widths


def _floors(full: Sequence[int], words: Sequence[int], room: int) -> Iterator[list[int]]:
    """Yield how narrow columns may become, ever narrower; the first keeps its own measure, since it names the row."""
    name = full[0] if full[0] <= NAME_WIDTH else words[0]
    text = [min(TEXT_COLUMN_WIDTH_MIN, room // len(full), item) for item in full]
    short = [min(LONG_WORD_LENGTH, word) for word in words]
    yield [name, *map(max, words[1:], text[1:])]
    yield [min(NAME_WIDTH, name), *map(max, short[1:], text[1:])]
    folded = min(NAME_WIDTH, name) if full[0] > NAME_WIDTH else max(short[0], min(NAME_FOLDED_WIDTH, full[0]))
    yield [folded, *map(max, short[1:], text[1:])]
    yield [min(LONG_WORD_LENGTH, folded), *short[1:]]
    yield [min(COLUMN_WIDTH_MIN, word) for word in words]


def _row(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> Iterator[str]:
    folded = [_fold(cell, width) for cell, width in zip(cells, widths, strict=True)]
    for number in range(max(map(len, folded))):
        parts = [
            padded(lines[number] if number < len(lines) else "", width, to_right=to_right)
            for lines, width, to_right in zip(folded, widths, right, strict=True)
        ]
        yield (" " * GAP_WIDTH).join(parts).rstrip()


def _fold(text: str, width: int) -> list[str]:
    """Break a text into lines, at a space or behind a hyphen if that can be, else anywhere."""
    if cells_of(text) <= width:
        return [text]
    lines, line = [], ""
    for piece in _BREAK.split(text):
        if cells_of(line + piece.rstrip()) <= width:
            line += piece
            continue
        if line.strip():
            lines.append(line.rstrip())
        line = piece.lstrip()
        while cells_of(line) > width:
            cut = next(n for n in range(len(line), 0, -1) if n == 1 or cells_of(line[:n]) <= width)
            lines.append(line[:cut])
            line = line[cut:]
    return [*lines, line.rstrip()] if line.strip() else lines
