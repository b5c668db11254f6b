"""Requests to the webhooks, written after the documentation of each provider, and signed as each of them signs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from newsletter.core.webhooks.base import HookRequest, ProviderWebhook
from newsletter.core.webhooks.brevo import BrevoWebhook
from newsletter.core.webhooks.mailgun import MailgunWebhook
from newsletter.core.webhooks.mailjet import MailjetWebhook
from newsletter.core.webhooks.postmark import PostmarkWebhook
from newsletter.core.webhooks.resend import ResendWebhook
from newsletter.core.webhooks.sendgrid import SendGridWebhook
from newsletter.core.webhooks.ses import SesWebhook
from newsletter.core.webhooks.sparkpost import SparkPostWebhook
from newsletter.testing.clocks import START

KEY = "0123456789abcdef0123456789abcdef"
"""The secret of every provider that has one."""
OTHER_KEY = "fedcba9876543210fedcba9876543210"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:bounces"
CERTIFICATE_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1b2c.pem"
CONFIRM_URL = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=a&Token=t"

PROVIDERS = ("ses", "mailgun", "postmark", "sendgrid", "mailjet", "brevo", "sparkpost", "resend")
BATCHING = ("sendgrid", "mailjet", "brevo", "sparkpost")
"""Those that send many events in one request."""
KINDS = ("hard", "soft", "delayed", "complaint", "delivered", "unknown")

HARD = "550 5.1.1 The email account that you tried to reach does not exist"
SOFT = "552 5.2.2 Mailbox full"
WAIT = "450 4.2.0 Greylisted, please try again later"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """The mail that an event is about."""

    token: str = "t" * 36
    """Of its opt-out link."""
    email: str = "ann@example.org"
    number: int = 1
    """What makes the ids of its events."""


Event = Mapping[str, Any]


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    """Return the key of a certificate like Amazon's."""
    return rsa.generate_private_key(65537, 2048)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    """Return a key like SendGrid's."""
    return ec.generate_private_key(ec.SECP256R1())


@cache
def certificate(begins: datetime = START - timedelta(days=30), days: int = 365) -> bytes:
    """Return a certificate that is valid for a year."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(rsa_key().public_key())
    builder = builder.serial_number(1).not_valid_before(begins).not_valid_after(begins + timedelta(days=days))
    return builder.sign(rsa_key(), SHA256()).public_bytes(Encoding.PEM)


def webhook(provider: str, *, fetch: Callable[[str], bytes] | None = None) -> ProviderWebhook:
    """Return the webhook of a provider as an installation has it that changes its secret at the moment."""
    keys = (OTHER_KEY[::-1], KEY)
    spki = ec_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    webhooks: dict[str, Callable[[], ProviderWebhook]] = {
        "ses": lambda: SesWebhook(topics=(TOPIC,), fetch=fetch or (lambda _: certificate())),
        "mailgun": lambda: MailgunWebhook(keys=keys),
        "postmark": lambda: PostmarkWebhook(passwords=keys),
        "sendgrid": lambda: SendGridWebhook(public_keys=(base64.b64encode(spki).decode(),)),
        "mailjet": lambda: MailjetWebhook(passwords=keys),
        "brevo": lambda: BrevoWebhook(tokens=keys),
        "sparkpost": lambda: SparkPostWebhook(passwords=keys),
        "resend": lambda: ResendWebhook(secrets=[f"whsec_{base64.b64encode(key.encode()).decode()}" for key in keys]),
    }
    return webhooks[provider]()


def event(provider: str, kind: str, mail: Mail) -> Event:
    """Return one event of a provider."""
    return _EVENTS[provider](kind, mail)


def signed(
    provider: str, events: Sequence[Event], *, at: datetime = START, key: str = KEY, number: int = 1
) -> HookRequest:
    """Return a request that holds these events, signed with a key; `number` makes the id of the request."""
    headers, body = _SIGNERS[provider](events, at, key, number)
    return HookRequest(headers={"content-type": "application/json", **headers}, body=body, at=at)


# Amazon SES


def _ses(kind: str, mail: Mail) -> Event:
    person = {"emailAddress": mail.email}
    bounces = {
        "hard": ("Permanent", "General", {"status": "5.1.1", "diagnosticCode": f"smtp; {HARD}", "action": "failed"}),
        "soft": ("Transient", "MailboxFull", {"status": "5.2.2", "diagnosticCode": f"smtp; {SOFT}"}),
    }
    sent = {
        "timestamp": "2026-11-24T14:00:00.000Z",
        "messageId": f"0102018f-{mail.number}",
        "source": "tips@example.com",
        "destination": [mail.email],
        "headers": [
            {"name": "From", "value": "tips@example.com"},
            {"name": "List-Unsubscribe", "value": f"<https://news.example.com/u/{mail.token}>"},
        ],
    }
    if kind in bounces:
        bounce_type, subtype, words = bounces[kind]
        bounce = {"bounceType": bounce_type, "bounceSubType": subtype, "bouncedRecipients": [person | words]}
        return {"notificationType": "Bounce", "bounce": bounce, "mail": sent}
    return {
        "delayed": {
            "eventType": "DeliveryDelay",
            "mail": sent,
            "deliveryDelay": {
                "delayType": "TransientCommunicationFailure",
                "delayedRecipients": [person | {"status": "4.4.1", "diagnosticCode": f"smtp; {WAIT}"}],
            },
        },
        "complaint": {
            "notificationType": "Complaint",
            "complaint": {"complainedRecipients": [person], "complaintFeedbackType": "abuse"},
            "mail": sent,
        },
        "delivered": {"notificationType": "Delivery", "delivery": {"recipients": [mail.email]}, "mail": sent},
        "unknown": {"eventType": "SomethingNew", "mail": sent},
    }[kind]


def sns(kind: str, message: str, *, at: datetime, number: int, version: str = "2", **changed: str) -> dict[str, str]:
    """Return a notification of Amazon SNS, signed."""
    body = {
        "Type": kind,
        "MessageId": f"22b80b92-{number}",
        "TopicArn": TOPIC,
        "Message": message,
        "Timestamp": at.isoformat().replace("+00:00", "Z"),
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE_URL,
    }
    if kind != "Notification":
        body |= {"Token": "t", "SubscribeURL": CONFIRM_URL}
    body |= changed
    names = ["Message", "MessageId", "SubscribeURL", "Subject", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{body[name]}\n" for name in names if name in body)
    signature = rsa_key().sign(text.encode(), padding.PKCS1v15(), SHA256())
    return {"Signature": base64.b64encode(signature).decode()} | body


def _sign_ses(events: Sequence[Event], at: datetime, key: str, number: int) -> tuple[dict[str, str], bytes]:
    [event] = events
    body = sns("Notification", json.dumps(event), at=at, number=number)
    if key != KEY:
        body["Message"] = body["Message"] + " "
    return {"content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": "Notification"}, _json(body)


# Mailgun


def _mailgun(kind: str, mail: Mail) -> Event:
    status = {
        "hard": {"code": 550, "message": HARD[4:], "description": ""},
        "soft": {"code": 552, "message": SOFT[4:]},
        "delayed": {"code": 450, "message": WAIT[4:]},
    }.get(kind, {"code": 250, "message": "OK"})
    name = {"hard": "failed", "soft": "failed", "delayed": "failed", "complaint": "complained"}.get(kind, kind)
    severity = {"hard": "permanent", "soft": "permanent", "delayed": "temporary"}.get(kind)
    return {
        "event": "something-new" if kind == "unknown" else name,
        "id": f"Ase7i2zsRYeDXztHGENqRA-{mail.number}",
        "timestamp": 1795528800.5,
        "recipient": mail.email,
        "user-variables": {"newsletter": mail.token},
        "message": {"headers": {"message-id": "1.a@example.com"}},
        "delivery-status": status,
    } | ({"severity": severity, "reason": "bounce" if kind == "hard" else "generic"} if severity else {})


def _sign_mailgun(events: Sequence[Event], at: datetime, key: str, number: int) -> tuple[dict[str, str], bytes]:
    [event] = events
    timestamp, token = str(int(at.timestamp())), f"token{number}".ljust(50, "0")
    signature = hmac.new(key.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    return {}, _json(
        {"signature": {"timestamp": timestamp, "token": token, "signature": signature}, "event-data": event}
    )


# Postmark


def _postmark(kind: str, mail: Mail) -> Event:
    shared = {
        "MessageID": f"883953f4-{mail.number}",
        "Metadata": {"newsletter": mail.token},
        "MessageStream": "broadcast",
    }
    bounce = {
        "hard": ("HardBounce", 1, f"smtp;{HARD}"),
        "soft": ("SoftBounce", 4096, f"smtp;{SOFT}"),
        "delayed": ("Transient", 2, f"smtp;{WAIT}"),
    }
    if kind in bounce:
        name, code, details = bounce[kind]
        return shared | {
            "RecordType": "Bounce",
            "ID": mail.number,
            "Type": name,
            "TypeCode": code,
            "Email": mail.email,
            "Details": details,
            "Description": "The server was unable to deliver your message",
            "BouncedAt": "2026-11-24T14:00:00Z",
        }
    return (
        shared
        | {
            "complaint": {
                "RecordType": "SpamComplaint",
                "Type": "SpamComplaint",
                "ID": mail.number,
                "Email": mail.email,
            },
            "delivered": {"RecordType": "Delivery", "Recipient": mail.email, "DeliveredAt": "2026-11-24T14:00:00Z"},
            "unknown": {"RecordType": "SomethingNew"},
        }[kind]
    )


# SendGrid


def _sendgrid(kind: str, mail: Mail) -> Event:
    values: dict[str, dict[str, object]] = {
        "hard": {"event": "bounce", "type": "bounce", "status": "5.1.1", "reason": HARD},
        "soft": {"event": "bounce", "type": "bounce", "status": "5.2.2", "reason": SOFT},
        "delayed": {"event": "deferred", "response": WAIT, "attempt": "3"},
        "complaint": {"event": "spamreport"},
        "delivered": {"event": "delivered", "response": "250 OK"},
        "unknown": {"event": "something_new"},
    }
    return {
        "email": mail.email,
        "timestamp": 1795528800,
        "smtp-id": "<1.a@example.com>",
        "sg_event_id": f"ZGVmZXJyZWQ-{mail.number}-{kind}",
        "sg_message_id": "14c5d75ce93.dfd.64b469",
        "newsletter": mail.token,
        **values[kind],
    }


def _sign_sendgrid(events: Sequence[Event], at: datetime, key: str, _number: int) -> tuple[dict[str, str], bytes]:
    body, timestamp = _json(list(events)), str(int(at.timestamp()))
    private = ec_key() if key == KEY else ec.generate_private_key(ec.SECP256R1())
    signature = private.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
    return {
        "x-twilio-email-event-webhook-signature": base64.b64encode(signature).decode(),
        "x-twilio-email-event-webhook-timestamp": timestamp,
    }, body


# Mailjet


def _mailjet(kind: str, mail: Mail) -> Event:
    values: dict[str, dict[str, object]] = {
        "hard": {"event": "bounce", "hard_bounce": True, "error_related_to": "recipient", "error": "user unknown"},
        "soft": {"event": "bounce", "hard_bounce": False, "error_related_to": "recipient", "error": "quota exceeded"},
        "delayed": {"event": "bounce", "hard_bounce": False, "error_related_to": "domain", "error": "greylisted"},
        "complaint": {"event": "spam", "source": "JMRPP"},
        "delivered": {"event": "sent", "smtp_reply": "sent (250 2.0.0 OK)"},
        "unknown": {"event": "something-new"},
    }
    return {
        "time": 1795528800,
        "MessageID": 19421777835146490 + mail.number,
        "email": mail.email,
        "CustomID": mail.token,
        **values[kind],
    }


# Brevo


def _brevo(kind: str, mail: Mail) -> Event:
    values = {
        "hard": ("hard_bounce", HARD),
        "soft": ("soft_bounce", SOFT),
        "delayed": ("deferred", WAIT),
        "complaint": ("spam", ""),
        "delivered": ("delivered", ""),
        "unknown": ("something_new", ""),
    }
    name, reason = values[kind]
    return {
        "event": name,
        "email": mail.email,
        "id": 26224,
        "message-id": f"<2026112414.{mail.number}@smtp-relay.example.net>",
        "ts_epoch": 1795528800000,
        "reason": reason,
        "X-Mailin-custom": mail.token,
    }


# SparkPost


def _sparkpost(kind: str, mail: Mail) -> Event:
    values: dict[str, dict[str, str]] = {
        "hard": {"type": "bounce", "bounce_class": "10", "error_code": "550", "raw_reason": HARD},
        "soft": {"type": "bounce", "bounce_class": "22", "error_code": "552", "raw_reason": SOFT},
        "delayed": {"type": "delay", "bounce_class": "20", "error_code": "450", "raw_reason": WAIT},
        "complaint": {"type": "spam_complaint", "fbtype": "abuse"},
        "delivered": {"type": "delivery"},
        "unknown": {"type": "something_new"},
    }
    inside = {
        "event_id": f"9274204{mail.number}{kind}",
        "rcpt_to": mail.email,
        "timestamp": "1795528800",
        "rcpt_meta": {"newsletter": mail.token},
        **values[kind],
    }
    return {"msys": {"message_event": inside}}


# Resend


def _resend(kind: str, mail: Mail) -> Event:
    names = {"hard": "bounced", "soft": "bounced", "delayed": "delivery_delayed", "complaint": "complained"}
    bounces = {
        "hard": {
            "type": "Permanent",
            "subType": "General",
            "diagnosticCode": [f"smtp; {HARD}"],
            "message": "It bounced",
        },
        "soft": {"type": "Transient", "subType": "MailboxFull", "message": "The mailbox is full"},
    }
    data: dict[str, object] = {
        "email_id": f"56761188-{mail.number}",
        "from": "tips@example.com",
        "to": [mail.email],
        "headers": [{"name": "X-Entity-Ref-ID", "value": mail.token}],
    }
    if kind in bounces:
        data["bounce"] = bounces[kind]
    name = "something_new" if kind == "unknown" else names.get(kind, kind)
    return {"type": f"email.{name}", "created_at": "2026-11-24T14:00:00.000Z", "data": data}


def _sign_resend(events: Sequence[Event], at: datetime, key: str, number: int) -> tuple[dict[str, str], bytes]:
    [event] = events
    body, timestamp, name = _json(event), str(int(at.timestamp())), f"msg_{number}"
    tag = hmac.digest(key.encode(), f"{name}.{timestamp}.".encode() + body, "sha256")
    signature = f"v1,{base64.b64encode(b'0' * 32).decode()} v1,{base64.b64encode(tag).decode()}"
    return {"svix-id": name, "svix-timestamp": timestamp, "svix-signature": signature}, body


# Those that sign nothing.


def _with_password(events: Sequence[Event], _at: datetime, key: str, _number: int) -> tuple[dict[str, str], bytes]:
    credentials = base64.b64encode(f"newsletter:{key}".encode()).decode()
    body = list(events) if len(events) > 1 else events[0]
    return {"authorization": f"Basic {credentials}"}, _json(body)


def _with_token(events: Sequence[Event], _at: datetime, key: str, _number: int) -> tuple[dict[str, str], bytes]:
    return {"authorization": f"Bearer {key}"}, _json(list(events) if len(events) > 1 else events[0])


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


_EVENTS: dict[str, Callable[[str, Mail], Event]] = {
    "ses": _ses,
    "mailgun": _mailgun,
    "postmark": _postmark,
    "sendgrid": _sendgrid,
    "mailjet": _mailjet,
    "brevo": _brevo,
    "sparkpost": _sparkpost,
    "resend": _resend,
}
_SIGNERS: dict[str, Callable[[Sequence[Event], datetime, str, int], tuple[dict[str, str], bytes]]] = {
    "ses": _sign_ses,
    "mailgun": _sign_mailgun,
    "postmark": _with_password,
    "sendgrid": _sign_sendgrid,
    "mailjet": _with_password,
    "brevo": _with_token,
    "sparkpost": _with_password,
    "resend": _sign_resend,
}
