"""What the database knows of the installation: its first tick, its cadence, its key, and which processes are alive."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from newsletter.core.pace import next_send_at
from newsletter.store.schema import heartbeat, installation, quota, worker
from newsletter.store.unit import Tx
from newsletter.store.worker import moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The one row."""

    created_at: datetime
    first_tick_at: datetime | None
    cadence: str | None
    """The cadence of the last tick, as `core.cadence` writes it."""
    cadence_since: datetime | None
    key_fingerprint: str
    identity: str
    """Which database a line of the ledger is about."""
    ledger_seq: int
    """The last line of the ledger that this database knows of."""
    machine: str | None
    """Where it lives; None before the first tick."""

    @property
    def not_before(self) -> datetime | None:
        """Return the instant up to which no slot is ever due: the first tick, or the last change of the cadence."""
        known = [at for at in (self.first_tick_at, self.cadence_since) if at is not None]
        return max(known, default=None)


def create(tx: Tx, *, now: datetime, key_fingerprint: str) -> bool:
    """Write the one row unless it stands; tell whether it is new."""
    if tx.execute(select(installation.c.id)).first() is not None:
        return False
    identity = secrets.token_hex(8)
    tx.execute(insert(installation).values(id=1, created_at=now, key_fingerprint=key_fingerprint, identity=identity))
    return True


def find(tx: Tx) -> Installation | None:
    """Return the one row; None when the set-up was cut short before it was written."""
    return None if tx.execute(select(installation.c.id)).first() is None else get(tx)


def change_key(tx: Tx, *, was: str, to: str) -> bool:
    """Record that another secret key is in use; tell whether it was this process that did."""
    result = tx.execute(update(installation).where(installation.c.key_fingerprint == was).values(key_fingerprint=to))
    return result.rowcount == 1


def get(tx: Tx) -> Installation:
    """Return the one row."""
    row = tx.execute(select(installation)).one()
    return Installation(
        created_at=row.created_at,
        first_tick_at=row.first_tick_at,
        cadence=row.cadence,
        cadence_since=row.cadence_since,
        key_fingerprint=row.key_fingerprint,
        identity=row.identity,
        ledger_seq=row.ledger_seq,
        machine=row.machine,
    )


def lock(tx: Tx) -> Installation:
    """Return the one row and let nobody else freeze or tick until this transaction ends.

    SQLite has one writer at a time anyway; PostgreSQL locks the row.
    """
    tx.execute(select(installation.c.id).with_for_update())
    return get(tx)


def try_to_write(tx: Tx) -> None:
    """Write what stands there already: SQLite begins a transaction on a file that can only be read, and fails later."""
    tx.execute(update(installation).values(id=installation.c.id))


def begin(tx: Tx, *, now: datetime, cadence: str) -> None:
    """Record the first tick; slots count from here on."""
    tx.execute(update(installation).values(first_tick_at=now, cadence=cadence, cadence_since=now))


def change_cadence(tx: Tx, *, now: datetime, cadence: str) -> None:
    """Record that the day, the time or the zone changed: nothing this moved into the past is ever due."""
    tx.execute(update(installation).values(cadence=cadence, cadence_since=now))


def settle_in(tx: Tx, *, machine: str, ledger_seq: int) -> None:
    """Record that this copy of the database is the one that counts, on this machine."""
    tx.execute(update(installation).values(machine=machine, ledger_seq=ledger_seq))


COPIED = "a copy that nobody adopted"
"""The machine of a database that `db copy` made, or that is being restored."""

_COPY = "copy"
"""The heartbeat of a copy that is held: when it was last in use, before it woke and beat again."""


def last_seen(tx: Tx) -> datetime:
    """Return when this database was last in use, by its signs of life; else when it was made."""
    known = heartbeats(tx)
    if _COPY in known:
        return known[_COPY][0]
    return max((at for at, _ in known.values()), default=get(tx).created_at)


def remember_copy(tx: Tx, *, process: str) -> None:
    """Keep for as long as it is held when a copy was last in use: it gives signs of life meanwhile."""
    beat(tx, _COPY, now=last_seen(tx), process=process)


def forget_copy(tx: Tx) -> None:
    """Note that this copy is held no more."""
    tx.execute(delete(heartbeat).where(heartbeat.c.name == _COPY))


def beat(tx: Tx, name: str, *, now: datetime, process: str) -> None:
    """Record that the bell or the sender is alive."""
    make = sqlite_insert if tx.dialect.name == "sqlite" else postgresql_insert
    tx.execute(
        make(heartbeat)
        .values(name=name, at=now, process=process)
        .on_conflict_do_update(index_elements=["name"], set_={"at": now, "process": process}),
    )


GONE = timedelta(seconds=60)
"""A sender without a sign of life for so long is taken for dead."""

STOPPED = " (stopped)"
"""How the process of a heartbeat ends that was ended in order: no sign of life is expected of it."""


def stopped(tx: Tx, process: str, *, part: str | None = None) -> None:
    """Mark the signs of life of a process that ends in order, or of one part of it; when it was last alive stays."""
    query = update(heartbeat).where(heartbeat.c.process == process)
    if part is not None:
        query = query.where(heartbeat.c.name == part)
    tx.execute(query.values(process=process + STOPPED))


def heartbeats(tx: Tx) -> Mapping[str, tuple[datetime, str]]:
    """Return, by name, when a part was last alive and in which process."""
    beats = {row.name: (row.at, row.process) for row in tx.execute(select(heartbeat))}
    if tx.dialect.name == "postgresql" and "sender" in beats:
        beats["sender"] = _of_any_sender(tx, *beats["sender"])
    return beats


def _of_any_sender(tx: Tx, at: datetime, process: str) -> tuple[datetime, str]:
    """Return the sign of life of a sender that is alive, where the last one to give one has ended since."""
    if not process.endswith(STOPPED):
        return at, process
    living = select(worker.c.seen_at, worker.c.name).where(worker.c.ended_at.is_(None), worker.c.seen_at > at - GONE)
    other = tx.execute(living.order_by(worker.c.seen_at.desc()).limit(1)).first()
    return (at, process) if other is None else (other.seen_at, other.name)


_PACE = "pace"

HEARTBEAT_AHEAD_MAX_SECONDS = 60.0
"""Seconds ahead that the next free moment of a rate can lie; a single message under a very low one may take longer."""


def load_quota(tx: Tx, name: str) -> str | None:
    """Return a stored sliding window, None when nothing was ever reserved."""
    query = select(quota.c.window).where(quota.c.name == name).with_for_update()
    value: str | None = tx.execute(query).scalar()
    if value is None and tx.dialect.name == "postgresql":
        # A row that is not there cannot be held: two workers that begin at once must not both find nothing.
        new_row = postgresql_insert(quota).values(name=name, window="").on_conflict_do_nothing()
        tx.execute(new_row)
        value = tx.execute(query).scalar()
    return value or None


def save_quota(tx: Tx, name: str, window: str) -> None:
    """Store a sliding window."""
    make = sqlite_insert if tx.dialect.name == "sqlite" else postgresql_insert
    tx.execute(
        make(quota)
        .values(name=name, window=window)
        .on_conflict_do_update(index_elements=["name"], set_={"window": window}),
    )


def reserve_pace(tx: Tx, count: int, *, rate: float, now: datetime, at_most: float) -> float:
    """Reserve the next `count` moments of a rate per second, which all workers share; return the seconds until then.

    Nothing is reserved when that is more than `at_most` seconds away.
    """
    stored = load_quota(tx, _PACE)
    instant = moment(tx, now).timestamp()
    free_at = float(stored) if stored else instant
    if free_at > instant + max(HEARTBEAT_AHEAD_MAX_SECONDS, count / rate * 2):
        # It was written by a clock that has since been set back.
        free_at = instant
    start, free_at = next_send_at(free_at, rate, instant, count)
    if start - instant <= at_most:
        save_quota(tx, _PACE, repr(free_at))
    return start - instant
