"""The send loop of one SMTP connection: one message in flight, and the envelope of the next one behind it.

In: messages from its claim buffer. Out: the reply to each, to the buffer and, as it happens, to the journal. While the
server works on a message, the buffer makes the result of the one before, builds the one after next and requests claims.
The workers of a pass are greenlets of one event loop. What a reply means is judged in the core.
"""

from __future__ import annotations

from dataclasses import dataclass

from newsletter.clock import Clock, wait
from newsletter.core.breaker import pause_reason
from newsletter.core.reply import RelayAction, Reply, Verdict, judge, judge_delivery
from newsletter.errors import NewsletterError
from newsletter.journal.writer import Journal, JournalError
from newsletter.sending.claim_buffer import ClaimBuffer, Ready
from newsletter.sending.committer import Claim
from newsletter.sending.pass_state import PassState
from newsletter.transport.base import ConnectFailure, Connection
from newsletter.transport.pool import Pool, PoolBusy

LOST_CONNECTIONS_MAX = 10
"""Connections in a row that may be lost before one reply comes through; then the relay is in trouble."""

UNCERTAIN_IN_A_ROW_MAX = 3
"""Messages in a row without an answer after the last dot; then going on would only make more people uncertain."""

POOL_BUSY_WAIT_SECONDS = 0.5
"""Seconds between two looks whether the relay takes another connection."""

DRY_QUEUE_WAITS_SECONDS = (0.02, 0.05, 0.1, 0.3)
"""Seconds between checks for claims of other connections, until the committer is asked once more."""


@dataclass(slots=True, kw_only=True)
class ConnectionWorker:
    """One connection of the sender."""

    claim_buffer: ClaimBuffer
    pass_state: PassState
    pool: Pool
    journal: Journal
    clock: Clock
    rate: float | None
    waiting_since: float | None = None
    """Since when a reply or a connection is waited for, on the monotonic clock."""
    bug: Exception | None = None
    """An unexpected exception; the sender raises it again."""
    outcome_unrecorded: bool = False
    """True after an error: an outcome may be in the journal only, and its delivery still claimed."""
    _announced: Ready | None = None
    """The message whose envelope is with the server already."""
    _connection: Connection | None = None
    _lost: int = 0
    _doubts: int = 0
    _in_flight: bool = False
    _aborted: bool = False
    _unanswered: int = 0

    def run(self) -> None:
        """Work until there is nothing to do, the relay is in trouble, or a stop is asked for."""
        try:
            while not self.pass_state.ended and self._is_connected():
                current = self.claim_buffer.next()
                if current is None:
                    if not self.claim_buffer.refill() and not self._wait_for_claims():
                        break
                elif self._announced not in (None, current):
                    # What the server waits for must not go out any more: without its content the line is useless.
                    self.claim_buffer.unread(current)
                    self._hang_up()
                else:
                    self._deliver(current)
            self._deliver_announced()
        except NewsletterError as error:
            self.outcome_unrecorded = True
            self.pass_state.end(str(error))
        except Exception as error:  # noqa: BLE001 it is raised again in the thread that waits for this one
            # Which results were submitted is unknown; the journal has all of them.
            self.outcome_unrecorded = True
            self.bug = error
            self.pass_state.end("a fault in this program")
        except BaseException:
            self.outcome_unrecorded = True
            raise
        finally:
            self._finish()

    def abort(self) -> None:
        """Hang up from another thread."""
        self._aborted = True
        if self._connection is not None:
            self._connection.abort()

    @property
    def unanswered(self) -> int:
        """Return how many messages may or may not have arrived because of an abort."""
        return self._unanswered + int(self._in_flight)

    def _deliver_announced(self) -> None:
        """Send the message whose envelope the server has: without it the connection would have to be cut off."""
        if self._announced is not None and not self._aborted:
            current = self.claim_buffer.next()
            if current is self._announced:
                self._deliver(current)
            elif current is not None:
                self.claim_buffer.unread(current)

    def _deliver(self, current: Ready) -> None:
        connection = self._connection
        assert connection is not None  # noqa: S101 `_is_connected` was asked before
        claim = current.claim
        person = claim.person
        if self.rate:
            self._keep_pace(claim, self.rate)
        self._announced = None
        following = self.claim_buffer.following()
        self.waiting_since = self.clock.monotonic()
        trouble: Exception | None = None
        try:
            reply = connection.hand_over(
                current.envelope,
                following=following.envelope if following else None,
                before_data=lambda: self.journal.handed(person.id, person.attempts),
            )
        except JournalError as error:
            # No byte of content was written: the claim is returned with all others.
            self.waiting_since = None
            self.claim_buffer.unread(current)
            self.pass_state.end(str(error), needs_person=True)
            return
        if reply is None:
            self._in_flight = True
            self._announced = following if connection.announces else None
            trouble = self._use_the_time()
            reply = connection.answer()
            self._in_flight = False
        self.waiting_since = None
        self.journal.answered(person.id, person.attempts, reply, self.clock.now())
        # Only what was cut off behind the dot is in doubt; before it the message goes back to the queue.
        self._unanswered += int(self._aborted and reply.may_be_delivered)
        if trouble is not None:
            raise trouble
        verdict = judge_delivery(reply, sender=current.envelope.mail_from, recipient=current.envelope.rcpt_to)
        self.claim_buffer.answer(claim, reply, verdict)
        self._react(connection, claim, reply, verdict)

    def _use_the_time(self) -> Exception | None:
        """Use the time in which the server works; an error meanwhile must not cost us its reply."""
        try:
            self.claim_buffer.meanwhile()
        except Exception as trouble:  # noqa: BLE001 it is raised once the answer is in the journal
            return trouble
        return None

    def _keep_pace(self, claim: Claim, rate: float) -> None:
        start = self.pass_state.next_send_time(rate, claim.not_before, self.clock.monotonic())
        if start > self.clock.monotonic():
            self.clock.wait(self.pass_state.stop, start - self.clock.monotonic())

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

    def _finish(self) -> None:
        """Hang up, submit all results and give back the claims of which nothing was sent."""
        self._hang_up()
        self.pass_state.count_idle(1)
        if self.outcome_unrecorded:
            # The journal has what the database lacks; the next start settles it.
            return
        try:
            self.claim_buffer.return_unused()
        except NewsletterError as error:
            self.outcome_unrecorded = True
            self.pass_state.end(str(error))

    def _is_connected(self) -> bool:
        """Open or renew the connection before claims are taken; where none may be opened now, wait or end."""
        while self._connection is None or self._connection.needs_recycling:
            self._hang_up()
            if self._lost >= LOST_CONNECTIONS_MAX:
                self.pass_state.end(f"The mail server hung up {self._lost} times in a row.")
                return False
            # Its claims need not wait for a host that does not answer.
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
            self.pass_state.count_connected(1)
        # To open one may have taken long, and a stop may have come meanwhile.
        return not self.pass_state.ended

    def _wait_for_claims(self) -> bool:
        """Wait while other connections hold claims that may come back; False when there is nothing to wait for."""
        if not self.claim_buffer.queue_empty:
            return False
        for pause in DRY_QUEUE_WAITS_SECONDS:
            if self.pass_state.ended or not self.pass_state.any_claims_left():
                return False
            # Real time, as below.
            wait(self.pass_state.over, pause)
        return not self.pass_state.ended

    def _wait_for_pool(self, later: PoolBusy) -> bool:
        """Wait until the relay may take another connection, as long as others are at work; False ends the pass."""
        self.claim_buffer.return_unused()
        idle = self.pass_state.count_idle(1)
        try:
            if self.pass_state.queue_empty.is_set():
                return False
            if idle == self.pass_state.size:
                # No connection is left that could change the state of the relay.
                self.pass_state.end(later.plain, needs_person=later.needs_person, wait=later.seconds)
                return False
            # Real time: what is waited for happens in other threads, not on a clock.
            return not wait(self.pass_state.queue_empty, POOL_BUSY_WAIT_SECONDS) and not self.pass_state.ended
        finally:
            self.pass_state.count_idle(-1)

    def _hang_up(self) -> None:
        self._announced = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            self.pool.release(connection)
            self.pass_state.count_connected(-1)
