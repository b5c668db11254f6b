"""The delay before a deferred delivery is tried again.

In: how often it was tried, since when, the time and a jitter. Out: the instant of the next attempt, or None when the
time for attempts is over.
"""

from __future__ import annotations

from datetime import datetime, timedelta

RETRY_DELAYS = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 30, 60, 120, 240, 480, 720))
"""Delays after the first, second, … deferred attempt; the last one repeats. Two attempts within the first hour, then
ever fewer, as RFC 5321 §4.5.4.1 advises; greylisting usually accepts the second one."""

JITTER_SHARE = 0.2
"""Share of a delay by which jitter moves it, so that what was deferred together does not come back together."""


def retry_time(
    attempts: int, *, begun: datetime, now: datetime, jitter: float, expire_after: timedelta
) -> datetime | None:
    """Return when to try again after `attempts` attempts, or None when the time is over; `jitter` is in [-1, 1].

    The time counts from `begun`, the first attempt. A delay that would end later is cut short, so that one last attempt
    falls on the very end: no delivery expires early, and a mailbox emptied on the third day still gets its mail.
    """
    end = begun + expire_after
    if now >= end:
        return None
    delay = RETRY_DELAYS[min(attempts, len(RETRY_DELAYS)) - 1]
    return min(now + delay * (1 + JITTER_SHARE * max(-1.0, min(1.0, jitter))), end)
