"""A connection to the relay: in step with it, or one message ahead where it pipelines (RFC 2920).

In: envelopes. Out: the `Reply` that decided for each, whatever happened. It judges no reply, retries nothing, and
writes no content unless the server said 354 after it took the recipient.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from newsletter.core.reply import Phase, Reply, parse_reply
from newsletter.transport.base import ConnectFailure, Connection, Envelope, Relay
from newsletter.transport.command import domain, group, mail, rcpt, unfit
from newsletter.transport.session import Features, Opening, open_session
from newsletter.transport.wire import Answer, Wire, WireLost

_CLOSING_CODE = 421
_QUIT_TIMEOUT_SECONDS = 2.0
_EARLY_REPLY_SECONDS = 0.5
_SEND_BUFFER_LIMIT = 1.0
"""Seconds of silence of ours after which we look whether the server still listens, before we write content."""
_DOT = b".\r\n"
_STEPS = ((Phase.MAIL, 2), (Phase.RCPT, 2), (Phase.DATA, 3))
"""The commands of a transaction, and the first digit of the reply that lets it go on."""


def connect(
    relay: Relay, *, monotonic: Callable[[], float], opening: Opening | None = None
) -> Connection | ConnectFailure:
    """Open a session with the relay; `monotonic` gives its age in seconds, `opening` can abort it from elsewhere."""
    opened = open_session(relay, opening=opening)
    if isinstance(opened, ConnectFailure):
        return opened
    wire, features = opened
    return SmtpConnection(wire, features, relay, monotonic)


class SmtpConnection:
    """One session; one message after the other, and at most one whose answer is outstanding."""

    def __init__(self, wire: Wire, features: Features, relay: Relay, monotonic: Callable[[], float]) -> None:
        """Take over a session that was greeted, secured and logged in."""
        self.relay = relay.name or f"{relay.host}:{relay.port}"
        self._wire = wire
        self._features = features
        self._terms = relay
        self._monotonic = monotonic
        self._opened_at = self._active_at = monotonic()
        self._most = min(relay.max_messages, features.mail_max or relay.max_messages)
        self._messages = 0
        self._domains: set[str] = set()
        self._closed = False
        self._owed = False
        """A final dot went out, and its answer was not asked for yet."""
        self._last = False
        """Nothing can be written any more; the answer that is owed may still come."""
        self._announced: Envelope | None = None
        """Whose MAIL, RCPT and DATA are with the server already, their replies not yet taken."""
        self._agreed = False
        """The replies to the announced envelope were positive, and are taken: the server waits for its content."""
        self._reset_due = False

    @property
    def needs_recycling(self) -> bool:
        """True when no more messages should go this way (see `Connection`)."""
        if self._closed or self._announced is not None:
            return self._closed
        return not self._has_room() or self._monotonic() - self._active_at >= self._terms.idle_seconds

    @property
    def pipelines(self) -> bool:
        """True when a message can be announced behind another one (RFC 2920)."""
        return self._features.pipelining

    @property
    def announces(self) -> bool:
        """True while the server has the envelope of a message that was not handed over."""
        return self._announced is not None and not self._closed

    def hand_over(
        self,
        envelope: Envelope,
        *,
        following: Envelope | None = None,
        before_data: Callable[[], None] | None = None,
    ) -> Reply | None:
        """Agree on the envelope and write its content; None once the last byte is with the socket."""
        if self._owed:
            raise RuntimeError("the answer to the last message was not asked for")
        if (decided := self._agree(envelope)) is not None:
            return decided
        if before_data is not None:
            try:
                before_data()
            except BaseException:
                # The server waits for content; hanging up is the only way not to send any.
                self._drop()
                raise
        return self._write_content(envelope.content, following)

    def answer(self) -> Reply:
        """Wait for the reply to the final dot of what was handed over."""
        if not self._owed:
            raise RuntimeError("nothing was handed over that has no answer yet")
        self._owed = False
        try:
            answer = self._read_answer()
        except WireLost as lost:
            # Here is the gap that SMTP cannot close (RFC 1047): the dot is out and the answer is not in.
            self._drop()
            return Reply(phase=Phase.DOT, text=str(lost), may_be_delivered=True)
        self._active_at = self._monotonic()
        reply = _parsed(Phase.DOT, answer)
        if reply.code // 100 not in (2, 4, 5):
            # This answers something else, and the answer to the dot is not known.
            self._drop()
            return Reply(phase=Phase.DOT, code=reply.code, text=reply.text, may_be_delivered=True)
        if reply.code == _CLOSING_CODE or self._last:
            self._drop()
        return reply

    def send(self, envelope: Envelope, *, before_data: Callable[[], None] | None = None) -> Reply:
        """Hand over one message and return the reply that decided."""
        return self.hand_over(envelope, before_data=before_data) or self.answer()

    def close(self) -> None:
        """Say goodbye and hang up; may be called twice."""
        if self._closed:
            return
        # With a transaction under way there is no place for a command: QUIT would be content.
        if not self._owed and self._announced is None:
            with contextlib.suppress(WireLost):
                self._wire.write(b"QUIT\r\n", _QUIT_TIMEOUT_SECONDS)
                self._wire.read_reply(_QUIT_TIMEOUT_SECONDS)
        self._drop()

    def abort(self) -> None:
        """Hang up at once, from any thread: a call under way returns with what is known by then."""
        self._wire.hang_up()

    def _read_answer(self) -> Answer:
        """Return the reply to the final dot; where it and those to the announced envelope say yes, take all in one."""
        if self._announced is not None:
            answer = self._wire.read_all_positive(self._terms.dot_timeout)
            if answer is not None:
                self._agreed = True
                return answer
        return self._wire.read_reply(self._terms.dot_timeout)

    def _agree(self, envelope: Envelope) -> Reply | None:
        """Come to where the server waits for the content of this envelope; a `Reply` when it will not."""
        announced, self._announced = self._announced, None
        agreed, self._agreed = self._agreed, False
        if announced is envelope:
            return (None if agreed else self._hear_group()) or self._farewell()
        if announced is not None:
            # The server waits for the content of somebody else, and out of DATA there is no way but to hang up.
            self._drop()
        if (refusal := unfit(envelope, self._features)) is not None:
            return refusal
        if self._closed:
            return Reply(phase=Phase.MAIL, text="the connection is closed")
        if (over := self._farewell(always=True)) is not None:
            return over
        self._count(envelope)
        return self._agree_ahead(envelope) if self._features.pipelining else self._agree_in_step(envelope)

    def _agree_ahead(self, envelope: Envelope) -> Reply | None:
        try:
            reset = b"RSET\r\n" if self._reset_due else b""
            self._wire.write(reset + group(envelope, self._features), self._terms.timeout)
        except WireLost as lost:
            # No content was written in this transaction, so the message cannot have been delivered.
            self._drop()
            return Reply(phase=Phase.MAIL, text=str(lost))
        return self._hear_reset() or self._hear_group()

    def _hear_reset(self) -> Reply | None:
        """Take the reply to a RSET that rode ahead of its group."""
        if not self._reset_due:
            return None
        self._reset_due = False
        try:
            code, lines = self._wire.read_reply(self._terms.timeout)
        except WireLost as lost:
            self._drop()
            return Reply(phase=Phase.MAIL, text=str(lost))
        if code // 100 == 2:  # noqa: PLR2004 - first digit of a positive completion reply.
            return None
        self._drop()
        words = _parsed(Phase.MAIL, (code, lines))
        if code == _CLOSING_CODE:
            return words
        # It is not about this person; what the server would count their recipient to is anybody's guess.
        return Reply(phase=Phase.MAIL, text=f"the server refused RSET: {words.code} {words.text}")

    def _hear_group(self) -> Reply | None:
        """Take the replies to MAIL, RCPT and DATA, told apart by their order alone; None when content may follow.

        After a refusal the others are read all the same: they are about the same transaction, which then is nothing.
        """
        if self._wire.took_group():
            return None
        refusal: Reply | None = None
        code = accepted = 0
        phase = Phase.MAIL
        try:
            for phase, expected in _STEPS:
                answer = self._wire.read_reply(self._terms.timeout)
                code = answer[0]
                if code // 100 == expected:
                    accepted += 1
                    continue
                refusal = refusal or _parsed(phase, answer)
                if code == _CLOSING_CODE or code // 100 not in (4, 5):
                    self._drop()
                    return refusal
        except WireLost as lost:
            self._drop()
            return refusal or Reply(phase=phase, text=str(lost))
        if refusal is None:
            return None
        self._reset_due = True
        if code // 100 == 3:  # noqa: PLR2004 - first digit of "go on".
            self._write_nothing(recipient=refusal.phase is not Phase.RCPT)
        return refusal

    def _write_nothing(self, *, recipient: bool) -> None:
        """End a message that the server asks for although it refused the transaction (RFC 2920 §3.1)."""
        if recipient:
            # It refused the sender and took a recipient: even a lone dot might send that person an empty mail.
            self._drop()
            return
        try:
            self._wire.write(_DOT, self._terms.timeout)
            code, _ = self._wire.read_reply(self._terms.timeout)
        except WireLost:
            self._drop()
            return
        if code == _CLOSING_CODE or code // 100 not in (2, 4, 5):
            self._drop()

    def _agree_in_step(self, envelope: Envelope) -> Reply | None:
        lines = (mail(envelope, self._features), rcpt(envelope, self._features), "DATA")
        for (phase, expected), line in zip(_STEPS, lines, strict=True):
            reply = self._command(phase, line)
            if reply.code // 100 != expected:
                self._recover(reply)
                return reply
        return None

    def _command(self, phase: Phase, line: str) -> Reply:
        try:
            self._wire.write(f"{line}\r\n".encode(), self._terms.timeout)
            return _parsed(phase, self._wire.read_reply(self._terms.timeout))
        except WireLost as lost:
            self._drop()
            return Reply(phase=phase, text=str(lost))

    def _recover(self, refusal: Reply) -> None:
        """Bring the session back to where a next MAIL is allowed, or end it."""
        if self._closed:
            return
        if refusal.code == _CLOSING_CODE or refusal.code // 100 not in (4, 5):
            # What the next reply would answer is anybody's guess.
            self._drop()
            return
        reset = self._command(Phase.MAIL, "RSET")
        if reset.code // 100 != 2:  # noqa: PLR2004
            self._drop()

    def _write_content(self, content: bytes, following: Envelope | None) -> Reply | None:
        """Write the content, its dot, and the commands for `following`, in one piece.

        Nothing needs to be read meanwhile: what the server may say is the answer to one dot and to one group, a few
        lines that fit into any socket's buffers, so it never stops reading because we do not listen.
        """
        if following is not None and not self._may_announce(following):
            following = None
        ahead = b"" if following is None else group(following, self._features)
        try:
            self._wire.write(b"".join((content, _DOT, ahead)), self._terms.timeout)
        except WireLost as lost:
            if lost.sent < len(content) + len(_DOT):
                return self._cut_off(lost)
            # The dot is out, and its answer may come yet; only the rest was lost.
            self._last = True
        else:
            if following is not None:
                self._announced = following
                self._count(following)
        self._owed = True
        return None

    def _cut_off(self, lost: WireLost) -> Reply:
        """Return what decided about a message whose dot was not handed to the socket.

        The server cannot have a whole message, and must not deliver a part of one (RFC 5321 §4.1.1.4). Some say why
        before they hang up; not to listen would mean to try the same again for ever.
        """
        words = self._early_words()
        self._drop()
        return words if words.code // 100 in (4, 5) else Reply(phase=Phase.DATA, text=str(lost))

    def _farewell(self, *, always: bool = False) -> Reply | None:
        """Notice that the server ended the session on its own: that answers no command of ours, and defers no person.

        In the midst of the work nothing is looked for that was not read already.
        """
        if not self._wire.has_buffered():
            if not always and self._monotonic() - self._active_at < _SEND_BUFFER_LIMIT:
                return None
            if not self._wire.has_word():
                return None
        words = self._early_words()
        self._drop()
        text = f"{words.code} {words.text}" if words.code else words.text
        return Reply(phase=Phase.MAIL, text=f"the server had ended the session: {text}")

    def _early_words(self) -> Reply:
        """Read what the server said out of turn, if it is there already."""
        try:
            return _parsed(Phase.DATA, self._wire.read_reply(_EARLY_REPLY_SECONDS))
        except WireLost as lost:
            return Reply(phase=Phase.DATA, text=str(lost))

    def _may_announce(self, envelope: Envelope) -> bool:
        room = self._features.pipelining and self._has_room(domain(envelope) if self._features.domain_max else "")
        return room and unfit(envelope, self._features) is None

    def _has_room(self, expected: str = "") -> bool:
        """Tell whether one more transaction may be opened here, to that domain if one is named."""
        most_domains = self._features.domain_max
        return (
            self._messages < self._most
            and not (most_domains and len(self._domains) >= most_domains and expected not in self._domains)
            and self._monotonic() - self._opened_at < self._terms.max_seconds
        )

    def _count(self, envelope: Envelope) -> None:
        self._messages += 1
        if self._features.domain_max:
            self._domains.add(domain(envelope))

    def _drop(self) -> None:
        self._closed = True
        self._announced = None
        self._wire.close()


def _parsed(phase: Phase, answer: Answer) -> Reply:
    code, lines = answer
    return parse_reply(code, [line.decode("utf-8", "replace") for line in lines], phase=phase)
