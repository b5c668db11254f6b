"""Reading a subscriber file: any common encoding, any size, and one bad row spoils no other."""

from __future__ import annotations

import csv
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.csv_row import BadRow, GoodRow
from newsletter.errors import InputError
from newsletter.flows.read_csv import RowReader, read_rows

ZONES = {"Europe/Paris"}


def read(content: bytes | str) -> RowReader:
    """Read a file of this content."""
    raw = content.encode() if isinstance(content, str) else content
    return read_rows(io.BytesIO(raw), file_name="people.csv", time_zones=ZONES)


def told(content: bytes | str) -> list[tuple[int, str]]:
    """Read a file and return for each row its line and the name or the reason."""
    return [(row.line, row.name if isinstance(row, GoodRow) else row.reason) for row in read(content)]


@pytest.mark.parametrize(
    ("codec", "mark", "message"),
    [
        ("utf-8", b"", "UTF-8"),
        ("utf-8-sig", b"", "UTF-8 with BOM"),
        ("utf-16-le", b"\xff\xfe", "UTF-16 LE"),
        ("utf-16-be", b"\xfe\xff", "UTF-16 BE"),
        ("utf-16-le", b"", "UTF-16 LE"),
        ("utf-16-be", b"", "UTF-16 BE"),
        ("cp1252", b"", "Windows-1252 (it is not valid UTF-8)"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings(codec: str, mark: bytes, message: str, end: str) -> None:
    """The usual encodings and line ends are recognised, and the encoding is told."""
    reader = read(mark + f"email,name{end}ada@example.org,Zoë €{end}{end}bob@example.org,Bob{end}".encode(codec))
    assert reader.encoding == message
    assert [(row.line, row.name) for row in reader if isinstance(row, GoodRow)] == [(2, "Zoë €"), (4, "Bob")]


def test_the_whole_file_decides_about_the_encoding() -> None:
    """A letter that is not UTF-8 after megabytes of ASCII makes the file Windows-1252 from its first row."""
    content = b"email,name\n" + b"ada@example.org,Ada\n" * 60_000 + b"zoe@example.org,Zo\xeb\n"
    reader = read(content)
    assert reader.encoding.startswith("Windows-1252")
    assert [row.name for row in reader if isinstance(row, GoodRow)][-1] == "Zoë"


def test_a_character_across_two_chunks() -> None:
    """A character of several bytes may lie on the border of two chunks."""
    for shift in range(4):
        content = "email,name\n" + "a" * (65_533 - 11 - 16 - shift) + "@example.org,€€€\nada@example.org,€\n"
        assert read(content).encoding == "UTF-8"


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        ("email,name", "comma"),
        ("email;name", "semicolon"),
        ("email\tname", "tab"),
        ('"a;b;c",email,name', "comma"),
        ("email", "comma"),
        ("sep=;\r\nemail;name", "semicolon"),
        ("\n\nemail;name", "semicolon"),
    ],
)
def test_delimiters(header: str, delimiter: str) -> None:
    """The header line tells the delimiter, wherever quotation marks hide others."""
    assert read(f"{header}\n").delimiter == delimiter


def test_lines_are_those_of_the_file() -> None:
    """A row bears the number of the line on which it begins, also after empty lines and cells of several lines."""
    content = 'email,name\n\n"a@example.org","A\nB"\n,\nwrong,\nc@example.org,C'
    assert told(content) == [(3, "A B"), (6, "not an e-mail address: there is no @ sign"), (7, "C")]


@pytest.mark.parametrize("stray", ['"b@example.org,B', 'b@example.org,"B', '"b@example.org" x,B', '"b,""'])
@pytest.mark.parametrize("after", [0, 1, 30_000])
def test_a_stray_quotation_mark_costs_one_row(stray: str, after: int) -> None:
    """A quotation mark that is never closed refuses its own row; those before and after are read."""
    content = "email,name\na@example.org,A\n" + stray + "\n" + "c@example.org,C\n" * after
    rows = list(read(content))
    assert [row.line for row in rows if isinstance(row, BadRow)] == [3]
    assert len(rows) == 2 + after
    assert isinstance(rows[1], BadRow)
    assert rows[1].cells == (stray,)
    assert "quotation mark" in rows[1].reason


def test_a_long_row_is_refused_alone() -> None:
    """A row beyond reason is refused, and kept only in part."""
    rows = list(read("email,name\na@example.org," + "x" * 500_000 + "\nb@example.org,B\n"))
    assert isinstance(rows[0], BadRow)
    assert rows[0].reason == "the row is longer than 100,000 characters"
    assert len(rows[0].cells[0]) == 1000
    assert isinstance(rows[1], GoodRow)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "people.csv is empty"),
        (b" \r\n\n ", "people.csv is empty"),
        (b"\xef\xbb\xbf", "people.csv is empty"),
        (b"\xef\xbb\xbf\n\n", "people.csv is empty"),
        (b",,,\n", "people.csv is empty"),
        (b"PK\x03\x04" + b"\0" * 50, "spreadsheet.*export it as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "old Excel file"),
        (b"%PDF-1.7", "PDF"),
        (b"\x1f\x8b\x08\0", "compressed"),
        (b"email,name\na@example.org,A\n\0\0\0", "NUL in line 3"),
        (b"email\n" + b"a@example.org\n" * 20_000 + b"\0", "NUL in line 20002"),
        ("\ufeffemail\na\0@example.org\n".encode("utf-16-le"), "NUL in line 2"),
        (b"\xff\xfe" + "email\n".encode("utf-16-le") + b"\x00\xd8\n\0", "not text in UTF-16 LE"),
        (b"email\n\x81\x8d\xff\n", "say what it is: --encoding NAME"),
        (b"email\n" + b"x" * 10_000_000, "more than 1,000,000 bytes in line 2"),
        (b"name\nAda\n", "no column `email`"),
        (b'"email\n', "no readable line of headings"),
    ],
)
def test_a_file_that_is_useless_as_a_whole(content: bytes, message: str) -> None:
    """What is wrong with the whole file is told before the first row, in one line."""
    with pytest.raises(InputError, match=message) as caught:
        read(content)
    assert str(caught.value).isprintable()


def test_a_pipe_is_refused() -> None:
    """What cannot be read twice is refused with the way out."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            """Say what a pipe says."""
            return False

    with pytest.raises(InputError, match="save it to a file"):
        read_rows(Pipe(b"email\n"), file_name="-")


def test_the_stream_stays_open(tmp_path: Path) -> None:
    """The caller's stream is neither closed nor needed after its rows were read."""
    path = tmp_path / "people.csv"
    path.write_text("email\nada@example.org\n")
    with path.open("rb") as stream:
        reader = read_rows(stream, file_name="people.csv")
        assert len(list(reader)) == 1
        del reader
        assert not stream.closed


def test_time_zones_of_the_machine() -> None:
    """Without a set of its own the reader knows the zones of the tz database."""
    reader = read_rows(io.BytesIO(b"email,time_zone\na@example.org,america/new_york\n"), file_name="people.csv")
    assert [row.time_zone for row in reader if isinstance(row, GoodRow)] == ["America/New_York"]


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(st.lists(names, max_size=8), st.sampled_from(",;\t"), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_whatever_a_spreadsheet_writes_is_read(written: list[str], delimiter: str, codec: str) -> None:
    """Every properly quoted cell comes back, so no row is lost or doubled."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([["email", "note"], *([f"a{place}@example.org", cell] for place, cell in enumerate(written))])
    rows = list(read(text.getvalue().encode(codec)))
    assert [row.address.email for row in rows if isinstance(row, GoodRow)] == [
        f"a{place}@example.org" for place in range(len(written))
    ]


@given(
    st.binary(max_size=300)
    | st.text(alphabet='email,;"\n\r\té@.x=', max_size=80).map(lambda text: f"email\n{text}".encode())
)
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    """Whatever the file holds, it is refused as wrong input or read to its end."""
    try:
        reader = read(content)
    except InputError:
        return
    lines = [row.line for row in reader]
    assert lines == sorted(set(lines))


class Generated(io.RawIOBase):
    """A file of many rows that is made, a thousand at a time, while it is read."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._next = -1
        self._rest = b""

    def readable(self) -> bool:
        """Allow reading."""
        return True

    def seekable(self) -> bool:
        """Allow going back, to the beginning only."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Begin anew."""
        assert (offset, whence) == (0, 0)
        self._next, self._rest = 0, b"email,name,city\n"
        return 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        while len(self._rest) < size and self._next < self._rows:
            block = range(self._next, self._next + 1000)
            self._rest += "".join([f"a{row}@example.org,Zoë,Paris {row}\n" for row in block]).encode()
            self._next += 1000
        chunk, self._rest = self._rest[:size], self._rest[size:]
        return chunk


def test_memory_is_flat() -> None:
    """Twenty thousand rows, which are some 20 MB as values, are read in less than 5 MB."""
    tracemalloc.start()
    try:
        reader = read_rows(Generated(20_000), file_name="people.csv", time_zones=ZONES)  # type: ignore[arg-type]
        count = sum(1 for row in reader if isinstance(row, GoodRow))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 5_000_000
