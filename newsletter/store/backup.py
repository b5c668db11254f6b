"""A copy of a SQLite database that is consistent even while other processes write.

In: the database and where to. Out: a file of its own, written under another name first, so that half a copy is never
taken for a whole one.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from newsletter.errors import Stop, words_of
from newsletter.store.database import Database
from newsletter.store.unit import translate


def copy_sqlite(database: Database, to: Path) -> None:
    """Copy by SQLite's online backup; raise `Stop` when it cannot be done, and leave nothing behind then."""
    part = to.with_name(to.name + ".part")
    try:
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        # It holds addresses: only its owner may read it.
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(part)) as copy, database.connect() as connection:
            connection.connection.driver_connection.backup(copy)  # type: ignore[union-attr]
            # One plain file, with nothing beside it.
            copy.execute("PRAGMA journal_mode=DELETE")
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.rename(to)
    except (OSError, sqlite3.Error) as error:
        _remove(part)
        raise Stop(f"The database cannot be copied to {to} ({words_of(error)}); nothing was changed.") from error
    except DBAPIError as error:
        _remove(part)
        raise (translate(error) or error) from error


def _remove(part: Path) -> None:
    """Remove what was begun; where that cannot be done either, the first error is the one to be told."""
    with suppress(OSError):
        part.unlink(missing_ok=True)
