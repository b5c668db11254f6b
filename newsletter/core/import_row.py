"""What one row of a subscriber file does to the list.

In: the row, and the person as the list knows her, if it does. Out: her fate, in a word, and the person as she is then.
In whatever order files are read, the stronger state wins; nobody who left or was erased is brought back; and what is
known of somebody is never overwritten, only what is empty is filled in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from newsletter.core.csv_import import GoodRow
from newsletter.core.subscriber import Subscriber, SubscriberId, SubscriberState, stronger

NOT_STORED = SubscriberId(0)
"""The id of a person whom the database has not seen yet."""

LEFT_STATES = frozenset({SubscriberState.UNSUBSCRIBED, SubscriberState.BOUNCED, SubscriberState.COMPLAINED})
"""Only `reactivate` brings these back."""

_TEXTS = ("name", "first_name", "last_name", "time_zone")


class RowResult(StrEnum):
    """What became of a row."""

    ADDED = "added"
    STRONGER = "stronger"
    """The file knows a stronger state, such as that she left."""
    FILLED = "filled"
    """Something that was empty is known now."""
    UNCHANGED = "unchanged"
    LEFT = "left"
    """She left earlier, and stays out."""
    SUPPRESSED = "suppressed"
    """She was erased, and stays out."""


@dataclass(frozen=True, slots=True)
class ImportDecision:
    """The decision about one row."""

    fate: RowResult
    person: Subscriber | None
    """As she is from now on; None for one who was erased."""


def enter(known: Subscriber | None, row: GoodRow, *, suppressed: bool, now: datetime, why: str) -> ImportDecision:
    """Decide what a row does; `suppressed` tells that the address was erased, `why` goes to the state."""
    if known is None:
        return (
            ImportDecision(RowResult.SUPPRESSED, None)
            if suppressed
            else ImportDecision(RowResult.ADDED, _newcomer(row, now, why))
        )
    state = stronger(known.state, row.state)
    if known.state in LEFT_STATES and row.state not in LEFT_STATES:
        return ImportDecision(RowResult.LEFT, known)
    person = known if state in LEFT_STATES else _filled(known, row)
    if state is not known.state:
        return ImportDecision(RowResult.STRONGER, replace(person, state=state, state_since=now, state_why=why))
    return ImportDecision(RowResult.UNCHANGED if person is known else RowResult.FILLED, person)


def _newcomer(row: GoodRow, now: datetime, why: str) -> Subscriber:
    return Subscriber(
        id=NOT_STORED,
        email=row.address.email,
        canonical=row.address.canonical,
        name=row.name,
        first_name=row.first_name,
        last_name=row.last_name,
        time_zone=row.time_zone,
        tags=row.tags,
        fields=row.fields,
        state=row.state,
        state_since=now,
        state_why=why,
        created_at=now,
    )


def _filled(known: Subscriber, row: GoodRow) -> Subscriber:
    """Fill in what is empty; the same value when there is nothing to fill."""
    texts = {name: new for name in _TEXTS if (new := getattr(row, name)) and not getattr(known, name)}
    tags = known.tags or row.tags
    fields = known.fields if row.fields.keys() <= known.fields.keys() else {**row.fields, **known.fields}
    if not texts and tags == known.tags and fields is known.fields:
        return known
    return replace(known, tags=tags, fields=fields, **texts)
