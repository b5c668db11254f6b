"""The prefetch buffer of one connection, between the committer and the wire.

In: claims from the committer. Out: messages ready for the wire, one at a time; results and unused claims back to the
committer. It requests further claims before the last ones are used up, so that no connection waits for a commit.
"""

from __future__ import annotations

import logging
from collections import deque
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
"""Claims of one request. With the half that is left when it is made, two built and one in flight it makes 49."""

FIRST_RUN_SIZE = 4
RUN_SECONDS = 0.5
"""A request is for about what a connection sends in this time, so that a slow one holds few claims."""

QUOTA_WAIT_MAX_SECONDS = 5.0
"""A connection sleeps through a quota wait of at most this; beyond it the worker ends and reports the wait."""

UNMADE = Verdict(
    effect=Effect.REJECT,
    kind=ReplyClass.CONTENT,
    rule="own:unmade",
    plain="The message could not be made; see the log of the program.",
)


class Ready(NamedTuple):
    """A message as it goes over the wire."""

    claim: Claim
    envelope: Envelope


@dataclass(slots=True, kw_only=True)
class ClaimBuffer:
    """The claims, built messages and results of one connection; the revocation watcher calls `held` and `release`."""

    committer: GroupCommitter
    message_builder: MessageBuilder
    pass_state: PassState
    _claims: deque[Claim] = field(default_factory=deque)
    """Claimed for this connection and not built yet."""
    _ready: deque[Ready] = field(default_factory=deque)
    """Built: at most the next message, whose envelope may be with the server already, and the one after it."""
    _last: tuple[Claim, Reply, Verdict] | None = None
    """Answered; the result is made while the server works on the next message."""
    _results: list[AttemptResult] = field(default_factory=list)
    _unused: list[DeliveryId] = field(default_factory=list)
    _request: CommitRequest | None = None
    _queue_empty: bool = False
    """The last request got no claims, and no quota was the reason."""
    _batch_size: int = FIRST_RUN_SIZE
    _batch_began: float = 0.0
    _answered: int = 0

    def held(self) -> list[Claim]:
        """Return the claims of this connection of which nothing was sent."""
        return [*(ready.claim for ready in self._ready), *(claim for claims in self._unbuilt() for claim in claims)]

    def release(self, *, revoked: bool = False) -> list[DeliveryId]:
        """Remove the claims that are not built yet, all or the revoked ones, and return their deliveries."""
        released: list[DeliveryId] = []
        for claims in self._unbuilt():
            kept = [claim for claim in claims if revoked and not claim.revoked]
            released += [claim.person.id for claim in claims if claim.revoked or not revoked]
            claims.clear()
            claims.extend(kept)
        return released

    def _unbuilt(self) -> list[deque[Claim]]:
        """Return the queues of claims: while the server works, those of the last request are still with it."""
        return [self._claims] if self._request is None else [self._claims, self._request.claims]

    @property
    def queue_empty(self) -> bool:
        """Tell whether the last request got no claims, and no quota was the reason."""
        return self._queue_empty

    def next(self) -> Ready | None:
        """Return the next message that may go out; None when the buffer is empty."""
        self._build_ahead(1)
        while self._ready:
            ready = self._ready.popleft()
            if self.may_send(ready.claim):
                return ready
            self._unused.append(ready.claim.person.id)
            self._build_ahead(1)
        return None

    def following(self) -> Ready | None:
        """Return the message whose envelope may be sent with the content before it; None once a stop is asked for.

        Under a rate per second there is none: each is decided on at its own time.
        """
        if self.pass_state.ended or self.committer.rate:
            return None
        self._build_ahead(1)
        return self._ready[0] if self._ready and self.may_send(self._ready[0].claim) else None

    def unread(self, ready: Ready) -> None:
        """Put a message back: the connection took none of it."""
        self._ready.appendleft(ready)

    def may_send(self, claim: Claim) -> bool:
        """Tell whether a claim may be sent now."""
        return (
            not claim.revoked
            and claim.person.edition not in self.pass_state.paused
            and claim.term == self.committer.term
            and self.committer.clock.monotonic() < self.committer.lease_until
        )

    def answer(self, claim: Claim, reply: Reply, verdict: Verdict) -> None:
        """Keep the reply to a message; its result is made later."""
        # A refusal before the content left no time to make the result of the message before it.
        self._settle_last()
        self._last = (claim, reply, verdict)
        self._answered += 1

    def meanwhile(self) -> None:
        """Use the time in which the server works."""
        self._settle_last()
        self._build_ahead(2)
        if self._request is not None and self._request.committed.is_set():
            self._receive()
        if (
            self._request is None
            and not self._queue_empty
            and len(self._claims) <= self._batch_size // 2
            and not self.pass_state.ended
        ):
            self._request_claims()

    def refill(self) -> bool:
        """Wait for claims; False when this connection gets none."""
        if self._request is None:
            self._request_claims()
        request = self._receive()
        if request.wait is not None:
            return self._wait_out(request.wait.seconds)
        if self._queue_empty:
            self.pass_state.queue_empty.set()
        return not self._queue_empty

    def return_unused(self) -> None:
        """Submit all results and give back the claims of which nothing was sent."""
        if self._request is not None:
            self._receive()
        self._settle_last()
        self._unused += self.release()
        while self._ready:
            self._unused.append(self._ready.popleft().claim.person.id)
        if self._results or self._unused:
            self._submit(wants=0)
            self._receive()

    def _build_ahead(self, count: int) -> None:
        while len(self._ready) < count:
            if not self._claims:
                return
            claim = self._claims.popleft()
            if not self.may_send(claim):
                self._unused.append(claim.person.id)
                continue
            envelope = self._built(claim)
            if envelope is not None:
                self._ready.append(Ready(claim, envelope))

    def _built(self, claim: Claim) -> Envelope | None:
        try:
            return self.message_builder.build(claim.person)
        except NewsletterError:
            raise
        except Exception as error:
            # The odd data of one person must not stop the mail of all others.
            logger.exception("the message of delivery %s cannot be made", claim.person.id)
            reply = Reply(phase=Phase.MAIL, text=f"the message cannot be made: {error}"[:1000])
            self.pass_state.record_refusal(claim.person, UNMADE, reply)
            self._results.append(self.message_builder.result(claim.person, reply, UNMADE))
            return None

    def _settle_last(self) -> None:
        if self._last is not None:
            claim, reply, verdict = self._last
            self._last = None
            self._results.append(self.message_builder.result(claim.person, reply, verdict))

    def _request_claims(self) -> None:
        """Submit the results and request further claims, without waiting for the commit."""
        self._settle_last()
        now = self.committer.clock.monotonic()
        seconds = now - self._batch_began
        if self._answered:
            fast = self._answered / seconds * RUN_SECONDS if seconds > 0 else RUN_SIZE_MAX
            self._batch_size = max(2, min(RUN_SIZE_MAX, int(fast), self._batch_size * 2))
        self._batch_began, self._answered = now, 0
        self._submit(wants=self._batch_size)

    def _submit(self, *, wants: int) -> None:
        results, self._results = self._results, []
        unused, self._unused = self._unused, []
        self._request = self.committer.submit(CommitRequest(results=results, unused=unused, wants=wants))

    def _receive(self) -> CommitRequest:
        """Wait for the commit of the last request, and take its claims."""
        request = self._request
        assert request is not None  # noqa: S101 called only after `_submit`
        self.committer.wait_for(request)
        self._request = None
        if request.error is not None:
            raise request.error
        self._claims.extend(request.claims)
        self._queue_empty = request.queue_empty
        return request

    def _wait_out(self, seconds: float) -> bool:
        if seconds > QUOTA_WAIT_MAX_SECONDS:
            self.pass_state.wait_for(seconds)
            self._queue_empty = False
            return False
        self.committer.clock.wait(self.pass_state.stop, seconds)
        return True
