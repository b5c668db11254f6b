"""What reports, alerts and their like say, in words.

In: editions, receipts, alerts. Out: letters. Nothing here decides whether a letter is written (`core/monitor.py`,
`core/alert.py`), and nothing sends it.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from newsletter.core.alert import HEADLINES
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

LINKS_LAST = timedelta(days=7)

NAMES = (
    (DeliveryState.REJECTED, "Who was refused"),
    (DeliveryState.UNCERTAIN, "Who may have it or not"),
    (DeliveryState.EXPIRED, "Who was given up"),
    (DeliveryState.SKIPPED, "Who was left out"),
    (DeliveryState.DEFERRED, "Who still waits"),
)
"""The counts that are not so good, and what their people are called."""


def alert_letter(notice_context: NoticeContext, alert: Alert, *, others: int) -> NoticeBody:
    """Tell of trouble."""
    since = describe_instant(alert.raised_at, notice_context.plan.cadence.zone)
    facts = [Fact(label="Since", value=Words(since))]
    if others:
        also = "1 more thing needs" if others == 1 else f"{others} more things need"
        facts.append(Fact(label="Also", value=Words(f"{also} a person: `newsletter status`")))
    return NoticeBody(
        kind=NoticeKind.ALERT,
        subject=_headline(alert),
        heading=_capital(_headline(alert)),
        lead=[Words(alert.message)],
        facts=facts,
    )


def _headline(alert: Alert) -> str:
    """Say what is wrong, and with which date: after a long stop several mails come at once."""
    try:
        day = date.fromisoformat(alert.about)
    except ValueError:
        return HEADLINES[alert.kind]
    return f"{HEADLINES[alert.kind]} ({describe_date(day)})"


def passed_letter(notice_context: NoticeContext, alert: Alert) -> NoticeBody:
    """Tell that trouble is over."""
    zone = notice_context.plan.cadence.zone
    ended = alert.cleared_at or alert.raised_at
    return NoticeBody(
        kind=NoticeKind.PASSED,
        subject=_headline(alert),
        heading="It has passed",
        lead=[Words(f"What was told: {alert.message}")],
        facts=[
            Fact(label="Since", value=Words(describe_instant(alert.raised_at, zone))),
            Fact(label="Until", value=Words(describe_instant(ended, zone))),
            Fact(label="It lasted", value=Words(describe_span(ended - alert.raised_at))),
        ],
    )


def command_text(notice_context: NoticeContext, alert: Alert) -> str:
    """Return what the operator's command is handed: the same in a few lines."""
    since = describe_instant(alert.raised_at, notice_context.plan.cadence.zone)
    name = notice_context.render_context.publication.name
    return f"{name}: {_headline(alert)}\n{alert.message}\nSince {since}. No mail about it could be sent.\n"


def sending_letter(notice_context: NoticeContext, edition: Edition, receipt: Receipt, *, now: datetime) -> NoticeBody:
    """Tell that an edition is going out, and how to stop it."""
    tried = receipt.audience - receipt.open
    ends = now + LINKS_LAST
    return NoticeBody(
        kind=NoticeKind.SENDING,
        subject=f"“{edition.title}” is going out",
        heading=f"“{edition.title}” is going out",
        lead=[Words("If all is well, there is nothing to do: the delivery report follows when it is through.")],
        facts=[
            Fact(label="So far", value=Words(f"{tried:,} of {receipt.audience:,} people")),
            Fact(label="Began", value=Words(describe_instant(edition.started_at, notice_context.plan.cadence.zone))),
            *_next_wave(receipt, notice_context.plan.cadence.zone, now),
            Fact(label="Why this tip", value=Words(edition.why)),
        ],
        actions=[
            Action(
                label="Pause it",
                url=notice_context.link(ActionKind.PAUSE, edition.id, expires_at=ends),
                note="Nobody more gets it until it is resumed.",
            ),
            Action(
                label="Cancel it",
                url=notice_context.link(ActionKind.CANCEL, edition.id, expires_at=ends),
                note="Nobody more gets it, for good.",
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
    people = "1 person" if wave.people == 1 else f"{wave.people:,} people"
    text = f"{wave.label}: {people}, {describe_instant(wave.not_before, zone)}"
    return [Fact(label="Next wave", value=Words(text))]


def report_letter(notice_context: NoticeContext, edition: Edition, receipt: Receipt) -> NoticeBody:
    """Tell what became of everybody."""
    zone = notice_context.plan.cadence.zone
    reached = f"{receipt.accepted:,} of {receipt.audience:,}"
    facts = [
        Fact(label="Tip", value=Words(f"“{edition.title}”, {edition.why}")),
        Fact(label="Began", value=Words(describe_instant(edition.started_at, zone))),
    ]
    if edition.finished_at is not None:
        facts.append(Fact(label="Took", value=Words(describe_span(edition.finished_at - edition.started_at))))
    if edition.status is EditionStatus.CANCELLED:
        facts.append(Fact(label="Cancelled", value=Words(edition.status_why or "by a person")))
    lead = [Words(sentence) for sentence in receipt.sentences(lambda at: describe_instant(at, zone))]
    if edition.finished_at is None:
        lead.append(Words("Those who wait are tried on. Who is given up in the end is told by an alert."))
    return NoticeBody(
        kind=NoticeKind.REPORT,
        subject=f"{reached}: “{edition.title}”",
        heading=f"{reached} handed over: “{edition.title}”",
        lead=lead,
        facts=facts,
        commands=[
            Command(purpose=what, line=f"newsletter delivery list --edition {edition.name} --state {state.value}")
            for state, what in NAMES
            if receipt.count(state)
        ],
    )


def withdrawn_letter(choice: Choice, change: Change) -> NoticeBody:
    """Tell that what a proof showed will not go out."""
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
