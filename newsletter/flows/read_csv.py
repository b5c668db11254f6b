"""Read a subscriber file, however large, row by row.

In: a binary stream that can be read twice. Out: a `RowReader`, which says how the file was understood and yields a
`GoodRow` or a `BadRow` for each person. The first reading checks what would make the whole file useless, so that such
a file changes nothing; the second yields. Neither holds more than a few rows, and neither touches the database.
"""

from __future__ import annotations

import codecs
import csv
import io
import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from newsletter.core.csv_import import BadRow, GoodRow, Layout, read_headings, read_row
from newsletter.core.subscriber import SubscriberState
from newsletter.errors import InputError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer  # There is no such name at run time before Python 3.12.

_CHUNK_BYTES = 65_536
_LINE_LENGTH = 1_000_000
"""Bytes. Lines are bounded before the csv module sees one, which would read it whole whatever its length."""
_RECORD_LENGTH = 100_000
"""Characters. A quotation mark that is never closed would make one cell of the rest of the file."""
_SHOWN_LENGTH = 1000
"""Characters of a row without cells that are kept for the file of rejected rows."""
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
_NO_TEXT = {
    b"PK\x03\x04": "is a spreadsheet or a zip file; open it and export it as CSV (UTF-8)",
    b"\xd0\xcf\x11\xe0": "is an old Excel file; open it and export it as CSV (UTF-8)",
    b"%PDF": "is a PDF; a CSV file is needed",
    b"\x1f\x8b": "is compressed; unpack it first",
}


class _Encoding(NamedTuple):
    codec: str
    plain: str
    """What the person is told."""


_UTF_8 = _Encoding("utf-8", "UTF-8")
_WINDOWS = _Encoding("cp1252", "Windows-1252 (it is not valid UTF-8)")
_BY_BOM = {
    codecs.BOM_UTF8: _Encoding("utf-8-sig", "UTF-8 with BOM"),
    codecs.BOM_UTF16_LE: _Encoding("utf-16", "UTF-16 LE"),
    codecs.BOM_UTF16_BE: _Encoding("utf-16", "UTF-16 BE"),
}


@dataclass(slots=True, kw_only=True)
class RowReader:
    """A file that was understood; iterate over it once for its rows."""

    encoding: str
    """Such as `UTF-8 with BOM`, for people."""
    delimiter: str
    """`comma`, `semicolon` or `tab`, for people."""
    layout: Layout
    _records: _Records
    _zones: Mapping[str, str]

    def __iter__(self) -> Iterator[GoodRow | BadRow]:
        """Yield the rows in order; empty ones are passed over."""
        for record in self._records:
            row = (
                record if isinstance(record, BadRow) else read_row(self.layout, record.line, record.cells, self._zones)
            )
            if row is not None:
                yield row


def read_rows(
    stream: BinaryIO,
    *,
    file_name: str,
    mapping: Mapping[str, str] | None = None,
    as_state: SubscriberState | None = None,
    time_zones: set[str] | None = None,
) -> RowReader:
    """Check the file as a whole, read its header, and return the reader of its rows.

    Everything that is wrong with the whole file is raised here, as `InputError`. The caller closes the stream.
    """
    if not stream.seekable():
        raise InputError(f"{file_name} cannot be read twice, as a pipe cannot; save it to a file first")
    encoding = _find_encoding(stream, file_name)
    stream.seek(0)
    lines = _Lines(stream, encoding.codec)
    delimiter = _find_delimiter(lines)
    records = _Records(lines, delimiter)
    header = next((record for record in records if isinstance(record, BadRow) or any(record.cells)), None)
    if header is None:
        raise InputError(f"{file_name} is empty; its first line must hold the headings, one of them `email`")
    if isinstance(header, BadRow):
        raise InputError(f"{file_name} has no readable line of headings: {header.reason}")
    layout = read_headings(header.cells, file_name=file_name, mapping=mapping or {}, as_state=as_state)
    known = zoneinfo.available_timezones() if time_zones is None else time_zones
    return RowReader(
        encoding=encoding.plain,
        delimiter=_DELIMITERS[delimiter],
        layout=layout,
        _records=records,
        _zones={zone.casefold(): zone for zone in known},
    )


def _find_encoding(stream: BinaryIO, file_name: str) -> _Encoding:
    """Read the whole stream once, in chunks; raise for what is no text or has a line without end."""
    stream.seek(0)
    head = stream.read(_CHUNK_BYTES)
    if not head.strip():
        raise InputError(f"{file_name} is empty; its first line must hold the headings, one of them `email`")
    for magic, fault in _NO_TEXT.items():
        if head.startswith(magic):
            raise InputError(f"{file_name} {fault}")
    claimed = next((encoding for bom, encoding in _BY_BOM.items() if head.startswith(bom)), None) or _without_bom(head)
    candidates = [claimed] if claimed else [_UTF_8, _WINDOWS]
    stream.seek(0)
    fits = _fitting(stream, candidates, file_name)
    if not fits:
        raise InputError(f"{file_name} is not text in {candidates[0].plain}; export it again as CSV (UTF-8)")
    return fits[0]


def _without_bom(head: bytes) -> _Encoding | None:
    """Recognise UTF-16 that lacks its mark: in a header of mostly Latin letters every second byte is zero."""
    sample = head[:200]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > len(sample) // 3 and not even:
        return _Encoding("utf-16-le", "UTF-16 LE")
    if even > len(sample) // 3 and not odd:
        return _Encoding("utf-16-be", "UTF-16 BE")
    return None


def _fitting(stream: BinaryIO, candidates: list[_Encoding], file_name: str) -> list[_Encoding]:
    """Return the candidates in which the whole stream is valid."""
    decoders = {encoding: codecs.getincrementaldecoder(encoding.codec)() for encoding in candidates}
    wide = candidates[0].codec.startswith("utf-16")
    bounds = _Bounds(file_name)
    while decoders:
        chunk = stream.read(_CHUNK_BYTES)
        text = ""
        for encoding, decoder in list(decoders.items()):
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError:
                del decoders[encoding]
        bounds.check(text.encode() if wide else chunk)
        if not chunk:
            break
    return list(decoders)


class _Bounds:
    """Watches, chunk by chunk, for what no text file has."""

    def __init__(self, file_name: str) -> None:
        self._file_name = file_name
        self._line = 1
        self._run = 0

    def check(self, chunk: bytes) -> None:
        if b"\0" in chunk:
            line = self._line + chunk.count(b"\n", 0, chunk.index(b"\0"))
            raise InputError(f"{self._file_name} has a NUL in line {line}: it is damaged, or no text; export it again")
        self._line += chunk.count(b"\n")
        last = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        self._run = len(chunk) - last - 1 if last >= 0 else self._run + len(chunk)
        if self._run > _LINE_LENGTH:
            raise InputError(
                f"{self._file_name} has more than {_LINE_LENGTH:,} bytes in line {self._line}; is it a CSV file?"
            )


class _Kept(io.RawIOBase):
    """Stands between the caller's stream and our text wrapper, which would close it when it goes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        data = self._stream.read(len(view))
        view[: len(data)] = data
        return len(data)


class _Lines:
    """The lines of a text, with one that was read too far ahead given back."""

    def __init__(self, stream: BinaryIO, codec: str) -> None:
        self._text = io.TextIOWrapper(io.BufferedReader(_Kept(stream), _CHUNK_BYTES), encoding=codec, newline="")
        self._again: list[str] = []
        self.number = 0
        """Of the line read last."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else next(self._text)
        self.number += 1
        return line

    def give_back(self, lines: list[str]) -> None:
        self._again.extend(reversed(lines))
        self.number -= len(lines)


def _find_delimiter(lines: _Lines) -> str:
    """Take the candidate that the header has most of outside quotation marks; Excel's `sep=;` line decides."""
    for line in lines:
        bare = line.strip("\r\n\ufeff ")
        if bare.lower().startswith("sep=") and bare[4:] in _DELIMITERS:
            return bare[4:]
        if bare:
            lines.give_back([line])
            unquoted = "".join(line.split('"')[::2])
            return max(_DELIMITERS, key=unquoted.count)
    return ","


class _Record(NamedTuple):
    line: int
    cells: list[str]


class _Records:
    """Records of the file: cells with the line they begin on, or a `BadRow` where quotation marks do not pair.

    After such a fault reading goes on with the line after the one where the record began: one stray quotation mark
    must not cost everybody after it their mail.
    """

    def __init__(self, lines: _Lines, delimiter: str) -> None:
        self._lines = lines
        self._delimiter = delimiter
        self._taken: list[str] = []
        """The lines of the present record."""

    def __iter__(self) -> Iterator[_Record | BadRow]:
        reader = self._reader()
        while True:
            self._taken.clear()
            start = self._lines.number + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as fault:
                first, *after = self._taken
                self._lines.give_back(after)
                reader = self._reader()
                yield BadRow(line=start, cells=(first.rstrip("\r\n")[:_SHOWN_LENGTH],), reason=_plain(fault))
            else:
                yield _Record(start, cells)

    def _reader(self) -> Iterator[list[str]]:
        return csv.reader(self._feed(), delimiter=self._delimiter, strict=True)

    def _feed(self) -> Iterator[str]:
        length = 0
        for line in self._lines:
            # The list is emptied when a record is complete, so a first line begins a count anew.
            length = len(line) + (length if self._taken else 0)
            self._taken.append(line)
            if length > _RECORD_LENGTH:
                raise csv.Error("unexpected end of data" if len(self._taken) > 1 else "too long")
            yield line


def _plain(fault: csv.Error) -> str:
    if "unexpected end" in str(fault):
        return "a quotation mark is opened and never closed"
    if "expected after" in str(fault):
        return "text follows a closing quotation mark; a quotation mark inside a cell must be doubled"
    return f"the row is longer than {_RECORD_LENGTH:,} characters"
