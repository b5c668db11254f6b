"""How the webhook of each mail provider is set up: the address, and the steps at the provider, as people read them.

In: the name of a provider and the public address. Out: lines. A secret is never shown: PASSWORD and TOKEN stand for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from newsletter.settings.model import setting_name
from newsletter.settings.webhooks import WEBHOOK_SETTINGS

BASIC_USER = "newsletter"
"""The user name of HTTP Basic authentication; only the password is compared."""
_OWN_STEP = (
    'Make a password of your own, at least 32 characters: python3 -c "import secrets; print(secrets.token_urlsafe(32))"'
)
_SIGNATURE_VERSION = (
    "Let it sign with SHA-256: "
    "aws sns set-topic-attributes --topic-arn ARN --attribute-name SignatureVersion --attribute-value 2"
)
_SES_NOTIFICATIONS = (
    "In Amazon SES, at your identity, under Notifications, choose the topic for bounces and for complaints, and tick "
    "“Include original headers”."
)

EVENT_CHOICES = {
    "mailgun": "Delivered Messages, Temporary Failure, Permanent Failure, Spam Complaints, Unsubscribes",
    "postmark": "Delivery, Bounce, Spam Complaint, Subscription Change",
    "sendgrid": "Delivered, Deferred, Bounced, Dropped, Spam Reports, Unsubscribes, Group Unsubscribes",
    "mailjet": "Sent, Bounced, Blocked, Spam, Unsubscribed",
    "brevo": "Delivered, Deferred, Soft bounced, Hard bounced, Invalid email, Blocked, Complaint, Unsubscribed",
    "sparkpost": "Bounce, Delivery, Delay, Out of Band, Policy Rejection, Spam Complaint, List Unsubscribe, "
    "Link Unsubscribe",
    "resend": "email.delivered, email.delivery_delayed, email.bounced, email.complained, email.suppressed",
}
"""What to choose at each provider, in its own words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookGuide:
    """The steps at one provider.

    `{url}` is the address, `{secret_url}` the same with a password in it, `{events}` what to choose.
    """

    title: str
    steps: tuple[str, ...]


_SET_AND_RESTART = "Set {setting} to it, and start the service again."

GUIDES = {
    "ses": WebhookGuide(
        title="Amazon SES",
        steps=(
            "In Amazon SNS, create a topic of the type Standard, in the region of your SES identity.",
            _SIGNATURE_VERSION,
            "Set {setting} to the ARN of the topic, install the `webhooks` extra, and start the service again.",
            "Subscribe to the topic: protocol HTTPS, endpoint {url}. The service confirms it by itself.",
            _SES_NOTIFICATIONS,
        ),
    ),
    "mailgun": WebhookGuide(
        title="Mailgun",
        steps=(
            "Under Sending, Webhooks, copy the HTTP webhook signing key into {setting}, and start the service again.",
            "Add {url} for: {events}.",
        ),
    ),
    "postmark": WebhookGuide(
        title="Postmark",
        steps=(
            _OWN_STEP,
            _SET_AND_RESTART,
            "At the message stream, Webhooks, add {secret_url} for: {events}.",
        ),
    ),
    "sendgrid": WebhookGuide(
        title="SendGrid",
        steps=(
            "Under Settings, Mail Settings, Event Webhooks, create one with {url} for: {events}.",
            "Switch on Signed Event Webhook, and copy the verification key into {setting}.",
            "Install the `webhooks` extra, and start the service again.",
        ),
    ),
    "mailjet": WebhookGuide(
        title="Mailjet",
        steps=(
            _OWN_STEP,
            _SET_AND_RESTART,
            "Under Event notifications, add {secret_url}, grouped, for: {events}.",
        ),
    ),
    "brevo": WebhookGuide(
        title="Brevo",
        steps=(
            _OWN_STEP,
            _SET_AND_RESTART,
            "Under Transactional, Settings, Webhook, add {url}, authentication Token with it, for: {events}.",
        ),
    ),
    "sparkpost": WebhookGuide(
        title="SparkPost",
        steps=(
            _OWN_STEP,
            _SET_AND_RESTART,
            "Under Webhooks, add {url}, Basic authentication as newsletter with it, for: {events}.",
        ),
    ),
    "resend": WebhookGuide(
        title="Resend",
        steps=(
            "Under Webhooks, add {url} for: {events}.",
            "Copy the signing secret into {setting}, and start the service again.",
        ),
    ),
}


def webhook_url(base_url: str, provider: str) -> str:
    """Return the address of a webhook."""
    return f"{base_url}/hooks/{provider}"


def webhook_steps(base_url: str, provider: str) -> list[str]:
    """Return the steps at a provider."""
    url = webhook_url(base_url, provider)
    parts = urlsplit(url)
    secret_url = f"{parts.scheme}://{BASIC_USER}:PASSWORD@{parts.netloc}{parts.path}"
    setting = setting_name(WEBHOOK_SETTINGS[provider])
    values = {"url": url, "secret_url": secret_url, "setting": setting, "events": EVENT_CHOICES.get(provider, "")}
    return [step.format(**values) for step in GUIDES[provider].steps]
