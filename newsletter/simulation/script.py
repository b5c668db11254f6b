"""Inputs of `newsletter simulate`: a clock that jumps, a mail server in memory, a script of what happens.

In: instants. Out: the time, answers to messages, and the list of what was handed over. Nothing leaves the process.
"""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from newsletter.core.reply import Phase, Reply
from newsletter.testing.clocks import JumpingClock
from newsletter.transport.base import ConnectFailure, Connection, Envelope
from newsletter.wiring import Application

_TAKEN = Reply(phase=Phase.DOT, code=250, enhanced="2.0.0", text="Ok")
_DEAD = ConnectFailure(
    reply=Reply(phase=Phase.CONNECT, text="connection refused"),
    plain="The mail server does not answer: connection refused.",
)


_TAKES = timedelta(milliseconds=50)
"""What a message takes, as a relay in the same country needs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From an instant up to another, that one excluded."""

    begins: datetime
    ends: datetime

    def holds(self, moment: datetime) -> bool:
        """Tell whether an instant lies in it."""
        return self.begins <= moment < self.ends


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedEvent:
    """What a person does at an instant."""

    at: datetime
    words: str
    do: Callable[[Application], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What happens beside the schedule; nothing, unless said."""

    acts: Sequence[ScriptedEvent] = ()
    outages: Sequence[Span] = ()
    """When the machine of the newsletter is off."""
    relay_dead: Sequence[Span] = ()
    """When the mail server cannot be reached."""
    answers: Callable[[str, datetime], Reply | None] = lambda _address, _now: None
    """What the mail server says to a reader's message, where it does not simply take it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredMail:
    """One mail to somebody who runs the newsletter."""

    at: datetime
    to: str
    subject: str
    text: str


@dataclass(kw_only=True)
class MemoryRelay:
    """A mail server that never leaves memory; hand `connect` to the sender."""

    clock: JumpingClock
    script: Script
    staff: frozenset[str]
    """Whose mails are kept whole; of the others only when and to whom."""
    mails: list[DeliveredMail] = field(default_factory=list)
    readers: list[tuple[datetime, str]] = field(default_factory=list)

    def connect(self) -> Connection | ConnectFailure:
        """Open a connection, or fail as unreachable during a scripted outage of the mail server."""
        now = self.clock.now()
        return _DEAD if any(span.holds(now) for span in self.script.relay_dead) else _Session(self)

    def take(self, envelope: Envelope) -> Reply:
        """Take one message, as the script says."""
        now = self.clock.now()
        if envelope.rcpt_to in self.staff:
            self.mails.append(_read(envelope, now))
            return _TAKEN
        answer = self.script.answers(envelope.rcpt_to, now)
        if answer is not None:
            return answer
        self.readers.append((now, envelope.rcpt_to))
        self.clock.set(now + _TAKES)
        return _TAKEN


class _Session:
    """One connection; it is good for ever."""

    relay = "the simulated mail server"
    needs_recycling = False
    pipelines = False
    announces = False

    def __init__(self, relay: MemoryRelay) -> None:
        self._memory = relay
        self._reply = _TAKEN

    def hand_over(
        self,
        envelope: Envelope,
        *,
        following: Envelope | None = None,  # noqa: ARG002 - nothing is announced here.
        before_data: Callable[[], None] | None = None,
    ) -> Reply | None:
        if before_data is not None:
            before_data()
        self._reply = self._memory.take(envelope)
        return None if self._reply.phase is Phase.DOT else self._reply

    def answer(self) -> Reply:
        return self._reply

    def send(self, envelope: Envelope, *, before_data: Callable[[], None] | None = None) -> Reply:
        return self.hand_over(envelope, before_data=before_data) or self.answer()

    def close(self) -> None:
        """Nothing is open."""

    def abort(self) -> None:
        """Nothing is open."""


def _read(envelope: Envelope, now: datetime) -> DeliveredMail:
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    body = message.get_body(("plain",))
    text = body.get_content() if body is not None else ""
    return DeliveredMail(at=now, to=envelope.rcpt_to, subject=str(message["Subject"]), text=text)
