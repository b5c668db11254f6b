"""Takes claims back after an opt-out, a pause or a cancellation, twice a second (promise 9).

In: the claims of all connections. Out: stale claims, given back, and a heartbeat in between. The claims of a connection
that waits long for a reply go to the others.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from newsletter.clock import wait
from newsletter.core.delivery import DeliveryId
from newsletter.errors import NewsletterError
from newsletter.sending.committer import CommitRequest, GroupCommitter
from newsletter.sending.connection_worker import ConnectionWorker
from newsletter.store import claims
from newsletter.store.unit import Unit

logger = logging.getLogger(__name__)

REVOKE_POLL_SECONDS = 0.5
STUCK_SECONDS = 3.0
"""A connection that has waited for a reply for so long gives back its claims."""


@dataclass(slots=True, kw_only=True)
class RevocationWatcher:
    """Watches the claims of one pass."""

    unit: Unit
    committer: GroupCommitter
    connection_workers: Sequence[ConnectionWorker]

    def run(self, over: threading.Event) -> None:
        """Look until it is over, by real time: what it watches happens in other processes."""
        while not wait(over, REVOKE_POLL_SECONDS):
            try:
                self.revoke_stale_claims()
            except NewsletterError as error:
                # The committer retries by itself.
                logger.warning("the check for revoked claims failed: %s", error)
            except Exception:
                # The next check must see later opt-outs, so there is one.
                logger.exception("the check for revoked claims failed")

    def revoke_stale_claims(self) -> None:
        """Give back stale claims; an empty request lets the committer write its heartbeat."""
        held = [item for connection_worker in self.connection_workers for item in connection_worker.claim_buffer.held()]
        if held:
            with self.unit.read() as tx:
                good = claims.still_good(tx, [job.person.id for job in held], who=self.committer.who)
            for job in held:
                job.revoked = job.revoked or job.person.id not in good
        self.committer.submit(CommitRequest(unused=self._taken_back()))
        stuck = self._taken_from_stuck()
        if stuck:
            self.committer.submit(CommitRequest(unused=stuck, for_others=True))

    def _taken_back(self) -> list[DeliveryId]:
        return [
            item
            for connection_worker in self.connection_workers
            for item in connection_worker.claim_buffer.release(revoked=True)
        ]

    def _taken_from_stuck(self) -> list[DeliveryId]:
        now = self.committer.clock.monotonic()
        stuck = [
            worker
            for worker in self.connection_workers
            if (since := worker.waiting_since) is not None and now - since > STUCK_SECONDS
        ]
        return [item for connection_worker in stuck for item in connection_worker.claim_buffer.release()]
