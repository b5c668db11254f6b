"""Mailjet: an event or a group of events a request, with a password of yours in the address (HTTP Basic).

In: a request. Out: `Evidence`. Mailjet signs nothing. Source: Mailjet's documentation, "Event API".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from newsletter.core.mail_report import ReportKind
from newsletter.core.reply import Reply
from newsletter.core.webhooks.base import (
    Evidence,
    HookContent,
    HookRequest,
    check_password,
    count_kinds,
    known_from_before,
    objects_in,
    parse_json,
    refusal,
    summary_of,
    text_at,
    traces_in,
    unix_time,
    value_at,
)

_KINDS = frozenset({"blocked", "bounce", "click", "open", "sent", "spam", "unsub"})
_SIMPLE = {"sent": ReportKind.ARRIVED, "spam": ReportKind.COMPLAINT, "unsub": ReportKind.LEFT}

STATUSES = {
    "user unknown": "5.1.1",
    "mailbox inactive": "5.2.1",
    "quota exceeded": "5.2.2",
    "invalid domain": "5.1.2",
    "no mail host": "5.1.2",
    "relay/access denied": "5.7.1",
    "sender blocked": "5.7.1",
    "blacklisted": "5.7.1",
    "spam reporter": "5.7.1",
    "policy issue": "5.7.1",
    "content blocked": "5.7.1",
    "bad or empty template": "5.7.1",
    "error in template language": "5.7.1",
    "header issue": "5.7.1",
    "preblocked": "5.7.1",
    "duplicate in campaign": "5.3.0",
    "greylisted": "4.7.1",
    "system issue": "4.3.0",
    "protocol issue": "4.3.0",
    "connection issue": "4.4.1",
}
"""What Mailjet's own words for an error mean, where it does not give those of the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailjetWebhook:
    """The webhook of Mailjet."""

    passwords: Sequence[str] = field(repr=False)
    provider: str = "mailjet"
    body_bytes_max: int = 4_000_000

    def verify(self, request: HookRequest) -> None:
        """Check the password."""
        check_password(request.headers, self.passwords)

    def read(self, request: HookRequest) -> HookContent:
        """Read the events of a request."""
        events = objects_in(parse_json(request.body))
        kinds = count_kinds((text_at(event, "event") for event in events), _KINDS)
        return HookContent(evidence=tuple(map(_evidence, events)), kinds=kinds)


def _evidence(event: Mapping[str, object]) -> Evidence:
    name, error = text_at(event, "event"), text_at(event, "error").lower()
    kind = _kind(event, name, error)
    number, time = text_at(event, "MessageID") or text_at(event, "Message_GUID"), text_at(event, "time")
    return Evidence(
        kind=kind,
        traces=traces_in(token=text_at(event, "CustomID")),
        address=text_at(event, "email"),
        at=unix_time(time),
        reply=_reply(event, name, error) if kind in {ReportKind.FAILED, ReportKind.DELAYED} else None,
        summary=summary_of(name, error),
        key=f"{name}:{number}:{time}" if number else "",
    )


def _kind(event: Mapping[str, object], name: str, error: str) -> ReportKind:
    if name == "blocked" and error == "spam reporter":
        # Mailjet did not try: this reader complained of an earlier mail.
        return ReportKind.LEFT
    if name not in {"bounce", "blocked"}:
        return _SIMPLE.get(name, ReportKind.OTHER_FEEDBACK)
    waits = error == "greylisted" and value_at(event, "hard_bounce") is not True
    return ReportKind.DELAYED if waits else ReportKind.FAILED


def _reply(event: Mapping[str, object], name: str, error: str) -> Reply:
    words = text_at(event, "smtp_reply") or text_at(event, "comment")
    hard = value_at(event, "hard_bounce") is True and text_at(event, "error_related_to") in {"recipient", "domain", ""}
    if name == "blocked" and error in {"user unknown", "mailbox inactive"}:
        return known_from_before("Mailjet")
    status = STATUSES.get(error, "")
    if status.startswith("5") and not hard and status in {"5.1.1", "5.2.1"}:
        status = ""
    return refusal(words or error, status="" if words else status, by_mailbox=hard)
