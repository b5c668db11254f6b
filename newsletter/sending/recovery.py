"""Recovery: each message that a dead worker had claimed gets its outcome, from its journal where there is one.

In: the database, the folder of the journals, the time. Out: rows settled or given back. A message that was certainly
not handed over is queued again, one with a reply is settled by it, and only a message that was in flight at the moment
of death is uncertain (promise 7).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from newsletter.core.delivery import Delivery, UncertainPolicy, settle
from newsletter.core.reply import Phase, Reply, judge
from newsletter.core.subscriber import SubscriberId
from newsletter.journal.reader import OrphanedJournal, adopt_journals
from newsletter.journal.record import Answered
from newsletter.sending.attempt import AttemptResult, record
from newsletter.store import block as blocks
from newsletter.store import claims
from newsletter.store import installation as installations
from newsletter.store import worker as workers
from newsletter.store.unit import Unit
from newsletter.store.worker import WorkerId

logger = logging.getLogger(__name__)

SILENT_WORKER_AGE = timedelta(minutes=60)
"""How long the claims of a dead worker wait for the journal that lies on its own machine."""

STOPPED_AT = "The sender was stopped at this message: it may or may not have gone out."

ORPHANED = Reply(
    phase=Phase.DOT,
    text="the sender was stopped in the middle of this message",
    may_be_delivered=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Settles the claims of dead workers."""

    unit: Unit
    folder: Path
    """Of the journals."""
    sole: bool
    """True when no other worker can be alive: this process holds the exclusive right to send."""
    now: Callable[[], datetime]
    jitter: Callable[[], float]
    expire_after: timedelta
    uncertain_policy: UncertainPolicy

    def adopt(self) -> int:
        """Settle the claims of dead workers of this machine by their journals; return how many there were."""
        with self.unit.read() as tx:
            identity = installations.get(tx).identity
        # A sole sender may use the journals that another machine left in a folder that was moved.
        orphans = adopt_journals(self.folder, identity, elsewhere=self.sole)
        settled = 0
        while orphans:
            try:
                settled += self._settle_journal(orphans[0])
            except BaseException:
                # A locked journal would pass for that of a living worker, and never be settled.
                for orphan in orphans:
                    orphan.unlock()
                raise
            orphans.pop(0).delete()
        return settled

    def settle_lost(self, me: WorkerId | None = None) -> int:
        """Settle claims without a journal: the machine or the disk is gone, or the file was deleted.

        Claims of a worker that may be alive, or whose machine may come back, wait for `SILENT_WORKER_AGE`.
        """
        now = self.now()
        with self.unit.write() as tx:
            if self.sole:
                blocks.release_all(tx)
                workers.end_all(tx, now=now)
                rows = claims.marked_by_none_of(tx, [] if me is None else [me])
            else:
                living = [worker.id for worker in workers.alive(tx, now=now)]
                rows = claims.marked_by_none_of(tx, living, before=now - SILENT_WORKER_AGE)
            record(tx, [self._in_doubt(row) for row in rows], who=None, now=now)
        if rows:
            logger.warning("%s deliveries were claimed by a sender that died and left no journal", len(rows))
        return len(rows)

    def _settle_journal(self, orphan: OrphanedJournal) -> int:
        worker = WorkerId(orphan.worker)
        now = self.now()
        with self.unit.write() as tx:
            rows = claims.marked_by(tx, worker)
            not_begun, settled = self._sort(orphan, rows)
            claims.give_back(tx, [row.id for row in not_begun], who=worker)
            record(tx, settled, who=worker, now=now)
            blocks.release(tx, worker)
            workers.end(tx, worker, now=now)
        if rows:
            logger.warning(
                "a sender died with %s deliveries claimed: %s not begun, %s settled by its journal, %s uncertain",
                len(rows),
                len(not_begun),
                len(settled) - _count_in_doubt(settled),
                _count_in_doubt(settled),
            )
        return len(rows)

    def _sort(self, orphan: OrphanedJournal, rows: Sequence[Delivery]) -> tuple[list[Delivery], list[AttemptResult]]:
        not_begun: list[Delivery] = []
        settled: list[AttemptResult] = []
        for row in rows:
            entry = orphan.entries.get(row.id)
            if entry is not None and entry.attempt != row.attempts:
                entry = None  # It is of an earlier try, which the database has settled.
            if isinstance(entry, Answered):
                settled.append(self._settled(row, entry.reply, at=entry.at))
            elif entry is None and orphan.trusted:
                not_begun.append(row)
            else:
                settled.append(self._in_doubt(row))
        return not_begun, settled

    def _in_doubt(self, row: Delivery) -> AttemptResult:
        return self._settled(row, ORPHANED, at=self.now(), plain=STOPPED_AT)

    def _settled(self, row: Delivery, reply: Reply, *, at: datetime, plain: str = "") -> AttemptResult:
        verdict = judge(reply)
        if plain:
            verdict = replace(verdict, plain=plain)
        outcome = settle(
            # The claim counted this attempt already; `settle` counts it too.
            replace(row, attempts=row.attempts - 1),
            verdict,
            reply=reply,
            now=at,
            jitter=self.jitter(),
            expire_after=self.expire_after,
            uncertain_policy=self.uncertain_policy,
        )
        person = SubscriberId(0) if row.subscriber_id is None else row.subscriber_id
        return AttemptResult(row.id, row.edition_id, person, outcome, verdict.kind, verdict.plain)


def _count_in_doubt(settled: Sequence[AttemptResult]) -> int:
    return sum(result.outcome.reply_text == ORPHANED.text for result in settled)
