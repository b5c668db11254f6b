"""Webhooks of mail providers: who sent a request, what it says, and what a refusal in it means."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.mail_report import ReportKind, TraceKind
from newsletter.core.reply import ReplyClass, judge
from newsletter.core.webhooks.base import Evidence, HookRefusedError, HookRequest, HookUnreadableError
from newsletter.errors import InputError, NotNow
from newsletter.testing.clocks import START
from tests.core.webhook_payloads import (
    BATCHING,
    CERTIFICATE_URL,
    CONFIRM_URL,
    HARD,
    KINDS,
    OTHER_KEY,
    PROVIDERS,
    Mail,
    certificate,
    event,
    signed,
    sns,
    webhook,
)

MAIL = Mail(token="t" * 36)
MEANINGS = {
    "hard": (ReportKind.FAILED, ReplyClass.HARD),
    "soft": (ReportKind.FAILED, ReplyClass.MAILBOX_FULL),
    "delayed": (ReportKind.DELAYED, None),
    "complaint": (ReportKind.COMPLAINT, None),
    "delivered": (ReportKind.ARRIVED, None),
    "unknown": (ReportKind.OTHER_FEEDBACK, None),
}


def read(provider: str, *events: Any) -> tuple[Evidence, ...]:  # noqa: ANN401 an event is any JSON
    """Return what a genuine request with these events says."""
    return webhook(provider).read(signed(provider, events)).evidence


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_an_event_means(provider: str, kind: str) -> None:
    """Each documented event becomes one value: what happened, to whom, when, and the words of the server."""
    request = signed(provider, [event(provider, kind, MAIL)])
    webhook(provider).verify(request)
    content = webhook(provider).read(request)
    [evidence] = content.evidence
    report, reply_class = MEANINGS[kind]
    assert evidence.kind is report
    assert next(trace.text for trace in evidence.traces if trace.kind is TraceKind.UNSUBSCRIBE) == MAIL.token
    assert sum(content.kinds.values()) == 1
    assert ("unknown" in content.kinds) == (kind == "unknown")
    if reply_class is not None:
        assert evidence.reply is not None
        assert judge(evidence.reply).kind is reply_class
    if kind == "hard":
        assert evidence.address == "ann@example.org"
        assert provider == "mailjet" or "does not exist" in evidence.reply.text  # type: ignore[union-attr]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_wrong_signature_or_password_is_refused(provider: str) -> None:
    """Another secret, no secret at all, and a changed body where the body is signed."""
    right = signed(provider, [event(provider, "hard", MAIL)])
    webhook(provider).verify(right)
    wrong = [signed(provider, [event(provider, "hard", MAIL)], key=OTHER_KEY), replace(right, headers={}, body=b"{}")]
    if provider in {"ses", "sendgrid", "resend"}:
        wrong.append(replace(right, body=right.body.replace(b"ann@", b"bob@")))
    for request in wrong:
        with pytest.raises((HookRefusedError, HookUnreadableError)):
            webhook(provider).verify(request)


@pytest.mark.parametrize(("provider", "hours"), [("ses", 1.2), ("mailgun", 9.1), ("sendgrid", 25.1), ("resend", 0.1)])
def test_an_old_signature_is_refused(provider: str, hours: float) -> None:
    """A request is valid as long as its provider tries it again, and never from the future."""
    request = signed(provider, [event(provider, "hard", MAIL)])
    webhook(provider).verify(request)
    for at in (START + timedelta(hours=hours), START - timedelta(minutes=6)):
        with pytest.raises(HookRefusedError):
            webhook(provider).verify(replace(request, at=at))


@pytest.mark.parametrize("provider", PROVIDERS)
@given(
    body=st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(
                    st.sampled_from(
                        ["event", "type", "msys", "data", "mail", "event-data", "signature", "Message", "bounce", "to"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_no_body_breaks_a_reader(provider: str, body: bytes) -> None:
    """Whatever a provider sends, it is read or refused."""
    request = HookRequest(headers={}, body=body, at=START)
    for step in (webhook(provider).verify, webhook(provider).read):
        with suppress(HookRefusedError, HookUnreadableError):
            step(request)


def test_deep_nonsense_is_unreadable() -> None:
    """JSON that is nested too deeply for the parser is refused like any other."""
    body = b"[" * 200_000
    with pytest.raises(HookUnreadableError):
        webhook("brevo").read(HookRequest(headers={}, body=body, at=START))


@pytest.mark.parametrize("provider", BATCHING)
def test_a_batch_has_many_events(provider: str) -> None:
    """Each event of a batch is one value, in order, with a key of its own."""
    events = [event(provider, "hard", Mail(email=f"p{n}@example.org", number=n)) for n in range(1000)]
    request = signed(provider, events)
    assert len(request.body) < webhook(provider).body_bytes_max
    evidence = webhook(provider).read(request).evidence
    assert [event.address for event in evidence] == [f"p{n}@example.org" for n in range(1000)]
    assert len({event.key for event in evidence}) == 1000


# Promise 13: what is no refusal of this mailbox counts for nothing.


def _reply_kind(evidence: Evidence) -> ReplyClass | None:
    return None if evidence.reply is None else judge(evidence.reply).kind


def _ses_bounce(bounce_type: str, subtype: str, **recipient: str) -> dict[str, object]:
    bounce = {"bounceType": bounce_type, "bounceSubType": subtype, "bouncedRecipients": [recipient]}
    return {"notificationType": "Bounce", "bounce": bounce, "mail": {"source": "tips@example.com"}}


HARMLESS: list[tuple[str, object, ReportKind]] = [
    ("ses", _ses_bounce("Transient", "General", emailAddress="a@example.org"), ReportKind.AUTO_REPLY),
    ("ses", _ses_bounce("Undetermined", "Undetermined"), ReportKind.FAILED),
    ("ses", _ses_bounce("Transient", "MessageTooLarge"), ReportKind.FAILED),
    ("ses", _ses_bounce("Transient", "ContentRejected"), ReportKind.FAILED),
    (
        "ses",
        _ses_bounce("Permanent", "General", status="5.7.1", diagnosticCode="smtp; 550 5.7.1 blocked by policy, spam"),
        ReportKind.FAILED,
    ),
    (
        "ses",
        _ses_bounce("Transient", "General", status="4.4.7", diagnosticCode="smtp; 450 4.4.7 expired"),
        ReportKind.FAILED,
    ),
    ("postmark", {"RecordType": "Bounce", "Type": "AutoResponder", "ID": 1}, ReportKind.AUTO_REPLY),
    ("postmark", {"RecordType": "Bounce", "Type": "DnsError", "ID": 1}, ReportKind.DELAYED),
    ("postmark", {"RecordType": "Bounce", "Type": "SpamNotification", "ID": 1, "Details": ""}, ReportKind.FAILED),
    ("postmark", {"RecordType": "Bounce", "Type": "SMTPApiError", "ID": 1}, ReportKind.OTHER_FEEDBACK),
    (
        "sendgrid",
        {
            "event": "bounce",
            "type": "blocked",
            "reason": "550 5.7.1 Message rejected due to reputation",
            "status": "5.7.1",
        },
        ReportKind.FAILED,
    ),
    ("sendgrid", {"event": "dropped", "reason": "Recipient List over Package Quota"}, ReportKind.OTHER_FEEDBACK),
    ("mailjet", {"event": "bounce", "error": "sender blocked", "error_related_to": "policy"}, ReportKind.FAILED),
    ("mailjet", {"event": "blocked", "error": "preblocked", "error_related_to": "mailjet"}, ReportKind.FAILED),
    ("mailjet", {"event": "bounce", "error": "connection issue", "error_related_to": "system"}, ReportKind.FAILED),
    ("brevo", {"event": "blocked", "reason": ""}, ReportKind.FAILED),
    ("brevo", {"event": "error", "reason": "x"}, ReportKind.OTHER_FEEDBACK),
    ("sparkpost", {"msys": {"message_event": {"type": "bounce", "bounce_class": "60"}}}, ReportKind.AUTO_REPLY),
    ("sparkpost", {"msys": {"message_event": {"type": "bounce", "bounce_class": "51"}}}, ReportKind.FAILED),
    ("sparkpost", {"msys": {"message_event": {"type": "bounce", "bounce_class": "24"}}}, ReportKind.FAILED),
    (
        "mailgun",
        {
            "event": "failed",
            "severity": "permanent",
            "reason": "old",
            "delivery-status": {"code": 602, "message": "Too old"},
        },
        ReportKind.FAILED,
    ),
    ("mailgun", {"event": "rejected", "reject": {"reason": "Sandbox"}}, ReportKind.OTHER_FEEDBACK),
    (
        "resend",
        {"type": "email.failed", "data": {"failed": {"reason": "reached_daily_quota"}}},
        ReportKind.OTHER_FEEDBACK,
    ),
]


@pytest.mark.parametrize(("provider", "raw", "kind"), HARMLESS)
def test_what_is_not_the_mailbox_counts_for_nothing(provider: str, raw: object, kind: ReportKind) -> None:
    """Automatic answers, delays, blocks, quotas, and what the provider did by itself: no class that is counted."""
    [evidence] = read(provider, raw)
    assert evidence.kind is kind
    counted = {
        ReplyClass.HARD,
        ReplyClass.HARD_DOMAIN,
        ReplyClass.PROVISIONAL,
        ReplyClass.SOFT,
        ReplyClass.MAILBOX_FULL,
    }
    assert kind is not ReportKind.FAILED or _reply_kind(evidence) not in counted


PROVISIONAL: list[tuple[str, object]] = [
    ("ses", _ses_bounce("Permanent", "General")),
    ("ses", _ses_bounce("Permanent", "NoEmail")),
    ("ses", _ses_bounce("Permanent", "OnAccountSuppressionList", diagnosticCode="it is on the suppression list")),
    ("postmark", {"RecordType": "Bounce", "Type": "HardBounce", "ID": 1, "Details": "Could not deliver"}),
    ("sendgrid", {"event": "dropped", "reason": "Bounced Address"}),
    ("mailjet", {"event": "blocked", "error": "user unknown", "hard_bounce": True, "error_related_to": "recipient"}),
    ("brevo", {"event": "hard_bounce", "reason": ""}),
    ("sparkpost", {"msys": {"message_event": {"type": "bounce", "bounce_class": "30"}}}),
    (
        "mailgun",
        {
            "event": "failed",
            "severity": "permanent",
            "reason": "suppress-bounce",
            "delivery-status": {"code": 605, "message": "Not delivering to previously bounced address"},
        },
    ),
    ("resend", {"type": "email.suppressed", "data": {}}),
]


@pytest.mark.parametrize(("provider", "raw"), PROVISIONAL)
def test_a_bare_word_of_the_provider_counts_once(provider: str, raw: object) -> None:
    """A class without the words of a server, or a list of addresses that bounced, ends nothing by itself."""
    [evidence] = read(provider, raw)
    assert evidence.kind is ReportKind.FAILED
    assert _reply_kind(evidence) is ReplyClass.PROVISIONAL


LEFT: list[tuple[str, object]] = [
    ("mailgun", {"event": "unsubscribed"}),
    ("mailgun", {"event": "failed", "severity": "permanent", "reason": "suppress-complaint"}),
    (
        "postmark",
        {
            "RecordType": "SubscriptionChange",
            "SuppressSending": True,
            "SuppressionReason": "ManualSuppression",
            "Origin": "Recipient",
        },
    ),
    ("sendgrid", {"event": "group_unsubscribe"}),
    ("sendgrid", {"event": "dropped", "reason": "Spam Reporting Address"}),
    ("mailjet", {"event": "unsub"}),
    ("mailjet", {"event": "blocked", "error": "spam reporter"}),
    ("brevo", {"event": "unsubscribed"}),
    ("sparkpost", {"msys": {"unsubscribe_event": {"type": "list_unsubscribe"}}}),
    ("ses", {"eventType": "Subscription", "subscription": {"newTopicPreferences": {"unsubscribeAll": True}}}),
]


@pytest.mark.parametrize(("provider", "raw"), LEFT)
def test_a_reader_who_left_by_the_provider(provider: str, raw: object) -> None:
    """An opt-out at the provider, or its refusal to mail somebody who complained before, ends the subscription."""
    assert [event.kind for event in read(provider, raw)] == [ReportKind.LEFT]


@pytest.mark.parametrize(
    ("provider", "raw"),
    [
        ("ses", {"notificationType": "Complaint", "complaint": {"complaintFeedbackType": "not-spam"}}),
        ("sparkpost", {"msys": {"message_event": {"type": "spam_complaint", "fbtype": "not-spam"}}}),
        ("postmark", {"RecordType": "SubscriptionChange", "SuppressSending": True, "SuppressionReason": "HardBounce"}),
        ("sparkpost", {"msys": {}}),
        ("sendgrid", {"event": "open"}),
    ],
)
def test_feedback_that_ends_nothing(provider: str, raw: object) -> None:
    """Not spam after all, a list that the provider keeps, a trial, an opened mail."""
    assert {one.kind for one in read(provider, raw)} <= {ReportKind.OTHER_FEEDBACK}


# Amazon SNS


def _sns_request(body: dict[str, str]) -> HookRequest:
    return HookRequest(headers={"x-amz-sns-message-type": body["Type"]}, body=json.dumps(body).encode(), at=START)


def test_a_subscription_is_confirmed_for_the_topic_of_the_settings() -> None:
    """The address to fetch is one of Amazon; another topic is refused, though its signature is right."""
    ses = webhook("ses")
    body = sns("SubscriptionConfirmation", "You have chosen …", at=START, number=1)
    ses.verify(_sns_request(body))
    assert ses.read(_sns_request(body)).confirm_url == CONFIRM_URL
    other = sns("SubscriptionConfirmation", "…", at=START, number=1, TopicArn="arn:aws:sns:eu-west-1:1:other")
    with pytest.raises(HookRefusedError, match="WEBHOOK_SES_TOPICS"):
        ses.verify(_sns_request(other))


@pytest.mark.parametrize(
    "url",
    [
        "https://sns.eu-west-1.amazonaws.com.example.org/?Action=ConfirmSubscription",
        "http://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
        "https://user@sns.eu-west-1.amazonaws.com/",
        "https://sns.eu-west-1.amazonaws.com:8443/",
        "https://s3.amazonaws.com/",
        "https://[",
        "",
    ],
)
def test_only_addresses_of_amazon_are_fetched(url: str) -> None:
    """Neither a certificate nor a confirmation comes from anywhere else, and nothing is fetched to find out."""

    def fetch(url: str) -> bytes:
        raise AssertionError(url)

    ses = webhook("ses", fetch=fetch)
    with pytest.raises(HookRefusedError):
        ses.verify(_sns_request(sns("Notification", "{}", at=START, number=1, SigningCertURL=f"{url}x.pem")))
    body = sns("SubscriptionConfirmation", "…", at=START, number=1, SubscribeURL=url)
    with pytest.raises(HookUnreadableError):
        ses.read(_sns_request(body))


def test_a_certificate_is_fetched_once_and_must_be_valid() -> None:
    """It serves for all later requests; one that has expired, or is none, does not."""
    fetched: list[str] = []

    def fetch(url: str) -> bytes:
        fetched.append(url)
        return certificate()

    ses = webhook("ses", fetch=fetch)
    for number in range(3):
        ses.verify(_sns_request(sns("Notification", "{}", at=START, number=number)))
    assert fetched == [CERTIFICATE_URL]
    expired = webhook("ses", fetch=lambda _: certificate(START - timedelta(days=30), 20))
    strange = webhook("ses", fetch=lambda _: b"no certificate")
    for ses in (expired, strange):
        with pytest.raises(HookRefusedError):
            ses.verify(_sns_request(sns("Notification", "{}", at=START, number=9)))


def test_the_weak_signature_is_refused() -> None:
    """Version 1 signs with SHA-1; the sentence says what to set."""
    with pytest.raises(HookRefusedError, match="SignatureVersion of the topic to 2"):
        webhook("ses").verify(_sns_request(sns("Notification", "{}", at=START, number=1, version="1")))


def test_a_header_that_contradicts_the_body_is_refused() -> None:
    """A notification is not taken for another kind of message."""
    request = _sns_request(sns("Notification", "{}", at=START, number=1))
    with pytest.raises(HookRefusedError):
        webhook("ses").verify(replace(request, headers={"x-amz-sns-message-type": "SubscriptionConfirmation"}))


def test_a_certificate_that_cannot_be_fetched_is_asked_for_again() -> None:
    """The provider sends the request once more: this is no wrong signature."""

    def fetch(_url: str) -> bytes:
        raise NotNow

    with pytest.raises(NotNow):
        webhook("ses", fetch=fetch).verify(_sns_request(sns("Notification", "{}", at=START, number=1)))


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (
            lambda: __import__("newsletter.core.webhooks.sendgrid", fromlist=["x"]).SendGridWebhook(public_keys=("?",)),
            "SENDGRID",
        ),
        (
            lambda: __import__("newsletter.core.webhooks.resend", fromlist=["x"]).ResendWebhook(secrets=("whsec_?",)),
            "RESEND",
        ),
    ],
)
def test_a_key_that_is_none_is_named(build: Callable[[], object], name: str) -> None:
    """It is said at the start, with the name of the setting."""
    with pytest.raises(InputError, match=name):
        build()


def test_every_password_is_compared() -> None:
    """Two are valid while one is changed, as password and as bearer token; nothing is no password."""
    for scheme, value in (
        ("Basic", base64.b64encode(f"any:{OTHER_KEY[::-1]}".encode()).decode()),
        ("Bearer", OTHER_KEY[::-1]),
    ):
        webhook("postmark").verify(HookRequest(headers={"authorization": f"{scheme} {value}"}, body=b"", at=START))
    for header in ("", "Basic", "Basic ?", "Basic " + base64.b64encode(b"newsletter:").decode(), "Bearer "):
        with pytest.raises(HookRefusedError):
            webhook("postmark").verify(HookRequest(headers={"authorization": header}, body=b"", at=START))


def test_the_words_of_the_server_decide() -> None:
    """A provider's own class never overrules what the server said about our mail."""
    raw = dict(event("brevo", "hard", MAIL)) | {"reason": "550 5.7.1 rejected: listed at a block list"}
    [evidence] = read("brevo", raw)
    assert _reply_kind(evidence) is ReplyClass.POLICY
    [evidence] = read("brevo", dict(event("brevo", "soft", MAIL)) | {"reason": HARD})
    assert _reply_kind(evidence) is ReplyClass.HARD
