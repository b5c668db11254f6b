"""The notice writer: makes rows of the mails that the operators should get, as notices that wait to be sent.

In: alerts, editions and the coming date, as the database has them. Out: rows of notices, and the operator's command
where no mail gets through. It speaks no SMTP, and any number of notice writers write each notice once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from newsletter.core.alert import AlertState, AlertStep, next_steps
from newsletter.core.edition import Edition
from newsletter.core.lineup import Choice
from newsletter.core.monitor import OLD_NEWS, is_old_news, says_report, says_sending
from newsletter.core.notice import NoticeKey, NoticeKind, NoticeState, notice_message_id
from newsletter.core.proof import Change, ProofKey, change_since, needs_proof, proof_key
from newsletter.core.series import SeriesPlace
from newsletter.errors import InputError
from newsletter.flows.alert import report, settle_alert
from newsletter.flows.freeze import series_of
from newsletter.flows.plan import Outlook
from newsletter.flows.proof import NoticeContext, make_proof, proof_for
from newsletter.operations import notice_texts as letters
from newsletter.render.notice import NoticeBody, Stamp, compose, compose_plainly
from newsletter.store import alert as alerts
from newsletter.store import block as blocks
from newsletter.store import edition as editions
from newsletter.store import notice as notices
from newsletter.store import report as reports
from newsletter.store.alert import Alert, AlertKind
from newsletter.store.unit import Tx, Unit

logger = logging.getLogger(__name__)

EDITIONS_READ_MAX = 5
"""Editions that are looked at; older ones are old news."""

PROOF_KINDS = (NoticeKind.PROOF, NoticeKind.WITHDRAWN)
DIGEST_EVERY = timedelta(minutes=1)


@dataclass(kw_only=True)
class NoticeWriter:
    """One per process."""

    unit: Unit
    notice_context: NoticeContext
    command: Callable[[str], None] | None = None
    """Runs the operator's command with a text, without waiting; None when there is none."""
    _refused: str = ""
    """The key of a proof that cannot be made, so that it is not rendered at every tick."""
    _digest: tuple[datetime, str] | None = field(default=None)

    def tell(self, now: datetime) -> None:
        """Write the notices that are due about alerts and editions."""
        self._alerts(now)
        self._editions(now)

    # Alerts

    def _alerts(self, now: datetime) -> None:
        with self.unit.read() as tx:
            known = alerts.unclosed(tx)
            mails = notices.states(tx, NoticeKind.ALERT, [str(alert.id) for alert in known]) if known else {}
        steps = [(alert, self._steps(alert, mails[str(alert.id)], now)) for alert in known]
        if not any(todo for _, todo in steps):
            return
        still_open = sum(alert.cleared_at is None for alert in known)
        texts: list[str] = []
        with self.unit.write() as tx:
            for alert, todo in steps:
                for step in todo:
                    texts += self._take(tx, step, alert, others=still_open - 1, now=now)
        # The command runs after the commit: two processes must not both run it.
        for text in texts:
            if self.command is not None:
                self.command(text)

    def _steps(self, alert: Alert, mails: Sequence[NoticeState], now: datetime) -> tuple[AlertStep, ...]:
        standing = AlertState(
            kind=alert.kind,
            raised_at=alert.raised_at,
            cleared_at=alert.cleared_at,
            command_at=alert.command_at,
            mails=mails,
        )
        can_mail, can_command = bool(self.notice_context.admins), self.command is not None
        return next_steps(standing, now=now, can_mail=can_mail, can_command=can_command)

    def _take(self, tx: Tx, step: AlertStep, alert: Alert, *, others: int, now: datetime) -> list[str]:
        """Take one step; return the text for the command, if it is to be run."""
        about = str(alert.id)
        match step:
            case AlertStep.MAIL:
                self._write(
                    tx,
                    NoticeKind.ALERT,
                    about,
                    letters.alert_letter(
                        self.notice_context, alert, others=others, edition=editions.by_name(tx, alert.about)
                    ),
                    now=now,
                )
            case AlertStep.COMMAND:
                if alerts.ran_command(tx, alert.id, now=now):
                    return [letters.command_text(self.notice_context, alert)]
            case AlertStep.WITHDRAW:
                notices.withdraw(tx, NoticeKind.ALERT, about, reason="the trouble passed before it went out")
            case AlertStep.PASS:
                self._write(tx, NoticeKind.PASSED, about, letters.passed_letter(self.notice_context, alert), now=now)
            case AlertStep.CLOSE:
                alerts.close(tx, alert, now=now)
        return []

    # Editions

    def _editions(self, now: datetime) -> None:
        if not self.notice_context.admins:
            return
        with self.unit.read() as tx:
            # While the relay is in trouble no edition goes out.
            quiet = any(alert.kind is AlertKind.RELAY for alert in alerts.open_alerts(tx))
            newest_first = editions.latest(tx, count=EDITIONS_READ_MAX)
            last = next((item for item in newest_first if item.finished_at is not None), None)
            mailed = [
                (item, kind)
                for item in newest_first
                if not is_old_news(item, last_ended=item is last, now=now)
                for kind in self._due(tx, item, now)
                if not (quiet and kind is NoticeKind.SENDING)
            ]
        for edition, kind in mailed:
            with self.unit.write() as tx:
                self._about_edition(tx, edition, kind, now)

    def _due(self, tx: Tx, edition: Edition, now: datetime) -> list[NoticeKind]:
        # Blocks show whether anybody waits for a first try; counting the people would read a million rows a tick.
        waiting = blocks.any_open(tx, edition.id)
        asked = ((NoticeKind.SENDING, says_sending), (NoticeKind.REPORT, says_report))
        return [
            kind
            for kind, says in asked
            if says(edition, waiting=waiting, now=now) and notices.last(tx, [kind], edition.name) is None
        ]

    def _about_edition(self, tx: Tx, edition: Edition, kind: NoticeKind, now: datetime) -> None:
        receipt = reports.receipt(tx, edition)
        if kind is NoticeKind.SENDING:
            letter = letters.sending_letter(self.notice_context, edition, receipt, now=now)
        else:
            letter = letters.report_letter(self.notice_context, edition, receipt)
            notices.withdraw(tx, NoticeKind.SENDING, edition.name, reason="the edition was through before it went out")
        self._write(tx, kind, edition.name, letter, now=now)

    # Proofs

    def prove(self, outlook: Outlook, now: datetime) -> None:
        """Write the proof of each date that is near, when there is none that stands for what will go out."""
        if not self.notice_context.editors:
            return
        for choice in outlook.choices:
            if needs_proof(choice.slot, now=now):
                self._prove(choice, outlook, now)

    def _prove(self, choice: Choice, outlook: Outlook, now: datetime) -> None:
        about = choice.slot.date.isoformat()
        with self.unit.read() as tx:
            last = _last_key(tx, about)
            series = series_of(tx, choice.tip)
        key = proof_key(choice, self._kitchen_digest(now), last, series)
        change = change_since(last, key)
        if change is Change.NOTHING or str(key) == self._refused:
            return
        if choice.tip is None:
            letter = letters.withdrawn_letter(choice, change)
            with self.unit.write() as tx:
                self._withdraw_proofs(tx, about, "it was skipped, or its tip went away, before the proof went out")
                self._write(
                    tx, NoticeKind.WITHDRAWN, about, letter, variant=str(key), to=self.notice_context.editors, now=now
                )
                settle_alert(tx, AlertKind.PROOF, about, now=now, quietly=True)
            return
        self._prove_tip(choice, outlook, change, key, now, series=series)

    def _prove_tip(
        self,
        choice: Choice,
        outlook: Outlook,
        change: Change,
        key: ProofKey,
        now: datetime,
        *,
        series: SeriesPlace | None,
    ) -> None:
        about = choice.slot.date.isoformat()
        named = NoticeKey(kind=NoticeKind.PROOF, about=about, variant=str(key))
        try:
            proof = make_proof(self.notice_context, choice, outlook, change, now=now, series=series)
            messages = {
                editor: proof_for(self.unit, self.notice_context, proof, editor, named, now=now)
                for editor in self.notice_context.editors
            }
        except InputError as error:
            self._refused = str(key)
            self._alarm(about, f"The mail of {about} cannot be made, so nothing would go out on it: {error}", now)
            return
        self._refused = ""
        with self.unit.write() as tx:
            if _last_key(tx, about) == key:
                return
            self._withdraw_proofs(tx, about, "a newer proof took its place before it went out")
            for editor, message in messages.items():
                notices.add(tx, named, recipient=editor, message=message, now=now)
            settle_alert(tx, AlertKind.PROOF, about, now=now)
        logger.info("the proof of %s is written; editors: %s", about, len(messages))

    def lay_aside(self, outlook: Outlook, now: datetime) -> None:
        """Alert about a proof that no server takes; forget proofs and their alerts once their date has come."""
        ahead = {choice.slot.date.isoformat() for choice in outlook.choices if choice.slot.sends_at > now}
        states = (NoticeState.QUEUED, NoticeState.DEFERRED, NoticeState.REJECTED, NoticeState.EXPIRED)
        with self.unit.read() as tx:
            stuck = notices.of_kind(tx, NoticeKind.PROOF, states, since=now - OLD_NEWS)
            known = [alert for alert in alerts.open_alerts(tx) if alert.kind is AlertKind.PROOF]
        known_abouts = {alert.about for alert in known}
        for alert in stuck:
            about, failed = alert.key.about, alert.state in {NoticeState.REJECTED, NoticeState.EXPIRED}
            if failed and about in ahead and about not in known_abouts and self._newest(alert.key):
                self._alarm(about, f"The proof of {about} did not reach {alert.recipient}: {alert.reason}", now)
            elif not failed and about not in ahead:
                with self.unit.write() as tx:
                    self._withdraw_proofs(tx, about, "its date came before it went out")
        for old in [alert for alert in known if alert.about not in ahead]:
            with self.unit.write() as tx:
                settle_alert(tx, AlertKind.PROOF, old.about, now=now, quietly=True)

    def _newest(self, key: NoticeKey) -> bool:
        with self.unit.read() as tx:
            last = notices.last(tx, PROOF_KINDS, key.about)
        return last is not None and last.key.variant == key.variant

    def _withdraw_proofs(self, tx: Tx, about: str, reason: str) -> None:
        for kind in PROOF_KINDS:
            notices.withdraw(tx, kind, about, reason=reason)

    def _alarm(self, about: str, message: str, now: datetime) -> None:
        with self.unit.write() as tx:
            report(tx, Alert(kind=AlertKind.PROOF, about=about, message=message, raised_at=now))

    def _kitchen_digest(self, now: datetime) -> str:
        if self._digest is None or not timedelta() <= now - self._digest[0] < DIGEST_EVERY:
            self._digest = (now, self.notice_context.digest)
        return self._digest[1]

    def _write(
        self,
        tx: Tx,
        kind: NoticeKind,
        about: str,
        letter: NoticeBody,
        *,
        now: datetime,
        variant: str = "",
        to: Sequence[str] | None = None,
    ) -> None:
        key = NoticeKey(kind=kind, about=about, variant=variant)
        for recipient in self.notice_context.admins if to is None else to:
            notices.add(tx, key, recipient=recipient, message=self._set(letter, key, recipient, now), now=now)

    def _set(self, letter: NoticeBody, key: NoticeKey, recipient: str, now: datetime) -> str:
        render_context = self.notice_context.render_context
        domain = render_context.publication.from_email.rpartition("@")[2]
        stamp = Stamp(to=recipient, message_id=notice_message_id(key, recipient, now, domain), date=now)
        try:
            return compose(letter, render_context.publication, render_context.templates, stamp)
        except InputError as error:
            logger.error("a notice goes out as plain text: %s", error)  # noqa: TRY400 - the error is a sentence
            return compose_plainly(letter, render_context.publication, stamp)


def _last_key(tx: Tx, about: str) -> ProofKey | None:
    last = notices.last(tx, PROOF_KINDS, about)
    return None if last is None else ProofKey.parse(last.key.variant)
