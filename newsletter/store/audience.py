"""Whom an edition is for: everybody, or some of those of an earlier one.

In: the kind of the edition and the one it is about. Out: conditions and columns for the one statement that writes its
rows; no person passes through this process. What an earlier edition does at that moment is never waited for.

A replacement goes to those whom the edition before did not reach, a correction to those whom it did. Who may or may
not have it (`uncertain`) counts as reached in both, so that replacing and then correcting reaches everybody once. Of
whom the outcome is still open gets a row too, so that the audience is fixed at once: `deferred` before any attempt,
which no delivery is otherwise. It waits until that outcome is known (`settle_waiting`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Exists, and_, case, exists, func, literal, null, select, update

from newsletter.core.delivery import OPEN_STATES, DeliveryState
from newsletter.core.edition import EditionId, EditionKind
from newsletter.core.subscriber import SubscriberState
from newsletter.store.schema import Utc, delivery, edition, subscriber
from newsletter.store.unit import Tx

REACHED = (DeliveryState.ACCEPTED, DeliveryState.UNCERTAIN)
"""Who has an edition, or may have it."""

WAIT = {EditionKind.REPLACEMENT: timedelta(seconds=3), EditionKind.CORRECTION: timedelta(minutes=2)}
"""How often it is looked whether an earlier outcome is known: of what is in flight soon, of what is deferred later."""

UNKNOWN_YET = "The outcome of the edition before is waited for."


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who gets a row, and in which state; `due` is when it is looked at again."""

    who: Sequence[ColumnElement[bool]]
    state: ColumnElement[str]
    reason: ColumnElement[str]
    due: ColumnElement[Any]


def audience(tx: Tx, kind: EditionKind, edition_id: EditionId | None, *, now: datetime) -> Audience:
    """Return the audience of a new edition, in terms of the table `subscriber`."""
    active = subscriber.c.state == SubscriberState.ACTIVE.value
    queued = literal(DeliveryState.QUEUED.value)
    if edition_id is None:
        return Audience(who=[active], state=queued, reason=literal(""), due=null())
    earlier = chain(tx, kind, edition_id)
    pending = _row_of(subscriber.c.id, earlier, OPEN_STATES)
    reached = _row_of(subscriber.c.id, earlier, REACHED)
    condition = (
        (reached | pending)
        if kind is EditionKind.CORRECTION
        else and_(_row_of(subscriber.c.id, [edition_id]), ~reached)
    )
    return Audience(
        who=[active, condition],
        state=case((pending, DeliveryState.DEFERRED.value), else_=queued),
        reason=case((pending, UNKNOWN_YET), else_=""),
        due=case((pending, literal(now + WAIT[kind], Utc())), else_=null()),
    )


def count(tx: Tx, kind: EditionKind, edition_id: EditionId, *, now: datetime) -> tuple[int, int]:
    """Return for how many an edition of this kind would be, and of how many the earlier outcome is still open."""
    chosen = audience(tx, kind, edition_id, now=now)
    people = select(chosen.state.label("is_in")).where(*chosen.who).subquery()
    query = select(people.c.is_in, func.count()).group_by(people.c.is_in)
    by_state = {str(state): people for state, people in tx.execute(query)}
    waiting = by_state.get(DeliveryState.DEFERRED.value, 0)
    return waiting + by_state.get(DeliveryState.QUEUED.value, 0), waiting


def untried(tx: Tx, edition_id: EditionId) -> int:
    """Return how many people of an edition wait for its first try."""
    return tx.execute(
        select(func.count()).where(
            delivery.c.edition_id == edition_id,
            delivery.c.state == DeliveryState.QUEUED.value,
            delivery.c.attempts == 0,
        )
    ).scalar_one()


def awaiting(tx: Tx, edition_id: EditionId) -> int:
    """Return how many people of an edition wait for the outcome of an earlier one; they are `deferred`, but untried."""
    return tx.execute(
        select(func.count()).where(
            delivery.c.edition_id == edition_id,
            delivery.c.next_attempt_at.is_not(None),
            delivery.c.state == DeliveryState.DEFERRED.value,
            delivery.c.attempts == 0,
        )
    ).scalar_one()


def chain(tx: Tx, kind: EditionKind, edition_id: EditionId) -> Sequence[EditionId]:
    """Return the editions that decide: the one a correction is about, or all that a replacement comes after."""
    editions = [edition_id]
    while kind is EditionKind.REPLACEMENT:
        row = tx.execute(select(edition.c.kind, edition.c.of_edition).where(edition.c.id == editions[-1])).one()
        kind = EditionKind(row.kind)
        if kind is EditionKind.REPLACEMENT:
            editions.append(EditionId(row.of_edition))
    return editions


def settle_waiting(tx: Tx, edition_id: EditionId, *, now: datetime) -> int:
    """Decide about those of an edition who wait for an earlier outcome; return how many are left out now.

    Call it in the transaction that gathers what is due. Whose outcome is still open is put off first: an outcome that
    comes between the two statements then finds a row that is not due, and never one that goes out unjudged.
    """
    row = tx.execute(select(edition.c.kind, edition.c.of_edition).where(edition.c.id == edition_id)).one()
    if row.of_edition is None:
        return 0
    kind = EditionKind(row.kind)
    earlier = chain(tx, kind, EditionId(row.of_edition))
    waits = (
        delivery.c.edition_id == edition_id,
        delivery.c.state == DeliveryState.DEFERRED.value,
        delivery.c.attempts == 0,
        delivery.c.next_attempt_at <= now,
    )
    mine = delivery.alias("mine")
    due = select(mine.c.id).where(
        mine.c.edition_id == edition_id,
        mine.c.state == DeliveryState.DEFERRED.value,
        mine.c.attempts == 0,
        mine.c.next_attempt_at <= now,
    )
    pending = due.where(_row_of(mine.c.subscriber_id, earlier, OPEN_STATES))
    tx.execute(
        update(delivery).where(*waits, delivery.c.id.in_(pending)).values(next_attempt_at=now + WAIT[kind]),
    )
    reached = _row_of(mine.c.subscriber_id, earlier, REACHED)
    out = due.where(reached if kind is EditionKind.REPLACEMENT else ~reached)
    left = tx.execute(
        update(delivery)
        .where(*waits, delivery.c.id.in_(out))
        .values(state=DeliveryState.SKIPPED.value, reason=_LEFT_OUT[kind], next_attempt_at=None),
    )
    return left.rowcount


_LEFT_OUT = {
    EditionKind.REPLACEMENT: "has the edition that this one replaces, or may have it",
    EditionKind.CORRECTION: "did not get the edition that this one corrects",
}


def _row_of(who: ColumnElement[int], edition_ids: Sequence[EditionId], states: Sequence[DeliveryState] = ()) -> Exists:
    row = delivery.alias()
    row_exists = exists().where(row.c.edition_id.in_([int(item) for item in edition_ids]), row.c.subscriber_id == who)
    return row_exists.where(row.c.state.in_([state.value for state in states])) if states else row_exists
