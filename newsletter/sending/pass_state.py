"""The state that the connections of one pass share: whether it is over, relay trouble, refusals in a row.

In: what one connection found. Out: whether the others should end, and why.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from newsletter.core.breaker import NO_STREAK, BreakerLimits, Streak, end_streak, extend_streak, judge_edition
from newsletter.core.edition import EditionId
from newsletter.core.pace import next_send_at
from newsletter.core.reply import Effect, Reply, Verdict
from newsletter.core.tally import Tally
from newsletter.store.claims import ClaimedDelivery


@dataclass(slots=True, kw_only=True)
class PassState:
    """Shared by the connection workers of one pass."""

    stop: threading.Event
    size: int
    """How many connection workers there are."""
    on_pause: Callable[[EditionId, str], None]
    """Pauses an edition in the database and tells people why."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)
    """Set when the pass should end: the relay is in trouble, or nothing is left to do."""
    queue_empty: threading.Event = field(default_factory=threading.Event)
    """Set when nothing more is queued; other connections finish their claims."""
    any_claims_left: Callable[[], bool] = lambda: False
    """Tells whether a connection holds a claim of which nothing was sent."""
    trouble: str = ""
    needs_person: bool = False
    wait: float = 0.0
    connected: int = 0
    """How many have an open connection."""
    idle: int = 0
    """How many wait for the relay to take another connection, or have ended."""
    free_at: float = 0.0
    """When the rate per second allows the next message of this process, on the monotonic clock."""
    paused: set[EditionId] = field(default_factory=set)
    """Editions that a connection paused: effective at once, before the revocation watcher reads it."""
    limits: BreakerLimits = field(default_factory=BreakerLimits)
    streak: Streak = NO_STREAK
    """The last refusals in the same words without an accepted message in between."""

    @property
    def ended(self) -> bool:
        """Tell whether no further message should be begun."""
        return self.over.is_set() or self.stop.is_set()

    def end(self, trouble: str = "", *, needs_person: bool = False, wait: float = 0.0) -> None:
        """Let every connection finish its message and end."""
        with self.lock:
            self.trouble = self.trouble or trouble
            self.needs_person = self.needs_person or needs_person
            self.wait = max(self.wait, wait)
        self.over.set()
        self.queue_empty.set()

    def count_idle(self, change: int) -> int:
        """Count a connection that began or ceased to wait, or ended; return how many there are."""
        with self.lock:
            self.idle += change
            return self.idle

    def count_connected(self, change: int) -> int:
        """Note that a connection was opened or is gone; return how many there are."""
        with self.lock:
            self.connected += change
            return self.connected

    def next_send_time(self, rate: float, not_before: float, now: float) -> float:
        """Return when the next message may go under a rate per second, and take that moment."""
        with self.lock:
            start, self.free_at = next_send_at(max(self.free_at, not_before), rate, now)
            return start

    def wait_for(self, seconds: float) -> None:
        """Note that nothing may go out for so long."""
        with self.lock:
            self.wait = max(self.wait, seconds)

    def pause(self, edition: EditionId, why: str) -> None:
        """Pause an edition, at once for all of us, and in the database."""
        self.paused.add(edition)
        self.on_pause(edition, why)

    def record_refusal(self, person: ClaimedDelivery, verdict: Verdict, reply: Reply) -> None:
        """Count refusals in the same words; at the last one that is bearable, pause the edition."""
        if verdict.effect is Effect.ACCEPT:
            self.streak = end_streak(self.streak)
        elif verdict.effect is Effect.REJECT:
            # The address is left out, so that the same refusal of two people counts as the same words.
            text = re.sub(re.escape(person.email), "…", reply.text, flags=re.IGNORECASE)
            self.streak = extend_streak(self.streak, code=reply.code, enhanced=reply.enhanced, text=text)
            trip = judge_edition(Tally(), self.limits, streak=self.streak)
            if trip is not None:
                self.streak = NO_STREAK
                self.pause(person.edition, trip.why)
