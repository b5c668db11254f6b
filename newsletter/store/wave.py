"""Waves in the database: blocks that wait for their hour, and which delivery is in which.

In: the waves of `core/wave.py`. Out: the places of an edition's deliveries, and how far each wave is. A wave is a label
and an instant on its blocks; people are put into blocks inside the database, by their zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Integer, Text, and_, case, column, func, or_, select, update, values

from newsletter.core.delivery import OPEN_STATES
from newsletter.core.edition import EditionId, EditionStatus
from newsletter.core.wave import Wave, WaveStanding, spread
from newsletter.store.schema import block, delivery, edition, subscriber
from newsletter.store.unit import Tx

WAVE_STRIDE_NUMBER = 100_000
"""Numbers of blocks from one wave to the next: enough for fifty million people in each, with those who join later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """The next wave of an edition that waits for its hour."""

    edition_id: EditionId
    label: str
    not_before: datetime
    people: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """A wave whose hour passed while no sender ran."""

    edition_id: EditionId
    label: str
    not_before: datetime
    edition_began: datetime
    """The instant of the slot, which is that of the first wave."""


def place(planned: Sequence[Wave], size: int) -> tuple[ColumnElement[int], FromClause]:
    """Return the block number of each subscriber, and the tables it is made from.

    Whose zone is in no wave (it came between two statements) goes with those who have none, or last.
    """
    listed = values(column("zone", Text), column("number", Integer), name="placed").data(list(spread(planned)))
    placed = listed.cte("placed")
    otherwise = next((number for number, wave in enumerate(planned) if "" in wave.zones), len(planned) - 1)
    number = func.coalesce(placed.c.number, otherwise)
    row = func.row_number().over(partition_by=number, order_by=subscriber.c.id) - 1
    return number * WAVE_STRIDE_NUMBER + row // size, subscriber.outerjoin(
        placed, placed.c.zone == subscriber.c.time_zone
    )


def blocks(tx: Tx, edition_id: EditionId, planned: Sequence[Wave]) -> tuple[list[dict[str, object]], int]:
    """Return the blocks of the deliveries that were placed, each with the instant of its wave, and how many those are.

    Counted here, since SQLite's driver does not tell how many rows a statement wrote that begins with WITH.
    """
    query = select(delivery.c.block, func.count()).where(delivery.c.edition_id == edition_id).group_by(delivery.c.block)
    sizes = {int(number): int(people) for number, people in tx.execute(query)}
    block_rows: list[dict[str, object]] = [
        {
            "edition_id": edition_id,
            "number": number,
            "state": "open",
            "not_before": planned[number // WAVE_STRIDE_NUMBER].not_before,
            "wave": planned[number // WAVE_STRIDE_NUMBER].label,
        }
        for number in sorted(sizes)
    ]
    return block_rows, sum(sizes.values())


def standings(tx: Tx, edition_id: EditionId) -> Sequence[WaveStanding]:
    """Return the waves of an edition in order of time; none where all get it at one instant."""
    # Added up block by block first, which the index serves.
    wave = (
        select(
            delivery.c.block,
            func.count().label("people"),
            func.sum(case((_is_open(), 1), else_=0)).label("waiting"),
        )
        .where(delivery.c.edition_id == edition_id)
        .group_by(delivery.c.block)
        .subquery()
    )
    query = (
        # A quota may put a block off further; its wave began with the first of its blocks.
        select(block.c.wave, func.min(block.c.not_before), func.sum(wave.c.people), func.sum(wave.c.waiting))
        .join(wave, wave.c.block == block.c.number)
        .where(block.c.edition_id == edition_id, block.c.wave != "", block.c.not_before.is_not(None))
        .group_by(block.c.wave)
        .order_by(func.min(block.c.not_before), block.c.wave)
    )
    return [
        WaveStanding(label=label, not_before=at, people=int(people), waiting=int(waiting))
        for label, at, people, waiting in tx.execute(query)
    ]


def begins(tx: Tx, edition_id: EditionId) -> Sequence[tuple[str, datetime]]:
    """Return label and instant of each wave in order of time, also of one whose people all wait for another try."""
    query = (
        select(block.c.wave, func.min(block.c.not_before).label("at"))
        .where(block.c.edition_id == edition_id, block.c.wave != "", block.c.not_before.is_not(None))
        .group_by(block.c.wave)
        .order_by(func.min(block.c.not_before), block.c.wave)
    )
    return [(row.wave, row.at) for row in tx.execute(query)]


def coming(tx: Tx, *, now: datetime) -> Coming | None:
    """Return the next wave, of whichever edition that is being sent, whose hour has not come."""
    waits = (
        block.c.state == "open",
        block.c.wave != "",
        block.c.not_before > now,
        block.c.edition_id.in_(_sending()),
    )
    query = (
        select(block.c.edition_id, block.c.wave, block.c.not_before)
        .where(*waits)
        .order_by(block.c.not_before, block.c.edition_id, block.c.wave)
        .limit(1)
    )
    row = tx.execute(query).first()
    if row is None:
        return None
    people = tx.execute(
        select(func.count())
        .select_from(delivery.join(block, _in_block()))
        .where(
            block.c.edition_id == row.edition_id,
            block.c.wave == row.wave,
            _is_open(),
        ),
    ).scalar_one()
    return Coming(edition_id=EditionId(row.edition_id), label=row.wave, not_before=row.not_before, people=people)


def any_ready(tx: Tx, edition_ids: Sequence[EditionId], *, now: datetime) -> bool:
    """Tell whether these editions hold work whose hour has come."""
    ready = select(block.c.number).where(
        block.c.edition_id.in_([int(item) for item in edition_ids]),
        block.c.state == "open",
        or_(block.c.not_before.is_(None), block.c.not_before <= now),
    )
    return tx.execute(ready.limit(1)).first() is not None


def waits_for_wave(now: datetime) -> ColumnElement[bool]:
    """Return the condition that a delivery is in a block whose wave has not come; its time is not over then."""
    return select(block.c.number).where(_in_block(), block.c.wave != "", block.c.not_before > now).exists()


def overdue(tx: Tx, *, before: datetime) -> Sequence[Overdue]:
    """Return the waves that should have begun before an instant, and of which nothing was tried yet."""
    query = (
        select(block.c.edition_id, block.c.wave, func.min(block.c.not_before).label("not_before"), edition.c.sends_at)
        .join(edition, edition.c.id == block.c.edition_id)
        .where(
            block.c.state == "open",
            block.c.wave != "",
            block.c.not_before < before,
            edition.c.status == EditionStatus.SENDING.value,
        )
        .group_by(block.c.edition_id, block.c.wave, edition.c.sends_at)
        .order_by(block.c.edition_id, block.c.wave)
    )
    late = [
        Overdue(
            edition_id=EditionId(row.edition_id),
            label=row.wave,
            not_before=row.not_before,
            edition_began=row.sends_at,
        )
        for row in tx.execute(query)
    ]
    return [item for item in late if not _begun(tx, item.edition_id, item.label)]


def _begun(tx: Tx, edition_id: EditionId, label: str) -> bool:
    # Blocks are taken in order, so that of a large wave the first one tells, without reading a million rows.
    first = select(block.c.number, block.c.state).where(block.c.edition_id == edition_id, block.c.wave == label)
    value = tx.execute(first.order_by(block.c.number).limit(1)).one()
    if value.state != "open":
        return True
    tried = select(delivery.c.id).where(
        delivery.c.edition_id == edition_id, delivery.c.block == value.number, delivery.c.attempts > 0
    )
    return tx.execute(tried.limit(1)).first() is not None


def put_off(tx: Tx, edition_id: EditionId, label: str, *, to: datetime) -> int:
    """Let a wave begin later; a block that somebody works on by now stays as it is. Return how many blocks wait."""
    result = tx.execute(
        update(block)
        .where(
            block.c.edition_id == edition_id,
            block.c.wave == label,
            block.c.not_before < to,
            block.c.state == "open",
            block.c.owner.is_(None),
        )
        .values(not_before=to),
    )
    return result.rowcount


def _in_block() -> ColumnElement[bool]:
    return and_(delivery.c.edition_id == block.c.edition_id, delivery.c.block == block.c.number)


def _is_open() -> ColumnElement[bool]:
    return delivery.c.state.in_([state.value for state in OPEN_STATES])


def _sending() -> Any:  # noqa: ANN401 - a subquery, whose type has no name worth writing
    return select(edition.c.id).where(edition.c.status == EditionStatus.SENDING.value)
