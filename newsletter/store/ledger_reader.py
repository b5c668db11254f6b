"""What the ledger knows of each database: read once, then only what was appended since.

In: the file. Out: whether a database lags it, and the lines that it does not know. A copy that people leave before
anybody noticed that it is one numbers its lines as the original did: a number that stands for two deeds is a fork, and
holds the copy as much as a number that it does not know.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path

from newsletter.core.subscriber import SubscriberId
from newsletter.errors import Stop


class LedgerKind(StrEnum):
    """What is worth remembering beside the database."""

    EDITION = "edition"
    LEFT = "left"
    ERASED = "erased"
    ADOPTED = "adopted"
    """A copy became the database that counts; every other copy lags from here on."""


PERSON_KINDS = frozenset({LedgerKind.LEFT, LedgerKind.ERASED})


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One line."""

    database: str
    """Which database it is about: a new one in the same folder has another name."""
    seq: int
    kind: LedgerKind
    at: datetime
    about: str
    """The name of an edition, the id of a person, or the machine of a copy."""
    detail: Mapping[str, str] = field(default_factory=dict)
    """The tip of an edition; the keyed hash of a person's address."""
    canonical: str = field(default="", repr=False)
    """The address, for hashing; it never reaches the file."""

    @property
    def on(self) -> date:
        """The date of an edition."""
        return date.fromisoformat(self.about.partition(".")[0])

    @property
    def person(self) -> SubscriberId:
        """The id of a person."""
        return SubscriberId(int(self.about))

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


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerIndex:
    """The numbers of one database."""

    top: int = 0
    forks: frozenset[int] = frozenset()
    """Numbers that stand for two deeds."""
    adopted: frozenset[int] = frozenset()
    """Numbers at which a copy became the one that counts."""

    def known_to(self, seq: int) -> int:
        """Return up to which number a database that counted to `seq` has everything."""
        # Who adopted a copy settled the forks before that, unless this very number is in doubt.
        settled = max((item for item in self.adopted - self.forks if item <= seq), default=0)
        fork = min((item for item in self.forks if item > settled), default=seq + 1)
        return min(seq, fork - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one look at the file found; what is appended later does not change it."""

    read_bytes: Mapping[Path, int]
    """By file."""
    trails: Mapping[str, LedgerIndex]
    tops: Mapping[Path, Mapping[str, int]]
    """The highest number of each database by file: where they differ, a file lost lines."""
    claim_counts: Mapping[str, int] = field(default_factory=dict)
    """How many transactions of each database claimed mail, as its anchor says."""
    _read: dict[tuple[str, int], Sequence[LedgerEntry]] = field(default_factory=dict, repr=False)
    """What was asked before: a copy that is held is asked at every tick."""

    def lags(self, database: str, seq: int) -> bool:
        """Tell whether the ledger knows more than a database that counted to `seq`."""
        trail = self.trails.get(database, LedgerIndex())
        return trail.top > seq or trail.known_to(seq) < seq

    def unknown(self, database: str, seq: int) -> Sequence[LedgerEntry]:
        """Return what a database that counted to `seq` may not know, in order."""
        if not self.lags(database, seq):
            return []
        known = self.trails[database].known_to(seq)
        if (database, known) not in self._read:
            self._read[database, known] = self._beyond(database, known)
        return self._read[database, known]

    def _beyond(self, database: str, known: int) -> Sequence[LedgerEntry]:
        entries = {
            line: entry
            for path in self.read_bytes
            for line in self.lines(path)
            if (entry := read_line(line)) is not None and entry.database == database and entry.seq > known
        }
        return sorted(entries.values(), key=lambda entry: entry.seq)

    def lines(self, path: Path) -> Sequence[bytes]:
        """Return the lines of one file."""
        if not self.read_bytes.get(path):
            return []
        with path.open("rb") as handle:
            return handle.read(self.read_bytes[path]).splitlines()

    def top(self, database: str) -> int:
        """Return the highest number of a database, 0 when it is not in the ledger."""
        return self.trails.get(database, LedgerIndex()).top


@dataclass(slots=True)
class _Numbers:
    """What becomes the trail of one database."""

    deeds: dict[int, int] = field(default_factory=dict)
    """By number, a hash of what was done."""
    forks: set[int] = field(default_factory=set)
    adopted: set[int] = field(default_factory=set)
    top: int = 0

    def add(self, entry: LedgerEntry) -> None:
        deed = hash((entry.kind, entry.at, entry.about))
        if self.deeds.setdefault(entry.seq, deed) != deed:
            self.forks.add(entry.seq)
        if entry.kind is LedgerKind.ADOPTED:
            self.adopted.add(entry.seq)
        self.top = max(self.top, entry.seq)

    def trail(self) -> LedgerIndex:
        return LedgerIndex(top=self.top, forks=frozenset(self.forks), adopted=frozenset(self.adopted))


@dataclass(slots=True)
class _Place:
    """How far a file was read."""

    read_bytes: int = 0
    """Of whole lines."""
    size: int = 0
    file: tuple[int, int] = (0, 0)
    """Device and inode: another file under this name is read from its beginning."""
    tops: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Reader:
    """Reads files with the same lines, each from where it was; not safe between threads by itself."""

    _seen: Seen | None = None
    _places: dict[Path, _Place] = field(default_factory=dict)
    _numbers: dict[str, _Numbers] = field(default_factory=dict)

    def read_on(self, paths: Sequence[Path]) -> Seen:
        """Return what is known now; a file that did not grow costs one look at its size."""
        status = {path: _status(path) for path in paths}
        if self._seen is not None and all(self._is_unchanged(path, status[path]) for path in paths):
            return self._seen
        if any(self._is_another(path, status[path]) for path in paths):
            self._seen, self._places, self._numbers = None, {}, {}
        touched = set().union(*(self._read_file(path) for path in paths if status[path] is not None))
        trails = dict(self._seen.trails) if self._seen is not None else {}
        trails |= {database: self._numbers[database].trail() for database in touched}
        places = {path: self._places.get(path, _Place()) for path in paths}
        self._seen = Seen(
            read_bytes={path: place.size for path, place in places.items()},
            trails=trails,
            tops={path: dict(place.tops) for path, place in places.items()},
        )
        return self._seen

    def _is_unchanged(self, path: Path, status: os.stat_result | None) -> bool:
        place = self._places.get(path)
        if status is None or place is None:
            return status is None and place is None
        return (status.st_dev, status.st_ino) == place.file and status.st_size == place.size

    def _is_another(self, path: Path, status: os.stat_result | None) -> bool:
        place = self._places.get(path)
        if place is None:
            return False
        return status is None or (status.st_dev, status.st_ino) != place.file or status.st_size < place.size

    def _read_file(self, path: Path) -> set[str]:
        """Take in what was appended, and return whose trails grew."""
        place = self._places.setdefault(path, _Place())
        touched = set()
        try:
            with path.open("rb") as handle:
                status = os.fstat(handle.fileno())
                place.file, place.size = (status.st_dev, status.st_ino), status.st_size
                handle.seek(place.read_bytes)
                new = handle.read(place.size - place.read_bytes)
        except OSError as error:
            # An entry that cannot be read may be the one that has to hold this database.
            raise Stop(f"The ledger {path} cannot be read ({error.strerror}); nothing is sent before.") from error
        # A line without an end is taken in too, and again when it has one: the same line twice is one line.
        for entry in map(read_line, new.splitlines()):
            if entry is not None:
                self._numbers.setdefault(entry.database, _Numbers()).add(entry)
                place.tops[entry.database] = max(place.tops.get(entry.database, 0), entry.seq)
                touched.add(entry.database)
        place.read_bytes += new.rfind(b"\n") + 1
        return touched


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Stop(f"The ledger {path} cannot be read ({error.strerror}); nothing is sent before.") from error


def read_line(line: bytes) -> LedgerEntry | None:
    """Read a line; None for what a crash tore, and for kinds that a newer program writes."""
    try:
        record = json.loads(line)
        entry = LedgerEntry(
            database=str(record["database"]),
            seq=int(record["seq"]),
            kind=LedgerKind(record["kind"]),
            at=datetime.fromisoformat(record["at"]),
            about=str(record["about"]),
            detail={str(name): str(value) for name, value in record["detail"].items()},
        )
        # What is asked of it later must not fail on a line that somebody edited.
        _ = entry.on if entry.kind is LedgerKind.EDITION else entry.person if entry.kind in PERSON_KINDS else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return entry if entry.at.tzinfo is not None else None
