"""The file format of a journal: a header, then length-prefixed, checksummed records, each appended by one write.

In: messages that were handed over and the replies to them. Out: bytes, and from bytes the last entry of each message.
Parsing never raises for the content of a file: it ends at the first record that is not genuine, and reports the damage.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

from newsletter.core.delivery import DeliveryId
from newsletter.core.reply import TEXT_LIMIT, Phase, Reply

SUFFIX = ".journal"
UNFINISHED = ".new"
"""A second suffix while the file is being made: no message is handed over under such a file."""

HEADER_BYTES_MAX = 4096
KERNEL_PAGE_BYTES = 4096
"""The smallest unit in which Linux copies a write into the page cache, and so the only place where a kill cuts one."""

JOURNAL_VERSION = 2
_MAGIC = b"NLJRNL%02d"
_HEAD = struct.Struct("<8sII")
"""Magic and format number, length and checksum of the JSON behind it."""
_FRAME = struct.Struct("<II")
"""Length of the body, and the checksum of the body continued from the record before."""

_HANDED, _ANSWERED = 1, 2
_KEY = struct.Struct("<BqI")
_REPLY = struct.Struct("<dIBBB")
_TEXT_BYTES_MAX = 4 * TEXT_LIMIT
_ENHANCED_BYTES_MAX = 31
BODY_BYTES_MAX = _KEY.size + _REPLY.size + _ENHANCED_BYTES_MAX + _TEXT_BYTES_MAX

_PHASES = tuple(Phase)
_NUMBER = {phase: number for number, phase in enumerate(_PHASES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The owner of a journal."""

    identity: str
    """Of the database (`installation.identity`)."""
    worker: int
    machine: str
    boot: str
    """The kernel's id of the present boot; empty where there is none."""
    inode: int = 0
    """Of the file itself, by which a copy of it is noticed."""
    format: int = JOURNAL_VERSION

    def to_bytes(self) -> bytes:
        """Return the beginning of the file."""
        owner = {"identity": self.identity, "worker": self.worker, "machine": self.machine, "boot": self.boot}
        content = json.dumps(owner | {"inode": self.inode}).encode()
        return _HEAD.pack(_MAGIC % self.format, len(content), crc32(content)) + content


def parse_header(data: bytes) -> Header | str:
    """Return the header at the beginning of a file, or in words why there is none."""
    if len(data) < _HEAD.size:
        return "it is cut off in its header" if data else "it is empty"
    magic, length, checksum = _HEAD.unpack_from(data)
    if magic[:-2] != _MAGIC[:-4] or not magic[-2:].isdigit():
        return "it is no journal of this program, or its header was overwritten"
    content = data[_HEAD.size : _HEAD.size + length]
    if len(content) != length or crc32(content) != checksum:
        return "its header is damaged"
    if int(magic[-2:]) > JOURNAL_VERSION:
        return "a later version of this program wrote it"
    owner = json.loads(content)
    return Header(
        identity=owner["identity"],
        worker=owner["worker"],
        machine=owner["machine"],
        boot=owner["boot"],
        inode=owner.get("inode", 0),
        format=int(magic[-2:]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """The message was about to be written to the socket, and no reply to it is known."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The reply to a message, or the lack of one."""

    attempt: int
    reply: Reply
    at: datetime


Entry = Handed | Answered


def handed_body(delivery: int, attempt: int) -> bytes:
    """Return the record of a message that is about to be written."""
    return _KEY.pack(_HANDED, delivery, attempt)


def answered_body(delivery: int, attempt: int, reply: Reply, at: datetime) -> bytes:
    """Return the record of a reply."""
    enhanced = reply.enhanced.encode("ascii", "replace")[:_ENHANCED_BYTES_MAX]
    return (
        _KEY.pack(_ANSWERED, delivery, attempt)
        + _REPLY.pack(at.timestamp(), reply.code, _NUMBER[reply.phase], reply.may_be_delivered, len(enhanced))
        + enhanced
        + reply.text[:TEXT_LIMIT].encode("utf-8", "replace")
    )


def frame(body: bytes, previous: int) -> tuple[bytes, int]:
    """Return a record as it is appended, and its checksum, which the next record continues.

    Through that chain a block that is missing, repeated or moved is as visible as a changed one.
    """
    checksum = crc32(body, previous)
    return _FRAME.pack(len(body), checksum) + body, checksum


def encode(header: bytes, bodies: Iterable[bytes]) -> tuple[bytes, int]:
    """Return a whole file, and the checksum that the next record continues."""
    parts, checksum = [header], crc32(header)
    for body in bodies:
        record, checksum = frame(body, checksum)
        parts.append(record)
    return b"".join(parts), checksum


@dataclass(slots=True, kw_only=True)
class Content:
    """The records of a file, up to the first that is not genuine."""

    entries: dict[DeliveryId, Entry] = field(default_factory=dict)
    """The last entry of each message."""
    records: int = 0
    damage: str = ""
    """In words, what no killed process leaves behind; empty when the file is whole."""


def parse(data: bytes) -> Content:
    """Read a file whose header is genuine.

    A last record that is cut off where a page of the kernel ends is what a kill leaves in the middle of a write: the
    message of that record was not written to the socket, or has its earlier record, so nothing is lost with it. A cut
    anywhere else, zeros or a wrong checksum are damage: messages may have gone out of which the file says nothing.
    """
    _, length, _ = _HEAD.unpack_from(data)
    at = _HEAD.size + length
    checksum = crc32(data[:at])
    content = Content()
    while at < len(data):
        body, checksum = _next_body(data, at, checksum)
        parsed = None if body is None else _parse_body(body)
        if body is None or parsed is None:
            if not (_is_cut_off(data, at) and len(data) % KERNEL_PAGE_BYTES == 0):
                content.damage = f"what follows record {content.records} at byte {at:,} is not genuine"
            break
        delivery, entry = parsed
        content.entries[delivery] = entry
        content.records += 1
        at += _FRAME.size + len(body)
    return content


def _next_body(data: bytes, at: int, previous: int) -> tuple[bytes | None, int]:
    if len(data) < at + _FRAME.size:
        return None, previous
    length, checksum = _FRAME.unpack_from(data, at)
    body = data[at + _FRAME.size : at + _FRAME.size + length]
    genuine = len(body) == length and checksum == crc32(body, previous)
    return (body if genuine else None), checksum


def _is_cut_off(data: bytes, at: int) -> bool:
    """Whether the file ends within a record that begins as one."""
    if len(data) < at + _FRAME.size:
        return True
    length, _ = _FRAME.unpack_from(data, at)
    return bool(_KEY.size <= length <= BODY_BYTES_MAX and len(data) < at + _FRAME.size + length)


def _parse_body(body: bytes) -> tuple[DeliveryId, Entry] | None:
    try:
        kind, delivery, attempt = _KEY.unpack_from(body)
        entry = Handed(attempt=attempt) if kind == _HANDED else _answered(attempt, body[_KEY.size :])
    except (struct.error, ValueError, IndexError, OverflowError):
        return None
    return DeliveryId(delivery), entry


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


def boot_id(place: Path = Path("/proc/sys/kernel/random/boot_id")) -> str:
    """Return the kernel's id of the present boot; empty where there is none."""
    try:
        return place.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
