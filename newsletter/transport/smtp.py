"""A connection to the relay that works in lock-step: one command, one reply.

In: an `Envelope`. Out: the `Reply` that decided, whatever happened. It judges no reply, retries nothing, and writes no
content unless the server said 354.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable

from newsletter.core.reply import Phase, Reply, parse_reply
from newsletter.transport.base import ConnectFailure, Connection, Envelope, Relay
from newsletter.transport.session import Features, open_session
from newsletter.transport.wire import Wire, WireLost

_CLOSING = 421
_GOODBYE_TIMEOUT = 2.0
_EARLY_TIMEOUT = 0.5
_UNFIT = re.compile(r"[\x00-\x20\x7f-\xa0<>\u2028\u2029\ud800-\udfff]")
"""What would end an address, a parameter or the command line early."""


def connect(relay: Relay, *, monotonic: Callable[[], float]) -> Connection | ConnectFailure:
    """Open a session with the relay; `monotonic` tells its age in seconds."""
    opened = open_session(relay)
    if isinstance(opened, ConnectFailure):
        return opened
    wire, features = opened
    return SmtpConnection(wire, features, relay, monotonic)


class SmtpConnection:
    """One session; one message after the other."""

    def __init__(self, wire: Wire, features: Features, relay: Relay, monotonic: Callable[[], float]) -> None:
        """Take over a session that was greeted, secured and logged in."""
        self._wire = wire
        self._features = features
        self._relay = relay
        self._monotonic = monotonic
        self._opened_at = monotonic()
        self._messages = 0
        self._closed = False

    @property
    def needs_recycling(self) -> bool:
        """True when no more messages should go this way: closed, too old, or enough sent."""
        return (
            self._closed
            or self._messages >= self._relay.max_messages
            or self._monotonic() - self._opened_at >= self._relay.max_seconds
        )

    def send(self, envelope: Envelope, *, before_data: Callable[[], None] | None = None) -> Reply:
        """Send one message and return the reply that decided (see `Connection`)."""
        if (unfit := _unfit(envelope, self._features)) is not None:
            return unfit
        if self._closed:
            return Reply(phase=Phase.MAIL, text="the connection is closed")
        if (over := self._farewell()) is not None:
            return over
        self._messages += 1
        for phase, line, go_on in (
            (Phase.MAIL, f"MAIL FROM:<{envelope.mail_from}>{_parameters(envelope, self._features)}", 2),
            (Phase.RCPT, f"RCPT TO:<{envelope.rcpt_to}>", 2),
            (Phase.DATA, "DATA", 3),
        ):
            reply = self._command(phase, line)
            if reply.code // 100 != go_on:
                self._recover(reply)
                return reply
        if before_data is not None:
            try:
                before_data()
            except BaseException:
                # The server waits for content; hanging up is the only way not to send any.
                self._drop()
                raise
        return self._content(envelope.content)

    def close(self) -> None:
        """Say goodbye and hang up; may be called twice."""
        if not self._closed:
            with contextlib.suppress(WireLost):
                self._wire.write(b"QUIT\r\n", _GOODBYE_TIMEOUT)
                self._wire.read_reply(_GOODBYE_TIMEOUT)
            self._drop()

    def abort(self) -> None:
        """Hang up at once, from any thread: a `send` under way returns with what is known by then."""
        self._wire.hang_up()

    def _farewell(self) -> Reply | None:
        """Notice that the server ended the idle session: its 421 answers nothing that we said, and defers nobody."""
        if not self._wire.has_word():
            return None
        words = self._early_words()
        self._drop()
        return Reply(phase=Phase.MAIL, text=f"the server had ended the session: {words.code} {words.text}".strip())

    def _early_words(self) -> Reply:
        """Read what the server said out of turn, if it is there already."""
        try:
            code, lines = self._wire.read_reply(_EARLY_TIMEOUT)
        except WireLost as lost:
            return Reply(phase=Phase.DATA, text=str(lost))
        return parse_reply(code, lines, phase=Phase.DATA)

    def _command(self, phase: Phase, line: str) -> Reply:
        try:
            self._wire.write(f"{line}\r\n".encode(), self._relay.timeout)
            code, lines = self._wire.read_reply(self._relay.timeout)
        except WireLost as lost:
            # No content was written in this transaction, so the message cannot have been delivered.
            self._drop()
            return Reply(phase=phase, text=str(lost))
        return parse_reply(code, lines, phase=phase)

    def _content(self, content: bytes) -> Reply:
        try:
            self._wire.write(content + b".\r\n", self._relay.timeout)
        except WireLost as lost:
            # The last byte of the dot was not handed to the socket (see `Wire.write`): the server cannot have a whole
            # message, and must not deliver a part of one (RFC 5321 §4.1.1.4). Some say why before they hang up; not to
            # listen would mean to try the same again for ever.
            words = self._early_words()
            self._drop()
            return words if words.code // 100 in (4, 5) else Reply(phase=Phase.DATA, text=str(lost))
        try:
            code, lines = self._wire.read_reply(self._relay.dot_timeout)
        except WireLost as lost:
            # Here is the gap that SMTP cannot close (RFC 1047): the dot is out and the answer is not in.
            self._drop()
            return Reply(phase=Phase.DOT, text=str(lost), may_be_delivered=True)
        reply = parse_reply(code, lines, phase=Phase.DOT)
        if not _in_step(reply) or code == _CLOSING:
            self._drop()
        return reply

    def _recover(self, refusal: Reply) -> None:
        """Bring the session back to where a next MAIL is allowed, or end it."""
        if self._closed:
            return
        if refusal.code == _CLOSING or not _in_step(refusal):
            self._drop()
            return
        reset = self._command(Phase.MAIL, "RSET")
        if reset.code // 100 != 2:  # noqa: PLR2004 - first digit of a positive completion reply.
            self._drop()

    def _drop(self) -> None:
        self._closed = True
        self._wire.close()


def _in_step(reply: Reply) -> bool:
    """Tell whether this is an answer that can stand here; if not, what the next reply answers is anybody's guess."""
    return reply.code // 100 in ((2, 4, 5) if reply.phase is Phase.DOT else (4, 5))


def _unfit(envelope: Envelope, features: Features) -> Reply | None:
    """Refuse what must not or cannot go over this wire. Code 0 with an enhanced code marks the refusal as our own."""
    if not envelope.mail_from or _UNFIT.search(envelope.mail_from):
        return _refusal(Phase.MAIL, "5.1.7", "the envelope sender is malformed")
    if not envelope.rcpt_to or _UNFIT.search(envelope.rcpt_to):
        return _refusal(Phase.RCPT, "5.1.3", "the address is malformed")
    if _needs_smtputf8(envelope) and not features.smtputf8:
        return _refusal(Phase.RCPT, "5.6.7", "the relay does not offer SMTPUTF8, which this address needs")
    # A line that begins with a dot would lose it, and a lone dot would end the message there; the rest of the content
    # would then be read as commands. The writer of the content sees to it; here it costs microseconds to be sure.
    if not envelope.content.endswith(b"\r\n") or envelope.content.startswith(b".") or b"\n." in envelope.content:
        return _refusal(Phase.DATA, "5.6.0", "the content is not ready for the wire")
    if features.size_limit and len(envelope.content) > features.size_limit:
        text = f"the message has {len(envelope.content):,} bytes, the relay takes {features.size_limit:,}"
        return _refusal(Phase.MAIL, "5.3.4", text)
    return None


def _refusal(phase: Phase, enhanced: str, text: str) -> Reply:
    return Reply(phase=phase, enhanced=enhanced, text=f"not sent: {text}")


def _needs_smtputf8(envelope: Envelope) -> bool:
    return envelope.smtputf8 or not (envelope.mail_from.isascii() and envelope.rcpt_to.isascii())


def _parameters(envelope: Envelope, features: Features) -> str:
    words = []
    if features.size:
        words.append(f" SIZE={len(envelope.content)}")
    if features.eight_bit and not envelope.content.isascii():
        words.append(" BODY=8BITMIME")
    if _needs_smtputf8(envelope):
        words.append(" SMTPUTF8")
    return "".join(words)
