"""Slots: send dates, keyed by local date. A state moves only by an update guarded by the state it was read in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime

from sqlalchemy import Row, delete, func, select, update

from newsletter.core.cadence import Slot, SlotState
from newsletter.store.schema import slot
from newsletter.store.unit import Tx
from newsletter.store.upsert import upsert


def _from_row(row: Row) -> Slot:  # type: ignore[type-arg]
    return Slot(
        date=row.date,
        sends_at=row.sends_at,
        extra=row.extra,
        state=SlotState(row.state),
        reason=row.reason,
        empty_since=row.empty_since,
    )


def add(tx: Tx, new: Slot, *, now: datetime) -> bool:
    """Write a slot unless its date has one; tell whether it is new."""
    result = tx.execute(
        upsert(slot, tx.dialect.name)
        .values(
            date=new.date,
            # Of an extra date that is ahead the row alone knows its hour, which is that of the publication's zone.
            sends_at=new.at_home if new.extra else new.sends_at,
            extra=new.extra,
            state=new.state.value,
            reason=new.reason,
            changed_at=now,
        )
        .on_conflict_do_nothing()
        # The count of inserted rows is not kept on PostgreSQL; a row that comes back was written.
        .returning(slot.c.date),
    )
    return result.first() is not None


def get(tx: Tx, on: date) -> Slot | None:
    """Return the slot of a date, None when it has no row yet."""
    row = tx.execute(select(slot).where(slot.c.date == on)).first()
    return None if row is None else _from_row(row)


def since(tx: Tx, at: datetime | None) -> Sequence[Slot]:
    """Return the slots that send at or after an instant (all, for None), in order."""
    query = select(slot).order_by(slot.c.sends_at)
    if at is not None:
        query = query.where(slot.c.sends_at >= at)
    return [_from_row(row) for row in tx.execute(query)]


def unsettled(tx: Tx, *, since: datetime, settled: datetime, now: datetime) -> Sequence[Slot]:
    """Return the slots from `settled` on; of those from `since` on also the open ones, and the last edition.

    The last edition is the newest frozen slot up to `now`: no date before it may go out.
    """
    frozen = (slot.c.state == SlotState.FROZEN.value) & (slot.c.sends_at <= now)
    last_edition = select(func.max(slot.c.sends_at)).where(frozen).scalar_subquery()
    matters = (slot.c.sends_at >= settled) | (slot.c.state == SlotState.OPEN.value) | (slot.c.sends_at == last_edition)
    query = select(slot).where(slot.c.sends_at >= since, matters).order_by(slot.c.sends_at)
    return [_from_row(row) for row in tx.execute(query)]


def on(tx: Tx, dates: Collection[date]) -> Sequence[Slot]:
    """Return the slots of some dates, as far as they have rows."""
    rows = tx.execute(select(slot).where(slot.c.date.in_(sorted(dates)))) if dates else ()
    return [_from_row(row) for row in rows]


def from_date(tx: Tx, first: date) -> Sequence[Slot]:
    """Return the slots of a date and all later ones, with every older one that is still open, in order."""
    query = select(slot).where((slot.c.date >= first) | (slot.c.state == SlotState.OPEN.value))
    return [_from_row(row) for row in tx.execute(query.order_by(slot.c.sends_at))]


def move(tx: Tx, on: date, *, was: SlotState, to: SlotState, reason: str, now: datetime) -> bool:
    """Move a slot on if it is still in the state it was read in; tell whether it was."""
    result = tx.execute(
        update(slot)
        .where(slot.c.date == on, slot.c.state == was.value)
        .values(state=to.value, reason=reason, changed_at=now),
    )
    return result.rowcount == 1


def mark_empty(tx: Tx, on: date, *, reason: str, now: datetime) -> None:
    """Record that an open slot had nothing to send at its time, and why; it stays open until its grace is over."""
    tx.execute(
        update(slot)
        .where(slot.c.date == on, slot.c.state == SlotState.OPEN.value)
        .values(reason=reason, empty_since=func.coalesce(slot.c.empty_since, now), changed_at=now),
    )


def move_instant(tx: Tx, on: date, *, sends_at: datetime, now: datetime) -> None:
    """Follow a changed time or zone, for a slot that was not sent."""
    tx.execute(
        update(slot)
        .where(slot.c.date == on, slot.c.state.in_([SlotState.OPEN.value, SlotState.SKIPPED.value]))
        .values(sends_at=sends_at, changed_at=now),
    )


def remove(tx: Tx, on: date) -> bool:
    """Take away a slot that is still open; tell whether it was."""
    result = tx.execute(delete(slot).where(slot.c.date == on, slot.c.state == SlotState.OPEN.value))
    return result.rowcount == 1
