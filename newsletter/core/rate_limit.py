"""A limit on how often something happens: at most so many events within each of some spans.

In: the times of earlier events, rules and the time. Out: whether one more is allowed, when the next one is, and the
times to store. What an event is, and where its times are stored, is the business of the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

Window = tuple[int, ...]
"""Times of events in seconds of Unix time, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRule:
    """At most so many events within any stretch of time of this length."""

    count: int
    span: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RateResult:
    """The answer to one request."""

    allowed: bool
    window: Window
    """What to store; with the event itself when it is allowed."""
    again_at: datetime | None = None
    """When the next event is allowed; None when this one is."""


def take(window: Sequence[int], rules: Sequence[RateRule], *, now: datetime) -> RateResult:
    """Allow an event if it keeps to every rule; a refused one is not counted."""
    present = int(now.timestamp())
    kept = _recent(window, max(rule.span for rule in rules), present)
    waits = [
        kept[-rule.count] + int(rule.span.total_seconds())
        for rule in rules
        if len(_recent(kept, rule.span, present)) >= rule.count
    ]
    if waits:
        return RateResult(allowed=False, window=kept, again_at=datetime.fromtimestamp(max(waits), UTC))
    return RateResult(allowed=True, window=(*kept, present))


def add_event(window: Sequence[int], rule: RateRule, *, now: datetime) -> Window:
    """Return the window with one more event, however many there were; only as many are kept as the rule counts."""
    present = int(now.timestamp())
    return (*_recent(window, rule.span, present), present)[-rule.count :]


def at_limit(window: Sequence[int], rule: RateRule, *, now: datetime) -> bool:
    """Tell whether as many events happened as the rule allows."""
    return len(_recent(window, rule.span, int(now.timestamp()))) >= rule.count


def _recent(window: Sequence[int], span: timedelta, present: int) -> Window:
    """Return the events that still count; one from a clock that was ahead counts as one of this moment."""
    oldest = present - int(span.total_seconds())
    return tuple(min(at, present) for at in window if at > oldest)
