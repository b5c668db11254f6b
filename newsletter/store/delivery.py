"""Deliveries besides their sending: put back, given up, left out, settled on evidence, counted.

Every statement is guarded by the state it expects, so that a row which another process moved (an opt-out, a cancel)
stays where that process put it. How they are marked and recorded stands in `store/claims.py`, what people look at in
`store/report.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Row, and_, func, or_, select, update

from newsletter.core.delivery import Delivery, DeliveryCounts, DeliveryId, DeliveryState, Later
from newsletter.core.edition import EditionId, EditionStatus
from newsletter.core.reply_value import ReplyClass
from newsletter.core.subscriber import SubscriberId
from newsletter.store import block as blocks
from newsletter.store import tally as tallies
from newsletter.store.audience import REACHED, settle_waiting
from newsletter.store.block import BLOCK_SIZE
from newsletter.store.schema import delivery, edition
from newsletter.store.unit import Tx
from newsletter.store.wave import waits_for_wave


def skip_person(tx: Tx, who: SubscriberId, reason: str) -> int:
    """Take a person out of every edition that has not reached them yet; return how many."""
    return skip_people(tx, [who], reason)


def skip_people(tx: Tx, who: Sequence[SubscriberId], reason: str) -> int:
    """Take people out of every edition that has not reached them yet; return how many deliveries that were."""
    result = tx.execute(
        update(delivery)
        .where(
            delivery.c.edition_id.in_(select(edition.c.id).where(edition.c.finished_at.is_(None))),
            delivery.c.subscriber_id.in_(who),
            delivery.c.state.in_([DeliveryState.QUEUED.value, DeliveryState.DEFERRED.value]),
        )
        .values(state=DeliveryState.SKIPPED.value, reason=reason, next_attempt_at=None),
    )
    return result.rowcount


def blank_person(tx: Tx, who: SubscriberId) -> int:
    """Forget whose rows these are, and what servers said of the address; the rows stay, and so does the balance."""
    result = tx.execute(
        update(delivery)
        .where(delivery.c.edition_id.in_(select(edition.c.id)), delivery.c.subscriber_id == who)
        .values(subscriber_id=None, reply_text="", later_text=""),
    )
    return result.rowcount


def skip_edition(tx: Tx, edition_id: EditionId, reason: str) -> int:
    """Take everybody out whom a cancelled edition has not reached; return how many."""
    result = tx.execute(
        update(delivery)
        .where(
            delivery.c.edition_id == edition_id,
            delivery.c.state.in_([DeliveryState.QUEUED.value, DeliveryState.DEFERRED.value]),
        )
        .values(state=DeliveryState.SKIPPED.value, reason=reason, next_attempt_at=None),
    )
    return result.rowcount


def from_row(row: Row) -> Delivery:  # type: ignore[type-arg]
    """Read a row of the table."""
    return Delivery(
        id=DeliveryId(row.id),
        edition_id=EditionId(row.edition_id),
        subscriber_id=None if row.subscriber_id is None else SubscriberId(row.subscriber_id),
        state=DeliveryState(row.state),
        reason=row.reason,
        attempts=row.attempts,
        first_attempt_at=row.first_attempt_at,
        last_attempt_at=row.last_attempt_at,
        next_attempt_at=row.next_attempt_at,
        reply_code=row.reply_code,
        reply_enhanced=row.reply_enhanced,
        reply_text=row.reply_text,
    )


def due_editions(tx: Tx, *, now: datetime) -> Sequence[EditionId]:
    """Return the editions that have deferred deliveries which are due again."""
    query = (
        select(delivery.c.edition_id)
        .join(edition, edition.c.id == delivery.c.edition_id)
        .where(
            delivery.c.state == DeliveryState.DEFERRED.value,
            delivery.c.next_attempt_at <= now,
            edition.c.status == EditionStatus.SENDING.value,
        )
        .distinct()
    )
    return [EditionId(row) for row in tx.execute(query).scalars()]


def gather(tx: Tx, edition_id: EditionId, *, now: datetime) -> int:
    """Put one block's worth of due deferred deliveries back to the queue, in a new block; return how many."""
    settle_waiting(tx, edition_id, now=now)
    due = (
        select(delivery.c.id)
        .where(
            delivery.c.edition_id == edition_id,
            delivery.c.state == DeliveryState.DEFERRED.value,
            delivery.c.next_attempt_at <= now,
        )
        .order_by(delivery.c.next_attempt_at, delivery.c.id)
        .limit(BLOCK_SIZE)
        # What another worker gathers at this moment is its business.
        .with_for_update(skip_locked=True)
    )
    ids = list(tx.execute(due).scalars())
    if not ids:
        return 0
    result = tx.execute(
        update(delivery)
        .where(delivery.c.id.in_(ids), delivery.c.state == DeliveryState.DEFERRED.value)
        .values(state=DeliveryState.QUEUED.value, next_attempt_at=None, block=blocks.add(tx, edition_id)),
    )
    return result.rowcount


def move_to_end(tx: Tx, edition_id: EditionId, ids: Sequence[DeliveryId]) -> None:
    """Let deliveries, as far as they are queued, be claimed after all others of their edition, in a new block."""
    queued = and_(delivery.c.id.in_(ids), delivery.c.state == DeliveryState.QUEUED.value)
    if tx.execute(select(delivery.c.id).where(queued).limit(1)).first() is not None:
        tx.execute(update(delivery).where(queued).values(block=blocks.add(tx, edition_id)))


def expire(tx: Tx, *, first_before: datetime, reason: str) -> Sequence[tuple[EditionId, int]]:
    """Give up on waiting deliveries whose first attempt is too long ago; return how many by edition."""
    return _expire_where(
        tx,
        delivery.c.state.in_([DeliveryState.QUEUED.value, DeliveryState.DEFERRED.value]),
        delivery.c.first_attempt_at < first_before,
        reason=reason,
    )


def expire_untried(tx: Tx, *, edition_id: EditionId, reason: str, now: datetime) -> int:
    """Give up on deliveries that were never tried, when the next edition's time has come.

    A person who waits for the hour of the own zone is not late: the next edition reaches them later, too.
    """
    expired = _expire_where(tx, *_untried(edition_id, now), reason=reason)
    return sum(count for _, count in expired)


def count_untried(tx: Tx, *, edition_id: EditionId, now: datetime) -> int:
    """Return how many deliveries `expire_untried` would give up at this moment."""
    query = select(func.count()).select_from(delivery).where(*_untried(edition_id, now))
    return int(tx.execute(query).scalar_one())


def _untried(edition_id: EditionId, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        delivery.c.edition_id == edition_id,
        # Deferred without an attempt are those who wait for the outcome of another edition.
        delivery.c.state.in_([DeliveryState.QUEUED.value, DeliveryState.DEFERRED.value]),
        delivery.c.first_attempt_at.is_(None),
        ~waits_for_wave(now),
    )


def _expire_where(tx: Tx, *conditions: object, reason: str) -> Sequence[tuple[EditionId, int]]:
    result = tx.execute(
        update(delivery)
        .where(
            delivery.c.edition_id.in_(select(edition.c.id).where(edition.c.finished_at.is_(None))),
            *conditions,  # type: ignore[arg-type]
        )
        .values(state=DeliveryState.EXPIRED.value, reason=reason, next_attempt_at=None)
        .returning(delivery.c.edition_id),
    )
    counts: dict[EditionId, int] = {}
    for row in result.scalars():
        counts[EditionId(row)] = counts.get(EditionId(row), 0) + 1
    return list(counts.items())


def requeue(tx: Tx, edition_id: EditionId, states: Sequence[DeliveryState], *, only: SubscriberId | None = None) -> int:
    """Put deliveries in the given end states back to the queue, at a person's word; return how many.

    The first attempt is forgotten, so that they have their full time again; the Message-ID stays the same.
    """
    block = blocks.add(tx, edition_id)
    query = update(delivery).where(
        delivery.c.edition_id == edition_id,
        delivery.c.state.in_([state.value for state in states]),
        delivery.c.subscriber_id.is_not(None),
    )
    if only is not None:
        query = query.where(delivery.c.subscriber_id == only)
    result = tx.execute(
        query.values(
            state=DeliveryState.QUEUED.value, block=block, next_attempt_at=None, first_attempt_at=None, reason=""
        ),
    )
    return result.rowcount


def resolve(tx: Tx, edition_id: EditionId, to: DeliveryState, *, reason: str, only: SubscriberId | None = None) -> int:
    """Settle uncertain deliveries on evidence; return how many."""
    query = update(delivery).where(
        delivery.c.edition_id == edition_id,
        delivery.c.state == DeliveryState.UNCERTAIN.value,
    )
    if only is not None:
        query = query.where(delivery.c.subscriber_id == only)
    return tx.execute(query.values(state=to.value, reason=reason)).rowcount


def counts(tx: Tx, edition_id: EditionId) -> DeliveryCounts:
    """Return how many deliveries of an edition are in each state."""
    people = func.count().label("people")
    query = select(delivery.c.state, people).where(delivery.c.edition_id == edition_id).group_by(delivery.c.state)
    return DeliveryCounts(**{row.state: row.people for row in tx.execute(query)})


def later_counts(tx: Tx, edition_id: EditionId) -> dict[Later, int]:
    """Return how much came to light about an edition."""
    query = (
        select(delivery.c.later, func.count())
        .where(delivery.c.edition_id == edition_id, delivery.c.later != "")
        .group_by(delivery.c.later)
    )
    return {Later(later): count for later, count in tx.execute(query)}


def reached(tx: Tx, edition_id: EditionId) -> bool:
    """Tell whether anybody has an edition, or may have it; who was only refused or put off has not."""
    states = [state.value for state in (*REACHED, DeliveryState.SENDING)]
    # Whom an unknown outcome does not keep from another try (`UncertainPolicy.RETRY`) may have it all the same.
    tried = or_(delivery.c.state.in_(states), delivery.c.kind == ReplyClass.UNKNOWN.value)
    value = tx.execute(select(delivery.c.id).where(delivery.c.edition_id == edition_id, tried).limit(1)).first()
    # The row of somebody who was uncertain and is sent to again tells nothing of it.
    return value is not None or tallies.of_edition(tx, edition_id).uncertain > 0


def next_due(tx: Tx) -> datetime | None:
    """Return when the next deferred delivery of a sending edition is due."""
    query = (
        select(func.min(delivery.c.next_attempt_at))
        .join(edition, edition.c.id == delivery.c.edition_id)
        .where(
            delivery.c.next_attempt_at.is_not(None),
            delivery.c.state == DeliveryState.DEFERRED.value,
            edition.c.status == EditionStatus.SENDING.value,
        )
    )
    value: datetime | None = tx.execute(query).scalar()
    return value


def has_open(tx: Tx, edition_id: EditionId) -> bool:
    """Tell whether anybody of an edition still waits or is on the way."""
    waiting = select(delivery.c.id).where(
        delivery.c.edition_id == edition_id,
        or_(
            delivery.c.state == DeliveryState.SENDING.value,
            delivery.c.state == DeliveryState.DEFERRED.value,
            delivery.c.state == DeliveryState.QUEUED.value,
        ),
    )
    return tx.execute(waiting.limit(1)).first() is not None


def retry_now(tx: Tx, edition_id: EditionId, *, now: datetime) -> int:
    """Make every deferred delivery of an edition due at once; return how many."""
    result = tx.execute(
        update(delivery)
        .where(
            delivery.c.edition_id == edition_id,
            delivery.c.next_attempt_at.is_not(None),
            delivery.c.state == DeliveryState.DEFERRED.value,
        )
        .values(next_attempt_at=now - timedelta(seconds=1)),
    )
    return result.rowcount
