"""Workers: the sending processes, past and present, and how people and other workers know that one lives.

In: what a process says of itself. Out: who is alive, with what, since when. On PostgreSQL the server's clock dates all
of it, so that machines whose clocks differ agree on who is late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NewType

from sqlalchemy import Row, delete, func, insert, select, update

from newsletter.core.liveness import LATE_AFTER
from newsletter.store.schema import worker
from newsletter.store.unit import Tx

WorkerId = NewType("WorkerId", int)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One session of one sending process."""

    id: WorkerId
    name: str
    """Host and process, for people."""
    machine: str
    started_at: datetime
    seen_at: datetime
    ended_at: datetime | None
    report: Mapping[str, Any]
    """What it said it was at: connections, relays, rate, the last error."""


def moment(tx: Tx, now: datetime) -> datetime:
    """Return the time by which leases and signs of life are dated: the database server's, `now` where there is none."""
    if tx.dialect.name == "sqlite":
        return now
    value: datetime = tx.execute(select(func.clock_timestamp())).scalar_one()
    return value


def start(tx: Tx, *, name: str, machine: str, now: datetime) -> WorkerId:
    """Record a new worker and return its number, which is never given again."""
    at = moment(tx, now)
    result = tx.execute(
        insert(worker).values(name=name, machine=machine, started_at=at, seen_at=at).returning(worker.c.id)
    )
    return WorkerId(result.scalar_one())


def beat(tx: Tx, who: WorkerId, *, now: datetime, report: Mapping[str, Any] | None = None) -> None:
    """Record that a worker lives, and what it is at."""
    values = {} if report is None else {"report": dict(report)}
    tx.execute(update(worker).where(worker.c.id == who).values(seen_at=moment(tx, now), ended_at=None, **values))


def end(tx: Tx, who: WorkerId, *, now: datetime) -> None:
    """Record that a worker is no more."""
    at = moment(tx, now)
    tx.execute(update(worker).where(worker.c.id == who, worker.c.ended_at.is_(None)).values(ended_at=at))


def end_all(tx: Tx, *, now: datetime) -> None:
    """Record that no worker lives: the holder of the exclusive right to send knows it."""
    tx.execute(update(worker).where(worker.c.ended_at.is_(None)).values(ended_at=moment(tx, now)))


def alive(tx: Tx, *, now: datetime, within: timedelta = LATE_AFTER) -> Sequence[Worker]:
    """Return the workers that gave a sign of life lately, the oldest first."""
    since = moment(tx, now) - within
    query = select(worker).where(worker.c.ended_at.is_(None), worker.c.seen_at >= since).order_by(worker.c.id)
    return [_from_row(row) for row in tx.execute(query)]


def silent(tx: Tx, *, now: datetime, within: timedelta = LATE_AFTER) -> Sequence[Worker]:
    """Return the workers that ended without a word, as far as is known, the oldest first."""
    since = moment(tx, now) - within
    query = select(worker).where(worker.c.ended_at.is_(None), worker.c.seen_at < since).order_by(worker.c.id)
    return [_from_row(row) for row in tx.execute(query)]


def end_silent(tx: Tx, *, now: datetime, after: timedelta) -> int:
    """Record workers as ended that have been silent for so long; the next heartbeat of one brings it back."""
    at = moment(tx, now)
    query = update(worker).where(worker.c.ended_at.is_(None), worker.c.seen_at < at - after)
    return tx.execute(query.values(ended_at=worker.c.seen_at)).rowcount


def forget(tx: Tx, *, before: datetime) -> int:
    """Delete what is known of workers that ended long ago; return how many."""
    return tx.execute(delete(worker).where(worker.c.ended_at < before)).rowcount


def _from_row(row: Row) -> Worker:  # type: ignore[type-arg]
    return Worker(
        id=WorkerId(row.id),
        name=row.name,
        machine=row.machine,
        started_at=row.started_at,
        seen_at=row.seen_at,
        ended_at=row.ended_at,
        report=row.report,
    )
