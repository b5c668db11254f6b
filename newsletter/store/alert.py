"""Alerts: what needs a person. Repeated trouble is one open row; what has passed is cleared, not deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from newsletter.store.schema import alert
from newsletter.store.unit import Tx


class AlertKind(StrEnum):
    """What can be wrong."""

    MISSED_SLOT = "missed-slot"
    EMPTY_SLOT = "empty-slot"
    STRANDED_PIN = "stranded-pin"
    CANNOT_FREEZE = "cannot-freeze"
    EXPIRED_PEOPLE = "expired-people"
    EDITION_PAUSED = "edition-paused"
    RELAY = "relay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One thing that needs, or needed, a person."""

    kind: AlertKind
    about: str
    """What it concerns, such as the date of a slot; one open alert per kind and subject."""
    message: str
    raised_at: datetime


def raise_alert(tx: Tx, found: Alert) -> bool:
    """Open an alert unless it is open already; tell whether it is new."""
    insert = sqlite_insert if tx.dialect.name == "sqlite" else postgresql_insert
    done = tx.execute(
        insert(alert)
        .values(kind=found.kind.value, about=found.about, message=found.message, raised_at=found.raised_at)
        .on_conflict_do_nothing()
        # The count of inserted rows is not kept on PostgreSQL; a row that comes back was written.
        .returning(alert.c.id),
    )
    return done.first() is not None


def clear(tx: Tx, kind: AlertKind, about: str, *, now: datetime) -> bool:
    """Close an open alert; tell whether there was one."""
    done = tx.execute(
        update(alert)
        .where(alert.c.kind == kind.value, alert.c.about == about, alert.c.cleared_at.is_(None))
        .values(cleared_at=now),
    )
    return done.rowcount == 1


def open_alerts(tx: Tx) -> Sequence[Alert]:
    """Return what still needs a person, oldest first."""
    rows = tx.execute(select(alert).where(alert.c.cleared_at.is_(None)).order_by(alert.c.id))
    return [
        Alert(kind=AlertKind(row.kind), about=row.about, message=row.message, raised_at=row.raised_at) for row in rows
    ]
