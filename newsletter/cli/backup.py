"""`newsletter db backup`, `restore` and `copy`: the whole database as a thing that is kept, put back, and moved."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.caught_up import caught_up_json, say_caught_up
from newsletter.cli.confirmation import Yes, confirm
from newsletter.cli.context import State, state
from newsletter.cli.output import Json, print_json, say
from newsletter.cli.paths import is_folder, look_at
from newsletter.errors import InputError
from newsletter.wording import plural

if TYPE_CHECKING:
    from collections.abc import Callable


def backup(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Where to; without it, data/backups with the date.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Copy the database to a file.

    Also while an edition is sent; on PostgreSQL through pg_dump.
    """
    from newsletter.flows.back_up import back_up

    invocation = state(context)
    now = invocation.app.clock.now()
    if file is not None:
        look_at(file)
    result = back_up(invocation.app.engine, file, folder=_folder(invocation), environ=invocation.environ, now=now)
    if as_json:
        print_json({"file": result.file, "size": result.size})
        return
    say(f"Copied the database to {result.file} ({result.size:,} bytes).")
    say("Keep a copy of it on another machine, and the .env with its secret key in a place of its own.")


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup, as `newsletter db backup` makes it.")],
    *,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Replace the database by a backup.

    People who left since stay away; open editions are paused.
    """
    from newsletter.flows.restore_database import Place, restore_database

    invocation = state(context)
    app = invocation.app
    confirm(f"Replace the database with {file}? The present one is copied first.", yes=yes)
    place = Place(
        database=app.engine, home=app.home, keyring=app.keyring, folder=_folder(invocation), environ=invocation.environ
    )
    result = restore_database(place, file, who=invocation.who, now=app.clock.now())
    if as_json:
        values = {
            "version": result.version,
            "after": result.after,
            "before": result.before,
            "last_seen": result.gap.last_seen,
        }
        print_json(values | caught_up_json(result.caught_up))
        return
    if result.before is not None:
        say(f"Copied the database as it was to {result.before}.")
    if result.after != result.version:
        say(f"The backup is of an older program: it was upgraded from version {result.version} to {result.after}.")
    say(result.gap.matter(app.cadence.zone, restored=True))
    say_caught_up(result.caught_up)
    say("Restored: from now on this database sends. Start the service again.")


def copy(
    context: typer.Context,
    *,
    to: Annotated[str, typer.Option("--to", metavar="URL", help="A new or empty database, as in the settings.")],
    as_json: Json = False,
) -> None:
    """Copy everything to another database.

    Such as from SQLite to PostgreSQL; the copy is held until `db adopt`.
    """
    from newsletter.flows.copy_database import copy_database

    invocation = state(context)
    # Opened as any command does, so that a database without its secret key is refused.
    with invocation.app.unit.read():
        pass
    result = copy_database(invocation.app.engine, _absolute(to, invocation.home), progress=_progress(quiet=as_json))
    if as_json:
        print_json({"rows": result.rows, "editions": result.editions, "differences": result.differences})
    else:
        for difference in result.differences:
            say(difference)
        rows = plural(sum(result.rows.values()), "row")
        if not result.differences:
            say(f"Copied {rows}; the reports of {plural(result.editions, 'edition')} are the same on both sides.")
            say("The copy is held. To move: leave this database stopped, set NEWSLETTER_DATABASE_URL to the copy,")
            say("and run `newsletter db adopt`. From then on this one is held.")
    if result.differences:
        raise typer.Exit(1)


def _folder(invocation: State) -> Path:
    """Return where copies lie: beside a SQLite database, else in data/backups."""
    from newsletter.store.database import sqlite_path

    path = sqlite_path(invocation.app.engine)
    return (path.parent if path is not None else invocation.home / "data") / "backups"


def _absolute(url: str, home: Path) -> str:
    """Let the path of a SQLite URL be relative to the folder of the settings, as it is in the settings."""
    head, path = url[:10], url[10:]
    if head != "sqlite:///" or not path:
        return url
    if is_folder(home / path):
        raise InputError(f"{home / path} is a folder; name the file to write")
    return f"{head}{home / path}"


def _progress(*, quiet: bool) -> Callable[[str, int], None]:
    """Say on a terminal how far it is; elsewhere a line for each table would only be noise."""
    if quiet or not sys.stderr.isatty():
        return lambda _table, _rows: None
    return lambda table, rows: typer.echo(f"\r{table}: {rows:,}\x1b[K", err=True, nl=False)
