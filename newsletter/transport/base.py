"""The port to the mail server: what the sender hands over and what it gets back.

In: an `Envelope`, one person's finished message. Out: a `Reply` for every outcome, also for a lost connection.
An implementation of `Connection` never raises for what a server or a wire does, and never judges a reply.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from newsletter.core.reply import Reply
from newsletter.transport.token_command import TokenCommand

COMMAND_TIMEOUT_SECONDS = 60.0
"""Seconds for the greeting and for each command; RFC 5321 §4.5.3.2 asks for more, of unknown servers."""

DOT_TIMEOUT_SECONDS = 600.0
"""Seconds for the reply to the final dot (RFC 5321 §4.5.3.2.6): giving up too soon is what makes duplicates."""


class Envelope(NamedTuple):
    """One message to one person, ready for the wire."""

    mail_from: str
    """Envelope sender, without angle brackets; never empty."""
    rcpt_to: str
    content: bytes
    """Header and body with CRLF line ends, the last line included; no line begins with a dot."""
    fit: bool = False
    """True when the content is known to be as said above, and ASCII unless `smtputf8`; else it is searched."""
    smtputf8: bool = False
    """True when a header or an address cannot be written in ASCII (RFC 6531)."""
    envelope_id: str = ""
    """What a relay with DSN names in its reports (RFC 3461 §4.4), printable ASCII; empty: nothing is asked of it."""


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
    name: str = ""
    """What people call it; empty: host and port."""
    security: Security = Security.STARTTLS
    username: str = ""
    """Empty: no login."""
    password: str = field(default="", repr=False)
    tokens: TokenCommand | None = None
    """Where access tokens come from; the login is then XOAUTH2, and there is no password."""
    ca_file: str = ""
    """Certificates to trust instead of the system's, for a relay with a private authority."""
    ehlo_name: str = ""
    """Full name this machine gives in EHLO; empty: its host name, or its address as a literal."""
    timeout: float = COMMAND_TIMEOUT_SECONDS
    dot_timeout: float = DOT_TIMEOUT_SECONDS
    max_messages: int = 100
    """A connection is to be recycled after this many messages …"""
    max_seconds: float = 60.0
    """… or at this age, whichever comes first …"""
    idle_seconds: float = 5.0
    """… or when nothing was sent for so long: some relays hang up after 10 s, and a hung-up line costs a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectFailure:
    """Why there is no connection. No message was touched."""

    reply: Reply
    plain: str
    """One sentence for the operator: what is wrong, and where to look."""


class Connection(Protocol):
    """An open, logged-in session with the relay; used by one thread.

    The usual round is `hand_over(this, following=next)`, then `answer()`, then `hand_over(next, …)`. A connection that
    ends at any point was given at most one message whose outcome is unknown: the one whose answer is outstanding. What
    was only announced was not sent, and may be handed over elsewhere.
    """

    @property
    def relay(self) -> str:
        """The name of the relay it goes to, for people."""
        ...

    @property
    def needs_recycling(self) -> bool:
        """True when no more messages should go this way: closed, too old, too long idle, or enough sent.

        Never because of age or number while a message is announced: that one still goes this way.
        """
        ...

    @property
    def pipelines(self) -> bool:
        """True when a message can be announced behind another one (RFC 2920)."""
        ...

    @property
    def announces(self) -> bool:
        """True while the server has the envelope of a message that was not handed over."""
        ...

    def hand_over(
        self,
        envelope: Envelope,
        *,
        following: Envelope | None = None,
        before_data: Callable[[], None] | None = None,
    ) -> Reply | None:
        """Agree on the envelope and write its content; None once the last byte is with the socket.

        A `Reply` is what decided before: refused, or lost, and certainly not delivered. `before_data` is called once,
        after everything else is agreed and right before the first byte of the content is written: from then on the
        message may arrive. If it raises, no content is written and the connection is closed.

        Where the relay pipelines, `following` is announced in the same write; the next `hand_over` must then be of
        that very object, or the session ends. Elsewhere it is ignored, so it does no harm to name it always.
        """
        ...

    def answer(self) -> Reply:
        """Wait for the reply to what was handed over; to be called once for each `hand_over` that returned None."""
        ...

    def send(self, envelope: Envelope, *, before_data: Callable[[], None] | None = None) -> Reply:
        """Hand over one message and return the reply that decided."""
        ...

    def close(self) -> None:
        """Say goodbye and hang up; may be called twice."""
        ...

    def abort(self) -> None:
        """Hang up at once, from any thread: a call under way returns with what is known by then."""
        ...
