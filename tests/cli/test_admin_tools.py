"""The settings page shows what `config show` and `doctor` print, and no secret."""

from __future__ import annotations

import json
import os

from newsletter.cli.admin_tools import admin_tools
from newsletter.cli.context import State
from newsletter.settings.model import settings_help
from newsletter.testing.catcher import Catcher
from newsletter.web.admin.tools import AdminTools
from tests.cli.conftest import Home
from tests.conftest import SECRET, SHIFTED


def tools_of(home: Home) -> AdminTools:
    """Return what the service passes to the pages."""
    return admin_tools(State(home=home.folder, environ=dict(os.environ), clock=SHIFTED))


def configure(home: Home, port: int) -> None:
    """Add a mail server to the `.env`, with a password."""
    with (home.folder / ".env").open("a") as settings:
        settings.write(
            f"NEWSLETTER_SMTP_HOST=127.0.0.1\nNEWSLETTER_SMTP_PORT={port}\nNEWSLETTER_SMTP_SECURITY=none\n"
            "NEWSLETTER_METRICS_TOKEN=a-token-of-thirty-two-characters\n"
        )


def test_the_settings_are_those_of_the_command(home: Home) -> None:
    """Name, value and source are equal, each with its sentence; a secret is only said to be set."""
    configure(home, 25)
    rows = tools_of(home).settings()
    shown = json.loads(home.run("config", "show", "--json").out)
    assert [{"name": row.name, "value": row.value, "source": row.source} for row in rows] == shown
    assert [row.sentence for row in rows] == [setting.description for setting in settings_help()]
    values = " ".join(row.value for row in rows)
    assert SECRET not in values
    assert "a-token-of-thirty-two" not in values
    [key] = [row for row in rows if row.name == "NEWSLETTER_SECRET_KEY"]
    assert (key.value, key.source) == ("set", ".env")


def test_the_checks_are_those_of_the_doctor(home: Home) -> None:
    """Level, subject and advice are equal, the login at the mail server with them."""
    with Catcher() as server:
        configure(home, server.port)
        rows = tools_of(home).doctor()
        shown = json.loads(home.run("doctor", "--json").out)["findings"]

    def lasting(findings: list[dict[str, str]]) -> list[dict[str, str]]:
        """Leave out what tells the time of day, or the room on the disk, which may change meanwhile."""
        return [finding for finding in findings if finding["about"] not in {"time", "disk"}]

    checks = [{"level": row.level, "about": row.about, "text": row.text, "todo": row.todo} for row in rows]
    assert lasting(checks) == lasting(shown)
    assert "no mail was sent" in " ".join(row.text for row in rows)
