"""Quotas and the sending rate that all workers share: what is reserved, and when the next message may go.

In: a transaction. Out: the stored window of a quota, and the seconds until a reserved moment. `core/pace.py` decides.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from newsletter.core.pace import next_send_at
from newsletter.store.schema import pace, quota
from newsletter.store.unit import Tx
from newsletter.store.upsert import upsert
from newsletter.store.worker import moment

PACE_AHEAD_SECONDS_MAX = 60.0
"""How far ahead the next free moment of a rate can lie; a single message under a very low rate may take longer."""

_RELAY = "relay"


def load_quota(tx: Tx, name: str) -> str | None:
    """Return a stored sliding window and lock it, None when nothing was ever reserved."""
    query = select(quota.c.window).where(quota.c.name == name).with_for_update()
    value: str | None = tx.execute(query).scalar()
    if value is None and tx.dialect.name == "postgresql":
        # A missing row cannot be locked: insert it first, so that two new workers do not both read nothing.
        tx.execute(upsert(quota, tx.dialect.name).values(name=name, window="").on_conflict_do_nothing())
        value = tx.execute(query).scalar()
    return value or None


def save_quota(tx: Tx, name: str, window: str) -> None:
    """Store a sliding window."""
    tx.execute(
        upsert(quota, tx.dialect.name)
        .values(name=name, window=window)
        .on_conflict_do_update(index_elements=["name"], set_={"window": window}),
    )


def reserve_pace(tx: Tx, count: int, *, rate: float, now: datetime, at_most: float) -> float:
    """Reserve the next `count` moments of a rate per second, which all workers share; return the seconds until then.

    Nothing is reserved when that is more than `at_most` seconds away.
    """
    instant = moment(tx, now).timestamp()
    free_at = _lock_pace(tx, instant)
    if free_at > instant + max(PACE_AHEAD_SECONDS_MAX, count / rate * 2):
        # A clock that has since been set back wrote it.
        free_at = instant
    start, free_at = next_send_at(free_at, rate, instant, count)
    if start - instant <= at_most:
        tx.execute(
            upsert(pace, tx.dialect.name)
            .values(name=_RELAY, free_at=free_at)
            .on_conflict_do_update(index_elements=["name"], set_={"free_at": free_at}),
        )
    return start - instant


def _lock_pace(tx: Tx, instant: float) -> float:
    """Return the next free moment and lock it; `instant` when there is none yet."""
    query = select(pace.c.free_at).where(pace.c.name == _RELAY).with_for_update()
    value: float | None = tx.execute(query).scalar()
    if value is None and tx.dialect.name == "postgresql":
        tx.execute(upsert(pace, tx.dialect.name).values(name=_RELAY, free_at=instant).on_conflict_do_nothing())
        value = tx.execute(query).scalar()
    return instant if value is None else value
