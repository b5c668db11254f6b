"""A command imports what it uses: what renders, sends or serves costs a command that only looks no time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import SETTINGS, Home

HEAVY = {
    "alembic",
    "cssutils",
    "email_validator",
    "fastapi",
    "jinja2",
    "lxml",
    "markdown_it",
    "nh3",
    "premailer",
    "rich",
    "smtplib",
    "sqlalchemy.dialects.postgresql",
    "starlette",
    "structlog",
    "uvicorn",
    "yaml",
    "newsletter.core.mail_report",
    "newsletter.sending",
    "newsletter.transport",
    "newsletter.operations",
    "newsletter.render",
    "newsletter.web",
}
"""What no command needs that only looks at a SQLite database and reads settings with plain addresses."""

SCRIPT = """
import sys
from newsletter.cli.main import main

sys.argv[1:] = {arguments!r}
try:
    main()
finally:
    print("modules:", *sys.modules, file=sys.stderr)
"""


OTHER_COMMANDS = {
    "newsletter.cli.doctor",
    "newsletter.cli.edition",
    "newsletter.cli.service",
    "newsletter.cli.subscriber",
}
"""Modules of commands that another command need not import; `--help` shows a line of each."""


def modules_after(home: Path, *arguments: str) -> set[str]:
    """Run a command in a process of its own; return what it had imported at its end."""
    script = SCRIPT.format(arguments=list(arguments))
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=home, capture_output=True, text=True, check=False, timeout=120
    )
    assert "Traceback" not in result.stderr, result.stderr
    return set(result.stderr.rpartition("modules:")[2].split())


@pytest.mark.parametrize("command", ["status", "queue", "tip list"])
def test_a_command_that_looks_imports_nothing_heavy(home: Home, command: str) -> None:
    """`status`, `queue` and `tip list` neither render, nor send, nor serve, nor migrate."""
    assert modules_after(home.folder, *command.split()) & (HEAVY | OTHER_COMMANDS) == set()


@pytest.mark.postgres
def test_a_command_on_postgresql_imports_nothing_of_sqlite(postgres_url: str, tmp_path: Path) -> None:
    """The dialect of the other database is not loaded, nor the library that checks unusual addresses and domains."""
    more = "NEWSLETTER_BOUNCE_DOMAIN=bounces.example.com"
    (tmp_path / ".env").write_text(f"NEWSLETTER_DATABASE_URL='{postgres_url}'\n{SETTINGS}\n{more}\n")
    heavy = HEAVY - {"sqlalchemy.dialects.postgresql"} | {"sqlalchemy.dialects.sqlite"}
    assert modules_after(tmp_path, "status") & (heavy | OTHER_COMMANDS) == set()


def test_the_help_imports_no_database(tmp_path: Path) -> None:
    """`--help` needs neither SQLAlchemy nor the settings."""
    assert modules_after(tmp_path, "--help") & (HEAVY | {"sqlalchemy", "pydantic", "newsletter.wiring"}) == set()
