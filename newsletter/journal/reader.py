"""The journals that dead workers left in the folder: what became of the messages they had in hand.

In: the folder of the journals, and which database is ours. Out: each journal of ours whose worker is dead, locked, with
the fate of every message; and, for people, the files nobody can use. Nothing that a file holds, or lacks, raises; no
file with records is deleted before the database has what it says.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from newsletter.core.delivery import DeliveryId
from newsletter.journal.record import (
    HEADER_SIZE,
    PAGE_SIZE,
    SUFFIX,
    UNFINISHED,
    Header,
    Reading,
    RowResult,
    boot_id,
    latest,
    pages,
    read_header,
    read_page,
)
from newsletter.journal.writer import still_named
from newsletter.store.ledger import machine_id

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanedJournal:
    """A dead worker's journal, ours alone until it is forgotten or let go.

    What it says concerns only rows that are still marked by this worker with the same attempt: the worker may have died
    after its last outcomes were committed and before their page was cleared.
    """

    path: Path
    worker: int
    machine: str
    fates: Mapping[DeliveryId, RowResult]
    """The last that is known of each message."""
    trusted: bool
    """True when what is missing here was surely not handed over.

    False after the machine stopped, since the last pages may not have reached the disk, and when the file is damaged.
    An answer that stands here is true in any case.
    """
    damage: str
    """What is wrong with the file, in words; empty when it is whole."""
    handle: int

    def forget(self) -> None:
        """Delete it, once the transaction with what it says is committed."""
        with suppress(FileNotFoundError):
            self.path.unlink()
        self.let_go()

    def let_go(self) -> None:
        """Leave it for another start, unchanged."""
        os.close(self.handle)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThisHost:
    """Where and when we are."""

    identity: str
    """Of the database."""
    machine: str
    boot: str

    @classmethod
    def now(cls, identity: str, *, machine: str | None = None, boot: str | None = None) -> ThisHost:
        """Ask the machine for what is not given."""
        return cls(
            identity=identity,
            machine=machine_id() if machine is None else machine,
            boot=boot_id() if boot is None else boot,
        )

    def is_near(self, header: Header) -> bool:
        """Tell whether it was written here: by this run of the kernel, whatever a container is called, or before."""
        return header.machine == self.machine or self.is_this_run(header)

    def is_this_run(self, header: Header) -> bool:
        """Tell whether the kernel still has all that was written; one that does not say may have stopped since."""
        return bool(self.boot) and header.boot == self.boot


def adopt(
    folder: Path, identity: str, *, elsewhere: bool = False, machine: str | None = None, boot: str | None = None
) -> list[OrphanedJournal]:
    """Return every journal of this database whose worker is dead, locked by this process from now on.

    Of two processes that ask at once exactly one gets each. Call it before a worker of this process is registered, and
    now and then while others may die. Where machines share the folder each takes its own, which it can trust; with
    `elsewhere` it takes the others' too, for when their machine does not come back. Files that cannot be used stay
    where they are, and `strangers` tells of them.
    """
    here = ThisHost.now(identity, machine=machine, boot=boot)
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        if folder.exists():
            logger.warning("the folder %s cannot be read (%s): journals in it wait", folder, error.strerror)
        return []
    for path in paths:
        if path.name.endswith(SUFFIX + UNFINISHED):
            _tidy(path)
    found = (_adopted(path, here, elsewhere=elsewhere) for path in paths if path.suffix == SUFFIX)
    return [one for one in found if one is not None]


def _adopted(path: Path, here: ThisHost, *, elsewhere: bool) -> OrphanedJournal | None:
    handle = _open(path)
    if isinstance(handle, str):
        return None
    try:
        header = read_header(os.pread(handle, HEADER_SIZE, 0))
        if isinstance(header, str) or header.identity != here.identity:
            os.close(handle)
            return None
        if not (elsewhere or here.is_near(header)) or not _lock(path, handle):
            os.close(handle)
            return None
        readings = [_page(handle, begin) for track in pages(header.tracks) for begin in track]
    except OSError as error:
        logger.warning("the journal %s cannot be read (%s): it waits", path, error.strerror)
        os.close(handle)
        return None
    damage = _damage(os.fstat(handle).st_size, header, readings)
    if damage:
        logger.warning("the journal %s is damaged (%s): what stands before that is used", path, damage)
    return OrphanedJournal(
        path=path,
        worker=header.worker,
        machine=header.machine,
        fates=latest(record for reading in readings for record in reading.records),
        trusted=here.is_this_run(header) and not damage,
        damage=damage,
        handle=handle,
    )


def _open(path: Path) -> int | str:
    """Return the file, or why it cannot be opened."""
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        return error.strerror or str(error)


def _lock(path: Path, handle: int) -> bool:
    """Take it, unless its worker is alive, or somebody else has adopted it, maybe up to its deletion."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return still_named(path, handle)


def _page(handle: int, begin: int) -> Reading:
    return read_page(os.pread(handle, PAGE_SIZE, begin))


def _damage(size: int, header: Header, readings: list[Reading]) -> str:
    if size < header.size:
        return f"it is cut off after {size:,} of {header.size:,} bytes"
    broken = sum(not reading.whole for reading in readings)
    return f"{broken} of its {len(readings)} pages end in something that cannot be read" if broken else ""


def _tidy(path: Path) -> None:
    """Delete a journal that was never finished: nothing was handed over under it."""
    handle = _open(path)
    if isinstance(handle, int):
        with suppress(OSError):
            if _lock(path, handle):
                path.unlink()
        os.close(handle)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignJournal:
    """A file in the folder that the next start will not read."""

    path: Path
    why: str
    """In words, for people: what it is, and what to do about it."""


def foreign_journals(
    folder: Path, identity: str, *, machine: str | None = None, boot: str | None = None
) -> list[ForeignJournal]:
    """Return the journals that are left and not for us: unreadable ones, another database's, another machine's."""
    here = ThisHost.now(identity, machine=machine, boot=boot)
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == SUFFIX)
    except FileNotFoundError:
        return []
    except OSError as error:
        return [ForeignJournal(path=folder, why=f"it cannot be read ({error.strerror}); check who owns it")]
    return list(_strange(paths, here))


def _strange(paths: list[Path], here: ThisHost) -> Iterator[ForeignJournal]:
    for path in paths:
        try:
            why = _why_strange(path, here)
        except FileNotFoundError:
            # Its worker has just ended in order.
            continue
        except OSError as error:
            why = f"it cannot be read ({error.strerror}); check who owns it"
        if why:
            yield ForeignJournal(path=path, why=why)


def _why_strange(path: Path, here: ThisHost) -> str:
    # Whatever bears such a name, a pipe say, must not hold up who looks.
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        header = read_header(os.pread(handle, HEADER_SIZE, 0))
        if isinstance(header, Header) and header.identity == here.identity and here.is_near(header):
            return ""
        try:
            # Shared, and for a moment: whoever looks must not keep anybody from adopting.
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            # Another newsletter or machine keeps its journals here too, and that one is at work.
            return ""
    finally:
        os.close(handle)
    if isinstance(header, str):
        return (
            f"{header}, so what it knew of messages in flight is lost: they are shown as uncertain after an hour; "
            "delete it, or keep a copy elsewhere"
        )
    if header.identity == here.identity:
        return (
            f"worker {header.worker} left it on another machine ({header.machine}); start the newsletter there, or "
            "delete it if that machine is no more: what it knew of messages in flight is then lost"
        )
    return (
        f"it belongs to another database ({header.identity}, worker {header.worker} on {header.machine}); "
        "start the newsletter it belongs to, or delete it if that is no more"
    )
