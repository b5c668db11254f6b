"""Group commit: the results of all connections and their next claims share one transaction.

In: results and unused claims from the claim buffer. Out: claims, durable before any of their data is written to a
server (promise 5). It shares a thread with the connections (`newsletter/event_loop.py`): they send while it waits for
the database, and the results that come meanwhile share the next transaction.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from newsletter.clock import Clock
from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionId
from newsletter.errors import NewsletterError
from newsletter.event_loop import yield_now
from newsletter.journal.writer import Journal
from newsletter.sending.attempt import record, record_accepted
from newsletter.sending.claim_buffer import Claim, ClaimBuffer, CommitBatch
from newsletter.sending.claimer import Claimer
from newsletter.sending.pass_state import PassState
from newsletter.store import claims
from newsletter.store.unit import Tx, Unit

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0

COMMIT_RETRY_SECONDS = 60.0
"""How long a commit with results is retried while the database fails."""

COMMIT_RETRY_STOPPING_SECONDS = 5.0
"""The same after a request to stop: the journal has the results, and the next start records them."""

COMMIT_RETRY_WAIT_SECONDS = 2.0


@dataclass(slots=True, kw_only=True)
class GroupCommitter:
    """Commits for all connections of one pass."""

    unit: Unit
    clock: Clock
    claimer: Claimer
    claim_buffer: ClaimBuffer
    pass_state: PassState
    journal: Journal
    breaker: Callable[[EditionId], None]
    """Pauses an edition of which too much was refused."""
    on_commit: Callable[[Counter[DeliveryState]], None]
    beat: Callable[[Tx], None]
    """Writes the heartbeat of this worker."""
    counts: Counter[DeliveryState] = field(default_factory=Counter)
    """Outcomes of this pass."""
    busy_seconds: float = 0.0
    """Time from the beginning of a transaction to its end; the connections went on meanwhile."""
    _closing: bool = False
    _gave_up: bool = False
    """A commit with results failed for so long that the pass ended."""
    _refused: set[EditionId] = field(default_factory=set)
    """Editions with a refusal since their breaker was last checked."""
    _beat_at: float = float("-inf")

    def run(self) -> None:
        """Commit the requests of the connections until `close`, and the rest after it."""
        last = False
        try:
            while not last:
                self.claim_buffer.work.wait()
                self.claim_buffer.work.clear()
                last = self._closing
                try:
                    committed = self._commit_with_retries()
                except NewsletterError as error:
                    committed = False
                    self.pass_state.end(str(error))
                if committed:
                    self.claim_buffer.wake()
                if not self._closing and not self.claim_buffer.is_low:
                    # Requests that came during the commit: its claims serve them.
                    self.claim_buffer.work.clear()
        except Exception as bug:  # noqa: BLE001 it is raised again in the thread that waits for this one
            self.pass_state.fail(bug)
        finally:
            self.claim_buffer.wake()
        _log_unrecorded(self.claim_buffer.unrecorded)

    def close(self) -> None:
        """Let `run` return after a last commit; no connection is left."""
        self._closing = True
        self.claim_buffer.close()
        self.claim_buffer.work.set()

    def _commit_with_retries(self) -> bool:
        """Commit; while the database fails and there are results, retry for a minute; False leaves it for later.

        The last commit of the pass tries once more what could not be recorded by then.
        """
        began = self.clock.monotonic()
        again = self._gave_up
        batch = self.claim_buffer.drain()
        while True:
            try:
                self._commit(batch, again=again)
            except NewsletterError as error:
                if not self._retries(batch, error, seconds=self.clock.monotonic() - began):
                    return False
                again = True
            else:
                return True

    def _retries(self, batch: CommitBatch, error: NewsletterError, *, seconds: float) -> bool:
        """Wait before a commit is tried again; False leaves it to a later one, and an exception ends the pass."""
        retry_seconds = COMMIT_RETRY_STOPPING_SECONDS if self.pass_state.stop.is_set() else COMMIT_RETRY_SECONDS
        outcomes = len(batch.recorded())
        if outcomes and seconds < retry_seconds and not self._gave_up:
            logger.error("%s (%s outcomes wait to be recorded)", error, outcomes)
            self.clock.wait(threading.Event(), COMMIT_RETRY_WAIT_SECONDS)
            return True
        self.claim_buffer.restore(batch)
        if outcomes or not self.claim_buffer.held():
            self._gave_up = bool(outcomes)
            raise error
        logger.warning("%s (the connections go on with what they have)", error)
        return False

    def _commit(self, batch: CommitBatch, *, again: bool) -> None:
        began, now = self.clock.monotonic(), self.clock.now()
        block_queue = self.claimer.block_queue
        worker_id = block_queue.who
        # The claims of a commit whose answer got lost are given back at the end of the pass: no more of them.
        count = 0 if again or self._closing or self.pass_state.ended else self.claim_buffer.room()
        beats = began - self._beat_at >= BEAT_SECONDS
        expired = began >= self.claim_buffer.lease_until
        with self.unit.write() as tx:
            claims.give_back(tx, batch.unused, who=worker_id)
            unwritten = self._unwritten(tx, batch) if again else batch
            record_accepted(tx, unwritten.accepted, who=worker_id, now=now)
            record(tx, unwritten.results, who=worker_id, now=now)
            yield_now()
            if expired:
                # After such a sleep another worker may have the blocks; free ones are reserved anew.
                block_queue.leave(tx)
                self.claim_buffer.revoke_all()
            if beats:
                self.beat(tx)
                block_queue.extend(tx)
            claimed, wait = self.claimer.claim(tx, count) if count else (list[Claim](), 0.0)
        if beats or expired:
            self._beat_at = began
            self.claim_buffer.lease_until = began + block_queue.lease.total_seconds()
        self.journal.recorded(batch.recorded())
        # After the commit only: a claim that was rolled back must not be sent.
        if count:
            self.claim_buffer.put(claimed, quota_wait=wait)
        self._refused |= {item.edition for item in batch.results if item.outcome.state is DeliveryState.REJECTED}
        if beats:
            self._check_breakers()
        self.counts.update(result.outcome.state for result in batch.results)
        if accepted := sum(map(len, batch.accepted.values())):
            self.counts[DeliveryState.ACCEPTED] += accepted
        self.busy_seconds += self.clock.monotonic() - began
        self.on_commit(self.counts)

    def _unwritten(self, tx: Tx, batch: CommitBatch) -> CommitBatch:
        """Leave out recorded results: the commit before may have succeeded, and only its answer got lost."""
        return batch.only({row.id for row in claims.marked_by(tx, self.claimer.block_queue.who)})

    def _check_breakers(self) -> None:
        for edition in list(self._refused):
            try:
                self.breaker(edition)
            except NewsletterError as error:
                # The commit stands. To repeat it would claim deliveries for no connection.
                logger.warning("%s (the breaker is checked again)", error)
                return
            self._refused.discard(edition)


def _log_unrecorded(batch: CommitBatch) -> None:
    # The journal has them too, and the next start records them.
    outcomes = [(item.delivery, item.outcome.state, item.outcome.reply_text) for item in batch.results]
    outcomes += [
        (delivery, DeliveryState.ACCEPTED, text)
        for texts in batch.accepted.values()
        for delivery, text in texts.items()
    ]
    for delivery, state, text in outcomes:
        logger.error("not recorded: delivery %s is %s (%s)", delivery, state, text)
