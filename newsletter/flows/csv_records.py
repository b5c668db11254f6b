"""Split the text of a CSV file into records, a block of lines at a time.

In: a binary stream and its encoding. Out: blocks of records, each with the number of the line on which it begins, and a
`BadRow` for odd quotation marks or odd bytes. Python's csv module reads a block in one loop of its own, which is the
common case; a record that it refuses, or that goes on in the next block, is read again line by line.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from newsletter.core.csv_import import clean
from newsletter.core.csv_row import BadRow

if TYPE_CHECKING:
    from _csv import Reader

    from _typeshed import WriteableBuffer as Buffer  # There is no such name at run time before Python 3.12.

CHUNK_BYTES = 65_536
BLOCK_BYTES = 16_384
"""Lines that are read ahead: enough for the loop in C, and few enough to stay in the processor's cache."""
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
SAMPLE_BYTES_MAX = 120
_RECORD_LENGTH = 100_000
"""Characters. A quotation mark that is never closed would make one cell of the rest of the file."""
_SHOWN_LENGTH = 1000
"""Characters of a row without cells that are kept for the file of rejected rows."""
_DAMAGE = re.compile("[\udc80-\udcff]")
"""Bytes that the encoding does not have, as the error handler `surrogateescape` leaves them."""


class RecordBlock(NamedTuple):
    """Some records that follow each other."""

    lines: Sequence[int]
    """The line on which each record begins."""
    records: Sequence[list[str]]
    """The cells of each record."""


class Records:
    """The records of a file from where its lines are now.

    After a fault reading goes on with the line after the one where the record began: one stray quotation mark must not
    cost everybody after it their mail.
    """

    def __init__(self, lines: Lines, delimiter: str, encoding: str) -> None:
        """Take the lines, and the name of their encoding for people."""
        self._lines = lines
        self._delimiter = delimiter
        self._encoding = encoding
        self._record_lines: list[str] = []
        """Of the record that is read line by line."""

    def __iter__(self) -> Iterator[RecordBlock | BadRow]:
        """Yield all records in order."""
        while ahead := self._lines.ahead():
            first = self._lines.number + 1
            starts, records = self._read_block(ahead, first)
            if not records:
                yield from self._read_one()
            elif self._lines.ascii:
                yield RecordBlock(starts, records)
            else:
                yield from self._checked(RecordBlock(starts, records))

    def first(self) -> Iterator[RecordBlock | BadRow]:
        """Yield records one by one, so that the lines after the last of them are still there."""
        while self._lines.ahead():
            yield from self._read_one()

    def _read_block(self, ahead: list[str], first: int) -> tuple[Sequence[int], list[list[str]]]:
        """Read the records that are complete in these lines, up to the first fault, and take their lines."""
        if max(map(len, ahead)) > _RECORD_LENGTH:
            return (), []
        reader = self._reader(iter(ahead))
        if not self._lines.quoted:
            # Without a quotation mark each line is a record, and nothing can be wrong with it.
            self._lines.take(len(ahead))
            return range(first, first + len(ahead)), list(reader)
        starts: list[int] = []
        records: list[list[str]] = []
        end = 0
        try:
            for cells in reader:
                start, end = end, reader.line_num
                if end - start > 1 and sum(map(len, ahead[start:end])) > _RECORD_LENGTH:
                    end = start
                    break
                starts.append(first + start)
                records.append(cells)
        except csv.Error:
            pass  # The record after the last complete one is read line by line, which tells what is wrong.
        self._lines.take(end)
        return starts, records

    def _read_one(self) -> Iterator[RecordBlock | BadRow]:
        """Read one record line by line."""
        self._record_lines.clear()
        start = self._lines.number + 1
        try:
            cells = next(self._reader(self._feed()))
        except StopIteration:
            return
        except csv.Error as fault:
            first, *after = self._record_lines
            self._lines.put_back(after)
            yield BadRow(line=start, cells=(first.rstrip("\r\n")[:_SHOWN_LENGTH],), reason=_plain(fault))
        else:
            yield from self._checked(RecordBlock((start,), [cells]))

    def _checked(self, block: RecordBlock) -> Iterator[RecordBlock | BadRow]:
        """Yield the block, with a `BadRow` for each record that holds bytes which the encoding does not have."""
        yielded = 0
        for place, cells in enumerate(block.records):
            damaged = next((cell for cell in cells if not cell.isascii() and _DAMAGE.search(cell)), None)
            if damaged is not None:
                if place > yielded:
                    yield RecordBlock(block.lines[yielded:place], block.records[yielded:place])
                yield self._damaged(block.lines[place], cells, damaged)
                yielded = place + 1
        if yielded < len(block.records):
            yield RecordBlock(block.lines[yielded:], block.records[yielded:]) if yielded else block

    def _damaged(self, line: int, cells: list[str], damaged: str) -> BadRow:
        shown = _DAMAGE.sub("\N{REPLACEMENT CHARACTER}", clean(damaged))[:SAMPLE_BYTES_MAX]
        whole = tuple(_DAMAGE.sub("\N{REPLACEMENT CHARACTER}", cell) for cell in cells)
        return BadRow(line=line, cells=whole, reason=f"a byte in `{shown}` is not {self._encoding}; correct the letter")

    def _reader(self, lines: Iterator[str]) -> Reader:
        return csv.reader(lines, delimiter=self._delimiter, strict=True)

    def _feed(self) -> Iterator[str]:
        length = 0
        for line in self._lines:
            length += len(line)
            self._record_lines.append(line)
            if length > _RECORD_LENGTH:
                raise csv.Error("unexpected end of data" if len(self._record_lines) > 1 else "too long")
            yield line


def _plain(fault: csv.Error) -> str:
    if "unexpected end" in str(fault):
        return "a quotation mark is opened and never closed"
    if "expected after" in str(fault):
        return "text follows a closing quotation mark; a quotation mark inside a cell must be doubled"
    return f"the row is longer than {_RECORD_LENGTH:,} characters"


class Lines:
    """The lines of a text without byte order marks and the end-of-file mark of DOS; lines can be put back."""

    def __init__(self, stream: BinaryIO, codec: str, *, block_bytes: int = BLOCK_BYTES) -> None:
        """Read the stream from its beginning, about so many bytes at a time."""
        stream.seek(0)
        errors = "strict" if codec.startswith(("utf-16", "utf-32")) else "surrogateescape"
        buffer = io.BufferedReader(_Kept(stream), CHUNK_BYTES)
        self._text = io.TextIOWrapper(buffer, encoding=codec, errors=errors, newline="")
        self._block_bytes = block_bytes
        self._ahead: list[str] = []
        self._taken = 0
        """Lines of the block that were given out."""
        self.number = 0
        """Of the line given out last."""
        self.quoted = False
        """Some line of the block has a quotation mark."""
        self.ascii = False
        """All lines of the block are ASCII."""

    def __iter__(self) -> Iterator[str]:
        """Return itself."""
        return self

    def __next__(self) -> str:
        """Give out the next line."""
        if self._taken == len(self._ahead):
            self._read_block()
        if not self._ahead:
            raise StopIteration
        line = self._ahead[self._taken]
        self.take(1)
        return line

    def ahead(self) -> list[str]:
        """Return the lines of the block that were not given out, or the next block; empty at the end of the file."""
        if self._taken == len(self._ahead):
            self._read_block()
        elif self._taken:
            del self._ahead[: self._taken]
            self._taken = 0
        return self._ahead

    def take(self, count: int) -> None:
        """Give out so many lines of the block."""
        self._taken += count
        self.number += count

    def put_back(self, lines: list[str]) -> None:
        """Take lines back that were given out last."""
        self._ahead[: self._taken] = lines
        self._taken = 0
        self.number -= len(lines)
        self.quoted, self.ascii = True, False

    def _read_block(self) -> None:
        lines = self._text.readlines(self._block_bytes)
        text = "".join(lines)
        self.quoted = '"' in text
        self.ascii = text.isascii()
        if "\x1a" in text or "\ufeff" in text:
            # A mark further down is that of a file which was appended to another.
            lines = [line.lstrip("\ufeff").rstrip("\x1a") for line in lines]
        self._ahead = lines
        self._taken = 0


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


def find_delimiter(lines: Lines) -> str:
    """Take the candidate that the header has most of outside quotation marks; Excel's `sep=;` line decides."""
    for line in lines:
        bare = line.strip("\r\n\ufeff ")
        if bare.lower().startswith("sep=") and bare[4:] in DELIMITERS:
            return bare[4:]
        if bare:
            lines.put_back([line])
            unquoted = "".join(line.split('"')[::2])
            return max(DELIMITERS, key=unquoted.count)
    return ","
