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
from datetime import datetime
from pathlib import Path

from sqlalchemy import update

from newsletter.store.ledger_reader import LedgerEntry, LedgerKind, Reader, Seen
from newsletter.store.schema import installation
from newsletter.store.unit import Tx, after_commit

__all__ = ["LEDGER_FILE", "Ledger", "LedgerEntry", "LedgerKind", "Seen", "machine_id", "note"]

logger = logging.getLogger(__name__)

LEDGER_FILE = "ledger.jsonl"
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


class Ledger:
    """The file; safe to share between threads and processes."""

    def __init__(self, folder: Path, *, hashed: Callable[[str], str]) -> None:
        """Take the folder of the journal, made when the first line is written, and the keyed hash for addresses."""
        self.path = folder / LEDGER_FILE
        self._hashed = hashed
        self._lock = threading.Lock()
        self._owed: list[str] = []
        self._reader = Reader(self.path)

    def append(self, entries: Sequence[object]) -> None:
        """Append lines durably.

        A disk that fails costs nobody the deed: whoever asked to leave has left. The lines are kept and tried again
        with the next ones, and the log names them, should this process end before.
        """
        lines = [entry.line(self._hashed) for entry in entries if isinstance(entry, LedgerEntry)]
        if not lines:
            return
        with self._lock:
            self._owed += lines
            fault = self._pay()
        if fault:
            logger.error("%s; not noted yet: %s", fault, "; ".join(lines))

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
        with self._lock:
            return self._reader.read_on()

    def _pay(self) -> str:
        try:
            self._write("".join(f"{line}\n" for line in self._owed).encode())
        except OSError as error:
            return f"The ledger {self.path} cannot be written ({error.strerror or error})."
        self._owed.clear()
        return ""

    def _write(self, content: bytes) -> None:
        new = not self.path.exists()
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
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
            _sync_folder(self.path.parent)


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
