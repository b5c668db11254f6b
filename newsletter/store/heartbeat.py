"""Heartbeats: when the scheduler and the sender last gave a sign of life, and whether they were stopped on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update

from newsletter.core.liveness import LATE_AFTER
from newsletter.core.monitor import ServicePart
from newsletter.store.schema import heartbeat, worker
from newsletter.store.unit import Tx
from newsletter.store.upsert import upsert


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """The last sign of life of one part of the service."""

    at: datetime
    process: str
    stopped_at: datetime | None = None
    """When it was stopped on purpose; None while a sign of life is expected."""


def record(tx: Tx, part: ServicePart, *, now: datetime, process: str) -> None:
    """Record a sign of life."""
    values = {"at": now, "process": process, "stopped_at": None}
    tx.execute(
        upsert(heartbeat, tx.dialect.name)
        .values(name=part.value, **values)
        .on_conflict_do_update(index_elements=["name"], set_=values),
    )


def stop(tx: Tx, process: str, *, now: datetime, part: ServicePart | None = None) -> None:
    """Record that a process, or one part of it, was stopped on purpose; its last sign of life stays."""
    query = update(heartbeat).where(heartbeat.c.process == process, heartbeat.c.stopped_at.is_(None))
    if part is not None:
        query = query.where(heartbeat.c.name == part.value)
    tx.execute(query.values(stopped_at=now))


def stop_all(tx: Tx, *, now: datetime) -> None:
    """Record that no part runs: a restored database has the signs of life of the process that made the backup."""
    tx.execute(update(heartbeat).where(heartbeat.c.stopped_at.is_(None)).values(stopped_at=now))


def heartbeats(tx: Tx) -> Mapping[ServicePart, Heartbeat]:
    """Return the last heartbeat of each part; a part that never ran is absent."""
    beats = {
        ServicePart(row.name): Heartbeat(at=row.at, process=row.process, stopped_at=row.stopped_at)
        for row in tx.execute(select(heartbeat))
    }
    sender = beats.get(ServicePart.SENDER)
    if tx.dialect.name == "postgresql" and sender is not None and sender.stopped_at is not None:
        beats[ServicePart.SENDER] = _other_sender(tx, sender)
    return beats


def _other_sender(tx: Tx, stopped: Heartbeat) -> Heartbeat:
    """Return the heartbeat of a sender that is alive, where the last one to give a sign of life was stopped."""
    living = select(worker.c.seen_at, worker.c.name).where(
        worker.c.ended_at.is_(None), worker.c.seen_at > stopped.at - LATE_AFTER
    )
    row = tx.execute(living.order_by(worker.c.seen_at.desc()).limit(1)).first()
    return stopped if row is None else Heartbeat(at=row.seen_at, process=row.name)
