"""The command line as people call it: a home with settings and a database, and the real command in this process."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TextIO

import pytest

from newsletter.cli.main import main
from newsletter.core.cadence import Slot
from newsletter.core.lineup import LineupRules
from newsletter.flows.freeze import RenderContext, freeze
from newsletter.render.environment import make_environment
from newsletter.store.database import connect, open_unit
from newsletter.store.unit import Unit
from newsletter.testing.catcher import Catcher
from tests.conftest import SECRET, SHIFTED
from tests.edition_fixtures import PUBLICATION, add_people, add_tip
from tests.flows.follow_up_fixtures import World

SETTINGS = f"""
NEWSLETTER_FROM=tips@example.com
NEWSLETTER_POSTAL_ADDRESS='Example Society, 1 Example Street, Springfield'
NEWSLETTER_BASE_URL=https://news.example.com
NEWSLETTER_SECRET_KEY='{SECRET}'
"""

PEOPLE = range(6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What one call of the command came to."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A folder with a `.env` and a database."""

    folder: Path
    unit: Unit
    call: Callable[..., Ran]

    def run(self, *words: str, stdin: str = "") -> Ran:
        """Run `newsletter` with these words in this home."""
        return self.call(*words, stdin=stdin)


@pytest.fixture
def home(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Home]:
    """Return a home of one's own, with an empty SQLite database."""
    (tmp_path / ".env").write_text(f"NEWSLETTER_DATABASE_URL={sqlite_url}\n{SETTINGS}")

    def call(*words: str, stdin: str | TextIO = "") -> Ran:
        monkeypatch.setattr(sys, "argv", ["newsletter", "-C", str(tmp_path), *words])
        stream = io.TextIOWrapper(io.BytesIO(stdin.encode())) if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", stream)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(SHIFTED)
        captured = capsys.readouterr()
        return Ran(code=int(ended.value.code or 0), out=captured.out, err=captured.err)

    engine = connect(sqlite_url)
    yield Home(folder=tmp_path, unit=open_unit(engine), call=call)
    engine.dispose()


@pytest.fixture
def mail() -> Iterator[Catcher]:
    """Return a mail server that takes everything."""
    with Catcher() as server:
        yield server


@pytest.fixture
def world(home: Home, mail: Catcher) -> World:
    """Return an edition that began half an hour ago, with a wrong tip, for six people."""
    with (home.folder / ".env").open("a") as settings:
        settings.write(
            f"NEWSLETTER_SMTP_HOST=127.0.0.1\nNEWSLETTER_SMTP_PORT={mail.port}\nNEWSLETTER_SMTP_SECURITY=none\n"
        )
    add_people(home.unit, len(PEOPLE))
    for slug in ("wrong", "right", "other"):
        add_tip(home.unit, slug)
    now = SHIFTED.now().replace(microsecond=0) - timedelta(minutes=30)
    render_context = RenderContext(publication=PUBLICATION, templates=make_environment(None), rules=LineupRules())
    frozen_edition = freeze(home.unit, render_context, Slot(date=now.date(), sends_at=now), now=now).edition
    assert frozen_edition is not None
    return World(unit=home.unit, render_context=render_context, wrong=frozen_edition)
