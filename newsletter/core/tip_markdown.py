"""The Markdown of a tip: the one dialect that is checked and rendered, and the bounds of its size.

In: the body of a tip. Out: the parser, or the first bound that the body exceeds, with its line. The bounds on the
source are counted before the parser runs, since some short inputs make CommonMark parsers work quadratically.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain

from markdown_it import MarkdownIt
from markdown_it.token import Token

from newsletter.core.front_matter import Fault

TIP_BODY_BYTES_MAX = 60 * 1024
"""Of UTF-8. Gmail hides what follows about 102 KB of HTML, and the layout and the footer need the rest."""
BRACKETS_MAX = 1_000
"""Opening square brackets: the parser searches the rest of the paragraph for the end of each."""
ADDRESSES_MAX = 300
"""Written-out addresses: the link detector reads the rest of the paragraph at each `://`."""
TABLE_COLUMNS_MAX = 20
"""Wider tables cannot be read in a mail; each short row is filled up to the columns of the head."""
ELEMENTS_MAX = 2_000
"""Elements of the HTML: the inliner writes a `style` attribute of up to 100 bytes into each."""
NESTING_MAX = 16
"""Levels of tokens: a list counts two (the list, its item), a quote, a paragraph and emphasis one each."""

_PARSER_NESTING_MAX = 40
"""The parser drops the text below its own bound in silence, so ours is reached first."""
_SCHEMES_NOT_DETECTED = ("ftp:", "//", "mailto:")


def tip_parser(*, html: bool = False) -> MarkdownIt:
    """Return CommonMark with tables and strikethrough; only a written-out `http(s)://…` becomes a link by itself.

    With `html` raw HTML gives tokens of its own, by which it is found and refused.
    """
    options = {"html": html, "linkify": True, "maxNesting": _PARSER_NESTING_MAX}
    parser = MarkdownIt("commonmark", options).enable(["table", "strikethrough", "linkify"])
    if parser.linkify is None:  # pragma: no cover - linkify-it-py is a dependency.
        raise ModuleNotFoundError("linkify-it-py")
    # Guessing would turn `main.py` into a link to Paraguay, and `www.` into plain http.
    parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})
    for scheme in _SCHEMES_NOT_DETECTED:
        parser.linkify.add(scheme, None)
    return parser


def source_fault(body: str, first_line: int) -> Fault | None:
    """Return the first bound that the source of a body exceeds."""
    size = len(body.encode("utf-8", "surrogatepass"))
    if size > TIP_BODY_BYTES_MAX:
        text = (
            f"the text is {size:,} bytes long; {TIP_BODY_BYTES_MAX:,} are the limit, since mail programs cut long mails"
        )
        return Fault(first_line, text)
    for sign, most, noun in (("[", BRACKETS_MAX, "square brackets"), ("://", ADDRESSES_MAX, "web addresses")):
        if body.count(sign) > most:
            line = _line_of_occurrence(body, sign, most)
            return Fault(first_line + line, f"the text has {body.count(sign):,} {noun}; {most:,} are the limit")
    return None


def size_faults(tokens: Sequence[Token], first_line: int) -> list[Fault]:
    """Return the first bound on columns, nesting or number of elements that a parsed body exceeds."""
    excess = next(chain(_wide_tables(tokens), _depth(tokens), _elements(tokens)), None)
    return [] if excess is None else [Fault(first_line + excess[0], excess[1])]


def _line_of_occurrence(body: str, sign: str, number: int) -> int:
    """Return the line, counted from 0, of an occurrence of a sign, counted from 0."""
    return body.count("\n", 0, [match.start() for match in re.finditer(re.escape(sign), body)][number])


def _wide_tables(tokens: Sequence[Token]) -> Iterator[tuple[int, str]]:
    columns, row = 0, 0
    for token in tokens:
        if token.type == "table_open":
            columns, row = 0, token.map[0] if token.map else 0
        elif token.type == "th_open":
            columns += 1
        elif token.type == "thead_close" and columns > TABLE_COLUMNS_MAX:
            yield row, f"the table has {columns:,} columns; {TABLE_COLUMNS_MAX} are the limit"


def _depth(tokens: Sequence[Token]) -> Iterator[tuple[int, str]]:
    row = 0
    for token in tokens:
        row = token.map[0] if token.map else row
        deepest = max([token.level, *(token.level + child.level for child in token.children or ())])
        if deepest > NESTING_MAX:
            yield row, "lists, quotes or emphasis are nested too deeply; six lists within each other are the limit"


def _elements(tokens: Sequence[Token]) -> Iterator[tuple[int, str]]:
    count, row, excess_row = 0, 0, None
    for token in tokens:
        row = token.map[0] if token.map else row
        children = token.children or ()
        count += token.nesting == 1 or token.type in {"hr", "fence", "code_block"}
        count += sum(child.nesting == 1 or child.type in {"hardbreak", "image", "code_inline"} for child in children)
        if count > ELEMENTS_MAX and excess_row is None:
            excess_row = row
    if excess_row is not None:
        text = (
            f"the text has {count:,} elements (paragraphs, list items, cells, links, line breaks); "
            f"{ELEMENTS_MAX:,} are the limit"
        )
        yield excess_row, text
