"""Faults beside the wire: what a connection was sending is never sent again, and the sender goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from newsletter.clock import SystemClock
from newsletter.core.edition import Edition
from newsletter.errors import NotNow
from newsletter.event_loop import run_greenlets
from newsletter.sending.claim_buffer import CLAIMS_MAX
from newsletter.sending.connection_worker import Ready
from newsletter.sending.pass_state import Pacer
from newsletter.sending.sender import Sender
from newsletter.store.unit import Tx, Unit
from newsletter.testing.clocks import FixedClock
from newsletter.transport.base import ConnectFailure, Connection, Envelope
from tests.edition_fixtures import make_sender, work
from tests.sending.scripted import TAKEN, Answer, ScriptedConnection, Server
from tests.sending.test_committer import StartWorker, connection_of, start_worker, states
from tests.sending.test_trouble import everybody

__all__ = ["start_worker"]

Freeze = Callable[[int], Edition]


class BrokenHousekeeping(Sender):
    """A sender whose housekeeping fails in a way that nothing expects, once a message is on its way."""

    error: BaseException
    in_flight: threading.Event

    def _housekeep(self) -> None:
        if self.in_flight.is_set():
            self.in_flight.clear()
            raise self.error


def broken(sender: Sender, error: BaseException, in_flight: threading.Event) -> Sender:
    """Return the same sender with such a housekeeping."""
    sender.__class__ = BrokenHousekeeping
    sender.error = error  # type: ignore[attr-defined]
    sender.in_flight = in_flight  # type: ignore[attr-defined]
    return sender


def test_an_exception_in_the_thread_that_waits(unit: Unit, clock: FixedClock, frozen: Freeze) -> None:
    """The connections finish their messages first; nobody gets two, and the same sender sends the rest."""
    edition = frozen(30)
    in_flight, answer = threading.Event(), threading.Event()

    def script(_address: str, nth: int) -> Answer:
        if nth == 1 and not answer.is_set():
            in_flight.set()
            answer.wait(0.5)
        return TAKEN

    server = Server(script=script)
    sender = broken(make_sender(unit, clock, server.connect, connections=3), KeyboardInterrupt(), in_flight)
    with pytest.raises(KeyboardInterrupt):
        work(sender)
    answer.set()
    assert not [thread for thread in threading.enumerate() if thread.name == "connections"]
    sender.retire()
    work(make_sender(unit, clock, server.connect, connections=3))
    assert server.accepted == everybody(30)
    assert states(unit, edition) == {"accepted": 30}


def test_a_bug_behind_the_first_byte_of_content(unit: Unit, clock: FixedClock, frozen: Freeze) -> None:
    """A message that may have gone out when this program failed is uncertain, and is not sent again."""
    edition = frozen(1)

    class Faulty(ScriptedConnection):
        def hand_over(
            self,
            envelope: Envelope,
            *,
            following: Envelope | None = None,
            before_data: Callable[[], None] | None = None,
        ) -> None:
            super().hand_over(envelope, following=following, before_data=before_data)
            raise ZeroDivisionError

    server = Server()

    def connect() -> Connection | ConnectFailure:
        return Faulty(server)

    with pytest.raises(ZeroDivisionError):
        work(make_sender(unit, clock, connect, connections=1))
    work(make_sender(unit, clock, server.connect, connections=1))
    assert server.accepted == everybody(1)
    assert states(unit, edition) == {"uncertain": 1}


def test_an_opt_out_during_the_wait_for_the_rate(frozen: Freeze, start_worker: StartWorker, clock: FixedClock) -> None:
    """A claim that is revoked while its connection waits for the rate per second is not sent."""
    edition = frozen(1)
    worker = start_worker(rate=1.0)
    worker.commit()
    [claim] = worker.claim_buffer.held()
    worker.pass_state.pacer = Pacer(rate=1.0, free_at=clock.monotonic() + 9.0)

    class OptOut(FixedClock):
        def wait(self, event: threading.Event, seconds: float) -> bool:
            claim.revoked = True
            return clock.wait(event, seconds)

    server = Server()
    connection_worker = connection_of(worker)
    connection_worker.clock = OptOut(clock.now())
    connection_worker._connection = ScriptedConnection(server)
    envelope = Envelope(mail_from="tips@example.com", rcpt_to="p0@example.com", content=b"\r\n")
    connection_worker._deliver(Ready(claim, envelope))
    assert server.asked.total() == 0
    assert worker.claim_buffer.take() is None
    worker.commit()
    assert states(worker.unit, edition) == {"queued": 1}


class FailingUnit(Unit):
    """A database whose transactions fail, before or after their commit."""

    def __init__(self, unit: Unit, *, fails: int, after_commit: bool) -> None:
        """Fail so many times."""
        super().__init__(unit._engine)
        self.attempts = 0
        self._fails, self._after_commit = fails, after_commit

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """Fail, or behave like the other."""
        self.attempts += 1
        failing = self.attempts <= self._fails
        if failing and not self._after_commit:
            raise NotNow("The database does not answer.")
        with super().write() as tx:
            yield tx
        if failing:
            raise NotNow("The database does not answer.")


def test_a_database_that_fails_at_once_is_not_asked_without_end(
    frozen: Freeze, start_worker: StartWorker, caplog: pytest.LogCaptureFixture
) -> None:
    """An idle connection does not call the committer again and again while another one holds a claim."""
    frozen(1)
    worker = start_worker()
    [_held] = worker.take(connections=2)
    worker.committer.unit = unit = FailingUnit(worker.unit, fails=10_000, after_commit=False)
    worker.claim_buffer._queue_empty = False
    rounds = 0

    def idle() -> None:
        nonlocal rounds
        while rounds < 3 and worker.claim_buffer.wait():
            rounds += 1
        worker.pass_state.end()
        worker.committer.close()

    worker.claim_buffer.clock = SystemClock()
    worker.claim_buffer.lease_until = float("inf")
    run_greenlets([worker.committer.run, idle])
    assert unit.attempts <= rounds + 2
    assert caplog.text.count("the connections go on") <= rounds + 2


def test_lost_answers_claim_one_batch_at_most(frozen: Freeze, start_worker: StartWorker) -> None:
    """Retries of a commit with results claim nothing more: each lost answer would leave claims without a holder."""
    edition = frozen(2 * CLAIMS_MAX)
    worker = start_worker()
    for claim in worker.take():
        worker.claim_buffer.sent(claim)
        worker.claim_buffer.add_accepted(claim.person, TAKEN.reply)
    worker.pass_state.connected = CLAIMS_MAX
    worker.committer.unit = FailingUnit(worker.unit, fails=3, after_commit=True)
    worker.commit()
    counted = states(worker.unit, edition)
    assert counted["accepted"] == 4
    assert counted["sending"] <= CLAIMS_MAX


@pytest.mark.parametrize("rate", [0.3, 3.0, 13.0])
def test_a_rate_is_never_taken_for_an_empty_queue(
    frozen: Freeze, start_worker: StartWorker, clock: FixedClock, rate: float
) -> None:
    """However short the wait for the rate is, people who wait for it are not the end of the queue."""
    frozen(1000)
    worker = start_worker(rate=rate)
    for _ in range(60):
        worker.send(worker.take(connections=3))
        assert not worker.claim_buffer.is_dry
        until = worker.claim_buffer._quota_until
        clock.turn(seconds=max(0.0, until - clock.monotonic()) if until else 0.01)
