"""Footer lines of old posts: “Signup for FREE Tips!”, and the row of links to sign-up, contact, resources and home.

In: the Markdown of a post, and the patterns of the setting. Out: the Markdown without the lines at its beginning and
its end that the patterns name. Lines in the midst of a text are never touched.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

_LINK = re.compile(r"!?\[((?:\\.|[^\]\\])*)\]\((?:\\.|[^()\\]|\([^()]*\))*\)")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_MARKUP = re.compile(r"^[>\s]*(?:[*+-]|\d{1,9}[.)]|#{1,6})?\s+|[*_~]+")
_RULE = re.compile(r"\s*(?:[-*_]\s*){3,}|\\?|\s*>?\s*")
_BETWEEN = re.compile(r"\s*(?:[|•·»«›‹/]|\s[-–—]\s)\s*")  # noqa: RUF001 - the signs that separate links in a row.
_NO_WORD = re.compile(r"[\s!.:,;…*_~»›\N{RIGHTWARDS ARROW}]+$")  # noqa: RUF001
_LINES_AT_AN_END_MAX = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimmedText:
    """A text without its footer lines."""

    markdown: str
    dropped: tuple[str, ...] = ()
    """The words of the lines that went, in the order of the text."""
    last_line: str = ""
    """The words of the last line that stayed, by which a line that ends many posts is noticed."""


def without_footer(markdown: str, patterns: Sequence[str]) -> TrimmedText:
    """Drop the lines at both ends that consist of nothing but what the patterns name, with rules and blanks there."""
    lines = markdown.split("\n")
    matches = _matcher(tuple(patterns))
    start, above = _passed(lines, matches)
    end, below = _passed(lines[start:][::-1], matches)
    kept = lines[start : len(lines) - end]
    # The backslash that broke the line before a footer would now stand at the end of a paragraph as it is.
    text = "\n".join(kept).strip("\n").rstrip()
    if below:
        text = re.sub(r"(?<!\\)(?:\\\\)*\\$", lambda match: match[0][:-1], text).rstrip()
    last = next((words for line in reversed(kept) if (words := plain_words(line))), "")
    return TrimmedText(markdown=text, dropped=(*above, *reversed(below)), last_line=last)


def plain_words(line: str) -> str:
    """Return the words of one line of Markdown, without its markup."""
    text = _LINK.sub(lambda match: match[1], line)
    return " ".join(_ESCAPE.sub(r"\1", _MARKUP.sub("", text.removesuffix("\\"))).split())


def _passed(lines: Sequence[str], matches: re.Pattern[str] | None) -> tuple[int, list[str]]:
    """Return how many lines from the first on go, and the words of those that were more than blank."""
    count = 0
    words: list[str] = []
    for number, line in enumerate(lines[: _LINES_AT_AN_END_MAX * 2], start=1):
        if _RULE.fullmatch(line):
            continue
        if matches is None or len(words) >= _LINES_AT_AN_END_MAX or not _is_footer(line, matches):
            break
        words.append(plain_words(line))
        count = number
    # Blank lines and rules beside a line that stays are part of the text, those beside one that goes are not.
    while words and count < len(lines) and _RULE.fullmatch(lines[count]):
        count += 1
    return count, words


def _is_footer(line: str, matches: re.Pattern[str]) -> bool:
    """Tell whether each piece of a line is named: `Sign up | Contact us | Home`, also as links without a sign."""
    if not (words := plain_words(line)):
        return False
    links = [match[1] for match in _LINK.finditer(line)]
    between = plain_words(_LINK.sub(" | ", line))
    pieces = [words] if not links else [*links, *_BETWEEN.split(between)]
    pieces = [_NO_WORD.sub("", plain_words(piece)) for piece in pieces]
    named = [piece for piece in pieces if piece]
    if named and all(matches.fullmatch(piece) for piece in named):
        return True
    split = [_NO_WORD.sub("", piece) for piece in _BETWEEN.split(words)]
    return all(matches.fullmatch(piece) for piece in split if piece) or bool(matches.fullmatch(words))


@lru_cache(maxsize=16)
def _matcher(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    """Return one expression of all patterns, in which `*` stands for anything; signs at the end do not matter."""
    expressions = []
    for pattern in patterns:
        words = " ".join(_NO_WORD.sub("", pattern.removesuffix("*")).split())
        anything = r".*" if pattern.endswith("*") else ""
        inner = r".*".join(r"\s+".join(map(re.escape, part.split())) for part in words.split("*"))
        expressions.append(inner + anything)
    return re.compile("|".join(expressions), re.IGNORECASE) if expressions else None
