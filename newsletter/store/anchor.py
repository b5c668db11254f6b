"""The anchor: what this machine knows of each database, in a folder outside the data that people copy and restore.

In: the ledger entries of a database, how many transactions of it claimed mail, and its file. Out: a second ledger, that
count, a lock for each database identity, and the place of the installation that counts: an older copy is noticed, two
copies never send at once, and a copy beside the original knows the original. Without a folder that can be written
everything goes on unprotected, and `newsletter doctor` says so.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sqlite3
import weakref
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from newsletter.errors import NotNow, words_of

logger = logging.getLogger(__name__)

LEDGER_FILE = "ledger.jsonl"
_COUNT_SUFFIX = ".claims"
_LOCK_SUFFIX = ".sender.lock"
_PLACE_SUFFIX = ".place"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimCount:
    """How many transactions of a database have claimed mail; left for after the commit of each."""

    database: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabasePlace:
    """A database file: a folder that was moved keeps its device and inode, a copy has others."""

    path: Path
    device: int
    inode: int

    def is_same_file(self, other: DatabasePlace | None) -> bool:
        """Tell whether both are one file, under whatever name."""
        return other is not None and (self.device, self.inode) == (other.device, other.inode)


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginalInstallation:
    """The installation of which this database is a copy."""

    path: Path
    """Its database file."""
    running: bool
    """Whether one of its processes is alive."""


class Anchor:
    """The folder; safe to share between threads and processes."""

    def __init__(self, folder: Path, *, file: Path | None = None) -> None:
        """Take the folder, made when it is first needed, and the file of the database; None for one on a server."""
        self.folder = folder
        self.ledger = folder / LEDGER_FILE
        self._file = file
        self._occupied: dict[str, int] = {}
        self._failing = False

    def fault(self) -> str:
        """Return why the folder cannot be used, in words; empty when it can. Nothing is made."""
        place = next(path for path in (self.folder, *self.folder.parents) if os.path.exists(path))  # noqa: PTH110 - raises nothing
        if not place.is_dir():
            return f"{place} is no folder"
        return "" if os.access(place, os.W_OK | os.X_OK) else f"{place} cannot be written by this user"

    def counts(self) -> Mapping[str, int]:
        """Return the claim count of each database, as far as it can be read."""
        counts: dict[str, int] = {}
        try:
            paths = [path for path in self.folder.iterdir() if path.suffix == _COUNT_SUFFIX]
        except OSError:
            return counts
        for path in paths:
            try:
                counts[path.stem] = int(path.read_bytes())
            except (OSError, ValueError):
                continue
        return counts

    def advance(self, event: ClaimCount) -> None:
        """Write the count of a database: after the commit of the claim, before any of its mail is written.

        One write of a fixed width: a kill leaves the old count or the new one. Not flushed, since the database is:
        after a power loss it is ahead of this count, which holds nothing.
        """
        try:
            self._make_folder()
            handle = os.open(
                self.folder / (event.database + _COUNT_SUFFIX), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            try:
                os.pwrite(handle, b"%020d\n" % event.count, 0)
            finally:
                os.close(handle)
            self._failing = False
        except OSError as error:
            if not self._failing:
                logger.warning("the state folder %s cannot be written (%s)", self.folder, words_of(error))
            self._failing = True

    @contextmanager
    def lock(self, database: str) -> Iterator[None]:
        """Hold the right to send for every copy of a database on this machine; raises `NotNow` when another has it."""
        handle = self._open_lock(database)
        try:
            if handle is not None:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise NotNow("Another process is sending, perhaps from a copy of this database.") from error
            yield
        finally:
            if handle is not None:
                os.close(handle)

    def original(self, database: str) -> OriginalInstallation | None:
        """Return the installation of which this database is a copy; None when this one counts, or none is known.

        A place that is gone was moved, or deleted: no copy of it is left to be told from it.
        """
        try:
            handle = os.open(self._place_file(database), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return self._judge(handle, database)
        finally:
            os.close(handle)

    def occupy(self, database: str) -> bool:
        """Take the place for this file as long as the process lives; False when a copy or the original has it.

        All processes of one installation share the lock; the place is only written while none has it.
        """
        if self._file is None or self._is_occupied(database):
            return True
        try:
            handle = self._open_place(database)
        except OSError:
            return True
        if self._judge(handle, database) is None:
            if _lock_exclusively(handle):
                self._write_place(handle)
            fcntl.flock(handle, fcntl.LOCK_SH)
            # Between the two locks another process may have been faster.
            if self._judge(handle, database) is None:
                self._keep(database, handle)
                return True
        os.close(handle)
        return False

    def take_over(self, database: str) -> None:
        """Make this database the one that counts: every other copy finds it from here on.

        Raises `NotNow` while a process of another copy is alive. A server's database has no file to tell copies from.
        """
        try:
            handle = self._open_place(database)
        except OSError:
            return
        original = self._judge(handle, database)
        if original is not None and original.running:
            os.close(handle)
            raise NotNow(f"The installation at {original.path} is running; nothing was changed.")
        if self._file is None:
            os.ftruncate(handle, 0)
            os.close(handle)
            return
        self._write_place(handle)
        fcntl.flock(handle, fcntl.LOCK_SH)
        self._keep(database, handle)

    def _keep(self, database: str, handle: int) -> None:
        self._occupied[database] = handle
        weakref.finalize(self, os.close, handle)

    def _is_occupied(self, database: str) -> bool:
        handle = self._occupied.get(database)
        if handle is None:
            return False
        # The state folder may have been deleted meanwhile, or the database replaced.
        record, place = _place_of(self._place_file(database)), _read_place(handle)
        return (
            record is not None
            and record.is_same_file(_place_at(os.fstat(handle), self.folder))
            and place is not None
            and self._file is not None
            and place.is_same_file(_place_of(self._file))
        )

    def _judge(self, handle: int, database: str) -> OriginalInstallation | None:
        place = _read_place(handle)
        own = _place_of(self._file) if self._file is not None else None
        if place is None or place.is_same_file(own):
            return None
        if not _lock_exclusively(handle):
            return OriginalInstallation(path=place.path, running=True)
        fcntl.flock(handle, fcntl.LOCK_UN)
        other = _place_of(place.path)
        stands = other is not None and not other.is_same_file(own)
        if stands and (place.is_same_file(other) or _identity_of(place.path) == database):
            return OriginalInstallation(path=place.path, running=False)
        return None

    def _open_place(self, database: str) -> int:
        self._make_folder()
        return os.open(self._place_file(database), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _write_place(self, handle: int) -> None:
        place = _place_of(self._file) if self._file is not None else None
        if place is None:
            return
        record = {"path": str(place.path), "device": place.device, "inode": place.inode}
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(record).encode() + b"\n", 0)

    def _place_file(self, database: str) -> Path:
        return self.folder / (database + _PLACE_SUFFIX)

    def _open_lock(self, database: str) -> int | None:
        try:
            self._make_folder()
            return os.open(self.folder / (database + _LOCK_SUFFIX), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return None

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _place_of(file: Path) -> DatabasePlace | None:
    """Return where a file is; None when there is none, or this user may not look."""
    try:
        path = file.resolve()
        return _place_at(path.stat(), path)
    except OSError:
        return None


def _place_at(status: os.stat_result, path: Path) -> DatabasePlace:
    return DatabasePlace(path=path, device=status.st_dev, inode=status.st_ino)


def _read_place(handle: int) -> DatabasePlace | None:
    """Return the place that a record names; None for an empty or torn one."""
    try:
        record = json.loads(os.pread(handle, _RECORD_BYTES_MAX, 0))
        return DatabasePlace(path=Path(record["path"]), device=int(record["device"]), inode=int(record["inode"]))
    except (ValueError, KeyError, TypeError):
        return None


_RECORD_BYTES_MAX = 8_192
"""Bytes of a record: a path of 4,096 bytes, escaped."""
_LOCK_TRIES_MAX = 20
"""Times that an exclusive lock is tried: a process that only looks holds it for microseconds."""


def _lock_exclusively(handle: int) -> bool:
    """Lock a record exclusively; False while a process of an installation shares it."""
    for _ in range(_LOCK_TRIES_MAX):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return True
    return False


def _identity_of(file: Path) -> str:
    """Return the identity of another database; empty when the file is none of ours, or cannot be read."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?immutable=1", uri=True)) as connection:
            row = connection.execute("SELECT identity FROM installation").fetchone()
    except sqlite3.Error:
        return ""
    return str(row[0]) if row else ""
