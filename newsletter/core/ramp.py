"""The ramp: how many mails a day a fresh list may get, until its sender is known.

In: the first day's number, what became of the editions so far. Out: the cap for any 24 hours, or None once there is
none to keep. Providers distrust a sender that suddenly sends a lot: begin small, and double while no provider objects
(Google's advice to senders). The sender takes the smaller of this and NEWSLETTER_RATE_PER_DAY.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

FULL_SHARE = 2
"""An edition doubles the cap if it reached one part in so many of it: twenty people say nothing about five hundred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One finished edition, as far as the ramp cares."""

    accepted: int
    refused: int = 0
    """Refused for good, whatever the class."""
    hard: int = 0
    """Addresses that do not exist, at once or by a later bounce."""
    paused: bool = False
    """True when it was paused by trouble (a breaker, or our sender refused), not by a person."""

    def clean(self, hard_percent: float) -> bool:
        """Tell whether nothing in it speaks against sending more; 0 stands for no limit."""
        answered = self.accepted + self.refused
        return not self.paused and (not hard_percent or self.hard * 100 <= hard_percent * answered)


def cap(start: int, editions: Iterable[Sent], *, hard_percent: float) -> int:
    """Return how many mails may go in 24 hours after these editions, oldest first; `start` is at least 1.

    It never falls: an edition that was not clean only fails to double it.
    """
    reached = start
    for edition in editions:
        if edition.clean(hard_percent) and edition.accepted * FULL_SHARE >= reached:
            reached *= 2
    return reached


def day_cap(start: int, editions: Iterable[Sent], *, audience: int, hard_percent: float) -> int | None:
    """Return the cap, or None when there is none: no ramp is wanted (`start` 0), or it has outgrown the audience."""
    if not start:
        return None
    reached = cap(start, editions, hard_percent=hard_percent)
    return reached if reached < audience else None


def smaller(first: int | None, other: int | None) -> int | None:
    """Return the limit that binds; None is no limit."""
    return min((limit for limit in (first, other) if limit is not None), default=None)
