"""What people ask about deliveries: the receipt of an edition, and the rows behind it.

In: an edition. Out: values ready to be shown. Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, func, select

from newsletter.core.delivery import DeliveryState, Later
from newsletter.core.edition import Edition, EditionId, edition_name
from newsletter.core.receipt import Receipt
from newsletter.core.subscriber import SubscriberId
from newsletter.store import audience
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import wave as waves
from newsletter.store.schema import delivery, edition, subscriber
from newsletter.store.unit import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """One delivery as people see it."""

    edition: str
    email: str
    """Empty once the person was erased."""
    state: DeliveryState
    reason: str
    """In plain language."""
    attempts: int
    first_attempt_at: datetime | None
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    reply: str
    """The server's words, with their codes."""
    later: str = ""
    """What came to light after a server took it, such as `bounced`."""
    later_at: datetime | None = None
    later_text: str = ""
    title: str = ""
    """The title of the tip."""


def receipt(tx: Tx, edition: Edition) -> Receipt:
    """Return the totals of an edition: those stored when it closed, else counted now."""
    stored = editions.totals(tx, edition.id)
    later = deliveries.later_counts(tx, edition.id)
    return Receipt(
        edition=edition,
        counts=deliveries.counts(tx, edition.id) if stored is None else stored,
        next_attempt_at=_next_attempt(tx, edition.id),
        # Only what follows another edition has anybody who waits for its outcome; a closed one waits for nothing.
        awaiting=audience.awaiting(tx, edition.id) if stored is None and edition.of_edition is not None else 0,
        came_back=later.get(Later.BOUNCED, 0),
        held=later.get(Later.HELD, 0),
        complained=later.get(Later.COMPLAINED, 0),
        waves=tuple(waves.standings(tx, edition.id)) if edition.local else (),
        about=editions.by_id(tx, edition.of_edition).name if edition.of_edition is not None else "",
    )


def _next_attempt(tx: Tx, edition_id: EditionId) -> datetime | None:
    value: datetime | None = tx.execute(
        select(func.min(delivery.c.next_attempt_at)).where(
            delivery.c.edition_id == edition_id,
            delivery.c.next_attempt_at.is_not(None),
            delivery.c.state == DeliveryState.DEFERRED.value,
            # Of those who wait for an earlier outcome it says when that is looked at, which is no try.
            delivery.c.attempts > 0,
        ),
    ).scalar()
    return value


def rows(
    tx: Tx,
    *,
    edition_id: EditionId | None = None,
    who: SubscriberId | None = None,
    states: Sequence[DeliveryState] = (),
    limit: int | None = None,
) -> Iterator[DeliveryRow]:
    """Stream the deliveries that fit: of one edition in the order in which the people came, else the newest first.

    Either is the order of the index on (edition, subscriber), so that up to a limit no more is read than comes before.
    """
    query = (
        select(delivery, edition.c.date, edition.c.number, edition.c.title, subscriber.c.email)
        .join(edition, edition.c.id == delivery.c.edition_id)
        .outerjoin(subscriber, subscriber.c.id == delivery.c.subscriber_id)
    )
    if edition_id is not None:
        query = query.where(delivery.c.edition_id == edition_id).order_by(delivery.c.subscriber_id)
    else:
        query = query.order_by(delivery.c.edition_id.desc(), delivery.c.subscriber_id.desc())
    if who is not None:
        # Named by edition too, so that the index serves.
        query = query.where(delivery.c.edition_id.in_(select(edition.c.id)), delivery.c.subscriber_id == who)
    if states:
        query = query.where(delivery.c.state.in_([state.value for state in states]))
    for row in tx.execute(query.limit(limit), execution_options={"yield_per": 500}):
        yield _delivery_row(row)


def _delivery_row(row: Row) -> DeliveryRow:  # type: ignore[type-arg]
    name = edition_name(row.date, row.number)
    code = "" if row.reply_code is None else str(row.reply_code)
    return DeliveryRow(
        edition=name,
        email=row.email or "",
        state=DeliveryState(row.state),
        reason=row.reason,
        attempts=row.attempts,
        first_attempt_at=row.first_attempt_at,
        last_attempt_at=row.last_attempt_at,
        next_attempt_at=row.next_attempt_at,
        later=row.later,
        later_at=row.later_at,
        later_text=row.later_text,
        title=row.title,
        reply=" ".join(part for part in (code, row.reply_enhanced, row.reply_text) if part),
    )
