"""A throwaway installation to measure: a database with so many people, and one long tip.

In: a number of people. Out: the application, wired as `newsletter run` wires it. It never touches anything outside its
own folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from newsletter.core.cadence import next_slots
from newsletter.core.edition import Edition
from newsletter.core.tip import TipDraft, TipStatus
from newsletter.core.token import key_fingerprint
from newsletter.flows.freeze import freeze
from newsletter.settings.loader import load_settings
from newsletter.store import installation
from newsletter.store import tip as tips
from newsletter.store.unit import Unit
from newsletter.store.upgrade import upgrade
from newsletter.wiring import Application, build

HOST = "127.0.0.1"
SECRET = "benchmark-" * 4
PARAGRAPH = "A short name says more than a number, and a number says more than a shrug. " * 6
BODY = "Hello {{ first_name|there }},\n\n" + f"{PARAGRAPH}\n\n" * 14
"""Long enough that a whole message, with its text and its HTML, has about 20 KB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Where the installation lives, and where its mail goes."""

    home: Path
    url: str = ""
    """Of the database; empty: a SQLite file in the home."""
    port: int = 25
    connections: int = 10
    web_port: int = 8080

    def settings(self) -> dict[str, str]:
        """Return what an operator would write into `.env`."""
        return {
            "NEWSLETTER_HOME": str(self.home),
            "NEWSLETTER_DATABASE_URL": self.url or f"sqlite:///{self.home}/newsletter.db",
            "NEWSLETTER_STATE_DIR": str(self.home / "state"),
            "NEWSLETTER_FROM": "tips@news.example.com",
            "NEWSLETTER_POSTAL_ADDRESS": "Example Society, 1 Example Street",
            "NEWSLETTER_BASE_URL": "https://news.example.com",
            "NEWSLETTER_BOUNCE_DOMAIN": "bounces.example.com",
            "NEWSLETTER_SECRET_KEY": SECRET,
            "NEWSLETTER_SMTP_HOST": HOST,
            "NEWSLETTER_SMTP_PORT": str(self.port),
            "NEWSLETTER_SMTP_SECURITY": "none",
            "NEWSLETTER_SMTP_CONNECTIONS": str(self.connections),
            "NEWSLETTER_SMTP_PRESET": "postfix",
            "NEWSLETTER_WEB_PORT": str(self.web_port),
        }

    def application(self) -> Application:
        """Wire it."""
        return build(load_settings(self.settings(), self.home))

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command of the product, as an operator does; what it says goes to a file in the home."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("NEWSLETTER_")}
        with (self.home / "said.txt").open("ab") as output_file:
            return subprocess.Popen(
                [sys.executable, "-m", "newsletter", *arguments],
                env=environ | self.settings(),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output_file,
                stderr=output_file,
            )

    def prepare(self, people: int) -> None:
        """Make the database; the people are made inside it, so that a million of them take seconds."""
        app = self.application()
        upgrade(app.engine)
        now = datetime.now(UTC)
        sqlite = app.engine.dialect.name == "sqlite"
        with Unit(app.engine).write() as tx:
            installation.create(tx, now=now, key_fingerprint=key_fingerprint(SECRET))
            draft = TipDraft(
                slug="the-tip", title="Name your branches", subject="A tip", status=TipStatus.APPROVED, body=BODY
            )
            tips.add(tx, draft, now=now)
            values = {"people": people, "now": now.replace(tzinfo=None).isoformat(sep=" ") if sqlite else now}
            tx.execute(_PEOPLE_OF_SQLITE if sqlite else _PEOPLE_OF_POSTGRESQL, values)
        app.engine.dispose()


_PEOPLE = """
INSERT INTO subscriber (email, canonical, name, first_name, state, state_since, created_at)
SELECT 'reader' || n || '@example.com', 'reader' || n || '@example.com', 'Reader ' || n, 'Reader' || n,
       'active', :now, :now FROM
"""
_NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :people)"
_PEOPLE_OF_SQLITE = text(_NUMBERS + _PEOPLE + "numbers WHERE :people > 0")
_PEOPLE_OF_POSTGRESQL = text(_PEOPLE + "generate_series(1, :people) AS numbers(n)")


def freeze_next(app: Application) -> Edition:
    """Freeze the next slot's edition now, as `edition send --now` does."""
    now = app.clock.now()
    edition = freeze(app.unit, app.render_context, next_slots(app.cadence, now, 1)[0], now=now).edition
    if edition is None:
        raise SystemExit("nothing was frozen: the installation is empty")
    return edition
