"""Subscribers, their consent and the suppression list. Changes of state are decided in `core/subscriber.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Row, delete, insert, select, update

from newsletter.core.edition import EditionId
from newsletter.core.subscriber import Subscriber, SubscriberId, SubscriberState
from newsletter.store.schema import consent, subscriber, suppression
from newsletter.store.unit import Tx
from newsletter.store.upsert import upsert

BLOCKED_BY_OWNER = "blocked"
"""The owner of an address pressed a button: no sign-up of that address causes a mail."""
UNBLOCKED_BY_OWNER = "unblocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """One piece of evidence: an event of a subscription, its time and its channel."""

    at: datetime
    action: str
    """`subscribed`, `imported`, `unsubscribed`, `reactivated`, `paused`, `resumed`, `bounced` …"""
    channel: str
    """`import`, `command line`, `one-click`, `page`, `mail server`."""
    source: str = ""
    """Origin of the evidence in the operator's words, such as `fair in May`."""
    edition_id: EditionId | None = None
    """The mailing whose link was used, when one was."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """Further values, such as the time and the IP address of an earlier opt-in."""


def from_row(row: Row) -> Subscriber:  # type: ignore[type-arg]
    """Read a row of the table."""
    return Subscriber(
        id=SubscriberId(row.id),
        email=row.email,
        canonical=row.canonical,
        name=row.name,
        first_name=row.first_name,
        last_name=row.last_name,
        time_zone=row.time_zone,
        tags=tuple(row.tags),
        fields=row.fields,
        state=SubscriberState(row.state),
        state_since=row.state_since,
        state_why=row.state_why,
        created_at=row.created_at,
        names_imported=row.names_imported,
    )


def by_id(tx: Tx, subscriber_id: SubscriberId) -> Subscriber | None:
    """Return a subscriber by id."""
    row = tx.execute(select(subscriber).where(subscriber.c.id == subscriber_id)).first()
    return None if row is None else from_row(row)


def by_canonical(tx: Tx, canonical: str, *, lock: bool = False) -> Subscriber | None:
    """Return a subscriber by the canonical form of the address.

    With `lock` the row stays as it is until the transaction ends: two changes of one person come one after the other.
    """
    query = select(subscriber).where(subscriber.c.canonical == canonical)
    row = tx.execute(query.with_for_update() if lock else query).first()
    return None if row is None else from_row(row)


def locked(tx: Tx, subscriber_id: SubscriberId) -> Subscriber | None:
    """Return a subscriber by id, who stays as they are until the transaction ends."""
    row = tx.execute(select(subscriber).where(subscriber.c.id == subscriber_id).with_for_update()).first()
    return None if row is None else from_row(row)


def every_canonical(tx: Tx) -> Iterator[tuple[SubscriberId, str]]:
    """Return the id and the canonical address of everybody, one after the other: a million do not fit in memory."""
    query = select(subscriber.c.id, subscriber.c.canonical).order_by(subscriber.c.id)
    for row in tx.execute(query, execution_options={"yield_per": 5_000}):
        yield SubscriberId(row.id), row.canonical


def save(tx: Tx, changed: Subscriber) -> None:
    """Write what is known of a subscriber, the address included; the state has its own way, `save_state`."""
    tx.execute(
        update(subscriber)
        .where(subscriber.c.id == changed.id)
        .values(
            email=changed.email,
            canonical=changed.canonical,
            name=changed.name,
            first_name=changed.first_name,
            last_name=changed.last_name,
            time_zone=changed.time_zone,
            tags=list(changed.tags),
            fields=dict(changed.fields),
            names_imported=changed.names_imported,
        ),
    )


def save_state(tx: Tx, changed: Subscriber) -> None:
    """Write the state of a subscriber, with its date and reason."""
    tx.execute(
        update(subscriber)
        .where(subscriber.c.id == changed.id)
        .values(
            state=changed.state.value,
            state_since=changed.state_since,
            state_why=changed.state_why,
            # Every change ends a pause; one that ends by itself is written after it.
            paused_until=None,
        ),
    )


def set_pause_end(tx: Tx, who: SubscriberId, until: datetime) -> None:
    """Let the pause of a person end by itself."""
    tx.execute(update(subscriber).where(subscriber.c.id == who).values(paused_until=until))


def pause_end(tx: Tx, who: SubscriberId) -> datetime | None:
    """Return when the pause of a person ends by itself; None when it does not."""
    value: datetime | None = tx.execute(select(subscriber.c.paused_until).where(subscriber.c.id == who)).scalar()
    return value


def pause_over(tx: Tx, *, now: datetime, limit: int) -> Sequence[SubscriberId]:
    """Return the people whose pause is over."""
    query = select(subscriber.c.id).where(subscriber.c.paused_until <= now)
    return [SubscriberId(row) for row in tx.execute(query.order_by(subscriber.c.paused_until).limit(limit)).scalars()]


def add_consent(tx: Tx, who: SubscriberId, new: Consent) -> None:
    """Append a piece of evidence; evidence is never changed."""
    tx.execute(
        insert(consent).values(
            subscriber_id=who,
            at=new.at,
            action=new.action,
            channel=new.channel,
            source=new.source,
            edition_id=new.edition_id,
            evidence=dict(new.evidence),
        ),
    )


def consents(tx: Tx, who: SubscriberId) -> Sequence[Consent]:
    """Return the evidence of a person, oldest first."""
    rows = tx.execute(select(consent).where(consent.c.subscriber_id == who).order_by(consent.c.id))
    return [
        Consent(
            at=row.at,
            action=row.action,
            channel=row.channel,
            source=row.source,
            edition_id=None if row.edition_id is None else EditionId(row.edition_id),
            evidence=row.evidence,
        )
        for row in rows
    ]


def erase(tx: Tx, who: SubscriberId) -> None:
    """Delete a person and their evidence; what must stay (a hash, blanked deliveries) is the business of the flow."""
    tx.execute(delete(consent).where(consent.c.subscriber_id == who))
    tx.execute(delete(subscriber).where(subscriber.c.id == who))


def suppress_hash(tx: Tx, hashed: str, *, reason: str, now: datetime) -> None:
    """Remember by a keyed hash that an address must never be brought in again."""
    if tx.execute(select(suppression.c.hash).where(suppression.c.hash == hashed)).first() is None:
        tx.execute(insert(suppression).values(hash=hashed, reason=reason, at=now))


def lift_suppression(tx: Tx, hashes: Sequence[str]) -> None:
    """Take an address, as all its keyed hashes, off the suppression list: only at the person's own wish."""
    tx.execute(delete(suppression).where(suppression.c.hash.in_(hashes)))


def suppressed_since(tx: Tx, hashes: Sequence[str]) -> datetime | None:
    """Return when an address, given as all its keyed hashes, was suppressed; None when it was not."""
    value: datetime | None = tx.execute(select(suppression.c.at).where(suppression.c.hash.in_(hashes))).scalar()
    return value


def suppression_reason(tx: Tx, hashes: Sequence[str]) -> str:
    """Return why an address is on the suppression list: erased, blocked or unblocked; empty when it is not on it."""
    query = select(suppression.c.reason).where(suppression.c.hash.in_(hashes))
    reasons = set(tx.execute(query).scalars())
    return BLOCKED_BY_OWNER if BLOCKED_BY_OWNER in reasons else min(reasons, default="")


def block(tx: Tx, hashed: str, *, now: datetime) -> None:
    """Remember that the owner of an address wants no mail that a page causes; it may be on the list already."""
    values = {"reason": BLOCKED_BY_OWNER, "at": now}
    tx.execute(
        upsert(suppression, tx.dialect.name)
        .values(hash=hashed, **values)
        .on_conflict_do_update(index_elements=["hash"], set_=values)
    )


def unblock(tx: Tx, hashes: Sequence[str]) -> None:
    """Let an address sign up again; imports are still kept away, since the person did not ask for those."""
    blocked_row = (suppression.c.hash.in_(hashes), suppression.c.reason == BLOCKED_BY_OWNER)
    tx.execute(update(suppression).where(*blocked_row).values(reason=UNBLOCKED_BY_OWNER))


def suppressed(tx: Tx, hashes: Sequence[str]) -> set[str]:
    """Return which of these keyed hashes are on the suppression list."""
    return set(tx.execute(select(suppression.c.hash).where(suppression.c.hash.in_(hashes))).scalars())
