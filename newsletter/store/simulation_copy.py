"""An excerpt: what a simulation needs of a database, without names of people.

In: a database of either kind. Out: its tips, dates, past editions and schedule as values, and how many people would get
an edition. No address leaves it: neither people nor what was sent to them are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Table, func, insert, select, update

from newsletter.core.cadence import ReaderZone
from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionStatus
from newsletter.core.subscriber import SubscriberState
from newsletter.store import subscriber_count
from newsletter.store.reader_zone import reader_zones
from newsletter.store.schema import edition, installation, notice, slot, subscriber, tip
from newsletter.store.unit import Tx

_Rows = Sequence[Mapping[str, Any]]

_KINDS = ("proof", "withdrawn", "sending", "report")


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationCopy:
    """Rows by table; how many people there are; and since when which schedule holds."""

    rows: Mapping[str, _Rows]
    notices: _Rows
    """What was said about which date: kind, about, variant and time of notices."""
    active: int
    zones: Sequence[ReaderZone]
    """Where people live, and how many: who gets a rehearsed edition at which hour."""
    first_tick_at: datetime | None
    cadence: str | None
    cadence_since: datetime | None


def take(tx: Tx) -> SimulationCopy:
    """Read the excerpt of a database."""
    notices = select(notice.c.kind, notice.c.about, notice.c.variant, func.min(notice.c.created_at).label("created_at"))
    notices = notices.where(notice.c.kind.in_(_KINDS)).group_by(notice.c.kind, notice.c.about, notice.c.variant)
    row = tx.execute(select(installation)).one()
    return SimulationCopy(
        # In this order each row finds what it refers to.
        rows={table.name: _rows(tx, table) for table in (tip, slot, edition)},
        notices=[dict(item._mapping) for item in tx.execute(notices)],  # noqa: SLF001 - its documented name
        active=subscriber_count.active(tx),
        zones=reader_zones(tx),
        first_tick_at=row.first_tick_at,
        cadence=row.cadence,
        cadence_since=row.cadence_since,
    )


def plant(tx: Tx, known: SimulationCopy, *, fresh: bool) -> None:
    """Write an excerpt into a fresh database, without its people; `fresh` lets its schedule begin anew."""
    for table in (tip, slot, edition):
        rows = [_closed(row) if table is edition else dict(row) for row in known.rows[table.name]]
        if rows:
            tx.execute(insert(table), rows)
    # As said already, so that a date is not proven and an edition not reported again.
    parts = [{**item, "recipient": "", "message": "", "state": "withdrawn"} for item in known.notices]
    if parts:
        tx.execute(insert(notice), parts)
    if fresh:
        return
    tx.execute(
        update(installation).values(
            first_tick_at=known.first_tick_at, cadence=known.cadence, cadence_since=known.cadence_since
        ),
    )


def _closed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an edition with its totals: the copy has no people who could get the rest of one that was under way."""
    if row["finished_at"] is not None:
        return dict(row)
    # As its people are not known either, it is taken to end well, so that its books balance.
    cancelled = row["status"] == EditionStatus.CANCELLED.value
    state = DeliveryState.SKIPPED if cancelled else DeliveryState.ACCEPTED
    status = row["status"] if cancelled else EditionStatus.FINISHED.value
    return {
        **row,
        "status": status,
        "finished_at": row["started_at"],
        "totals": {state.value: row["audience"]},
    }


def plant_people(tx: Tx, count: int, *, zones: Sequence[ReaderZone] = (), now: datetime) -> None:
    """Write stand-ins for the people; with `zones`, someone in each of them, and the others where most live."""
    homes = _homes(zones, count)
    rows = [
        {
            "email": f"reader-{number}@example.org",
            "canonical": f"reader-{number}@example.org",
            "first_name": f"Reader {number}",
            "time_zone": homes[number - 1],
            "state": SubscriberState.ACTIVE.value,
            "state_since": now,
            "created_at": now,
        }
        for number in range(1, count + 1)
    ]
    if rows:
        tx.execute(insert(subscriber), rows)


def _homes(zones: Sequence[ReaderZone], count: int) -> list[str]:
    """Return the zone of each stand-in."""
    everybody = sum(zone.people for zone in zones)
    each = [zone.zone for zone in zones]
    shares = [zone.zone for zone in zones for _ in range((count - len(each)) * zone.people // max(1, everybody))]
    homes = [*each, *shares][:count]
    return homes + [zones[0].zone if zones else ""] * (count - len(homes))


def _rows(tx: Tx, table: Table) -> _Rows:
    # The content of an edition is large, and frozen: no rehearsal sends it again.
    drop = {"content": "", "nonce": ""} if table is edition else {}
    return [{**row._mapping, **drop} for row in tx.execute(select(table))]  # noqa: SLF001 - its documented name
