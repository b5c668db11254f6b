"""Judging mails of a mailbox: each once, in the transaction that does what it says.

In: some mails with their numbers. Out: the verdict on each, by which they are moved. A mail that was judged before and
is still there, since the process died before it was moved, keeps its verdict and does nothing again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from newsletter.core.breaker import BreakerLimits
from newsletter.core.evidence import BounceAction, Handled, MailVerdict, mail_verdict, unheeded
from newsletter.core.mail_report import Report, ReportKind, read_report
from newsletter.core.token import Keyring
from newsletter.flows.apply_report import AppliedReport, apply_report, check_after, name_delivery
from newsletter.store import mailbox as mailboxes
from newsletter.store.mailbox import MailFolder
from newsletter.store.unit import Tx, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedMails:
    """What was judged."""

    verdicts: Mapping[int, MailVerdict]
    actions: Mapping[BounceAction, int]


def judge_mails(
    unit: Unit,
    keyring: Keyring,
    folder: MailFolder,
    mails: Mapping[int, bytes],
    *,
    limits: BreakerLimits,
    now: datetime,
) -> JudgedMails:
    """Do what these mails say, and remember that it was done."""
    actions: Counter[BounceAction] = Counter()
    read: list[int] = []
    applied: dict[tuple[str, ReportKind], AppliedReport] = {}
    reports = _read(unit, keyring, mails)
    with unit.write() as tx:
        for uid in mailboxes.reserve(tx, folder, list(mails), now=now):
            result = _judge(tx, keyring, reports[uid], limits=limits, now=now)
            if mail_verdict(result.handled) is MailVerdict.READ:
                read.append(uid)
            actions[result.handled.action] += 1
            applied[result.handled.edition, result.handled.kind] = result
        mailboxes.mark_read(tx, folder, read)
        verdicts = mailboxes.verdicts(tx, folder, list(mails))
    for result in applied.values():
        check_after(unit, result, limits, now=now)
    return JudgedMails(verdicts=verdicts, actions=actions)


def judged_before(unit: Unit, folder: MailFolder, uids: list[int]) -> Mapping[int, MailVerdict]:
    """Return the verdicts on mails that were judged and not moved, so that they need not be fetched."""
    with unit.read() as tx:
        return mailboxes.verdicts(tx, folder, uids)


def _read(unit: Unit, keyring: Keyring, mails: Mapping[int, bytes]) -> Mapping[int, Report]:
    """Read mails, and find their deliveries, before the transaction that writes."""
    reports = {uid: read_report(raw) for uid, raw in mails.items()}
    with unit.read() as tx:
        return {
            uid: report if unheeded(report) is not None else name_delivery(tx, keyring, report)
            for uid, report in reports.items()
        }


def _judge(tx: Tx, keyring: Keyring, report: Report, *, limits: BreakerLimits, now: datetime) -> AppliedReport:
    idle: Handled | None = unheeded(report)
    if idle is not None:
        return AppliedReport(handled=idle)
    return apply_report(tx, keyring, report, limits=limits, now=now)
