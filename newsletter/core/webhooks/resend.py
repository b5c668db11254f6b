"""Resend: one event a request, signed as Standard Webhooks does (Svix).

In: a request. Out: `Evidence`. Resend sends through Amazon SES and passes its types of bounces on. Source: Resend's
documentation, "Webhooks"; the specification of Standard Webhooks.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from newsletter.core.mail_report import ReportKind
from newsletter.core.reply import Reply
from newsletter.core.webhooks.base import (
    Evidence,
    HookContent,
    HookRefusedError,
    HookRequest,
    check_age,
    count_kinds,
    iso_time,
    known_from_before,
    list_at,
    matches_any,
    objects_in,
    parse_json,
    refusal,
    summary_of,
    text_at,
    traces_in,
    unix_time,
)
from newsletter.core.webhooks.ses_bounce import bounce_meaning
from newsletter.errors import InputError

_AGE_MAX = timedelta(minutes=5)
"""Of Standard Webhooks; each try is signed anew."""
SECRET_PREFIX = "whsec_"  # noqa: S105 - how such a secret begins
REFERENCE_HEADER = "x-entity-ref-id"

_KIND_OF = {
    "email.delivered": ReportKind.ARRIVED,
    "email.delivery_delayed": ReportKind.DELAYED,
    "email.bounced": ReportKind.FAILED,
    "email.suppressed": ReportKind.FAILED,
    "email.complained": ReportKind.COMPLAINT,
}
_KINDS = frozenset(
    {"contact.created", "contact.deleted", "contact.updated", "domain.created", "domain.deleted", "domain.updated"}
    | {"email.clicked", "email.failed", "email.opened", "email.received", "email.scheduled", "email.sent"}
    | _KIND_OF.keys()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResendWebhook:
    """The webhook of Resend."""

    secrets: Sequence[str] = field(repr=False)
    """The signing secret: `whsec_` and base64; two while it is changed."""
    provider: str = "resend"
    body_bytes_max: int = 1_000_000

    def __post_init__(self) -> None:
        """Check the secrets; a wrong one is an `InputError`."""
        for secret in self.secrets:
            _key_of(secret)

    def verify(self, request: HookRequest) -> None:
        """Check the signature over id, time and body."""
        number, timestamp = request.headers.get("svix-id", ""), request.headers.get("svix-timestamp", "")
        signed = f"{number}.{timestamp}.".encode() + request.body
        valid = [base64.b64encode(hmac.digest(_key_of(secret), signed, "sha256")) for secret in self.secrets]
        # There may be several, such as one for each secret while it is changed there.
        signatures = [
            part.partition(",")[2].encode()
            for part in request.headers.get("svix-signature", "").split()
            if part.startswith("v1,")
        ]
        if not number or not any(matches_any(signature, valid) for signature in signatures):
            raise HookRefusedError
        check_age(unix_time(timestamp), request, age_max=_AGE_MAX)

    def read(self, request: HookRequest) -> HookContent:
        """Read the one event of a request."""
        events = objects_in(parse_json(request.body))
        key = request.headers.get("svix-id", "")
        kinds = count_kinds((text_at(event, "type") for event in events), _KINDS)
        return HookContent(evidence=tuple(_evidence(event, key) for event in events), kinds=kinds)


def _key_of(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("NEWSLETTER_WEBHOOK_RESEND_SECRETS: is no signing secret of Resend (whsec_…)") from error


def _evidence(event: Mapping[str, object], key: str) -> Evidence:
    name = text_at(event, "type")
    kind, reply = _meaning(event, name)
    headers = {
        text_at(header, "name").lower(): text_at(header, "value") for header in list_at(event, "data", "headers")
    }
    return Evidence(
        kind=kind,
        traces=traces_in(
            token=headers.get(REFERENCE_HEADER, ""),
            headers=[*headers.values(), text_at(event, "data", "message_id")],
        ),
        address=text_at({"to": next(iter(list_at(event, "data", "to")), "")}, "to"),
        at=iso_time(text_at(event, "created_at")),
        reply=reply,
        summary=summary_of(name, text_at(event, "data", "bounce", "subType")),
        key=key,
    )


def _meaning(event: Mapping[str, object], name: str) -> tuple[ReportKind, Reply | None]:
    kind = _KIND_OF.get(name, ReportKind.OTHER_FEEDBACK)
    if name == "email.bounced":
        bounce_type, subtype = text_at(event, "data", "bounce", "type"), text_at(event, "data", "bounce", "subType")
        diagnostics = [line for line in list_at(event, "data", "bounce", "diagnosticCode") if isinstance(line, str)]
        diagnostic = text_at(event, "data", "bounce", "diagnosticCode") or " ".join(diagnostics)
        return bounce_meaning(bounce_type, subtype, diagnostic=diagnostic, status="")
    if name == "email.suppressed":
        return kind, known_from_before("Resend")
    return kind, refusal("", status="4.0.0") if kind is ReportKind.DELAYED else None
