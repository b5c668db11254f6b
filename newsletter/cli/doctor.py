"""`newsletter doctor`: looks at everything that mail depends on, one line each, and says what to do.

It changes nothing, sends nothing, and shows no secret.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from newsletter.cli.context import State, state
from newsletter.cli.output import Json, one_line, print_json, say, say_beside
from newsletter.cli.paths import check_home
from newsletter.errors import InputError
from newsletter.wording import plural

if TYPE_CHECKING:
    from newsletter.cli.finding import Finding

COLOURS = {"ok": typer.colors.GREEN, "warn": typer.colors.YELLOW, "fail": typer.colors.RED}

_LEVEL = 4


def doctor(context: typer.Context, *, as_json: Json = False) -> None:
    """Check everything that mail depends on; send nothing.

    Settings, database, mail server, dates, templates and stock; exit code 1 if a check fails.
    """
    rows = []
    for finding in examine_all(state(context)):
        rows.append(finding)
        if not as_json:
            _show(finding)
    counts = Counter(finding.level.value for finding in rows)
    if as_json:
        lines = [{"level": row.level, "about": row.about, "text": row.text, "todo": row.todo} for row in rows]
        print_json({"ok": not counts["fail"], "findings": lines})
    else:
        say()
        say(_verdict(counts))
    if counts["fail"]:
        raise typer.Exit(1)


def examine_all(invocation: State) -> Iterator[Finding]:
    """Yield what there is to say of everything that mail depends on."""
    from newsletter.cli import examine
    from newsletter.cli.examine_database import database
    from newsletter.cli.examine_dns import sender_dns
    from newsletter.cli.examine_signing import signing

    # A folder that cannot be one is a slip of the hand, and no finding about an installation.
    check_home(invocation.home)
    try:
        application = invocation.app
    except InputError as error:
        if error.details or (invocation.home / ".env").exists():
            yield from examine.wrong_settings(error)
        yield from examine.settings_file(invocation.home, required=True)
        return
    yield from examine.settings(application, invocation.home)
    yield from examine.public_address(application)
    yield from examine.folder(application, invocation.home)
    yield from database(application)
    yield from examine.dates(application)
    yield from examine.templates(application)
    yield from signing(application)
    yield from examine.webhooks(application)
    # Last, since it may take a while.
    yield from sender_dns(application)
    yield from examine.bounce_mailbox(application)
    yield from examine.mail_server(application)


def _show(finding: Finding) -> None:
    level = typer.style(f"{finding.level.value:{_LEVEL}}", fg=COLOURS[finding.level.value])
    about = f"  {finding.about:14}  "
    say_beside(level + about, one_line(finding.text), cells=_LEVEL + len(about))
    if finding.todo:
        todo = f"{'':22}→ "
        say_beside(todo, one_line(finding.todo), cells=len(todo))


def _verdict(counts: Counter[str]) -> str:
    if counts["fail"]:
        warnings = f", and {plural(counts['warn'], 'warning')}" if counts["warn"] else ""
        return f"{plural(counts['fail'], 'thing')} must be put right before mail can go out{warnings}."
    if counts["warn"]:
        return f"Nothing is broken; {plural(counts['warn'], 'warning')}."
    return "All is well."
