"""The form of a journal on the disk: a header, and for each connection two pages of records.

In: what was handed over and what came back. Out: bytes, and from bytes, whatever shape they are in, what they surely
say. Reading never raises for what a file holds: a record that is torn, stale or garbage ends its page.
"""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

from newsletter.core.delivery import DeliveryId
from newsletter.core.reply import TEXT_LIMIT, Phase, Reply

SUFFIX = ".journal"
UNFINISHED = ".new"
"""A journal that is being made bears this too; nothing is handed over before it has lost it."""

HEADER_SIZE = 4096
PAGE_SIZE = 68 * 4096
"""Room for 64 replies of the worst size with their handing-over; of the usual size some three thousand."""

_MAGIC = b"NLJRNL01"
"""The last two digits are the version of this form."""
_HEAD = struct.Struct("<8sII")
_WORD = struct.Struct("<I")
_END = struct.Struct("<II")
"""The checksum of a record, and the word after it: zero, until the next record is whole."""

_HANDED, _ANSWERED = 1, 2
_KIND_AND_KEY = struct.Struct("<BQqI")
_REPLY = struct.Struct("<dIBBB")
_TEXT_BYTES = 4 * TEXT_LIMIT
_ENHANCED_BYTES = 31
LARGEST = _KIND_AND_KEY.size + _REPLY.size + _ENHANCED_BYTES + _TEXT_BYTES + _WORD.size + _END.size
"""What the largest record takes, with the word that ends the page behind it."""
LEAST = _KIND_AND_KEY.size + _WORD.size + _END.size
"""What a handing-over takes."""

_PHASES = tuple(Phase)
_NUMBER = {phase: number for number, phase in enumerate(_PHASES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Whose journal it is."""

    identity: str
    """Of the database (`installation.identity`)."""
    worker: int
    machine: str
    boot: str
    """What tells this run of the machine from the one after a power loss; empty where nothing does."""
    tracks: int

    @property
    def size(self) -> int:
        """Return how many bytes the whole file has."""
        return HEADER_SIZE + self.tracks * 2 * PAGE_SIZE

    def to_bytes(self) -> bytes:
        """Return it as it stands at the head of the file."""
        told = {name: getattr(self, name) for name in self.__slots__}
        said = json.dumps(told | {"page": PAGE_SIZE}).encode()
        head = _HEAD.pack(_MAGIC, len(said), crc32(said))
        return (head + said).ljust(HEADER_SIZE, b"\0")


def read_header(data: bytes) -> Header | str:
    """Return the header of a file, or in words why it has none that can be read."""
    if len(data) < HEADER_SIZE:
        return "it is cut off in its header" if data else "it is empty"
    magic, length, checksum = _HEAD.unpack_from(data)
    if magic[:-2] != _MAGIC[:-2]:
        return "it is no journal of this program, or its header was overwritten"
    said = data[_HEAD.size : _HEAD.size + length]
    if len(said) != length or crc32(said) != checksum:
        return "its header is damaged"
    # The checksum is right, so this is what some version of this program wrote.
    told = json.loads(said)
    if magic != _MAGIC or told.pop("page", None) != PAGE_SIZE:
        return "another version of this program wrote it"
    return Header(**told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """The message was about to be written to the socket, and no reply to it is known."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came back; it decides as if it had just been read."""

    attempt: int
    reply: Reply
    at: datetime


RowResult = Handed | Answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line of a page."""

    number: int
    """They count over the whole file: the highest tells the latest."""
    delivery: DeliveryId
    fate: RowResult


def handed_body(number: int, delivery: int, attempt: int) -> bytes:
    """Return what says that a message is about to be written."""
    return _KIND_AND_KEY.pack(_HANDED, number, delivery, attempt)


def answered_body(number: int, delivery: int, attempt: int, reply: Reply, at: datetime) -> bytes:
    """Return what says what came back."""
    enhanced = reply.enhanced.encode("ascii", "replace")[:_ENHANCED_BYTES]
    return (
        _KIND_AND_KEY.pack(_ANSWERED, number, delivery, attempt)
        + _REPLY.pack(at.timestamp(), reply.code, _NUMBER[reply.phase], reply.may_be_delivered, len(enhanced))
        + enhanced
        + reply.text[:TEXT_LIMIT].encode("utf-8", "replace")
    )


def seal(body: bytes) -> tuple[bytes, bytes]:
    """Return the word that makes a record valid, and what has to stand behind it first.

    The word is the length, and the checksum covers it. Behind the record stands the zero that ends the page, so that
    what an earlier round left there is never read as its continuation.
    """
    length = len(body)
    return _WORD.pack(length), body + _END.pack(crc32(body, length), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a page surely says."""

    records: tuple[Record, ...]
    whole: bool
    """False when it ends in something that no killed process leaves behind: a disk or a person did that."""


def read_page(page: bytes) -> Reading:
    """Read the records of a page up to its end, or to the first that is not right."""
    records: list[Record] = []
    whole = len(page) == PAGE_SIZE
    at = 0
    while at + _WORD.size <= len(page):
        (length,) = _WORD.unpack_from(page, at)
        if length == 0:
            return Reading(records=tuple(records), whole=whole)
        body = page[at + _WORD.size : at + _WORD.size + length]
        at += _WORD.size + length
        found = _record(body, page[at : at + _WORD.size], length)
        if found is None or (records and found.number <= records[-1].number):
            return Reading(records=tuple(records), whole=False)
        records.append(found)
        at += _WORD.size
    return Reading(records=tuple(records), whole=whole)


def _record(body: bytes, checksum: bytes, length: int) -> Record | None:
    if checksum != _WORD.pack(crc32(body, length)):
        return None
    try:
        kind, number, delivery, attempt = _KIND_AND_KEY.unpack_from(body)
        fate = Handed(attempt=attempt) if kind == _HANDED else _answered(attempt, body[_KIND_AND_KEY.size :])
    except (struct.error, ValueError, IndexError, OverflowError):
        # The checksum is right by chance only, or by somebody's hand.
        return None
    return Record(number=number, delivery=DeliveryId(delivery), fate=fate)


def _answered(attempt: int, rest: bytes) -> Answered:
    at, code, phase, doubtful, width = _REPLY.unpack_from(rest)
    enhanced, text = rest[_REPLY.size : _REPLY.size + width], rest[_REPLY.size + width :]
    reply = Reply(
        phase=_PHASES[phase],
        code=code,
        enhanced=enhanced.decode("ascii"),
        text=text.decode(),
        may_be_delivered=bool(doubtful),
    )
    return Answered(attempt=attempt, reply=reply, at=datetime.fromtimestamp(at, UTC))


def latest(records: Iterator[Record]) -> dict[DeliveryId, RowResult]:
    """Return what is last known of each delivery, whichever connections it went over."""
    return {one.delivery: one.fate for one in sorted(records, key=lambda one: one.number)}


def pages(tracks: int) -> Iterator[tuple[int, int]]:
    """Return where the two pages of each track begin."""
    begins = itertools.count(HEADER_SIZE, PAGE_SIZE)
    return ((next(begins), next(begins)) for _ in range(tracks))


def boot_id(place: Path = Path("/proc/sys/kernel/random/boot_id")) -> str:
    """Return what the kernel calls this run of the machine; empty where it does not say."""
    try:
        return place.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
