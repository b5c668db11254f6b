"""Forgetting a person in rows that stay: deliveries, the log, alerts and notices to others.

In: an id, and every address the person had. Out: rows in which neither can be found. No row of an
edition is deleted, so that its books still balance.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Column, ColumnElement, Table, delete, func, or_, select, update

from newsletter.core.subscriber import SubscriberId
from newsletter.store.schema import alert, consent, delivery, edition, log, notice, slot
from newsletter.store.unit import Tx

ERASED = "(erased)"
"""What stands where an address stood."""

# Where a person or a program may have written an address in words, by table.
_WORDS = (
    (log, ("about", "why")),
    (alert, ("message",)),
    (slot, ("reason",)),
    (edition, ("why", "status_why")),
    (notice, ("message", "reason", "reply_text")),
)


def scrub_replies(tx: Tx, who: SubscriberId, addresses: Iterable[str]) -> None:
    """Take out of a person's deliveries what servers said of them, and the address where a reason names it."""
    mine = (delivery.c.edition_id.in_(select(edition.c.id)), delivery.c.subscriber_id == who)
    tx.execute(update(delivery).where(*mine).values(reply_text="", later_text=""))
    _scrub(tx, delivery, ("reason",), list(addresses), *mine)


def scrub_words(tx: Tx, addresses: Iterable[str]) -> None:
    """Take addresses out of what people and programs wrote: the log, alerts, notices, reasons."""
    listed = list(addresses)
    for table, names in _WORDS:
        _scrub(tx, table, names, listed)


def mentions(tx: Tx, addresses: Iterable[str]) -> Sequence[tuple[str, str]]:
    """Return where people and programs wrote one of these addresses, as the table and the words, in order."""
    listed = list(addresses)
    words = _pattern(listed)
    rows = []
    for table, names in _WORDS:
        columns = [table.c[name] for name in names]
        for row in tx.execute(select(*columns).where(_some(columns, listed)).order_by(*table.primary_key.columns)):
            rows += [(table.name, text) for text in row if words.search(text)]
    return rows


def drop_notices(tx: Tx, addresses: Collection[str]) -> None:
    """Delete the mails besides editions that went, or wait to go, to these addresses; no account counts them."""
    folded = {address.lower() for address in addresses} | set(addresses)
    tx.execute(delete(notice).where(or_(func.lower(notice.c.recipient).in_(folded), notice.c.recipient.in_(folded))))


def former_addresses(tx: Tx, who: SubscriberId) -> set[str]:
    """Return the addresses a person had before, as the evidence of their changes tells."""
    rows = tx.execute(
        select(consent.c.evidence).where(consent.c.subscriber_id == who, consent.c.action == "address changed")
    )
    return {str(evidence[key]) for evidence in rows.scalars() for key in ("from", "to") if key in evidence}


def _scrub(
    tx: Tx, table: Table, names: tuple[str, ...], addresses: list[str], *conditions: ColumnElement[bool]
) -> None:
    words = _pattern(addresses)
    columns = [table.c[name] for name in names]
    [key] = table.primary_key.columns
    for row in tx.execute(select(key, *columns).where(_some(columns, addresses), *conditions)).all():
        values = {name: words.sub(ERASED, getattr(row, name)) for name in names}
        if any(values[name] != getattr(row, name) for name in names):
            tx.execute(update(table).where(key == row[0]).values(values))


def _pattern(addresses: list[str]) -> re.Pattern[str]:
    return re.compile(
        "|".join(
            rf"(?<![\w.+-]){re.escape(address)}(?![\w-]|\.\w)" for address in sorted(addresses, key=len, reverse=True)
        ),
        re.IGNORECASE,
    )


def _some(columns: Sequence[Column[str]], addresses: list[str]) -> ColumnElement[bool]:
    """Narrow it down only: SQLite folds the case of ASCII letters alone, and every address has some."""
    pieces = {max(re.findall(r"[!-~]+", address), key=len).lower() for address in addresses}
    return or_(*(func.lower(column).contains(piece, autoescape=True) for column in columns for piece in pieces))
