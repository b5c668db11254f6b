"""The hand: what one connection holds, on its way from the desk and back to it.

In: runs from the desk. Out: messages ready for the wire, one at a time; outcomes to the desk, and what was not used. It
orders the next run before the last one is used up, so that the connection never waits for a transaction.
"""

from __future__ import annotations

import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from newsletter.core.delivery import DeliveryId
from newsletter.core.reply import Effect, Phase, Reply, ReplyClass, Verdict
from newsletter.errors import NewsletterError
from newsletter.sending.committer import AttemptResult, Claim, CommitRequest, GroupCommitter
from newsletter.sending.message_builder import MessageBuilder
from newsletter.sending.pass_state import PassState
from newsletter.transport.base import Envelope

logger = logging.getLogger(__name__)

RUN_SIZE_MAX = 31
"""Marked at a time. With the half run that is left when it is ordered, two spliced and one in flight it makes 49."""

FIRST_RUN_SIZE = 4
RUN_SECONDS = 0.5
"""A run holds about what a connection sends in this time, so that little is marked where little goes out."""

QUOTA_WAIT_MAX_SECONDS = 5.0
"""Seconds of quota that a courier waits out; for longer it goes home, and what waits is said."""

UNMADE = Verdict(
    effect=Effect.REJECT,
    kind=ReplyClass.CONTENT,
    rule="own:unmade",
    plain="The message could not be made; see the log of the program.",
)


class Ready(NamedTuple):
    """A message as it goes over the wire."""

    job: Claim
    envelope: Envelope


@dataclass(slots=True, kw_only=True)
class ClaimBuffer:
    """What one connection holds. It is its own, but for `held` and `let_go`."""

    committer: GroupCommitter
    post: MessageBuilder
    pass_state: PassState
    _jobs: deque[Claim] = field(default_factory=deque)
    """Marked for this connection and not begun. The look may take from it at any moment."""
    _ready: deque[Ready] = field(default_factory=deque)
    """Spliced: at most the next, whose envelope may be with the server already, and the one after it."""
    _last: tuple[Claim, Reply, Verdict] | None = None
    """Answered, and not yet turned into an outcome: there will be time while the server works on the next."""
    _settled: list[AttemptResult] = field(default_factory=list)
    _unused: list[DeliveryId] = field(default_factory=list)
    _ticket: CommitRequest | None = None
    _dry: bool = False
    """The desk had nothing the last time it was asked."""
    _run: int = FIRST_RUN_SIZE
    _run_began: float = 0.0
    _answered: int = 0

    def held(self) -> list[Claim]:
        """Return what is marked for this connection and not begun; from any thread."""
        return [*(ready.job for ready in self._ready.copy()), *(job for pile in self._piles() for job in pile.copy())]

    def let_go(self, *, revoked: bool = False) -> list[DeliveryId]:
        """Take what is not spliced yet out of the hand, all of it or what is revoked; from any thread.

        Each job is got by exactly one: by this, or by the connection.
        """
        return [
            job.person.id
            for pile in self._piles()
            for job in pile.copy()
            if (job.revoked or not revoked) and _removed(pile, job)
        ]

    def _piles(self) -> list[deque[Claim]]:
        """Return where jobs lie: while the server thinks, the last run may still wait in its ticket."""
        ticket = self._ticket
        return [self._jobs] if ticket is None else [self._jobs, ticket.jobs]

    @property
    def dry(self) -> bool:
        """Tell whether the desk had nothing the last time it was asked, and no quota was in the way."""
        return self._dry

    def take(self) -> Ready | None:
        """Return the next message that may go out; None when there is none in hand."""
        self._splice_ahead(1)
        while self._ready:
            ready = self._ready.popleft()
            if self.may(ready.job):
                return ready
            self._unused.append(ready.job.person.id)
            self._splice_ahead(1)
        return None

    def following(self) -> Ready | None:
        """Return the message whose envelope may ride along: spliced, allowed, and while nobody asks us to stop.

        Under a rate per second nothing does: there is time for each to be decided on at its own moment.
        """
        if self.pass_state.ended or self.committer.rate:
            return None
        self._splice_ahead(1)
        return self._ready[0] if self._ready and self.may(self._ready[0].job) else None

    def put_back(self, ready: Ready) -> None:
        """Hold a message for the next connection: this one took none of it."""
        self._ready.appendleft(ready)

    def may(self, job: Claim) -> bool:
        """Tell whether a marked message may go out at this moment."""
        return (
            not job.revoked
            and job.person.edition not in self.pass_state.paused
            and job.term == self.committer.term
            and self.committer.clock.monotonic() < self.committer.lease_until
        )

    def answer(self, job: Claim, reply: Reply, verdict: Verdict) -> None:
        """Take what was said of a message."""
        # What was refused at once left no time to settle the one before.
        self._settle_last()
        self._last = (job, reply, verdict)
        self._answered += 1

    def meanwhile(self) -> None:
        """Use the time in which the server works."""
        self._settle_last()
        self._splice_ahead(2)
        if self._ticket is not None and self._ticket.done.is_set():
            self._receive()
        if self._ticket is None and not self._dry and len(self._jobs) <= self._run // 2 and not self.pass_state.ended:
            self._order()

    def restock(self) -> bool:
        """Wait for a run; False when there is nothing more to do for this connection."""
        if self._ticket is None:
            self._order()
        ticket = self._receive()
        if ticket.wait is not None:
            return self._wait_out(ticket.wait.seconds)
        if self._dry:
            self.pass_state.dry.set()
        return not self._dry

    def give_back(self) -> None:
        """Hand in what is known and give back what was not begun."""
        if self._ticket is not None:
            self._receive()
        self._settle_last()
        self._unused += self.let_go()
        while self._ready:
            self._unused.append(self._ready.popleft().job.person.id)
        if self._settled or self._unused:
            self._hand_in(wants=0)
            self._receive()

    def _splice_ahead(self, count: int) -> None:
        while len(self._ready) < count:
            try:
                job = self._jobs.popleft()
            except IndexError:
                return
            if not self.may(job):
                self._unused.append(job.person.id)
                continue
            envelope = self._spliced(job)
            if envelope is not None:
                self._ready.append(Ready(job, envelope))

    def _spliced(self, job: Claim) -> Envelope | None:
        try:
            return self.post.envelope(job.person)
        except NewsletterError:
            raise
        except Exception as error:
            # One person's odd data must not stop everybody else's mail; nothing was sent, and the log has the trace.
            logger.exception("the message of delivery %s cannot be made", job.person.id)
            reply = Reply(phase=Phase.MAIL, text=f"the message cannot be made: {error}"[:1000])
            self.pass_state.note(job.person, UNMADE, reply)
            self._settled.append(self.post.settled(job.person, reply, UNMADE))
            return None

    def _settle_last(self) -> None:
        if self._last is not None:
            job, reply, verdict = self._last
            self._last = None
            self._settled.append(self.post.settled(job.person, reply, verdict))

    def _order(self) -> None:
        """Hand in what is settled and order the next run, without waiting for either."""
        self._settle_last()
        now = self.committer.clock.monotonic()
        seconds = now - self._run_began
        if self._answered:
            fast = self._answered / seconds * RUN_SECONDS if seconds > 0 else RUN_SIZE_MAX
            self._run = max(2, min(RUN_SIZE_MAX, int(fast), self._run * 2))
        self._run_began, self._answered = now, 0
        self._hand_in(wants=self._run)

    def _hand_in(self, *, wants: int) -> None:
        settled, self._settled = self._settled, []
        unused, self._unused = self._unused, []
        self._ticket = self.committer.submit(CommitRequest(settled=settled, unused=unused, wants=wants))

    def _receive(self) -> CommitRequest:
        """Wait for what the desk gives for the last ticket, and take it."""
        ticket = self._ticket
        assert ticket is not None  # noqa: S101 it is asked only for one that was handed in
        self.committer.wait_for(ticket)
        self._ticket = None
        if ticket.error is not None:
            raise ticket.error
        while ticket.jobs:
            # One by one, since the look may take one of them first.
            with suppress(IndexError):
                self._jobs.append(ticket.jobs.popleft())
        self._dry = ticket.dry
        return ticket

    def _wait_out(self, seconds: float) -> bool:
        if seconds > QUOTA_WAIT_MAX_SECONDS:
            self.pass_state.wait_for(seconds)
            self._dry = False
            return False
        self.committer.clock.wait(self.pass_state.stop, seconds)
        return True


def _removed(pile: deque[Claim], job: Claim) -> bool:
    try:
        pile.remove(job)
    except ValueError:
        return False
    return True
