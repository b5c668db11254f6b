"""A mail server of a few lines that says exactly what a test wants, in bytes, and hangs up or falls silent on cue."""

from __future__ import annotations

import contextlib
import enum
import socket
import threading
from types import TracebackType
from typing import Self


class Act(enum.Enum):
    """What the server does instead of replying."""

    CLOSE = enum.auto()
    RESET = enum.auto()
    """Hang up without reading what is there, so that the peer's next write fails."""
    SILENCE = enum.auto()
    """Read on and say nothing until the peer hangs up."""
    DEAF = enum.auto()
    """Neither read nor say anything until the test is over."""


GREETING = b"220 relay.example.org ESMTP\r\n"
EHLO = b"250-relay.example.org\r\n250-SIZE 100000\r\n250 8BITMIME\r\n"
OK = b"250 2.1.0 Ok\r\n"
GO_ON = b"354 Go on\r\n"
OPENING = (GREETING, EHLO)
MESSAGE = (OK, OK, GO_ON, b"250 2.0.0 Queued\r\n")


class ScriptedServer:
    """Serves its connections one after the other; each plays the whole script, and ends with half a line, if any."""

    def __init__(self, *script: bytes | Act) -> None:
        """Take the greeting and then one answer for every command, and for the content after a 354."""
        self.script = script
        self.lines: list[bytes] = []
        """What came in: command lines, and each content as one item."""
        self.heard = threading.Semaphore(0)
        """Released for each item of `lines`."""
        self._over = threading.Event()
        self._peer: socket.socket | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        if self._peer is not None:
            with contextlib.suppress(OSError):
                # What has arrived is still read; then comes the end.
                self._peer.shutdown(socket.SHUT_RD)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._peer = peer
            with peer, contextlib.suppress(OSError):
                self._play(peer)

    def _play(self, peer: socket.socket) -> None:
        with peer.makefile("rb") as reader:
            for number, answer in enumerate(self.script):
                if number and not self._hear(reader, after_354=self.script[number - 1] == GO_ON, next_step=answer):
                    return
                if answer is Act.SILENCE:
                    reader.read()
                    return
                if answer is Act.DEAF:
                    self._over.wait()
                    return
                if isinstance(answer, Act):
                    return
                peer.sendall(answer)
                if not answer.endswith(b"\r\n"):
                    return
            # The script is over; whatever comes now goes unanswered until the peer hangs up.
            for line in reader:
                self._note(line)

    def _hear(self, reader: object, *, after_354: bool, next_step: bytes | Act) -> bool:
        if next_step in {Act.RESET, Act.DEAF}:
            return True
        item = b""
        for line in reader:  # type: ignore[attr-defined]
            item += line
            if not after_354 or line == b".\r\n":
                self._note(item)
                return True
        return False

    def _note(self, item: bytes) -> None:
        self.lines.append(item)
        self.heard.release()
