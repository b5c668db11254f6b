"""What is kept for a time only: delivery rows, the servers' words, the text of notices.

In: a transaction and an instant. Out: how many rows were forgotten. Totals, consent, the suppression list and the log
are kept for ever. Every statement touches a stretch of ids, so that no process waits long for the write lock; what is
still open is never touched, and ids are never used again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import String, and_, cast, delete, func, or_, select, update

from newsletter.core.delivery import OPEN_STATES
from newsletter.core.edition import EditionId
from newsletter.core.notice import READER_KINDS, NoticeKind, NoticeState
from newsletter.store.schema import alert, delivery, edition, notice
from newsletter.store.unit import Tx

_OPEN = [state.value for state in OPEN_STATES]
_NOTICE_OPEN = [NoticeState.QUEUED.value, NoticeState.SENDING.value, NoticeState.DEFERRED.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The ids of an edition's rows, from first to last."""

    edition: EditionId
    first: int
    last: int


def closed_before(tx: Tx, before: datetime, *, since: datetime | None = None) -> Sequence[Stretch]:
    """Return where the rows lie of the editions that were closed before an instant, and not before `since`."""
    query = select(edition.c.id).where(edition.c.totals.is_not(None), edition.c.finished_at < before)
    if since is not None:
        query = query.where(edition.c.finished_at >= since)
    return _stretches(tx, tx.execute(query.order_by(edition.c.id)).scalars().all())


def open_since(tx: Tx, before: datetime) -> Sequence[Stretch]:
    """Return where the rows lie of editions that began before an instant and are open still: paused, most likely."""
    query = select(edition.c.id).where(edition.c.finished_at.is_(None), edition.c.started_at < before)
    return _stretches(tx, tx.execute(query.order_by(edition.c.id)).scalars().all())


def _stretches(tx: Tx, editions: Sequence[int]) -> list[Stretch]:
    rows = []
    for closed in editions:
        first, last = tx.execute(
            select(func.min(delivery.c.id), func.max(delivery.c.id)).where(delivery.c.edition_id == closed)
        ).one()
        if first is not None:
            rows.append(Stretch(edition=EditionId(closed), first=first, last=last))
    return rows


def drop_deliveries(tx: Tx, edition_id: EditionId, *, first: int, last: int, closed_before: datetime) -> int:
    """Delete the rows of an edition between two ids; none, when the edition was opened again meanwhile."""
    still = select(edition.c.id).where(
        edition.c.id == edition_id, edition.c.totals.is_not(None), edition.c.finished_at < closed_before
    )
    # Locked, so that no command sends again to half an edition.
    if tx.execute(still.with_for_update()).first() is None:
        return 0
    result = tx.execute(delete(delivery).where(delivery.c.id.between(first, last), delivery.c.edition_id == edition_id))
    return result.rowcount


def blank_replies(tx: Tx, edition_id: EditionId, *, first: int, last: int, tried_before: datetime) -> int:
    """Forget what servers said of the rows of an edition between two ids, where nothing is to come any more."""
    result = tx.execute(
        update(delivery)
        .where(
            delivery.c.id.between(first, last),
            delivery.c.edition_id == edition_id,
            or_(delivery.c.reply_text != "", delivery.c.later_text != ""),
            delivery.c.state.not_in(_OPEN),
            or_(delivery.c.last_attempt_at.is_(None), delivery.c.last_attempt_at < tried_before),
        )
        .values(reply_text="", later_text=""),
    )
    return result.rowcount


def blank_notices(tx: Tx, *, written_before: datetime, limit: int) -> int:
    """Forget the text of old notices and what servers said of them; the rows still say who was told what when."""
    old = (
        select(notice.c.id)
        .where(
            notice.c.created_at < written_before,
            notice.c.state.not_in(_NOTICE_OPEN),
            or_(notice.c.message != "", notice.c.reply_text != ""),
        )
        .limit(limit)
    )
    ids = tx.execute(old).scalars().all()
    if ids:
        tx.execute(update(notice).where(notice.c.id.in_(ids)).values(message="", reply_text=""))
    return len(ids)


def drop_notices(tx: Tx, *, written_before: datetime, limit: int) -> int:
    """Delete old notices; those of an alert that is not over yet stay, or it would be told once more."""
    # Its own statement, as text, since other notices are about things that are no numbers.
    unclosed = select(cast(alert.c.id, String)).where(alert.c.closed_at.is_(None))
    kept = and_(
        notice.c.kind.in_([NoticeKind.ALERT.value, NoticeKind.PASSED.value]),
        notice.c.about.in_(unclosed),
    )
    old = select(notice.c.id).where(notice.c.created_at < written_before, notice.c.state.not_in(_NOTICE_OPEN), ~kept)
    ids = tx.execute(old.limit(limit)).scalars().all()
    if ids:
        tx.execute(delete(notice).where(notice.c.id.in_(ids)))
    return len(ids)


def drop_reader_mails(tx: Tx, *, written_before: datetime) -> int:
    """Delete old mails that requests on pages caused, whatever became of them: the request is forgotten too."""
    kinds = [kind.value for kind in READER_KINDS]
    return tx.execute(delete(notice).where(notice.c.kind.in_(kinds), notice.c.created_at < written_before)).rowcount


def is_whole(tx: Tx, edition_id: EditionId) -> bool:
    """Tell whether an edition still has a row for everybody; the edition stays as it is until the transaction ends."""
    tx.execute(select(edition.c.id).where(edition.c.id == edition_id).with_for_update())
    return seems_whole(tx, edition_id)


def seems_whole(tx: Tx, edition_id: EditionId) -> bool:
    """Tell the same at this moment, for a transaction that only reads."""
    audience = tx.execute(select(edition.c.audience).where(edition.c.id == edition_id)).scalar_one()
    rows = tx.execute(select(func.count()).where(delivery.c.edition_id == edition_id)).scalar_one()
    return bool(rows >= audience)
