"""A proof: the mail of a date as its readers will get it, with everything an editor needs on top.

In: what will go out, and whom to show it to. Out: a whole message. It is counted nowhere, its opt-out link belongs to
no subscriber, and what it shows has passed every gate that the freeze has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from newsletter.core.address import parse_address
from newsletter.core.cadence import Slot, brief_instant, describe_date, describe_instant, describe_slot, describe_span
from newsletter.core.edition import Edition
from newsletter.core.lineup import Choice
from newsletter.core.message import Recipient
from newsletter.core.notice import NoticeKey, NoticeKind, notice_message_id
from newsletter.core.proof import Change
from newsletter.core.series import SeriesPlace
from newsletter.core.subscriber import Subscriber, SubscriberId
from newsletter.core.tip import Tip
from newsletter.core.token import ActionKind, ActionToken, Keyring, make_action_token, make_unsubscribe_token
from newsletter.errors import InputError
from newsletter.flows.freeze import RenderContext
from newsletter.flows.plan import Outlook, PlanRules
from newsletter.flows.preview import compile_tip, recipient_of
from newsletter.render.environment import templates_digest
from newsletter.render.mime import CompiledMessage
from newsletter.render.notice import Action, Command, Fact, NoticeBody, Original, Stamp, Words, compose
from newsletter.store import subscriber as subscribers
from newsletter.store.unit import Unit
from newsletter.wording import people_words

NO_SUBSCRIBER = SubscriberId(0)
"""Whose opt-out link a proof bears: trying it out unsubscribes no one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeContext:
    """Who looks after this newsletter, and what their mails are made with."""

    render_context: RenderContext
    keyring: Keyring
    plan: PlanRules
    admins: tuple[str, ...] = ()
    editors: tuple[str, ...] = ()
    """Who gets proofs; the admins unless others are named."""

    @property
    def digest(self) -> str:
        """Return what stands for everything but the tip that decides the bytes of a mail."""
        files = templates_digest(self.render_context.templates, "email/edition/")
        return hashlib.sha256(f"{self.render_context.publication!r}{files}".encode()).hexdigest()

    def link(self, kind: ActionKind, target: int, *, expires_at: datetime, guard: int = 0) -> str:
        """Return the address of a page that does one thing, once its button is pressed."""
        action = ActionToken(kind=kind, target=target, guard=guard, expires_at=expires_at)
        return f"{self.render_context.publication.base_url}/a/{make_action_token(self.keyring, action)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One mail that passed the gates, ready to be shown to several editors."""

    letter: NoticeBody
    compiled: CompiledMessage


def make_proof(
    notice_context: NoticeContext,
    choice: Choice,
    outlook: Outlook,
    change: Change,
    *,
    now: datetime,
    series: SeriesPlace | None = None,
) -> Proof:
    """Render the mail of a date; raise `InputError` when there is none, or when a gate refuses it."""
    if choice.tip is None:
        raise InputError(f"nothing goes out on {describe_date(choice.slot.date)}: {choice.why}")
    compiled = compile_tip(notice_context.render_context, choice.tip, on=choice.slot.date, series=series)
    letter = _letter(notice_context, choice, choice.tip, outlook, change=change, now=now)
    warnings = [Fact(label="Please look", value=Words(warning)) for warning in (*choice.warnings, *compiled.warnings)]
    return Proof(letter=replace(letter, facts=(*letter.facts, *warnings)), compiled=compiled)


def preview_proof(tip: Tip, compiled: CompiledMessage, coming: date | None) -> Proof:
    """Show a tip that somebody works on; `coming` is the date on which it goes out as things stand."""
    when = f"As things stand, it goes out on {describe_date(coming)}." if coming else "No date is planned for it."
    letter = NoticeBody(
        kind=NoticeKind.PROOF,
        subject="Preview",
        heading=f"“{tip.title}” as its readers would get it",
        lead=[Words(f"This is a preview of a tip that is {tip.status.value}. {when}")],
        facts=[Fact(label="Please look", value=Words(warning)) for warning in compiled.warnings],
        commands=[Command(purpose="Edit it", line=f"newsletter tip edit {tip.slug}")],
    )
    return Proof(letter=letter, compiled=compiled)


def frozen_proof(notice_context: NoticeContext, edition: Edition, content: str) -> Proof:
    """Show an edition that has begun, as it was frozen."""
    began = describe_instant(edition.started_at, notice_context.plan.cadence.zone)
    letter = NoticeBody(
        kind=NoticeKind.PROOF,
        subject=f"Proof of {edition.name}",
        heading=f"“{edition.title}” began to go out on {began}",
        lead=[Words("What you see was frozen then; nothing can change it any more.")],
        facts=[
            Fact(label="To", value=Words(people_words(edition.audience))),
            Fact(label="Why this tip", value=Words(edition.tip.why)),
            Fact(label="It is", value=Words(edition.status.value)),
        ],
        commands=[Command(purpose="Its report", line=f"newsletter edition show {edition.name}")],
    )
    return Proof(letter=letter, compiled=CompiledMessage.from_json(content))


def proof_for(
    unit: Unit, notice_context: NoticeContext, proof: Proof, email: str, key: NoticeKey, *, now: datetime
) -> str:
    """Return the message for one editor, with the values of her own subscription if she has one."""
    publication = notice_context.render_context.publication
    address = parse_address(email)
    if not address.smtp.isascii():
        raise InputError(f"{email} has letters before the @ that many mail servers refuse; name another address")
    with unit.read() as tx:
        reader = subscribers.by_canonical(tx, address.canonical)
    person = _recipient(notice_context, reader, address.smtp, now)
    original = Original(text=proof.compiled.text(person), html=proof.compiled.html(person))
    letter = replace(proof.letter, subject=f"{proof.letter.subject}: {proof.compiled.subject(person)}")
    if address.canonical not in {
        parse_address(editor).canonical for editor in (*notice_context.editors, *notice_context.admins)
    }:
        # A person asked for an opinion gets the mail, and no links that skip it.
        letter = replace(letter, actions=())
    domain = publication.from_email.rpartition("@")[2]
    stamp = Stamp(to=address.smtp, message_id=notice_message_id(key, address.smtp, now, domain), date=now)
    return compose(letter, publication, notice_context.render_context.templates, stamp, original=original)


def _recipient(notice_context: NoticeContext, reader: Subscriber | None, email: str, now: datetime) -> Recipient:
    token = make_unsubscribe_token(notice_context.keyring, NO_SUBSCRIBER)
    url = f"{notice_context.render_context.publication.base_url}/u/{token}"
    if reader is None:
        # An editor who is no subscriber sees the mail of a person without a name.
        return Recipient(email=email, fields={"email": email}, unsubscribe_url=url, message_id="proof", date=now)
    return replace(recipient_of(notice_context.render_context, reader, now=now), unsubscribe_url=url)


def _letter(
    notice_context: NoticeContext, choice: Choice, tip: Tip, outlook: Outlook, *, change: Change, now: datetime
) -> NoticeBody:
    slot, zone = choice.slot, notice_context.plan.cadence.zone
    when = describe_slot(slot, zone)
    changed = CHANGED.get(change, "")
    lead = "If all is well, there is nothing to do."
    facts = [
        *([Fact(label="Changed", value=Words(changed))] if changed else []),
        Fact(label="When", value=Words(f"{when} ({_from_now(slot, now)})")),
        Fact(label="To", value=Words(_audience(outlook))),
        *_waves(outlook, choice, zone),
        Fact(label="Why this tip", value=Words(choice.why)),
        *_stock(outlook, notice_context, slot),
    ]
    return NoticeBody(
        kind=NoticeKind.PROOF,
        subject=f"{'Changed proof' if changed else 'Proof'} for {describe_date(slot.date)}",
        heading=f"“{tip.title}” goes out on {describe_date(slot.date)}",
        lead=[Words(lead)],
        facts=facts,
        actions=_actions(notice_context, slot, tip),
        commands=_commands(slot, tip),
    )


CHANGED = {
    Change.TIP: "another tip goes out than the last proof showed",
    Change.TIME: "it goes out at another time than the last proof said",
    Change.EDITED: "the mail was edited since the last proof",
}
"""What a second proof says first."""


def _from_now(slot: Slot, now: datetime) -> str:
    return f"in {describe_span(slot.sends_at - now)}" if slot.sends_at > now else "due now"


def _audience(outlook: Outlook) -> str:
    people = f"{people_words(outlook.audience)}, as of now"
    if not outlook.takes:
        return people
    about = "about " if outlook.takes >= timedelta(minutes=1) else ""
    return f"{people}; it takes {about}{describe_span(outlook.takes)}"


def _waves(outlook: Outlook, choice: Choice, zone: str) -> list[Fact]:
    """Tell how the mail goes round the world; a row for each wave would push everything else out of sight."""
    waves = outlook.waves_of(choice)
    if not waves:
        return []
    text = [
        f"{wave.people:,} in {wave.label} ({brief_instant(wave.not_before, zone)})" for wave in waves[:WAVES_SHOWN_MAX]
    ]
    rest = waves[WAVES_SHOWN_MAX:]
    if rest:
        text.append(f"{sum(wave.people for wave in rest):,} in {len(rest)} further waves (`newsletter queue`)")
    return [Fact(label="In waves", value=Words("; ".join(text)))]


WAVES_SHOWN_MAX = 6


def _stock(outlook: Outlook, notice_context: NoticeContext, slot: Slot) -> list[Fact]:
    facts = []
    after = next((choice for choice in outlook.choices if choice.slot.sends_at > slot.sends_at), None)
    if after is not None:
        noun = f"“{after.tip.title}”" if after.tip else after.why
        facts.append(Fact(label="After it", value=Words(f"{describe_date(after.slot.date)}: {noun}")))
    low = notice_context.plan.lineup.low_stock_weeks
    if outlook.stock.fresh < low:
        facts.append(Fact(label="Low stock", value=Words(f"{outlook.stock.describe()}, this one included")))
    return facts


def _actions(notice_context: NoticeContext, slot: Slot, tip: Tip) -> Sequence[Action]:
    day = slot.date.toordinal()
    ends = slot.sends_at + timedelta(minutes=1)
    return (
        Action(
            label="Send the next tip instead",
            url=notice_context.link(ActionKind.SWAP, day, guard=tip.id, expires_at=ends),
            note="This one waits for the next date.",
        ),
        Action(
            label="Skip this date",
            url=notice_context.link(ActionKind.SKIP, day, expires_at=ends + notice_context.plan.grace),
            note="No mail goes out on it.",
        ),
    )


def _commands(slot: Slot, tip: Tip) -> Sequence[Command]:
    day = slot.date
    return (
        Command(purpose="Edit it", line=f"newsletter tip edit {tip.slug}"),
        Command(purpose="Send another tip", line=f"newsletter tip pin TIP {day}"),
        Command(purpose="Skip the date", line=f"newsletter slot skip {day} --because WHY"),
        Command(purpose="Stop it once it has begun", line=f"newsletter edition pause {day}"),
    )
