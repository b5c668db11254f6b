"""Reading one mail that came to the bounce address, and doing what it says if it is genuine.

In: the mail as bytes. Out: what was done, in words. Anybody can write to that address, so only our own keys decide
whose delivery it is; what bears none of our tokens changes nothing. One transaction; twice is as good as once.
"""

from __future__ import annotations

import logging
import re
from datetime import datetime

from newsletter.core.bounce_count import COUNTED, FAILED
from newsletter.core.breaker import REFUSALS_MIN, BreakerLimits
from newsletter.core.delivery import DeliveryId, DeliveryState, Later
from newsletter.core.edition import Edition, EditionStatus
from newsletter.core.evidence import (
    BounceAction,
    Handled,
    Standing,
    may_suppress,
    read_back,
    stands_after,
    unheeded,
    written,
)
from newsletter.core.mail_report import Report, ReportKind, Trace, TraceKind, read_report
from newsletter.core.reply import Verdict, judge
from newsletter.core.subscriber import SubscriberState, complain, stronger, unsubscribe
from newsletter.core.tally import REFUSED_AS
from newsletter.core.token import Keyring, read_unsubscribe_token, read_verp_token
from newsletter.flows.alert import report as alert
from newsletter.flows.alert import settle_alert
from newsletter.flows.bounce import reason_to_stop, suppress
from newsletter.flows.breaker import check
from newsletter.flows.change_subscriber import move_on
from newsletter.flows.resolve import move_totals
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import evidence
from newsletter.store import log as logs
from newsletter.store import subscriber as subscribers
from newsletter.store.alert import Alert, AlertKind
from newsletter.store.evidence import BouncedDelivery
from newsletter.store.subscriber import Consent
from newsletter.store.unit import Tx, Unit
from newsletter.wording import people_words

logger = logging.getLogger(__name__)

BOUNCE_MAIL = "bounce mail"
FEEDBACK = "feedback report"
"""By which way something is known of a person (`Consent.channel`)."""

COMPLAINTS_AT_LEAST, COMPLAINTS_PER_MILLE = 3, 3
"""Gmail and Yahoo stop trusting a sender at 0.3 % complaints; of a few people one says nothing."""

BLOCKS_PERCENT = 2
"""Share of an edition that may come back because of us before somebody is told; never for fewer than `AT_LEAST`."""

_TEXT_LENGTH = 500


def read_bounce(
    unit: Unit,
    keyring: Keyring,
    raw: bytes,
    *,
    recipient: str = "",
    limits: BreakerLimits | None = None,
    now: datetime,
) -> Handled:
    """Do what one mail says; `recipient` is the address it came to, as the mail server names it.

    With `limits` an edition that still goes out is paused when too much of it comes back.
    """
    mail = read_report(raw, recipient=recipient)
    idle = unheeded(mail)
    if idle is not None:
        return idle
    with unit.write() as tx:
        bounced = _find(tx, keyring, mail.traces)
        if bounced is None:
            # Its words are not repeated: a stranger wrote them.
            logger.warning(
                "ignored a returned mail of kind %r: it has no valid token of this newsletter", mail.kind.value
            )
            return Handled(kind=mail.kind, action=BounceAction.UNKNOWN)
        edition = editions.by_id(tx, bounced.edition_id)
        action = _act(tx, bounced, edition, mail, now=now)
    if limits is not None and mail.kind is ReportKind.FAILED and edition.status is EditionStatus.SENDING:
        check(unit, edition.id, limits, now=now)
    words = written(mail.reply) if mail.reply else mail.summary
    return Handled(kind=mail.kind, action=action, edition=edition.name, words=words)


def _find(tx: Tx, keyring: Keyring, traces: tuple[Trace, ...]) -> BouncedDelivery | None:
    """Return the delivery that the first genuine trace names."""
    for trace in traces:
        delivery_id = _delivery(tx, keyring, trace)
        row = evidence.find(tx, delivery_id) if delivery_id is not None else None
        if row is not None:
            return row
    return None


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


def _act(tx: Tx, bounced: BouncedDelivery, edition: Edition, mail: Report, *, now: datetime) -> BounceAction:
    if mail.kind is ReportKind.LEFT:
        return _leave(tx, bounced, mail, now=now)
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
    if why:
        action = _stop(tx, bounced, after, edition, why=why, text=text, now=now)
    if mail.kind is ReportKind.COMPLAINT:
        action = _complain(tx, bounced, edition, mail, now=now)
    return action


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
    tx: Tx, bounced: BouncedDelivery, after: Standing, edition: Edition, *, why: str, text: str, now: datetime
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
        suppress(tx, bounced.subscriber_id, why=reason, now=now, channel=BOUNCE_MAIL, edition_id=edition.id)
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


def _complain(tx: Tx, bounced: BouncedDelivery, edition: Edition, mail: Report, *, now: datetime) -> BounceAction:
    _alert_of_complaints(tx, edition, now=now)
    before = subscribers.locked(tx, bounced.subscriber_id) if bounced.subscriber_id is not None else None
    if before is None:
        return BounceAction.NOTED
    after = complain(before, now=now, why=f"called the edition of {edition.name} unwanted ({mail.summary})")
    consent = Consent(at=now, action="complained", channel=FEEDBACK, source=mail.summary, edition_id=edition.id)
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


def _alert_of_complaints(tx: Tx, edition: Edition, *, now: datetime) -> None:
    count = deliveries.later_counts(tx, edition.id).get(Later.COMPLAINED, 0)
    if count < COMPLAINTS_AT_LEAST or count * 1000 < COMPLAINTS_PER_MILLE * edition.audience:
        return
    message = (
        f"{count:,} of {edition.audience:,} readers called the edition of {edition.name} unwanted. From 0.3 % on, "
        "Gmail and Yahoo put a sender's mail into the spam folder: does everybody on the list know why they are on it?"
    )
    alert(tx, Alert(kind=AlertKind.COMPLAINTS, about=edition.name, message=message, raised_at=now))


def _leave(tx: Tx, bounced: BouncedDelivery, mail: Report, *, now: datetime) -> BounceAction:
    before = subscribers.locked(tx, bounced.subscriber_id) if bounced.subscriber_id is not None else None
    if before is None:
        return BounceAction.KNOWN
    after = unsubscribe(before, now=now, why=f"opted out by the mail provider ({mail.summary})")
    consent = Consent(
        at=now, action="unsubscribed", channel=FEEDBACK, source=mail.summary, edition_id=bounced.edition_id
    )
    move_on(tx, before, after, consent, reason="unsubscribed")
    return BounceAction.STOPPED if after != before else BounceAction.KNOWN


def settle_held(unit: Unit, edition: Edition, *, stop: bool, who: str, now: datetime) -> int:
    """Decide about the bounces of an edition that were held: end those subscriptions, or let them go on."""
    count = 0
    with unit.write() as tx:
        for bounced in evidence.held(tx, edition.id):
            count += 1
            after = Standing(state=bounced.standing.state, later=Later.BOUNCED if stop else Later.NOTHING)
            evidence.note(tx, bounced, after, text=bounced.text if stop else "", reason="", now=now)
            if stop and bounced.subscriber_id is not None:
                why = f"It came back: {bounced.text}"
                suppress(tx, bounced.subscriber_id, why=why, now=now, channel=BOUNCE_MAIL, edition_id=edition.id)
        settle_alert(tx, AlertKind.BOUNCES_HELD, edition.name, now=now)
        if count:
            noun = "bounce release" if stop else "bounce dismiss"
            logs.add(tx, logs.LogEntry(at=now, who=who, what=noun, about=edition.name, why=people_words(count)))
    return count
