"""The ledger: a small file beside the database that outlives a restored copy of it.

In: editions that began, people who left, people who were erased, each with a running number that the database keeps
too. Out: what a database that lags behind does not know. It bears ids and keyed hashes, never an address. A line is
appended after its transaction was committed, so the ledger never knows of anything that did not happen.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from sqlalchemy import update

from newsletter.store.schema import installation
from newsletter.store.unit import Tx, after_commit

logger = logging.getLogger(__name__)

NAME = "ledger.jsonl"


class LedgerKind(StrEnum):
    """What is worth remembering beside the database."""

    EDITION = "edition"
    LEFT = "left"
    ERASED = "erased"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One line."""

    database: str
    """Which database it is about: a new one in the same folder has another name."""
    seq: int
    kind: LedgerKind
    at: datetime
    about: str
    """The name of an edition, or the id of a person."""
    detail: Mapping[str, str] = field(default_factory=dict)
    """The tip of an edition; the keyed hash of a person's address."""
    canonical: str = field(default="", repr=False)
    """The address, for hashing; it never reaches the file."""

    def line(self, hashed: Callable[[str], str]) -> str:
        """Return the entry as it stands in the file."""
        detail = dict(self.detail) | ({"hash": hashed(self.canonical)} if self.canonical else {})
        return json.dumps(
            {
                "database": self.database,
                "seq": self.seq,
                "kind": self.kind.value,
                "at": self.at.isoformat(),
                "about": self.about,
                "detail": detail,
            },
        )


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
        self.path = folder / NAME
        self._hashed = hashed

    def append(self, entries: Sequence[object]) -> None:
        """Append lines durably.

        A disk that fails costs the line and not the deed: whoever asked to leave has left, and the log says what is
        missing here.
        """
        lines = [entry.line(self._hashed) for entry in entries if isinstance(entry, LedgerEntry)]
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                # A torn line of a crash must not swallow the next one.
                torn = os.fstat(handle).st_size > 0 and not _ends_well(self.path)
                os.write(handle, (("\n" if torn else "") + "\n".join(lines) + "\n").encode())
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            logger.error("the ledger %s cannot be written (%s); not noted: %s", self.path, error, lines)  # noqa: TRY400

    def after(self, database: str, seq: int) -> Sequence[LedgerEntry]:
        """Return what the ledger knows of a database beyond a running number, in order."""
        return sorted((e for e in self._entries() if e.database == database and e.seq > seq), key=lambda e: e.seq)

    def _entries(self) -> Iterator[LedgerEntry]:
        try:
            with self.path.open(encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    entry = _read(line)
                    if entry is not None:
                        yield entry
        except FileNotFoundError:
            return


def _read(line: str) -> LedgerEntry | None:
    """Read a line; None for what a crash tore."""
    try:
        found = json.loads(line)
        return LedgerEntry(
            database=found["database"],
            seq=int(found["seq"]),
            kind=LedgerKind(found["kind"]),
            at=datetime.fromisoformat(found["at"]),
            about=found["about"],
            detail=found["detail"],
        )
    except (ValueError, KeyError, TypeError):
        return None


def _ends_well(path: Path) -> bool:
    with path.open("rb") as handle:
        handle.seek(-1, os.SEEK_END)
        return handle.read(1) == b"\n"


def machine_id() -> str:
    """Return what tells this machine from another: its systemd id, else its host name."""
    try:
        found = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        found = ""
    return found or socket.gethostname()
