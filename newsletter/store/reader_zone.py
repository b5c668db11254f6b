"""The zones in which readers live, for a newsletter that goes out by each reader's own clock.

In: a transaction. Out: each zone as it is written, how many active people have it, and since when. It is asked only
where `Cadence.locally` is set; otherwise a cadence passes through as it came, and no query is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import func, select

from newsletter.core.cadence import Cadence, ReaderZone
from newsletter.core.subscriber import SubscriberState
from newsletter.store import installation as installations
from newsletter.store.schema import subscriber
from newsletter.store.unit import Tx

ZONES_REFRESH = timedelta(minutes=1)
"""The tick comes every few seconds, and among a million people the question takes a good part of one."""


def reader_zones(tx: Tx) -> Sequence[ReaderZone]:
    """Return every zone of an active person, the most frequent first; '' for those who have none."""
    people = func.count().label("people")
    query = (
        select(subscriber.c.time_zone, people, func.min(subscriber.c.state_since).label("since"))
        .where(subscriber.c.state == SubscriberState.ACTIVE.value)
        .group_by(subscriber.c.time_zone)
        .order_by(people.desc(), subscriber.c.time_zone)
    )
    return [ReaderZone(zone=row.time_zone, people=row.people, since=row.since) for row in tx.execute(query)]


def with_readers(tx: Tx, cadence: Cadence) -> Cadence:
    """Return a cadence that knows when a date begins for its first reader."""
    if not cadence.locally or cadence.readers:
        return cadence
    return _known_from(cadence, reader_zones(tx), installations.get(tx).not_before)


def _known_from(cadence: Cadence, zones: Sequence[ReaderZone], not_before: datetime | None) -> Cadence:
    # What the first tick or a changed schedule found past stays past, in whichever zone.
    later = [replace(zone, since=max(zone.since, not_before)) if not_before else zone for zone in zones]
    return replace(cadence, readers=tuple(later))


@dataclass(slots=True)
class ReaderZones:
    """The same for one who asks again and again; what was found serves for a minute."""

    _found: Sequence[ReaderZone] = ()
    _at: datetime | None = None

    def fill_in(self, tx: Tx, cadence: Cadence, *, now: datetime) -> Cadence:
        """Return a cadence that knows when a date begins for its first reader."""
        if not cadence.locally:
            return cadence
        if self._at is None or not timedelta() <= now - self._at < ZONES_REFRESH:
            self._found, self._at = reader_zones(tx), now
        return _known_from(cadence, self._found, installations.get(tx).not_before)
