"""A mail server that keeps every message to itself: for `newsletter demo` and for tests.

In: SMTP on 127.0.0.1, and a script of misbehaviour. Out: a log of what really arrived, which is the judge of every
promise about who got what. It never passes a message on.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

HOST = "127.0.0.1"
CATCHER_SIZE_LIMIT = 32 * 1024 * 1024

DROP = "DROP"
"""Close the connection without a reply. At `Step.DOT` the message counts as received and accepted all the same."""

HANG = "HANG"
"""Keep the connection open and never reply. At `Step.DOT` the message counts as received and accepted all the same."""


class Step(StrEnum):
    """Where the catcher asks its script what to do."""

    MAIL = "mail"
    """The address is the sender's; at the other steps it is the recipient's."""
    RCPT = "rcpt"
    DATA = "data"
    """At the DATA command: no content was asked for yet."""
    DOT = "dot"
    """The whole message was read, and no reply was written yet."""


Script = Callable[[Step, str, int], str | None]
"""`(step, address, nth)` to a reply line, `DROP`, `HANG`, or None for "as usual"; `nth` counts from 1."""


class Keep(StrEnum):
    """What is kept of the messages that arrive."""

    CONTENT = "content"
    ENVELOPES = "envelopes"
    """Everything but the bytes."""
    COUNTS = "counts"
    """Only how many were accepted, by recipient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """One message whose final dot arrived."""

    mail_from: str
    rcpt_to: str
    content: bytes
    """Empty when only envelopes are kept."""
    accepted: bool
    """True when the catcher took it: it said 250, or its script made it drop or hang instead of saying so."""
    path: Path | None = None
    """The .eml file, when there is a folder."""


class Catcher:
    """The server, as a context manager; inside the block it listens on `host` and `port`."""

    def __init__(
        self,
        *,
        folder: Path | None = None,
        script: Script | None = None,
        keep: Keep = Keep.CONTENT,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        login: tuple[str, str] | None = None,
        smtputf8: bool = False,
        size_limit: int = CATCHER_SIZE_LIMIT,
    ) -> None:
        """Set up, without listening yet: `port` 0 takes any free one; `tls` offers STARTTLS, or TLS from the start."""
        self.host = HOST
        self.port = port
        self._log = _Log(folder, keep)
        self._implicit = tls if implicit_tls else None
        self._make_session: Callable[[asyncio.AbstractEventLoop], SMTP] = lambda loop: _Session(
            _Handler(self._log, script, required=login is not None),
            loop=loop,
            hostname="catcher.example.org",
            ident="newsletter catcher",
            tls_context=None if implicit_tls else tls,
            # With TLS from the start aiosmtpd does not see that the line is encrypted.
            auth_require_tls=tls is not None and not implicit_tls,
            auth_exclude_mechanism=[] if login else ["LOGIN", "PLAIN"],
            authenticator=_authenticator(login),
            enable_SMTPUTF8=smtputf8,
            data_size_limit=size_limit,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def caught(self) -> list[Caught]:
        """Every message whose final dot arrived, in order of arrival."""
        return self._log.caught()

    @property
    def accepted(self) -> Counter[str]:
        """How many messages were accepted, by recipient."""
        return self._log.accepted()

    def __enter__(self) -> Self:
        """Start to listen, in a thread of its own."""
        loop = asyncio.new_event_loop()
        opening = loop.create_server(lambda: self._make_session(loop), self.host, self.port, ssl=self._implicit)
        try:
            server = loop.run_until_complete(opening)
        except BaseException:
            loop.close()
            raise
        self._loop = loop
        self.port = server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=_serve, args=(self._loop, server), name="catcher", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and end the connections."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()


class _Log:
    """What arrived; written by the server's thread, read by any."""

    def __init__(self, folder: Path | None, keep: Keep) -> None:
        self._folder = folder
        self._keep = keep
        self._lock = threading.Lock()
        self._caught: list[Caught] = []
        self._accepted: Counter[str] = Counter()
        self._asked: Counter[tuple[Step, str]] = Counter()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def nth(self, step: Step, address: str) -> int:
        with self._lock:
            self._asked[step, address] += 1
            return self._asked[step, address]

    def add(self, envelope: Envelope, *, accepted: bool) -> int:
        """Write down one message, once for each recipient; return how many were accepted so far."""
        content = envelope.original_content or b""
        with self._lock:
            for rcpt in envelope.rcpt_tos:
                if accepted:
                    self._accepted[rcpt] += 1
                path = self._store(rcpt, content) if accepted else None
                if self._keep is not Keep.COUNTS:
                    self._caught.append(
                        Caught(
                            mail_from=envelope.mail_from or "",
                            rcpt_to=rcpt,
                            content=content if self._keep is Keep.CONTENT else b"",
                            accepted=accepted,
                            path=path,
                        )
                    )
            return self._accepted.total()

    def _store(self, rcpt: str, content: bytes) -> Path | None:
        if self._folder is None:
            return None
        name = re.sub(r"[^\w.@+-]", "_", rcpt)[:80]
        path = self._folder / f"{self._accepted.total():06d}-{name}.eml"
        path.write_bytes(content)
        return path

    def caught(self) -> list[Caught]:
        with self._lock:
            return list(self._caught)

    def accepted(self) -> Counter[str]:
        with self._lock:
            return Counter(self._accepted)


class _Handler:
    """The hooks of aiosmtpd; each asks the script first."""

    def __init__(self, log: _Log, script: Script | None, *, required: bool) -> None:
        self._log = log
        self._script = script
        self._required = required

    async def misbehave(self, server: SMTP, step: Step, address: str) -> str | None:
        """Return the reply to give instead of the usual one; do not return at all when there is to be none."""
        act = self._act(step, address)
        if act in {DROP, HANG} or (act is not None and act.startswith("421")):
            await self._end(server, act)
        return act

    def _act(self, step: Step, address: str) -> str | None:
        return self._script(step, address, self._log.nth(step, address)) if self._script else None

    @staticmethod
    async def _end(server: SMTP, act: str) -> None:
        if act not in {DROP, HANG}:
            await server.push(act)
        if act != HANG and server.transport is not None:
            server.transport.close()
        # The end of the connection cancels this task.
        await asyncio.Event().wait()

    async def handle_MAIL(  # noqa: N802 - aiosmtpd finds and calls it so.
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._required and not session.authenticated:
            return "530 5.7.0 Authentication required"
        if reply := await self.misbehave(server, Step.MAIL, address):
            return reply
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(  # noqa: N802
        self,
        server: SMTP,
        session: Session,  # noqa: ARG002
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        if reply := await self.misbehave(server, Step.RCPT, address):
            return reply
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002
        act = self._act(Step.DOT, envelope.rcpt_tos[0])
        # Written down before the reply goes out and without giving way to another task: a client that has read the
        # reply finds the message in the log.
        number = self._log.add(envelope, accepted=act in {None, DROP, HANG})
        if act is None:
            return f"250 2.0.0 Ok: queued as {number:06d}"
        if act in {DROP, HANG} or act.startswith("421"):
            await self._end(server, act)
        return act


class _Session(SMTP):
    """One connection; adds a step at DATA, which aiosmtpd has no hook for."""

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd finds it so.
        envelope = self.envelope
        if envelope is not None and envelope.rcpt_tos:
            reply = await self.event_handler.misbehave(self, Step.DATA, envelope.rcpt_tos[0])
            if reply is not None:
                await self.push(reply)
                return
        await super().smtp_DATA(arg)


def _authenticator(login: tuple[str, str] | None) -> Callable[..., AuthResult]:
    def check(
        _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, credentials: object
    ) -> AuthResult:
        if isinstance(credentials, LoginPassword) and login is not None:
            right = (credentials.login, credentials.password) == (login[0].encode(), login[1].encode())
            return AuthResult(success=right, handled=False)
        return AuthResult(success=False, handled=False)

    return check


def _serve(loop: asyncio.AbstractEventLoop, server: asyncio.Server) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    server.close()
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    # One more turn lets the sockets of the cancelled tasks close.
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
