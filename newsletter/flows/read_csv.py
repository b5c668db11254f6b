"""Read a subscriber file, however large, row by row.

In: a binary stream that can be read several times. Out: a `RowReader`, which describes how the file was read and yields
a `GoodRow` or a `BadRow` for each person. The first readings find the encoding and the columns about consent, so that a
file that cannot be used changes nothing; the last one yields. None holds more than a few rows or touches the database.
"""

from __future__ import annotations

import codecs
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from newsletter.core.csv_import import ColumnChoices, Layout, clean, read_headings, settle_layout, survey
from newsletter.core.csv_row import BadRow, GoodRow, RowParser, is_blank, survey_records
from newsletter.core.subscriber import SubscriberState
from newsletter.errors import InputError
from newsletter.flows.csv_records import (
    CHUNK_BYTES,
    DELIMITERS,
    SAMPLE_BYTES_MAX,
    Lines,
    Records,
    find_delimiter,
)

_LINE_LENGTH = 1_000_000
"""Bytes. Lines are bounded before the csv module sees one, which would read it whole whatever its length."""
_NO_TEXT = {
    b"PK\x03\x04": "is a spreadsheet or a zip file; open it and export it as CSV (UTF-8)",
    b"\xd0\xcf\x11\xe0": "is an old Excel file; open it and export it as CSV (UTF-8)",
    b"%PDF": "is a PDF; a CSV file is needed",
    b"\x1f\x8b": "is compressed; unpack it first",
}


class _Encoding(NamedTuple):
    codec: str
    label: str
    """For the report."""
    guessed: bool = False
    """Neither the file nor the operator names it, and the bytes do not prove it."""


_UTF_8 = _Encoding("utf-8", "UTF-8")
_WINDOWS = _Encoding("cp1252", "Windows-1252 (it is not valid UTF-8)", guessed=True)
_BY_BOM = {
    codecs.BOM_UTF8: _Encoding("utf-8-sig", "UTF-8 with BOM"),
    codecs.BOM_UTF16_LE: _Encoding("utf-16", "UTF-16 LE"),
    codecs.BOM_UTF16_BE: _Encoding("utf-16", "UTF-16 BE"),
}
_ALTERNATIVES = ("cp1250", "mac_roman", "cp1251", "shift_jis", "gb18030")
"""Encodings in which samples are shown beside the guess."""
_NO_TEXT_CODECS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"})
_SAMPLES_MAX = 3


@dataclass(slots=True, kw_only=True)
class RowReader:
    """A file whose encoding and columns are known; iterate over it once for its rows."""

    encoding: str
    """Such as `UTF-8 with BOM`, for people."""
    guessed: bool
    """The encoding is a guess, which the samples let a person judge."""
    samples: tuple[str, ...]
    """Some words of the file beyond ASCII as they were read, where it is not plain UTF-8."""
    delimiter: str
    """`comma`, `semicolon` or `tab`, for people."""
    layout: Layout
    _records: Records
    _zones: Mapping[str, str]

    def __iter__(self) -> Iterator[GoodRow | BadRow]:
        """Yield the rows in order; those without content are passed over."""
        read = RowParser(self.layout, self._zones).read
        for block in self._records:
            if isinstance(block, BadRow):
                yield block
                continue
            for line, cells in zip(block.lines, block.records, strict=True):
                row = read(line, cells)
                if row is not None:
                    yield row


def read_rows(
    stream: BinaryIO,
    *,
    file_name: str,
    choices: ColumnChoices | None = None,
    as_state: SubscriberState | None = None,
    encoding: str = "",
    time_zones: set[str] | None = None,
) -> RowReader:
    """Check the file as a whole, read its header, and return the reader of its rows.

    Everything that is wrong with the whole file is raised here, as `InputError`. The caller closes the stream.
    """
    if not stream.seekable():
        raise InputError(f"the file {file_name} cannot be read twice, as a pipe cannot; save it to a file first")
    named = _named_encoding(encoding) if encoding else None
    used, samples = _find_encoding(stream, file_name, named)
    header = _open(stream, used, file_name)
    layout = read_headings(header.cells, file_name=file_name, choices=choices, as_state=as_state)
    seen = survey(layout)
    if seen is not None:
        for block in header.records:
            if not isinstance(block, BadRow):
                survey_records(layout, seen, block.records)
        header = _open(stream, used, file_name)
    layout = settle_layout(layout, seen)
    known = zoneinfo.available_timezones() if time_zones is None else time_zones
    return RowReader(
        encoding=used.label,
        guessed=used.guessed,
        samples=_read_samples(samples, used),
        delimiter=DELIMITERS[header.delimiter],
        layout=layout,
        _records=header.records,
        _zones={zone.casefold(): zone for zone in known},
    )


class _Header(NamedTuple):
    cells: list[str]
    delimiter: str
    records: Records
    """The rows after the header."""


def _open(stream: BinaryIO, encoding: _Encoding, file_name: str) -> _Header:
    lines = Lines(stream, encoding.codec)
    delimiter = find_delimiter(lines)
    records = Records(lines, delimiter, encoding.label)
    for block in records.first():
        if isinstance(block, BadRow):
            raise InputError(f"the file {file_name} has no readable line of headings: {block.reason}")
        [cells] = block.records
        if not is_blank(cells):
            return _Header(cells, delimiter, records)
    raise InputError(f"the file {file_name} is empty; its first line must hold the headings, one of them `email`")


def _named_encoding(name: str) -> _Encoding:
    """Return the encoding that `--encoding` names; raise `InputError` for one that is none of text."""
    try:
        codec = codecs.lookup(name)
        usable = codec.name not in _NO_TEXT_CODECS and isinstance("a".encode(name), bytes)
    except (LookupError, ValueError, TypeError):
        usable = False
    if not usable:
        raise InputError(
            f"--encoding {name!r} is not the name of a text encoding; such as utf-8, cp1252, cp1250, latin-1, "
            "mac_roman, shift_jis, gb18030 or utf-16"
        )
    return _Encoding(codec.name, codec.name)


def _find_encoding(stream: BinaryIO, file_name: str, named: _Encoding | None) -> tuple[_Encoding, list[bytes]]:
    """Read the whole stream once, in chunks; raise for what is no text or has a line without end."""
    stream.seek(0)
    head = stream.read(CHUNK_BYTES)
    if not head.strip():
        raise InputError(f"the file {file_name} is empty; its first line must hold the headings, one of them `email`")
    for magic, fault in _NO_TEXT.items():
        if head.startswith(magic):
            raise InputError(f"the file {file_name} {fault}")
    marked = next((encoding for bom, encoding in _BY_BOM.items() if head.startswith(bom)), None)
    if named and marked and named.codec.replace("-sig", "")[:6] != marked.codec.replace("-sig", "")[:6]:
        raise InputError(
            f"the file {file_name} begins with the mark of {marked.label}, which is not {named.codec}; "
            "leave --encoding away"
        )
    certain = marked or named or _without_bom(head)
    stream.seek(0)
    if certain and _is_wide(certain):
        _check_wide(stream, certain, file_name)
        return certain, []
    census = _count_lines(stream, file_name)
    if certain is None:
        certain = _UTF_8 if census.broken <= census.intact else _WINDOWS
    samples = census.samples
    if certain.guessed:
        samples = [sample for sample in samples if _decoded(sample, certain.codec) is not None]
        if len(samples) < len(census.samples):
            raise InputError(
                f"the file {file_name} is not UTF-8 and not Windows-1252; say what it is: --encoding NAME",
                details=tuple(_alternatives(census.samples)),
            )
    return certain, [] if certain.codec.startswith("utf-8") else samples


def _is_wide(encoding: _Encoding) -> bool:
    return encoding.codec.startswith(("utf-16", "utf-32"))


class _Census(NamedTuple):
    intact: int
    """Lines beyond ASCII that are UTF-8."""
    broken: int
    """Lines that are not."""
    samples: list[bytes]


def _count_lines(stream: BinaryIO, file_name: str) -> _Census:
    """Count lines by whether they are UTF-8: one odd byte must not decide about all other names."""
    bounds = _Bounds(file_name)
    intact = broken = 0
    samples: list[bytes] = []
    left = b""
    while chunk := stream.read(CHUNK_BYTES):
        bounds.check(chunk)
        if chunk.isascii() and left.isascii():
            left = b""
            continue
        lines = (left + chunk).splitlines(keepends=True)
        left = lines.pop() if not lines[-1].endswith(b"\n") else b""
        for line in lines:
            intact, broken = _judge_line(line, intact, broken, samples)
    intact, broken = _judge_line(left, intact, broken, samples)
    return _Census(intact, broken, samples)


def _judge_line(line: bytes, intact: int, broken: int, samples: list[bytes]) -> tuple[int, int]:
    if line.isascii():
        return intact, broken
    if len(samples) < _SAMPLES_MAX:
        sample = _cell_beyond_ascii(line)
        if sample not in samples:
            samples.append(sample)
    try:
        line.decode()
    except UnicodeDecodeError:
        return intact, broken + 1
    return intact + 1, broken


def _cell_beyond_ascii(line: bytes) -> bytes:
    """Return the cell around the first byte beyond ASCII."""
    first = next(place for place, byte in enumerate(line) if byte > _ASCII_MAX)
    before = re.split(_CELL_END, line[max(0, first - SAMPLE_BYTES_MAX) : first])[-1]
    after = re.split(_CELL_END, line[first : first + SAMPLE_BYTES_MAX])[0]
    return (before + after).strip()


_ASCII_MAX = 127
_CELL_END = re.compile(rb'[,;\t"\r\n]')


def _decoded(sample: bytes, codec: str) -> str | None:
    try:
        return clean(sample.decode(codec))
    except UnicodeDecodeError:
        return None


def _read_samples(samples: list[bytes], encoding: _Encoding) -> tuple[str, ...]:
    """Return samples as read; for a guess also as other encodings read the first one."""
    read = tuple(text for sample in samples if (text := _decoded(sample, encoding.codec)))
    return (*read, *_alternatives(samples[:1])) if encoding.guessed else read


def _alternatives(samples: list[bytes]) -> list[str]:
    """Return how other encodings read the samples, where they give letters."""
    readings = [(codec, [_decoded(sample, codec) for sample in samples]) for codec in _ALTERNATIVES]
    return [
        f"--encoding {codec} reads it as {', '.join(filter(None, texts))}"
        for codec, texts in readings
        if all(text and all(letter.isalpha() or letter.isascii() for letter in text) for text in texts)
    ]


def _check_wide(stream: BinaryIO, encoding: _Encoding, file_name: str) -> None:
    """Raise unless the whole stream is valid; a wrong byte in UTF-16 shifts all that follow."""
    decoder = codecs.getincrementaldecoder(encoding.codec)()
    bounds = _Bounds(file_name)
    while True:
        chunk = stream.read(CHUNK_BYTES)
        try:
            bounds.check(decoder.decode(chunk, final=not chunk).encode())
        except UnicodeError as error:
            message = f"the file {file_name} is not text in {encoding.label}; export it again as CSV (UTF-8)"
            raise InputError(message) from error
        if not chunk:
            return


def _without_bom(head: bytes) -> _Encoding | None:
    """Recognise UTF-16 that lacks its mark: in a header of mostly Latin letters every second byte is zero."""
    sample = head[:200]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > len(sample) // 3 and not even:
        return _Encoding("utf-16-le", "UTF-16 LE")
    if even > len(sample) // 3 and not odd:
        return _Encoding("utf-16-be", "UTF-16 BE")
    return None


class _Bounds:
    """Checks each chunk for NUL bytes and lines without end, which no text file has."""

    def __init__(self, file_name: str) -> None:
        self._file_name = file_name
        self._line = 1
        self._run = 0

    def check(self, chunk: bytes) -> None:
        if b"\0" in chunk:
            line = self._line + chunk.count(b"\n", 0, chunk.index(b"\0"))
            raise InputError(
                f"the file {self._file_name} has a NUL in line {line}: it is damaged, or no text; export it again"
            )
        self._line += chunk.count(b"\n")
        last = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        self._run = len(chunk) - last - 1 if last >= 0 else self._run + len(chunk)
        if self._run > _LINE_LENGTH:
            raise InputError(
                f"the file {self._file_name} has more than {_LINE_LENGTH:,} bytes in line {self._line}; "
                "is it a CSV file?"
            )
