"""The journal of a sending process: what was handed to a socket and what came back outlives its sudden death.

In: from each connection, the message that it is about to write and the reply that it read; from the committer, which
outcomes the database has. Out: one file, to which each record is appended by one `write`: the page cache keeps it when
the process is killed. `journal/reader.py` reads the file of a dead process.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import logging
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Self

from newsletter.core.delivery import DeliveryId
from newsletter.core.reply import Reply
from newsletter.errors import Stop, words_of
from newsletter.journal.record import (
    SUFFIX,
    UNFINISHED,
    Header,
    answered_body,
    boot_id,
    encode,
    frame,
    handed_body,
)
from newsletter.store.ledger import machine_id

logger = logging.getLogger(__name__)

ROTATE_BYTES = 4 * 1024 * 1024
"""From this size on the file is replaced by one with the entries alone that the database lacks: 40,000 messages."""


class JournalError(Stop):
    """The journal cannot be written, so nothing may be sent."""

    def __init__(self, path: Path, error: OSError) -> None:
        """Take the file and the system's reason."""
        super().__init__(
            f"The journal {path} cannot be written ({words_of(error)}), and without it nothing is sent: check the room "
            "in that folder and who owns it, or set NEWSLETTER_JOURNAL_DIR to another."
        )


class Journal:
    """The file of one worker. The kernel holds its lock for as long as the process lives, however it dies.

    All connections of a worker write to it. A file that was deleted or replaced, or that lacks an entry after a failed
    write, is written anew with all entries that the database lacks before another message is handed over.
    """

    def __init__(self, path: Path, header: Header, *, rotate_bytes: int = ROTATE_BYTES) -> None:
        """Make the file; raises `OSError` when that fails."""
        self._preferred = path
        self._header = header
        self._rotate_bytes = rotate_bytes
        self._rotate_at = rotate_bytes
        self._lacking: dict[DeliveryId, bytes] = {}
        """The last record of each message that the database lacks."""
        self._incomplete = False
        """Whether the file lacks one of these records."""
        self._lock = threading.Lock()
        """Against a close in another thread: after it the number of the handle may be another file's."""
        self.path = _free_name(path)
        self._handle, self._size, self._checksum = _make(self.path, header, ())

    @classmethod
    def open(
        cls, folder: Path, *, identity: str, worker: int, machine: str | None = None, boot: str | None = None
    ) -> Self:
        """Make the file of a worker; raises `JournalError` when that fails."""
        header = Header(
            identity=identity,
            worker=worker,
            machine=machine_id() if machine is None else machine,
            boot=boot_id() if boot is None else boot,
        )
        path = folder / f"{identity}-{worker}{SUFFIX}"
        try:
            return cls(path, header)
        except OSError as error:
            raise JournalError(path, error) from error

    def handed(self, delivery: DeliveryId, attempt: int) -> None:
        """Record that the first byte of content is about to be written.

        Raises `JournalError` when the record cannot be kept: the message must not be written then.
        """
        body = handed_body(delivery, attempt)
        with self._lock:
            try:
                if self._incomplete:
                    self._rewrite()
                self._append(body)
            except OSError as error:
                raise JournalError(self.path, error) from error
            self._lacking[delivery] = body

    def answered(self, delivery: DeliveryId, attempt: int, reply: Reply, at: datetime) -> None:
        """Record the reply, or the lack of one.

        Where that fails the outcome is on its way to the database all the same, and kept here until it is there: only
        a kill before that commit makes this message uncertain. The next message waits until the file is whole.
        """
        body = answered_body(delivery, attempt, reply, at)
        with self._lock:
            self._lacking[delivery] = body
            try:
                self._append(body)
            except OSError as error:
                self._incomplete = True
                logger.error(  # noqa: TRY400 - a disk error, so no trace
                    "the journal %s cannot be written (%s): the reply to delivery %s goes to the database alone",
                    self.path,
                    words_of(error),
                    delivery,
                )

    def recorded(self, deliveries: Iterable[DeliveryId]) -> None:
        """Drop the entries of outcomes that are committed; call it after each commit, never before.

        It also notices a file that was deleted or replaced, and rotates a large one.
        """
        with self._lock:
            for delivery in deliveries:
                self._lacking.pop(delivery, None)
            if self._handle < 0:
                return
            if not still_named(self.path, self._handle):
                logger.error("the journal %s was deleted or replaced while in use: it is written again", self.path)
                self._incomplete = True
            if self._incomplete or self._size >= self._rotate_at:
                try:
                    self._rewrite()
                except OSError as error:
                    self._rotate_at = self._size + self._rotate_bytes
                    logger.warning("the journal %s cannot be written anew (%s)", self.path, words_of(error))

    def close(self, *, keep: bool = False) -> None:
        """Delete a journal of which the database has everything; leave any other for the next start.

        With `keep` an empty one is left too, where rows may be marked without a connection that knows of them: it
        proves that none of them was handed over.
        """
        with self._lock:
            if self._incomplete and self._lacking:
                with suppress(OSError):
                    self._rewrite()
            if not keep and not self._lacking and still_named(self.path, self._handle):
                with suppress(OSError):
                    self.path.unlink()
            # Closing frees the lock, so it comes after the deletion: a file that is about to go is not adopted.
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Self:
        """Use it until the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _append(self, body: bytes) -> None:
        if self._handle < 0:
            raise OSError(errno.EBADF, "it is closed")
        record, checksum = frame(body, self._checksum)
        try:
            _write(self._handle, record)
        except OSError:
            # Half a record would end the file for a reader.
            with suppress(OSError):
                os.ftruncate(self._handle, self._size)
            raise
        self._checksum = checksum
        self._size += len(record)

    def _rewrite(self) -> None:
        """Put a file with every entry that the database lacks in the place of this one."""
        if self._handle < 0:
            raise OSError(errno.EBADF, "it is closed")
        path = self.path if still_named(self.path, self._handle) else _free_name(self._preferred)
        handle, size, checksum = _make(path, self._header, self._lacking.values())
        os.close(self._handle)
        self.path, self._handle, self._checksum, self._size = path, handle, checksum, size
        self._rotate_at = self._size + self._rotate_bytes
        self._incomplete = False


def still_named(path: Path, handle: int) -> bool:
    """Whether a path leads to an open file; the holder of its lock may have deleted it meanwhile."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except OSError:
        return False


def _free_name(preferred: Path) -> Path:
    """Return a name that no file bears: the number of a worker returns when a database is restored."""
    names = (preferred.with_name(f"{preferred.stem}-{count}{SUFFIX}") for count in itertools.count(2))
    return next(path for path in itertools.chain([preferred], names) if not path.exists())


def _make(path: Path, header: Header, bodies: Iterable[bytes]) -> tuple[int, int, int]:
    """Write a file, durably and locked, and give it its name in one step; return its handle, size and checksum."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + UNFINISHED)
    handle = _locked(unfinished)
    try:
        content, checksum = encode(replace(header, inode=os.fstat(handle).st_ino).to_bytes(), bodies)
        _write(handle, content)
        os.fsync(handle)
        unfinished.rename(path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
        os.close(handle)
        raise
    with suppress(OSError):
        # A name that a power loss takes back costs the evidence, as the power loss does anyway.
        _sync_folder(path.parent)
    return handle, len(content), checksum


def _write(handle: int, content: bytes) -> None:
    """Write by one call; only a disk that gets full takes a part, and the next call has the reason."""
    while content:
        content = content[os.write(handle, content) :]


def _locked(path: Path) -> int:
    """Return a new file that is locked; another process may be deleting one of that name at this moment."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if still_named(path, handle):
            os.ftruncate(handle, 0)
            return handle
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
