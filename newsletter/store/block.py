"""Blocks: a few hundred deliveries that a worker reserves for a while and works off.

In: a worker and the time. Out: a block that is its own until the lease ends. A lease only reserves: what may go out is
decided by each delivery's own state, so that two who believe in the same block harm nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, insert, or_, select, tuple_, update

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionId, EditionStatus
from newsletter.store import jobs
from newsletter.store.schema import block, delivery, edition
from newsletter.store.unit import Tx
from newsletter.store.worker import WorkerId, moment

BLOCK_SIZE = 500
"""Deliveries worked in one go; what a worker holds in memory."""


@dataclass(frozen=True, slots=True, order=True)
class BlockId:
    """Which block of which edition."""

    edition: EditionId
    number: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with a block in which somebody waits."""

    owner: WorkerId | None
    """Who has reserved it; None when nobody has, or has for too long."""
    not_before: datetime | None


_HAS_QUEUED = exists().where(
    delivery.c.edition_id == block.c.edition_id,
    delivery.c.block == block.c.number,
    delivery.c.state == DeliveryState.QUEUED.value,
)


def claim(tx: Tx, who: WorkerId, *, now: datetime, lease: timedelta, only: BlockId | None = None) -> BlockId | None:
    """Reserve the next block in which somebody waits; None when there is none that is free and due.

    Several may ask at once: PostgreSQL lets each take another one, SQLite has one writer anyway.
    """
    at = moment(tx, now)
    wanted = select(block.c.edition_id, block.c.number).join(edition, edition.c.id == block.c.edition_id)
    wanted = wanted.where(_is_claimable(now, at))
    if only is not None:
        wanted = wanted.where(block.c.edition_id == only.edition, block.c.number == only.number)
    found = tx.execute(
        wanted.order_by(edition.c.sends_at, edition.c.id, block.c.number)
        .limit(1)
        .with_for_update(of=block, skip_locked=True)
    ).first()
    if found is None:
        return None
    chosen = BlockId(EditionId(found.edition_id), found.number)
    tx.execute(update(block).where(_is(chosen)).values(owner=who, lease_until=at + lease))
    return chosen


def any_claimable(tx: Tx, *, now: datetime) -> bool:
    """Tell whether any block waits for a worker at this moment."""
    query = select(block.c.number).join(edition, edition.c.id == block.c.edition_id)
    return tx.execute(query.where(_is_claimable(now, moment(tx, now))).limit(1)).first() is not None


def claimable(tx: Tx, *, now: datetime) -> Sequence[BlockId]:
    """Return every block that waits for a worker at this moment, in order."""
    query = select(block.c.edition_id, block.c.number).join(edition, edition.c.id == block.c.edition_id)
    query = query.where(_is_claimable(now, moment(tx, now)))
    rows = tx.execute(query.order_by(edition.c.sends_at, edition.c.id, block.c.number))
    return [BlockId(EditionId(row.edition_id), row.number) for row in rows]


def standing(tx: Tx, one: BlockId, *, now: datetime) -> Standing | None:
    """Return how it stands with a block; None when nothing of it is to be sent at this moment."""
    leased = and_(block.c.owner.is_not(None), block.c.lease_until >= moment(tx, now))
    query = (
        select(block.c.owner, block.c.not_before, leased.label("leased"))
        .join(edition, edition.c.id == block.c.edition_id)
        .where(_is(one), edition.c.status == EditionStatus.SENDING.value, block.c.state == "open")
        .where(or_(leased, _HAS_QUEUED))
    )
    found = tx.execute(query).first()
    if found is None:
        return None
    return Standing(WorkerId(found.owner) if found.leased else None, found.not_before)


def _is_claimable(now: datetime, at: datetime) -> ColumnElement[bool]:
    return and_(
        edition.c.status == EditionStatus.SENDING.value,
        block.c.state == "open",
        or_(block.c.not_before.is_(None), block.c.not_before <= now),
        or_(block.c.owner.is_(None), block.c.lease_until < at),
        _HAS_QUEUED,
    )


def _is(one: BlockId) -> ColumnElement[bool]:
    return and_(block.c.edition_id == one.edition, block.c.number == one.number)


def extend(tx: Tx, who: WorkerId, *, now: datetime, lease: timedelta) -> int:
    """Reserve for longer what a worker has; return how many blocks that are."""
    done = tx.execute(
        update(block).where(block.c.owner == who, block.c.state == "open").values(lease_until=moment(tx, now) + lease)
    )
    return done.rowcount


def any_open(tx: Tx, of: EditionId) -> bool:
    """Tell whether any block of an edition still holds work."""
    query = select(block.c.number).where(block.c.edition_id == of, block.c.state == "open").limit(1)
    return tx.execute(query).first() is not None


def held(tx: Tx) -> Mapping[WorkerId, int]:
    """Return how many blocks each worker has reserved."""
    query = select(block.c.owner, func.count()).where(block.c.owner.is_not(None), block.c.state == "open")
    return {WorkerId(owner): count for owner, count in tx.execute(query.group_by(block.c.owner))}


def release(tx: Tx, who: WorkerId) -> int:
    """Give back every block a worker had, for whoever asks next; return how many."""
    done = tx.execute(
        update(block).where(block.c.owner == who, block.c.state == "open").values(owner=None, lease_until=None)
    )
    return done.rowcount


def release_all(tx: Tx) -> None:
    """Give back every block: for whoever is the only worker there can be."""
    query = update(block).where(block.c.owner.is_not(None), block.c.state == "open")
    tx.execute(query.values(owner=None, lease_until=None))


def close_done(tx: Tx, ones: Sequence[BlockId]) -> None:
    """Close those blocks in which nothing is queued or on its way any more."""
    if not ones:
        return
    waiting = exists().where(
        delivery.c.edition_id == block.c.edition_id,
        delivery.c.block == block.c.number,
        delivery.c.state.in_([DeliveryState.QUEUED.value, DeliveryState.SENDING.value]),
    )
    tx.execute(
        update(block)
        .where(
            tuple_(block.c.edition_id, block.c.number).in_([(one.edition, one.number) for one in ones]),
            block.c.state == "open",
            ~waiting,
        )
        .values(state="closed", owner=None, lease_until=None)
    )


def still_open(tx: Tx, ones: Sequence[BlockId]) -> Sequence[BlockId]:
    """Return which of these blocks are not closed."""
    if not ones:
        return []
    pairs = [(one.edition, one.number) for one in ones]
    query = select(block.c.edition_id, block.c.number).where(
        tuple_(block.c.edition_id, block.c.number).in_(pairs), block.c.state == "open"
    )
    return [BlockId(EditionId(row.edition_id), row.number) for row in tx.execute(query)]


def add(tx: Tx, of: EditionId, *, not_before: datetime | None = None, wave: str = "") -> int:
    """Make a further block, for deliveries that are due again, and return its number.

    The edition's row is held meanwhile: two workers that gather at once must not make the same number.
    """
    tx.execute(select(edition.c.id).where(edition.c.id == of).with_for_update())
    last = tx.execute(select(func.max(block.c.number)).where(block.c.edition_id == of)).scalar()
    number = 0 if last is None else int(last) + 1
    row: dict[str, Any] = {"edition_id": of, "number": number, "state": "open", "not_before": not_before, "wave": wave}
    tx.execute(insert(block).values(row))
    jobs.put_up(tx, of, [(number, not_before)])
    return number


def next_start(tx: Tx, *, now: datetime) -> datetime | None:
    """Return when the next block that waits for its time may begin; None when none waits."""
    query = (
        select(func.min(block.c.not_before))
        .join(edition, edition.c.id == block.c.edition_id)
        .where(
            edition.c.status == EditionStatus.SENDING.value,
            block.c.state == "open",
            block.c.not_before > now,
            _HAS_QUEUED,
        )
    )
    found: datetime | None = tx.execute(query).scalar()
    return found
