"""Brevo: an event or a batch of events a request, with a bearer token of yours.

In: a request. Out: `Evidence`. Brevo signs nothing. Source: Brevo's documentation, "Transactional webhooks" and "Secure
webhook calls".
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
    objects_in,
    parse_json,
    refusal,
    summary_of,
    text_at,
    traces_in,
    unix_time,
)

_KIND_OF = {
    "delivered": ReportKind.ARRIVED,
    "deferred": ReportKind.DELAYED,
    "soft_bounce": ReportKind.FAILED,
    "hard_bounce": ReportKind.FAILED,
    "invalid_email": ReportKind.FAILED,
    "blocked": ReportKind.FAILED,
    "spam": ReportKind.COMPLAINT,
    "complaint": ReportKind.COMPLAINT,
    "unsubscribe": ReportKind.LEFT,
    "unsubscribed": ReportKind.LEFT,
}
_KINDS = frozenset(
    {"click", "error", "loaded_by_proxy", "opened", "proxy_open", "request", "sent", "unique_opened"}
    | {"unique_proxy_open"}
    | _KIND_OF.keys()
)
_THOUSANDTHS_PER_SECOND = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class BrevoWebhook:
    """The webhook of Brevo."""

    tokens: Sequence[str] = field(repr=False)
    provider: str = "brevo"
    body_bytes_max: int = 4_000_000

    def verify(self, request: HookRequest) -> None:
        """Check the token."""
        check_password(request.headers, self.tokens)

    def read(self, request: HookRequest) -> HookContent:
        """Read the events of a request."""
        events = objects_in(parse_json(request.body))
        kinds = count_kinds((text_at(event, "event") for event in events), _KINDS)
        return HookContent(evidence=tuple(map(_evidence, events)), kinds=kinds)


def _evidence(event: Mapping[str, object]) -> Evidence:
    name = text_at(event, "event")
    kind = _KIND_OF.get(name, ReportKind.OTHER_FEEDBACK)
    number, moment = text_at(event, "message-id"), text_at(event, "ts_epoch")
    return Evidence(
        kind=kind,
        traces=traces_in(token=text_at(event, "X-Mailin-custom"), headers=[number]),
        address=text_at(event, "email"),
        # The other times of an event are in the zone of the account.
        at=unix_time(moment, per_second=_THOUSANDTHS_PER_SECOND),
        reply=_reply(event, name) if kind in {ReportKind.FAILED, ReportKind.DELAYED} else None,
        summary=summary_of(name),
        key=f"{name}:{number}:{text_at(event, 'email')}:{moment}" if number else "",
    )


def _reply(event: Mapping[str, object], name: str) -> Reply:
    reason = text_at(event, "reason")
    # Blocked: Brevo itself did not try, for a reason from before that it does not tell.
    status = {"invalid_email": "5.1.3", "blocked": "5.7.1"}.get(name, "")
    return refusal(reason or name, status=status, by_mailbox=name in {"hard_bounce", "invalid_email"})
