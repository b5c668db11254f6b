"""Retention: deletes once a day the rows that are kept for a time only, in steps so small that no other process waits.

In: the database and the time. Out: fewer rows. A tick does a few steps and the next one goes on, so neither the
scheduler nor the sender is held up; a run that was cut short begins again, and finds less to do. Rows that a person may
still decide about stay.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from newsletter.core.access import KEEP_SESSIONS, KEEP_SIGN_INS
from newsletter.core.signup import KEEP_SIGNUPS
from newsletter.store import address_change as address_changes
from newsletter.store import evidence, rate_limit, retention
from newsletter.store import job_run as job_runs
from newsletter.store import link_request as link_requests
from newsletter.store import mailbox as mailboxes
from newsletter.store import session as sessions
from newsletter.store import sign_in as sign_ins
from newsletter.store import signup as signups
from newsletter.store import webhook as webhooks
from newsletter.store import worker as workers
from newsletter.store.job_run import JobName
from newsletter.store.retention import Stretch
from newsletter.store.unit import Tx, Unit

logger = logging.getLogger(__name__)

LEAP = timedelta(days=14)
"""Longer than this between two runs, and the clock is read again on the next day."""

EVERY = timedelta(days=1)
KEEP_REPLIES = timedelta(days=90)
"""The reply of a server explains why a person got no mail; that question comes up for a season at most."""

KEEP_EVENTS = timedelta(days=30)
"""No provider sends an event again after so long: most give up within a day."""

STEP_ROWS = 5_000
"""Rows in one transaction: well under a tenth of a second of the write lock."""
STEPS_PER_TICK = 4

_MARGIN = timedelta(days=2)
"""Editions looked through once more: between an edition's end and the run's own beginning nothing may slip through."""


@dataclass(kw_only=True)
class RetentionJob:
    """The work, and how far it has come; one per process."""

    unit: Unit
    keep_deliveries: timedelta
    process: str
    step_rows: int = STEP_ROWS
    _left: Iterator[int] | None = field(default=None, repr=False)

    def work(self, now: datetime) -> int:
        """Do a few steps if a run is due or under way; return how many rows they touched."""
        if self._left is None:
            if not self._due(now):
                return 0
            if self._doubted(now):
                return 0
            self._left = self._run(now)
        steps = 0
        for _ in range(STEPS_PER_TICK):
            step = next(self._left, None)
            if step is None:
                self._left = None
                break
            steps += step
        return steps

    def _due(self, now: datetime) -> bool:
        with self.unit.read() as tx:
            last = job_runs.get(tx, JobName.RETENTION).ended_at
        # A sign from the future is one of a clock that was wrong; it must not stop this for years.
        return last is None or not last <= now < last + EVERY

    def _doubted(self, now: datetime) -> bool:
        """Tell whether to wait: a clock far ahead of the last run may be wrong, and deleted rows stay deleted.

        A clock that says so still on the next day is believed; one that was ahead for an hour has cost nothing.
        """
        with self.unit.read() as tx:
            last = job_runs.get(tx, JobName.RETENTION).ended_at
            doubted_at = job_runs.get(tx, JobName.RETENTION).clock_doubted_at
        if last is None or now - last <= LEAP:
            return False
        if doubted_at is not None and timedelta() <= now - doubted_at <= LEAP:
            return now - doubted_at < EVERY
        with self.unit.write() as tx:
            job_runs.record_doubt(tx, JobName.RETENTION, now=now, process=self.process)
        logger.warning("the clock is far ahead of the last clean-up, which waits for a day to see that it is right")
        return True

    def _run(self, now: datetime) -> Iterator[int]:
        """Go through everything; yields after each transaction."""
        gone: Counter[str] = Counter()
        for name, step in (
            ("deliveries", self._deliveries(now)),
            ("replies", self._replies(now)),
            ("notices", self._notices(now)),
        ):
            for count in step:
                gone[name] += count
                yield count
        with self.unit.write() as tx:
            gone["bounces"] += evidence.forget_recent(tx, now=now)
            gone["sign-ups"] += signups.drop_before(tx, now - KEEP_SIGNUPS)
            gone["mails to readers"] += retention.drop_reader_mails(tx, written_before=now - KEEP_SIGNUPS)
            gone["requests for a link"] += link_requests.drop_before(tx, now - KEEP_SIGNUPS)
            gone["changes of address"] += address_changes.drop_before(tx, now - KEEP_SIGNUPS)
            gone["requests to sign in"] += sign_ins.drop_before(tx, now - KEEP_SIGN_INS)
            gone["sessions"] += sessions.drop_before(tx, now - KEEP_SESSIONS)
            gone["judged mails"] += mailboxes.forget_before(tx, now - KEEP_EVENTS)
            gone["events of webhooks"] += webhooks.forget_before(tx, now - KEEP_EVENTS)
            gone["limits"] += rate_limit.drop_expired(tx, now=now)
            gone["senders"] += workers.forget(tx, before=now - KEEP_REPLIES)
            job_runs.record_end(tx, JobName.RETENTION, now=now, process=self.process)
        self.unit.flush()
        if +gone:
            logger.info("kept long enough, and forgotten: %s", {name: count for name, count in gone.items() if count})

    def _deliveries(self, now: datetime) -> Iterator[int]:
        before = now - self.keep_deliveries
        with self.unit.read() as tx:
            old = retention.closed_before(tx, before)
        return self._walk(
            old,
            lambda tx, edition_id, first, last: retention.drop_deliveries(
                tx, edition_id, first=first, last=last, closed_before=before
            ),
        )

    def _replies(self, now: datetime) -> Iterator[int]:
        before = now - KEEP_REPLIES
        with self.unit.read() as tx:
            last = job_runs.get(tx, JobName.RETENTION).ended_at
            since = None if last is None or last > now else last - KEEP_REPLIES - _MARGIN
            old = [*retention.closed_before(tx, before, since=since), *retention.open_since(tx, before)]
        return self._walk(
            old,
            lambda tx, edition_id, first, last: retention.blank_replies(
                tx, edition_id, first=first, last=last, tried_before=before
            ),
        )

    def _walk(self, old: Sequence[Stretch], step: Callable[..., int]) -> Iterator[int]:
        for edition in old:
            for first in range(edition.first, edition.last + 1, self.step_rows):
                with self.unit.write() as tx:
                    count = step(tx, edition.edition, first, min(first + self.step_rows - 1, edition.last))
                yield count

    def _notices(self, now: datetime) -> Iterator[int]:
        def drop(tx: Tx) -> int:
            return retention.drop_notices(tx, written_before=now - self.keep_deliveries, limit=self.step_rows)

        def blank(tx: Tx) -> int:
            return retention.blank_notices(tx, written_before=now - KEEP_REPLIES, limit=self.step_rows)

        for step in (drop, blank):
            count = self.step_rows
            while count == self.step_rows:
                with self.unit.write() as tx:
                    count = step(tx)
                yield count
