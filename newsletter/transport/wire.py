"""Bytes out and replies in, on a connected socket.

In: command lines and content. Out: reply codes with their lines. Every trouble becomes one exception, `WireLost`,
which never leaves `newsletter.transport`; after it the socket is useless, since a late reply would answer the wrong
command.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
from io import BufferedReader

from newsletter.errors import words_of
from newsletter.event_loop import wait_for_io

_READ_BYTES = 4096
_TLS_RECORD_BYTES = 16384
"""Most plain bytes in one TLS record (RFC 8446 §5.1)."""
_LINE_LENGTH = 8192
"""Far above the 512 octets of RFC 5321 §4.5.3.1.5, which real servers exceed."""
_MOST_LINES = 128
_LOWEST, _HIGHEST = 200, 599
_GROUP = re.compile(rb"2\d\d [^\n]*\n2\d\d [^\n]*\n3\d\d [^\n]*\n")
"""Positive replies to MAIL, RCPT and DATA (2yz 2yz 3yz), the common case."""
_ALL_POSITIVE = re.compile(rb"(2\d\d) ([^\r\n]*)\r?\n" + _GROUP.pattern)
"""The same behind the positive reply to a final dot."""
_BLANK, _HYPHEN = b" ", b"-"

Answer = tuple[int, list[bytes]]
"""A reply as it came: its code, and what follows the code in each of its lines."""


class WireLost(Exception):  # noqa: N818 - it is an event of the wire, named as the engine's log names it.
    """The connection ended, timed out or became unreadable."""

    def __init__(self, words: str, *, sent: int = 0) -> None:
        """Say what happened; `sent` counts the bytes of a write that the peer may have."""
        super().__init__(words)
        self.sent = sent


class Wire:
    """One connected socket with its read buffer."""

    def __init__(self, sock: socket.socket, reader: BufferedReader) -> None:
        """Take over a socket and the buffered reader that goes with it: bytes may wait in that buffer."""
        self._sock = sock
        self._buffer = _left_in(sock, reader)
        self._at = 0
        self._tls = isinstance(sock, ssl.SSLSocket)
        sock.settimeout(0)
        # What we write is a whole step of the conversation that waits for its reply; Nagle's algorithm would delay it.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def write(self, data: bytes, timeout: float) -> None:
        """Hand all of `data` to the socket, or raise `WireLost` with the number of bytes that the peer may have.

        That number is exact: `send` returns what the kernel took, and with TLS each call writes one record, of which
        the peer can decrypt nothing until it has all of it. `timeout` is how long it may take no more, in seconds.
        """
        sent = 0
        rest: bytes | memoryview = data[:_TLS_RECORD_BYTES] if self._tls else data
        try:
            while True:
                try:
                    sent += self._sock.send(rest)
                except (BlockingIOError, ssl.SSLWantWriteError):
                    self._wait(select.POLLOUT, timeout)
                    continue
                except ssl.SSLWantReadError:
                    self._wait(select.POLLIN, timeout)
                    continue
                if sent == len(data):
                    return
                rest = memoryview(data)[sent : sent + _TLS_RECORD_BYTES if self._tls else len(data)]
        except (OSError, ValueError) as trouble:
            raise WireLost(_words(trouble, "write"), sent=sent) from trouble

    def read_reply(self, timeout: float) -> Answer:
        """Return the next reply: its code and the text of its lines (RFC 5321 §4.2.1)."""
        line = self._line(timeout)
        # Nearly every reply is one such line.
        if line[3:4] == _BLANK and line[:3].isdigit() and _LOWEST <= (code := int(line[:3])) <= _HIGHEST:
            return code, [line[4:]]
        return self._long_reply(line, timeout)

    def took_group(self) -> bool:
        """Take the replies to MAIL, RCPT and DATA in one look, if all three are there and say yes; else leave them."""
        match = _GROUP.match(self._buffer, self._at)
        if match is None:
            return False
        self._at = match.end()
        return True

    def read_all_positive(self, timeout: float) -> Answer | None:
        """Wait for a line, and take it with the group behind it if all four replies are there and positive.

        Returns the first of them; None leaves every byte for `read_reply`.
        """
        if self._buffer.find(b"\n", self._at) < 0:
            self._more(timeout)
        match = _ALL_POSITIVE.match(self._buffer, self._at)
        if match is None:
            return None
        self._at = match.end()
        return int(match[1]), [match[2]]

    def has_word(self) -> bool:
        """Tell, without waiting, whether the server said something, or hung up."""
        if self.has_buffered():
            return True
        try:
            data = self._sock.recv(_READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except (OSError, ValueError):
            return True
        self._buffer, self._at = data, 0
        return True

    def has_buffered(self) -> bool:
        """Tell whether something that was read has not been taken yet."""
        return self._at < len(self._buffer)

    def hang_up(self) -> None:
        """Wake a thread that waits on this socket; safe from any thread, and with TLS."""
        # Not the method of the TLS socket: that one drops its cipher state under the feet of the waiting thread.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the socket back to the system."""
        with contextlib.suppress(OSError, ValueError):
            self._sock.close()

    def _long_reply(self, line: bytes, timeout: float) -> Answer:
        lines: list[bytes] = []
        while len(lines) < _MOST_LINES:
            code, mark = line[:3], line[3:4]
            if not code.isdigit() or mark not in {b" ", b"-", b"\r", b""} or not _LOWEST <= int(code) <= _HIGHEST:
                raise WireLost(f"unreadable reply: {line[:80]!r}")
            lines.append(line[4:])
            if mark != _HYPHEN:
                return int(code), lines
            line = self._line(timeout)
        raise WireLost("the reply has no end")

    def _line(self, timeout: float) -> bytes:
        """Return the next line without its end, the carriage return included."""
        end = self._buffer.find(b"\n", self._at)
        if end < 0:
            end = self._more(timeout)
        line = self._buffer[self._at : end]
        self._at = end + 1
        return line

    def _more(self, timeout: float) -> int:
        """Read until there is an end of line and return its place."""
        self._buffer, self._at = self._buffer[self._at :], 0
        while (known := len(self._buffer)) < _LINE_LENGTH:
            try:
                data = self._received(timeout)
            except (OSError, ValueError) as trouble:
                raise WireLost(_words(trouble, "read")) from trouble
            if not data:
                # Half a line tells nothing for certain: `250` without its line end may have been `250-`.
                raise WireLost("the server closed the connection")
            self._buffer = self._buffer + data if known else data
            if (end := self._buffer.find(b"\n", known)) >= 0:
                return end
        raise WireLost("line too long")

    def _wait(self, events: int, timeout: float) -> None:
        if not wait_for_io(self._sock.fileno(), events, timeout):
            raise TimeoutError

    def _received(self, timeout: float) -> bytes:
        # Without TLS nothing lies hidden: to ask before it is there would cost a call, and an exception.
        if not self._tls:
            self._wait(select.POLLIN, timeout)
        while True:
            try:
                return self._sock.recv(_READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError):
                self._wait(select.POLLIN, timeout)
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT, timeout)


def _left_in(sock: socket.socket, reader: BufferedReader) -> bytes:
    """Return what the reader holds already, and close it; the socket stays open."""
    left = b""
    with contextlib.suppress(OSError, ValueError):
        sock.settimeout(0)
        left = reader.peek(1)
    with contextlib.suppress(OSError, ValueError):
        reader.close()
    return left


def _words(trouble: Exception, doing: str) -> str:
    if isinstance(trouble, TimeoutError | BlockingIOError):
        return f"time-out during {doing}"
    return f"connection lost during {doing}: {words_of(trouble)}"
