"""Settings of the mail server as the transport gets them: presets, what wins over them, and the token command."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from newsletter.errors import InputError
from newsletter.settings.loader import Settings, load_settings
from newsletter.settings.model import RelayKind
from newsletter.settings.presets import PRESETS, Preset
from newsletter.wiring import build

REQUIRED = {
    "NEWSLETTER_FROM": "tips@example.com",
    "NEWSLETTER_POSTAL_ADDRESS": "Example Society",
    "NEWSLETTER_BASE_URL": "https://news.example.com",
    "NEWSLETTER_SECRET_KEY": "k" * 32,
}


def load(home: Path, **values: str) -> Settings:
    """Read settings with the required ones in place."""
    return load_settings(REQUIRED | {f"NEWSLETTER_{name}": value for name, value in values.items()}, home)


def test_every_preset_may_be_chosen() -> None:
    """The settings know the same kinds of server as the transport, and the numbers they show are those of no preset."""
    assert set(get_args(RelayKind)) == set(PRESETS)
    fields = Settings.model_fields
    assert PRESETS["none"] == Preset(
        connections=fields["smtp_connections"].default,
        messages=fields["smtp_max_messages"].default,
        seconds=fields["smtp_max_seconds"].default,
    )


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "none"])
def test_a_preset_gives_what_was_not_set(tmp_path: Path, name: str) -> None:
    """Its numbers reach the transport, for the first server and for the second."""
    preset = PRESETS[name]
    relays = build(
        load(tmp_path, SMTP_PRESET=name, FALLBACK_SMTP_HOST="spare.example.com", FALLBACK_SMTP_PRESET="mailgun")
    ).relays
    assert (relays[0].max_messages, relays[0].max_seconds) == (preset.messages, preset.seconds)
    assert relays[1].max_messages == PRESETS["mailgun"].messages


def test_a_setting_of_ones_own_wins_over_the_preset(tmp_path: Path) -> None:
    """Also when it happens to be what it is without a preset."""
    relay = build(load(tmp_path, SMTP_PRESET="sendgrid", SMTP_MAX_MESSAGES="100")).relay
    assert (relay.max_messages, relay.max_seconds) == (100, PRESETS["sendgrid"].seconds)


def test_a_token_command_takes_the_place_of_the_password(tmp_path: Path) -> None:
    """It needs a login, and no password beside it."""
    relay = build(load(tmp_path, SMTP_USERNAME="me", SMTP_TOKEN_COMMAND="echo token-for-me")).relay
    assert relay.tokens is not None
    assert relay.tokens.fetch() == "token-for-me"
    assert relay.password == ""
    for values in (
        {"SMTP_TOKEN_COMMAND": "x"},
        {"SMTP_TOKEN_COMMAND": "x", "SMTP_USERNAME": "me", "SMTP_PASSWORD": "p"},
    ):
        with pytest.raises(InputError) as caught:
            load(tmp_path, **values)
        assert caught.value.details[0].startswith("NEWSLETTER_SMTP_TOKEN_COMMAND: ")


def test_the_table_of_presets_is_right() -> None:
    """The page for operators shows the numbers that are used."""
    page = (Path(__file__).parents[2] / "docs/operating.md").read_text()
    for name, preset in PRESETS.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}`"))
        assert row.endswith(f" | {preset.connections} | {preset.messages:,} | {preset.seconds} |")
