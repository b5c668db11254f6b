"""The dispatch: a real worker of the job queue on PostgreSQL, beside a sender that a test plays."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from newsletter.clock import SystemClock
from newsletter.core.edition import Edition
from newsletter.sending.job_worker import END_SECONDS, JobWorker
from newsletter.sending.wakeups import Wakeups
from newsletter.store import block as blocks
from newsletter.store import worker as workers
from newsletter.store.block import BLOCK_SIZE, BlockId
from newsletter.store.database import connect, driver_words, open_unit
from newsletter.store.unit import Unit
from newsletter.store.worker import WorkerId

pytestmark = pytest.mark.postgres

CLOCK = SystemClock()
LEASE = timedelta(seconds=30)
PATIENCE = 20.0


@pytest.fixture
def unit(postgres_url: str) -> Iterator[Unit]:
    """Return the door to an empty database on PostgreSQL."""
    engine = connect(postgres_url)
    yield open_unit(engine)
    engine.dispose()


@pytest.fixture
def me(unit: Unit) -> WorkerId:
    """Return the sender that the test plays."""
    with unit.write() as tx:
        return workers.start(tx, name="me", machine="here", now=CLOCK.now())


@pytest.fixture
def wakeups(unit: Unit, me: WorkerId) -> Wakeups:
    """Return the calls to it."""
    return Wakeups(unit=unit, clock=CLOCK, who=lambda: me)


@pytest.fixture
def dispatch(unit: Unit, wakeups: Wakeups) -> JobWorker:
    """Return what makes them."""
    return JobWorker(wakeups=wakeups, database=driver_words(unit._engine), process="test 1")


def found(unit: Unit) -> list[tuple[int, str, datetime | None]]:
    """Return the jobs of blocks: number, state, and the time before which each waits."""
    query = """
        SELECT (args->>'number')::int, status::text, scheduled_at
        FROM procrastinate.procrastinate_jobs WHERE task_name = 'send_block' ORDER BY 1
    """
    with unit.read() as tx:
        return [(number, status, at) for number, status, at in tx.execute(text(query))]


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    never = threading.Event()
    for _ in range(int(PATIENCE * 20)):
        if condition():
            return
        never.wait(0.05)
    pytest.fail("it did not come to pass")


def wish(wakeups: Wakeups) -> BlockId:
    """Return the next block that a job calls for."""
    wished: list[BlockId] = []

    def asked() -> bool:
        job = wakeups.wished()
        wished.extend([] if job is None else [job])
        return bool(wished)

    until(asked)
    return wished[0]


def test_a_job_lasts_as_long_as_its_block(
    unit: Unit, frozen: Callable[[int], Edition], wakeups: Wakeups, dispatch: JobWorker, me: WorkerId
) -> None:
    """It calls, waits while the block is being sent, and is gone when that is done."""
    frozen(1)
    with dispatch.listening(threading.Event()):
        job = wish(wakeups)
        with unit.write() as tx:
            assert blocks.claim(tx, me, now=CLOCK.now(), lease=LEASE, only=job) == job
        assert [(number, state) for number, state, _ in found(unit)] == [(0, "doing")]
        with unit.write() as tx:
            tx.execute(text("UPDATE delivery SET state = 'accepted'"))
            blocks.close_done(tx, [job])
        wakeups.look_around()
        until(lambda: found(unit) == [])


def test_while_the_sender_rests_no_job_holds_a_place(
    unit: Unit, frozen: Callable[[int], Edition], wakeups: Wakeups, dispatch: JobWorker
) -> None:
    """What was begun goes back with the time, the rest is left for others; afterwards it goes on by itself."""
    frozen(6 * BLOCK_SIZE)
    with dispatch.listening(threading.Event()):
        until(lambda: sum(state == "doing" for _, state, _ in found(unit)) == 2)
        wakeups.rest(60)
        until(lambda: not any(state == "doing" for _, state, _ in found(unit)) and not wakeups.listening)
        times = [at for _, _, at in found(unit)]
        assert len(times) == 6
        # How many were begun before the rest was heard of is a matter of moments.
        assert sum(at is not None for at in times) >= 2
        assert all(at > CLOCK.now() + timedelta(seconds=30) for at in times if at is not None)
        wakeups.go_on()
        until(lambda: wakeups.listening)


def test_a_stop_hands_everything_back(
    unit: Unit, frozen: Callable[[int], Edition], wakeups: Wakeups, dispatch: JobWorker, me: WorkerId
) -> None:
    """After a stop nothing new is taken; what is being sent is waited for, and then all of it is there for others."""
    frozen(4 * BLOCK_SIZE)
    stop = threading.Event()
    with dispatch.listening(stop):
        job = wish(wakeups)
        with unit.write() as tx:
            blocks.claim(tx, me, now=CLOCK.now(), lease=LEASE, only=job)
        stop.set()
        until(lambda: sum(state == "doing" for _, state, _ in found(unit)) == 1)
        with unit.write() as tx:
            blocks.release(tx, me)
        began = CLOCK.monotonic()
    assert CLOCK.monotonic() - began < END_SECONDS
    assert [(number, state) for number, state, _ in found(unit)] == [(number, "todo") for number in range(4)]
    with unit.read() as tx:
        assert tx.scalar(text("SELECT count(*) FROM procrastinate.procrastinate_workers")) == 0


def test_nobody_imports_the_queue_without_need() -> None:
    """On SQLite, and for every other command, the library is not even looked at: it takes time, and is an extra."""
    look = "import sys, newsletter.wiring, newsletter.store.upgrade; sys.exit('procrastinate' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0
