"""Claims the next deliveries of a worker, as far as the rate per second and the quotas of the mail server allow.

In: how many claims the process has room for. Out: that many or fewer, marked in the transaction of the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from newsletter.clock import Clock
from newsletter.core.pace import Limits
from newsletter.sending.block_queue import BlockQueue
from newsletter.sending.claim_buffer import Claim
from newsletter.sending.quota import reserve_quota
from newsletter.store import claims
from newsletter.store import quota as quotas
from newsletter.store.claims import ClaimedDelivery
from newsletter.store.unit import Tx

SHORTEST_WAIT = timedelta(milliseconds=1)
"""A limit was reached, however little is left of its wait: none at all would mean that the queue is empty."""

AHEAD_SECONDS = 1.0
"""How far ahead of its time under a rate per second a message is claimed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimer:
    """Claims deliveries for one worker."""

    block_queue: BlockQueue
    limits: Limits
    rate: float | None
    """Messages per second of all workers together."""
    clock: Clock

    def claim(self, tx: Tx, count: int) -> tuple[list[Claim], float]:
        """Return up to `count` claims, and the seconds until a rate or a quota allows more; 0 when none is reached."""
        claimed: list[Claim] = []
        while len(claimed) < count:
            ids = self.block_queue.take(tx, count - len(claimed))
            if not ids:
                break
            # The pace first: a claim that it refuses must not use up the quota.
            paced, first, pause = self._pace(tx, len(ids))
            granted, wait = reserve_quota(tx, paced, limits=self.limits, now=self.clock.now())
            self.block_queue.put_back(ids[granted:])
            marked: Sequence[ClaimedDelivery] = ()
            if granted:
                marked = claims.claim(tx, ids[:granted], who=self.block_queue.who, now=self.clock.now())
            if len(marked) < granted:
                self.block_queue.look_again(tx)
            interval = 1 / self.rate if self.rate else 0.0
            claimed += [Claim(person, first + place * interval) for place, person in enumerate(marked)]
            if granted < len(ids):
                return claimed, max(wait, pause, SHORTEST_WAIT).total_seconds()
        return claimed, 0.0

    def _pace(self, tx: Tx, count: int) -> tuple[int, float, timedelta]:
        """Hold to the rate per second of all workers: how many may be claimed, from when on, or how long to wait.

        A claim is sent within a second; deliveries that must wait for longer are not claimed yet.
        """
        if not self.rate:
            return count, 0.0, timedelta()
        granted = min(count, max(1, int(self.rate * AHEAD_SECONDS)))
        seconds = quotas.reserve_pace(tx, granted, rate=self.rate, now=self.clock.now(), at_most=AHEAD_SECONDS)
        if seconds > AHEAD_SECONDS:
            return 0, 0.0, timedelta(seconds=seconds - AHEAD_SECONDS)
        more = timedelta(seconds=seconds + granted / self.rate)
        return granted, self.clock.monotonic() + seconds, more if granted < count else timedelta()
