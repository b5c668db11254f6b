"""The send loop of one SMTP connection: one message in flight, and the envelope of the next one behind it.

In: claims from the buffer that all connections share. Out: the reply to each message, to the journal as it happens, and
its result to the buffer. While the server works on a message, the worker makes the result of the one before and builds
the one after next. The workers of a pass are greenlets of one event loop. What a reply means is judged in the core.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from newsletter.clock import Clock, wait
from newsletter.core.breaker import pause_reason
from newsletter.core.reply import (
    ACCEPTED,
    Effect,
    Phase,
    RelayAction,
    Reply,
    ReplyClass,
    Verdict,
    judge,
    judge_delivery,
)
from newsletter.errors import NewsletterError
from newsletter.journal.writer import Journal, JournalError
from newsletter.sending.claim_buffer import Claim, ClaimBuffer
from newsletter.sending.message_builder import MessageBuilder
from newsletter.sending.pass_state import PassState
from newsletter.transport.base import ConnectFailure, Connection, Envelope
from newsletter.transport.pool import Pool, PoolBusy

logger = logging.getLogger(__name__)

LOST_CONNECTIONS_MAX = 10
"""Connections in a row that may be lost before one reply comes through; then the relay is in trouble."""

UNCERTAIN_IN_A_ROW_MAX = 3
"""Messages in a row without an answer after the last dot; then going on would only make more people uncertain."""

POOL_BUSY_WAIT_SECONDS = 0.5
"""Seconds between two looks whether the relay takes another connection."""

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
class ConnectionWorker:
    """One connection of the sender."""

    claim_buffer: ClaimBuffer
    message_builder: MessageBuilder
    pass_state: PassState
    pool: Pool
    journal: Journal
    clock: Clock
    waiting_since: float | None = None
    """Since when a reply or a connection is waited for, on the monotonic clock."""
    unanswered: int = 0
    """Messages that may or may not have arrived: the one in flight, and one that an abort cut off."""
    _aborted: bool = False
    _connection: Connection | None = None
    _ready: deque[Ready] = field(default_factory=deque)
    """Built: at most the next message, whose envelope may be with the server already, and the one after it."""
    _offered: Ready | None = None
    """The first that is ready, once it was given to the connection to be announced."""
    _answered: tuple[Claim, Reply, Verdict] | None = None
    """The last message; its result is made while the server works on the next one."""
    _lost: int = 0
    _doubts: int = 0

    def run(self) -> None:
        """Work until there is nothing to do, the relay is in trouble, or a stop is requested."""
        try:
            while not self.pass_state.ended:
                if not self._ready and self.claim_buffer.is_dry:
                    if not self._wait_for_claims():
                        break
                elif not self._is_connected():
                    break
                elif self._announces() and not self._may_send_announced():
                    # The message must not go out any more: only closing the connection ends DATA.
                    self._hang_up()
                elif (current := self._next()) is not None:
                    self._deliver(current)
                elif not self._wait_for_claims():
                    break
            self._deliver_announced()
        except NewsletterError as error:
            self.pass_state.end(str(error))
        except Exception as error:  # noqa: BLE001 it is raised again in the thread that waits for this one
            self.pass_state.fail(error)
        finally:
            self._finish()

    def abort(self) -> None:
        """Hang up from another thread."""
        self._aborted = True
        connection = self._connection
        if connection is not None:
            connection.abort()

    def release_unsent(self) -> None:
        """Leave the messages that are ready to the other connections, but for one that may be announced already."""
        while self._ready and self._ready[-1] is not self._offered:
            self.claim_buffer.put_back(self._ready.pop().claim)

    def _finish(self) -> None:
        self._hang_up()
        self.release_unsent()
        self._settle_answered()
        self.pass_state.idle += 1

    def _announces(self) -> bool:
        """Tell whether the server has the envelope of the first message that is ready."""
        return self._connection is not None and self._connection.announces

    def _may_send_announced(self) -> bool:
        return bool(self._ready) and self.claim_buffer.may_send(self._ready[0].claim)

    def _wait_for_claims(self) -> bool:
        """Wait until there may be claims, without a session that grows old; False when this pass has no more."""
        self._settle_answered()
        if self._connection is not None and self._connection.needs_recycling:
            self._hang_up()
        return self.claim_buffer.wait()

    def _next(self) -> Ready | None:
        """Return the next message that may go out; None when there is none at this moment."""
        while self._build_ahead(1):
            ready = self._ready[0]
            if self.claim_buffer.may_send(ready.claim):
                return self._ready.popleft()
            self.claim_buffer.put_back(self._ready.popleft().claim)
        return None

    def _following(self, connection: Connection) -> Ready | None:
        """Return the message whose envelope may be sent with the content before it; None once a stop is requested.

        Under a rate per second there is none: each is decided on at its own time.
        """
        if not connection.pipelines or self.pass_state.pacer is not None or self.pass_state.ended:
            return None
        if not self._build_ahead(1):
            return None
        ready = self._ready[0]
        return ready if self.claim_buffer.may_send(ready.claim) else None

    def _deliver_announced(self) -> None:
        """Send the message whose envelope the server has: without it the connection would have to be cut off."""
        if self._announces() and not self._aborted and self._may_send_announced():
            self._deliver(self._ready.popleft())

    def _deliver(self, current: Ready) -> None:
        connection = self._connection
        assert connection is not None  # noqa: S101 `_is_connected` was true before
        claim = current.claim
        person = claim.person
        if not self._keep_pace(claim):
            self.claim_buffer.put_back(claim)
            return
        following = self._offered = self._following(connection)
        self.waiting_since = self.clock.monotonic()
        trouble: Exception | None = None
        try:
            reply = connection.hand_over(
                current.envelope,
                following=following.envelope if following else None,
                before_data=lambda: self._begin(claim),
            )
        except JournalError as error:
            # No byte of content was written: the claim is returned with all others.
            self.waiting_since = None
            self.claim_buffer.put_back(claim)
            self.pass_state.end(str(error), needs_person=True)
            return
        self.claim_buffer.sent(claim)
        if not connection.announces:
            self._offered = None
        if reply is None:
            self.unanswered += 1
            trouble = self._use_the_time()
            reply = connection.answer()
            if not (self._aborted and reply.may_be_delivered):
                self.unanswered -= 1
        self.waiting_since = None
        self.journal.answered(person.id, person.attempts, reply, self.clock.now())
        verdict = judge_delivery(reply, sender=current.envelope.mail_from, recipient=current.envelope.rcpt_to)
        # A refusal before the content left no time to make the result of the message before it.
        self._settle_answered()
        self._answered = (claim, reply, verdict)
        if trouble is not None:
            raise trouble
        self._react(connection, claim, reply, verdict)

    def _begin(self, claim: Claim) -> None:
        """Note that the first byte of content is about to be written: from here on the message may arrive."""
        self.journal.handed(claim.person.id, claim.person.attempts)
        self.claim_buffer.sent(claim)

    def _use_the_time(self) -> Exception | None:
        """Use the time in which the server works; an error meanwhile must not cost us its reply."""
        try:
            self._settle_answered()
            self._build_ahead(2)
        except Exception as trouble:  # noqa: BLE001 it is raised once the answer is in the journal
            return trouble
        return None

    def _build_ahead(self, count: int) -> bool:
        """Build messages until so many are ready, as far as there are claims; False when none is ready."""
        while len(self._ready) < count and (claim := self.claim_buffer.take()) is not None:
            envelope = self._built(claim)
            if envelope is not None:
                self._ready.append(Ready(claim, envelope))
        return bool(self._ready)

    def _built(self, claim: Claim) -> Envelope | None:
        try:
            return self.message_builder.build(claim.person)
        except NewsletterError:
            self.claim_buffer.put_back(claim)
            raise
        except Exception as error:
            # The odd data of one person must not stop the mail of all others.
            logger.exception("the message of delivery %s cannot be made", claim.person.id)
            reply = Reply(phase=Phase.MAIL, text=f"the message cannot be made: {error}"[:1000])
            self.pass_state.record_refusal(claim.person, UNMADE, reply)
            self.claim_buffer.sent(claim)
            self.claim_buffer.add_result(self.message_builder.result(claim.person, reply, UNMADE))
            return None

    def _settle_answered(self) -> None:
        """Make the result of the last message."""
        if self._answered is not None:
            claim, reply, verdict = self._answered
            self._answered = None
            if verdict is ACCEPTED:
                self.claim_buffer.add_accepted(claim.person, reply)
            else:
                self.claim_buffer.add_result(self.message_builder.result(claim.person, reply, verdict))

    def _keep_pace(self, claim: Claim) -> bool:
        """Wait until the rate per second allows this message; False when it must not go out any more by then."""
        if self.pass_state.pacer is None:
            return True
        start = self.pass_state.pacer.next_send_time(claim.not_before, self.clock.monotonic())
        if start > self.clock.monotonic():
            self.clock.wait(self.pass_state.stop, start - self.clock.monotonic())
        return not self.pass_state.ended and self.claim_buffer.may_send(claim)

    def _react(self, connection: Connection, claim: Claim, reply: Reply, verdict: Verdict) -> None:
        self._lost = 0 if reply.code else self._lost + 1
        self._doubts = self._doubts + 1 if reply.may_be_delivered else 0
        self.pool.observe(connection, verdict, reply)
        self.pass_state.record_refusal(claim.person, verdict, reply)
        if verdict.relay is RelayAction.PAUSE_EDITION:
            self.pass_state.pause(claim.person.edition, pause_reason(verdict, reply))
        if verdict.relay in {RelayAction.RECONNECT, RelayAction.BACK_OFF, RelayAction.STOP}:
            self._hang_up()
        if self._doubts >= UNCERTAIN_IN_A_ROW_MAX:
            self.pass_state.end(f"The mail server took {UNCERTAIN_IN_A_ROW_MAX} messages in a row and did not answer.")

    def _is_connected(self) -> bool:
        """Open or renew the connection before claims are taken; where none may be opened now, wait or end."""
        while self._connection is None or self._connection.needs_recycling:
            self._hang_up()
            # Claims and results need not wait for a host that does not answer.
            self.release_unsent()
            self._settle_answered()
            if self._lost >= LOST_CONNECTIONS_MAX:
                self.pass_state.end(f"The mail server hung up {self._lost} times in a row.")
                return False
            self.waiting_since = self.clock.monotonic()
            opened = self.pool.connect()
            self.waiting_since = None
            if isinstance(opened, ConnectFailure):
                if self.pass_state.stop.is_set():
                    # The stop closed it; the relay is not to blame.
                    return False
                verdict = judge(opened.reply)
                self.pass_state.end(opened.plain, needs_person=verdict.relay is RelayAction.STOP)
                return False
            if isinstance(opened, PoolBusy):
                if not self._wait_for_pool(opened):
                    return False
                continue
            self._connection = opened
            self.pass_state.connected += 1
        # To open one may have taken long, and a stop may have come meanwhile.
        return not self.pass_state.ended

    def _wait_for_pool(self, later: PoolBusy) -> bool:
        """Wait until the relay may take another connection, as long as others are at work; False ends the pass."""
        self.pass_state.idle += 1
        try:
            if self.pass_state.queue_empty.is_set():
                return False
            if self.pass_state.idle == self.pass_state.size:
                # No connection is left that could change the state of the relay.
                self.pass_state.end(later.plain, needs_person=later.needs_person, wait=later.seconds)
                return False
            # Real time: the event happens in another thread, not on a clock.
            return not wait(self.pass_state.queue_empty, POOL_BUSY_WAIT_SECONDS) and not self.pass_state.ended
        finally:
            self.pass_state.idle -= 1

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        self._offered = None
        if connection is not None:
            connection.close()
            self.pool.release(connection)
            self.pass_state.connected -= 1
