"""Putting one SQLite file in the place of another, while no process has it open.

In: a backup, and the path of the database. Out: a copy of the backup that can be looked at and brought up, and then the
exchange in one step. The backup itself is never written to.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from newsletter.errors import InputError, NotNow, Stop

_BESIDE = ("-wal", "-shm", "-journal")


def take_copy(file: Path, to: Path) -> None:
    """Copy a backup beside the database; raise `InputError` when it is none, or not whole."""
    remove(to)
    try:
        with file.open("rb"):
            pass
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        # With a log of changes beside it, the file alone would be an older state, or none.
        how = "mode=ro" if Path(f"{file}-wal").exists() else "mode=ro&immutable=1"
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?{how}", uri=True)) as source:
            _refuse_damaged(source, file)
            with closing(sqlite3.connect(to)) as copy:
                source.backup(copy)
    except FileNotFoundError as error:
        raise InputError(f"There is no file {file}; nothing was changed.") from error
    except sqlite3.DatabaseError as error:
        remove(to)
        if "disk is full" in str(error) or "disk I/O" in str(error):
            raise Stop(f"{file} cannot be copied beside the database ({error}); nothing was changed.") from error
        raise InputError(f"{file} is not a database, or is damaged ({error}); nothing was changed.") from error
    except OSError as error:
        remove(to)
        raise Stop(f"{file} cannot be copied to {to} ({error.strerror}); nothing was changed.") from error
    except BaseException:
        remove(to)
        raise


def _refuse_damaged(source: sqlite3.Connection, file: Path) -> None:
    faults = [str(row[0]) for row in source.execute("PRAGMA integrity_check(1)")]
    if faults != ["ok"]:
        raise InputError(f"{file} is damaged ({faults[0]}); nothing was changed.")


def keep_as_it_is(path: Path, to: Path) -> None:
    """Copy the files of a database that is too damaged for any other way."""
    try:
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for ending in ("", *_BESIDE):
            source = Path(f"{path}{ending}")
            if source.exists():
                shutil.copy2(source, f"{to}{ending}")
    except OSError as error:
        raise Stop(f"{path} cannot be copied to {to} ({error.strerror}); nothing was changed.") from error


def put_in_place(new: Path, path: Path) -> None:
    """Exchange the database for another file; raise `NotNow` while a process has it open."""
    _close_log(new)
    if path.exists():
        _close_log(path)
    try:
        # Whatever is left beside a database that was damaged belongs to no other file.
        for ending in _BESIDE:
            Path(f"{path}{ending}").unlink(missing_ok=True)
        new.rename(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise Stop(f"{path} cannot be replaced ({error.strerror}); check who owns the folder.") from error


def remove(path: Path) -> None:
    """Remove a database with everything beside it."""
    for ending in ("", *_BESIDE):
        Path(f"{path}{ending}").unlink(missing_ok=True)


def _close_log(path: Path) -> None:
    """Empty and close the log of changes, which only works while no other process has the database open."""
    try:
        with closing(sqlite3.connect(path, timeout=1)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise NotNow(
                "Another process has the database open. Stop the service, then try again; nothing was changed."
            ) from error
        raise Stop(f"{path} cannot be replaced ({error}); check who owns the file and its folder.") from error
    except sqlite3.DatabaseError:
        # It is damaged, which is why another one takes its place.
        return
