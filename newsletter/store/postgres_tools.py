"""PostgreSQL's own tools for a copy of a database: `pg_dump` and `pg_restore`, where they are installed.

In: the database, a file, the environment to look for the tools in. Out: a file in their custom format, or a database
made from one. The password travels in the environment, never on a command line that others can see.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from newsletter.errors import InputError, Stop
from newsletter.store.database import Database
from newsletter.store.job_schema import SCHEMA
from newsletter.store.schema import metadata
from newsletter.store.unit import translate


def dump(database: Database, to: Path, environ: Mapping[str, str]) -> None:
    """Write everything to a file; raise `Stop`, with the line to run elsewhere, when that cannot be done here."""
    part = to.with_name(to.name + ".part")
    try:
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        _run(database, _dump_line(database, part), environ, instead=_dump_line(database, to))
        part.rename(to)
    except OSError as error:
        raise Stop(f"The database cannot be copied to {to} ({error.strerror}); nothing was changed.") from error
    finally:
        part.unlink(missing_ok=True)


def revision_of(database: Database, file: Path, environ: Mapping[str, str]) -> str:
    """Return the schema revision of the database in a file; raise `InputError` when it holds none of ours."""
    look = ["pg_restore", "--data-only", "--table=alembic_version", "--file=-", str(file)]
    lines = _run(database, look, environ, instead=_restore_line(database, file)).splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith("COPY ")), None)
    if start is None or start + 1 >= len(lines) or lines[start + 1] == "\\.":
        raise InputError(f"{file} holds no database of this program; nothing was changed.")
    return lines[start + 1].strip()


def restore(database: Database, file: Path, environ: Mapping[str, str]) -> None:
    """Put a file in the place of everything of ours; all of it or, should a tool fail, nothing."""
    _run(database, _restore_line(database, file), environ, instead=_restore_line(database, file))


def drop_ours(database: Database) -> None:
    """Drop our tables, which an older dump would not replace all of."""
    try:
        with database.begin() as connection:
            for table in (*reversed(metadata.sorted_tables), "alembic_version"):
                connection.execute(text(f'DROP TABLE IF EXISTS "{table}" CASCADE'))
    except DBAPIError as error:
        raise (translate(error) or error) from error


def _dump_line(database: Database, to: Path) -> list[str]:
    # The job queue belongs to the installed version of its library, and knows nothing that our rows do not.
    options = ["--format=custom", "--no-owner", f"--exclude-schema={SCHEMA}"]
    return ["pg_dump", *options, f"--file={to}", f"--dbname={_address(database)}"]


def _restore_line(database: Database, file: Path) -> list[str]:
    options = ["--clean", "--if-exists", "--single-transaction", "--no-owner"]
    return ["pg_restore", *options, f"--dbname={_address(database)}", str(file)]


def _address(database: Database) -> str:
    """Return the URL as PostgreSQL's tools read it, without the password."""
    url = database.url.set(drivername="postgresql")
    return url._replace(password=None).render_as_string(hide_password=False)


def _run(database: Database, words: Sequence[str], environ: Mapping[str, str], *, instead: Sequence[str]) -> str:
    line = shlex.join(instead)
    program = shutil.which(words[0], path=environ.get("PATH"))
    if program is None:
        raise Stop(f"{words[0]} is not installed here. Run this where it is: {line}")
    secret = {"PGPASSWORD": str(database.url.password)} if database.url.password else {}
    try:
        completed = subprocess.run(  # noqa: S603 - a program of PostgreSQL, and words of our own
            [program, *words[1:]], env={**environ, **secret}, capture_output=True, check=False
        )
    except OSError as error:
        raise Stop(f"{words[0]} cannot be started ({error.strerror}). Run this where it can: {line}") from error
    if completed.returncode:
        output = " ".join(completed.stderr.decode(errors="replace").split())[:500]
        raise Stop(f"{words[0]} failed ({output}). Nothing was changed; the line was: {line}")
    return completed.stdout.decode(errors="replace")
