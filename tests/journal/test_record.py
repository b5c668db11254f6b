"""The file format: what a file of any shape says, and how much of it is believed."""

from __future__ import annotations

from datetime import datetime
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.reply import TEXT_LIMIT, Phase, Reply
from newsletter.journal.record import (
    KERNEL_PAGE_BYTES,
    Answered,
    Handed,
    Header,
    answered_body,
    encode,
    handed_body,
    parse,
    parse_header,
)
from tests.journal.journal_writers import AT, reply_to

HEADER = Header(identity="one", worker=1, machine="here", boot="now").to_bytes()

replies = st.builds(
    Reply,
    phase=st.sampled_from(Phase),
    code=st.integers(0, 599),
    enhanced=st.sampled_from(["", "5.1.1", "4.123.123"]),
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=TEXT_LIMIT),
    may_be_delivered=st.booleans(),
)


@given(reply=replies, at=st.datetimes(datetime(2020, 1, 1), datetime(2200, 1, 1)), attempt=st.integers(1, 10_000))  # noqa: DTZ001 - made aware below
def test_a_reply_comes_back_as_it_was(reply: Reply, at: datetime, attempt: int) -> None:
    """Every reply, in any letters, and its instant to the microsecond."""
    instant = at.replace(tzinfo=AT.tzinfo)
    data, _ = encode(HEADER, [answered_body(2**40, attempt, reply, instant)])
    assert parse(data).entries == {2**40: Answered(attempt=attempt, reply=reply, at=instant)}


def test_letters_that_no_file_can_hold() -> None:
    """A reply with half a letter is kept with a question mark for it."""
    data, _ = encode(HEADER, [answered_body(1, 1, Reply(phase=Phase.DOT, text="a\ud800b", enhanced="५.1.1"), AT)])
    (entry,) = parse(data).entries.values()
    assert isinstance(entry, Answered)
    assert (entry.reply.text, entry.reply.enhanced) == ("a?b", "?.1.1")


def bodies(count: int) -> list[bytes]:
    """Return records of different lengths, each of a message of its own."""
    return [handed_body(nth, 1) if nth % 2 else answered_body(nth, 1, reply_to(nth), AT) for nth in range(1, count + 1)]


@cache
def file_of(count: int) -> tuple[bytes, list[int]]:
    """Return a file with so many records, and where each ends; the first number is the end of the header."""
    ends = [len(encode(HEADER, bodies(count)[:nth])[0]) for nth in range(count + 1)]
    return encode(HEADER, bodies(count))[0], ends


@given(data=st.data())
def test_a_changed_byte_costs_what_follows(data: st.DataObject) -> None:
    """Whichever byte is changed: all records before it are read, none from it on, and it is damage."""
    content, ends = file_of(12)
    where = data.draw(st.integers(ends[0], len(content) - 1), label="where")
    changed = content[:where] + bytes([content[where] ^ data.draw(st.integers(1, 255))]) + content[where + 1 :]
    before = sum(end <= where for end in ends) - 1
    parsed = parse(changed)
    assert list(parsed.entries) == list(range(1, before + 1))
    # In the last record it may look like a longer one that is cut off, which a page of the kernel must end then.
    assert len(content) % KERNEL_PAGE_BYTES
    assert parsed.damage


@given(where=st.integers(0, 10_000))
def test_zeros_are_never_believed(where: int) -> None:
    """A page of zeros, in the middle or behind the last record, is damage."""
    content, ends = file_of(300)
    at = min(max(where, ends[0]), len(content))
    zeroed = content[:at] + bytes(KERNEL_PAGE_BYTES) + content[at + KERNEL_PAGE_BYTES :]
    parsed = parse(zeroed)
    assert parsed.damage
    # The record in which they begin may end in zeros itself.
    assert sum(end <= at for end in ends) - 1 <= parsed.records <= sum(end <= at for end in ends)


@pytest.mark.parametrize("cut", [(3, 4), (0, 2), (5, 9)])
def test_missing_records_are_damage(cut: tuple[int, int]) -> None:
    """Each record continues the checksum of the one before: a block that is taken out is noticed."""
    content, ends = file_of(12)
    begin, end = cut
    parsed = parse(content[: ends[begin]] + content[ends[end] :])
    assert (parsed.records, bool(parsed.damage)) == (begin, True)
    repeated = parse(content[: ends[end]] + content[ends[begin] :])
    assert (repeated.records, bool(repeated.damage)) == (end, True)


def test_a_cut_where_a_kill_makes_one() -> None:
    """A file that ends within a record at a page of the kernel is whole; one that ends anywhere else is not."""
    content, ends = file_of(300)
    assert len(content) > 2 * KERNEL_PAGE_BYTES
    for size in range(KERNEL_PAGE_BYTES - 30, KERNEL_PAGE_BYTES + 30):
        parsed = parse(content[:size])
        assert parsed.records == sum(end <= size for end in ends) - 1
        assert bool(parsed.damage) == (size not in ends and size != KERNEL_PAGE_BYTES)


@given(garbage=st.binary(min_size=1, max_size=300))
def test_garbage_is_no_record(garbage: bytes) -> None:
    """Anything is read without an error and says nothing."""
    parsed = parse(HEADER + garbage)
    assert (parsed.entries, bool(parsed.damage)) == ({}, True)


def test_a_record_with_a_right_checksum_and_no_sense() -> None:
    """Whatever wrote it, it says nothing and raises nothing."""
    for body in (b"", b"x", handed_body(1, 1)[:5], b"\x02" + handed_body(1, 1)[1:] + b"\xff" * 40):
        data, _ = encode(HEADER, [handed_body(7, 1), body])
        parsed = parse(data)
        assert (parsed.entries, bool(parsed.damage)) == ({7: Handed(attempt=1)}, True)


@given(data=st.data())
def test_a_damaged_header(data: st.DataObject) -> None:
    """Whichever byte of it is changed, it is not taken for another header; a higher version is named."""
    where = data.draw(st.integers(0, len(HEADER) - 1))
    changed = HEADER[:where] + bytes([HEADER[where] ^ data.draw(st.integers(1, 255))]) + HEADER[where + 1 :]
    header = parse_header(changed)
    assert isinstance(header, str) or (where == 7 and header.format < 2)
    assert isinstance(parse_header(HEADER), Header)
