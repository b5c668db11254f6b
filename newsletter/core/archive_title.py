"""The title of an old post: its date taken out, as in `Defend without Being Defensive - 7/8/14 TOW`.

In: a title and the patterns of the setting, such as `{title} - {month}/{day}/{year}`. Out: the title alone and the day
on which readers first had it. A date that cannot be stays in the title and is reported.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

PATTERN_SEPARATOR = "|"
"""Between two patterns of a setting."""
FIRST_YEAR_MIN = 1971
"""No mail is older."""

_PLACES = {
    "title": r"(?P<title>\S.*?)",
    "month": r"(?P<month>\d{1,2})",
    "day": r"(?P<day>\d{1,2})",
    "year": r"(?P<year>\d{4}|\d{2})",
}
_DASHES = "-\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{FIGURE DASH}\N{EN DASH}\N{EM DASH}\N{MINUS SIGN}"
_PIECES = re.compile(
    rf"\{{(?P<place>title|month|day|year)\}}|(?P<blanks>\s+)|(?P<dash>[{_DASHES}])|(?P<sign>.)", re.DOTALL
)
_LAST_CENTURY_MIN = 70
"""Two digits from here on are of the century before (POSIX has 69, but no mail is of 1970)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveTitle:
    """A title and the date that stood in it."""

    title: str
    published_on: date | None = None
    fault: str = ""
    """Why the date in the title was not taken, in words."""


def split_patterns(text: str) -> tuple[str, ...]:
    """Return the patterns of a setting, which `|` separates."""
    return tuple(part.strip() for part in text.split(PATTERN_SEPARATOR) if part.strip())


def split_title(title: str, patterns: Sequence[str], *, today: date) -> ArchiveTitle:
    """Take the date out of a title by the first pattern that fits; blanks and kinds of dashes make no difference."""
    plain = " ".join(title.split())
    for pattern in patterns:
        match = _compiled(pattern).fullmatch(plain)
        if match is None:
            continue
        year = int(match["year"])
        if len(match["year"]) == len("yy"):
            year += 2000 if year < _LAST_CENTURY_MIN else 1900
        try:
            day = date(year, int(match["month"]), int(match["day"]))
        except ValueError:
            return ArchiveTitle(title=plain, fault="its title has a date that does not exist")
        if day > today:
            return ArchiveTitle(title=plain, fault=f"its title has a date that is still to come, {day}")
        if day.year < FIRST_YEAR_MIN:
            return ArchiveTitle(title=plain, fault=f"its title has a date before the first mail, {day}")
        return ArchiveTitle(title=match["title"], published_on=day)
    return ArchiveTitle(title=plain)


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    pieces = []
    for match in _PIECES.finditer(pattern):
        if (place := match["place"]) is not None:
            pieces.append(_PLACES[place])
        elif match["blanks"]:
            # A title may be typed with two blanks, or with none around its dash.
            pieces.append(r"\s*")
        elif match["dash"]:
            pieces.append(f"[{_DASHES}]")
        else:
            pieces.append(re.escape(match["sign"]))
    return re.compile("".join(pieces), re.IGNORECASE)
