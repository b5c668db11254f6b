"""A courier: one thread, one connection, one message in flight and the next one's envelope behind it.

In: runs from the desk. Out: outcomes to the desk, and to the journal as they happen. While the server works on a
message, the outcome of the one before is settled, the one after next is spliced, and the next run is ordered; so the
server is never waited for idly. What a reply means is judged in the core.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from newsletter.core.delivery import DeliveryId
from newsletter.core.reply import Effect, Phase, RelayAction, Reply, ReplyClass, Verdict, judge
from newsletter.engine.crew import Crew
from newsletter.engine.desk import Desk, Job, Settled, Ticket
from newsletter.engine.journal import Track
from newsletter.engine.post import Post
from newsletter.errors import NewsletterError
from newsletter.flows.hold import pause_for_trouble
from newsletter.transport.base import ConnectFailure, Connection, Envelope
from newsletter.transport.pool import Later, Pool

logger = logging.getLogger(__name__)

PATIENCE = 10
"""Connections in a row that may be lost before one reply comes through; then the relay is in trouble."""

DOUBTS = 3
"""Messages in a row without an answer after the last dot; then going on would only make more people uncertain."""

LARGEST_RUN = 32
"""Marked at a time. With what is left of the last run, what is spliced and what is in flight it stays under fifty."""

FIRST_RUN = 4
RUN_SECONDS = 0.5
"""A run holds about what a connection sends in this time, so that little is marked where little goes out."""

SHORT_WAIT = 5.0
"""Seconds of quota that a courier waits out; for longer it goes home, and what waits is said."""

NAP = 0.5
"""Seconds between two looks whether the relay takes another connection."""


class Ready(NamedTuple):
    """A message as it goes over the wire."""

    job: Job
    envelope: Envelope


@dataclass(slots=True, kw_only=True)
class Courier:
    """One thread of the sender."""

    desk: Desk
    post: Post
    crew: Crew
    pool: Pool
    track: Track
    hand: deque[Job] = field(default_factory=deque)
    """Marked for this connection and not begun. The look may take from it at any moment."""
    revoked: set[DeliveryId] = field(default_factory=set)
    """What the look found that it must not go out any more; one set for all."""
    waiting_since: float | None = None
    """Since when a reply is waited for, on the monotonic clock."""
    bug: Exception | None = None
    """What should never have been raised; the sender raises it again."""
    torn: bool = False
    """True when the database failed it: an outcome may be in the log and the journal only, and its row still marked."""
    _ready: deque[Ready] = field(default_factory=deque)
    """Spliced: at most the next, whose envelope may be with the server already, and the one after it."""
    _announced: bool = False
    """The envelope of the first of `_ready` is with the server."""
    _last: tuple[Job, Reply, Verdict] | None = None
    _settled: list[Settled] = field(default_factory=list)
    _unused: list[DeliveryId] = field(default_factory=list)
    _ticket: Ticket | None = None
    _dry: bool = False
    """The desk had nothing the last time it was asked."""
    _run: int = FIRST_RUN
    _run_began: float = 0.0
    _sent: int = 0
    _connection: Connection | None = None
    _lost: int = 0
    _doubts: int = 0
    _in_flight: bool = False
    _aborted: bool = False
    _unanswered: int = 0

    def run(self) -> None:
        """Work until there is nothing to do, the relay is in trouble, or a stop is asked for."""
        try:
            while not self.crew.ended and self._is_connected():
                current = self._take()
                if current is not None:
                    self._deliver(current)
                elif not self._restock():
                    break
            if self._announced and not self._aborted and self._may(self._ready[0].job):
                # The server has its envelope: to break off now would cost the connection its good end.
                self._deliver(self._ready.popleft(), last=True)
        except NewsletterError as error:
            self.torn = True
            self.crew.end(str(error))
        except Exception as error:  # noqa: BLE001 it is raised again in the thread that waits for this one
            self.bug = error
            self.crew.end("a fault in this program")
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

    def held(self) -> list[DeliveryId]:
        """Return what is marked for this connection and not begun; from any thread."""
        return [one.person.id for one in (*self.hand.copy(), *(ready.job for ready in self._ready.copy()))]

    def let_go(self, job: Job) -> bool:
        """Take a job out of the hand; from any thread, and exactly one of several gets it."""
        try:
            self.hand.remove(job)
        except ValueError:
            return False
        return True

    # One message.

    def _take(self) -> Ready | None:
        """Return the next message that may go out; None when there is none in hand."""
        self._splice_ahead(1)
        while self._ready:
            ready = self._ready.popleft()
            if self._may(ready.job):
                return ready
            self._drop(ready)
            self._splice_ahead(1)
        return None

    def _may(self, job: Job) -> bool:
        return (
            job.person.id not in self.revoked
            and job.person.edition not in self.crew.paused
            and self.desk.clock.monotonic() < self.desk.lease_until
        )

    def _drop(self, ready: Ready) -> None:
        """Give back what must not go out; where the server has its envelope already, the line is useless."""
        self._unused.append(ready.job.person.id)
        if self._announced:
            self._hang_up()

    def _splice_ahead(self, wanted: int) -> None:
        while len(self._ready) < wanted:
            try:
                job = self.hand.popleft()
            except IndexError:
                return
            if not self._may(job):
                self._unused.append(job.person.id)
                continue
            envelope = self._spliced(job)
            if envelope is not None:
                self._ready.append(Ready(job, envelope))

    def _spliced(self, job: Job) -> Envelope | None:
        try:
            return self.post.envelope(job.person)
        except NewsletterError:
            raise
        except Exception as error:
            # One person's odd data must not stop everybody else's mail; nothing was sent, and the log has the trace.
            logger.exception("the message of delivery %s cannot be made", job.person.id)
            reply = Reply(phase=Phase.MAIL, text=f"the message cannot be made: {error}"[:1000])
            verdict = Verdict(
                effect=Effect.REJECT,
                kind=ReplyClass.CONTENT,
                rule="own:unmade",
                plain="The message could not be made; see the log of the program.",
            )
            self._note(job, reply, verdict)
            self._settled.append(self.post.settled(job.person, reply, verdict))
            return None

    def _deliver(self, current: Ready, *, last: bool = False) -> None:
        connection = self._connection
        assert connection is not None  # noqa: S101 `_is_connected` was asked before
        job = current.job
        if self.desk.rate:
            self._keep_pace(job, self.desk.rate)
        self._announced = False
        following = None if last else self._following()
        person = job.person
        reply = connection.hand_over(
            current.envelope,
            following=following.envelope if following else None,
            before_data=lambda: self.track.handed(person.id, person.attempts),
        )
        if reply is None:
            self._in_flight = True
            self._announced = connection.announces
            self.waiting_since = self.desk.clock.monotonic()
            self._meanwhile()
            reply = connection.answer()
            self.waiting_since = None
            self._in_flight = False
        self.track.answered(person.id, person.attempts, reply, self.desk.clock.now())
        # Only what was cut off behind the dot is in doubt; before it the message goes back to the queue.
        self._unanswered += int(self._aborted and reply.may_be_delivered)
        verdict = judge(reply)
        # What was refused at once left no time to settle the one before.
        self._settle_last()
        self._last = (job, reply, verdict)
        self._sent += 1
        self._react(job, reply, verdict)

    def _following(self) -> Ready | None:
        """Return the message whose envelope may ride along: spliced, allowed, and while nobody asks us to stop.

        Under a rate per second nothing does: there is time for each to be decided on at its own moment.
        """
        self._splice_ahead(1)
        if not self._ready or self.crew.ended or self.desk.rate:
            return None
        ready = self._ready[0]
        return ready if self._may(ready.job) else None

    def _keep_pace(self, job: Job, rate: float) -> None:
        clock = self.desk.clock
        start = self.crew.moment(rate, job.not_before, clock.monotonic())
        if start > clock.monotonic():
            clock.wait(self.crew.stop, start - clock.monotonic())

    def _meanwhile(self) -> None:
        """Use the time in which the server works."""
        self._settle_last()
        self._splice_ahead(2)
        if self._ticket is not None and self._ticket.done.is_set():
            self._receive()
        if self._ticket is None and not self._dry and len(self.hand) <= self._run // 2 and not self.crew.ended:
            self._order()

    def _settle_last(self) -> None:
        if self._last is not None:
            job, reply, verdict = self._last
            self._last = None
            self._settled.append(self.post.settled(job.person, reply, verdict))

    def _react(self, job: Job, reply: Reply, verdict: Verdict) -> None:
        assert self._connection is not None  # noqa: S101 it just answered
        self._lost = 0 if reply.code else self._lost + 1
        self._doubts = self._doubts + 1 if reply.may_be_delivered else 0
        self.pool.heard(self._connection, verdict, reply)
        self._note(job, reply, verdict)
        if verdict.relay is RelayAction.PAUSE_EDITION:
            self._pause(job, verdict.plain)
        elif verdict.relay is RelayAction.STOP:
            self.crew.end(verdict.plain, needs_person=True)
        if verdict.relay in {RelayAction.RECONNECT, RelayAction.BACK_OFF, RelayAction.STOP}:
            self._hang_up()
        if self._doubts >= DOUBTS:
            self.crew.end(f"The mail server took {DOUBTS} messages in a row and did not answer.")

    def _note(self, job: Job, reply: Reply, verdict: Verdict) -> None:
        # It is about everybody: whose turn it happened to be is left out, whatever the server calls him.
        said = reply if verdict.effect is Effect.ACCEPT else replace(reply, text=_without(reply.text, job))
        self.crew.note(verdict, said, lambda why: self._pause(job, why))

    def _pause(self, job: Job, why: str) -> None:
        self.crew.paused.add(job.person.edition)
        pause_for_trouble(self.post.unit, job.person.edition, why=why, now=self.desk.clock.now())

    # Runs.

    def _order(self) -> None:
        """Hand in what is settled and order the next run, without waiting for either."""
        self._settle_last()
        now = self.desk.clock.monotonic()
        seconds = now - self._run_began
        if self._sent:
            fast = self._sent / seconds * RUN_SECONDS if seconds > 0 else LARGEST_RUN
            self._run = max(2, min(LARGEST_RUN, int(fast), self._run * 2))
        self._run_began, self._sent = now, 0
        self._hand_in(wants=self._run)

    def _hand_in(self, *, wants: int) -> None:
        page = self.track.turn()
        settled, self._settled = self._settled, []
        unused, self._unused = self._unused, []
        self._ticket = self.desk.submit(Ticket(settled=settled, unused=unused, wants=wants, page=page))

    def _receive(self) -> None:
        """Take what the desk gave for the last ticket."""
        ticket, self._ticket = self._ticket, None
        assert ticket is not None  # noqa: S101 it is asked only for one that was handed in
        if ticket.error is not None:
            raise ticket.error
        # What was given back and is marked anew may go out.
        self.revoked.difference_update([job.person.id for job in ticket.jobs])
        self.hand.extend(ticket.jobs)
        self._dry = ticket.wants > 0 and not ticket.jobs

    def _restock(self) -> bool:
        """Wait for a run; False when there is nothing more to do for this connection."""
        if self._ticket is None:
            self._order()
        ticket = self._ticket
        assert ticket is not None  # noqa: S101 `_order` made it
        ticket.done.wait()
        wait = ticket.wait
        self._receive()
        if wait is not None and not ticket.jobs:
            return self._wait_out(wait.seconds)
        if self._dry:
            self.crew.dry.set()
        return not self._dry

    def _wait_out(self, seconds: float) -> bool:
        if seconds > SHORT_WAIT:
            with self.crew.lock:
                self.crew.wait = max(self.crew.wait, seconds)
            return False
        self.desk.clock.wait(self.crew.stop, seconds)
        return True

    def _go_home(self) -> None:
        """Hang up, hand in what is known and give back what was not begun."""
        self._hang_up()
        self.crew.count_idle(1)
        try:
            if self._ticket is not None:
                self._ticket.done.wait()
                self._receive()
            if self.torn:
                # The journal has what the database lacks; the next start settles it.
                return
            self._settle_last()
            self._unused += self.held()
            self.hand.clear()
            self._ready.clear()
            if self._settled or self._unused:
                self._hand_in(wants=0)
                assert self._ticket is not None  # noqa: S101 just made
                self._ticket.done.wait()
                self._receive()
        except NewsletterError as error:
            self.torn = True
            self.crew.end(str(error))

    # The connection.

    def _is_connected(self) -> bool:
        """Open a connection, or a fresh one, before a run is taken; where none may be opened now, wait or go home."""
        while self._connection is None or self._connection.needs_recycling:
            self._hang_up()
            if self._lost >= PATIENCE:
                self.crew.end(f"The mail server hung up {self._lost} times in a row.")
                return False
            opened = self.pool.connect()
            if isinstance(opened, ConnectFailure):
                verdict = judge(opened.reply)
                self.crew.end(opened.plain, needs_person=verdict.relay is RelayAction.STOP)
                return False
            if isinstance(opened, Later):
                if not self._nap(opened):
                    return False
                continue
            self._connection = opened
            self.crew.count_connected(1)
        return True

    def _nap(self, later: Later) -> bool:
        """Wait until the relay may take another connection, as long as others are at work; False ends the pass."""
        self._give_back_hand()
        idle = self.crew.count_idle(1)
        try:
            if self.crew.dry.is_set():
                return False
            if idle == self.crew.size:
                # Nobody is left who could bring a change.
                self.crew.end(later.plain, needs_person=later.needs_person, wait=later.seconds)
                return False
            # Real time: what is waited for happens in other threads, not on a clock.
            return not self.crew.over.wait(NAP) and not self.crew.ended
        finally:
            self.crew.count_idle(-1)

    def _give_back_hand(self) -> None:
        if self.held():
            self._unused += self.held()
            self.hand.clear()
            self._ready.clear()
        if (self._unused or self._settled or self._last) and self._ticket is None:
            self._settle_last()
            self._hand_in(wants=0)
        if self._ticket is not None:
            self._ticket.done.wait()
            self._receive()

    def _hang_up(self) -> None:
        self._announced = False
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            self.pool.release(connection)
            self.crew.count_connected(-1)


def _without(text: str, job: Job) -> str:
    return re.sub(re.escape(job.person.email), "…", text, flags=re.IGNORECASE)
