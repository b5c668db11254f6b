"""The tables of Procrastinate, the job queue in PostgreSQL that wakes the senders of other machines.

In: a connection inside the transaction of our own upgrade. Out: a schema of its own, `procrastinate`, as the installed
version wants it: made whole the first time, and brought up by the library's own scripts afterwards. Nothing in it is
the truth about anything (`store/jobs.py`), so that it is neither copied nor backed up.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import Connection, text

from newsletter.errors import InputError, Stop

logger = logging.getLogger(__name__)

SCHEMA = "procrastinate"
"""Of the job queue; ours have none, and its names never stand in our way."""

_KEPT = f"{SCHEMA}.newsletter_scripts"
"""Which scripts of the library were run here."""


def apply(connection: Connection) -> Sequence[str]:
    """Make the job queue, or bring it up; return the scripts that were run. On SQLite there is nothing to do.

    Raises `InputError` when the library is not installed.
    """
    if connection.dialect.name != "postgresql":
        return []
    folder = _folder()
    before = connection.scalar(text("SELECT current_setting('search_path')"))
    new = not exists(connection)
    if connection.scalar(text("SELECT to_regnamespace(:name)"), {"name": SCHEMA}) is None:
        # A user who may not make schemas may have been given this one.
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
    # The library names its tables without a schema, also within its functions. Should a script fail, the roll-back
    # takes this back with the rest.
    connection.execute(text("SELECT set_config('search_path', :path, true)"), {"path": SCHEMA})
    changed = _make(connection, folder) if new else _bring_up(connection, folder)
    connection.execute(text("SELECT set_config('search_path', :path, true)"), {"path": before})
    return changed


def exists(connection: Connection) -> bool:
    """Tell whether the job queue was made here."""
    return connection.scalar(text("SELECT to_regclass(:table)"), {"table": _KEPT}) is not None


def missing(connection: Connection) -> Sequence[str]:
    """Return the scripts that the installed version brings and that were not run here; none on SQLite."""
    if connection.dialect.name != "postgresql":
        return []
    known = _known(connection) if exists(connection) else set()
    return [script.name for script in _scripts(_folder()) if script.name not in known]


def drop(connection: Connection) -> None:
    """Remove the job queue with all that waits in it; the next upgrade makes it anew."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))


def _folder() -> Path:
    # Found, and not imported: that would cost every start on PostgreSQL a fifth of a second.
    spec = find_spec("procrastinate")
    if spec is None or spec.origin is None:
        message = "PostgreSQL needs procrastinate: `pip install '.[postgres]'` at the top of the source"
        raise InputError(f"{message} (docs/dependencies.md)")
    return Path(spec.origin).parent / "sql"


def _scripts(folder: Path) -> Sequence[Path]:
    """Return the library's upgrades in their order: each name begins with the version that brought it."""
    return sorted((folder / "migrations").glob("*.sql"))


def _make(connection: Connection, folder: Path) -> Sequence[str]:
    whole = folder / "schema.sql"
    _run(connection, whole)
    connection.execute(text(f"CREATE TABLE {_KEPT} (name text PRIMARY KEY, run_at timestamptz DEFAULT now())"))
    # What is made whole has all of these in it.
    _keep(connection, [script.name for script in _scripts(folder)])
    return [whole.name]


def _bring_up(connection: Connection, folder: Path) -> Sequence[str]:
    known = _known(connection)
    scripts = [script for script in _scripts(folder) if script.name not in known]
    try:
        with connection.begin_nested():
            for script in scripts:
                _run(connection, script)
            _keep(connection, [script.name for script in scripts])
    except Stop as error:
        # PostgreSQL lets no transaction use a word that it added to an enumeration itself, as a jump over several
        # versions does. Nothing is lost with the queue: what still waits is put up again from our rows.
        logger.warning("%s It is made anew.", error)
        connection.execute(text(f"DROP SCHEMA {SCHEMA} CASCADE"))
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        return _make(connection, folder)
    return [script.name for script in scripts]


def _known(connection: Connection) -> set[str]:
    return set(connection.scalars(text(f"SELECT name FROM {_KEPT}")))  # noqa: S608 - a name of our own


def _keep(connection: Connection, names: Sequence[str]) -> None:
    if names:
        connection.execute(
            text(f"INSERT INTO {_KEPT} (name) VALUES (:name)"),  # noqa: S608 - a name of our own
            [{"name": name} for name in names],
        )


def _run(connection: Connection, script: Path) -> None:
    # By the driver, without parameters: only so may one call hold many statements, and percent signs as they are.
    driver = connection.connection.driver_connection
    try:
        driver.execute(script.read_text(encoding="utf-8"))  # type: ignore[union-attr]
    except connection.dialect.loaded_dbapi.Error as error:
        words = " ".join(str(error).split())
        raise Stop(f"The job queue cannot be brought up ({script.name}: {words}).") from error
