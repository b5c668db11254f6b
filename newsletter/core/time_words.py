"""Words of time: what makes a text old when it is read in another week or year than the one it was written for.

In: a text. Out: the words, in their order. An evergreen that says “last week” is wrong whenever it is sent again, and
an old post may have been written for its own day. English only; other languages give no words.
"""

from __future__ import annotations

import re

TIME_WORDS_SHOWN_MAX = 5

_NUMBERS = "a|an|one|two|three|four|five|six|seven|eight|nine|ten|a few|several|[0-9]{1,2}"
_UNITS = "days?|weeks?|months?|years?"
_WEEKDAYS = "mondays?|tuesdays?|wednesdays?|thursdays?|fridays?|saturdays?|sundays?"
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_SEASONS = "spring|summer|fall|autumn|winter|season|holidays?"
_OWN = r"['\N{RIGHT SINGLE QUOTATION MARK}]s"
_FEASTS = (
    rf"christmas|thanksgiving|easter|halloween|hanukkah|new year{_OWN}(?: eve| day)?|valentine{_OWN} day"
    rf"|mother{_OWN} day|father{_OWN} day|labor day|memorial day|independence day|black friday|super bowl"
)
_YEARS = r"19[89]\d|20[0-4]\d"
_TIME_WORDS = re.compile(
    rf"(?:(?:last|this past|this|next|the coming|the past|earlier this|later this)\s+(?:week|month|year|{_WEEKDAYS}"
    rf"|{_MONTHS}|{_SEASONS})"
    rf"|(?:{_NUMBERS})\s+(?:{_UNITS})\s+ago"
    rf"|in\s+the\s+(?:last|next)\s+(?:(?:{_NUMBERS})\s+)?(?:{_UNITS})"
    rf"|yesterday|tomorrow|tonight|{_FEASTS}|{_YEARS})\b",
    re.IGNORECASE,
)
_FIRST_WORD = re.compile(
    r"\b(?=[a-z0-9])(?:last|this|next|the|earlier|later|in|an?|one|two|three|four|five|six|seven|eight|nine|ten|few"
    r"|several|[0-9]{1,2}|yesterday|tomorrow|tonight|christmas|thanksgiving|easter|halloween|hanukkah|new|valentine"
    rf"|mother|father|labor|memorial|independence|black|super|{_YEARS})\b",
    re.IGNORECASE,
)
"""Where the longer expression can fit at all: it is tried at these words alone, which takes a third of the time."""
_ADDRESS = re.compile(r"\]\([^)]*\)|<?https?://\S+")
"""A year in an address is no word of the text."""


def time_words(text: str) -> tuple[str, ...]:
    """Return the words of time in a Markdown text, each once, in the order in which they first stand."""
    plain = _ADDRESS.sub(" ", text)
    by_fold: dict[str, str] = {}
    end = 0
    for first in _FIRST_WORD.finditer(plain):
        match = _TIME_WORDS.match(plain, first.start()) if first.start() >= end else None
        if match is not None:
            end = match.end()
            word = " ".join(match[0].split())
            by_fold.setdefault(word.casefold(), word)
    return tuple(by_fold.values())
