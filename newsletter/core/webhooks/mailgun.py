"""Mailgun: one event a request, signed by HMAC-SHA256 over a time and a token that is used once.

In: a request. Out: `Evidence`. The signature does not cover the event, so the token is remembered with the request: a
copied signature serves for no other event. Source: Mailgun's documentation, "Webhooks" and "Events".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from newsletter.core.mail_report import ReportKind
from newsletter.core.webhooks.base import (
    Evidence,
    HookContent,
    HookRefusedError,
    HookRequest,
    HookUnreadableError,
    check_age,
    count_kinds,
    known_from_before,
    matches_any,
    parse_json,
    refusal,
    summary_of,
    text_at,
    traces_in,
    unix_time,
)

_AGE_MAX = timedelta(hours=9)
"""Mailgun goes on trying for eight hours; a request that comes again changes nothing, as its token is known."""

_KINDS = frozenset({"accepted", "clicked", "complained", "delivered", "failed", "opened", "rejected", "unsubscribed"})
_SUPPRESSED_LEFT = frozenset({"suppress-complaint", "suppress-unsubscribe"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MailgunWebhook:
    """The webhook of Mailgun."""

    keys: Sequence[str] = field(repr=False)
    """The HTTP webhook signing key; two while it is changed."""
    provider: str = "mailgun"
    body_bytes_max: int = 1_000_000

    def verify(self, request: HookRequest) -> None:
        """Check the signature over time and token."""
        body = parse_json(request.body)
        timestamp, token = text_at(body, "signature", "timestamp"), text_at(body, "signature", "token")
        presented = text_at(body, "signature", "signature").lower().encode()
        signed = f"{timestamp}{token}".encode()
        valid = [hmac.new(key.encode(), signed, hashlib.sha256).hexdigest().encode() for key in self.keys]
        if not token or not matches_any(presented, valid):
            raise HookRefusedError
        check_age(unix_time(timestamp), request, age_max=_AGE_MAX)

    def read(self, request: HookRequest) -> HookContent:
        """Read the one event of a request."""
        body = parse_json(request.body)
        if not isinstance(body, dict):
            raise HookUnreadableError
        event = text_at(body, "event-data", "event")
        evidence = _evidence(body, event)
        token = text_at(body, "signature", "token")
        return HookContent(evidence=(evidence,), kinds=count_kinds([event], _KINDS), token=token)


def _evidence(body: Mapping[str, object], event: str) -> Evidence:
    severity, reason = text_at(body, "event-data", "severity"), text_at(body, "event-data", "reason")
    status = ("event-data", "delivery-status")
    message = text_at(body, *status, "message") or text_at(body, *status, "description")
    kind = _kind(event, severity, reason)
    reply = None
    if reason == "suppress-bounce":
        reply = known_from_before("Mailgun")
    elif kind in {ReportKind.FAILED, ReportKind.DELAYED}:
        reply = refusal(
            message,
            status=text_at(body, *status, "enhanced-code"),
            code=text_at(body, *status, "code"),
            by_mailbox=kind is ReportKind.FAILED and reason == "bounce",
        )
    return Evidence(
        kind=kind,
        traces=traces_in(
            token=text_at(body, "event-data", "user-variables", "newsletter"),
            sender=text_at(body, "event-data", "envelope", "sender"),
            headers=[text_at(body, "event-data", "message", "headers", "message-id")],
        ),
        address=text_at(body, "event-data", "recipient"),
        at=unix_time(text_at(body, "event-data", "timestamp")),
        reply=reply,
        summary=summary_of(event, severity, reason),
        key=text_at(body, "event-data", "id"),
    )


def _kind(event: str, severity: str, reason: str) -> ReportKind:
    if event == "failed":
        if severity == "temporary":
            return ReportKind.DELAYED
        return ReportKind.LEFT if reason in _SUPPRESSED_LEFT else ReportKind.FAILED
    kinds = {
        "delivered": ReportKind.ARRIVED,
        "complained": ReportKind.COMPLAINT,
        "unsubscribed": ReportKind.LEFT,
    }
    return kinds.get(event, ReportKind.OTHER_FEEDBACK)
