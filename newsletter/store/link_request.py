"""Requests for the link to a person's own settings: written by a page, answered by a mail to that person alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select, update

from newsletter.core.subscriber import SubscriberId
from newsletter.store.schema import link_request
from newsletter.store.unit import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRequest:
    """One request."""

    id: int
    subscriber_id: SubscriberId
    asked_at: datetime


def add(tx: Tx, subscriber_id: SubscriberId, *, now: datetime) -> None:
    """Write a request, of any person."""
    tx.execute(insert(link_request).values(subscriber_id=subscriber_id, asked_at=now))


def undecided(tx: Tx, *, limit: int) -> Sequence[LinkRequest]:
    """Return the requests that wait, oldest first."""
    query = select(link_request).where(link_request.c.decided_at.is_(None)).order_by(link_request.c.id).limit(limit)
    return [
        LinkRequest(id=row.id, subscriber_id=SubscriberId(row.subscriber_id), asked_at=row.asked_at)
        for row in tx.execute(query)
    ]


def of_person(tx: Tx, subscriber_id: SubscriberId) -> Sequence[LinkRequest]:
    """Return the requests of a person, oldest first."""
    query = select(link_request).where(link_request.c.subscriber_id == subscriber_id).order_by(link_request.c.id)
    return [LinkRequest(id=row.id, subscriber_id=subscriber_id, asked_at=row.asked_at) for row in tx.execute(query)]


def decide(tx: Tx, request_id: int, *, now: datetime) -> bool:
    """Write that a request is answered; tell whether this transaction was the first."""
    undecided_row = (link_request.c.id == request_id, link_request.c.decided_at.is_(None))
    return tx.execute(update(link_request).where(*undecided_row).values(decided_at=now)).rowcount == 1


def drop_person(tx: Tx, subscriber_id: SubscriberId) -> None:
    """Delete the requests of a person."""
    tx.execute(delete(link_request).where(link_request.c.subscriber_id == subscriber_id))


def drop_before(tx: Tx, asked_before: datetime) -> int:
    """Delete old requests; return how many."""
    return tx.execute(delete(link_request).where(link_request.c.asked_at < asked_before)).rowcount
