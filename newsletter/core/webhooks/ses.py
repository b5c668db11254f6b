"""Amazon SES: one notification a request, by way of Amazon SNS, signed by RSA with a certificate of Amazon.

In: a request. Out: `Evidence`, or the address that confirms the subscription. Only the topics of the settings count:
those of any other customer have signatures of Amazon, too. This module needs the `webhooks` extra. Sources: Amazon SNS
developer guide, "Verifying the signatures of Amazon SNS messages"; Amazon SES developer guide, "Amazon SNS notification
contents" and "Event publishing".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

from newsletter.core.mail_report import ReportKind
from newsletter.core.reply import Reply
from newsletter.core.webhooks.base import (
    Evidence,
    HookContent,
    HookRefusedError,
    HookRequest,
    HookUnreadableError,
    check_age,
    count_kinds,
    iso_time,
    list_at,
    parse_json,
    refusal,
    summary_of,
    text_at,
    traces_in,
    value_at,
)
from newsletter.core.webhooks.ses_bounce import bounce_meaning
from newsletter.errors import InputError

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509 import load_pem_x509_certificate
except ModuleNotFoundError as error:
    message = (
        "The webhook of Amazon SES needs cryptography: `pip install '.[webhooks]'` at the top of the source "
        "(docs/dependencies.md)"
    )
    raise InputError(message) from error

_AGE_MAX = timedelta(hours=1, minutes=5)
"""SNS goes on trying for an hour at most."""
CERTIFICATES_MAX = 10
"""Certificates that are kept; Amazon has one for each region, and renews it each year."""

_HOST = re.compile(r"sns\.[a-z0-9-]{3,40}\.amazonaws\.com(\.cn)?")
_CERTIFICATE_PATH = re.compile(r"/[A-Za-z0-9_-]{1,100}\.pem")
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
"""The fields that the signature covers, in its order; `Subject` only where there is one."""

_KINDS = frozenset(
    {"Bounce", "Click", "Complaint", "Delivery", "DeliveryDelay", "Open", "Reject", "Rendering Failure", "Send"}
    | {"Subscription", "AmazonSnsSubscriptionSucceeded", *_SIGNED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SesWebhook:
    """The webhook of Amazon SES."""

    topics: Sequence[str]
    """The ARNs of the topics that count."""
    fetch: Callable[[str], bytes] = field(repr=False)
    """Fetches a certificate over verified TLS, without following a redirect."""
    provider: str = "ses"
    body_bytes_max: int = 1_000_000
    _keys: dict[str, tuple[RSAPublicKey, float, float]] = field(default_factory=dict, repr=False)

    def verify(self, request: HookRequest) -> None:
        """Check topic, certificate, signature and age."""
        body = parse_json(request.body)
        kind = text_at(body, "Type")
        names = _SIGNED.get(kind)
        announced = request.headers.get("x-amz-sns-message-type", kind)
        if names is None or announced != kind or text_at(body, "TopicArn") not in self.topics:
            raise HookRefusedError("The topic is none of NEWSLETTER_WEBHOOK_SES_TOPICS.")
        if text_at(body, "SignatureVersion") != "2":
            raise HookRefusedError("The signature is of version 1 (SHA-1): set SignatureVersion of the topic to 2.")
        try:
            signature = base64.b64decode(text_at(body, "Signature"), validate=True)
        except (binascii.Error, ValueError) as error:
            raise HookRefusedError from error
        try:
            self._key(text_at(body, "SigningCertURL"), request).verify(
                signature, _signed_text(body, names), PKCS1v15(), SHA256()
            )
        except InvalidSignature as error:
            raise HookRefusedError from error
        check_age(iso_time(text_at(body, "Timestamp")), request, age_max=_AGE_MAX)

    def read(self, request: HookRequest) -> HookContent:
        """Read the one notification of a request."""
        body = parse_json(request.body)
        kind = text_at(body, "Type")
        if kind == "SubscriptionConfirmation":
            url = text_at(body, "SubscribeURL")
            if not is_sns_address(url):
                raise HookUnreadableError
            return HookContent(kinds=count_kinds([kind], _KINDS), confirm_url=url)
        if kind != "Notification":
            return HookContent(kinds=count_kinds([kind], _KINDS))
        message = value_at(body, "Message")
        try:
            event = parse_json(message.encode()) if isinstance(message, str) else {}
        except HookUnreadableError:
            # Such as the sentence by which SES tries whether the topic can be reached.
            event = {}
        name = text_at(event, "eventType") or text_at(event, "notificationType")
        evidence = _evidence(event, name, key=text_at(body, "MessageId"))
        return HookContent(evidence=(evidence,), kinds=count_kinds([name], _KINDS))

    def _key(self, url: str, request: HookRequest) -> RSAPublicKey:
        """Return the key of a certificate of Amazon that is valid now."""
        now = request.at.timestamp()
        if not is_sns_address(url) or not _CERTIFICATE_PATH.fullmatch(urlsplit(url).path):
            raise HookRefusedError("The certificate is not one of Amazon SNS.")
        if url not in self._keys:
            try:
                certificate = load_pem_x509_certificate(self.fetch(url))
            except ValueError as error:
                raise HookRefusedError from error
            key = certificate.public_key()
            if not isinstance(key, RSAPublicKey):
                raise HookRefusedError
            begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
            if len(self._keys) >= CERTIFICATES_MAX:
                self._keys.clear()
            self._keys[url] = (key, begins.timestamp(), ends.timestamp())
        key, begin, end = self._keys[url]
        if not begin <= now <= end:
            raise HookRefusedError("The certificate is not valid at this time.")
        return key


def is_sns_address(url: str) -> bool:
    """Tell whether an address is one of Amazon SNS itself: https, its own host, nothing before and no other port."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and _HOST.fullmatch(parts.netloc) is not None


def _signed_text(body: object, names: Sequence[str]) -> bytes:
    values = [(name, value_at(body, name)) for name in names]
    return "".join(f"{name}\n{value}\n" for name, value in values if isinstance(value, str)).encode()


def _evidence(event: object, name: str, *, key: str) -> Evidence:
    kind, reply, summary, recipient = _meaning(event, name)
    headers = {
        text_at(header, "name").lower(): text_at(header, "value") for header in list_at(event, "mail", "headers")
    }
    own = [value for header, value in headers.items() if header in {"list-unsubscribe", "message-id"}]
    return Evidence(
        kind=kind,
        traces=traces_in(
            token=_tag(event),
            sender=text_at(event, "mail", "source"),
            headers=[*own, text_at(event, "mail", "commonHeaders", "messageId")],
        ),
        address=recipient,
        at=iso_time(text_at(event, "mail", "timestamp")),
        reply=reply,
        summary=summary_of(name, summary),
        key=key,
    )


def _tag(event: object) -> str:
    """Return the tag of the header that we add; the event has a list of values for each tag."""
    return next((value for value in list_at(event, "mail", "tags", "newsletter") if isinstance(value, str)), "")


def _meaning(event: object, name: str) -> tuple[ReportKind, Reply | None, str, str]:
    """Return what an event is, what the server said, what it is called, and whom it is about."""
    if name == "Bounce":
        kind, subtype = text_at(event, "bounce", "bounceType"), text_at(event, "bounce", "bounceSubType")
        person = _first(event, "bounce", "bouncedRecipients")
        report, reply = bounce_meaning(
            kind, subtype, diagnostic=text_at(person, "diagnosticCode"), status=text_at(person, "status")
        )
        return report, reply, f"{kind} {subtype}", text_at(person, "emailAddress")
    if name == "Complaint":
        feedback = text_at(event, "complaint", "complaintFeedbackType")
        person = _first(event, "complaint", "complainedRecipients")
        return _complaint(event, feedback), None, feedback, text_at(person, "emailAddress")
    if name == "DeliveryDelay":
        person = _first(event, "deliveryDelay", "delayedRecipients")
        words, status = text_at(person, "diagnosticCode"), text_at(person, "status")
        reply = refusal(words, status=status or "4.0.0")
        return ReportKind.DELAYED, reply, text_at(event, "deliveryDelay", "delayType"), text_at(person, "emailAddress")
    kinds = {"Delivery": ReportKind.ARRIVED, "Subscription": _subscription(event)}
    return kinds.get(name, ReportKind.OTHER_FEEDBACK), None, "", ""


def _complaint(event: object, feedback: str) -> ReportKind:
    if text_at(event, "complaint", "complaintSubType") == "OnAccountSuppressionList":
        # SES did not try: this reader complained of an earlier mail.
        return ReportKind.LEFT
    return ReportKind.OTHER_FEEDBACK if feedback in {"not-spam", "auth-failure"} else ReportKind.COMPLAINT


def _subscription(event: object) -> ReportKind:
    left = value_at(event, "subscription", "newTopicPreferences", "unsubscribeAll") is True
    return ReportKind.LEFT if left else ReportKind.OTHER_FEEDBACK


def _first(event: object, *path: str) -> Mapping[str, object]:
    return next((item for item in list_at(event, *path) if isinstance(item, dict)), {})
