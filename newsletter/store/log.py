"""The log of every change by a person: who, when, what, why. Append-only; it bears ids, never addresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, insert, or_, select

from newsletter.store.schema import edition, log
from newsletter.store.unit import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One change."""

    at: datetime
    who: str
    what: str
    """Verb and noun, such as `tip approve`."""
    about: str
    """Name of the thing: a slug, a date, `subscriber 17`."""
    why: str = ""
    id: int = field(default=0, compare=False)
    """Its place in the log, once it is stored."""


def add(tx: Tx, entry: LogEntry) -> None:
    """Write one entry."""
    tx.execute(
        insert(log).values(at=entry.at, who=entry.who, what=entry.what, about=entry.about, why=entry.why),
    )


def change_mark(tx: Tx) -> tuple[int, int]:
    """Return a value that changes with each change by a person and each freeze: the last ids of log and editions.

    On PostgreSQL a transaction may commit after one that has a higher id; its change does not show in the mark.
    """
    ids = [select(func.coalesce(func.max(table.c.id), 0)).scalar_subquery() for table in (log, edition)]
    change, freeze = tx.execute(select(*ids)).one()
    return change, freeze


def latest(
    tx: Tx, *, count: int = 50, containing: str = "", about: str = "", before: int | None = None
) -> Sequence[LogEntry]:
    """Return the last entries, newest first; only those that hold a text somewhere, or are about just that thing.

    With `before`, those that stand before the entry of this id.
    """
    query = select(log).order_by(log.c.id.desc()).limit(count)
    if before is not None:
        query = query.where(log.c.id < before)
    if about:
        query = query.where(log.c.about == about)
    if containing:
        columns = (log.c.who, log.c.what, log.c.about, log.c.why)
        query = query.where(
            or_(*(func.lower(column).contains(containing.lower(), autoescape=True) for column in columns))
        )
    rows = tx.execute(query)
    return [LogEntry(at=row.at, who=row.who, what=row.what, about=row.about, why=row.why, id=row.id) for row in rows]
