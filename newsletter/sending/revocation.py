"""The look: twice a second, whether what is marked for our connections may still go out.

In: what the couriers hold. Out: what must not go out any more, taken from their hands and given back (promise 9), and
signs of life in between. A connection that waits long for an answer loses what it holds to the others.
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
"""A connection that has waited for one answer for so long gives back what it has not begun."""


@dataclass(slots=True, kw_only=True)
class RevocationWatcher:
    """What watches over the runs of one pass."""

    unit: Unit
    committer: GroupCommitter
    connection_workers: Sequence[ConnectionWorker]

    def run(self, over: threading.Event) -> None:
        """Look until it is over, by real time: what it watches happens in other processes."""
        while not wait(over, REVOKE_POLL_SECONDS):
            try:
                self.look()
            except NewsletterError as error:
                # The desk has its own patience with a database in trouble.
                logger.warning("the look at what is marked failed: %s", error)
            except Exception:
                # Who leaves from now on must be seen by the next look, so there is one.
                logger.exception("the look at what is marked failed")

    def look(self) -> None:
        """Take back what must not go out; the empty ticket lets the desk give a sign of life."""
        held = [one for connection_worker in self.connection_workers for one in connection_worker.claim_buffer.held()]
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
            one
            for connection_worker in self.connection_workers
            for one in connection_worker.claim_buffer.let_go(revoked=True)
        ]

    def _taken_from_stuck(self) -> list[DeliveryId]:
        now = self.committer.clock.monotonic()
        stuck = [
            one
            for one in self.connection_workers
            if (since := one.waiting_since) is not None and now - since > STUCK_SECONDS
        ]
        return [one for connection_worker in stuck for one in connection_worker.claim_buffer.let_go()]
