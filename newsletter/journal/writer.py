"""The journal: what was handed to a socket and what came back survives the sudden death of this process.

In: from each connection, what it is about to write and what it read. Out: pages of it, which the desk clears once the
database has the same; `journal_left.py` reads what a dead process left. It must never cost a system call per message.
The records stand in a shared mapping of a file: the kernel keeps them when the process is killed.
"""

from __future__ import annotations

import fcntl
import itertools
import mmap
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Self

from newsletter.core.delivery import DeliveryId
from newsletter.core.reply import Reply
from newsletter.errors import Stop
from newsletter.journal.record import (
    LARGEST,
    LEAST,
    PAGE_SIZE,
    SUFFIX,
    UNFINISHED,
    Header,
    answered_body,
    boot_id,
    handed_body,
    pages,
    seal,
)
from newsletter.store.ledger import machine_id

_NOTHING = b"\0\0\0\0"


class Page:
    """One half of a track: full of outcomes until the database has them."""

    __slots__ = ("_map", "begin", "cleared")

    def __init__(self, file: mmap.mmap, begin: int) -> None:
        """Take the mapping and where the page begins in it."""
        self._map = file
        self.begin = begin
        self.cleared = True

    def clear(self) -> None:
        """Forget what stands here. Call it after the transaction with these outcomes is committed, never before."""
        # One word ends the page before its first record. The flag comes second: the courier writes here when it is set.
        self._map[self.begin : self.begin + 4] = _NOTHING
        self.cleared = True


class Track:
    """What one connection writes. It is its own; only `Page.clear` is called by others."""

    __slots__ = ("_at", "_end", "_map", "_numbers", "_open", "_other", "_page")

    def __init__(self, file: mmap.mmap, begins: tuple[int, int], numbers: Iterator[int]) -> None:
        """Take the mapping, where the two pages begin, and the numbers that all tracks share."""
        self._map = file
        self._page, self._other = (Page(file, begin) for begin in begins)
        self._numbers = numbers
        self._at = self._page.begin
        self._end = self._at + PAGE_SIZE
        self._open: dict[DeliveryId, int] = {}

    def handed(self, delivery: DeliveryId, attempt: int) -> None:
        """Say that the first byte of content is about to be written; when this returns, no death hides it."""
        if not self.has_room:
            message = "the page is full: hand its outcomes in and turn before the next message"
            raise RuntimeError(message)
        self._write(handed_body(next(self._numbers), delivery, attempt))
        self._open[delivery] = attempt

    def answered(self, delivery: DeliveryId, attempt: int, reply: Reply, at: datetime) -> None:
        """Say what came back, also when it is the lack of an answer."""
        self._write(answered_body(next(self._numbers), delivery, attempt, reply, at))
        self._open.pop(delivery, None)

    @property
    def has_room(self) -> bool:
        """Tell whether one more message fits, with the longest answers to it and to all that are in flight."""
        return self._at + LEAST + (len(self._open) + 1) * LARGEST <= self._end

    @property
    def recorded(self) -> bool:
        """Tell whether nothing stands here that the database does not have."""
        return self._at == self._page.begin and self._other.cleared

    def turn(self) -> Page:
        """Begin the other page, and return the one that is left: it is cleared once the database has its outcomes."""
        if not self._other.cleared:
            message = "the other page still waits for the database"
            raise RuntimeError(message)
        left, self._page, self._other = self._page, self._other, self._page
        left.cleared = False
        self._at = self._page.begin
        self._end = self._at + PAGE_SIZE
        # Else clearing the page that is left would forget what is still in flight.
        for delivery, attempt in self._open.items():
            self._write(handed_body(next(self._numbers), delivery, attempt))
        return left

    def _write(self, body: bytes) -> None:
        word, rest = seal(body)
        begin = self._at + 4
        end = begin + len(rest)
        if end > self._end:
            message = "the page is full"
            raise RuntimeError(message)
        # The word comes last: until it stands, a reader finds the zero that ended the page, so a process that dies
        # between the two, or within the first, leaves no half record that looks like one.
        self._map[begin:end] = rest
        self._map[begin - 4 : begin] = word
        # The next record's word takes the place of the zero that ends this one.
        self._at = end - 4


class Journal:
    """The file of one worker. The kernel holds its lock for as long as the process lives, however it dies."""

    def __init__(self, path: Path, handle: int, file: mmap.mmap, tracks: int) -> None:
        """Take a file that is ready; `open` makes one."""
        self.path = path
        self._handle = handle
        self._map = file
        numbers = itertools.count(1)
        self.tracks = tuple(Track(file, begins, numbers) for begins in pages(tracks))

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        identity: str,
        worker: int,
        tracks: int,
        machine: str | None = None,
        boot: str | None = None,
    ) -> Self:
        """Make the file of a worker, with all the room it will ever need.

        Raises `Stop` when it cannot: nothing may be sent that would not be known of after a crash.
        """
        header = Header(
            identity=identity,
            worker=worker,
            machine=machine_id() if machine is None else machine,
            boot=boot_id() if boot is None else boot,
            tracks=tracks,
        )
        wanted = folder / f"{identity}-{worker}{SUFFIX}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path, handle, file = _make(wanted, header)
        except OSError as error:
            message = (
                f"The journal {wanted} cannot be made ({error.strerror or error}), and without it nothing is sent: "
                "check the room in that folder and who owns it, or set NEWSLETTER_JOURNAL_DIR to another."
            )
            raise Stop(message) from error
        return cls(path, handle, file, tracks)

    def close(self, *, keep: bool = False) -> None:
        """End it: a journal of which the database has everything is deleted, any other waits for the next start.

        With `keep` an empty one waits too, where rows may be marked that nobody was given: it tells that none of them
        was handed over.
        """
        if not keep and all(track.recorded for track in self.tracks):
            with suppress(OSError):
                self.path.unlink()
        self._map.close()
        # Last, since it frees the lock: nobody else may come upon it before it is deleted.
        os.close(self._handle)

    def __enter__(self) -> Self:
        """Use it until the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def _make(wanted: Path, header: Header) -> tuple[Path, int, mmap.mmap]:
    unfinished = wanted.with_name(wanted.name + UNFINISHED)
    handle = _locked(unfinished)
    try:
        _fill(handle, header)
        file = mmap.mmap(handle, header.size)
        # A number may return when a database is restored. What its first bearer left must not be overwritten.
        names = (wanted.with_name(f"{wanted.stem}-{count}{SUFFIX}") for count in itertools.count(2))
        path = next(path for path in itertools.chain([wanted], names) if not path.exists())
        unfinished.rename(path)
        _sync_folder(wanted.parent)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
        os.close(handle)
        raise
    return path, handle, file


def _locked(path: Path) -> int:
    """Return a new file that is locked; another process may be tidying away one of that name at this moment."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if still_named(path, handle):
            os.ftruncate(handle, 0)
            return handle
        os.close(handle)


def still_named(path: Path, handle: int) -> bool:
    """Tell whether a path still leads to an open file; whoever had its lock before may have deleted it."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _fill(handle: int, header: Header) -> None:
    # A full disk has to show here. Of a file with holes it would show in the midst of sending, as a deadly signal.
    # Zeros do on every file system what posix_fallocate does on some.
    zeros = bytes(header.size)
    written = 0
    while written < len(zeros):
        written += os.pwrite(handle, zeros[written:], written)
    os.pwrite(handle, header.to_bytes(), 0)
    os.fsync(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
