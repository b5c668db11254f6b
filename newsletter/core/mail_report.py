"""What came back to the bounce address: a bounce, a delay, a complaint, an automatic answer, or anything else.

In: the mail as bytes, and the address it came to. Out: a `Report`: what it says, in the words of `core/reply.py`, and
the traces by which the delivery may be found, best first. It believes nothing: whose delivery it is, and whether that
is genuine, is settled by the keys in `flows/apply_report.py`. Sources: RFC 3464 and RFC 6522 (delivery reports), RFC
5965 and RFC 6650 (complaints), RFC 3834 (automatic answers).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from html import unescape
from urllib.parse import unquote

from newsletter.core.bounce_words import AWAY, DAEMON, FAILURE, still_waits
from newsletter.core.mail_parts import Headers, Mail, MailPart, every, fields, first, split, take_apart, words
from newsletter.core.reply import FALLBACK, Phase, Reply, judge, parse_reply, strip_control_characters
from newsletter.core.returned_mail import MESSAGE_ID, OPT_OUT, VERP, part_returned


class ReportKind(StrEnum):
    """What a mail to the bounce address is."""

    FAILED = "failed"
    """It did not arrive, for good: a bounce."""
    DELAYED = "delayed"
    """It has not arrived yet; the server goes on trying."""
    ARRIVED = "arrived"
    """A report of success, or of a list that handed it on."""
    COMPLAINT = "complaint"
    """A reader, through the provider, calls it unwanted."""
    LEFT = "left"
    """A reader, through the provider, wants no more of it."""
    OTHER_FEEDBACK = "other-feedback"
    """Feedback that is no complaint: `not-spam`, or about authentication."""
    AUTO_REPLY = "auto-reply"
    """A holiday notice, a read receipt, a challenge."""
    STRANGE = "strange"
    """Anything else: a person's letter, or spam."""


class TraceKind(StrEnum):
    """What a trace is; the order is that of trust."""

    VERP = "return address"
    ENVELOPE_ID = "envelope id"
    UNSUBSCRIBE = "opt-out link"
    MESSAGE_ID = "Message-ID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One text that may name the delivery."""

    kind: TraceKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a mail says."""

    kind: ReportKind
    reply: Reply | None = None
    """What the server said that gave up or waits; None when it is about no such thing."""
    traces: tuple[Trace, ...] = ()
    summary: str = ""
    """In a few words what it was: the type of a complaint, the subject of an answer."""


def read_report(raw: bytes, *, recipient: str = "") -> Report:
    """Read one mail; whatever the bytes, there is a report. `recipient` is where it came to, when that is known."""
    mail = take_apart(raw)
    traces = tuple(dict.fromkeys(_traces(mail, recipient)))
    feedback = mail.find("message/feedback-report")
    if feedback is not None:
        return _feedback(first(_block(feedback), "feedback-type"), traces)
    status = mail.find("message/delivery-status", "message/global-delivery-status")
    if status is not None:
        return _delivery_status(status, mail, traces)
    feedback_type = _informal_complaint(mail)
    if feedback_type:
        return _feedback(feedback_type, traces)
    if _is_bounce(mail):
        return _plain_bounce(mail, traces)
    kind = ReportKind.AUTO_REPLY if _is_automatic(mail) else ReportKind.STRANGE
    return Report(kind=kind, traces=traces, summary=_subject(mail))


# Whose it is.

_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_ARRIVED_AT = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "to", "cc")
_TRACES_MAX = 20
"""Traces of one kind that are looked at: a mail may name our addresses a thousand times to keep us busy."""


def _traces(mail: Mail, recipient: str) -> Iterator[Trace]:
    returned = _returned(mail)
    feedback = _block(mail.find("message/feedback-report"))
    status = _block(mail.find("message/delivery-status", "message/global-delivery-status"))
    came_to = [recipient, *every(mail.headers, *_ARRIVED_AT)]
    came_from = [*every(feedback, "original-mail-from"), *every(returned, "return-path", "x-original-from")]
    for text in _found(VERP, [*came_to, *came_from]):
        yield Trace(kind=TraceKind.VERP, text=text)
    for value in list(every((*status, *feedback), "original-envelope-id"))[:_TRACES_MAX]:
        # Printed as it was given, or still as xtext (RFC 3461 §4).
        for text in dict.fromkeys((value, _XTEXT.sub(lambda match: chr(int(match[1], 16)), value))):
            yield Trace(kind=TraceKind.ENVELOPE_ID, text=text.strip())
    for text in _found(OPT_OUT, map(unquote, every(returned, "list-unsubscribe"))):
        yield Trace(kind=TraceKind.UNSUBSCRIBE, text=text)
    ids = every(returned, "message-id", "cfbl-feedback-id", "x-ms-exchange-parent-message-id")
    for text in _found(MESSAGE_ID, [*every(feedback, "cfbl-feedback-id"), *ids]):
        yield Trace(kind=TraceKind.MESSAGE_ID, text=text)


def _found(pattern: re.Pattern[str], texts: Iterable[str]) -> list[str]:
    matches = (match for text in texts for match in pattern.finditer(text))
    return [match[match.lastindex or 0] for match, _ in zip(matches, range(_TRACES_MAX), strict=False)]


def _returned(mail: Mail) -> Headers:
    """Return the headers of our own mail, as far as they came back: attached, or quoted in the text."""
    part = mail.find(*_RETURNED)
    if part is not None:
        return split(part.text.encode("utf-8", "replace"))[0]
    text = part_returned(_words_of(mail))[1] or _words_of(mail)
    return fields("\n".join(_QUOTE_MARKS.sub("", line) for line in text.splitlines()))


def _block(part: MailPart | None) -> Headers:
    return () if part is None else fields("\n".join(line for line in part.text.splitlines() if line.strip()))


def _words_of(mail: Mail) -> str:
    """Return the text that people read; with what it returns of our mail, if that stands in the text."""
    plain = [part.text for part in mail.parts[:3] if part.kind == "text/plain"]
    html = [part.text for part in mail.parts[:3] if part.kind == "text/html"]
    text = "\n".join(plain or [unescape(_TAG.sub(" ", _LINE_TAG.sub("\n", content))) for content in html])
    return _LINE_END.sub("\n", text)


def _report_words(mail: Mail) -> str:
    """Return what the reporting server wrote itself."""
    return part_returned(_words_of(mail))[0]


_RETURNED = ("message/rfc822", "message/global", "text/rfc822-headers", "message/rfc822-headers")
_LINE_TAG = re.compile(r"<(br|/p|/div|/tr|/li|/h\d|/pre|/table)\b[^<>]{0,200}>", re.IGNORECASE)
_TAG = re.compile(r"<(style|script)\b[^<]*</\1>|<[^<>]*>", re.IGNORECASE)
_LINE_END = re.compile(r"\r\n?")
_QUOTE_MARKS = re.compile(r"^[ \t]*(?:[>|][ \t]?)*")


def _subject(mail: Mail) -> str:
    return strip_control_characters(words(first(mail.headers, "subject")))[:200]


# Complaints (RFC 5965).

_HARMLESS = {"not-spam", "auth-failure", "dmarc"}


def _feedback(feedback_type: str, traces: tuple[Trace, ...]) -> Report:
    kind = strip_control_characters(feedback_type).strip().lower()[:40] or "abuse"
    if kind in _HARMLESS:
        report = ReportKind.OTHER_FEEDBACK
    elif kind.startswith("opt-out"):
        report = ReportKind.LEFT
    else:
        report = ReportKind.COMPLAINT
    return Report(kind=report, traces=traces, summary=kind)


_FEEDBACK_REPORT = re.compile(r"report-type\s*=\s*\"?feedback-report", re.IGNORECASE)
_COMPLAINT = re.compile(
    r"^\s*((fwd?|re): ?)?(complaint (about|from|regarding)|(e-?mail )?(abuse|spam|feedback|complaint) (report"
    r"|notification)"
    r"|(spam|abuse) complaint)",
    re.IGNORECASE,
)


def _informal_complaint(mail: Mail) -> str:
    """Return the type of a complaint that has no part of the type `message/feedback-report`; empty for another mail.

    Some write the fields of the report as text; others attach our mail and say it in the subject alone.
    """
    feedback_type = first(fields(_report_words(mail)), "feedback-type")
    if feedback_type or _FEEDBACK_REPORT.search(first(mail.headers, "content-type")):
        return feedback_type or "abuse"
    returned = mail.find(*_RETURNED)
    if returned is None:
        return ""
    announced = _COMPLAINT.match(_subject(mail)) or "x-hmxmroriginalrecipient" in dict(_returned(mail))
    return "abuse" if announced else ""


# Delivery reports (RFC 3464).

_ENHANCED = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])", re.ASCII)
_VAGUE = re.compile(r"\d\.0\.0")
_CODE = re.compile(r"(?<![\d.#-])([45][0-5]\d)(?=[ \t-]|$)", re.ASCII)
_REFUSED = re.compile(rf"{_CODE.pattern}|(?<![\d.])[45]\.\d{{1,3}}\.\d{{1,3}}(?![\d.])", re.ASCII)
_TAKEN = re.compile(r"2\d\d(?=[ \t-]|$)", re.ASCII)
"""Words of success; a number that follows, such as a size, is no code."""
_TYPED = re.compile(r"\s*[\w.+-]{1,40}\s*;")


def _delivery_status(part: MailPart, mail: Mail, traces: tuple[Trace, ...]) -> Report:
    blocks = [fields(block) for block in re.split(r"\n[ \t]*\n", part.text.replace("\r\n", "\n"))]
    people = [block for block in blocks if any(name in {"action", "status", "final-recipient"} for name, _ in block)]
    if not people:
        return _plain_bounce(mail, traces)
    actions = [_action(block) for block in people]
    # One mail went to one address. Where a list or a forwarding made several of it, one that arrived is enough.
    for kind in (ReportKind.ARRIVED, ReportKind.DELAYED, ReportKind.FAILED):
        if kind in actions:
            block = people[actions.index(kind)]
            break
    reply = _status_reply(block, mail)
    return Report(
        kind=kind,
        reply=replace(reply, enhanced=_SENDER_REFUSED) if _names_our_address(reply, block, mail) else reply,
        traces=traces,
        summary=strip_control_characters(first(block, "action"))[:40],
    )


_SENDER_REFUSED = "5.1.8"
"""Bad sender's system address (RFC 3463 §3.2)."""
_ADDRESS = re.compile(r"[^\s<>;:,()\"']{1,64}@[\w.-]{1,255}")


def _names_our_address(reply: Reply, block: Headers, mail: Mail) -> bool:
    """Tell whether a refusal is about our sender: it names an address of ours, and no recipient."""
    if reply.code // 100 != 5:  # noqa: PLR2004 - first digit of a permanent reply.
        return False
    named = {address.casefold().rstrip(".") for address in _ADDRESS.findall(reply.text)}
    returned = _returned(mail)
    own = [*every(mail.headers, *_ARRIVED_AT), *every(returned, "from", "sender", "return-path", "reply-to")]
    recipients = [*every(block, "final-recipient", "original-recipient"), *every(returned, "to")]
    return bool(named & _addresses(own)) and not named & _addresses(recipients)


def _addresses(values: Iterable[str]) -> set[str]:
    return {address.casefold().rstrip(".") for value in values for address in _ADDRESS.findall(value)}


def _action(block: Headers) -> ReportKind:
    action = first(block, "action").strip().lower()
    if action.startswith(("deliver", "relay", "expand")):
        return ReportKind.ARRIVED
    if action.startswith("delay"):
        return ReportKind.DELAYED
    if action.startswith("fail"):
        return ReportKind.FAILED
    # `Action` is required, and left out all the same. What then says 4 may still be trying.
    return {"2": ReportKind.ARRIVED, "4": ReportKind.DELAYED}.get(first(block, "status")[:1], ReportKind.FAILED)


def _status_reply(block: Headers, mail: Mail) -> Reply:
    """Return what was said, as if it had been said to us."""
    return reported_reply(
        first(block, "diagnostic-code"), status=first(block, "status"), words=lambda: _report_words(mail)
    )


def reported_reply(diagnostic: str, *, status: str, words: Callable[[], str] = str) -> Reply:
    """Return the reply that a report quotes: the text of the server, the status that the reporter gives it.

    A vague status, and one that contradicts a refusal, gives way to the words of the server. `words` is what the
    reporter wrote itself, for a report without a diagnostic text.
    """
    diagnostic = _TYPED.sub("", diagnostic, count=1).strip()
    match = _ENHANCED.search(status)
    enhanced = match[1] if match else ""
    accepted = _TAKEN.match(diagnostic)
    if enhanced.startswith("2") or (accepted and (not enhanced or _VAGUE.fullmatch(enhanced))):
        if accepted or not _REFUSED.search(diagnostic):
            # That it came back is told by `Action` (RFC 3464 §2.3.3). A code of success beside it leaves open why, and
            # what is not told proves nothing against the address.
            text = strip_control_characters(diagnostic).removeprefix("250 ").removeprefix(f"{enhanced} ")
            return Reply(phase=Phase.RCPT, code=250, enhanced=enhanced, text=text[:500])
        enhanced = ""
    inner = _ENHANCED.search(diagnostic)
    # Where the server itself said 4, the reporting server gave up by itself: that is no proof against the address.
    gave_up = inner is not None and inner[1][0] == "4" and enhanced[:1] == "5"
    if inner and inner[1][0] != "2" and (gave_up or not enhanced or _VAGUE.fullmatch(enhanced)):
        enhanced = inner[1]
    if not diagnostic and (not enhanced or _VAGUE.fullmatch(enhanced)):
        return _reply_in(words(), status=enhanced)
    return _reply_in(diagnostic, status=enhanced)


def _reply_in(text: str, *, status: str = "", unknown: int = 550) -> Reply:
    """Return the reply that a text quotes: its code, else the one that its enhanced code stands for."""
    line = " ".join(text.split())
    code = _CODE.search(line)
    inner = _ENHANCED.search(line)
    enhanced = status or (inner[1] if inner and inner[1][0] != "2" else "")
    number = int(code[1]) if code else 0
    if not number or (enhanced and enhanced[0] != str(number)[0]):
        number = 450 if enhanced.startswith("4") else unknown
    words = line[code.end() :] if code and (code.start() == 0 or len(line) > _LONG_LINE_LENGTH) else line
    parsed = parse_reply(number, [words.lstrip(" -")], phase=Phase.RCPT)
    reply = Reply(phase=Phase.RCPT, code=number, enhanced=enhanced or parsed.enhanced, text=parsed.text[:500])
    if not code and (not reply.enhanced or _VAGUE.fullmatch(reply.enhanced)) and judge(reply).rule == FALLBACK:
        # No server refused the address: one on the way gave up, or does not say why.
        return replace(reply, code=450, enhanced=_NO_REASON)
    return reply


_NO_REASON = "4.3.0"
"""Other or undefined mail system status (RFC 3463 §3.4)."""
_LONG_LINE_LENGTH = 300
"""A longer text is a letter that quotes the reply; what stands before it is greeting."""


# Bounces in words alone (qmail, old Exim, and whatever else).

_QMAIL = "This is the qmail-send program"


def _is_bounce(mail: Mail) -> bool:
    if first(mail.headers, "x-failed-recipients") or _QMAIL in _report_words(mail)[:2_000]:
        return True
    if AWAY.match(_subject(mail)) or any(first(mail.headers, name) for name in _AUTOMATIC):
        # An automatic answer of a postmaster may say in any words that mail is not delivered meanwhile.
        return False
    sender = f"{first(mail.headers, 'from')} {first(mail.headers, 'sender')}"
    if not DAEMON.search(sender):
        return False
    subject, text = _subject(mail), _report_words(mail)[:2_000]
    return bool(FAILURE.search(f"{subject} {text}")) or still_waits(subject, text)


def _plain_bounce(mail: Mail, traces: tuple[Trace, ...]) -> Report:
    text, subject = _report_words(mail), _subject(mail)
    if still_waits(subject, text):
        return Report(
            kind=ReportKind.DELAYED, reply=_reply_in(text[:8_000], unknown=450), traces=traces, summary=subject
        )
    return Report(kind=ReportKind.FAILED, reply=_reply_in(text[:8_000]), traces=traces, summary=subject)


# Automatic answers (RFC 3834, and what programs really send).

_AUTOMATIC = ("x-autoreply", "x-autorespond", "x-mail-autoreply", "x-vacation")


def _is_automatic(mail: Mail) -> bool:
    submitted = first(mail.headers, "auto-submitted").partition(";")[0].strip().lower()
    return (
        submitted not in {"", "no"}
        or any(first(mail.headers, name) for name in (*_AUTOMATIC, "x-auto-response-suppress"))
        or first(mail.headers, "precedence").strip().lower() in {"auto_reply", "auto-reply"}
        or first(mail.headers, "x-apple-action").strip().lower() == "vacation"
        or mail.find("message/disposition-notification") is not None
        or bool(AWAY.match(_subject(mail)))
    )
