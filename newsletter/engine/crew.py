"""What the connections of one pass tell one another: that it is over, what is wrong, who refuses us.

In: what one courier found. Out: when the others should go home, and why.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from newsletter.core.edition import EditionId
from newsletter.core.pace import next_send_at
from newsletter.core.reply import Effect, ReplyClass, Verdict

REFUSALS = 20
"""People in a row whom the server refuses for what we are or send; deliverability people call 25 alike a block."""

OURS = frozenset({ReplyClass.POLICY, ReplyClass.CONTENT, ReplyClass.AUTHENTICATION, ReplyClass.CONFIGURATION})
"""Refusals that may concern us and not the person."""


@dataclass(slots=True, kw_only=True)
class Crew:
    """What the couriers of one pass share."""

    stop: threading.Event
    size: int
    """How many couriers there are."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)
    """Set when one of them found that going on makes no sense, or that there is nothing more to do."""
    dry: threading.Event = field(default_factory=threading.Event)
    """Set when nothing more is queued; what others hold, they finish."""
    trouble: str = ""
    needs_person: bool = False
    wait: float = 0.0
    connected: int = 0
    """How many have a connection at this moment."""
    idle: int = 0
    """How many wait for the relay to take another connection, or have gone home."""
    free_at: float = 0.0
    """When the rate per second allows the next message of this process, on the monotonic clock."""
    paused: set[EditionId] = field(default_factory=set)
    """Editions that one of them paused: nobody need wait for the look to hear of it."""
    refusing: threading.Lock = field(default_factory=threading.Lock)
    refused: int = 0
    """People refused for what is ours since the server last took a message."""

    @property
    def ended(self) -> bool:
        """Tell whether no courier should take another job."""
        return self.over.is_set() or self.stop.is_set()

    def end(self, trouble: str = "", *, needs_person: bool = False, wait: float = 0.0) -> None:
        """Let everybody finish what they hold and go home."""
        with self.lock:
            self.trouble = self.trouble or trouble
            self.needs_person = self.needs_person or needs_person
            self.wait = max(self.wait, wait)
        self.over.set()

    def count_idle(self, change: int) -> int:
        """Note that a courier began or ceased to wait, or went home; return how many do."""
        with self.lock:
            self.idle += change
            return self.idle

    def count_connected(self, change: int) -> int:
        """Note that a connection was opened or is gone; return how many there are."""
        with self.lock:
            self.connected += change
            return self.connected

    def moment(self, rate: float, not_before: float, now: float) -> float:
        """Return when the next message may go under a rate per second, and take that moment."""
        with self.lock:
            start, self.free_at = next_send_at(max(self.free_at, not_before), rate, now)
            return start

    def note(self, verdict: Verdict, pause: Callable[[], None]) -> None:
        """Count refusals that may be meant for us; at the last one that is bearable, `pause`.

        The others wait here meanwhile, so that nobody takes another job before the edition is paused.
        """
        if verdict.effect is Effect.ACCEPT:
            # The usual case, without the lock: a count that is lost to a race would only be one refusal late.
            self.refused = 0
            return
        if verdict.effect is not Effect.REJECT or verdict.kind not in OURS:
            return
        with self.refusing:
            self.refused += 1
            if self.refused >= REFUSALS:
                pause()
                self.refused = 0
