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
class Pacer:
    """Spreads the messages of this process under a rate per second."""

    rate: float
    free_at: float = 0.0
    """When the next message may go, on the monotonic clock."""

    def next_send_time(self, not_before: float, now: float) -> float:
        """Return when the next message may go, and take that moment."""
        start, self.free_at = next_send_at(max(self.free_at, not_before), self.rate, now)
        return start


@dataclass(slots=True, kw_only=True)
class PassState:
    """Shared by the connection workers of one pass, which are greenlets of one thread."""

    stop: threading.Event
    size: int
    """How many connection workers there are."""
    on_pause: Callable[[EditionId, str], None]
    """Pauses an edition in the database, with an alert that has the reason."""
    over: threading.Event = field(default_factory=threading.Event)
    """Set when the pass should end: the relay is in trouble, or nothing is left to do."""
    queue_empty: threading.Event = field(default_factory=threading.Event)
    """Set when nothing more is queued; other connections finish their claims."""
    trouble: str = ""
    needs_person: bool = False
    wait: float = 0.0
    connected: int = 0
    """How many have an open connection."""
    idle: int = 0
    """How many wait for the relay to take another connection, or have ended."""
    pacer: Pacer | None = None
    """None without a rate per second."""
    paused: set[EditionId] = field(default_factory=set)
    """Editions that a connection paused: effective at once, before the revocation watcher reads it."""
    limits: BreakerLimits = field(default_factory=BreakerLimits)
    streak: Streak = NO_STREAK
    """The last refusals in the same words without an accepted message in between."""
    bugs: list[BaseException] = field(default_factory=list)
    """Unexpected exceptions; the sender raises the first again."""

    @property
    def ended(self) -> bool:
        """Tell whether no further message should be begun."""
        return self.over.is_set() or self.stop.is_set()

    def end(self, trouble: str = "", *, needs_person: bool = False, wait: float = 0.0) -> None:
        """Let every connection finish its message and end."""
        self.trouble = self.trouble or trouble
        self.needs_person = self.needs_person or needs_person
        self.wait = max(self.wait, wait)
        self.over.set()
        self.queue_empty.set()

    def fail(self, bug: BaseException) -> None:
        """End the pass because of an unexpected exception."""
        self.bugs.append(bug)
        self.end("a fault in this program")

    def wait_for(self, seconds: float) -> None:
        """Note that nothing may go out for so long."""
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
