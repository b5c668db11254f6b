"""The journals that dead workers left in the folder: the last entry of each message they had claimed.

In: the folder of the journals, and the identity of the database. Out: each journal of this database whose worker is
dead, locked; and, for people, the files that no start will read. Damage in a file never raises; no file with records is
deleted before the database has what it says.
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
from newsletter.errors import Stop, words_of
from newsletter.journal.record import (
    HEADER_BYTES_MAX,
    JOURNAL_VERSION,
    SUFFIX,
    UNFINISHED,
    Entry,
    Header,
    boot_id,
    parse,
    parse_header,
)
from newsletter.journal.writer import still_named
from newsletter.store.ledger import machine_id

logger = logging.getLogger(__name__)

_READ_BYTES = 1024 * 1024

_EARLIER = (
    "a sender of an earlier version of this program left it when it was killed; run `newsletter edition send` of that "
    "version once, which settles it, or delete the file: then each message that this sender had claimed is uncertain"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanedJournal:
    """A dead worker's journal, locked by this process until it is deleted or unlocked.

    Its entries concern only rows that are still claimed by this worker with the same attempt: the worker may have died
    between the commit of an outcome and the next rotation.
    """

    path: Path
    worker: int
    machine: str
    entries: Mapping[DeliveryId, Entry]
    """The last of each message."""
    trusted: bool
    """True when a message without an entry was certainly not handed over.

    False after the machine stopped, since the last records may not have reached the disk, when the file is damaged, and
    when it is a copy: its worker may have written more to the original.
    An entry that is there is true in any case.
    """
    damage: str
    """In words; empty when the file is whole."""
    handle: int

    def delete(self) -> None:
        """Delete it, once the transaction with its outcomes is committed."""
        with suppress(FileNotFoundError):
            self.path.unlink()
        self.unlock()

    def unlock(self) -> None:
        """Leave it for another start, unchanged."""
        os.close(self.handle)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThisHost:
    """The database, the machine and its present boot."""

    identity: str
    """Of the database."""
    machine: str
    boot: str

    @classmethod
    def now(cls, identity: str, *, machine: str | None = None, boot: str | None = None) -> ThisHost:
        """Take from the system what is left out."""
        return cls(
            identity=identity,
            machine=machine_id() if machine is None else machine,
            boot=boot_id() if boot is None else boot,
        )

    def wrote(self, header: Header) -> bool:
        """Whether this machine wrote it: in this boot, whatever the name of a container, or in an earlier one."""
        return header.machine == self.machine or self.is_same_boot(header)

    def is_same_boot(self, header: Header) -> bool:
        """Whether the kernel still has all that was written; without a boot id it may have stopped since."""
        return bool(self.boot) and header.boot == self.boot


def adopt_journals(
    folder: Path, identity: str, *, elsewhere: bool = False, machine: str | None = None, boot: str | None = None
) -> list[OrphanedJournal]:
    """Return every journal of this database whose worker is dead, locked by this process from now on.

    Of two processes that call this at once exactly one gets each. Call it before a worker of this process is
    registered, and now and then while others may die. Where machines share the folder each takes its own, which it can
    trust; with `elsewhere` it takes the others' too, for when their machine does not come back. Unusable files stay
    where they are, and `foreign_journals` reports them. Raises `Stop` for a journal in an earlier format.
    """
    host = ThisHost.now(identity, machine=machine, boot=boot)
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        if folder.exists():
            logger.warning("the folder %s cannot be read (%s): journals in it wait", folder, error.strerror)
        return []
    for path in paths:
        if path.name.endswith(SUFFIX + UNFINISHED):
            _delete_unfinished(path)
    orphans: list[OrphanedJournal] = []
    try:
        for path in paths:
            orphan = _adopted(path, host, elsewhere=elsewhere) if path.suffix == SUFFIX else None
            if orphan is not None:
                orphans.append(orphan)
    except Stop:
        for orphan in orphans:
            orphan.unlock()
        raise
    return orphans


def _adopted(path: Path, host: ThisHost, *, elsewhere: bool) -> OrphanedJournal | None:
    handle = _open(path)
    if handle is None:
        return None
    orphan = None
    try:
        header = parse_header(os.pread(handle, HEADER_BYTES_MAX, 0))
        ours = isinstance(header, Header) and header.identity == host.identity
        if isinstance(header, Header) and ours and (elsewhere or host.wrote(header)) and _lock(path, handle):
            orphan = _orphan(path, handle, header, host)
    except OSError as error:
        logger.warning("the journal %s cannot be read (%s): it waits", path, error.strerror)
    finally:
        if orphan is None:
            os.close(handle)
    return orphan


def _orphan(path: Path, handle: int, header: Header, host: ThisHost) -> OrphanedJournal:
    if header.format != JOURNAL_VERSION:
        raise Stop(f"The journal {path} cannot be used: {_EARLIER}.")
    content = parse(_read(handle))
    if content.damage:
        logger.warning("the journal %s is damaged (%s): the records before that are used", path, content.damage)
    is_copy = header.inode != os.fstat(handle).st_ino
    if is_copy:
        logger.warning("the journal %s is a copy: messages that are not in it may have gone out", path)
    return OrphanedJournal(
        path=path,
        worker=header.worker,
        machine=header.machine,
        entries=content.entries,
        trusted=host.is_same_boot(header) and not content.damage and not is_copy,
        damage=content.damage,
        handle=handle,
    )


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None


def _lock(path: Path, handle: int) -> bool:
    """Lock it, unless its worker is alive, or another process has adopted it, maybe up to its deletion."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return still_named(path, handle)


def _read(handle: int) -> bytes:
    parts: list[bytes] = []
    while part := os.pread(handle, _READ_BYTES, len(parts) * _READ_BYTES):
        parts.append(part)
    return b"".join(parts)


def _delete_unfinished(path: Path) -> None:
    """Delete a file that never became a journal: no message was handed over under it."""
    handle = _open(path)
    if handle is not None:
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
    host = ThisHost.now(identity, machine=machine, boot=boot)
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == SUFFIX)
    except FileNotFoundError:
        return []
    except OSError as error:
        return [ForeignJournal(path=folder, why=f"it cannot be read ({words_of(error)}); check who owns it")]
    return list(_foreign(paths, host))


def _foreign(paths: list[Path], host: ThisHost) -> Iterator[ForeignJournal]:
    for path in paths:
        try:
            why = _why_foreign(path, host)
        except FileNotFoundError:
            # Its worker has just ended in order.
            continue
        except OSError as error:
            why = f"it cannot be read ({words_of(error)}); check who owns it"
        if why:
            yield ForeignJournal(path=path, why=why)


def _why_foreign(path: Path, host: ThisHost) -> str:
    # A pipe of that name must not block.
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        header = parse_header(os.pread(handle, HEADER_BYTES_MAX, 0))
        ours = isinstance(header, Header) and header.identity == host.identity and host.wrote(header)
        if isinstance(header, Header) and ours and header.format == JOURNAL_VERSION:
            return ""
        try:
            # Shared, and for a moment: it must not keep another process from adopting.
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            # Another newsletter or machine keeps its journals in this folder too, and that worker is alive.
            return ""
    finally:
        os.close(handle)
    if isinstance(header, str):
        return (
            f"{header}, so what it knew of messages in flight is lost: they are shown as uncertain after an hour; "
            "delete it, or keep a copy elsewhere"
        )
    if ours:
        return _EARLIER
    if header.identity == host.identity:
        return (
            f"worker {header.worker} left it on another machine ({header.machine}); start the newsletter there, or "
            "delete it if that machine is no more: what it knew of messages in flight is then lost"
        )
    return (
        f"it belongs to another database ({header.identity}, worker {header.worker} on {header.machine}); "
        "start the newsletter it belongs to, or delete it if that is no more"
    )
