"""The windows of limits: how often something happened of late, by a keyed hash of what it happened to.

In: a transaction, hashes and windows. Out: the windows as stored. `core/rate_limit.py` decides what they allow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from newsletter.core.rate_limit import Window
from newsletter.store.schema import rate_limit
from newsletter.store.unit import Tx
from newsletter.store.upsert import upsert


def load(tx: Tx, hashes: Sequence[str]) -> Mapping[str, Window]:
    """Return the windows of these hashes, an empty one where nothing is stored."""
    rows = tx.execute(select(rate_limit.c.hash, rate_limit.c.events).where(rate_limit.c.hash.in_(hashes)))
    stored = {row.hash: tuple(int(at) for at in row.events) for row in rows}
    return {item: stored.get(item, ()) for item in hashes}


def lock(tx: Tx, hashes: Sequence[str], *, now: datetime) -> Mapping[str, Window]:
    """Return the windows of these hashes; they stay as they are until the transaction ends.

    Rows that are not there are made first, in one order for everybody: what does not exist cannot be locked.
    """
    ordered = sorted(hashes)
    rows = [{"hash": item, "events": [], "expires_at": now} for item in ordered]
    tx.execute(upsert(rate_limit, tx.dialect.name).values(rows).on_conflict_do_nothing())
    query = select(rate_limit.c.hash, rate_limit.c.events).where(rate_limit.c.hash.in_(ordered))
    locked = tx.execute(query.order_by(rate_limit.c.hash).with_for_update())
    return {row.hash: tuple(int(at) for at in row.events) for row in locked}


def save(tx: Tx, windows: Mapping[str, Window], *, span: timedelta, now: datetime) -> None:
    """Store windows; they are forgotten after the longest span that their rules look at."""
    for item, events in sorted(windows.items()):
        values = {"events": list(events), "expires_at": now + span}
        tx.execute(
            upsert(rate_limit, tx.dialect.name)
            .values(hash=item, **values)
            .on_conflict_do_update(index_elements=["hash"], set_=values)
        )


def drop_expired(tx: Tx, *, now: datetime) -> int:
    """Delete the windows in which nothing counts any more; return how many."""
    return tx.execute(delete(rate_limit).where(rate_limit.c.expires_at <= now)).rowcount
