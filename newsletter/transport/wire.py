"""Bytes out and replies in, on a socket that somebody else opened.

In: command lines and content. Out: reply codes with their lines. Every trouble becomes one exception, `WireLost`,
which never leaves `newsletter.transport`; after it the socket is useless, since a late reply would answer the wrong
command.
"""

from __future__ import annotations

import contextlib
import socket
from io import BufferedReader

_BLOCK = 65536
_LONGEST_LINE = 8192
"""Far above the 512 octets of RFC 5321 §4.5.3.1.5, which real servers exceed."""
_MOST_LINES = 128


class WireLost(Exception):  # noqa: N818 - it is an event of the wire, named as the engine's log names it.
    """The connection ended, timed out or became unreadable."""


class Wire:
    """One connected socket with its read buffer."""

    def __init__(self, sock: socket.socket, reader: BufferedReader) -> None:
        """Take over a socket and the buffered reader that goes with it: bytes may wait in that buffer."""
        self._sock = sock
        self._reader = reader
        # Each command is one small packet that waits for its reply; Nagle's algorithm would only delay it.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def write(self, data: bytes, timeout: float) -> None:
        """Hand all of `data` to the socket, or raise: then its last byte was not handed over.

        `send` returns how many bytes the kernel took, and with TLS it returns only once the last record is with the
        kernel in full; a record that is cut off cannot be decrypted. So if this raises, the peer cannot have it all.
        """
        try:
            self._sock.settimeout(timeout)
            view = memoryview(data)
            while view:
                view = view[self._sock.send(view[:_BLOCK]) :]
        except (OSError, ValueError) as trouble:
            raise WireLost(_words(trouble, "write")) from trouble

    def read_reply(self, timeout: float) -> tuple[int, list[str]]:
        """Return the next reply: its code and the text of its lines (RFC 5321 §4.2.1)."""
        lines: list[str] = []
        try:
            self._sock.settimeout(timeout)
            while len(lines) < _MOST_LINES:
                line = self._reader.readline(_LONGEST_LINE)
                if not line.endswith(b"\n"):
                    # Half a line tells nothing for certain: `250` without its line end may have been `250-`.
                    raise WireLost("the server closed the connection" if len(line) < _LONGEST_LINE else "line too long")
                code, mark, text = line[:3], line[3:4], line[4:].rstrip(b"\r\n")
                if not code.isdigit() or mark not in {b" ", b"-", b"\r", b"\n"}:
                    raise WireLost(f"unreadable reply: {line[:80]!r}")
                lines.append(text.decode("utf-8", "replace"))
                if mark != b"-":
                    return int(code), lines
        except (OSError, ValueError) as trouble:
            raise WireLost(_words(trouble, "read")) from trouble
        raise WireLost("the reply has no end")

    def has_word(self) -> bool:
        """Tell whether something waits to be read, without waiting for it."""
        try:
            self._sock.settimeout(0)
            return bool(self._reader.peek(1))
        except (OSError, ValueError):
            # Nothing there yet (TLS says so by an error), or a broken socket, which the next command will find out.
            return False

    def hang_up(self) -> None:
        """Wake a thread that waits on this socket; safe from any thread, and with TLS."""
        # Not the method of the TLS socket: that one drops its cipher state under the feet of the waiting thread.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the socket back to the system."""
        for end in (self._reader, self._sock):
            with contextlib.suppress(OSError, ValueError):
                end.close()


def _words(trouble: Exception, doing: str) -> str:
    if isinstance(trouble, TimeoutError):
        return f"time-out during {doing}"
    return f"connection lost during {doing}: {trouble}"
