"""Subscribers as people look at them: lists, one person's last editions, and whom a misspelt address may have meant.

In: what to look for. Out: values for a command or a page. It changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher

from sqlalchemy import ColumnElement, and_, func, or_, select

from newsletter.core.address import one_slip_away
from newsletter.core.delivery import Delivery
from newsletter.core.edition import edition_name
from newsletter.core.subscriber import Subscriber, SubscriberId, SubscriberState
from newsletter.store import subscriber_count
from newsletter.store.delivery import from_row as delivery_from_row
from newsletter.store.in_ids import in_ids
from newsletter.store.schema import delivery, edition, subscriber
from newsletter.store.subscriber import from_row
from newsletter.store.unit import Tx

_PAGE_ROWS = 1000
_LAST_LETTER = "\U0010ffff"
"""Higher than every character of an address."""
_CANDIDATES_MAX = 10_000
_NEIGHBOURS_MAX = 200
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
    """Return subscribers in the order of their addresses, at most `limit`.

    With a search text those come first whose address begins with it: they are found by an index. The others are read
    one after the other, only if the limit leaves room for them: *measured*, about a second for 1,000,000 people.
    """
    conditions = _conditions(tx, filters, limit=limit)
    query = select(subscriber).where(*conditions).order_by(subscriber.c.canonical)
    if not filters.search:
        return [from_row(row) for row in tx.execute(query.limit(limit))]
    begins = _begins(filters.search)
    rows = tx.execute(query.where(begins).limit(limit)).all()
    if limit is None or len(rows) < limit:
        rest = None if limit is None else limit - len(rows)
        rows = [*rows, *tx.execute(query.where(~begins, _contains(tx, filters.search)).limit(rest))]
    return [from_row(row) for row in rows]


def count(tx: Tx, filters: Wanted) -> int | None:
    """Return how many subscribers there are of this kind; None where all of them would have to be read for it."""
    return None if filters.tag or filters.search else subscriber_count.people(tx, filters.states)


def pages(tx: Tx, filters: Wanted) -> Iterator[Subscriber]:
    """Yield every subscriber of this kind in the order they came, a page in memory at a time."""
    last = 0
    query = select(subscriber).where(*_all_conditions(tx, filters)).order_by(subscriber.c.id).limit(_PAGE_ROWS)
    while rows := tx.execute(query.where(subscriber.c.id > last)).all():
        yield from map(from_row, rows)
        last = rows[-1].id


def field_names(tx: Tx, filters: Wanted) -> Sequence[str]:
    """Return the names of all fields that these subscribers have, in alphabetical order."""
    unfold = func.json_each if tx.dialect.name == "sqlite" else func.json_each_text
    each = unfold(subscriber.c.fields).table_valued("key", joins_implicitly=True)
    query = select(each.c.key).select_from(subscriber, each).where(*_all_conditions(tx, filters)).distinct()
    return sorted(tx.execute(query).scalars())


def last_editions(tx: Tx, who: SubscriberId, *, limit: int) -> Sequence[Received]:
    """Return what became of the last editions for a person, newest first."""
    query = (
        select(delivery, edition.c.date, edition.c.number, edition.c.title)
        .join(edition, edition.c.id == delivery.c.edition_id)
        # Named by edition too, so that the index on (edition, subscriber) serves.
        .where(delivery.c.edition_id.in_(select(edition.c.id)), delivery.c.subscriber_id == who)
        .order_by(edition.c.date.desc(), edition.c.number.desc())
        .limit(limit)
    )
    return [
        Received(
            edition=edition_name(row.date, row.number),
            title=row.title,
            delivery=delivery_from_row(row),
            later=row.later,
            later_at=row.later_at,
            later_text=row.later_text,
        )
        for row in tx.execute(query)
    ]


def near_misses(tx: Tx, canonical: str, *, limit: int = 3, read_all_max: int = _CANDIDATES_MAX) -> Sequence[str]:
    """Return addresses on the list that look much like this one, the likeliest first.

    Up to `read_all_max` people all are looked at; of a larger list those that an index finds.
    """
    small = subscriber_count.people(tx) <= read_all_max
    rows = _alike_of_all(tx, canonical) if small else _alike_by_index(tx, canonical)
    rated = ((SequenceMatcher(None, canonical, address).ratio(), email) for address, email in rows.items())
    return [email for ratio, email in sorted(rated, reverse=True) if ratio >= _ALIKE_SCORE_MIN][:limit]


def _alike_of_all(tx: Tx, canonical: str) -> dict[str, str]:
    """Return addresses that may be alike, as typed, by their canonical form; everybody is read."""
    local, _, domain = canonical.rpartition("@")
    address = subscriber.c.canonical
    query = select(address, subscriber.c.email).where(
        or_(
            address.startswith(f"{local}@", autoescape=True),
            address.startswith(local[:3], autoescape=True),
            and_(address.startswith(local[:1], autoescape=True), address.endswith(f"@{domain}", autoescape=True)),
            # A slip in the first letters: the same domain and a local part that ends alike.
            address.endswith(f"{local[-2:]}@{domain}", autoescape=True),
        )
    )
    rows = tx.execute(query.order_by(func.abs(func.length(address) - len(canonical))).limit(_CANDIDATES_MAX))
    return {row.canonical: row.email for row in rows}


def _alike_by_index(tx: Tx, canonical: str) -> dict[str, str]:
    """Return the addresses one slip away, those with the same local part, and the nearest in alphabetical order."""
    local = canonical.rpartition("@")[0]
    address = subscriber.c.canonical
    query = select(address, subscriber.c.email)
    begins = _begins(local[:3])
    ranges = (
        query.where(_begins(f"{local}@")).order_by(address),
        query.where(begins, address < canonical).order_by(address.desc()),
        query.where(begins, address > canonical).order_by(address),
    )
    slips = tx.execute(query.where(in_ids(address, "slips")), {"slips": sorted(one_slip_away(canonical))}).all()
    rows = [row for some in ranges for row in tx.execute(some.limit(_NEIGHBOURS_MAX))]
    return {row.canonical: row.email for row in (*slips, *rows)}


def _conditions(tx: Tx, filters: Wanted, *, limit: int | None = None) -> list[ColumnElement[bool]]:
    """Return the conditions but for the search text, for a query in the order of the addresses."""
    conditions: list[ColumnElement[bool]] = []
    if filters.states:
        conditions.append(_has_state(tx, filters, limit))
    if filters.tag:
        conditions.append(_has_tag(tx, filters.tag))
    return conditions


def _has_state(tx: Tx, filters: Wanted, limit: int | None) -> ColumnElement[bool]:
    states = [state.value for state in filters.states]
    if tx.dialect.name != "sqlite" or limit is None:
        return subscriber.c.state.in_(states)
    # SQLite takes states to be equally frequent. The expression makes it read people in the order of the addresses,
    # and the subquery makes it read those in the states, which are sorted then.
    if _is_frequent(tx, filters, limit):
        return subscriber.c.state.concat("").in_(states)
    others = subscriber.alias()
    return subscriber.c.id.in_(select(others.c.id).where(others.c.state.in_(states)))


def _is_frequent(tx: Tx, filters: Wanted, limit: int) -> bool:
    """Tell whether fewer people are read in the order of the addresses, up to a limit, than are in these states."""
    fitting, everybody = subscriber_count.people(tx, filters.states), subscriber_count.people(tx)
    return fitting * fitting > limit * everybody


def _all_conditions(tx: Tx, filters: Wanted) -> list[ColumnElement[bool]]:
    search = [_contains(tx, filters.search)] if filters.search else []
    return [*_conditions(tx, filters), *search]


def _begins(text: str) -> ColumnElement[bool]:
    """Return the condition that an address begins with a text, as a range: both databases compare code points."""
    first = text.lower()
    return and_(subscriber.c.canonical >= first, subscriber.c.canonical < first + _LAST_LETTER)


def _contains(tx: Tx, text: str) -> ColumnElement[bool]:
    """Return the condition that an address or a name contains a text: one look at one joined text of each person."""
    joined: ColumnElement[str] = subscriber.c.canonical
    for name in ("email", "name", "first_name", "last_name"):
        joined = joined.concat("\n").concat(subscriber.c[name])
    position = func.instr if tx.dialect.name == "sqlite" else func.strpos
    matches = position(func.lower(joined), text.lower()) > 0
    # SQLite lowers ASCII letters only, so that a text with others is looked for as it was typed, too.
    return matches if text.isascii() else or_(matches, position(joined, text) > 0)


def _has_tag(tx: Tx, tag: str) -> ColumnElement[bool]:
    """Compare in lower case: `VIP` and `vip` are one tag to everybody but a computer."""
    unfold = func.json_each if tx.dialect.name == "sqlite" else func.json_array_elements_text
    value = unfold(subscriber.c.tags).table_valued("value").c.value
    return select(1).where(or_(func.lower(value) == tag.lower(), value == tag)).correlate(subscriber).exists()
