"""What came to light about deliveries after a server took them, and the history that failures are counted from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, update

from newsletter.core.bounce_count import COUNTED, Past
from newsletter.core.delivery import DeliveryId, DeliveryState, Later
from newsletter.core.edition import EditionId
from newsletter.core.evidence import Standing, read_back, remembered
from newsletter.core.reply import ReplyClass, judge
from newsletter.core.subscriber import SubscriberId, SubscriberState
from newsletter.core.tally import REFUSED_AS
from newsletter.core.token import message_id
from newsletter.store import tally as tallies
from newsletter.store.schema import bounce_window, consent, delivery, edition, subscriber, tally
from newsletter.store.tally import TallySource
from newsletter.store.unit import Tx
from newsletter.store.upsert import upsert

_BATCHES_KEPT_MAX = 16
"""Editions back that failures are counted over; more than the longest count needs."""

_EDITION_ID_MAX = 2**31 - 1
"""The largest id of an edition; PostgreSQL refuses to compare with more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BouncedDelivery:
    """A delivery that a report is about."""

    id: DeliveryId
    edition_id: EditionId
    subscriber_id: SubscriberId | None
    """None once the person was erased."""
    standing: Standing
    text: str = ""
    """What the last report said."""
    sent_at: datetime | None = None
    """When it was last tried."""


def find(tx: Tx, delivery_id: DeliveryId, *, locked: bool = True) -> BouncedDelivery | None:
    """Return a delivery; None when there is none, or none any more. Locked, it stays so until the transaction ends."""
    query = select(delivery).where(delivery.c.id == delivery_id)
    row = tx.execute(query.with_for_update() if locked else query).first()
    if row is None:
        return None
    return BouncedDelivery(
        id=DeliveryId(row.id),
        edition_id=EditionId(row.edition_id),
        subscriber_id=None if row.subscriber_id is None else SubscriberId(row.subscriber_id),
        standing=Standing(state=DeliveryState(row.state), later=Later(row.later)),
        text=row.later_text,
        sent_at=row.last_attempt_at,
    )


def address_changed_at(tx: Tx, who: SubscriberId) -> datetime | None:
    """Return when a person changed their address last; None when they never did."""
    changes = (consent.c.subscriber_id == who, consent.c.action == "address changed")
    return tx.execute(select(func.max(consent.c.at)).where(*changes)).scalar()


def of_person(tx: Tx, edition_id: EditionId, who: SubscriberId) -> DeliveryId | None:
    """Return the delivery of a person in an edition."""
    query = select(delivery.c.id).where(delivery.c.edition_id == edition_id, delivery.c.subscriber_id == who)
    value = tx.execute(query).scalar()
    return None if value is None else DeliveryId(value)


def of_message(tx: Tx, text: str) -> DeliveryId | None:
    """Return the delivery that bears a Message-ID.

    It is a hash, so this walks through the edition that it names: two seconds for a million people, and only for the
    rare mail that bears nothing better.
    """
    number, _, rest = text.partition(".")
    domain = rest.rpartition("@")[2]
    edition_number = EditionId(int(number))
    if edition_number > _EDITION_ID_MAX:
        return None
    nonce = tx.execute(select(edition.c.nonce).where(edition.c.id == edition_number)).scalar()
    if nonce is None:
        return None
    key = text.casefold()
    query = select(delivery.c.id).where(delivery.c.edition_id == edition_number)
    ids = tx.execute(query, execution_options={"yield_per": 10_000})
    try:
        delivery_ids = (DeliveryId(row.id) for row in ids)
        return next(
            (
                delivery_id
                for delivery_id in delivery_ids
                if message_id(edition_number, delivery_id, nonce, domain).casefold() == key
            ),
            None,
        )
    finally:
        # PostgreSQL keeps a cursor open for what was not read.
        ids.close()


def note(tx: Tx, bounce: BouncedDelivery, after: Standing, *, text: str, reason: str, now: datetime) -> None:
    """Write how a delivery stands after a report; `reason` is why an uncertain one is settled."""
    changed: dict[str, object] = {
        "later": after.later.value,
        "later_at": now,
        # Of an erased person nothing is kept that may name the address.
        "later_text": text if bounce.subscriber_id is not None else "",
    }
    if after.state is not bounce.standing.state:
        changed |= {"state": after.state.value, "reason": reason}
    tx.execute(update(delivery).where(delivery.c.id == bounce.id).values(**changed))


def history(tx: Tx, who: SubscriberId) -> Sequence[Past]:
    """Return what became of the last editions for a person, newest first; open ones are left out.

    Mails to an earlier address are left out too: they say nothing about the mailbox of today.
    """
    changed_at = address_changed_at(tx, who)
    # Named by edition too, so that the index on (edition, subscriber) serves.
    last = select(edition.c.id).order_by(edition.c.id.desc()).limit(_BATCHES_KEPT_MAX)
    query = (
        select(delivery, edition.c.started_at)
        .join(edition, edition.c.id == delivery.c.edition_id)
        .where(delivery.c.edition_id.in_(last), delivery.c.subscriber_id == who)
        .order_by(delivery.c.edition_id.desc())
    )
    rows = []
    for row in tx.execute(query):
        if changed_at is not None and (row.last_attempt_at or row.started_at) <= changed_at:
            continue
        back = row.later in {Later.BOUNCED, Later.HELD}
        rows.append(
            Past(
                at=(row.later_at if back else None) or row.last_attempt_at or row.started_at,
                state=DeliveryState(row.state),
                # What the server said when it came back, not what it said when it took it.
                kind=judge(read_back(row.later_text)).kind if back else row.kind,
                bounced=back,
            )
        )
    return rows


def add_to_tally(tx: Tx, bounce: BouncedDelivery, kind: ReplyClass, *, now: datetime) -> None:
    """Count a mail that came back, so that the sum of the tally of an edition has it too.

    A person counts once: who was accepted is so no more, and who was refused at our own door is counted there.
    """
    column = REFUSED_AS.get(kind)
    if column is None or bounce.standing.state is DeliveryState.REJECTED:
        return
    # What comes back before we wrote that it was taken is accepted in a moment.
    was_accepted = bounce.standing.state in {DeliveryState.ACCEPTED, DeliveryState.SENDING}
    if was_accepted and bounce.sent_at is not None:
        # First the edition, then its tally: the order in which every transaction holds them.
        _count_since_resume(tx, bounce.edition_id, sent_at=bounce.sent_at)
    tallies.add(tx, bounce.edition_id, TallySource.BOUNCE, {column: 1, "accepted": -1 if was_accepted else 0}, now=now)


def _count_since_resume(tx: Tx, edition_id: EditionId, *, sent_at: datetime) -> None:
    """Let one who was counted before a resume be counted after it: so many people are known since, and not one less."""
    query = select(edition.c.borne).where(edition.c.id == edition_id, edition.c.borne.is_not(None))
    if tx.execute(query).first() is None:
        return
    borne = tx.execute(query.with_for_update()).scalar_one()
    if "at" in borne and sent_at <= datetime.fromisoformat(borne["at"]):
        fewer = {**borne, "accepted": borne["accepted"] - 1}
        tx.execute(update(edition).where(edition.c.id == edition_id).values(borne=fewer))


def refused_for_us(tx: Tx, edition_id: EditionId) -> int:
    """Return how many mails of an edition came back because of us: blocked, or not believed."""
    query = select(tally.c.policy).where(tally.c.edition_id == edition_id, tally.c.source == TallySource.BOUNCE.value)
    return tx.execute(query).scalar() or 0


def expired_people(
    tx: Tx, edition_id: EditionId, *, after: int, limit: int
) -> Sequence[tuple[DeliveryId, SubscriberId]]:
    """Return active people who were given up for a reason that counts, in order; `after` is the last one seen."""
    query = (
        select(delivery.c.id, delivery.c.subscriber_id)
        .join(subscriber, subscriber.c.id == delivery.c.subscriber_id)
        .where(
            delivery.c.edition_id == edition_id,
            delivery.c.id > after,
            delivery.c.state == DeliveryState.EXPIRED.value,
            delivery.c.kind.in_(list(COUNTED)),
            subscriber.c.state == SubscriberState.ACTIVE.value,
        )
        .order_by(delivery.c.id)
        .limit(limit)
    )
    return [(DeliveryId(row.id), SubscriberId(row.subscriber_id)) for row in tx.execute(query)]


def held(tx: Tx, edition_id: EditionId) -> Iterator[BouncedDelivery]:
    """Give the deliveries of an edition whose bounces wait for a person."""
    query = select(delivery.c.id).where(delivery.c.edition_id == edition_id, delivery.c.later == Later.HELD.value)
    for delivery_id in list(tx.execute(query.order_by(delivery.c.id)).scalars()):
        bounce = find(tx, DeliveryId(delivery_id))
        if bounce is not None:
            yield bounce


@dataclass(frozen=True, slots=True, kw_only=True)
class BounceRow:
    """One delivery about which something came to light, as people see it."""

    email: str
    """Empty once the person was erased."""
    later: Later
    at: datetime | None
    text: str


def rows(tx: Tx, edition_id: EditionId) -> Iterator[BounceRow]:
    """Give what came to light about an edition, the latest first."""
    query = (
        select(delivery.c.later, delivery.c.later_at, delivery.c.later_text, subscriber.c.email)
        .outerjoin(subscriber, subscriber.c.id == delivery.c.subscriber_id)
        .where(delivery.c.edition_id == edition_id, delivery.c.later != "")
        .order_by(delivery.c.later_at.desc(), delivery.c.id.desc())
    )
    for row in tx.execute(query, execution_options={"yield_per": 500}):
        yield BounceRow(email=row.email or "", later=Later(row.later), at=row.later_at, text=row.later_text)


def recent(tx: Tx, edition_id: EditionId) -> Mapping[int, int]:
    """Return the last bounces of an edition that would have ended a subscription, counted as `may_suppress` does.

    They stay locked until the transaction ends.
    """
    query = select(bounce_window.c.counts).where(bounce_window.c.edition_id == edition_id).with_for_update()
    counts = tx.execute(query).scalar()
    if counts is None and tx.dialect.name == "postgresql":
        # A missing row cannot be locked: insert it first, so that two processes do not both read nothing.
        tx.execute(
            upsert(bounce_window, tx.dialect.name).values(edition_id=edition_id, counts={}).on_conflict_do_nothing()
        )
        counts = tx.execute(query).scalar()
    return _by_minute(counts or {})


def save_recent(tx: Tx, edition_id: EditionId, counted: Mapping[int, int]) -> None:
    """Store the recent bounces of an edition."""
    counts = {str(minute): count for minute, count in counted.items()}
    tx.execute(
        upsert(bounce_window, tx.dialect.name)
        .values(edition_id=edition_id, counts=counts)
        .on_conflict_do_update(index_elements=["edition_id"], set_={"counts": counts})
    )


def forget_recent(tx: Tx, *, now: datetime) -> int:
    """Delete the recent bounces of editions of which none counts any more; return of how many editions."""
    # A row that another transaction is adding to is not old.
    query = select(bounce_window).with_for_update(skip_locked=True)
    old = [row.edition_id for row in tx.execute(query) if not remembered(_by_minute(row.counts), now=now)]
    if old:
        tx.execute(delete(bounce_window).where(bounce_window.c.edition_id.in_(old)))
    return len(old)


def _by_minute(counts: Mapping[str, int]) -> Mapping[int, int]:
    return {int(minute): count for minute, count in counts.items()}
