"""A mail server in memory: it answers each message as a script says, and keeps count of what it took."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from newsletter.core.reply import Phase, Reply
from newsletter.event_loop import run_in_thread
from newsletter.transport.base import ConnectFailure, Connection, Envelope


@dataclass(frozen=True)
class Answer:
    """What the sender hears, and whether the server keeps the message."""

    reply: Reply
    took: bool = False


TAKEN = Answer(Reply(phase=Phase.DOT, code=250, enhanced="2.0.0", text="Ok"), took=True)
UNKNOWN_USER = Answer(Reply(phase=Phase.RCPT, code=550, enhanced="5.1.1", text="No such user"))
BLOCKED = Answer(Reply(phase=Phase.DOT, code=554, enhanced="5.7.1", text="Blocked"))
GREYLISTED = Answer(Reply(phase=Phase.RCPT, code=451, enhanced="4.7.1", text="Come again"))
NOT_NOW = Answer(Reply(phase=Phase.DOT, code=451, enhanced="4.3.0", text="Try again"))
CLOSING = Answer(Reply(phase=Phase.MAIL, code=421, enhanced="4.3.2", text="Closing"))
CLOSING_AT_RCPT = Answer(Reply(phase=Phase.RCPT, code=421, text="Closing"))
LOST_AT_MAIL = Answer(Reply(phase=Phase.MAIL, text="connection lost"))
LOST_IN_DATA = Answer(Reply(phase=Phase.DATA, text="connection lost"))
SILENT_TAKEN = Answer(Reply(phase=Phase.DOT, text="connection lost", may_be_delivered=True), took=True)
SILENT_LOST = Answer(Reply(phase=Phase.DOT, text="connection lost", may_be_delivered=True))
OUR_SENDER_REFUSED = Answer(Reply(phase=Phase.MAIL, code=550, enhanced="5.7.1", text="Sender refused"))
LOGIN_WANTED = Answer(Reply(phase=Phase.MAIL, code=530, enhanced="5.7.0", text="Authentication required"))
ANSWERS = (
    TAKEN, UNKNOWN_USER, BLOCKED, GREYLISTED, NOT_NOW, CLOSING, CLOSING_AT_RCPT, LOST_AT_MAIL, LOST_IN_DATA,
    SILENT_TAKEN, SILENT_LOST, OUR_SENDER_REFUSED, LOGIN_WANTED,
)  # fmt: skip

ABSENT = ConnectFailure(reply=Reply(phase=Phase.CONNECT, text="refused"), plain="The mail server cannot be reached.")
WRONG_LOGIN = ConnectFailure(
    reply=Reply(phase=Phase.AUTH, code=535, enhanced="5.7.8", text="No"), plain="The mail server refuses the login."
)

Script = Callable[[str, int], Answer]
"""`(address, nth message for it)` to an answer."""


@dataclass
class Server:
    """What every connection to it shares; hand `connect` to the sender."""

    script: Script = lambda _address, _nth: TAKEN
    opening: Callable[[], ConnectFailure | None] = lambda: None
    accepted: Counter[str] = field(default_factory=Counter)
    """Messages that the server kept, by address."""
    asked: Counter[str] = field(default_factory=Counter)
    """Messages that were offered, by address."""
    contents: dict[str, list[bytes]] = field(default_factory=dict)
    last: dict[str, Answer] = field(default_factory=dict)
    connections: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def connect(self) -> Connection | ConnectFailure:
        """Open a connection, unless the script of openings fails it."""
        failure = self.opening()
        if failure is not None:
            return failure
        with self.lock:
            self.connections += 1
        return ScriptedConnection(self)

    def offer(self, envelope: Envelope) -> Answer:
        """Take one message as the script says."""
        with self.lock:
            self.asked[envelope.rcpt_to] += 1
            nth = self.asked[envelope.rcpt_to]
        # Outside the lock, since a script may act as another process does meanwhile; and it may take its time.
        answer = run_in_thread(lambda: self.script(envelope.rcpt_to, nth))
        with self.lock:
            self.accepted[envelope.rcpt_to] += answer.took
            # Only after the last dot is there anything that a reader could have got.
            if answer.reply.phase is Phase.DOT:
                self.contents.setdefault(envelope.rcpt_to, []).append(envelope.content)
            self.last[envelope.rcpt_to] = answer
        return answer


class ScriptedConnection:
    """One session of it."""

    relay = "the scripted server"

    def __init__(self, server: Server) -> None:
        """Belong to a server."""
        self._server = server
        self._closed = False
        self._reply: Reply | None = None

    pipelines = False
    announces = False

    @property
    def needs_recycling(self) -> bool:
        """True once closed."""
        return self._closed

    def hand_over(
        self,
        envelope: Envelope,
        *,
        following: Envelope | None = None,
        before_data: Callable[[], None] | None = None,
    ) -> Reply | None:
        """Take what the script refuses before the dot as refused, the rest as handed over."""
        assert not self._closed
        assert self._reply is None
        if before_data is not None:
            before_data()
        reply = self._server.offer(envelope).reply
        if reply.code in {0, 421}:
            self._closed = True
        self._reply = reply if reply.phase is Phase.DOT else None
        return None if reply.phase is Phase.DOT else reply

    def answer(self) -> Reply:
        """Answer as the script says; without a reply the connection is gone."""
        assert self._reply is not None
        reply, self._reply = self._reply, None
        return reply

    def send(self, envelope: Envelope, *, before_data: Callable[[], None] | None = None) -> Reply:
        """Hand over and wait for the answer."""
        return self.hand_over(envelope, before_data=before_data) or self.answer()

    def close(self) -> None:
        """Hang up."""
        self._closed = True

    def abort(self) -> None:
        """Hang up."""
        self._closed = True
