"""The deliveries that a worker sends next, block by block.

In: a transaction. Out: ids, each handed out once while its block is held. It holds one block of ids at a time, however
large the edition. A block stays reserved until all of it is settled, or until `leave` gives it back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from newsletter.core.delivery import DeliveryId
from newsletter.core.edition import EditionId, EditionStatus
from newsletter.store import block as blocks
from newsletter.store import claims
from newsletter.store import edition as editions
from newsletter.store.block import BlockId
from newsletter.store.unit import Tx
from newsletter.store.worker import WorkerId


@dataclass(slots=True, kw_only=True)
class BlockQueue:
    """The blocks that one worker has reserved; used by one thread at a time."""

    who: WorkerId
    lease: timedelta
    now: Callable[[], datetime]
    wished: Callable[[], BlockId | None] = lambda: None
    """A block that is wanted before the others, each named once; None when there is no more."""
    _held: BlockId | None = None
    _ids: deque[DeliveryId] = field(default_factory=deque)
    _worked: list[BlockId] = field(default_factory=list)

    def take(self, tx: Tx, count: int) -> list[DeliveryId]:
        """Return up to `count` next deliveries; fewer only when nothing more is free."""
        ids: list[DeliveryId] = []
        while len(ids) < count and (self._ids or self._advance(tx)):
            ids.append(self._ids.popleft())
        return ids

    def put_back(self, unused: list[DeliveryId]) -> None:
        """Put deliveries back that could not be used now."""
        self._ids.extendleft(reversed(unused))

    def look_again(self, tx: Tx) -> None:
        """Leave an edition that was paused or cancelled from elsewhere; asked when some of its rows cannot go out."""
        if self._held is not None and not self._is_sending(tx, self._held.edition):
            self._ids.clear()
            self._held = None

    def extend(self, tx: Tx) -> None:
        """Extend the lease of the reserved blocks, and close finished ones."""
        blocks.extend(tx, self.who, now=self.now(), lease=self.lease)
        self._close_worked(tx)

    def leave(self, tx: Tx) -> None:
        """Close finished blocks and release the others, for any worker."""
        self._close_worked(tx)
        blocks.release(tx, self.who)
        self._worked.clear()
        self._ids.clear()
        self._held = None

    def _advance(self, tx: Tx) -> bool:
        """Reserve the next block that holds anything."""
        self._close_worked(tx)
        while (block_id := self._claim(tx)) is not None:
            self._held = block_id
            self._worked.append(block_id)
            self._ids.extend(claims.queued(tx, block_id))
            if self._ids:
                return True
        return False

    def _claim(self, tx: Tx) -> BlockId | None:
        while (wish := self.wished()) is not None:
            block = blocks.claim(tx, self.who, now=self.now(), lease=self.lease, only=wish)
            if block is not None:
                return block
        return blocks.claim(tx, self.who, now=self.now(), lease=self.lease)

    def _close_worked(self, tx: Tx) -> None:
        self._worked = list(blocks.close_done(tx, self._worked))

    def _is_sending(self, tx: Tx, edition: EditionId) -> bool:
        return editions.status(tx, edition) is EditionStatus.SENDING
