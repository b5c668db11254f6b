"""The providers whose webhooks are in use: those whose secret is set.

In: settings. Out: their names, as the addresses of the webhooks end. `wiring.py` builds the webhooks.
"""

from __future__ import annotations

from newsletter.settings.model import Settings

WEBHOOK_SETTINGS = {
    "ses": "webhook_ses_topics",
    "mailgun": "webhook_mailgun_keys",
    "postmark": "webhook_postmark_passwords",
    "sendgrid": "webhook_sendgrid_keys",
    "mailjet": "webhook_mailjet_passwords",
    "brevo": "webhook_brevo_tokens",
    "sparkpost": "webhook_sparkpost_passwords",
    "resend": "webhook_resend_secrets",
}
"""By provider, the setting that switches its webhook on."""


def webhook_providers(settings: Settings) -> tuple[str, ...]:
    """Return the providers whose webhooks are in use."""
    return tuple(provider for provider, key in WEBHOOK_SETTINGS.items() if getattr(settings, key))
