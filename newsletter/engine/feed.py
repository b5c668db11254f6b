"""The feed: which deliveries are next, edition by edition and block by block.

In: a transaction. Out: ids, each handed out once per pass. It holds one block of ids at a time, however large the
edition.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from newsletter.core.delivery import DeliveryId
from newsletter.core.edition import EditionId, EditionStatus
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store.unit import Tx


@dataclass(frozen=True, slots=True)
class Next:
    """One delivery to mark and send."""

    edition: EditionId
    delivery: DeliveryId


class Feed:
    """One pass over everything that is queued now; not safe to share between threads without a lock."""

    def __init__(self) -> None:
        self._editions: deque[EditionId] | None = None
        self._edition: EditionId | None = None
        self._blocks: deque[int] = deque()
        self._ids: deque[DeliveryId] = deque()
        self._worked: list[tuple[EditionId, int]] = []

    def take(self, tx: Tx, count: int) -> list[Next]:
        """Return up to `count` next deliveries; fewer only when nothing more is queued."""
        taken: list[Next] = []
        while len(taken) < count:
            if not self._ids and not self._advance(tx):
                break
            assert self._edition is not None  # noqa: S101 ids are there, so their edition is
            taken.append(Next(self._edition, self._ids.popleft()))
        return taken

    def give_back(self, unused: list[Next]) -> None:
        """Take back what could not be used now; the most recent first."""
        for one in reversed(unused):
            if one.edition == self._edition:
                self._ids.appendleft(one.delivery)

    def look_again(self, tx: Tx) -> None:
        """Leave an edition that was paused or cancelled from elsewhere; asked when some of its rows cannot go out."""
        if self._edition is not None and editions.status(tx, self._edition) is not EditionStatus.SENDING:
            self._leave()

    def _leave(self) -> None:
        self._edition = None
        self._blocks.clear()
        self._ids.clear()

    def _advance(self, tx: Tx) -> bool:
        """Load the next block that holds anything; close the ones in which all is settled."""
        self._close_worked(tx)
        while True:
            while self._edition is not None and self._blocks:
                number = self._blocks.popleft()
                self._ids.extend(deliveries.queued(tx, self._edition, number))
                self._worked.append((self._edition, number))
                if self._ids:
                    return True
            if self._editions is None:
                self._editions = deque(one.id for one in editions.unfinished(tx) if one.status is EditionStatus.SENDING)
            if not self._editions:
                self._leave()
                return False
            following = self._editions.popleft()
            if editions.status(tx, following) is EditionStatus.SENDING:
                self._edition = following
                self._blocks = deque(editions.open_blocks(tx, following))

    def _close_worked(self, tx: Tx) -> None:
        self._worked = [one for one in self._worked if not editions.close_block(tx, *one)]
