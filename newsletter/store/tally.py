"""What is counted of an edition as it goes: a row for each worker, so that nobody counts a million deliveries a second.

In: outcomes as they are recorded. Out: sums for the circuit breakers and the live view. They count attempts, and a
retry counts again; the books are kept by the deliveries alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from functools import cache

from sqlalchemy import Executable, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from newsletter.core.edition import EditionId
from newsletter.core.tally import Tally
from newsletter.store.schema import TALLIED, edition, tally
from newsletter.store.unit import Tx
from newsletter.store.worker import WorkerId


def add(tx: Tx, edition_id: EditionId, who: WorkerId, counts: Mapping[str, int], *, now: datetime) -> None:
    """Add to what one worker counted; the names are the fields of `Tally`."""
    new = {f"new_{name}": counts.get(name, 0) for name in TALLIED}
    tx.execute(_add(tx.dialect.name), {"of": edition_id, "who": who, "now": now, **new})


@cache
def _add(dialect: str) -> Executable:
    """Return the statement, made once: it is run several times a second, and to build it costs more than to run it."""
    make = sqlite_insert if dialect == "sqlite" else postgresql_insert
    at = bindparam("now", type_=tally.c.at.type)
    counts = {name: bindparam(f"new_{name}", type_=tally.c[name].type) for name in TALLIED}
    new = make(tally).values(edition_id=bindparam("of"), worker_id=bindparam("who"), since=at, at=at, **counts)
    return new.on_conflict_do_update(
        index_elements=["edition_id", "worker_id"],
        set_={name: tally.c[name] + new.excluded[name] for name in TALLIED} | {"at": at},
    )


BY_MAIL = WorkerId(-1)
"""Moves what came back as a mail from accepted to why it did: no worker bears this number."""


def of_edition(tx: Tx, edition_id: EditionId, *, by_mail: bool = True) -> Tally:
    """Return the sums of all workers, with what came back by mail or without."""
    sums = [func.coalesce(func.sum(tally.c[name]), 0).label(name) for name in TALLIED]
    query = select(*sums).where(tally.c.edition_id == edition_id)
    row = tx.execute(query if by_mail else query.where(tally.c.worker_id != BY_MAIL)).one()
    return Tally(**{name: int(row._mapping[name]) for name in TALLIED})  # noqa: SLF001 the public way to a row by name


def bear(tx: Tx, edition_id: EditionId, *, now: datetime) -> None:
    """Keep what was counted up to now: a person knows it and goes on all the same."""
    counted = asdict(of_edition(tx, edition_id)) | {"at": now.isoformat()}
    tx.execute(update(edition).where(edition.c.id == edition_id).values(borne=counted))


def borne(tx: Tx, edition_id: EditionId) -> Tally | None:
    """Return what was counted when a person last resumed an edition; None when nobody did."""
    stored = tx.execute(select(edition.c.borne).where(edition.c.id == edition_id)).scalar_one()
    return None if stored is None else Tally(**{name: stored[name] for name in TALLIED})
