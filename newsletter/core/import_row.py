"""The effect of one row of a subscriber file on the list.

In: the row, and the person as stored, if any. Out: the fate of the row, and the person to store. The stronger state
wins in whatever order files are read; a row never brings back a person who left or was erased. A value is never
overwritten, with one exception: a name that an import wrote, and no person since, is corrected by a later file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from newsletter.core.csv_row import GoodRow
from newsletter.core.subscriber import Subscriber, SubscriberId, SubscriberState, stronger

NOT_STORED = SubscriberId(0)
"""The id of a person whom the database has not seen yet."""

LEFT_STATES = frozenset({SubscriberState.UNSUBSCRIBED, SubscriberState.BOUNCED, SubscriberState.COMPLAINED})
"""Only `reactivate` brings these back."""

_NAMES = ("name", "first_name", "last_name")
_TEXTS = (*_NAMES, "time_zone")


class RowResult(StrEnum):
    """The effect of a row."""

    ADDED = "added"
    STRONGER = "stronger"
    """The file has a stronger state, such as unsubscribed."""
    FILLED = "filled"
    """Something that was empty is filled in."""
    CORRECTED = "corrected"
    """A name that an earlier import wrote is replaced."""
    UNCHANGED = "unchanged"
    LEFT = "left"
    """The person left earlier, and stays out."""
    SUPPRESSED = "suppressed"
    """The person was erased, and stays out."""


@dataclass(frozen=True, slots=True)
class ImportDecision:
    """The decision about one row."""

    fate: RowResult
    person: Subscriber | None
    """As stored from now on; None for a person who is new, and for one who was erased."""


ADDED = ImportDecision(RowResult.ADDED, None)
SUPPRESSED = ImportDecision(RowResult.SUPPRESSED, None)
"""The decision about an address that is not on the list, and about one that was erased."""


class ImportedPerson(NamedTuple):
    """A person who is new on the list, and the evidence of their consent, as an import writes them by the thousand."""

    email: str
    canonical: str
    name: str
    first_name: str
    last_name: str
    time_zone: str
    state: SubscriberState
    tags: tuple[str, ...]
    fields: Mapping[str, str]
    evidence: Mapping[str, str]


def enter(known: Subscriber, row: GoodRow, *, now: datetime, why: str, correct: bool = True) -> ImportDecision:
    """Decide the effect of a row about a person of the list.

    `why` is stored with the state; `correct`: the row may replace a name that an import wrote, which only the first row
    of an address in a file may.
    """
    state = stronger(known.state, row.state)
    if known.state in LEFT_STATES and row.state not in LEFT_STATES:
        return ImportDecision(RowResult.LEFT, known)
    person = known if state in LEFT_STATES else _filled(known, row)
    corrected = person if state in LEFT_STATES or not correct else _corrected(person, row)
    if state is not known.state:
        return ImportDecision(RowResult.STRONGER, replace(corrected, state=state, state_since=now, state_why=why))
    if corrected is not person:
        return ImportDecision(RowResult.CORRECTED, corrected)
    return ImportDecision(RowResult.UNCHANGED if person is known else RowResult.FILLED, person)


def imported_person(row: GoodRow, evidence: Mapping[str, str]) -> ImportedPerson:
    """Return the person whom a row describes."""
    email, canonical, *_ = row.address
    return ImportedPerson(
        email,
        canonical,
        row.name,
        row.first_name,
        row.last_name,
        row.time_zone,
        row.state,
        row.tags,
        row.fields,
        evidence,
    )


def _corrected(known: Subscriber, row: GoodRow) -> Subscriber:
    """Replace names that an import wrote by those of the row; the same value when there is nothing to replace."""
    if not known.names_imported:
        return known
    names = {name: new for name in _NAMES if (new := getattr(row, name)) and new != getattr(known, name)}
    return replace(known, **names) if names else known


def _filled(known: Subscriber, row: GoodRow) -> Subscriber:
    """Fill in what is empty; the same value when there is nothing to fill."""
    texts = {name: new for name in _TEXTS if (new := getattr(row, name)) and not getattr(known, name)}
    tags = known.tags or row.tags
    fields = known.fields if row.fields.keys() <= known.fields.keys() else {**row.fields, **known.fields}
    if not texts and tags == known.tags and fields is known.fields:
        return known
    return replace(known, tags=tags, fields=fields, **texts)
