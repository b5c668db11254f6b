"""The command line as people call it: a home with settings and a database, and the real command in this process."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from newsletter.cli.main import main
from newsletter.store.database import connect, open_unit
from newsletter.store.unit import Unit
from tests.conftest import SECRET

SETTINGS = f"""
NEWSLETTER_FROM=tips@example.com
NEWSLETTER_POSTAL_ADDRESS='Example Society, 1 Example Street, Springfield'
NEWSLETTER_BASE_URL=https://news.example.com
NEWSLETTER_SECRET_KEY='{SECRET}'
"""


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

    def call(*words: str, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "argv", ["newsletter", "-C", str(tmp_path), *words])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Ran(code=int(ended.value.code or 0), out=said.out, err=said.err)

    engine = connect(sqlite_url)
    yield Home(folder=tmp_path, unit=open_unit(engine), call=call)
    engine.dispose()
