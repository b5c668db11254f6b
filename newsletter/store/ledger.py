"""The ledger: a small file beside the database that outlives a restored copy of it.

In: editions that began, people who left, people who were erased, each with a running number that the database keeps
too. Out: an index of it, by which `store/ledger_reader.py` finds what a database that lags behind does not know. It
holds ids and keyed hashes, never an address. A line is appended after its transaction was committed, so the ledger has
no entry for a change that did not happen.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Integer, bindparam, case, select, update

from newsletter.errors import words_of
from newsletter.store.anchor import LEDGER_FILE, Anchor, ClaimCount, OriginalInstallation
from newsletter.store.ledger_reader import LedgerEntry, LedgerKind, Reader, Seen, read_line
from newsletter.store.schema import installation, suppression
from newsletter.store.unit import Tx, after_commit

__all__ = ["LEDGER_FILE", "Ledger", "LedgerEntry", "LedgerKind", "Seen", "machine_id", "note"]

logger = logging.getLogger(__name__)

_MACHINE_ID = re.compile(r"[0-9a-f]{32}")


def note(
    tx: Tx, kind: LedgerKind, about: str, *, now: datetime, canonical: str = "", detail: Mapping[str, str] | None = None
) -> None:
    """Count an entry in this transaction; it is appended to the ledger once that is committed."""
    row = tx.execute(
        update(installation)
        .values(ledger_seq=installation.c.ledger_seq + 1)
        .returning(installation.c.ledger_seq, installation.c.identity),
    ).first()
    if row is None:
        return
    after_commit(
        tx,
        LedgerEntry(
            database=row.identity,
            seq=row.ledger_seq,
            kind=kind,
            at=now,
            about=about,
            detail=detail or {},
            canonical=canonical,
        ),
    )


_AT_LEAST = bindparam("at_least", type_=Integer())
_COUNT_CLAIM = (
    update(installation)
    .values(claim_count=case((installation.c.claim_count < _AT_LEAST, _AT_LEAST), else_=installation.c.claim_count) + 1)
    .returning(installation.c.claim_count, installation.c.identity)
)


def count_claim(tx: Tx, *, at_least: int = 0) -> None:
    """Count a transaction that claims mail; once it is committed, the anchor has the count before any mail goes out.

    An older copy of the database has a lower count than the anchor. For a file alone: a server's database is not copied
    with a folder, and one row that every worker updates would make them wait for each other.
    """
    if tx.dialect.name != "sqlite":
        return
    row = tx.execute(_COUNT_CLAIM, {"at_least": at_least}).first()
    if row is not None:
        after_commit(tx, ClaimCount(database=row.identity, count=row.claim_count))


def erased_hashes(tx: Tx) -> Sequence[str]:
    """Return the keyed hash of each address that was erased."""
    return tx.execute(select(suppression.c.hash).where(suppression.c.reason == "erased")).scalars().all()


class Ledger:
    """The file and its second copy in the anchor; safe to share between threads and processes."""

    def __init__(self, folder: Path, *, hashed: Callable[[str], str], anchor: Anchor | None = None) -> None:
        """Take the folder of the journal, made when the first line is written, and the keyed hash for addresses."""
        self.path = folder / LEDGER_FILE
        self.anchor = anchor
        self._hashed = hashed
        self._lock = threading.Lock()
        self._owed: list[str] = []
        self._reader = Reader()
        self._lost_from: int | None = None

    def append(self, events: Sequence[object]) -> None:
        """Append the lines of a committed transaction durably, and write its claim count.

        A disk that fails does not undo the transaction: a person who left has left. The lines are kept and tried again
        with the next ones, and the log has them, should this process end before.
        """
        if self.anchor is not None:
            for event in events:
                if isinstance(event, ClaimCount):
                    self.anchor.advance(event)
        entries = [event for event in events if isinstance(event, LedgerEntry)]
        if not entries:
            return
        lines = [entry.line(self._hashed) for entry in entries]
        with self._lock:
            if not self.is_beside_original(entries[0].database):
                self._append_to_anchor(lines)
            self._owed += lines
            fault = self._pay()
        if fault:
            logger.error("%s; not written yet: %s", fault, "; ".join(lines))

    def original(self, database: str) -> OriginalInstallation | None:
        """Return the installation on this machine of which a database is a copy; None when none is known."""
        return self.anchor.original(database) if self.anchor is not None else None

    def is_beside_original(self, database: str) -> bool:
        """Tell whether a database is a copy of an installation that is running: what it counts is its own matter."""
        original = self.original(database)
        return original is not None and original.running

    def occupy(self, database: str) -> bool:
        """Take the place of the installation that counts, on this machine; False when another has it."""
        return self.anchor is None or self.anchor.occupy(database)

    def take_over(self, database: str) -> None:
        """Make a database the one that counts on this machine."""
        if self.anchor is not None:
            self.anchor.take_over(database)

    def fault(self) -> str:
        """Return why the ledger cannot be kept, having tried again; empty when all is well."""
        with self._lock:
            if self._owed:
                return self._pay()
        place = self.path if self.path.exists() else _standing(self.path.parent)
        if os.access(place, os.W_OK):
            return ""
        return f"The ledger {self.path} cannot be written: check who owns it and its folder."

    def look(self) -> Seen:
        """Read what was appended since the last look, and return what is known of every database.

        Look before the database is asked what it knows: a line is written after its commit, so every line seen here is
        known to a database that is asked afterwards, unless it lags.
        """
        paths = [self.path]
        counts: Mapping[str, int] = {}
        if self.anchor is not None and os.access(self.anchor.folder, os.R_OK | os.X_OK):
            paths.append(self.anchor.ledger)
            counts = self.anchor.counts()
        with self._lock:
            seen = self._reader.read_on(paths)
        return seen if seen.claim_counts == counts else replace(seen, claim_counts=counts)

    def even_out(self, seen: Seen, database: str) -> None:
        """Give each file the lines of a database that only the other one has: one of the two was lost or put back."""
        if self.anchor is None or len({tops.get(database, 0) for tops in seen.tops.values()}) == 1:
            return
        lines = {path: [line for line in seen.lines(path) if _is_about(line, database)] for path in seen.tops}
        with self._lock:
            for path, own in lines.items():
                present = set(own)
                missing = [line for others in lines.values() for line in others if line not in present]
                if missing:
                    logger.warning(
                        "the ledger %s lacked entries of the database; they are written again: %s", path, len(missing)
                    )
                    with suppress(OSError):
                        _append(path, b"".join(line + b"\n" for line in missing))

    def is_lost(self, seen: Seen, database: str, seq: int) -> bool:
        """Whether lines of a database that counted to `seq` are in no file any more.

        True at the second look that finds it: between a commit and its line another process may have looked.
        """
        top = seen.top(database)
        lost = self._lost_from is not None and top < self._lost_from
        self._lost_from = seq if top < seq else None
        return lost

    def _append_to_anchor(self, lines: Sequence[str]) -> None:
        if self.anchor is None or self.anchor.fault():
            return
        try:
            _append(self.anchor.ledger, _joined(lines))
        except OSError as error:
            logger.warning("the ledger %s cannot be written (%s)", self.anchor.ledger, words_of(error))

    def _pay(self) -> str:
        try:
            _append(self.path, _joined(self._owed))
        except OSError as error:
            return f"The ledger {self.path} cannot be written ({words_of(error)})."
        self._owed.clear()
        return ""


def _joined(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _is_about(line: bytes, database: str) -> bool:
    entry = read_line(line)
    return entry is not None and entry.database == database


def _append(path: Path, content: bytes) -> None:
    new = not path.exists()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        before = os.fstat(handle).st_size
        # The torn line of a crash must not swallow the next one.
        if before and os.pread(handle, 1, before - 1) != b"\n":
            content = b"\n" + content
        try:
            while content:
                content = content[os.write(handle, content) :]
            os.fsync(handle)
        except OSError:
            # Half of it would stand twice once it is tried again; a full disk has room for less.
            os.ftruncate(handle, before)
            raise
    finally:
        os.close(handle)
    if new:
        _sync_folder(path.parent)


def _standing(folder: Path) -> Path:
    """Return the nearest folder that is there already."""
    return folder if folder.exists() or folder == folder.parent else _standing(folder.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def machine_id(place: Path = Path("/etc/machine-id")) -> str:
    """Return what tells this machine from another: its systemd id, else its host name.

    The file of a container image is empty, missing, or says `uninitialized` (machine-id(5)), which would make all
    machines one.
    """
    try:
        text = place.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        text = ""
    return text if _MACHINE_ID.fullmatch(text) else socket.gethostname()
