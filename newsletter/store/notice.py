"""Notices: mails that are no edition, written whole, so that the sender renders nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, exists, func, or_, select, update

from newsletter.core.delivery import Outcome
from newsletter.core.notice import NoticeId, NoticeKey, NoticeKind, NoticeState
from newsletter.core.subscriber import SubscriberState, eligible
from newsletter.store.ledger import count_claim
from newsletter.store.schema import notice, subscriber
from newsletter.store.unit import Tx
from newsletter.store.upsert import upsert

_WAITING = (NoticeState.QUEUED.value, NoticeState.DEFERRED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One mail to one person."""

    id: NoticeId
    key: NoticeKey
    recipient: str
    message: str
    """The whole of it (RFC 5322), ASCII, lines ending in CRLF."""
    state: NoticeState
    reason: str
    created_at: datetime
    attempts: int
    first_attempt_at: datetime | None


def _from_row(row: Row) -> Notice:  # type: ignore[type-arg]
    return Notice(
        id=NoticeId(row.id),
        key=NoticeKey(kind=NoticeKind(row.kind), about=row.about, variant=row.variant),
        recipient=row.recipient,
        message=row.message,
        state=NoticeState(row.state),
        reason=row.reason,
        created_at=row.created_at,
        attempts=row.attempts,
        first_attempt_at=row.first_attempt_at,
    )


def add(tx: Tx, key: NoticeKey, *, recipient: str, message: str, now: datetime) -> bool:
    """Queue a notice unless it was written before; tell whether it is new."""
    result = tx.execute(
        upsert(notice, tx.dialect.name)
        .values(
            kind=key.kind.value,
            about=key.about,
            variant=key.variant,
            recipient=recipient,
            message=message,
            state=NoticeState.QUEUED.value,
            created_at=now,
        )
        .on_conflict_do_nothing()
        # Not by the count of rows: on PostgreSQL an INSERT keeps none.
        .returning(notice.c.id),
    )
    return result.first() is not None


def last(tx: Tx, kinds: Sequence[NoticeKind], about: str) -> Notice | None:
    """Return the newest notice of these kinds about something."""
    query = select(notice).where(notice.c.kind.in_([kind.value for kind in kinds]), notice.c.about == about)
    row = tx.execute(query.order_by(notice.c.id.desc()).limit(1)).first()
    return None if row is None else _from_row(row)


def states(tx: Tx, kind: NoticeKind, abouts: Sequence[str]) -> Mapping[str, Sequence[NoticeState]]:
    """Return, by what they are about, the states of the notices of a kind."""
    rows: dict[str, list[NoticeState]] = {about: [] for about in abouts}
    query = select(notice.c.about, notice.c.state).where(notice.c.kind == kind.value, notice.c.about.in_(abouts))
    for row in tx.execute(query):
        rows[row.about].append(NoticeState(row.state))
    return rows


def of_kind(tx: Tx, kind: NoticeKind, in_states: Sequence[NoticeState], *, since: datetime) -> Sequence[Notice]:
    """Return the notices of a kind that stand in one of these states, oldest first."""
    query = select(notice).where(
        notice.c.kind == kind.value,
        notice.c.state.in_([state.value for state in in_states]),
        notice.c.created_at >= since,
    )
    return [_from_row(row) for row in tx.execute(query.order_by(notice.c.id))]


def to_addresses(tx: Tx, addresses: Collection[str]) -> Sequence[Notice]:
    """Return the notices to any of these addresses, oldest first."""
    folded = {address.lower() for address in addresses} | set(addresses)
    query = select(notice).where(or_(func.lower(notice.c.recipient).in_(folded), notice.c.recipient.in_(folded)))
    return [_from_row(row) for row in tx.execute(query.order_by(notice.c.id))]


def withdraw(tx: Tx, kind: NoticeKind, about: str, *, reason: str) -> int:
    """Take back what did not go out yet; return how many that were."""
    result = tx.execute(
        update(notice)
        .where(notice.c.kind == kind.value, notice.c.about == about, notice.c.state.in_(_WAITING))
        .values(state=NoticeState.WITHDRAWN.value, reason=reason, next_attempt_at=None),
    )
    return result.rowcount


def due(tx: Tx, *, now: datetime, limit: int) -> Sequence[NoticeId]:
    """Return the notices that may go out now, oldest first."""
    query = select(notice.c.id).where(
        notice.c.state.in_(_WAITING),
        (notice.c.next_attempt_at.is_(None)) | (notice.c.next_attempt_at <= now),
    )
    return [NoticeId(row) for row in tx.execute(query.order_by(notice.c.id).limit(limit)).scalars()]


def mark(tx: Tx, notice_id: NoticeId, *, now: datetime) -> Notice | None:
    """Mark a notice as going out; None when it was withdrawn or taken meanwhile.

    A missed tip is withdrawn here when its reader has left, paused or was erased since it was written.
    """
    result = tx.execute(
        update(notice)
        .where(notice.c.id == notice_id, notice.c.state.in_(_WAITING))
        .values(
            state=NoticeState.SENDING.value,
            attempts=notice.c.attempts + 1,
            first_attempt_at=func.coalesce(notice.c.first_attempt_at, now),
            last_attempt_at=now,
            next_attempt_at=None,
        ),
    )
    if result.rowcount != 1:
        return None
    marked = _from_row(tx.execute(select(notice).where(notice.c.id == notice_id)).one())
    if marked.key.kind is NoticeKind.MISSED_TIP and not _is_eligible(tx, int(marked.key.variant)):
        values = {"state": NoticeState.WITHDRAWN.value, "reason": "the reader gets no mail any more"}
        tx.execute(update(notice).where(notice.c.id == notice_id).values(values))
        return None
    count_claim(tx)
    return marked


def _is_eligible(tx: Tx, subscriber_id: int) -> bool:
    state = tx.execute(select(subscriber.c.state).where(subscriber.c.id == subscriber_id)).scalar()
    return state is not None and eligible(SubscriberState(state))


def record(tx: Tx, notice_id: NoticeId, outcome: Outcome) -> None:
    """Write what came of an attempt."""
    tx.execute(
        update(notice)
        .where(notice.c.id == notice_id, notice.c.state == NoticeState.SENDING.value)
        .values(
            state=outcome.state.value,
            reason=outcome.reason,
            attempts=outcome.attempts,
            next_attempt_at=outcome.next_attempt_at,
            reply_code=outcome.reply_code,
            reply_enhanced=outcome.reply_enhanced,
            reply_text=outcome.reply_text,
        ),
    )


def requeue_orphans(tx: Tx, *, marked_before: datetime | None = None) -> int:
    """Queue again what a dead sender had marked: with the same Message-ID, better twice than not at all.

    Where others may be sending, only what was marked so long ago that no process waits for its answer any more.
    """
    query = update(notice).where(notice.c.state == NoticeState.SENDING.value)
    if marked_before is not None:
        query = query.where(notice.c.last_attempt_at < marked_before)
    result = tx.execute(
        query.values(state=NoticeState.QUEUED.value, reason="the sender was stopped in the middle of this message")
    )
    return result.rowcount


def counts(tx: Tx) -> Counter[NoticeState]:
    """Return how many notices stand in each state."""
    rows = tx.execute(select(notice.c.state, func.count().label("many")).group_by(notice.c.state))
    return Counter({NoticeState(row.state): row.many for row in rows})


def any_accepted(tx: Tx) -> bool:
    """Tell whether a mail server has ever accepted a notice."""
    return bool(tx.execute(select(exists().where(notice.c.state == NoticeState.ACCEPTED.value))).scalar_one())
