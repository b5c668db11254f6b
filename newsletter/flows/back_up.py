"""Backing up: a copy of the whole database that is consistent even while an edition is sent.

In: the database, and where to. Out: the file that was made. Nothing is changed, and no other process has to wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, count
from pathlib import Path

from newsletter.errors import InputError, Stop
from newsletter.store import postgres_tools
from newsletter.store.backup import copy_sqlite
from newsletter.store.database import Database, current_revision, sqlite_path


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp:
    """What was made."""

    file: Path
    size: int
    """Bytes."""


def back_up(
    database: Database, to: Path | None, *, folder: Path, environ: Mapping[str, str], now: datetime
) -> BackedUp:
    """Copy the database to a new file, named by the date in `folder` unless a name is given.

    Raises `InputError` when the file is there already, and `Stop` when there is nothing to copy or no way to.
    """
    if current_revision(database) is None:
        raise Stop("There is no database yet, so there is nothing to copy.")
    file = to or default_name(database, folder, now)
    if file.exists():
        raise InputError(f"{file} is there already; nothing was changed.")
    if sqlite_path(database) is None:
        postgres_tools.dump(database, file, environ)
    else:
        copy_sqlite(database, file)
    return BackedUp(file=file, size=file.stat().st_size)


def default_name(database: Database, folder: Path, now: datetime) -> Path:
    """Return a name that sorts by time."""
    path = sqlite_path(database)
    name, ending = (path.stem, "db") if path is not None else (str(database.url.database), "dump")
    return unused(folder / f"{name}-{now:%Y-%m-%d-%H%M%S}.{ending}")


def unused(file: Path) -> Path:
    """Return the name, with a number when it is taken: two copies in one second are two files."""
    others = (file.with_name(f"{file.stem}-{number}{file.suffix}") for number in count(2))
    return next(name for name in chain([file], others) if not name.exists())
