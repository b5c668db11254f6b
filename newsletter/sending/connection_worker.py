"""A courier: one connection, one message in flight and the next one's envelope behind it.

In: messages from its hand. Out: what was said of each, to its hand, and to the journal as it happens. While the server
works on a message, the hand settles the one before, splices the one after next and orders the next run; so the server
is never waited for idly. The connection workers of a pass share one thread and wait by
`newsletter/event_loop.py` alone.
What a reply means is judged in the core.
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
"""Seconds between the looks whether others still hold anything, until the desk is asked once more."""


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
    """What should never have been raised; the sender raises it again."""
    torn: bool = False
    """True when it broke off: an outcome may be in the journal only, and its row still marked."""
    _announced: Ready | None = None
    """Whose envelope is with the server already."""
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
                current = self.claim_buffer.take()
                if current is None:
                    if not self.claim_buffer.restock() and not self._linger():
                        break
                elif self._announced not in (None, current):
                    # What the server waits for must not go out any more: without its content the line is useless.
                    self.claim_buffer.put_back(current)
                    self._hang_up()
                else:
                    self._deliver(current)
            self._deliver_announced()
        except NewsletterError as error:
            self.torn = True
            self.pass_state.end(str(error))
        except Exception as error:  # noqa: BLE001 it is raised again in the thread that waits for this one
            # What was settled when it failed is anybody's guess; only the journal surely knows.
            self.torn = True
            self.bug = error
            self.pass_state.end("a fault in this program")
        except BaseException:
            self.torn = True
            raise
        finally:
            self._go_home()

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
        """Finish what the server has the envelope of: to break off now would cost the connection its good end."""
        if self._announced is not None and not self._aborted:
            current = self.claim_buffer.take()
            if current is self._announced:
                self._deliver(current)
            elif current is not None:
                self.claim_buffer.put_back(current)

    def _deliver(self, current: Ready) -> None:
        connection = self._connection
        assert connection is not None  # noqa: S101 `_is_connected` was asked before
        job = current.job
        person = job.person
        if self.rate:
            self._keep_pace(job, self.rate)
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
            self.claim_buffer.put_back(current)
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
        self.claim_buffer.answer(job, reply, verdict)
        self._react(connection, job, reply, verdict)

    def _use_the_time(self) -> Exception | None:
        """Do what there is to do while the server works; what goes wrong there must not cost us its answer."""
        try:
            self.claim_buffer.meanwhile()
        except Exception as trouble:  # noqa: BLE001 it is raised once the answer is in the journal
            return trouble
        return None

    def _keep_pace(self, job: Claim, rate: float) -> None:
        start = self.pass_state.moment(rate, job.not_before, self.clock.monotonic())
        if start > self.clock.monotonic():
            self.clock.wait(self.pass_state.stop, start - self.clock.monotonic())

    def _react(self, connection: Connection, job: Claim, reply: Reply, verdict: Verdict) -> None:
        self._lost = 0 if reply.code else self._lost + 1
        self._doubts = self._doubts + 1 if reply.may_be_delivered else 0
        self.pool.heard(connection, verdict, reply)
        self.pass_state.note(job.person, verdict, reply)
        if verdict.relay is RelayAction.PAUSE_EDITION:
            self.pass_state.pause(job.person.edition, pause_reason(verdict, reply))
        if verdict.relay in {RelayAction.RECONNECT, RelayAction.BACK_OFF, RelayAction.STOP}:
            self._hang_up()
        if self._doubts >= UNCERTAIN_IN_A_ROW_MAX:
            self.pass_state.end(f"The mail server took {UNCERTAIN_IN_A_ROW_MAX} messages in a row and did not answer.")

    def _go_home(self) -> None:
        """Hang up, hand in what is known and give back what was not begun."""
        self._hang_up()
        self.pass_state.count_idle(1)
        if self.torn:
            # The journal has what the database lacks; the next start settles it.
            return
        try:
            self.claim_buffer.give_back()
        except NewsletterError as error:
            self.torn = True
            self.pass_state.end(str(error))

    def _is_connected(self) -> bool:
        """Open a connection, or a fresh one, before a run is taken; where none may be opened now, wait or go home."""
        while self._connection is None or self._connection.needs_recycling:
            self._hang_up()
            if self._lost >= LOST_CONNECTIONS_MAX:
                self.pass_state.end(f"The mail server hung up {self._lost} times in a row.")
                return False
            # What is in hand meanwhile need not wait for a host that does not answer.
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
                if not self._nap(opened):
                    return False
                continue
            self._connection = opened
            self.pass_state.count_connected(1)
        # To open one may have taken long, and a stop may have come meanwhile.
        return not self.pass_state.ended

    def _linger(self) -> bool:
        """Stay while others hold what a connection without an answer gives back; False when it is time to go home."""
        if not self.claim_buffer.dry:
            return False
        for pause in DRY_QUEUE_WAITS_SECONDS:
            if self.pass_state.ended or not self.pass_state.holding():
                return False
            # Real time, as below.
            wait(self.pass_state.over, pause)
        return not self.pass_state.ended

    def _nap(self, later: PoolBusy) -> bool:
        """Wait until the relay may take another connection, as long as others are at work; False ends the pass."""
        self.claim_buffer.give_back()
        idle = self.pass_state.count_idle(1)
        try:
            if self.pass_state.dry.is_set():
                return False
            if idle == self.pass_state.size:
                # Nobody is left who could bring a change.
                self.pass_state.end(later.plain, needs_person=later.needs_person, wait=later.seconds)
                return False
            # Real time: what is waited for happens in other threads, not on a clock.
            return not wait(self.pass_state.dry, POOL_BUSY_WAIT_SECONDS) and not self.pass_state.ended
        finally:
            self.pass_state.count_idle(-1)

    def _hang_up(self) -> None:
        self._announced = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            self.pool.release(connection)
            self.pass_state.count_connected(-1)
