"""Alerts: what needs a person. Repeated trouble is one row; what has passed is cleared, not deleted.

An alert is open until it is cleared, and closed once all was said about it, that it has passed too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, select, update

from newsletter.core.alert import AlertKind
from newsletter.store.schema import alert
from newsletter.store.unit import Tx
from newsletter.store.upsert import upsert

__all__ = ["Alert", "AlertKind", "clear", "close", "open_alerts", "raise_alert", "ran_command", "unclosed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One thing that needs, or needed, a person."""

    id: int = 0
    """0 until it is stored."""
    kind: AlertKind
    about: str
    """What it concerns, such as the date of a slot; one alert at a time per kind and subject."""
    message: str
    raised_at: datetime
    cleared_at: datetime | None = None
    command_at: datetime | None = None


def _from_row(row: Row) -> Alert:  # type: ignore[type-arg]
    return Alert(
        id=row.id,
        kind=AlertKind(row.kind),
        about=row.about,
        message=row.message,
        raised_at=row.raised_at,
        cleared_at=row.cleared_at,
        command_at=row.command_at,
    )


def raise_alert(tx: Tx, new: Alert) -> bool:
    """Open an alert unless it is open already; tell whether it is new.

    Trouble that comes back before it was told that it has passed is the same trouble.
    """
    again = (
        update(alert)
        .where(alert.c.kind == new.kind.value, alert.c.about == new.about, alert.c.closed_at.is_(None))
        .where(alert.c.cleared_at.is_not(None))
        .values(cleared_at=None, message=new.message)
    )
    if tx.execute(again).rowcount:
        return False
    result = tx.execute(
        upsert(alert, tx.dialect.name)
        .values(kind=new.kind.value, about=new.about, message=new.message, raised_at=new.raised_at)
        .on_conflict_do_nothing()
        # Not by the count of rows: on PostgreSQL an INSERT keeps none.
        .returning(alert.c.id),
    )
    return result.first() is not None


def clear(tx: Tx, kind: AlertKind, about: str, *, now: datetime, quietly: bool = False) -> bool:
    """Note that a trouble has passed; tell whether it was open. Quietly, when another alert takes its place."""
    values = {"cleared_at": now, "closed_at": now} if quietly else {"cleared_at": now}
    result = tx.execute(
        update(alert)
        .where(alert.c.kind == kind.value, alert.c.about == about, alert.c.cleared_at.is_(None))
        .values(**values),
    )
    return result.rowcount == 1


def open_alerts(tx: Tx) -> Sequence[Alert]:
    """Return what still needs a person, oldest first."""
    rows = tx.execute(select(alert).where(alert.c.cleared_at.is_(None)).order_by(alert.c.id))
    return [_from_row(row) for row in rows]


def unclosed(tx: Tx) -> Sequence[Alert]:
    """Return the alerts about which something may be left to say, oldest first."""
    rows = tx.execute(select(alert).where(alert.c.closed_at.is_(None)).order_by(alert.c.id))
    return [_from_row(row) for row in rows]


def ran_command(tx: Tx, alert_id: int, *, now: datetime) -> bool:
    """Take the right to run the command for an alert; tell whether this process has it."""
    result = tx.execute(
        update(alert).where(alert.c.id == alert_id, alert.c.command_at.is_(None)).values(command_at=now)
    )
    return result.rowcount == 1


def close(tx: Tx, closing: Alert, *, now: datetime) -> bool:
    """Lay an alert aside, unless it came back meanwhile; tell whether it was."""
    same = alert.c.cleared_at.is_(None) if closing.cleared_at is None else alert.c.cleared_at == closing.cleared_at
    result = tx.execute(
        update(alert)
        .where(alert.c.id == closing.id, alert.c.closed_at.is_(None), same)
        .values(cleared_at=closing.cleared_at or now, closed_at=now),
    )
    return result.rowcount == 1
