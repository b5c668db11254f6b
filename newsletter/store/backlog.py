"""The backlog of a person: the tips missed during a pause, of which one comes each week afterwards.

In: a transaction. Out: whose turn it is, and the oldest edition that a person missed. A row begins with the pause and
ends with the last missed tip, or as soon as the person gets no mail any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, exists, insert, select, update

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionId, EditionKind, EditionStatus
from newsletter.core.subscriber import SubscriberId
from newsletter.store.schema import backlog, delivery, edition
from newsletter.store.unit import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What a person still gets of a pause."""

    subscriber_id: SubscriberId
    since: datetime
    """Editions after it were missed; it moves on with each tip that was sent afterwards."""
    resumed_at: datetime | None
    """The end of the pause; None while it lasts."""
    next_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedEdition:
    """The frozen message of an edition that a person missed."""

    id: EditionId
    nonce: str
    content: str
    sends_at: datetime
    """Of the edition itself, by which the backlog moves on."""


def begin(tx: Tx, who: SubscriberId, *, now: datetime) -> None:
    """Begin a backlog with a pause; one that was not sent to its end goes on from where it was."""
    kept = update(backlog).where(backlog.c.subscriber_id == who).values(resumed_at=None, next_at=None)
    if tx.execute(kept).rowcount == 0:
        tx.execute(insert(backlog).values(subscriber_id=who, since=now))


def end_pause(tx: Tx, who: SubscriberId, *, now: datetime, next_at: datetime) -> None:
    """Let the missed tips of a pause come from now on, if the person wanted them."""
    tx.execute(update(backlog).where(backlog.c.subscriber_id == who).values(resumed_at=now, next_at=next_at))


def drop(tx: Tx, who: SubscriberId) -> None:
    """Forget a backlog."""
    tx.execute(delete(backlog).where(backlog.c.subscriber_id == who))


def of_person(tx: Tx, who: SubscriberId) -> Backlog | None:
    """Return the backlog of a person, None when there is none."""
    row = tx.execute(select(backlog).where(backlog.c.subscriber_id == who)).first()
    return None if row is None else Backlog(**row._mapping)  # noqa: SLF001 - its documented name


def due(tx: Tx, *, now: datetime, limit: int) -> Sequence[Backlog]:
    """Return the backlogs of which a tip is due."""
    rows = tx.execute(select(backlog).where(backlog.c.next_at <= now).order_by(backlog.c.next_at).limit(limit))
    return [Backlog(**row._mapping) for row in rows]  # noqa: SLF001 - its documented name


def advance(tx: Tx, before: Backlog, *, since: datetime, next_at: datetime) -> bool:
    """Move on to the next missed tip; tell whether this transaction was the first to do so."""
    unchanged = (backlog.c.subscriber_id == before.subscriber_id, backlog.c.next_at == before.next_at)
    return tx.execute(update(backlog).where(*unchanged).values(since=since, next_at=next_at)).rowcount == 1


def oldest_missed(tx: Tx, item: Backlog) -> MissedEdition | None:
    """Return the oldest edition of the pause that the person did not get: of a replaced one, its replacement.

    A date counts once: who has the wrong tip of it, or has the replacement already, misses nothing.
    """
    kinds = [EditionKind.REGULAR.value, EditionKind.REPLACEMENT.value]
    of_date = edition.alias()
    has_delivery = exists().where(
        of_date.c.date == edition.c.date,
        of_date.c.kind.in_(kinds),
        delivery.c.edition_id == of_date.c.id,
        delivery.c.subscriber_id == item.subscriber_id,
        delivery.c.state != DeliveryState.SKIPPED.value,
    )
    query = select(edition.c.id, edition.c.nonce, edition.c.content, edition.c.sends_at).where(
        edition.c.kind.in_(kinds),
        edition.c.status == EditionStatus.FINISHED.value,
        edition.c.sends_at > item.since,
        edition.c.sends_at <= item.resumed_at,
        ~has_delivery,
    )
    row = tx.execute(query.order_by(edition.c.sends_at).limit(1)).first()
    return None if row is None else MissedEdition(**row._mapping)  # noqa: SLF001 - its documented name
