"""Postmark: one event a request, with a password of yours in the address (HTTP Basic).

In: a request. Out: `Evidence`. Postmark signs nothing. Source: Postmark's documentation, "Bounce webhook", "Spam
complaint webhook", "Delivery webhook", "Subscription change webhook" and "Bounce types".
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
    iso_time,
    objects_in,
    parse_json,
    refusal,
    summary_of,
    text_at,
    traces_in,
    value_at,
)

_DELAYED = frozenset({"DnsError", "Transient"})
_AUTOMATIC = frozenset({"AddressChange", "AutoResponder", "ChallengeVerification"})
_FAILED = frozenset(
    {"BadEmailAddress", "Blocked", "DMARCPolicy", "HardBounce", "SoftBounce", "SpamNotification", "Undeliverable"}
    | {"Unknown", "VirusNotification"}
)
_OURS = frozenset({"DMARCPolicy", "Blocked", "SpamNotification", "VirusNotification"})
"""Refusals for what we are or send; their words are read all the same."""
_OTHER = frozenset(
    {"InboundError", "ManuallyDeactivated", "OpenRelayTest", "SMTPApiError", "Subscribe", "TemplateRenderingFailed"}
    | {"Unconfirmed"}
)
_RECORDS = frozenset({"Click", "Delivery", "Inbound", "Open", "SpamComplaint", "SubscriptionChange"})
_KINDS = _DELAYED | _AUTOMATIC | _FAILED | _OTHER | _RECORDS | {"SpamComplaint", "Unsubscribe"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostmarkWebhook:
    """The webhook of Postmark."""

    passwords: Sequence[str] = field(repr=False)
    provider: str = "postmark"
    body_bytes_max: int = 1_000_000

    def verify(self, request: HookRequest) -> None:
        """Check the password."""
        check_password(request.headers, self.passwords)

    def read(self, request: HookRequest) -> HookContent:
        """Read the events of a request; Postmark sends one at a time."""
        events = objects_in(parse_json(request.body))
        evidence = tuple(map(_evidence, events))
        return HookContent(evidence=evidence, kinds=count_kinds(map(_name, events), _KINDS))


def _name(event: Mapping[str, object]) -> str:
    """Return the type of a bounce, else the type of the record."""
    record = text_at(event, "RecordType")
    return text_at(event, "Type") if record == "Bounce" else record


def _evidence(event: Mapping[str, object]) -> Evidence:
    name = _name(event)
    kind = _kind(event, name)
    return Evidence(
        kind=kind,
        traces=traces_in(
            token=text_at(event, "Metadata", "newsletter"), headers=[text_at(event, "Metadata", "message-id")]
        ),
        address=text_at(event, "Email") or text_at(event, "Recipient"),
        at=iso_time(
            text_at(event, "BouncedAt") or text_at(event, "DeliveredAt") or text_at(event, "ChangedAt"),
        ),
        reply=_reply(event, name) if kind in {ReportKind.FAILED, ReportKind.DELAYED} else None,
        summary=summary_of(name, text_at(event, "Description")),
        key=_key(event, name),
    )


def _kind(event: Mapping[str, object], name: str) -> ReportKind:
    if name == "SubscriptionChange":
        # A complaint and a hard bounce switch an address off too, and come as events of their own.
        left = text_at(event, "SuppressionReason") == "ManualSuppression" and text_at(event, "Origin") == "Recipient"
        return ReportKind.LEFT if left and value_at(event, "SuppressSending") is True else ReportKind.OTHER_FEEDBACK
    kinds = {"Delivery": ReportKind.ARRIVED, "SpamComplaint": ReportKind.COMPLAINT, "Unsubscribe": ReportKind.LEFT}
    if name in _DELAYED:
        return ReportKind.DELAYED
    if name in _AUTOMATIC:
        return ReportKind.AUTO_REPLY
    return ReportKind.FAILED if name in _FAILED else kinds.get(name, ReportKind.OTHER_FEEDBACK)


def _reply(event: Mapping[str, object], name: str) -> Reply:
    details = text_at(event, "Details") or text_at(event, "Description")
    status = "5.7.1" if name in _OURS else ""
    return refusal(details, status=status, by_mailbox=name in {"BadEmailAddress", "HardBounce"})


def _key(event: Mapping[str, object], name: str) -> str:
    return ":".join((name, text_at(event, "ID") or text_at(event, "MessageID"), text_at(event, "ChangedAt")))
