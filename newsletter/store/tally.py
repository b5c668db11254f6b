"""What is counted of an edition as it goes: a row for each worker, since to count a million deliveries is slow.

In: outcomes as they are recorded. Out: sums for the circuit breakers and the live view. They count attempts, and a
retry counts again; the books are kept by the deliveries alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from functools import cache

from sqlalchemy import Executable, bindparam, func, select, text, update

from newsletter.core.delivery import Later
from newsletter.core.edition import EditionId
from newsletter.core.tally import Tally
from newsletter.store import delivery as deliveries
from newsletter.store.schema import TALLIED, edition, tally
from newsletter.store.unit import Tx
from newsletter.store.upsert import upsert
from newsletter.store.worker import WorkerId


class TallySource(StrEnum):
    """What counts beside the workers."""

    RECOVERY = "recovery"
    """Lost claims of unknown workers, settled by a later one."""
    BOUNCE = "bounce"
    """Messages that came back by mail: moved from accepted to the reason."""


_WORKER = "worker"


def add(
    tx: Tx, edition_id: EditionId, counter: WorkerId | TallySource, counts: Mapping[str, int], *, now: datetime
) -> None:
    """Add to what a worker or another source counted; the names are the fields of `Tally`."""
    new = {f"new_{name}": counts.get(name, 0) for name in TALLIED}
    source, worker_id = (counter.value, None) if isinstance(counter, TallySource) else (_WORKER, counter)
    statement = _add(tx.dialect.name, by_worker=worker_id is not None)
    tx.execute(statement, {"edition": edition_id, "source_name": source, "worker": worker_id, "now": now, **new})


@cache
def _add(dialect: str, *, by_worker: bool) -> Executable:
    """Return the statement, built once: it runs several times a second, and building costs more than running it."""
    at = bindparam("now", type_=tally.c.at.type)
    counts = {name: bindparam(f"new_{name}", type_=tally.c[name].type) for name in TALLIED}
    new = upsert(tally, dialect).values(
        edition_id=bindparam("edition"),
        source=bindparam("source_name"),
        worker_id=bindparam("worker"),
        since=at,
        at=at,
        **counts,
    )
    return new.on_conflict_do_update(
        index_elements=["edition_id", "worker_id" if by_worker else "source"],
        index_where=text("worker_id IS NOT NULL" if by_worker else "worker_id IS NULL"),
        set_={name: tally.c[name] + new.excluded[name] for name in TALLIED} | {"at": at},
    )


def of_edition(tx: Tx, edition_id: EditionId, *, bounces: bool = True) -> Tally:
    """Return the sums of all counters, with or without what came back by mail."""
    sums = [func.coalesce(func.sum(tally.c[name]), 0).label(name) for name in TALLIED]
    query = select(*sums).where(tally.c.edition_id == edition_id)
    row = tx.execute(query if bounces else query.where(tally.c.source != TallySource.BOUNCE.value)).one()
    return Tally(**{name: int(row._mapping[name]) for name in TALLIED})  # noqa: SLF001 the public way to a row by name


def bear(tx: Tx, edition_id: EditionId, *, now: datetime) -> None:
    """Keep what was counted up to now: a person knows it and goes on all the same."""
    complained = deliveries.later_counts(tx, edition_id).get(Later.COMPLAINED, 0)
    counted = asdict(of_edition(tx, edition_id)) | {"at": now.isoformat(), "complained": complained}
    tx.execute(update(edition).where(edition.c.id == edition_id).values(borne=counted))


def borne(tx: Tx, edition_id: EditionId) -> Tally | None:
    """Return what was counted when a person last resumed an edition; None when it was never resumed."""
    stored = tx.execute(select(edition.c.borne).where(edition.c.id == edition_id)).scalar_one()
    return None if stored is None else Tally(**{name: stored[name] for name in TALLIED})


def borne_complaints(tx: Tx, edition_id: EditionId) -> int:
    """Return how many readers had complained of an edition when a person last resumed it."""
    stored = tx.execute(select(edition.c.borne).where(edition.c.id == edition_id)).scalar_one()
    return 0 if stored is None else int(stored.get("complained", 0))
