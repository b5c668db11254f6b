"""How many connections a relay may have now, and when it may be tried again.

In: what was heard of one relay, `now` as seconds of a monotonic clock, `jitter` in [-1, 1]. Out: the next state. It is
a circuit breaker and an AIMD controller in one (additive increase, multiplicative decrease): halve when the relay says
"slower", add one connection per clean minute, leave it alone for a while when it cannot be reached.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

PAUSES = (5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds of the pause after each failure in a row, before the jitter takes a part of it away."""

PAUSE_MIN_SECONDS = 1.0
"""Seconds that remain of a pause whatever the jitter: none at all would be an endless loop."""

GROWTH_ROUND_SECONDS = 2.0
"""Seconds in which ten connections may hear the same reply; together they are one reason to slow down."""

CLEAN_SPAN_SECONDS = 60.0
"""Seconds without a complaint that earn one more connection."""

REPUTATION_PAUSE_SECONDS = 600.0
"""Seconds of silence after 4.7.28: this receiver doubts who we are, and each try makes it worse."""

QUOTA_PAUSE_SECONDS = 1200.0
"""Seconds of silence after the day's quota: the last step of what Amazon SES advises for it …"""

QUOTA_PAUSES = (QUOTA_PAUSE_SECONDS, 3600.0)
"""… and an hour when it is still spent."""

_NEVER = float("-inf")


class Complaint(StrEnum):
    """What a relay complains of, as far as it makes a difference for the pause."""

    RATE = "rate"
    """Too fast, too many connections, busy."""
    REPUTATION = "reputation"
    """An unusual rate for a sender like us (4.7.28)."""
    QUOTA = "quota"
    """The day's quota is used up."""


_LADDERS = {Complaint.RATE: PAUSES, Complaint.REPUTATION: (REPUTATION_PAUSE_SECONDS,), Complaint.QUOTA: QUOTA_PAUSES}
"""The pauses for each strain; only those for the rate are shortened by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """How one relay stands; times are seconds of a monotonic clock."""

    most: int
    """Connections that the operator allows."""
    allowed: int
    """Connections that the relay bears at present: 1 to `most`."""
    clean_since: float
    """Since when nothing was complained of; ahead of now during a pause."""
    open: bool = False
    """True when the breaker is open: nothing goes this way but one trial at a time, from `retry_at` on."""
    strikes: int = 0
    """Failures in a row; they choose the pause."""
    retry_at: float = _NEVER
    """No new connection before this."""
    struck_by: Complaint | None = None
    """What opened the breaker; None when it was no complaint."""
    struck_at: float = _NEVER
    """When the last complaint or failure came."""
    recovering: bool = False
    """True from an open breaker until all connections are allowed again: others may share the work meanwhile."""
    needs_person: bool = False
    """True when waiting will not cure it: a wrong login, a bad certificate."""
    plain: str = ""
    """The last complaint in words; empty once everything is as it was."""

    @property
    def well(self) -> bool:
        """Tell whether nothing is wrong at all."""
        return not self.open and self.allowed == self.most


def new_throttle(most: int, *, now: float) -> Throttle:
    """Return the state of a relay of which nothing is known yet: it may have all its connections."""
    return Throttle(most=max(1, most), allowed=max(1, most), clean_since=now)


def grow(state: Throttle, *, now: float) -> Throttle:
    """Add one connection for each clean minute that has passed, up to the most; nothing while the breaker is open."""
    minutes = int((now - state.clean_since) // CLEAN_SPAN_SECONDS)
    if state.open or minutes < 1 or state.well:
        return state
    allowed = min(state.most, state.allowed + minutes)
    state = replace(state, allowed=allowed, clean_since=state.clean_since + minutes * CLEAN_SPAN_SECONDS)
    return replace(state, plain="", recovering=False) if state.well else state


def fail(state: Throttle, *, now: float, jitter: float, plain: str, needs_person: bool = False) -> Throttle:
    """Open the breaker: there is no connection to be had. What only a person can cure is tried at the longest pause."""
    strikes = len(PAUSES) if needs_person else min(state.strikes + 1, len(PAUSES))
    # It was not the number of connections that was wrong; so that stays, and a pause earns no minute.
    retry_at = max(state.retry_at, now + _shortened(PAUSES[strikes - 1], jitter))
    return replace(
        state,
        open=True,
        strikes=strikes,
        struck_by=None,
        retry_at=retry_at,
        clean_since=max(state.clean_since, retry_at),
        struck_at=now,
        recovering=True,
        needs_person=needs_person,
        plain=plain,
    )


def slow_down(state: Throttle, strain: Complaint, *, now: float, jitter: float, plain: str) -> Throttle:
    """Halve the connections; with one left, or for a strain that takes long to pass, open the breaker as well.

    Whatever is heard before `retry_at` comes from connections that were open already: the same round, no new reason.
    """
    if now < state.retry_at and (strain is Complaint.RATE or state.struck_by is strain):
        return replace(state, plain=plain)
    if strain is Complaint.RATE and state.allowed > 1 and not state.open:
        return _less(state, state.allowed // 2, now=now, jitter=jitter, plain=plain)
    ladder = _LADDERS[strain]
    # A relay that now cannot be reached and now throttles climbs one ladder; other strains begin their own.
    strikes = state.strikes + 1 if state.struck_by in {strain, None} else 1
    pause = ladder[min(strikes, len(ladder)) - 1]
    if strain is Complaint.RATE:
        pause = _shortened(pause, jitter)
    # Left alone until then, it begins again with one connection.
    retry_at = max(state.retry_at, now + pause)
    return replace(
        state,
        allowed=1,
        open=True,
        strikes=strikes,
        struck_by=strain,
        struck_at=now,
        retry_at=retry_at,
        clean_since=retry_at,
        recovering=True,
        plain=plain,
    )


def cap_connections(state: Throttle, connections: int, *, now: float, jitter: float, plain: str) -> Throttle:
    """Heed a relay that refuses one more connection beside those that stand: it has told how many it takes."""
    if now < state.retry_at:
        return replace(state, plain=plain)
    return _less(state, min(connections, state.allowed - 1), now=now, jitter=jitter, plain=plain)


def recover(state: Throttle, *, opened_at: float) -> Throttle:
    """Close the breaker: mail was taken on a connection of `opened_at`. One from before the trial proves nothing."""
    if not state.open or opened_at < state.retry_at:
        return state
    clean_since = max(state.clean_since, opened_at)
    state = replace(state, open=False, strikes=0, struck_by=None, needs_person=False, clean_since=clean_since)
    return replace(state, plain="", recovering=False) if state.well else state


def _less(state: Throttle, allowed: int, *, now: float, jitter: float, plain: str) -> Throttle:
    rest = GROWTH_ROUND_SECONDS * (3 + jitter) / 4
    return replace(
        state,
        allowed=max(1, allowed),
        retry_at=now + rest,
        clean_since=now + rest,
        struck_at=now,
        plain=plain,
    )


def _shortened(pause: float, jitter: float) -> float:
    """Return a part of the pause by chance ("full jitter"), so that many senders do not come back together."""
    return max(PAUSE_MIN_SECONDS, pause * (1 + jitter) / 2)
