"""The zones in which readers live, for a newsletter that goes out by each reader's own clock.

In: a transaction. Out: each zone as it is written, how many active people have it, and since when. It is asked only
where `Cadence.locally` is set; otherwise a cadence passes through unchanged, and no query is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, func, literal_column, select

from newsletter.core.cadence import Cadence, ReaderZone
from newsletter.core.subscriber import SubscriberState
from newsletter.store import installation as installations
from newsletter.store.schema import subscriber, subscriber_count
from newsletter.store.unit import Tx

# Literal, since the partial index serves no bound value.
_ACTIVE: ColumnElement[str] = literal_column(f"'{SubscriberState.ACTIVE.value}'")
_PEOPLE = func.sum(subscriber_count.c.people)
_ZONES = (
    select(
        subscriber_count.c.time_zone,
        _PEOPLE.label("people"),
        select(func.min(subscriber.c.state_since))
        .where(subscriber.c.state == _ACTIVE, subscriber.c.time_zone == subscriber_count.c.time_zone)
        .correlate(subscriber_count)
        .scalar_subquery()
        .label("since"),
    )
    .where(subscriber_count.c.state == SubscriberState.ACTIVE.value)
    .group_by(subscriber_count.c.time_zone)
    .having(_PEOPLE > 0)
    .order_by(_PEOPLE.desc(), subscriber_count.c.time_zone)
)


def reader_zones(tx: Tx) -> Sequence[ReaderZone]:
    """Return every zone of an active person, the most frequent first; '' for those who have none."""
    return [ReaderZone(zone=row.time_zone, people=int(row.people), since=row.since) for row in tx.execute(_ZONES)]


def with_readers(tx: Tx, cadence: Cadence) -> Cadence:
    """Return a cadence that knows when a date begins for its first reader."""
    if not cadence.locally or cadence.readers:
        return cadence
    not_before = installations.get(tx).not_before
    # What the first tick or a changed schedule found past stays past, in whichever zone.
    later = (replace(zone, since=max(zone.since, not_before)) if not_before else zone for zone in reader_zones(tx))
    return replace(cadence, readers=tuple(later))
