"""The one gate for the quotas of the mail server, for editions and for notices.

In: how many messages are to go out. Out: how many may, reserved in the transaction of the caller.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from newsletter.core.pace import Limits, Window, reserve
from newsletter.store import quota as quotas
from newsletter.store.unit import Tx

QUOTA = "relay"


def reserve_quota(tx: Tx, count: int, *, limits: Limits, now: datetime, notice: bool = False) -> tuple[int, timedelta]:
    """Return how many of `count` messages may go out, and how long the others wait."""
    if not count or (limits.per_hour is None and limits.per_day is None):
        return count, timedelta()
    stored = quotas.load_quota(tx, QUOTA)
    window = Window() if stored is None else Window.from_json(stored)
    reserved = reserve(window, count, now, limits=limits, notice=notice)
    quotas.save_quota(tx, QUOTA, reserved.window.to_json())
    return reserved.granted, reserved.wait
