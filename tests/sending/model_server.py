"""A mail server on a real socket that plays a plan of replies, drops and silences, and knows what it kept and said.

It speaks SMTP with or without PIPELINING, as each connection is dealt. What it kept and what it said is the judge of
every row.
"""

from __future__ import annotations

import contextlib
import enum
import socket
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BufferedReader
from types import TracebackType
from typing import Self


class Opening(enum.Enum):
    """How a connection begins."""

    AHEAD = b"250-relay.example.org\r\n250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n250 PIPELINING\r\n"
    IN_STEP = b"250-relay.example.org\r\n250 SIZE 1000000\r\n"
    THREE_MAILS = b"250-relay.example.org\r\n250-PIPELINING\r\n250 LIMITS MAILMAX=3\r\n"
    BUSY = b"421 4.3.2 Too busy\r\n"
    GONE = b""


class Move(enum.Enum):
    """What becomes of one transaction."""

    TAKE = enum.auto()
    TAKE_IN_MANY_LINES = enum.auto()
    TAKE_AND_CLOSE = enum.auto()
    """250, and then it hangs up in order."""
    SENDER_LATER = enum.auto()
    SENDER_NEVER = enum.auto()
    CLOSING_AT_MAIL = enum.auto()
    UNKNOWN_USER = enum.auto()
    UNKNOWN_USER_BUT_GO_ON = enum.auto()
    """The recipient is refused and DATA is answered 354 all the same (RFC 2920 §3.1)."""
    GREYLISTED = enum.auto()
    CLOSING_AT_RCPT = enum.auto()
    DATA_LATER = enum.auto()
    CONTENT_LATER = enum.auto()
    CONTENT_NEVER = enum.auto()
    CLOSING_AT_DOT = enum.auto()
    DROP_AT_MAIL = enum.auto()
    DROP_AT_RCPT = enum.auto()
    DROP_AT_DATA = enum.auto()
    DROP_IN_CONTENT = enum.auto()
    KEEP_AND_DROP = enum.auto()
    """It has the message, and hangs up without a word."""
    LOSE_AND_DROP = enum.auto()
    """It has not, and hangs up without a word."""
    KEEP_AND_RESET = enum.auto()
    """250, and a reset that may overtake it."""
    KEEP_AND_HANG = enum.auto()
    HANG_AT_RCPT = enum.auto()
    KEEP_AND_BABBLE = enum.auto()
    """It has the message, and says what cannot stand there."""


OK, LATER, NEVER, CLOSING = (
    b"250 2.0.0 Ok\r\n",
    b"451 4.3.0 Later\r\n",
    b"550 5.7.1 Never\r\n",
    b"421 4.3.2 Closing\r\n",
)
NO_RECIPIENT = b"554 5.5.1 No valid recipients\r\n"

AT_MAIL = {Move.SENDER_LATER: LATER, Move.SENDER_NEVER: NEVER, Move.CLOSING_AT_MAIL: CLOSING}
AT_RCPT = {
    Move.UNKNOWN_USER: b"550 5.1.1 No such user\r\n",
    Move.UNKNOWN_USER_BUT_GO_ON: b"550 5.1.1 No such user\r\n",
    Move.GREYLISTED: b"451 4.7.1 Come again\r\n",
    Move.CLOSING_AT_RCPT: CLOSING,
}
AT_DOT = {
    Move.CONTENT_LATER: LATER,
    Move.CONTENT_NEVER: b"554 5.6.0 Never\r\n",
    Move.CLOSING_AT_DOT: CLOSING,
    Move.KEEP_AND_BABBLE: b"354 Go on, go on\r\n",
}
KEEPS = {Move.TAKE, Move.TAKE_IN_MANY_LINES, Move.TAKE_AND_CLOSE, Move.KEEP_AND_DROP, Move.KEEP_AND_RESET,
         Move.KEEP_AND_HANG, Move.KEEP_AND_BABBLE}  # fmt: skip
DOUBTFUL = {Move.LOSE_AND_DROP, *(KEEPS - {Move.TAKE, Move.TAKE_IN_MANY_LINES, Move.TAKE_AND_CLOSE})}
"""After these nobody but the server knows whether the message was kept."""


@dataclass(frozen=True)
class Turn:
    """One transaction of the plan, and what somebody else does when its dot has arrived."""

    move: Move = Move.TAKE
    meanwhile: Callable[[], None] | None = None


@dataclass
class Plan:
    """What is dealt to the connections and transactions, in whatever order they come; then all goes well."""

    openings: list[Opening] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def opening(self) -> Opening:
        """Deal the next opening."""
        with self.lock:
            return self.openings.pop(0) if self.openings else Opening.AHEAD

    def turn(self) -> Turn:
        """Deal the next transaction."""
        with self.lock:
            return self.turns.pop(0) if self.turns else Turn()


@dataclass
class Truth:
    """What really happened, by address."""

    kept: Counter[str] = field(default_factory=Counter)
    confirmed: Counter[str] = field(default_factory=Counter)
    """How often 250 was written in answer to the whole message."""
    refused: Counter[str] = field(default_factory=Counter)
    """How often the recipient or the whole message was refused for good."""
    doubtful: Counter[str] = field(default_factory=Counter)
    offered: Counter[str] = field(default_factory=Counter)
    """Whole messages that arrived."""
    ids: dict[str, set[bytes]] = field(default_factory=dict)


class ModelServer:
    """Listens on this machine; one thread for each connection."""

    def __init__(self) -> None:
        """Listen from now on."""
        self.plan = Plan()
        self.truth = Truth()
        self.lock = threading.Lock()
        self.dead = False
        """Whoever speaks to it was killed at this moment: nothing more of theirs is heard."""
        self._over = threading.Event()
        self._peers: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=20)
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        """Serve."""
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up everywhere and come back when nobody is at work."""
        self._over.set()
        for wire in (self._listener, *self._peers):
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def deal(self, openings: Sequence[Opening], turns: Sequence[Turn]) -> None:
        """Lay out what comes next; what was not used of the last plan is forgotten."""
        self.plan = Plan(openings=list(openings), turns=list(turns))

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._peers.append(peer)
            thread = threading.Thread(target=self._serve, args=(peer,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer: socket.socket) -> None:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with peer, peer.makefile("rb") as reader, contextlib.suppress(OSError):
            _Session(self, peer, reader, self._over).run()


@dataclass
class _Session:
    server: ModelServer
    peer: socket.socket
    reader: BufferedReader
    over: threading.Event
    turn: Turn = field(default_factory=Turn)
    to: str = ""
    refused: bool = True
    """There is no transaction with a recipient."""

    def run(self) -> None:
        if self.server.dead:
            return
        opening = self.server.plan.opening()
        if opening is Opening.GONE:
            return
        if opening is Opening.BUSY:
            self.say(opening.value)
            return
        self.say(b"220 relay.example.org ESMTP\r\n")
        while True:
            line = self.reader.readline()
            verb = line[:4].upper()
            if not line or not self.obey(verb, line, opening):
                self.hang_up()
                return

    def obey(self, verb: bytes, line: bytes, opening: Opening) -> bool:
        """Answer one command; False when the session is over."""
        match verb:
            case b"EHLO":
                self.say(opening.value)
            case b"RSET":
                self.refused = True
                self.say(OK)
            case b"QUIT":
                self.say(b"221 2.0.0 Bye\r\n")
                return False
            case b"MAIL":
                return self.mail()
            case b"RCPT":
                return self.rcpt(line)
            case b"DATA":
                return self.data()
            case _:
                self.say(b"500 5.5.2 What?\r\n")
        return True

    def mail(self) -> bool:
        self.turn, self.to, self.refused = self.server.plan.turn(), "", False
        if self.turn.move is Move.DROP_AT_MAIL:
            return False
        reply = AT_MAIL.get(self.turn.move)
        self.refused = reply is not None
        self.say(reply or OK)
        return reply != CLOSING

    def rcpt(self, line: bytes) -> bool:
        move = self.turn.move
        if self.refused:
            self.say(b"503 5.5.1 No sender\r\n")
            return True
        if move is Move.DROP_AT_RCPT:
            return False
        if move is Move.HANG_AT_RCPT:
            return self.hang()
        reply = AT_RCPT.get(move)
        self.refused = reply is not None
        self.to = line.partition(b"<")[2].partition(b">")[0].decode()
        with self.server.lock:
            self.server.truth.refused[self.to] += reply is not None and reply.startswith(b"5")
        self.say(reply or OK)
        return reply != CLOSING

    def data(self) -> bool:
        move = self.turn.move
        if move is Move.UNKNOWN_USER_BUT_GO_ON:
            self.say(b"354 Go on\r\n")
            content = self.content()
            assert not content, "content for nobody"
            # None: the sender hung up instead, since what it had announced must not go out any more.
            if content is not None:
                self.say(NO_RECIPIENT)
            return content is not None
        if self.refused:
            self.say(NO_RECIPIENT)
            return True
        if move is Move.DROP_AT_DATA:
            return False
        if move is Move.DATA_LATER:
            self.say(LATER)
            self.refused = True
            return True
        self.say(b"354 Go on\r\n")
        if move is Move.DROP_IN_CONTENT:
            self.reader.readline()
            with self.server.lock:
                # The sender has long handed the dot to its socket, and cannot know how much of it was read.
                self.server.truth.doubtful[self.to] += 1
            return False
        content = self.content()
        self.refused = True
        return content is not None and self.dot(content)

    def content(self) -> bytes | None:
        """Read up to the lone dot; None when it never came."""
        lines: list[bytes] = []
        for line in self.reader:
            if line == b".\r\n":
                return b"".join(lines)
            lines.append(line)
        return None

    def dot(self, content: bytes) -> bool:
        move = self.turn.move
        if self.turn.meanwhile is not None:
            self.turn.meanwhile()
        if self.server.dead:
            self.note(content, b"")
            with self.server.lock:
                self.server.truth.doubtful[self.to] += 1
            return False
        reply = AT_DOT.get(move)
        if reply is None and move not in {Move.KEEP_AND_DROP, Move.LOSE_AND_DROP, Move.KEEP_AND_HANG}:
            reply = b"250-2.0.0 Ok,\r\n250 2.0.0 it is here\r\n" if move is Move.TAKE_IN_MANY_LINES else OK
        self.note(content, reply or b"")
        if move is Move.KEEP_AND_HANG:
            return self.hang()
        if reply is not None:
            self.say(reply)
        if move is Move.KEEP_AND_RESET:
            # With a linger of zero seconds a close is a reset, and what the peer has not read yet is lost.
            self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            self.reader.close()
            self.peer.close()
            raise ConnectionResetError
        return reply is not None and reply != CLOSING and move is not Move.TAKE_AND_CLOSE

    def note(self, content: bytes, reply: bytes) -> None:
        truth, move = self.server.truth, self.turn.move
        [number] = [line for line in content.split(b"\r\n") if line.startswith(b"Message-ID:")]
        with self.server.lock:
            truth.offered[self.to] += 1
            truth.kept[self.to] += move in KEEPS
            truth.confirmed[self.to] += reply.startswith(b"250")
            truth.refused[self.to] += reply.startswith(b"5")
            truth.doubtful[self.to] += move in DOUBTFUL
            truth.ids.setdefault(self.to, set()).add(number)

    def say(self, reply: bytes) -> None:
        self.peer.sendall(reply)

    def hang(self) -> bool:
        """Read on and say nothing until the peer has had enough."""
        self.reader.read()
        return False

    def hang_up(self) -> None:
        """End the session in order: what was said arrives, and what is on its way here is read."""
        with contextlib.suppress(OSError):
            self.peer.shutdown(socket.SHUT_WR)
            self.peer.settimeout(5)
            while self.reader.read1(65536):
                pass
