"""Blocks: a few hundred deliveries that a worker reserves for a while and works off.

In: a worker and the time. Out: a block that is its own until the lease ends. A lease only reserves: what may go out is
decided by each delivery's own state, so that two that believe in the same block do no harm. The statements of the
sending path are made once: to build one costs more than to run it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, bindparam, exists, func, insert, or_, select, update

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
class BlockStatus:
    """The state of a block that has queued deliveries."""

    owner: WorkerId | None
    """The worker that has reserved it; None when it is free, or the lease ran out."""
    not_before: datetime | None


_HAS_QUEUED = exists().where(
    delivery.c.edition_id == block.c.edition_id,
    delivery.c.block == block.c.number,
    delivery.c.state == DeliveryState.QUEUED.value,
)


_AT = bindparam("at", type_=block.c.lease_until.type)
_UNTIL = bindparam("until", type_=block.c.lease_until.type)
_WHO = bindparam("who", type_=block.c.owner.type)
_IS = and_(block.c.edition_id == bindparam("of"), block.c.number == bindparam("place"))

_CLAIMABLE = (
    select(block.c.edition_id, block.c.number)
    .join(edition, edition.c.id == block.c.edition_id)
    .where(
        edition.c.status == EditionStatus.SENDING.value,
        block.c.state == "open",
        or_(block.c.not_before.is_(None), block.c.not_before <= bindparam("now", type_=block.c.not_before.type)),
        or_(block.c.owner.is_(None), block.c.lease_until < _AT),
        _HAS_QUEUED,
    )
)


def _next_of(query: Select[tuple[int, int]]) -> Select[tuple[int, int]]:
    # Several may ask at once: PostgreSQL lets each take another one, SQLite has one writer anyway.
    ordered = query.order_by(edition.c.sends_at, edition.c.id, block.c.number).limit(1)
    return ordered.with_for_update(of=block, skip_locked=True)


_NEXT = _next_of(_CLAIMABLE)
_THAT = _next_of(_CLAIMABLE.where(_IS))
_ANY = _CLAIMABLE.limit(1)
_CLAIM = update(block).where(_IS).values(owner=_WHO, lease_until=_UNTIL, begun=True)


def claim(tx: Tx, who: WorkerId, *, now: datetime, lease: timedelta, only: BlockId | None = None) -> BlockId | None:
    """Reserve the next block with queued deliveries; None when none is free and due."""
    at = moment(tx, now)
    values: dict[str, Any] = {"now": now, "at": at}
    query = _NEXT if only is None else _THAT
    value = tx.execute(query, values if only is None else values | _named(only)).first()
    if value is None:
        return None
    chosen = BlockId(EditionId(value.edition_id), value.number)
    tx.execute(_CLAIM, {"who": who, "until": at + lease, **_named(chosen)})
    return chosen


def any_claimable(tx: Tx, *, now: datetime) -> bool:
    """Tell whether any block waits for a worker at this moment."""
    return tx.execute(_ANY, {"now": now, "at": moment(tx, now)}).first() is not None


def _named(block_id: BlockId) -> dict[str, Any]:
    return {"of": block_id.edition, "place": block_id.number}


def standing(tx: Tx, block_id: BlockId, *, now: datetime) -> BlockStatus | None:
    """Return how it stands with a block; None when nothing of it is to be sent at this moment."""
    leased = and_(block.c.owner.is_not(None), block.c.lease_until >= moment(tx, now))
    query = (
        select(block.c.owner, block.c.not_before, leased.label("leased"))
        .join(edition, edition.c.id == block.c.edition_id)
        .where(_IS, edition.c.status == EditionStatus.SENDING.value, block.c.state == "open")
        .where(or_(leased, _HAS_QUEUED))
    )
    value = tx.execute(query, _named(block_id)).first()
    if value is None:
        return None
    return BlockStatus(WorkerId(value.owner) if value.leased else None, value.not_before)


def extend(tx: Tx, who: WorkerId, *, now: datetime, lease: timedelta) -> int:
    """Reserve for longer what a worker has; return how many blocks that are."""
    result = tx.execute(
        update(block).where(block.c.owner == who, block.c.state == "open").values(lease_until=moment(tx, now) + lease)
    )
    return result.rowcount


def any_open(tx: Tx, edition_id: EditionId) -> bool:
    """Tell whether any block of an edition still holds work."""
    query = select(block.c.number).where(block.c.edition_id == edition_id, block.c.state == "open").limit(1)
    return tx.execute(query).first() is not None


def held(tx: Tx) -> Mapping[WorkerId, int]:
    """Return how many blocks each worker has reserved."""
    query = select(block.c.owner, func.count()).where(block.c.owner.is_not(None), block.c.state == "open")
    return {WorkerId(owner): count for owner, count in tx.execute(query.group_by(block.c.owner))}


def release(tx: Tx, who: WorkerId) -> int:
    """Release every block of a worker; return how many."""
    result = tx.execute(
        update(block).where(block.c.owner == who, block.c.state == "open").values(owner=None, lease_until=None)
    )
    return result.rowcount


def release_all(tx: Tx) -> None:
    """Release every block; for the only worker there can be."""
    query = update(block).where(block.c.owner.is_not(None), block.c.state == "open")
    tx.execute(query.values(owner=None, lease_until=None))


_IS_OPEN = and_(_IS, block.c.state == "open")
_CLOSE = (
    update(block)
    .where(
        _IS_OPEN,
        ~exists().where(
            delivery.c.edition_id == block.c.edition_id,
            delivery.c.block == block.c.number,
            delivery.c.state.in_([DeliveryState.QUEUED.value, DeliveryState.SENDING.value]),
        ),
    )
    .values(state="closed", owner=None, lease_until=None, begun=False)
)
_OPEN = select(block.c.number).where(_IS_OPEN)


def close_done(tx: Tx, ones: Sequence[BlockId]) -> Sequence[BlockId]:
    """Close those blocks in which nothing is queued or on its way any more; return those that are open all the same."""
    waiting = [item for item in ones if not tx.execute(_CLOSE, _named(item)).rowcount]
    # Another worker may have closed one of them.
    return [item for item in waiting if tx.execute(_OPEN, _named(item)).first() is not None]


def add(tx: Tx, edition_id: EditionId, *, not_before: datetime | None = None, wave: str = "") -> int:
    """Make a further block, for deliveries that are due again, and return its number.

    The edition's row is held meanwhile: two workers that gather at once must not make the same number. It counts as
    begun at once: what moves here may be held by a worker that took it from the block before, and marks it
    without a claim.
    """
    tx.execute(select(edition.c.id).where(edition.c.id == edition_id).with_for_update())
    last = tx.execute(select(func.max(block.c.number)).where(block.c.edition_id == edition_id)).scalar()
    number = 0 if last is None else int(last) + 1
    row: dict[str, Any] = {"edition_id": edition_id, "number": number, "state": "open", "begun": True}
    row |= {"not_before": not_before, "wave": wave}
    tx.execute(insert(block).values(row))
    jobs.put_up(tx, edition_id, [(number, not_before)])
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
    value: datetime | None = tx.execute(query).scalar()
    return value
