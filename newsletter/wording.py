"""The wording of counts, lists and days, in English whatever the locale.

In: numbers, words and dates. Out: parts of a sentence. Every layer uses it, so that no message says `1 people`.
"""

from __future__ import annotations

from collections.abc import Sequence

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
"""In the order of `date.weekday()`: the place of a name is its number. These are stored and parsed, unlike
those of `calendar`, which change with the locale of the process."""

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def plural(count: int, singular: str, many: str = "") -> str:
    """Return `1 tip` or `1,204 tips`; `many` is the plural with its verb where an s is not enough."""
    return f"{count:,} {inflected(count, singular, many or f'{singular}s')}"


def people_words(count: int) -> str:
    """Return `1 person` or `1,204 people`."""
    return plural(count, "person", "people")


def inflected(count: int, singular: str, many: str) -> str:
    """Return the word that fits a count which stands elsewhere in the sentence."""
    return singular if count == 1 else many


def listed(items: Sequence[str]) -> str:
    """Return `a`, `a and b`, or `a, b and c`."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def weekday_name(number: int) -> str:
    """Return `Tuesday` for 1, as `date.weekday()` counts."""
    return WEEKDAYS[number].capitalize()
