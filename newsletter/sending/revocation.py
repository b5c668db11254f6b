"""Takes claims back after an opt-out, a pause or a cancellation, twice a second (promise 9).

In: the claims of all connections. Out: stale claims, given back, and a commit at each check, so that outcomes and the
heartbeat are never older. A connection that waits long for a reply leaves its unsent claims to the others.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from newsletter.clock import Clock, wait
from newsletter.errors import NewsletterError
from newsletter.sending.claim_buffer import ClaimBuffer
from newsletter.sending.connection_worker import ConnectionWorker
from newsletter.store import claims
from newsletter.store.unit import Unit
from newsletter.store.worker import WorkerId

logger = logging.getLogger(__name__)

REVOKE_POLL_SECONDS = 0.5
STUCK_SECONDS = 3.0
"""A connection that has waited for a reply for so long gives back its claims."""


@dataclass(slots=True, kw_only=True)
class RevocationWatcher:
    """Watches the claims of one pass."""

    unit: Unit
    clock: Clock
    who: WorkerId
    claim_buffer: ClaimBuffer
    connection_workers: Sequence[ConnectionWorker]

    def run(self, over: threading.Event) -> None:
        """Check until the pass is over, by real time: the changes come from other processes."""
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
        """Give back stale claims, release those of stuck connections, and let the committer commit."""
        held = self.claim_buffer.held()
        if held:
            with self.unit.read() as tx:
                sendable = claims.still_good(tx, [claim.person.id for claim in held], who=self.who)
            for claim in held:
                claim.revoked = claim.revoked or claim.person.id not in sendable
        self.claim_buffer.drop_revoked()
        for connection_worker in self._stuck():
            connection_worker.release_unsent()
        self.claim_buffer.work.set()

    def _stuck(self) -> list[ConnectionWorker]:
        now = self.clock.monotonic()
        return [
            worker
            for worker in self.connection_workers
            if (since := worker.waiting_since) is not None and now - since > STUCK_SECONDS
        ]
