"""Reading the mailbox for bounces: judge what lies in it, move it by the verdict, a hundred mails at a time.

In: a way to open the mailbox. Out: what was done, counted. A mail is moved after the transaction that judged it, so a
crash in between costs one more move and nothing else. Memory stays flat, however full the mailbox is.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta

from newsletter.clock import Clock
from newsletter.core.breaker import BreakerLimits
from newsletter.core.evidence import BounceAction, MailVerdict
from newsletter.core.token import Keyring
from newsletter.errors import NewsletterError, Stop
from newsletter.flows.alert import report, settle_alert
from newsletter.flows.judge_mails import judge_mails, judged_before
from newsletter.store.alert import Alert, AlertKind
from newsletter.store.mailbox import MailFolder
from newsletter.store.unit import Unit
from newsletter.transport.imap import MAIL_BYTES_MAX, ImapMailbox, StoredMail

logger = logging.getLogger(__name__)

MAILS_PER_STEP_MAX = 100
STEP_BYTES_MAX = 8_000_000
"""Bytes of the mails that are judged in one transaction."""
FAILURES_ALERT_COUNT = 3
"""Failures in a row that raise an alert; a mailbox that is away for a moment is no news."""
ABOUT_MAILBOX = "bounces"


@dataclass(kw_only=True)
class FetchSummary:
    """What one run did."""

    moved: Counter[MailVerdict] = field(default_factory=Counter)
    actions: Counter[BounceAction] = field(default_factory=Counter)


@dataclass(kw_only=True)
class MailboxReader:
    """Reads one mailbox."""

    unit: Unit
    keyring: Keyring
    clock: Clock
    limits: BreakerLimits
    name: str
    folders: Mapping[MailVerdict, str]
    """Where a mail goes by its verdict."""
    open_mailbox: Callable[[], AbstractContextManager[ImapMailbox]]
    _failures_count: int = 0

    def fetch(self, stop: threading.Event | None = None) -> FetchSummary:
        """Judge and move everything that lies in the mailbox, or until the stop."""
        summary = FetchSummary()
        with self.open_mailbox() as mailbox:
            for name in self.folders.values():
                mailbox.make_folder(name)
            folder = MailFolder(name=self.name, validity=mailbox.validity)
            seen: set[int] = set()
            while not (stop is not None and stop.is_set()):
                mails = mailbox.first(MAILS_PER_STEP_MAX)
                if not mails:
                    break
                if not seen.isdisjoint(mail.uid for mail in mails):
                    raise Stop(f"The mailbox {self.name} keeps mails that were moved.")
                seen = {mail.uid for mail in mails}
                for verdict, uids in self._judge(mailbox, folder, mails, summary).items():
                    mailbox.move(uids, self.folders[verdict])
                    summary.moved[verdict] += len(uids)
        return summary

    def run(self, stop: threading.Event, *, every: timedelta) -> None:
        """Read the mailbox every few minutes until the stop; trouble is logged, and lasting trouble an alert."""
        while True:
            try:
                self._fetch_and_tell(stop)
            except Exception:
                logger.exception("bounce mailbox: a bug")
            if stop.wait(every.total_seconds()):
                return

    def _fetch_and_tell(self, stop: threading.Event) -> None:
        try:
            summary = self.fetch(stop)
        except NewsletterError as error:
            self._failures_count += 1
            logger.error("bounce mailbox: %s", error)  # noqa: TRY400 - our own errors say all in one line
            if self._failures_count >= FAILURES_ALERT_COUNT:
                self._alert(f"Bounces cannot be fetched: {error} `newsletter bounce fetch` tries it again.")
            return
        if summary.moved:
            logger.info("bounce mailbox: %s", {verdict.value: count for verdict, count in summary.moved.items()})
        if self._failures_count >= FAILURES_ALERT_COUNT:
            with self.unit.write() as tx:
                settle_alert(tx, AlertKind.BOUNCE_MAILBOX, ABOUT_MAILBOX, now=self.clock.now())
        self._failures_count = 0

    def _alert(self, message: str) -> None:
        now = self.clock.now()
        with self.unit.write() as tx:
            report(tx, Alert(kind=AlertKind.BOUNCE_MAILBOX, about=ABOUT_MAILBOX, message=message, raised_at=now))

    def _judge(
        self, mailbox: ImapMailbox, folder: MailFolder, mails: Sequence[StoredMail], summary: FetchSummary
    ) -> Mapping[MailVerdict, Sequence[int]]:
        """Judge these mails, and return their numbers by verdict."""
        verdicts = dict(judged_before(self.unit, folder, [mail.uid for mail in mails]))
        batch: dict[int, bytes] = {}
        batch_bytes = 0
        for mail in mails:
            if mail.uid in verdicts:
                continue
            if batch and batch_bytes + min(mail.size, MAIL_BYTES_MAX) > STEP_BYTES_MAX:
                verdicts |= self._commit(folder, batch, summary)
                batch, batch_bytes = {}, 0
            raw = mailbox.read(mail.uid)
            if raw is not None:
                batch[mail.uid] = raw
                batch_bytes += len(raw)
        verdicts |= self._commit(folder, batch, summary)
        moves: dict[MailVerdict, list[int]] = {}
        for uid, verdict in verdicts.items():
            moves.setdefault(verdict, []).append(uid)
        return moves

    def _commit(
        self, folder: MailFolder, batch: Mapping[int, bytes], summary: FetchSummary
    ) -> Mapping[int, MailVerdict]:
        if not batch:
            return {}
        judged = judge_mails(self.unit, self.keyring, folder, batch, limits=self.limits, now=self.clock.now())
        summary.actions.update(judged.actions)
        return judged.verdicts
