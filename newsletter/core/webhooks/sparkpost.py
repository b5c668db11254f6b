"""SparkPost (now Bird): batches of events, with a password of yours (HTTP Basic).

In: a request. Out: `Evidence`. SparkPost signs nothing. Source: SparkPost's documentation, "Webhooks", "Event types"
and "Bounce classification codes".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from newsletter.core.mail_report import ReportKind
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
    value_at,
)

_KIND_OF = {
    "delivery": ReportKind.ARRIVED,
    "delay": ReportKind.DELAYED,
    "bounce": ReportKind.FAILED,
    "out_of_band": ReportKind.FAILED,
    "policy_rejection": ReportKind.FAILED,
    "spam_complaint": ReportKind.COMPLAINT,
    "list_unsubscribe": ReportKind.LEFT,
    "link_unsubscribe": ReportKind.LEFT,
}
_KINDS = frozenset(
    {"amp_click", "amp_initial_open", "amp_open", "click", "generation_failure", "generation_rejection"}
    | {"initial_open", "injection", "open", "relay_delivery", "relay_injection", "relay_message", "relay_permfail"}
    | {"relay_rejection", "relay_tempfail", "sms_status"}
    | _KIND_OF.keys()
)
_HARD_CLASSES = frozenset({"10", "30"})
"""Invalid recipient; generic bounce: no RCPT."""
_CLASS_KINDS = {
    "60": ReportKind.AUTO_REPLY,
    "80": ReportKind.OTHER_FEEDBACK,
    "90": ReportKind.LEFT,
    "100": ReportKind.AUTO_REPLY,
}
"""Auto-reply, subscribe, unsubscribe, challenge-response: bounces by name only."""
_STATUSES = {
    "21": "4.4.3",
    "22": "5.2.2",
    "23": "5.3.4",
    "24": "4.4.7",
    "25": "5.7.1",
    "26": "5.7.1",
    "50": "5.7.1",
    "51": "5.7.1",
    "52": "5.7.1",
    "53": "5.7.1",
    "54": "5.7.1",
    "70": "4.3.0",
}
"""What a class means where the words of the server are missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkPostWebhook:
    """The webhook of SparkPost."""

    passwords: Sequence[str] = field(repr=False)
    provider: str = "sparkpost"
    body_bytes_max: int = 16_000_000
    """A batch has up to 10,000 events."""

    def verify(self, request: HookRequest) -> None:
        """Check the password."""
        check_password(request.headers, self.passwords)

    def read(self, request: HookRequest) -> HookContent:
        """Read the events of a batch; the one that SparkPost sends as a trial holds none."""
        events = [event for item in objects_in(parse_json(request.body)) for event in _events(item)]
        kinds = count_kinds((text_at(event, "type") for event in events), _KINDS)
        return HookContent(evidence=tuple(map(_evidence, events)), kinds=kinds)


def _events(item: Mapping[str, object]) -> list[Mapping[str, object]]:
    """Return the event of an item, which stands below its class."""
    inside = value_at(item, "msys")
    return [event for event in inside.values() if isinstance(event, dict)] if isinstance(inside, dict) else []


def _evidence(event: Mapping[str, object]) -> Evidence:
    name, bounce_class = text_at(event, "type"), text_at(event, "bounce_class")
    kind = _KIND_OF.get(name, ReportKind.OTHER_FEEDBACK)
    if kind is ReportKind.FAILED:
        kind = _CLASS_KINDS.get(bounce_class, kind)
    if name == "spam_complaint" and text_at(event, "fbtype").lower() == "not-spam":
        kind = ReportKind.OTHER_FEEDBACK
    reply = None
    if kind in {ReportKind.FAILED, ReportKind.DELAYED}:
        words = text_at(event, "raw_reason") or text_at(event, "reason")
        reply = refusal(
            words,
            status="" if words else _STATUSES.get(bounce_class, ""),
            code=text_at(event, "error_code"),
            by_mailbox=bounce_class in _HARD_CLASSES,
        )
    return Evidence(
        kind=kind,
        traces=traces_in(token=text_at(event, "rcpt_meta", "newsletter"), sender=text_at(event, "msg_from")),
        address=text_at(event, "rcpt_to"),
        at=unix_time(text_at(event, "timestamp")),
        reply=reply,
        summary=summary_of(name, text_at(event, "fbtype")),
        key=text_at(event, "event_id"),
    )
