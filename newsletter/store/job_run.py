"""Runs of the service's own periodic jobs: when each last ended, and since when its clock is in doubt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select

from newsletter.store.schema import job_run
from newsletter.store.unit import Tx
from newsletter.store.upsert import upsert


class JobName(StrEnum):
    """The jobs that run by themselves."""

    RETENTION = "retention"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """What is known of one job."""

    ended_at: datetime | None = None
    """The end of the last complete run; None before the first."""
    clock_doubted_at: datetime | None = None
    """When the job first put off a run because the clock may be wrong."""


def get(tx: Tx, name: JobName) -> JobRun:
    """Return what is known of a job; an empty value when it never ran."""
    row = tx.execute(select(job_run).where(job_run.c.name == name.value)).first()
    return JobRun() if row is None else JobRun(ended_at=row.ended_at, clock_doubted_at=row.clock_doubted_at)


def record_end(tx: Tx, name: JobName, *, now: datetime, process: str) -> None:
    """Record that a run is complete."""
    _save(tx, name, process=process, ended_at=now, clock_doubted_at=None)


def record_doubt(tx: Tx, name: JobName, *, now: datetime, process: str) -> None:
    """Record that a run was put off because the clock may be wrong."""
    _save(tx, name, process=process, clock_doubted_at=now)


def _save(tx: Tx, name: JobName, *, process: str, **values: datetime | None) -> None:
    changes = {"process": process, **values}
    tx.execute(
        upsert(job_run, tx.dialect.name)
        .values(name=name.value, **changes)
        .on_conflict_do_update(index_elements=["name"], set_=changes)
    )
