"""The settings of webhooks: a secret switches one on, and what is no key or topic is refused with what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from newsletter.errors import InputError
from newsletter.settings.loader import load_settings
from newsletter.settings.model import Settings
from newsletter.settings.webhooks import WEBHOOK_SETTINGS, webhook_providers
from newsletter.wiring import build
from tests.core.webhook_payloads import KEY, TOPIC, webhook
from tests.settings.test_loader import REQUIRED


def load(home: Path, **values: str) -> Settings:
    """Load the required settings and those given, without the prefix."""
    return load_settings(REQUIRED | {f"NEWSLETTER_WEBHOOK_{name}": value for name, value in values.items()}, home)


def test_a_secret_switches_a_webhook_on(tmp_path: Path) -> None:
    """By default there is none; two secrets are valid while one is changed."""
    assert webhook_providers(load(tmp_path)) == ()
    settings = load(tmp_path, MAILGUN_KEYS=f"{KEY}, {KEY[::-1]}", SES_TOPICS=TOPIC)
    assert webhook_providers(settings) == ("ses", "mailgun")
    assert list(build(settings).webhooks) == ["ses", "mailgun"]
    assert build(settings).render_context.providers == ("ses", "mailgun")


def test_every_webhook_is_built_from_its_setting(tmp_path: Path) -> None:
    """Each provider of the settings has a webhook of its name."""
    sendgrid: tuple[str, ...] = webhook("sendgrid").public_keys  # type: ignore[attr-defined]
    own = {"ses": TOPIC, "sendgrid": sendgrid[0], "resend": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"}
    values = {key.removeprefix("webhook_").upper(): own.get(name, KEY) for name, key in WEBHOOK_SETTINGS.items()}
    webhooks = build(load(tmp_path, **values)).webhooks
    assert {name: hook.provider for name, hook in webhooks.items()} == {name: name for name in WEBHOOK_SETTINGS}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("MAILGUN_KEYS", "sesame", "at least 32 characters"),
        ("SES_TOPICS", "bounces", "write its ARN"),
        ("SES_TOPICS", f"{TOPIC}, arn:aws:s3:::x", "write its ARN"),
    ],
)
def test_what_is_no_key_is_refused(tmp_path: Path, name: str, value: str, words: str) -> None:
    """The line says what to write, and repeats no secret."""
    with pytest.raises(InputError) as caught:
        load(tmp_path, **{name: value})
    [line] = caught.value.details
    assert line.startswith(f"NEWSLETTER_WEBHOOK_{name}: ")
    assert words in line
    assert "sesame" not in line
