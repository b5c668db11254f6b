"""Typographic signs: straight quotes, `--` and `...` as a typesetter of the language would set them.

In: the pieces of a text, None where something stands that must not change (code, an address, a picture). Out: the
pieces with quotation marks, apostrophes, dashes and ellipses. Merge fields are sentinels, which have no such signs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"
ELLIPSIS = "…"
EN_DASH, EM_DASH = "\N{EN DASH}", "—"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotationMarks:
    """The quotation marks of a language, the opening and the closing one."""

    double: tuple[str, str]
    single: tuple[str, str]


_ENGLISH = QuotationMarks(double=("“", "”"), single=("\N{LEFT SINGLE QUOTATION MARK}", APOSTROPHE))
_GERMAN = QuotationMarks(
    double=("„", "“"), single=("\N{SINGLE LOW-9 QUOTATION MARK}", "\N{LEFT SINGLE QUOTATION MARK}")
)
_SWISS = QuotationMarks(
    double=("«", "»"),
    single=("\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}", "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"),
)
_FRENCH = QuotationMarks(double=("«\N{NO-BREAK SPACE}", "\N{NO-BREAK SPACE}»"), single=("“", "”"))
_SPANISH = QuotationMarks(double=("«", "»"), single=("“", "”"))
_POLISH = QuotationMarks(double=("„", "”"), single=("«", "»"))
_SWEDISH = QuotationMarks(double=("”", "”"), single=(APOSTROPHE, APOSTROPHE))
_BY_LANGUAGE = {
    "cs": _GERMAN,
    "da": _SWISS,
    "de": _GERMAN,
    "de-ch": _SWISS,
    "de-li": _SWISS,
    "es": _SPANISH,
    "fi": _SWEDISH,
    "fr": _FRENCH,
    "fr-ch": _SWISS,
    "it": _SPANISH,
    "no": _SWISS,
    "nb": _SWISS,
    "pl": _POLISH,
    "pt-pt": _SPANISH,
    "sk": _GERMAN,
    "sv": _SWEDISH,
}
"""By tag or by its first part; other languages have the marks of English."""

_OPAQUE = "\N{OBJECT REPLACEMENT CHARACTER}"
_SIGNS = re.compile(r"(?<!-)(?P<dash>---?)(?!-)|(?<![./\\])(?P<dots>\.\.\.)(?![./\\])|(?P<quote>[\"'])")
_ADDRESS = re.compile(r"\S*(?:://|@|\\)\S*")
"""A word in which no sign is a typist's: an address or a path."""
_BEFORE_OPENING = set("([{/-\N{EN DASH}—")


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    text: str


def quotation_marks(language: str) -> QuotationMarks:
    """Return the marks of a language tag such as `en`, `de-CH` or `pt-BR`."""
    tag = language.lower()
    return _BY_LANGUAGE.get(tag) or _BY_LANGUAGE.get(tag.split("-")[0], _ENGLISH)


def typographic(text: str, marks: QuotationMarks) -> str:
    """Return a text with typographic signs."""
    return typographic_pieces([text], marks)[0] or ""


def typographic_pieces(pieces: Sequence[str | None], marks: QuotationMarks) -> list[str | None]:
    """Return the pieces of one paragraph with typographic signs; a quotation may begin in one and end in another."""
    parts = [_OPAQUE if piece is None else piece for piece in pieces]
    edits = list(_edits("".join(parts), marks))
    starts = [0, *accumulate(map(len, parts))]
    return [
        None if piece is None else _apply(piece, start, [edit for edit in edits if start <= edit.start < end])
        for piece, start, end in zip(pieces, starts, starts[1:], strict=False)
    ]


def _apply(piece: str, start: int, edits: Sequence[_Edit]) -> str:
    """Return a piece that begins at `start` of the paragraph, with the edits within it."""
    out, at = [], 0
    for edit in edits:
        if edit.end <= start + len(piece):
            out += [piece[at : edit.start - start], edit.text]
            at = edit.end - start
    return "".join([*out, piece[at:]])


def _edits(text: str, marks: QuotationMarks) -> Iterator[_Edit]:
    """Yield the edits of a paragraph in order."""
    protected = [match.span() for match in _ADDRESS.finditer(text)]
    signs = [
        match for match in _SIGNS.finditer(text) if not any(start <= match.start() < end for start, end in protected)
    ]
    quotes = _quotes(text, [match.start() for match in signs if match["quote"]], marks)
    for match in signs:
        start, end = match.span()
        if match["dots"]:
            yield _Edit(start, end, ELLIPSIS)
        elif match["quote"]:
            if start in quotes:
                yield _Edit(start, end, quotes[start])
        elif not _begins_option(text, start, end):
            yield _Edit(start, end, EN_DASH if end - start == len("--") else EM_DASH)


def _begins_option(text: str, start: int, end: int) -> bool:
    """Tell whether two hyphens begin a word, as in `--yes`, which is to be typed as it stands."""
    return text[start - 1 : start].strip() == "" and text[end : end + 1].strip() != ""


def _quotes(text: str, places: Sequence[int], marks: QuotationMarks) -> dict[int, str]:
    """Return what stands for the straight quotes at these places; one that is missing, such as an inch, stays."""
    signs: dict[int, str] = {}
    open_: list[int] = []
    for at in places:
        before, after = text[at - 1 : at] if at else "", text[at + 1 : at + 2]
        double = text[at] == '"'
        opener = next((place for place in reversed(open_) if text[place] == text[at]), None)
        opens = (not before.strip() or before in _BEFORE_OPENING or at - 1 in open_) and after.strip() != ""
        closes = before.strip() != "" and not after.isalnum()
        if not double and after.isalnum() and (before.isalnum() or after.isdigit()):
            signs[at] = APOSTROPHE
        elif closes and opener is not None:
            signs[opener], signs[at] = marks.double if double else marks.single
            del open_[open_.index(opener) :]
        elif opens:
            # Until it is closed, a single quote is an apostrophe ('tis), a double one goes on in the next paragraph.
            signs[at] = marks.double[0] if double else APOSTROPHE
            open_.append(at)
        elif not double and before.isalpha():
            signs[at] = APOSTROPHE
    return signs
