"""The port to the mail server: what the engine hands over and what it gets back.

In: an `Envelope`, one person's finished message. Out: a `Reply` for every outcome, also for a lost connection.
Whoever implements `Connection` never raises for what a server or a wire does, and never decides what a reply means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from newsletter.core.reply import Reply

COMMAND_TIMEOUT = 60.0
"""Seconds for the greeting and for each command; RFC 5321 §4.5.3.2 asks for more, of unknown servers."""

DOT_TIMEOUT = 600.0
"""Seconds for the reply to the final dot (RFC 5321 §4.5.3.2.6): giving up too soon is what makes duplicates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One message to one person, ready for the wire."""

    mail_from: str
    """Envelope sender, without angle brackets; never empty."""
    rcpt_to: str
    content: bytes
    """Header and body with CRLF line ends, the last line included; no line begins with a dot."""
    smtputf8: bool = False
    """True when a header or an address cannot be written in ASCII (RFC 6531)."""


class Security(StrEnum):
    """How the connection is protected; there is no way from a stronger one to a weaker one."""

    STARTTLS = "starttls"
    TLS = "tls"
    """TLS from the first byte (RFC 8314), usually port 465."""
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """The mail server that takes our messages, and how to talk to it."""

    host: str
    port: int
    security: Security = Security.STARTTLS
    username: str = ""
    """Empty: no login."""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    """Certificates to trust instead of the system's, for a relay with a private authority."""
    ehlo_name: str = ""
    """Full name this machine gives in EHLO; empty: its host name, or its address as a literal."""
    timeout: float = COMMAND_TIMEOUT
    dot_timeout: float = DOT_TIMEOUT
    max_messages: int = 100
    """A connection is to be recycled after this many messages …"""
    max_seconds: float = 60.0
    """… or at this age, whichever comes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectFailure:
    """Why there is no connection. No message was touched."""

    reply: Reply
    plain: str
    """One sentence for the operator: what is wrong, and where to look."""


class Connection(Protocol):
    """An open, logged-in session with the relay; used by one thread."""

    @property
    def needs_recycling(self) -> bool:
        """True when no more messages should go this way: closed, too old, or enough sent."""
        ...

    def send(self, envelope: Envelope, *, before_data: Callable[[], None] | None = None) -> Reply:
        """Send one message and return the reply that decided.

        `before_data` is called once, after everything else is agreed and right before the first byte of the content is
        written: from then on the message may arrive. If it raises, no content is written and the connection is closed.
        """
        ...

    def close(self) -> None:
        """Say goodbye and hang up; may be called twice."""
        ...

    def abort(self) -> None:
        """Hang up at once, from any thread: a `send` under way returns with what is known by then."""
        ...
