"""What dead workers left behind: each message they had marked gets its outcome, from their journal where there is one.

In: the database, the folder of the journals, the time. Out: rows settled or given back. A message that surely never
left is queued again, one that was answered has its answer, and only what was in flight at the moment of death is
uncertain (promise 7).
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
from newsletter.journal.reader import OrphanedJournal, adopt
from newsletter.journal.record import Answered
from newsletter.sending.committer import AttemptResult, record
from newsletter.store import block as blocks
from newsletter.store import claims
from newsletter.store import installation as installations
from newsletter.store import worker as workers
from newsletter.store.unit import Unit
from newsletter.store.worker import WorkerId

logger = logging.getLogger(__name__)

SILENT_WORKER_AGE = timedelta(minutes=60)
"""How long a dead worker's rows wait for the journal that lies on its own machine."""

NO_WORKER = WorkerId(0)

STOPPED_AT = "The sender was stopped at this message: it may or may not have gone out."

ORPHANED = Reply(
    phase=Phase.DOT,
    text="the sender was stopped in the middle of this message",
    may_be_delivered=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """How what was left behind is settled."""

    unit: Unit
    folder: Path
    """Of the journals."""
    sole: bool
    """True when no other worker can be alive: whoever asks holds the right to be the only one."""
    now: Callable[[], datetime]
    jitter: Callable[[], float]
    expire_after: timedelta
    uncertain_policy: UncertainPolicy

    def adopt(self) -> int:
        """Settle what the journals of dead workers of this machine tell; return how many messages that were."""
        with self.unit.read() as tx:
            identity = installations.get(tx).identity
        # Whoever is the only one may use what another machine left in the folder that moved here.
        orphans = adopt(self.folder, identity, elsewhere=self.sole)
        settled = 0
        while orphans:
            try:
                settled += self._settle_journal(orphans[0])
            except BaseException:
                # Kept locked they would pass for those of the living, and nobody would ever settle them.
                for item in orphans:
                    item.let_go()
                raise
            orphans.pop(0).forget()
        return settled

    def settle_lost(self, me: WorkerId | None = None) -> int:
        """Settle what belongs to no journal that will come: the machine or the disk is gone, or an older version died.

        Of a worker that may be alive, or whose machine may come back, the rows wait for an hour.
        """
        now = self.now()
        with self.unit.write() as tx:
            if self.sole:
                blocks.release_all(tx)
                workers.end_all(tx, now=now)
                rows = claims.marked_by_none_of(tx, [] if me is None else [me])
            else:
                living = [one.id for one in workers.alive(tx, now=now)]
                rows = claims.marked_by_none_of(tx, living, before=now - SILENT_WORKER_AGE)
            record(tx, [self._in_doubt(row) for row in rows], who=NO_WORKER, now=now)
        if rows:
            logger.warning("%s deliveries were under way when a sender died that left no journal", len(rows))
        return len(rows)

    def _settle_journal(self, orphan: OrphanedJournal) -> int:
        who = WorkerId(orphan.worker)
        now = self.now()
        with self.unit.write() as tx:
            rows = claims.marked_by(tx, who)
            unsent, settled = self._sort(orphan, rows)
            claims.give_back(tx, [row.id for row in unsent], who=who)
            record(tx, settled, who=who, now=now)
            blocks.release(tx, who)
            workers.end(tx, who, now=now)
        if rows:
            logger.warning(
                "a sender died with %s deliveries marked: %s not begun, %s settled by its journal, %s in doubt",
                len(rows),
                len(unsent),
                len(settled) - _doubtful(settled),
                _doubtful(settled),
            )
        return len(rows)

    def _sort(self, orphan: OrphanedJournal, rows: Sequence[Delivery]) -> tuple[list[Delivery], list[AttemptResult]]:
        unsent: list[Delivery] = []
        settled: list[AttemptResult] = []
        for row in rows:
            fate = orphan.fates.get(row.id)
            if fate is not None and fate.attempt != row.attempts:
                fate = None  # It is of an earlier try, which the database has settled.
            if isinstance(fate, Answered):
                settled.append(self._settled(row, fate.reply, at=fate.at))
            elif fate is None and orphan.trusted:
                unsent.append(row)
            else:
                settled.append(self._in_doubt(row))
        return unsent, settled

    def _in_doubt(self, row: Delivery) -> AttemptResult:
        return self._settled(row, ORPHANED, at=self.now(), plain=STOPPED_AT)

    def _settled(self, row: Delivery, reply: Reply, *, at: datetime, plain: str = "") -> AttemptResult:
        verdict = judge(reply)
        if plain:
            verdict = replace(verdict, plain=plain)
        outcome = settle(
            # The mark counted this attempt already; `settle` counts it too.
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


def _doubtful(settled: Sequence[AttemptResult]) -> int:
    return sum(one.outcome.reply_text == ORPHANED.text for one in settled)
