"""A small mail server that follows the book where its plan says nothing else, and writes down what it did and saw.

It is the judge of the tests that leave much to chance: each reply carries a mark of its own, so that nobody can mistake
one for another, and whatever a client must not do is kept as a fault.
"""

from __future__ import annotations

import contextlib
import enum
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

CLOSE = 0
"""In a plan: hang up instead of replying."""
HANG = -1
"""In a plan: never reply, and wait until the client hangs up."""


@dataclass(frozen=True)
class Turn:
    """What is said about one message, whose envelope sender is `b+NUMBER@…`."""

    mail: int = 250
    rcpt: int = 250
    data: int = 354
    dot: int = 250
    insists: bool = False
    """Say 354 to DATA although there is no recipient."""
    lines: int = 1
    """How many lines each reply has."""


class Shape(enum.Enum):
    """How replies are cut into packets."""

    GROUP = enum.auto()
    """All that are due, in one."""
    EACH = enum.auto()
    BYTES = enum.auto()
    """Byte by byte."""


@dataclass
class Attempt:
    """One transaction as the server saw it."""

    number: int
    decided: str = ""
    """The mark of the reply that decides: the first refusal, or what was said to the dot."""
    content: bytes | None = None
    """None until the final dot came."""
    to: str = ""
    reply_codes: list[int] = field(default_factory=list)


class _Over(Exception):  # noqa: N818 - it is how a session ends.
    """The session is at its end."""


class ModelServer:
    """Serves one connection after the other."""

    def __init__(
        self,
        plan: Mapping[int, Turn] | None = None,
        *,
        shape: Shape = Shape.GROUP,
        offer: Sequence[str] = ("PIPELINING",),
        offer_tls: Sequence[str] | None = None,
        tls: ssl.SSLContext | None = None,
        scolding: bytes = b"554 5.5.0 Error: SMTP protocol synchronization\r\n",
    ) -> None:
        """Offer `offer` before TLS and `offer_tls`, or the same, after it; scold whoever sends ahead uninvited."""
        self.attempts: list[Attempt] = []
        self.faults: list[str] = []
        self.commands: list[bytes] = []
        self.most_ahead = 1
        """The most commands that came at one time."""
        self._plan = plan or {}
        self._shape = shape
        self._offers = (tuple(offer), tuple(offer if offer_tls is None else offer_tls))
        self._tls = tls
        self._scolding = scolding
        self._marks = 0
        self._over = threading.Event()
        self._session: _Session | None = None
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
        """Stop, once the last connection is closed."""
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            session = self._session = _Session(self, peer)
            with contextlib.suppress(OSError, _Over):
                session.run()
            session.peer.close()

    def hang_up(self) -> None:
        """End the connection that is open, as a server does that waited too long."""
        assert self._session is not None
        self._session.peer.shutdown(socket.SHUT_RDWR)

    def mark(self) -> str:
        """Return a word that no other reply bears."""
        self._marks += 1
        return f"m{self._marks}m"

    def turn(self, number: int) -> Turn:
        """Return the plan for one message."""
        return self._plan.get(number, Turn())


class _Session:
    """One connection."""

    def __init__(self, server: ModelServer, peer: socket.socket) -> None:
        self._server = server
        self.peer = peer
        self._peer_in = b""
        self._out = b""
        self._offer = server._offers[0]
        self._attempt: Attempt | None = None
        self._mail_ok = False
        self._rcpt_ok = False

    def run(self) -> None:
        self.peer.settimeout(10)
        self.peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._out += b"220 model.example.org ESMTP\r\n"
        while True:
            line = self._line()
            self._server.commands.append(line)
            verb = line[:4].upper()
            self._count_ahead()
            if self._peer_in and "PIPELINING" not in self._offer:
                self._server.faults.append(f"{line!r} was followed uninvited")
                self._out += self._server._scolding
                self._hang_up()
            handle = getattr(self, f"_on_{verb.decode().lower()}", None)
            if handle is None:
                self._out += b"500 5.5.1 What?\r\n"
            else:
                handle(line)

    def _count_ahead(self) -> None:
        self._server.most_ahead = max(self._server.most_ahead, 1 + self._peer_in.count(b"\r\n"))

    def _line(self) -> bytes:
        while b"\r\n" not in self._peer_in:
            self._flush()
            data = self.peer.recv(65536)
            if not data:
                raise _Over
            self._peer_in += data
        line, _, self._peer_in = self._peer_in.partition(b"\r\n")
        return line

    def _flush(self) -> None:
        out, self._out = self._out, b""
        if self._server._shape is Shape.GROUP:
            self.peer.sendall(out)
            return
        pieces = (
            out.splitlines(keepends=True)
            if self._server._shape is Shape.EACH
            else [out[at : at + 1] for at in range(len(out))]
        )
        for piece in pieces:
            self.peer.sendall(piece)

    def _hang_up(self) -> None:
        self._flush()
        raise _Over

    def _say(self, code: int, lines: int) -> str:
        """Reply as planned and return the mark."""
        if code == CLOSE:
            self._hang_up()
        if code == HANG:
            self._flush()
            while self.peer.recv(65536):
                pass
            raise _Over
        mark = self._server.mark()
        for number in range(lines):
            self._out += f"{code}{' ' if number == lines - 1 else '-'}{mark if number == 0 else 'more'}\r\n".encode()
        if self._attempt is not None:
            self._attempt.reply_codes.append(code)
        if code == 421:
            self._hang_up()
        return mark

    def _decide(self, code: int, lines: int, reply: int) -> bool:
        """Reply, and note the mark if this is what decides about the message."""
        attempt = self._attempt
        assert attempt is not None
        if not attempt.decided and code == 421:
            # Noted before it is said, since nothing comes after it.
            attempt.decided = f"m{self._server._marks + 1}m"
        mark = self._say(code, lines)
        if code // 100 != reply and not attempt.decided:
            attempt.decided = mark
        return code // 100 == reply

    def _on_ehlo(self, _line: bytes) -> None:
        words = ["model.example.org", *self._offer]
        if self._server._tls is not None and not isinstance(self.peer, ssl.SSLSocket):
            words.append("STARTTLS")
        for word in words[:-1]:
            self._out += f"250-{word}\r\n".encode()
        self._out += f"250 {words[-1]}\r\n".encode()

    def _on_star(self, _line: bytes) -> None:
        assert self._server._tls is not None
        self._out += b"220 2.0.0 Ready\r\n"
        self._flush()
        self.peer = self._server._tls.wrap_socket(self.peer, server_side=True)
        self._peer_in = b""
        self._offer = self._server._offers[1]

    def _on_mail(self, line: bytes) -> None:
        if self._mail_ok:
            self._server.faults.append("MAIL inside a transaction")
        number = int(line.partition(b"<b+")[2].partition(b"@")[0])
        self._attempt = Attempt(number)
        self._server.attempts.append(self._attempt)
        turn = self._server.turn(number)
        self._rcpt_ok = False
        self._mail_ok = self._decide(turn.mail, turn.lines, 2)

    def _on_rcpt(self, line: bytes) -> None:
        if not self._mail_ok:
            self._out += b"503 5.5.1 MAIL first\r\n"
            return
        assert self._attempt is not None
        turn = self._server.turn(self._attempt.number)
        self._attempt.to = line.partition(b"<")[2].partition(b">")[0].decode()
        self._rcpt_ok = self._decide(turn.rcpt, turn.lines, 2)

    def _on_data(self, _line: bytes) -> None:
        assert self._attempt is not None
        turn = self._server.turn(self._attempt.number)
        if not self._rcpt_ok:
            if not turn.insists:
                self._out += b"503 5.5.1 RCPT first\r\n"
                return
            self._out += b"354 Go on all the same\r\n"
            if content := self._content():
                self._server.faults.append(f"content {content!r} without a recipient")
            self._mail_ok = False
            self._out += b"554 5.5.1 No valid recipients\r\n"
            return
        if self._peer_in:
            self._server.faults.append("something came right behind DATA")
        if not self._decide(turn.data, turn.lines, 3):
            return
        content = self._content()
        self._attempt.content = content
        self._mail_ok = self._rcpt_ok = False
        code = turn.dot
        # Whatever is said to the dot decides.
        self._decide(code, turn.lines, 0)

    def _content(self) -> bytes:
        lines: list[bytes] = []
        while (line := self._line()) != b".":
            lines.append(line)
        return b"".join(line + b"\r\n" for line in lines)

    def _on_rset(self, _line: bytes) -> None:
        self._mail_ok = self._rcpt_ok = False
        self._out += b"250 2.0.0 Reset\r\n"

    def _on_quit(self, _line: bytes) -> None:
        self._out += b"221 2.0.0 Bye\r\n"
        self._hang_up()
