"""Jobs on PostgreSQL: put up with the blocks they speak of, and harmless whatever becomes of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from newsletter.core.edition import Edition, EditionStatus
from newsletter.flows.hold import pause_edition, resume_edition
from newsletter.sending.wakeups import CALLED_SECONDS, RetryLater, Wakeups
from newsletter.store import block as blocks
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import job_schema, jobs
from newsletter.store import worker as workers
from newsletter.store.block import BLOCK_SIZE, BlockId
from newsletter.store.database import connect, open_unit
from newsletter.store.unit import Unit
from newsletter.store.worker import WorkerId
from newsletter.testing.catcher import Catcher
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import make_sender, work
from tests.flows.tip_fixtures import queue, tip_file
from tests.sending.wave_fixtures import AUCKLAND, NEW_YORK, add_readers, local_bell

pytestmark = pytest.mark.postgres

LEASE = timedelta(seconds=30)


@pytest.fixture
def unit(postgres_url: str) -> Iterator[Unit]:
    """Return the door to an empty database on PostgreSQL."""
    engine = connect(postgres_url)
    yield open_unit(engine)
    engine.dispose()


def waiting(unit: Unit) -> list[tuple[int, int, datetime | None]]:
    """Return the jobs that wait: edition, block, and the time before which they do."""
    query = """
        SELECT (args->>'edition')::int, (args->>'number')::int, scheduled_at
        FROM procrastinate.procrastinate_jobs WHERE status = 'todo' AND task_name = 'send_block' ORDER BY id
    """
    with unit.read() as tx:
        return [(edition, number, at) for edition, number, at in tx.execute(text(query))]


def clear(unit: Unit) -> None:
    """Lose every job."""
    with unit.write() as tx:
        tx.execute(text("TRUNCATE procrastinate.procrastinate_jobs CASCADE"))


def call(unit: Unit, clock: FixedClock, who: WorkerId | None = None) -> Wakeups:
    """Return the calls to a sender."""
    return Wakeups(unit=unit, clock=clock, who=lambda: who)


def serve(wakeups: Wakeups, block_id: BlockId) -> None:
    """Run the job of a block for a sender that is not asked to stop."""
    wakeups.serve(block_id, threading.Event())


def test_a_freeze_puts_up_one_job_for_each_block(unit: Unit, frozen: Callable[[int], Edition]) -> None:
    """Each bears the edition and the number of its block, and waits for nothing."""
    edition = frozen(2 * BLOCK_SIZE + 1)
    assert waiting(unit) == [(edition.id, number, None) for number in range(3)]


def test_what_is_rolled_back_leaves_no_job(unit: Unit, frozen: Callable[[int], Edition]) -> None:
    """A block that never came to be has no job either, and the search path is the usual one afterwards."""
    edition = frozen(1)
    clear(unit)
    with suppress(ZeroDivisionError), unit.write() as tx:
        blocks.add(tx, edition.id)
        raise ZeroDivisionError
    assert waiting(unit) == []
    with unit.read() as tx:
        assert "procrastinate" not in str(tx.scalar(text("SHOW search_path")))


def test_what_is_due_again_has_a_job(unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition]) -> None:
    """The block into which deferred mail is gathered has a job like any other."""
    edition = frozen(1)
    clear(unit)
    with unit.write() as tx:
        tx.execute(text("UPDATE delivery SET state = 'deferred', next_attempt_at = :now"), {"now": clock.now()})
        assert deliveries.gather(tx, edition.id, now=clock.now()) == 1
    assert waiting(unit) == [(edition.id, 1, None)]


def test_a_wave_has_its_time(unit: Unit, clock: FixedClock) -> None:
    """The job of a block that waits for its readers' hour waits for it as well."""
    add_readers(unit, {"Pacific/Auckland": 1, "America/New_York": 1})
    queue(unit, tip_file("first"))
    ticker = local_bell(unit, clock)
    ticker.tick()
    clock.set(AUCKLAND)
    assert ticker.tick() is not None
    assert [at for _, _, at in waiting(unit)] == [AUCKLAND, NEW_YORK]


def test_a_broken_queue_keeps_nothing_from_being_frozen(unit: Unit, frozen: Callable[[int], Edition]) -> None:
    """Where the queue is of another version, the edition is frozen all the same, and sent by who looks for itself."""
    with unit.write() as tx:
        tx.execute(text("DROP FUNCTION procrastinate.procrastinate_defer_jobs_v1"))
    edition = frozen(1)
    assert edition.audience == 1
    assert waiting(unit) == []


def test_without_a_queue_there_are_no_jobs(unit: Unit, frozen: Callable[[int], Edition]) -> None:
    """A database restored by other means may have none: nothing fails, and nobody knows of any."""
    with unit.write() as tx:
        job_schema.drop(tx)
    frozen(1)
    with unit.write() as tx:
        assert jobs.put_up_again(tx) == 0
        assert jobs.waiting(tx) is None


def test_lost_jobs_are_put_up_again(unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition]) -> None:
    """A block that waits without a job gets one, once; one that somebody works on, or that is paused, does not."""
    edition = frozen(3 * BLOCK_SIZE)
    clear(unit)
    with unit.write() as tx:
        who = workers.start(tx, name="other", machine="other", now=clock.now())
        blocks.claim(tx, who, now=clock.now(), lease=LEASE)
    call(unit, clock).put_in_order()
    call(unit, clock).put_in_order()
    assert waiting(unit) == [(edition.id, 1, None), (edition.id, 2, None)]
    clear(unit)
    with unit.write() as tx:
        editions.move(tx, edition.id, was=[EditionStatus.SENDING], to=EditionStatus.PAUSED)
    call(unit, clock).put_in_order()
    assert waiting(unit) == []


def test_the_job_of_a_dead_worker_waits_again(unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition]) -> None:
    """What a worker of the queue had begun that is gone or silent is there for the next; a live one keeps its own."""
    edition = frozen(3 * BLOCK_SIZE)
    begin = "UPDATE procrastinate.procrastinate_jobs SET status = 'doing', worker_id = :who WHERE args->>'number' = :of"
    join = "INSERT INTO procrastinate.procrastinate_workers (last_heartbeat) VALUES (now() - :age) RETURNING id"
    with unit.write() as tx:
        tx.execute(text("SET LOCAL search_path TO public, procrastinate"))
        for number, age in (("0", 29), ("1", 31)):
            who = tx.scalar(text(join), {"age": timedelta(seconds=age)})
            tx.execute(text(begin), {"who": who, "of": number})
        tx.execute(text(begin), {"who": None, "of": "2"})
    assert waiting(unit) == []
    call(unit, clock).put_in_order()
    assert waiting(unit) == [(edition.id, 1, None), (edition.id, 2, None)]


def test_resuming_calls_at_once(unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition]) -> None:
    """The job of a paused edition goes home; when a person resumes it, there is a new one."""
    edition = frozen(1)
    pause_edition(unit, edition, who="admin", why="", now=clock.now())
    serve(call(unit, clock), BlockId(edition.id, 0))
    clear(unit)
    assert resume_edition(unit, edition, who="admin", now=clock.now())
    assert waiting(unit) == [(edition.id, 0, None)]


def test_a_job_for_what_another_sends_goes_home(
    unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition]
) -> None:
    """So does one for a block that is done, or that never was: to run one twice is harmless."""
    edition = frozen(1)
    with unit.write() as tx:
        who = workers.start(tx, name="other", machine="other", now=clock.now())
        assert blocks.claim(tx, who, now=clock.now(), lease=LEASE) is not None
    wakeups = call(unit, clock)
    serve(wakeups, BlockId(edition.id, 0))
    serve(wakeups, BlockId(edition.id, 7))
    assert wakeups.wished() is None


def test_a_job_comes_again_when_it_must(unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition]) -> None:
    """While the sender rests it comes again afterwards; before its block's hour, at that hour; at an end, elsewhere."""
    edition = frozen(1)
    block_id = BlockId(edition.id, 0)
    wakeups = call(unit, clock)
    wakeups.rest(60)
    assert wakeups.resting
    with pytest.raises(RetryLater) as raised:
        serve(wakeups, block_id)
    assert raised.value.at == clock.now() + timedelta(seconds=60)
    wakeups.go_on()
    wakeups.end()
    with pytest.raises(RetryLater) as raised:
        serve(wakeups, block_id)
    assert raised.value.at == clock.now()
    wakeups.begin()
    hour = clock.now() + timedelta(hours=3)
    with unit.write() as tx:
        tx.execute(text("UPDATE block SET not_before = :hour"), {"hour": hour})
    with pytest.raises(RetryLater) as raised:
        serve(wakeups, block_id)
    assert raised.value.at == hour
    assert wakeups.wished() is None


def test_a_call_wakes_the_sender_which_takes_that_block_first(
    unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition], catcher: Catcher
) -> None:
    """The job ends when its block is done; the blocks before it were not begun first."""
    edition = frozen(2 * BLOCK_SIZE)
    sender = make_sender(unit, clock, catcher.port, connections=1)
    wakeups = Wakeups(unit=unit, clock=clock, who=lambda: sender.who)
    sender.wished = wakeups.wished
    job = threading.Thread(target=serve, args=(wakeups, BlockId(edition.id, 1)))
    job.start()
    wakeups.listening = True
    assert wakeups._woken.wait(10)
    began = clock.monotonic()
    wakeups.idle(threading.Event())
    assert clock.monotonic() - began < CALLED_SECONDS
    work(sender)
    wakeups.look_around()
    job.join(10)
    assert not job.is_alive()
    assert catcher.caught[0].rcpt_to == f"p{BLOCK_SIZE}@example.com"
    sender.retire()
