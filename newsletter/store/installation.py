"""What the database knows of the installation: its first tick, its cadence, its key, and on which machine it lives."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update

from newsletter.store.heartbeat import heartbeats
from newsletter.store.schema import installation
from newsletter.store.unit import Tx


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
    claim_count: int
    """How many transactions claimed mail; counted on SQLite alone."""
    machine: str | None
    """Where it was last used; None before the first tick, and for a copy."""
    copied: bool
    """Made by `db copy` or being restored, and not adopted yet."""
    held_last_used_at: datetime | None
    """When it was last in use before it was held; None while nothing holds it."""

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
        claim_count=row.claim_count,
        machine=row.machine,
        copied=row.copied,
        held_last_used_at=row.held_last_used_at,
    )


def lock(tx: Tx) -> Installation:
    """Return the one row, locked: no other process freezes or ticks until this transaction ends.

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
    tx.execute(update(installation).values(machine=machine, ledger_seq=ledger_seq, copied=False))


def mark_copied(tx: Tx) -> None:
    """Record that this database was made by `db copy` or is being restored: it sends nothing until `db adopt`."""
    tx.execute(update(installation).values(copied=True, machine=None))


def last_used_at(tx: Tx) -> datetime:
    """Return when this database was last in use before it was held, else its last sign of life, else its creation."""
    known = get(tx)
    if known.held_last_used_at is not None:
        return known.held_last_used_at
    return max((beat.at for beat in heartbeats(tx).values()), default=known.created_at)


def begin_hold(tx: Tx) -> None:
    """Keep when the database was last in use: while it is held its parts go on giving signs of life."""
    tx.execute(update(installation).values(held_last_used_at=last_used_at(tx)))


def end_hold(tx: Tx) -> None:
    """Record that the database is held no more."""
    tx.execute(update(installation).values(held_last_used_at=None))
