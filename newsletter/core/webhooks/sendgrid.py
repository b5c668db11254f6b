"""SendGrid: many events a request, signed by ECDSA over a time and the whole body.

In: a request. Out: `Evidence`. Source: SendGrid's documentation, "Event Webhook Reference" and "Getting Started with
the Event Webhook Security Features". This module needs the `webhooks` extra.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from newsletter.core.mail_report import ReportKind
from newsletter.core.webhooks.base import (
    Evidence,
    HookContent,
    HookRefusedError,
    HookRequest,
    check_age,
    count_kinds,
    known_from_before,
    objects_in,
    parse_json,
    refusal,
    summary_of,
    text_at,
    traces_in,
    unix_time,
)
from newsletter.errors import InputError

try:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key
except ModuleNotFoundError as error:
    message = (
        "The webhook of SendGrid needs cryptography: `pip install '.[webhooks]'` at the top of the source "
        "(docs/dependencies.md)"
    )
    raise InputError(message) from error

SIGNATURE_HEADER = "x-twilio-email-event-webhook-signature"
TIMESTAMP_HEADER = "x-twilio-email-event-webhook-timestamp"
_AGE_MAX = timedelta(hours=25)
"""SendGrid goes on trying for 24 hours. A repeated request is signed as a whole, so it can only repeat itself."""

_KINDS = frozenset(
    {"account_status_change", "bounce", "click", "deferred", "delivered", "dropped", "group_resubscribe"}
    | {"group_unsubscribe", "open", "processed", "spamreport", "unsubscribe"}
)
_SIMPLE = {
    "delivered": ReportKind.ARRIVED,
    "deferred": ReportKind.DELAYED,
    "bounce": ReportKind.FAILED,
    "spamreport": ReportKind.COMPLAINT,
    "unsubscribe": ReportKind.LEFT,
    "group_unsubscribe": ReportKind.LEFT,
}
_DROPPED = {
    "bounced address": ReportKind.FAILED,
    "unsubscribed address": ReportKind.LEFT,
    "spam reporting address": ReportKind.LEFT,
}
"""Why SendGrid itself did not even try: what it knows of the address from before."""


@dataclass(frozen=True, kw_only=True)
class SendGridWebhook:
    """The event webhook of SendGrid."""

    public_keys: Sequence[str]
    """The verification key of the console: base64 of a public key (SPKI); two while it is changed."""
    provider: str = "sendgrid"
    body_bytes_max: int = 4_000_000

    def __post_init__(self) -> None:
        """Read the keys; a wrong one is an `InputError`."""
        _ = self._keys

    @cached_property
    def _keys(self) -> Sequence[EllipticCurvePublicKey]:
        return [_read_key(text) for text in self.public_keys]

    def verify(self, request: HookRequest) -> None:
        """Check the signature over time and body."""
        timestamp = request.headers.get(TIMESTAMP_HEADER, "")
        try:
            signature = base64.b64decode(request.headers.get(SIGNATURE_HEADER, ""), validate=True)
        except (binascii.Error, ValueError) as error:
            raise HookRefusedError from error
        signed = timestamp.encode() + request.body
        if not any(_is_signed(key, signature, signed) for key in self._keys):
            raise HookRefusedError
        check_age(unix_time(timestamp), request, age_max=_AGE_MAX)

    def read(self, request: HookRequest) -> HookContent:
        """Read the events of a request."""
        events = objects_in(parse_json(request.body))
        kinds = count_kinds((text_at(event, "event") for event in events), _KINDS)
        return HookContent(evidence=tuple(map(_evidence, events)), kinds=kinds)


def _read_key(text: str) -> EllipticCurvePublicKey:
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm) as error:
        raise InputError("NEWSLETTER_WEBHOOK_SENDGRID_KEYS: is no verification key of SendGrid") from error
    if not isinstance(key, EllipticCurvePublicKey):
        raise InputError("NEWSLETTER_WEBHOOK_SENDGRID_KEYS: is no elliptic-curve key; copy the verification key")
    return key


def _is_signed(key: EllipticCurvePublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _evidence(event: Mapping[str, object]) -> Evidence:
    name, reason = text_at(event, "event"), text_at(event, "reason")
    kind = _SIMPLE.get(name, ReportKind.OTHER_FEEDBACK)
    if name == "dropped":
        kind = _DROPPED.get(reason.lower(), ReportKind.OTHER_FEEDBACK)
    reply = None
    if name == "dropped" and kind is ReportKind.FAILED:
        reply = known_from_before("SendGrid")
    elif kind in {ReportKind.FAILED, ReportKind.DELAYED}:
        # `blocked` is a refusal of the message, `bounce` one of the address.
        by_mailbox = text_at(event, "type") != "blocked"
        reply = refusal(reason or text_at(event, "response"), status=text_at(event, "status"), by_mailbox=by_mailbox)
    return Evidence(
        kind=kind,
        traces=traces_in(token=text_at(event, "newsletter"), headers=[text_at(event, "smtp-id")]),
        address=text_at(event, "email"),
        at=unix_time(text_at(event, "timestamp")),
        reply=reply,
        summary=summary_of(name, text_at(event, "type"), reason),
        key=text_at(event, "sg_event_id"),
    )
