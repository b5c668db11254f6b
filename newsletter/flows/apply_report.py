"""Doing what one report says: a bounce, a delay, a complaint, an opt-out; from a mail or from a provider's webhook.

In: a report with its traces, in a transaction. Out: what was done, in words. Anybody can send a report, so only our own
keys decide whose delivery it is; what bears none of our tokens changes nothing. Twice is as good as once.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from datetime import datetime

from newsletter.core.bounce_count import COUNTED, FAILED
from newsletter.core.breaker import REFUSALS_MIN, BreakerLimits, alerts_of_complaints, complaint_percent
from newsletter.core.delivery import DeliveryId, DeliveryState, Later
from newsletter.core.edition import Edition, EditionStatus
from newsletter.core.evidence import BounceAction, Handled, Standing, may_suppress, read_back, stands_after, written
from newsletter.core.mail_report import Report, ReportKind, Trace, TraceKind
from newsletter.core.reply import Verdict, judge
from newsletter.core.subscriber import SubscriberState, complain, stronger, unsubscribe
from newsletter.core.tally import REFUSED_AS
from newsletter.core.token import Keyring, make_verp_sender, read_unsubscribe_token, read_verp_token
from newsletter.flows.alert import report as alert
from newsletter.flows.bounce import reason_to_stop, suppress
from newsletter.flows.breaker import check, check_complaints, complaints
from newsletter.flows.change_subscriber import move_on
from newsletter.flows.resolve import move_totals
from newsletter.store import edition as editions
from newsletter.store import evidence
from newsletter.store import subscriber as subscribers
from newsletter.store.alert import Alert, AlertKind
from newsletter.store.evidence import BouncedDelivery
from newsletter.store.subscriber import Consent
from newsletter.store.unit import Tx, Unit

logger = logging.getLogger(__name__)

BOUNCE_MAIL = "bounce mail"
FEEDBACK = "feedback report"
"""By which way something is known of a person (`Consent.channel`)."""

BLOCKS_PERCENT = 2
"""Share of an edition that may come back because of us before somebody is told; never for fewer than `AT_LEAST`."""

_TEXT_LENGTH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedReport:
    """What was done about a report, and the edition that it is about; None when no delivery was found."""

    handled: Handled
    edition: Edition | None = None


def apply_report(
    tx: Tx,
    keyring: Keyring,
    mail: Report,
    *,
    channel: str = "",
    limits: BreakerLimits | None = None,
    now: datetime,
) -> AppliedReport:
    """Do what one report says, part of the transaction of its caller.

    `channel` is by which way it came, as the consent of a person keeps it; unset, by mail. `limits` say from how many
    complaints on an alert is raised.
    """
    bounced = find_delivery(tx, keyring, mail.traces)
    if bounced is None:
        # Its words are not repeated: a stranger wrote them.
        logger.warning("ignored a report of kind %r: it has no valid token of this newsletter", mail.kind.value)
        return AppliedReport(handled=Handled(kind=mail.kind, action=BounceAction.UNKNOWN))
    edition = editions.by_id(tx, bounced.edition_id)
    action = _act(tx, bounced, edition, mail, channel=channel, now=now)
    if mail.kind is ReportKind.COMPLAINT and action in {BounceAction.STOPPED, BounceAction.NOTED}:
        _alert_of_complaints(tx, edition, limits or BreakerLimits(), now=now)
    words = written(mail.reply) if mail.reply else mail.summary
    handled = Handled(kind=mail.kind, action=action, edition=edition.name, words=words)
    return AppliedReport(handled=handled, edition=edition)


def check_after(unit: Unit, applied: AppliedReport, limits: BreakerLimits, *, now: datetime) -> bool:
    """Pause the edition of a report that still goes out when too much of it came back; tell whether it was paused."""
    edition = applied.edition
    if edition is None or edition.status is not EditionStatus.SENDING:
        return False
    if applied.handled.kind is ReportKind.COMPLAINT:
        return check_complaints(unit, edition.id, limits, now=now)
    return applied.handled.kind is ReportKind.FAILED and check(unit, edition.id, limits, now=now)


def find_delivery(
    tx: Tx, keyring: Keyring, traces: tuple[Trace, ...], *, locked: bool = True
) -> BouncedDelivery | None:
    """Return the delivery that the first genuine trace names; locked, it stays as it is until the transaction ends."""
    for trace in traces:
        delivery_id = _delivery(tx, keyring, trace)
        row = evidence.find(tx, delivery_id, locked=locked) if delivery_id is not None else None
        if row is not None:
            return row
    return None


def name_delivery(tx: Tx, keyring: Keyring, report: Report) -> Report:
    """Return a report with the token of its delivery in place of a Message-ID.

    The search by a Message-ID reads a whole edition, and anybody may send one: no transaction that writes waits for it.
    """
    if all(trace.kind is not TraceKind.MESSAGE_ID for trace in report.traces):
        return report
    bounced = find_delivery(tx, keyring, report.traces, locked=False)
    if bounced is None:
        return replace(report, traces=())
    token = make_verp_sender(keyring, bounced.id, "localhost")
    return replace(report, traces=(Trace(kind=TraceKind.VERP, text=token),))


def _delivery(tx: Tx, keyring: Keyring, trace: Trace) -> DeliveryId | None:
    match trace.kind:
        case TraceKind.VERP | TraceKind.ENVELOPE_ID:
            return read_verp_token(keyring, trace.text)
        case TraceKind.UNSUBSCRIBE:
            link = read_unsubscribe_token(keyring, trace.text)
            if link is None or link.edition_id is None:
                return None
            return evidence.of_person(tx, link.edition_id, link.subscriber_id)
        case TraceKind.MESSAGE_ID:
            return evidence.of_message(tx, trace.text)


def _act(
    tx: Tx, bounced: BouncedDelivery, edition: Edition, mail: Report, *, channel: str, now: datetime
) -> BounceAction:
    if mail.kind is ReportKind.LEFT:
        return _leave(tx, bounced, mail, channel=channel or FEEDBACK, now=now)
    after = stands_after(bounced.standing, mail.kind)
    verdict = judge(mail.reply) if mail.kind is ReportKind.FAILED and mail.reply else None
    if verdict is not None and bounced.standing.later is Later.HELD:
        return BounceAction.HELD
    again = after == bounced.standing
    # The same no a second time says nothing, above all not to one who was brought back since.
    if again and not (verdict and verdict.suppress and not judge(read_back(bounced.text)).suppress):
        return BounceAction.KNOWN
    text = written(mail.reply)[:_TEXT_LENGTH] if mail.reply else mail.summary
    action = BounceAction.NOTED
    why = ""
    if verdict is not None and bounced.subscriber_id is not None:
        # A refusal that is sure ends it whenever it comes; the rest counts once an edition, and not if it did already.
        fresh = not again and bounced.standing.state not in FAILED
        _write(tx, bounced, after, edition, text=text, words=verdict.plain, now=now)
        if not again:
            evidence.add_to_tally(tx, bounced, verdict.kind, now=now)
            _alert_of_blocks(tx, edition, verdict, text, now=now)
        if verdict.suppress:
            why = verdict.plain
        elif fresh and verdict.kind in COUNTED:
            why = reason_to_stop(tx, bounced.subscriber_id, now=now)
    else:
        _write(tx, bounced, after, edition, text=text, words=_SETTLED.get(mail.kind, ""), now=now)
    if why and not of_earlier_address(tx, bounced, edition):
        action = _stop(tx, bounced, after, edition, why=why, text=text, channel=channel or BOUNCE_MAIL, now=now)
    if mail.kind is ReportKind.COMPLAINT:
        action = _complain(tx, bounced, edition, mail, channel=channel or FEEDBACK, now=now)
    return action


def of_earlier_address(tx: Tx, bounced: BouncedDelivery, edition: Edition) -> bool:
    """Tell whether a mail went out before its reader changed the address: its refusal is not one of the new mailbox."""
    if bounced.subscriber_id is None:
        return False
    changed_at = evidence.address_changed_at(tx, bounced.subscriber_id)
    return changed_at is not None and (bounced.sent_at or edition.started_at) <= changed_at


_SETTLED = {
    ReportKind.FAILED: "it came back",
    ReportKind.COMPLAINT: "the reader complained of it",
    ReportKind.ARRIVED: "the mail server reported it",
}


def _write(
    tx: Tx, bounced: BouncedDelivery, after: Standing, edition: Edition, *, text: str, words: str, now: datetime
) -> None:
    arrived = after.state is DeliveryState.ACCEPTED
    reason = f"{'It arrived' if arrived else 'It did not arrive'}: {words}"
    evidence.note(tx, bounced, after, text=text, reason=reason, now=now)
    if after.state is not bounced.standing.state:
        move_totals(tx, edition, 1, after.state)


def _stop(
    tx: Tx,
    bounced: BouncedDelivery,
    after: Standing,
    edition: Edition,
    *,
    why: str,
    text: str,
    channel: str,
    now: datetime,
) -> BounceAction:
    """End the subscription, unless so many would end at once that a person must look first."""
    assert bounced.subscriber_id is not None  # noqa: S101 - an erased person has no subscription
    person = subscribers.by_id(tx, bounced.subscriber_id)
    if person is None or stronger(person.state, SubscriberState.BOUNCED) is person.state:
        return BounceAction.NOTED
    counted, may = may_suppress(evidence.recent(tx, edition.id), now=now, audience=edition.audience)
    evidence.save_recent(tx, edition.id, counted)
    if may:
        reason = f"It came back: {why}"
        suppress(tx, bounced.subscriber_id, why=reason, now=now, channel=channel, edition_id=edition.id)
        return BounceAction.STOPPED
    held = Standing(state=after.state, later=Later.HELD)
    settled = BouncedDelivery(id=bounced.id, edition_id=edition.id, subscriber_id=bounced.subscriber_id, standing=after)
    evidence.note(tx, settled, held, text=text, reason="", now=now)
    message = (
        f"Very many mails of the edition of {edition.name} came back within ten minutes; the rest of "
        f"these people stay on the list. Look at them with `newsletter bounce list {edition.name}`, then decide with "
        f"`newsletter bounce release {edition.name}` or `newsletter bounce dismiss {edition.name}`."
    )
    alert(tx, Alert(kind=AlertKind.BOUNCES_HELD, about=edition.name, message=message, raised_at=now))
    return BounceAction.HELD


def _complain(
    tx: Tx, bounced: BouncedDelivery, edition: Edition, mail: Report, *, channel: str, now: datetime
) -> BounceAction:
    before = subscribers.locked(tx, bounced.subscriber_id) if bounced.subscriber_id is not None else None
    if before is None:
        return BounceAction.NOTED
    after = complain(before, now=now, why=f"called the edition of {edition.name} unwanted ({mail.summary})")
    consent = Consent(at=now, action="complained", channel=channel, source=mail.summary, edition_id=edition.id)
    move_on(tx, before, after, consent, reason="complained")
    return BounceAction.STOPPED if after != before else BounceAction.NOTED


def _alert_of_blocks(tx: Tx, edition: Edition, verdict: Verdict, text: str, *, now: datetime) -> None:
    """Behind a relay a block of our mail shows here alone."""
    if REFUSED_AS.get(verdict.kind) != "policy":
        return
    count = evidence.refused_for_us(tx, edition.id)
    if count < REFUSALS_MIN or count * 100 <= BLOCKS_PERCENT * edition.audience:
        return
    sample = _ADDRESS.sub("…", text)[:300]
    message = (
        f"{count:,} of {edition.audience:,} mails of the edition of {edition.name} came back because of us, not of the "
        f'readers: the last server said "{sample}". `newsletter bounce list {edition.name}` shows them all.'
    )
    alert(tx, Alert(kind=AlertKind.REFUSED_PEOPLE, about=edition.name, message=message, raised_at=now))


_ADDRESS = re.compile(r"[^\s<>@]{1,64}@[^\s<>@]{1,255}")


def _alert_of_complaints(tx: Tx, edition: Edition, limits: BreakerLimits, *, now: datetime) -> None:
    count, accepted = complaints(tx, edition)
    if not alerts_of_complaints(count, accepted, limits):
        return
    message = (
        f"{count:,} of {accepted:,} readers ({complaint_percent(count, accepted):.2f} %) called the edition of "
        f"{edition.name} unwanted. Gmail and Yahoo want a sender to stay below 0.1 %, and from 0.3 % on put the mail "
        "into the spam folder: does everybody on the list know why they are on it?"
    )
    alert(tx, Alert(kind=AlertKind.COMPLAINTS, about=edition.name, message=message, raised_at=now))


def _leave(tx: Tx, bounced: BouncedDelivery, mail: Report, *, channel: str, now: datetime) -> BounceAction:
    before = subscribers.locked(tx, bounced.subscriber_id) if bounced.subscriber_id is not None else None
    if before is None:
        return BounceAction.KNOWN
    after = unsubscribe(before, now=now, why=f"opted out by the mail provider ({mail.summary})")
    consent = Consent(
        at=now, action="unsubscribed", channel=channel, source=mail.summary, edition_id=bounced.edition_id
    )
    move_on(tx, before, after, consent, reason="unsubscribed")
    return BounceAction.STOPPED if after != before else BounceAction.KNOWN
