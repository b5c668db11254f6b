"""Mail servers with the habits of well-known relays: their limits, their words, and how they end a session.

Each listens on 127.0.0.1 in a thread of its own, writes down every message before it says that it took it, and counts
what it had to put up with. Their time is that of the test, so that a minute's quota costs no minute. Limits are small
versions of the real ones; where a provider publishes no words for its refusal, ours say the same.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import ClassVar, Self

HANG_UP = ""
"""Instead of a reply: close the connection without a word."""

OK = "250 2.0.0 Ok"
TICK = 0.01
"""Seconds between two looks at the test's clock while nothing comes."""


@dataclass(eq=False)
class Session:
    """One connection."""

    opened_at: float
    heard_at: float
    accepted: int = 0
    """Messages that were accepted on it."""
    rcpt: str = ""


class Habit:
    """A relay that takes everything; each kind of relay says where it differs."""

    extensions: ClassVar[tuple[str, ...]] = ("PIPELINING", "SIZE 52428800", "8BITMIME", "ENHANCEDSTATUSCODES")
    sessions: int = 1000
    """Connections that it takes at the same time."""
    crowded: str = "421 4.7.0 Too many connections"
    idle: float = 300.0
    """Seconds after which it ends a session in which nothing is said."""
    tired: str = "421 4.4.2 relay.example.org Error: timeout exceeded"

    def __init__(self) -> None:
        """Begin with nothing."""
        self.now: Callable[[], float] = lambda: 0.0
        self.open: list[Session] = []

    def greet(self) -> str:
        """Answer a new connection, which is among the open ones already."""
        return self.crowded if len(self.open) > self.sessions else "220 relay.example.org ESMTP"

    def mail(self, session: Session) -> str:
        """Answer MAIL."""
        return "250 2.1.0 Ok"

    def dot(self, session: Session) -> str:
        """Answer the whole message."""
        return OK

    def stays(self, session: Session) -> bool:
        """Tell whether the session goes on after a message that was taken."""
        return True


@dataclass
class Window:
    """How many in how many seconds."""

    most: int
    seconds: float
    times: list[float] = field(default_factory=list)

    def take(self, now: float) -> bool:
        """Count one more, if there is room."""
        self.times = [one for one in self.times if one > now - self.seconds]
        if len(self.times) >= self.most:
            return False
        self.times.append(now)
        return True


class AmazonSes(Habit):
    """No pipelining, a sending rate, few connections, and an idle session ends after ten seconds."""

    extensions = ("SIZE 10485760", "8BITMIME", "ENHANCEDSTATUSCODES")
    sessions = 3
    crowded = "421 Too many concurrent SMTP connections"
    idle = 10.0
    tired = "451 4.4.2 Timeout waiting for data from client."

    def __init__(self) -> None:
        """Take 14 messages a second."""
        super().__init__()
        self.rate = Window(14, 1.0)

    def dot(self, session: Session) -> str:
        """Refuse what comes too fast."""
        return OK if self.rate.take(self.now()) else "454 Throttling failure: Maximum sending rate exceeded."


class AmazonSesQuota(AmazonSes):
    """The same, and a quota for any 24 hours."""

    def __init__(self) -> None:
        """Take 150 messages a day, as fast as they come."""
        super().__init__()
        self.rate = Window(1000, 1.0)
        self.day = Window(150, 86_400.0)

    def dot(self, session: Session) -> str:
        """Refuse what is beyond the quota."""
        if self.day.take(self.now()):
            return super().dot(session)
        return "454 Throttling failure: Daily message quota exceeded."


class Exim(Habit):
    """Says how many messages a session may hold (RFC 9422), and holds to it."""

    extensions = (*Habit.extensions, "LIMITS MAILMAX=40 RCPTMAX=50000")
    sessions = 20
    most = 40
    enough = "421 too many messages in this connection"

    def mail(self, session: Session) -> str:
        """End the session at one message too many."""
        return self.enough if session.accepted >= self.most else super().mail(session)


class EximSilent(Exim):
    """The same without announcing it."""

    extensions = Habit.extensions


class Postfix(Habit):
    """Few connections of one client at the same time."""

    sessions = 2
    crowded = "421 4.7.0 relay.example.org Error: too many connections from 127.0.0.1"


class SendGrid(EximSilent):
    """A number of messages for a connection, and then a 421 that does not say why."""

    most = 50
    enough = "421 Service closing"


class Mailgun(Habit):
    """Hangs up after three messages."""

    most = 3

    def stays(self, session: Session) -> bool:
        """Hang up without a word."""
        return session.accepted < self.most


class Yahoo(Mailgun):
    """Hangs up after twenty."""

    most = 20


class OpenSmtpd(Habit):
    """Ends the session of whoever sends ahead."""

    extensions = ("SIZE 36700160", "8BITMIME", "ENHANCEDSTATUSCODES")


class Haraka(Habit):
    """Pipelines, but whoever talks behind DATA before it was asked to is a spammer."""


class SocketLabs(EximSilent):
    """Ten connections, fifty messages each."""

    sessions = 10
    most = 50
    enough = "421 4.4.5 Too many messages in this session"


class Office365(Habit):
    """Three senders at the same time, and thirty messages a minute."""

    def __init__(self) -> None:
        """Count the minute."""
        super().__init__()
        self.minute = Window(30, 60.0)

    def mail(self, session: Session) -> str:
        """Let the three oldest sessions in."""
        if session in self.open[:3]:
            return super().mail(session)
        return "432 4.3.2 Concurrent connections limit exceeded"

    def dot(self, session: Session) -> str:
        """Refuse what comes too fast."""
        return OK if self.minute.take(self.now()) else "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded"


class Gmail(Habit):
    """Takes a hundred messages, then none for ten minutes, and each try in vain begins them anew."""

    quiet = 590.0

    def __init__(self) -> None:
        """Begin with some trust."""
        super().__init__()
        self.left = 100
        self.angry_at = float("-inf")

    def dot(self, session: Session) -> str:
        """Refuse an unusual rate."""
        if not self.left and self.now() - self.angry_at > self.quiet and self.angry_at > float("-inf"):
            self.left = 100
        if self.left:
            self.left -= 1
            return OK
        self.angry_at = self.now()
        return "421-4.7.28 Our system has detected an unusual rate of mail\r\n421 4.7.28 from your network."


HABITS: dict[str, Callable[[], Habit]] = {
    "ses": AmazonSes,
    "ses-quota": AmazonSesQuota,
    "exim": Exim,
    "exim-silent": EximSilent,
    "postfix": Postfix,
    "sendgrid": SendGrid,
    "mailgun": Mailgun,
    "yahoo": Yahoo,
    "opensmtpd": OpenSmtpd,
    "haraka": Haraka,
    "socketlabs": SocketLabs,
    "office365": Office365,
    "gmail": Gmail,
}


class HabitServer:
    """A relay with a habit, as a context manager."""

    def __init__(self, habit: Habit, now: Callable[[], float]) -> None:
        """Set up; `now` are the seconds of the test's clock."""
        self.habit = habit
        habit.now = now
        self.port = 0
        self.accepted: Counter[str] = Counter()
        """Messages taken, by recipient."""
        self.contents: dict[str, bytes] = {}
        self.refusals: Counter[str] = Counter()
        """Every reply that was no yes, by its words."""
        self.connections = 0
        """How often somebody connected."""
        self.most_at_once = 0
        self.ahead = 0
        """Commands that came before the reply to the one before."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self._server = server
        self.port = server.sockets[0].getsockname()[1]
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        # One more turn lets the sockets of the cancelled tasks close.
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        now = self.habit.now()
        session = Session(opened_at=now, heard_at=now)
        self.connections += 1
        self.habit.open.append(session)
        self.most_at_once = max(self.most_at_once, len(self.habit.open))
        try:
            await _Talk(self, session, reader, writer).run()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.habit.open.remove(session)
            writer.close()


class _Talk:
    """The conversation on one connection."""

    def __init__(
        self, server: HabitServer, session: Session, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.server, self.habit, self.session = server, server.habit, session
        self.reader, self.writer = reader, writer
        self.read = b""
        """What came and was not looked at yet: the server's own buffer shows who sends ahead."""

    async def run(self) -> None:
        alive = self.say(self.habit.greet())
        while alive and (line := await self.until(b"\r\n")):
            alive = await self.command(line.decode("utf-8", "replace").rstrip())
            await self.writer.drain()

    def say(self, reply: str) -> bool:
        """Write a reply; tell whether the session goes on."""
        if not reply.startswith(("2", "3")):
            self.server.refusals[reply] += 1
        if reply == HANG_UP:
            return False
        self.writer.write(f"{reply}\r\n".encode())
        return not reply.startswith(("421", "221"))

    async def until(self, end: bytes) -> bytes:
        """Read up to these bytes; nothing when the peer hung up or the server tired of it."""
        while end not in self.read:
            try:
                piece = await asyncio.wait_for(self.reader.read(65536), TICK)
            except TimeoutError:
                if self.habit.now() - self.session.heard_at > self.habit.idle:
                    self.say(self.habit.tired)
                    return b""
                continue
            if not piece:
                return b""
            self.read += piece
            self.session.heard_at = self.habit.now()
        separator, _, self.read = self.read.partition(end)
        return separator + end

    async def command(self, line: str) -> bool:
        """Answer one command; tell whether the session goes on."""
        verb = line[:4].upper()
        if self.read:
            self.server.ahead += 1
            if "PIPELINING" not in self.habit.extensions or verb in {"DATA", "EHLO"}:
                self.say("500 5.5.1 Invalid command: Pipelining not supported")
                return False
        if verb == "DATA" and "@" in self.session.rcpt:
            return self.say("354 Go on") and await self.content()
        return self.say(self.answer(verb, line))

    def answer(self, verb: str, line: str) -> str:
        """Return the reply to what is not the whole of DATA."""
        session = self.session
        match verb:
            case "EHLO":
                first, last = ("relay.example.org", *self.habit.extensions[:-1]), self.habit.extensions[-1]
                return "".join(f"250-{one}\r\n" for one in first) + f"250 {last}"
            case "MAIL":
                reply = self.habit.mail(session)
                session.rcpt = "?" if reply.startswith("2") else ""
                return reply
            case "RCPT" if session.rcpt:
                session.rcpt = line.partition("<")[2].partition(">")[0]
                return "250 2.1.5 Ok"
            case "RSET" | "NOOP":
                session.rcpt = ""
                return OK
            case "QUIT":
                return "221 2.0.0 Bye"
            case _:
                return "503 5.5.1 Not now"

    async def content(self) -> bool:
        await self.writer.drain()
        content = await self.until(b"\r\n.\r\n")
        if not content:
            return False
        reply = self.habit.dot(self.session)
        rcpt, self.session.rcpt = self.session.rcpt, ""
        if reply == OK:
            # Before the reply: whoever has read it finds the message here.
            self.session.accepted += 1
            self.server.accepted[rcpt] += 1
            self.server.contents[rcpt] = content
        return self.say(reply) and (reply != OK or self.habit.stays(self.session))
