"""Transfer encodings and header words: legal for any text, and back to the same text."""

from __future__ import annotations

import base64
import email
import quopri
import re
from datetime import UTC, datetime, timedelta, timezone
from email.header import decode_header, make_header
from email.policy import default
from email.utils import format_datetime
from html import escape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from newsletter.core.message import plain_value
from newsletter.render.encoding import (
    NAME_LENGTH,
    Base64Body,
    any_mailbox,
    common_value,
    header_text,
    mailbox,
    quoted_pieces,
    quoted_printable,
    quoted_value,
)
from newsletter.render.headers import date_time

names = st.text(st.characters(codec="ascii") | st.characters(exclude_categories=["Cs"]), max_size=90)
lines = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=200)
spiky = st.lists(st.sampled_from(["From ", "--", ".", " ", "=", "\n", "\t", "ü", "字", "a" * 37]), max_size=60).map(
    "".join
)
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=120).map(plain_value)


@given(lines | spiky)
def test_quoted_printable_decodes_to_the_text(text: str) -> None:
    """No sign is lost, no line is over 76 and none begins with a dot, `From ` or two hyphens."""
    encoded = quoted_printable(text)
    assert quopri.decodestring(encoded.replace(b"\r\n", b"\n")).decode() == text
    for line in encoded.split(b"\r\n"):
        assert len(line) <= 76
        assert not line.startswith((b".", b"From ", b"--"))
        assert not line.endswith((b" ", b"\t"))
        assert b"  " not in line
        assert re.fullmatch(rb"[ -~]*", line)


@given(st.lists(lines, min_size=2, max_size=4), values | spiky.map(plain_value))
def test_quoted_pieces_with_values_decode_to_the_whole(fixed: list[str], value: str) -> None:
    """Soft breaks round a value decode to nothing, whatever stands before and after it."""
    pieces = quoted_pieces(fixed)
    encoded = quoted_value(value).join(pieces)
    assert quopri.decodestring(encoded.replace(b"\r\n", b"\n")).decode() == value.join(fixed)
    assert all(len(line) <= 76 and not line.startswith((b".", b"--", b"From ")) for line in encoded.split(b"\r\n"))


@given(st.lists(lines, min_size=1, max_size=5), st.data())
def test_base64_is_spliced_at_any_alignment(fixed: list[str], data: st.DataObject) -> None:
    """Pieces and values of any length make one stream of whole groups."""
    drawn = [data.draw(values) for _ in fixed[1:]]
    encoded = Base64Body(fixed).splice([value.encode() for value in drawn])
    expected = "".join(text.replace("\n", "\r\n") + value for text, value in zip(fixed, [*drawn, ""], strict=True))
    assert base64.b64decode(encoded.replace(b"\r\n", b""), validate=True).decode() == expected
    assert all(len(line) <= 76 for line in encoded.split(b"\r\n"))


@given(st.text(st.characters(), max_size=300))
def test_a_subject_is_one_legal_header(text: str) -> None:
    """Whatever is in a subject, it is ASCII, has no encoded-word over 75, none glued to the next, and decodes to it."""
    encoded = header_text(text, name="Subject")
    assert encoded.isascii()
    assert not re.search(r"[\r\n](?![\n ])|\x00", encoded)
    words = re.findall(r"=\?.*?\?=", encoded)
    assert all(len(word) <= 75 for word in words)
    assert "?==?" not in encoded
    assert all(len(line) <= 78 for line in encoded.split("\r\n")) or not words
    shown = str(make_header(decode_header(encoded.replace("\r\n", ""))))
    assert shown.split() == plain_value(text)[:200].split()


@given(st.text(st.characters(), max_size=120))
def test_a_hostile_name_cannot_make_a_second_header_or_address(name: str) -> None:
    """Any name gives one `To` with one address."""
    raw = f"To: {mailbox(name, 'ann@example.org', header='To')}\r\nSubject: x\r\n\r\n".encode("ascii")
    parsed = email.message_from_bytes(raw, policy=default)
    assert parsed.keys() == ["To", "Subject"]
    (address,) = parsed["To"].addresses
    assert address.addr_spec == "ann@example.org"
    # Adjacent encoded-words are joined by hand: the parser of Python 3.11 puts a blank between them (RFC 2047 §6.2).
    shown = _decoded(raw).split() if b"=?" in raw else address.display_name.split()
    assert shown == plain_value(name)[:NAME_LENGTH].split()


def _decoded(raw: bytes) -> str:
    """Return the display name of a `To` as RFC 2047 says it is shown."""
    phrase = raw.decode().split("\r\nSubject")[0].removeprefix("To: ").replace("\r\n", "").rpartition("<ann@")[0]
    return str(make_header(decode_header(phrase.strip())))


@pytest.mark.parametrize("name", ["", "\r\n", "\u2028", "\x00\x07", " \u202e "])
def test_a_name_of_which_nothing_is_left_is_left_out(name: str) -> None:
    """The address stands alone then."""
    assert mailbox(name, "ann@example.org", header="To") == "ann@example.org"


@pytest.mark.parametrize("address", ["ann@example.org\r\nBcc: b@example.org", "ann@example.org>, <b@example.org"])
def test_an_address_cannot_carry_a_header(address: str) -> None:
    """Line breaks, brackets and commas do not reach the header block."""
    assert not set("\r\n<>, ") & set(mailbox("", address, header="To"))


def test_a_name_that_imitates_an_encoded_word_is_shown_as_it_is() -> None:
    """`=?utf-8?q?x?=` in a name is text, not something to decode."""
    name = "=?utf-8?q?ceo?="
    assert str(make_header(decode_header(mailbox(name, "a@example.org", header="To").split(" <")[0]))) == name


@given(names, st.emails() | names)
@example("Ann Example", "ann@example.org")
@example("Ann  Example", "ann@example.org")
@example(" Ann", "ann@example.org")
@example("a" * 70, "ann@example.org")
@example("=?utf-8?q?x?=", "ann@example.org")
def test_a_common_mailbox_is_what_care_would_make_of_it(name: str, address: str) -> None:
    """The short way for most people's names ends in the very bytes of the long one."""
    assert mailbox(name, address, header="To") == any_mailbox(name, address, header="To")


@given(names | st.text(st.sampled_from("aF.- &'=~"), max_size=160))
def test_a_value_is_encoded_as_it_always_was(value: str) -> None:
    """Values of harmless signs stand for themselves; what a frozen edition makes of the others never changes."""
    expected = _quoted_value_of_the_first_version(value)
    assert quoted_value(value) == expected
    assert common_value(value) in {None, expected}
    assert common_value(value) in {None, quoted_value(escape(value))}


def _quoted_value_of_the_first_version(value: str) -> bytes:
    data = value.encode()
    if not re.fullmatch(rb"[A-Za-z0-9](?: ?[A-Za-z0-9@_+.,:;!?'()/&#%*-])*", data):
        if len(data) > 24:
            return quoted_printable(value)
        data = b"".join(bytes((b,)) if 33 <= b <= 126 and b != 61 else b"=%02X" % b for b in data)
    rows = [data[at : at + 72] for at in range(0, len(data), 72)]
    return b"=\r\n".join(b"=%02X" % row[0] + row[1:] if row[0] in b".-F" else row for row in rows)


@pytest.mark.parametrize("value", ["Ann", "ann@example.org", "Ann Example", "https://example.com/u/AbC-_1"])
def test_most_values_are_common(value: str) -> None:
    """A name, an address and a link take the short way; if they did not, nobody would see it but the clock."""
    assert common_value(value) == value.encode()


@given(
    st.datetimes(
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=-3, minutes=-30))])
    ),
)
def test_a_date_is_written_as_the_standard_library_writes_it(moment: datetime) -> None:
    """Every moment, in any zone."""
    assert date_time(moment) == format_datetime(moment).encode()
