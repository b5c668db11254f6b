"""Pace: how many messages may go now, and when the next one may.

In: what was granted before (a `Window`, stored as JSON), how many are wanted, `now`. Out: the window to store, how many
were granted, how long to wait for more. A grant is never given back, so a crash can only send less than the quota.
Counting is by sliding windows: a token bucket would let twice the quota through around the turn of an hour.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from newsletter.errors import InputError, Stop

Counts = tuple[tuple[int, int], ...]
"""Pairs of a bucket's number (time divided by its width) and what was granted in it, oldest first."""

_HOUR, _DAY = 3600, 86_400
_MINUTE, _QUARTER = 60, 900
"""Bucket widths. A grant counts until its whole bucket is older than the window: late by a width, never early."""
_NOTICE_SHARE = 20
"""One part in twenty, 5 %, is kept for notices: a confirmation must not wait until an edition is through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The quotas of the mail provider; None for no limit."""

    per_hour: int | None = None
    per_day: int | None = None

    def __post_init__(self) -> None:
        """Refuse a quota under which nothing could ever be sent."""
        if any(limit is not None and limit < 1 for limit in (self.per_hour, self.per_day)):
            raise InputError("a quota per hour or day must be at least 1; leave it out for no limit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What was granted in the last hour, by minutes, and in the last day, by quarters of an hour."""

    minutes: Counts = ()
    quarters: Counts = ()

    def to_json(self) -> str:
        """Write the window as JSON of at most about 3 KB."""
        return json.dumps({"minutes": self.minutes, "quarters": self.quarters}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Window:
        """Read a window; an empty text is an empty window. Damage is `Stop`: counting anew would overrun the quota."""
        if not text:
            return cls()
        try:
            stored = json.loads(text)
            return cls(minutes=_counts(stored["minutes"]), quarters=_counts(stored["quarters"]))
        except (ValueError, TypeError, KeyError) as fault:
            raise Stop(
                "the stored quota cannot be read; delete the row of the table `quota` if nothing was sent today"
            ) from fault


class Reservation(NamedTuple):
    """The answer to `reserve`."""

    window: Window
    """To be stored before anything is sent."""
    granted: int
    wait: timedelta
    """How long until at least one more can be granted; zero when all that was asked for was granted."""


def reserve(window: Window, n: int, now: datetime, *, limits: Limits, notice: bool = False) -> Reservation:
    """Grant up to `n` messages at `now` (aware). An edition leaves 5 % of each quota to notices; a notice may use all.

    A clock that steps back never grants more: what then lies ahead of it still counts. Nor can it block for ever: what
    lies more than a whole window ahead was dated by a clock gone wrong, and counts as granted now. A clock that is set
    forward is believed: only a monotonic one could tell, and none outlives a restart.
    """
    if limits.per_hour is None and limits.per_day is None:
        return Reservation(window, n, timedelta())
    instant = now.timestamp()
    minutes = _recent(window.minutes, instant, _MINUTE, _HOUR)
    quarters = _recent(window.quarters, instant, _QUARTER, _DAY)
    per_hour, per_day = (_usable(limit, notice=notice) for limit in (limits.per_hour, limits.per_day))
    room = [limit - _sum(counts) for limit, counts in ((per_hour, minutes), (per_day, quarters)) if limit is not None]
    granted = max(0, min(n, *room))
    minutes = _add(minutes, int(instant // _MINUTE), granted)
    quarters = _add(quarters, int(instant // _QUARTER), granted)
    wait = 0.0
    if granted < n:
        wait = max(
            _wait(minutes, instant, _MINUTE, _HOUR, per_hour),
            _wait(quarters, instant, _QUARTER, _DAY, per_day),
        )
    return Reservation(Window(minutes=minutes, quarters=quarters), granted, timedelta(seconds=wait))


def next_send_at(free_at: float, rate: float | None, now: float, n: int = 1) -> tuple[float, float]:
    """Say when the next of `n` messages may go, and when the pacer is free again; seconds of a monotonic clock.

    Messages are spaced by `1 / rate`; time in which nothing was sent is not saved up, so there are never bursts.
    """
    if rate is None:
        return now, now
    send_at = max(now, free_at)
    return send_at, send_at + n / rate


def _usable(limit: int | None, *, notice: bool) -> int | None:
    if limit is None or notice:
        return limit
    # Rounded up for the notices, but an edition under a tiny quota must still move.
    return max(1, limit - -(-limit // _NOTICE_SHARE))


def _recent(counts: Counts, instant: float, width: int, span: int) -> Counts:
    current = int(instant // width)
    latest = int((instant + span) // width)
    kept: dict[int, int] = {}
    for bucket, count in counts:
        if (bucket + 1) * width > instant - span:
            place = bucket if bucket <= latest else current
            kept[place] = kept.get(place, 0) + count
    return tuple(sorted(kept.items()))


def _add(counts: Counts, bucket: int, count: int) -> Counts:
    if not count:
        return counts
    merged = dict(counts)
    merged[bucket] = merged.get(bucket, 0) + count
    return tuple(sorted(merged.items()))


def _sum(counts: Counts) -> int:
    return sum(count for _, count in counts)


def _wait(counts: Counts, instant: float, width: int, span: int, limit: int | None) -> float:
    """Return the seconds until so many buckets have left the window that it is below its limit."""
    if limit is None:
        return 0.0
    used = _sum(counts)
    seconds = 0.0
    for bucket, count in counts:
        if used < limit:
            break
        used -= count
        seconds = (bucket + 1) * width + span - instant
    return seconds


def _counts(stored: list[list[int]]) -> Counts:
    pairs = tuple((bucket, count) for bucket, count in stored)
    if any(type(number) is not int or number < 0 for pair in pairs for number in pair):
        raise ValueError(stored)
    return pairs
