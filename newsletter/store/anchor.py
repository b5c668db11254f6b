"""The anchor: what this machine knows of each database, in a folder outside the data that people copy and restore.

In: the ledger entries of a database, and how many transactions of it claimed mail. Out: a second ledger, that count,
and a lock for each database identity, by which an older copy is noticed and two copies never send at once. Without a
folder that can be written everything goes on unprotected, and `newsletter doctor` says so.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from newsletter.errors import NotNow, words_of

logger = logging.getLogger(__name__)

LEDGER_FILE = "ledger.jsonl"
_COUNT_SUFFIX = ".claims"
_LOCK_SUFFIX = ".sender.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimCount:
    """How many transactions of a database have claimed mail; left for after the commit of each."""

    database: str
    count: int


class Anchor:
    """The folder; safe to share between threads and processes."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, made when it is first needed."""
        self.folder = folder
        self.ledger = folder / LEDGER_FILE
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

    def _open_lock(self, database: str) -> int | None:
        try:
            self._make_folder()
            return os.open(self.folder / (database + _LOCK_SUFFIX), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return None

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
