"""`newsletter config show`: values, sources, and no secret in the output."""

from __future__ import annotations

import json

import pytest

from newsletter.settings.model import settings_help
from tests.cli.conftest import Home
from tests.conftest import SECRET

LOGIN = "NEWSLETTER_SMTP_USERNAME=tips\n"


def _add(home: Home, text: str) -> None:
    with (home.folder / ".env").open("a", encoding="utf-8") as env_file:
        env_file.write(text)


def _shown(home: Home, *words: str) -> dict[str, tuple[str, str]]:
    result = home.run("config", "show", "--json", *words)
    assert (result.code, result.err) == (0, "")
    return {row["name"]: (row["value"], row["source"]) for row in json.loads(result.out)}


def test_every_setting_is_shown(home: Home) -> None:
    """The list has the names and the order of the documentation."""
    assert list(_shown(home)) == [setting.name for setting in settings_help()]


def test_sources(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source is the environment before the `.env`, a file for NAME_FILE, else the default."""
    (home.folder / "password").write_text("open sesame\n", encoding="utf-8")
    _add(home, f"{LOGIN}NEWSLETTER_SMTP_PASSWORD_FILE=password\nNEWSLETTER_SEND_DAY=Wed\nNEWSLETTER_SEND_TIME=9am\n")
    monkeypatch.setenv("NEWSLETTER_SEND_DAY", "fri")
    monkeypatch.setenv("NEWSLETTER_LANGUAGE", "")
    shown = _shown(home)
    assert shown["NEWSLETTER_SEND_DAY"] == ("friday", "environment")
    assert shown["NEWSLETTER_SEND_TIME"] == ("09:00", ".env")
    assert shown["NEWSLETTER_SMTP_PASSWORD"] == ("set", "file")
    assert shown["NEWSLETTER_FALLBACK_SMTP_PASSWORD"] == ("not set", "default")
    assert shown["NEWSLETTER_LANGUAGE"] == ("en", "default")


def test_values_as_an_operator_writes_them(home: Home) -> None:
    """Lists have commas, percentages no needless zeros, switches the words of the settings."""
    emails = "ann@example.org, bob@example.org"
    _add(home, f"NEWSLETTER_ADMIN_EMAILS='{emails}'\nNEWSLETTER_PAUSE_HARD_PERCENT=3\nNEWSLETTER_LOG_ADDRESSES=yes\n")
    shown = _shown(home)
    assert shown["NEWSLETTER_ADMIN_EMAILS"] == (emails, ".env")
    assert shown["NEWSLETTER_PAUSE_HARD_PERCENT"] == ("3", ".env")
    assert shown["NEWSLETTER_LOG_ADDRESSES"] == ("true", ".env")


def test_a_value_that_follows_from_another_setting_names_it(home: Home) -> None:
    """A preset gives limits and a From line the name; a setting of its own wins."""
    _add(
        home,
        "NEWSLETTER_FROM='Field Notes <tips@example.com>'\n"
        "NEWSLETTER_SMTP_PRESET=mailgun\nNEWSLETTER_SMTP_MAX_SECONDS=20\n",
    )
    shown = _shown(home)
    assert shown["NEWSLETTER_NAME"] == ("Field Notes", "NEWSLETTER_FROM")
    assert shown["NEWSLETTER_SMTP_CONNECTIONS"] == ("20", "NEWSLETTER_SMTP_PRESET")
    assert shown["NEWSLETTER_SMTP_MAX_MESSAGES"] == ("3", "NEWSLETTER_SMTP_PRESET")
    assert shown["NEWSLETTER_SMTP_MAX_SECONDS"] == ("20", ".env")


@pytest.mark.parametrize("words", [(), ("--json",), ("--changed",)], ids=" ".join)
def test_no_secret_is_shown(home: Home, words: tuple[str, ...]) -> None:
    """Keys, passwords, tokens, commands and the ping address, all of which may hold credentials, stay hidden."""
    _add(
        home,
        f"{LOGIN}NEWSLETTER_SMTP_PASSWORD=hidden-one\nNEWSLETTER_SECRET_KEYS_OLD={'hidden-two' * 4}\n"
        f"NEWSLETTER_METRICS_TOKEN={'hidden-three' * 4}\nNEWSLETTER_ALERT_COMMAND='page --token hidden-four'\n"
        "NEWSLETTER_PING_URL=https://ping.example.com/hidden-five\n"
        "NEWSLETTER_FALLBACK_SMTP_HOST=mail.example.net\nNEWSLETTER_FALLBACK_SMTP_USERNAME=tips\n"
        "NEWSLETTER_FALLBACK_SMTP_PASSWORD=hidden-six\n",
    )
    result = home.run("config", "show", *words)
    assert (result.code, result.err) == (0, "")
    assert "hidden" not in result.out
    assert SECRET not in result.out
    assert "NEWSLETTER_PING_URL" in result.out


def test_changed_leaves_out_defaults(home: Home) -> None:
    """What remains is what the operator decided."""
    assert set(_shown(home, "--changed")) == {
        "NEWSLETTER_DATABASE_URL",
        "NEWSLETTER_FROM",
        "NEWSLETTER_POSTAL_ADDRESS",
        "NEWSLETTER_BASE_URL",
        "NEWSLETTER_SECRET_KEY",
    }
