"""The wire by itself, on a socket that does exactly what a test wants: cut writes, odd replies, other kernels."""

from __future__ import annotations

import io
import itertools
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.reply import Phase
from newsletter.transport.base import Envelope, Relay
from newsletter.transport.session import Features
from newsletter.transport.smtp import SmtpConnection
from newsletter.transport.wire import Wire, WireLost

FEATURES = Features(size=False, size_limit=0, smtputf8=False, eight_bit=False, pipelining=True)
ONE = Envelope(mail_from="b+1@example.org", rcpt_to="reader1@example.org", content=b"Subject: A tip\r\n\r\nHello\r\n")
TWO = Envelope(mail_from="b+2@example.org", rcpt_to="reader2@example.org", content=b"Subject: A tip\r\n\r\nHello\r\n")
GROUP = b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 Go on\r\n"
PIECE = ONE.content + b".\r\nMAIL FROM:<b+2@example.org>\r\nRCPT TO:<reader2@example.org>\r\nDATA\r\n"


SILENT, _open = os.pipe()
"""Nothing ever comes out of it."""
SPEAKS, _mouth = os.pipe()
os.write(_mouth, b"!")
"""Something always waits in it."""


class FakeSocket:
    """Says what it is told to say, and breaks after so many bytes were written."""

    def __init__(self, *replies: bytes, unasked: bool = True) -> None:
        """Reply with one item at each `recv`; only to what was written before, unless it speaks `unasked`."""
        self.replies = list(replies)
        self.left: int | None = None
        self.written = b""
        self._speaks = unasked

    def fileno(self) -> int:
        """Return what a wait for words is over at once with, or never."""
        return SPEAKS if self.replies and self._speaks else SILENT

    def send(self, data: bytes) -> int:
        """Take what fits."""
        if self.left == 0:
            raise ConnectionResetError("reset")
        piece = bytes(data[: self.left])
        self.left = None if self.left is None else self.left - len(piece)
        self.written += piece
        self._speaks = True
        return len(piece)

    def recv(self, _size: int) -> bytes:
        """Return the next item."""
        if not self.replies or not self._speaks:
            raise BlockingIOError
        return self.replies.pop(0)

    def settimeout(self, seconds: float | None) -> None:
        """Never block: all waiting is done elsewhere."""
        assert seconds == 0

    def setsockopt(self, _level: int, _option: int, _value: int) -> None:
        """Whatever it is."""

    def close(self) -> None:
        """Nothing is open."""


def wire_of(sock: FakeSocket, waiting: bytes = b"") -> Wire:
    """Return a wire on that socket, with bytes that were read before it was taken over."""
    return Wire(sock, io.BufferedReader(io.BytesIO(waiting)))  # type: ignore[arg-type]


def connection_on(sock: FakeSocket) -> SmtpConnection:
    """Return a session on that socket."""
    relay = Relay(host="relay.example.org", port=25)
    return SmtpConnection(wire_of(sock), FEATURES, relay, lambda: 0.0)


@given(kept=st.integers(0, len(PIECE) - 1))
def test_a_write_that_breaks_tells_whether_the_dot_is_out(kept: int) -> None:
    """Content, dot and the next envelope are one piece; wherever it is cut, only a dot that is out makes a message."""
    sock = FakeSocket(GROUP, b"250 2.0.0 Queued\r\n", unasked=False)
    connection = connection_on(sock)

    def break_soon() -> None:
        sock.left = kept

    decided = connection.hand_over(ONE, following=TWO, before_data=break_soon)
    if kept < len(ONE.content) + 3:
        assert decided is not None
        assert (decided.phase, decided.may_be_delivered) == (Phase.DATA, False)
    else:
        assert decided is None
        assert connection.answer().code == 250
    assert connection.needs_recycling
    assert sock.written.endswith(PIECE[:kept])
    again = connection.hand_over(TWO)
    assert again is not None
    assert not again.may_be_delivered


def test_a_dot_that_is_out_without_an_answer_is_in_doubt() -> None:
    """Also when the write broke behind it."""
    sock = FakeSocket(GROUP, b"", unasked=False)
    connection = connection_on(sock)

    def break_soon() -> None:
        sock.left = len(ONE.content) + 3

    assert connection.hand_over(ONE, following=TWO, before_data=break_soon) is None
    assert connection.answer().may_be_delivered


def pieces(text: bytes, cuts: list[int]) -> Iterator[bytes]:
    """Cut a text at these places."""
    places = sorted({0, len(text), *(cut % len(text) for cut in cuts)})
    yield from (text[start:end] for start, end in itertools.pairwise(places))


@given(
    replies=st.lists(
        st.tuples(st.integers(200, 599), st.lists(st.binary(max_size=20).filter(lambda b: b"\n" not in b), min_size=1)),
        min_size=1,
        max_size=6,
    ),
    cuts=st.lists(st.integers(0, 10_000), max_size=12),
)
def test_replies_are_read_alike_however_they_are_cut(replies: list[tuple[int, list[bytes]]], cuts: list[int]) -> None:
    """Any number of replies of any number of lines, in any packets."""
    text = b"".join(
        b"%d%s%s\r\n" % (code, b" " if number == len(lines) - 1 else b"-", line)
        for code, lines in replies
        for number, line in enumerate(lines)
    )
    wire = wire_of(FakeSocket(*pieces(text, cuts)))
    for code, lines in replies:
        assert wire.read_reply(1.0) == (code, [line + b"\r" for line in lines])
    with pytest.raises(WireLost, match="time-out"):
        wire.read_reply(0.0)


@pytest.mark.parametrize("line", [b"250 Ok\n", b"250\r\n", b"250\n", b"250 \r\n"])
def test_sloppy_lines_are_understood(line: bytes) -> None:
    """A bare line feed, or a code without words, means what it says."""
    assert wire_of(FakeSocket(line)).read_reply(1.0)[0] == 250


@pytest.mark.parametrize(
    "line",
    [b"25 Ok\r\n", b"2500 Ok\r\n", b"000 Ok\r\n", b"199 Ok\r\n", b"600 Ok\r\n", b"+25 Ok\r\n", b"\r\n", b"250_Ok\r\n"],
)
def test_what_is_no_reply_ends_the_connection(line: bytes) -> None:
    """Nobody knows what it answers."""
    with pytest.raises(WireLost, match="unreadable"):
        wire_of(FakeSocket(line)).read_reply(1.0)


def test_a_line_without_an_end_is_given_up() -> None:
    """A server cannot fill our memory."""
    with pytest.raises(WireLost, match="too long"):
        wire_of(FakeSocket(*[b"x" * 4096] * 3)).read_reply(1.0)


def test_what_was_read_before_is_not_lost() -> None:
    """Bytes behind the reply to EHLO wait in the buffer of whoever read it."""
    wire = wire_of(FakeSocket(), b"421 4.3.2 Shutting down\r\n")
    assert wire.has_word()
    assert wire.read_reply(1.0) == (421, [b"4.3.2 Shutting down\r"])
    assert not wire.has_word()


@pytest.fixture
def ends() -> Iterator[tuple[Wire, socket.socket]]:
    """Return a wire, and the other end of its connection."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as ours:
        theirs, _ = server.accept()
        with theirs:
            yield Wire(ours, ours.makefile("rb")), theirs


def test_silence_is_borne_for_a_while(ends: tuple[Wire, socket.socket]) -> None:
    """Half a line is no reply; when nothing more comes in time, the connection is of no use any more."""
    wire, theirs = ends
    theirs.send(b"250 Ok\r\n250 O")
    assert wire.read_reply(5.0) == (250, [b"Ok\r"])
    with pytest.raises(WireLost, match="time-out during read"):
        wire.read_reply(0.02)


def test_who_does_not_read_is_given_up(ends: tuple[Wire, socket.socket]) -> None:
    """A write that the other end does not take ends in time, and tells how much of it may have arrived."""
    wire, theirs = ends
    with pytest.raises(WireLost, match="time-out during write") as caught:
        wire.write(b"x" * 10_000_000, 0.02)
    arrived = 0
    theirs.settimeout(0.2)
    with suppress(TimeoutError):
        while data := theirs.recv(1_000_000):
            arrived += len(data)
    assert 0 < arrived == caught.value.sent


def test_a_slow_reader_gets_all(ends: tuple[Wire, socket.socket]) -> None:
    """A write goes on as there is room."""
    wire, theirs = ends
    got: list[bytes] = []

    def read() -> None:
        while sum(map(len, got)) < 5_000_000:
            got.append(theirs.recv(100_000))

    thread = threading.Thread(target=read)
    thread.start()
    wire.write(bytes(range(250)) * 20_000, 10.0)
    thread.join(10)
    assert b"".join(got) == bytes(range(250)) * 20_000


def test_what_is_there_is_seen_without_a_wait(ends: tuple[Wire, socket.socket]) -> None:
    """One may look whether the server said something, or hung up."""
    wire, theirs = ends
    assert not wire.has_word()
    theirs.send(b"250 Ok\r\n421 4.3.2 Shutting down\r\n")
    assert wire.read_reply(5.0) == (250, [b"Ok\r"])
    assert wire.has_word()
    assert wire.read_reply(5.0) == (421, [b"4.3.2 Shutting down\r"])
    assert not wire.has_word()
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(WireLost, match="closed the connection"):
        wire.read_reply(5.0)
    assert wire.has_word()


@pytest.mark.parametrize(
    ("message", "whole"),
    [
        (GROUP, True),
        (b"250 \n251 x\n354 \n", True),
        (GROUP[:-1], False),
        (b"250-2.1.0 Ok\r\n" + GROUP, False),
        (b"250 Ok\r\n550 5.1.1 No such user\r\n354 Go on\r\n", False),
        (b"250 Ok\r\n250 Ok\r\n250 Ok\r\n", False),
    ],
)
def test_three_good_replies_are_taken_at_once(message: bytes, *, whole: bool) -> None:
    """Only when all of them are there and each is the one that lets the message go on; else none is taken."""
    wire = wire_of(FakeSocket(message + b"421 "))
    assert wire.has_word()
    assert wire.took_group() == whole
    assert wire.has_buffered()
    if not whole:
        assert wire.read_reply(0.0)[0] == 250


@pytest.mark.parametrize(
    ("replies", "accepted"),
    [
        ([b"250 2.0.0 Ok\r\n" + GROUP], True),
        ([b"250 2.0.0 Ok\n", GROUP], False),
        ([b"250 2.0.0 O", b"k\r\n" + GROUP], True),
        ([b"250-2.0.0 Ok\r\n250 2.0.0 queued\r\n" + GROUP], False),
        ([b"250\r\n" + GROUP], False),
        ([b"451 4.3.0 Later\r\n" + GROUP], False),
        ([b"250 2.0.0 Ok\r\n250 2.1.0 Ok\r\n550 5.1.1 Unknown\r\n554 5.5.1 No\r\n"], False),
        ([b"250 2.0.0 Ok\r\n" + GROUP[:-1]], False),
    ],
)
def test_four_positive_replies_are_taken_at_once_or_not_at_all(replies: list[bytes], *, accepted: bool) -> None:
    """Only when all four say yes are they read together; else every byte is left for the reader of single replies."""
    wire = wire_of(FakeSocket(*replies))
    answer = wire.read_all_positive(1.0)
    assert answer == ((250, [b"2.0.0 Ok"]) if accepted else None)
    if accepted:
        assert not wire.has_buffered()
    else:
        assert wire.read_reply(1.0)[0] == int(replies[0][:3])
