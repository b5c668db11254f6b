"""Subscribers as people look at them: lists, one person's last editions, and whom a misspelt address may have meant.

In: what to look for. Out: values for a command or a page. It changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher

from sqlalchemy import ColumnElement, and_, func, or_, select

from newsletter.core.delivery import Delivery
from newsletter.core.subscriber import Subscriber, SubscriberId, SubscriberState
from newsletter.store.delivery import from_row as delivery_from_row
from newsletter.store.schema import delivery, edition, subscriber
from newsletter.store.subscriber import from_row
from newsletter.store.unit import Tx

_PAGE_ROWS = 1000
_CANDIDATES_MAX = 10_000
_ALIKE_SCORE_MIN = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which subscribers; everything that is set must hold."""

    states: tuple[SubscriberState, ...] = ()
    """Any of these; empty for all."""
    tag: str = ""
    search: str = ""
    """Part of an address or a name, in any case of letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One edition as one person knows it."""

    edition: str
    """Its name, such as `2026-11-24`."""
    title: str
    delivery: Delivery
    later: str = ""
    """What came to light after a server took it, such as `bounced`."""
    later_at: datetime | None = None
    later_text: str = ""


def find(tx: Tx, filters: Wanted, *, limit: int | None = None) -> Sequence[Subscriber]:
    """Return subscribers in the order of their addresses, at most `limit`."""
    query = select(subscriber).where(*_conditions(tx, filters)).order_by(subscriber.c.canonical).limit(limit)
    return [from_row(row) for row in tx.execute(query)]


def count(tx: Tx, filters: Wanted) -> int:
    """Return how many subscribers there are of this kind."""
    return tx.execute(select(func.count()).select_from(subscriber).where(*_conditions(tx, filters))).scalar_one()


def pages(tx: Tx, filters: Wanted) -> Iterator[Subscriber]:
    """Yield every subscriber of this kind in the order they came, a page in memory at a time."""
    last = 0
    query = select(subscriber).where(*_conditions(tx, filters)).order_by(subscriber.c.id).limit(_PAGE_ROWS)
    while rows := tx.execute(query.where(subscriber.c.id > last)).all():
        yield from map(from_row, rows)
        last = rows[-1].id


def field_names(tx: Tx, filters: Wanted) -> Sequence[str]:
    """Return the names of all fields that these subscribers have, in alphabetical order."""
    unfold = func.json_each if tx.dialect.name == "sqlite" else func.json_each_text
    each = unfold(subscriber.c.fields).table_valued("key", joins_implicitly=True)
    query = select(each.c.key).select_from(subscriber, each).where(*_conditions(tx, filters)).distinct()
    return sorted(tx.execute(query).scalars())


def last_editions(tx: Tx, who: SubscriberId, *, limit: int) -> Sequence[Received]:
    """Return what became of the last editions for a person, newest first."""
    query = (
        select(delivery, edition.c.date, edition.c.number, edition.c.title)
        .join(edition, edition.c.id == delivery.c.edition_id)
        .where(delivery.c.subscriber_id == who)
        .order_by(edition.c.date.desc(), edition.c.number.desc())
        .limit(limit)
    )
    return [
        Received(
            edition=f"{row.date}" if row.number == 1 else f"{row.date}.{row.number}",
            title=row.title,
            delivery=delivery_from_row(row),
            later=row.later,
            later_at=row.later_at,
            later_text=row.later_text,
        )
        for row in tx.execute(query)
    ]


def near_misses(tx: Tx, canonical: str, *, limit: int = 3) -> Sequence[str]:
    """Return addresses on the list that look much like this one, the likeliest first."""
    local, _, domain = canonical.rpartition("@")
    address = subscriber.c.canonical
    query = select(subscriber.c.email, address).where(
        or_(
            address.startswith(f"{local}@", autoescape=True),
            address.startswith(local[:3], autoescape=True),
            and_(address.startswith(local[:1], autoescape=True), address.endswith(f"@{domain}", autoescape=True)),
            # A slip in the first letters: the same domain and a local part that ends alike.
            address.endswith(f"{local[-2:]}@{domain}", autoescape=True),
        )
    )
    rows = tx.execute(query.order_by(func.abs(func.length(address) - len(canonical))).limit(_CANDIDATES_MAX))
    rated = ((SequenceMatcher(None, canonical, row.canonical).ratio(), row.email) for row in rows)
    return [email for ratio, email in sorted(rated, reverse=True) if ratio >= _ALIKE_SCORE_MIN][:limit]


def _conditions(tx: Tx, filters: Wanted) -> list[ColumnElement[bool]]:
    rows: list[ColumnElement[bool]] = []
    if filters.states:
        rows.append(subscriber.c.state.in_([state.value for state in filters.states]))
    if filters.tag:
        rows.append(_has_tag(tx, filters.tag))
    if filters.search:
        # SQLite lowers ASCII letters only, so that what was typed is looked for as it is, too.
        texts = [subscriber.c[name] for name in ("canonical", "email", "name", "first_name", "last_name")]
        rows.append(
            or_(
                *(func.lower(text).contains(filters.search.lower(), autoescape=True) for text in texts),
                *(text.contains(filters.search, autoescape=True) for text in texts),
            )
        )
    return rows


def _has_tag(tx: Tx, tag: str) -> ColumnElement[bool]:
    """Compare in lower case: `VIP` and `vip` are one tag to everybody but a computer."""
    unfold = func.json_each if tx.dialect.name == "sqlite" else func.json_array_elements_text
    value = unfold(subscriber.c.tags).table_valued("value").c.value
    return select(1).where(or_(func.lower(value) == tag.lower(), value == tag)).correlate(subscriber).exists()
