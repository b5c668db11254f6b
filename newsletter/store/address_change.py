"""Changes of address: asked for by a page, decided by the machine, confirmed at the new address.

In: a transaction. Out: requests as values. Each change of a row is a guarded update, so that any number of processes
decide about each request once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, delete, func, insert, or_, select, update

from newsletter.core.address_change import AddressChange, AddressChangeId
from newsletter.core.subscriber import SubscriberId
from newsletter.store.schema import address_change
from newsletter.store.unit import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAddressChange:
    """A request, and how far it has come."""

    change: AddressChange
    decided_at: datetime | None
    why: str
    confirmed_at: datetime | None


def _from_row(row: Row) -> StoredAddressChange:  # type: ignore[type-arg]
    change = AddressChange(
        id=AddressChangeId(row.id),
        subscriber_id=SubscriberId(row.subscriber_id),
        old_email=row.old_email,
        email=row.email,
        canonical=row.canonical,
        network=row.network,
        browser_hash=row.browser_hash,
        asked_at=row.asked_at,
    )
    return StoredAddressChange(change=change, decided_at=row.decided_at, why=row.why, confirmed_at=row.confirmed_at)


def add(tx: Tx, change: AddressChange) -> AddressChangeId:
    """Write a request; its id is given by the database."""
    values = {
        "subscriber_id": change.subscriber_id,
        "old_email": change.old_email,
        "email": change.email,
        "canonical": change.canonical,
        "network": change.network,
        "browser_hash": change.browser_hash,
        "asked_at": change.asked_at,
        "due_at": change.asked_at,
    }
    return AddressChangeId(
        tx.execute(insert(address_change).values(values).returning(address_change.c.id)).scalar_one()
    )


def undecided(tx: Tx, *, now: datetime, limit: int) -> Sequence[AddressChange]:
    """Return the requests that are to be decided now, oldest first."""
    query = select(address_change).where(address_change.c.decided_at.is_(None), address_change.c.due_at <= now)
    rows = tx.execute(query.order_by(address_change.c.due_at, address_change.c.id).limit(limit))
    return [_from_row(row).change for row in rows]


def by_id(tx: Tx, change_id: AddressChangeId, *, lock: bool = False) -> StoredAddressChange | None:
    """Return a request; with `lock` it stays as it is until the transaction ends."""
    query = select(address_change).where(address_change.c.id == change_id)
    row = tx.execute(query.with_for_update() if lock else query).first()
    return None if row is None else _from_row(row)


def decide(tx: Tx, change_id: AddressChangeId, *, why: str, now: datetime) -> bool:
    """Write the decision; tell whether this transaction was the first to make one."""
    undecided_row = (address_change.c.id == change_id, address_change.c.decided_at.is_(None))
    return tx.execute(update(address_change).where(*undecided_row).values(why=why, decided_at=now)).rowcount == 1


def postpone(tx: Tx, change_id: AddressChangeId, *, until: datetime, why: str) -> None:
    """Leave a request undecided for a while."""
    undecided_row = (address_change.c.id == change_id, address_change.c.decided_at.is_(None))
    tx.execute(update(address_change).where(*undecided_row).values(due_at=until, why=why))


def confirm(tx: Tx, change_id: AddressChangeId, *, now: datetime) -> None:
    """Write that the person confirmed at the new address."""
    tx.execute(update(address_change).where(address_change.c.id == change_id).values(confirmed_at=now))


def untold(tx: Tx, *, limit: int) -> Sequence[AddressChange]:
    """Return the confirmed changes of which the old address was not told yet, oldest first."""
    query = select(address_change).where(address_change.c.confirmed_at.is_not(None), address_change.c.told_at.is_(None))
    return [_from_row(row).change for row in tx.execute(query.order_by(address_change.c.id).limit(limit))]


def tell(tx: Tx, change_id: AddressChangeId, *, now: datetime) -> bool:
    """Write that the mail to the old address is written; tell whether this transaction was the first."""
    untold_row = (address_change.c.id == change_id, address_change.c.told_at.is_(None))
    return tx.execute(update(address_change).where(*untold_row).values(told_at=now)).rowcount == 1


def of_person(tx: Tx, subscriber_id: SubscriberId) -> Sequence[StoredAddressChange]:
    """Return the requests of a person, oldest first."""
    query = select(address_change).where(address_change.c.subscriber_id == subscriber_id)
    return [_from_row(row) for row in tx.execute(query.order_by(address_change.c.id))]


def drop_person(tx: Tx, subscriber_id: SubscriberId, addresses: Collection[str]) -> None:
    """Delete the requests of a person, and those of others that name one of these addresses."""
    folded = {address.lower() for address in addresses} | set(addresses)
    named = [
        address_change.c.canonical.in_(folded),
        func.lower(address_change.c.email).in_(folded),
        func.lower(address_change.c.old_email).in_(folded),
    ]
    tx.execute(delete(address_change).where(or_(address_change.c.subscriber_id == subscriber_id, *named)))


def drop_before(tx: Tx, asked_before: datetime) -> int:
    """Delete old requests: the evidence of the person keeps a change that was made; return how many."""
    return tx.execute(delete(address_change).where(address_change.c.asked_at < asked_before)).rowcount
