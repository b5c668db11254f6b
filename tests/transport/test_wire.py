"""The wire by itself, on a socket that does exactly what a test wants: cut writes, odd replies, other kernels."""

from __future__ import annotations

import io
import itertools
import socket
import struct
from collections.abc import Iterator

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


class FakeSocket:
    """Says what it is told to say, and breaks after so many bytes were written."""

    def __init__(self, *replies: bytes, breaks_after: int | None = None, timeval: bytes | None = None) -> None:
        """Reply with one item at each `recv`; `timeval` is what a strange kernel makes of any time-out."""
        self.replies = list(replies)
        self.left = breaks_after
        self.timeval = timeval
        self.written = b""
        self.timeouts: list[float | None] = []
        self._options: dict[int, bytes] = {}

    def send(self, data: bytes) -> int:
        """Take what fits."""
        if self.left is None:
            self.written += data
            return len(data)
        if self.left == 0:
            raise ConnectionResetError("reset")
        taken = data[: self.left]
        self.left -= len(taken)
        self.written += taken
        return len(taken)

    def recv(self, _size: int, flags: int = 0) -> bytes:
        """Return the next item; nothing is there unasked."""
        if flags or not self.replies:
            raise BlockingIOError
        return self.replies.pop(0)

    def settimeout(self, seconds: float | None) -> None:
        """Note it."""
        self.timeouts.append(seconds)

    def setsockopt(self, _level: int, option: int, value: bytes) -> None:
        """Note it."""
        self._options[option] = self.timeval or value

    def getsockopt(self, _level: int, option: int, _size: int) -> bytes:
        """Return what was set."""
        return self._options[option]

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
    sock = FakeSocket(GROUP, b"250 2.0.0 Queued\r\n")
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
    sock = FakeSocket(GROUP, b"")
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
        wire.read_reply(1.0)


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


def test_a_time_out_is_set_in_the_kernel_where_it_understands_it() -> None:
    """Then no call polls first; it is set anew only when it changes, and no time at all is not for ever."""
    sock = FakeSocket(b"250 Ok\r\n", b"250 Ok\r\n")
    wire = wire_of(sock)
    wire.read_reply(0.0)
    assert sock.timeouts == [0, None]
    assert sock.getsockopt(0, socket.SO_RCVTIMEO, 64) == struct.pack("@ll", 0, 1)
    wire.read_reply(90.5)
    assert sock.getsockopt(0, socket.SO_RCVTIMEO, 64) == struct.pack("@ll", 90, 500_000)


def test_elsewhere_the_time_out_is_pythons() -> None:
    """A kernel with another `timeval` would wait for who knows how long."""
    sock = FakeSocket(b"250 Ok\r\n", b"250 Ok\r\n", timeval=b"\0" * 8)
    wire = wire_of(sock)
    wire.read_reply(5.0)
    wire.read_reply(5.0)
    wire.write(b"DATA\r\n", 7.0)
    assert sock.timeouts == [0, 5.0, 7.0]
    assert not wire.has_word()
    wire.write(b"DATA\r\n", 7.0)
    assert sock.timeouts == [0, 5.0, 7.0, 0, 7.0]
