"""Which edition is meant: a date, `DATE.2`, `next` or `last`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from newsletter.errors import InputError

if TYPE_CHECKING:
    from datetime import date

    from newsletter.core.edition import Edition
    from newsletter.store.unit import Tx


def find_edition(tx: Tx, name: str) -> Edition:
    """Return the edition that a person names; `next` has none yet.

    Raises `InputError` naming the nearest editions.
    """
    from newsletter.store import edition as editions

    newest = editions.latest(tx, count=3)
    if name == "last":
        if newest:
            return newest[0]
        raise InputError("No edition has been sent yet.")
    if name == "next":
        raise InputError("The next edition is not frozen yet; `newsletter queue` shows what it will be.")
    on, number = parse_name(name)
    edition = editions.by_date(tx, on, number)
    if edition is None:
        known = ", ".join(item.name for item in newest) or "none yet"
        raise InputError(f"There is no edition of {name}. The latest: {known}.")
    return edition


def parse_name(name: str) -> tuple[date, int]:
    """Read `2026-11-24` or `2026-11-24.2`."""
    from newsletter.core.cadence import parse_date

    day, dot, number = name.partition(".")
    if dot and not (number.isdecimal() and number.isascii() and 1 <= int(number) <= 99):  # noqa: PLR2004 two digits do
        raise InputError(f"{name!r} is not an edition: use its date, such as 2026-11-24 or 2026-11-24.2.")
    try:
        return parse_date(day), int(number or 1)
    except ValueError as error:
        raise InputError(f"{error}, or `last`.") from error
