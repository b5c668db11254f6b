"""The texts of reports, alerts and other notices.

In: editions, receipts, alerts. Out: letters. `core/monitor.py` and `core/alert.py` decide whether a letter is written,
and the notice sender sends it.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from newsletter.core.alert import HEADLINES, AlertKind
from newsletter.core.cadence import Slot, describe_date, describe_instant, describe_span
from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import Edition, EditionStatus
from newsletter.core.lineup import Choice
from newsletter.core.notice import NoticeKind
from newsletter.core.proof import Change
from newsletter.core.receipt import Receipt
from newsletter.core.token import ActionKind
from newsletter.core.wave import next_wave
from newsletter.flows.proof import NoticeContext
from newsletter.render.notice import Action, Command, Fact, NoticeBody, Words
from newsletter.store.alert import Alert
from newsletter.wording import people_words, plural

LINKS_LAST = timedelta(days=7)

NAMES = (
    (DeliveryState.REJECTED, "Who was refused"),
    (DeliveryState.UNCERTAIN, "Who may have it or not"),
    (DeliveryState.EXPIRED, "Who was given up"),
    (DeliveryState.SKIPPED, "Who was left out"),
    (DeliveryState.DEFERRED, "Who still waits"),
)
"""The states other than accepted, with the words for their people."""


_REMEDIES: dict[AlertKind, tuple[tuple[str, str], ...]] = {
    AlertKind.MISSED_SLOT: (("See what goes out next", "newsletter queue"),),
    AlertKind.EMPTY_AHEAD: (
        ("Approve a tip", "newsletter tip approve TIP"),
        ("Or skip the date", "newsletter slot skip {about}"),
    ),
    AlertKind.EMPTY_SLOT: (
        ("Approve a tip", "newsletter tip approve TIP"),
        ("Or skip the date", "newsletter slot skip {about}"),
    ),
    AlertKind.LOW_STOCK: (("Begin another tip", "newsletter tip new"), ("See what goes out when", "newsletter queue")),
    AlertKind.STRANDED_PIN: (
        ("Pin it to another date", "newsletter tip pin {about} DATE"),
        ("Or put it back into the queue", "newsletter tip unpin {about}"),
    ),
    AlertKind.CANNOT_FREEZE: (
        ("Edit the tip", "newsletter tip edit TIP"),
        ("Or skip the date", "newsletter slot skip {about}"),
    ),
    AlertKind.PROOF: (("Make the proof again", "newsletter edition proof {about}"),),
    AlertKind.EXPIRED_PEOPLE: (
        ("See who", "newsletter delivery list --edition {about} --state expired"),
        ("Send to them after all", "newsletter edition retry {about} --expired"),
    ),
    AlertKind.REFUSED_PEOPLE: (
        ("See who, and the replies", "newsletter delivery list --edition {about} --state rejected"),
        ("Try them again", "newsletter edition retry {about} --rejected"),
    ),
    AlertKind.EDITION_PAUSED: (
        ("See how far it is", "newsletter edition show {about}"),
        ("Go on", "newsletter edition resume {about}"),
    ),
    AlertKind.BOUNCES_HELD: (
        ("See which", "newsletter bounce list {about}"),
        ("Count them after all", "newsletter bounce release {about}"),
    ),
    AlertKind.COMPLAINTS: (("See its report", "newsletter edition show {about}"),),
    AlertKind.RELAY: (("Check the mail server", "newsletter doctor"),),
    AlertKind.SENDER_SILENT: (("Start the service", "newsletter run"),),
    AlertKind.SCHEDULER_SILENT: (("Start the service", "newsletter run"),),
    AlertKind.DISK: (("Look again when there is room", "newsletter doctor"),),
    AlertKind.DATABASE: (("Check the database", "newsletter db check"),),
    AlertKind.HELD: (("Let this database send", "newsletter db adopt"),),
    AlertKind.BOUNCE_MAILBOX: (("Try it", "newsletter bounce fetch"), ("Check the settings", "newsletter doctor")),
    AlertKind.SIGNUP_FLOOD: (("Look at what happens", "newsletter status"),),
}
"""The commands against each kind of trouble; `{about}` is the subject of the alert."""

_DATE_KINDS = {AlertKind.EMPTY_AHEAD, AlertKind.EMPTY_SLOT, AlertKind.CANNOT_FREEZE, AlertKind.PROOF}
"""Alerts about a date that is still open: a link skips it."""


def alert_commands(alert: Alert) -> list[Command]:
    """Return the commands that mend a trouble."""
    return [Command(purpose=text, line=line.format(about=alert.about)) for text, line in _REMEDIES[alert.kind]]


def _alert_actions(notice_context: NoticeContext, alert: Alert, edition: Edition | None) -> list[Action]:
    ends = alert.raised_at + LINKS_LAST
    if alert.kind in _DATE_KINDS:
        day = date.fromisoformat(alert.about)
        url = notice_context.link(ActionKind.SKIP, day.toordinal(), expires_at=ends)
        return [Action(label="Skip this date", url=url, note="No mail goes out on it.")]
    if edition is not None and edition.status in {EditionStatus.SENDING, EditionStatus.PAUSED}:
        url = notice_context.link(ActionKind.CANCEL, edition.id, expires_at=ends)
        return [Action(label="Cancel it", url=url, note="No further reader gets it, for good.")]
    return []


def alert_letter(
    notice_context: NoticeContext, alert: Alert, *, others: int, edition: Edition | None = None
) -> NoticeBody:
    """Return the mail about trouble, with the commands and links that mend it; `edition` is its edition."""
    since = describe_instant(alert.raised_at, notice_context.plan.cadence.zone)
    facts = [Fact(label="Since", value=Words(since))]
    if others:
        also = plural(others, "more thing needs", "more things need")
        facts.append(Fact(label="Also", value=Words(f"{also} a person: `newsletter status`")))
    return NoticeBody(
        kind=NoticeKind.ALERT,
        subject=_headline(alert),
        heading=_capital(_headline(alert)),
        lead=[Words(alert.message)],
        facts=facts,
        actions=_alert_actions(notice_context, alert, edition),
        commands=alert_commands(alert),
    )


def _headline(alert: Alert) -> str:
    """Return the trouble with its date: after a long stop several mails come at once."""
    try:
        day = date.fromisoformat(alert.about)
    except ValueError:
        return HEADLINES[alert.kind]
    return f"{HEADLINES[alert.kind]} ({describe_date(day)})"


def passed_letter(notice_context: NoticeContext, alert: Alert) -> NoticeBody:
    """Return the mail that trouble is over."""
    zone = notice_context.plan.cadence.zone
    ended = alert.cleared_at or alert.raised_at
    return NoticeBody(
        kind=NoticeKind.PASSED,
        subject=_headline(alert),
        heading="It has passed",
        lead=[Words(f"The alert was: {alert.message}")],
        facts=[
            Fact(label="Since", value=Words(describe_instant(alert.raised_at, zone))),
            Fact(label="Until", value=Words(describe_instant(ended, zone))),
            Fact(label="It lasted", value=Words(describe_span(ended - alert.raised_at))),
        ],
    )


def command_text(notice_context: NoticeContext, alert: Alert) -> str:
    """Return the text for the operator's command: the same in a few lines."""
    since = describe_instant(alert.raised_at, notice_context.plan.cadence.zone)
    name = notice_context.render_context.publication.name
    commands = "".join(f"{command.purpose}: {command.line}\n" for command in alert_commands(alert))
    return f"{name}: {_headline(alert)}\n{alert.message}\n{commands}Since {since}. No mail about it could be sent.\n"


def sending_letter(notice_context: NoticeContext, edition: Edition, receipt: Receipt, *, now: datetime) -> NoticeBody:
    """Return the mail that an edition is going out, with the ways to stop it."""
    tried = receipt.edition.audience - receipt.counts.open
    ends = now + LINKS_LAST
    return NoticeBody(
        kind=NoticeKind.SENDING,
        subject=f"“{edition.title}” is going out",
        heading=f"“{edition.title}” is going out",
        lead=[Words("If all is well, there is nothing to do: the delivery report follows when it is through.")],
        facts=[
            Fact(label="So far", value=Words(f"{tried:,} of {people_words(receipt.edition.audience)}")),
            Fact(label="Began", value=Words(describe_instant(edition.started_at, notice_context.plan.cadence.zone))),
            *_next_wave(receipt, notice_context.plan.cadence.zone, now),
            Fact(label="Why this tip", value=Words(edition.tip.why)),
        ],
        actions=[
            Action(
                label="Pause it",
                url=notice_context.link(ActionKind.PAUSE, edition.id, expires_at=ends),
                note="No further reader gets it until it is resumed.",
            ),
            Action(
                label="Cancel it",
                url=notice_context.link(ActionKind.CANCEL, edition.id, expires_at=ends),
                note="No further reader gets it, for good.",
            ),
        ],
        commands=[
            Command(purpose="Look on", line=f"newsletter edition watch {edition.name}"),
            Command(purpose="Pause it", line=f"newsletter edition pause {edition.name}"),
            Command(purpose="Cancel it for good", line=f"newsletter edition cancel {edition.name}"),
        ],
    )


def _next_wave(receipt: Receipt, zone: str, now: datetime) -> list[Fact]:
    wave = next_wave(receipt.waves, now)
    if wave is None:
        return []
    text = f"{wave.label}: {people_words(wave.people)}, {describe_instant(wave.not_before, zone)}"
    return [Fact(label="Next wave", value=Words(text))]


def report_letter(notice_context: NoticeContext, edition: Edition, receipt: Receipt) -> NoticeBody:
    """Return the delivery report."""
    zone = notice_context.plan.cadence.zone
    reached = f"{receipt.counts.accepted:,} of {receipt.edition.audience:,}"
    facts = [
        Fact(label="Tip", value=Words(f"“{edition.title}”, {edition.tip.why}")),
        Fact(label="Began", value=Words(describe_instant(edition.started_at, zone))),
    ]
    if edition.finished_at is not None:
        facts.append(Fact(label="Took", value=Words(describe_span(edition.finished_at - edition.started_at))))
    if edition.status is EditionStatus.CANCELLED:
        facts.append(Fact(label="Cancelled", value=Words(edition.status_why or "by a person")))
    lead = [Words(sentence) for sentence in receipt.sentences(lambda at: describe_instant(at, zone))]
    if edition.finished_at is None:
        lead.append(
            Words(f"Those who wait are tried on; `newsletter edition show {edition.name}` has the final report.")
        )
    return NoticeBody(
        kind=NoticeKind.REPORT,
        subject=f"{reached}: “{edition.title}”",
        heading=f"{reached} handed over: “{edition.title}”",
        lead=lead,
        facts=facts,
        commands=[
            Command(purpose=what, line=f"newsletter delivery list --edition {edition.name} --state {state.value}")
            for state, what in NAMES
            if receipt.counts[state]
        ],
    )


def withdrawn_letter(choice: Choice, change: Change) -> NoticeBody:
    """Return the mail that the tip of a proof will not go out."""
    day = describe_date(choice.slot.date)
    noun = "is skipped" if change is Change.SKIPPED else "has nothing to send"
    return NoticeBody(
        kind=NoticeKind.WITHDRAWN,
        subject=f"Changed: {day} {noun}",
        heading=f"{day} {noun}",
        lead=[Words(f"Changed since the last proof: {choice.why}. No mail goes out on this date as it stands.")],
        commands=_ways_back(choice.slot, change),
    )


def _ways_back(slot: Slot, change: Change) -> list[Command]:
    if change is Change.SKIPPED:
        return [Command(purpose="Send on it after all", line=f"newsletter slot unskip {slot.date}")]
    return [
        Command(purpose="See what there is", line="newsletter queue"),
        Command(purpose="Choose a tip for it", line=f"newsletter tip pin TIP {slot.date}"),
    ]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
