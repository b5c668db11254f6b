"""Several sending processes on one PostgreSQL: woken by jobs, they share an edition, come and go, repeat nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from newsletter.clock import SystemClock
from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionStatus
from newsletter.errors import NotNow
from newsletter.sending.wakeups import CALLED_SECONDS
from newsletter.store import jobs
from newsletter.store import worker as workers
from newsletter.store.block import BLOCK_SIZE
from newsletter.store.database import sender_lock
from newsletter.store.schema import tally
from newsletter.store.worker import Worker
from tests.path.conftest import MakeHome
from tests.path.crash_test import freeze_next
from tests.path.home import Home, Running, until
from tests.path.recorder import Recorder

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

WORK = ("run", "--only", "sender")
CONNECTIONS = 4
CLOCK = SystemClock()
MARKED = 50
"""Deliveries that one connection has in hand, at most."""


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    """Return a server that takes a moment for each message, so that there is time to do something meanwhile."""
    with Recorder(tmp_path, slowness=0.03) as server:
        yield server


def living(home: Home) -> list[Worker]:
    """Return the workers that are alive."""
    with home.unit.read() as tx:
        return list(workers.alive(tx, now=CLOCK.now()))


def start(home: Home, count: int) -> list[Running]:
    """Start so many senders and wait until each has enlisted and hears of jobs."""
    before = len(living(home))
    started = [home.start(*WORK) for _ in range(count)]
    until(lambda: len(living(home)) == before + count, started[0], "not enlisted")
    until(lambda: listeners(home) >= before + count, started[0], "not listening")
    return started


def listeners(home: Home) -> int:
    """Return how many processes take jobs."""
    with home.unit.read() as tx:
        return int(tx.exec_driver_sql("SELECT count(*) FROM procrastinate.procrastinate_workers").scalar_one())


def shares(home: Home) -> list[int]:
    """Return how many mails each worker got accepted."""
    with home.unit.read() as tx:
        query = select(func.sum(tally.c.accepted)).group_by(tally.c.worker_id)
        return [int(one) for one in tx.execute(query.where(tally.c.accepted > 0)).scalars()]


def finish(home: Home, running: list[Running]) -> None:
    """Wait for the end of the edition and stop everybody in order."""
    until(
        lambda: home.receipt().edition.status is EditionStatus.FINISHED, running[0], f"not finished: {home.receipt()}"
    )
    for process in running:
        process.stop()


def everybody_once(home: Home, recorder: Recorder, people: int) -> None:
    """Compare the books with what the server has."""
    assert recorder.got == {f"p{number}@example.com": 1 for number in range(people)}
    assert set(home.states().values()) == {DeliveryState.ACCEPTED}
    assert home.receipt().balances


def test_three_share_an_edition(make_postgres_home: MakeHome, recorder: Recorder) -> None:
    """The freeze wakes all three within a second; each sends a part, and no job is left over."""
    people = 6 * BLOCK_SIZE
    home = make_postgres_home(recorder.port, people, SMTP_CONNECTIONS=CONNECTIONS)
    running = start(home, 3)
    shown = json.loads(home.run("status", "--json")[1])
    assert [one["alive"] for one in shown["senders"]] == [True] * 3
    assert shown["parts"]["sender"]["alive"]
    assert all(f"process {one['process']}" in home.run("status")[1] for one in shown["senders"])
    with pytest.raises(NotNow), sender_lock(home.unit._engine):
        pytest.fail("a restore or an upgrade would begin beside three that send")
    began = CLOCK.monotonic()
    freeze_next(home)
    assert recorder.wait_for(1)
    took = CLOCK.monotonic() - began
    finish(home, running)
    everybody_once(home, recorder, people)
    with home.unit.read() as tx:
        assert jobs.waiting(tx) == 0
    assert took < CALLED_SECONDS / 2
    assert len(shares(home)) == 3


def test_sending_by_hand_beside_them(make_postgres_home: MakeHome, recorder: Recorder) -> None:
    """`edition send` freezes, sends along with those that run, and ends with the whole report."""
    people = 4 * BLOCK_SIZE
    home = make_postgres_home(recorder.port, people, SMTP_CONNECTIONS=CONNECTIONS)
    running = start(home, 1)
    code, words = home.run("edition", "send", "--now", "--yes")
    assert code == 0, words
    finish(home, running)
    everybody_once(home, recorder, people)
    assert len(shares(home)) == 2
    assert f"{people:,}" in words


def test_a_rolling_restart(make_postgres_home: MakeHome, recorder: Recorder) -> None:
    """One after the other is told to stop and another one started: nothing is lost, unsure or repeated."""
    people = 5 * BLOCK_SIZE
    home = make_postgres_home(recorder.port, people, SMTP_CONNECTIONS=CONNECTIONS)
    running = start(home, 2)
    freeze_next(home)
    for step in range(1, 5):
        assert recorder.wait_for(step * 400)
        leaving = running.pop(0)
        leaving.process.terminate()
        running.append(home.start(*WORK))
        assert leaving.wait() == 0, leaving.words
    finish(home, running)
    everybody_once(home, recorder, people)
    assert home.receipt().counts.uncertain == 0


def test_a_worker_that_sleeps_longer_than_its_lease(make_postgres_home: MakeHome, recorder: Recorder) -> None:
    """Its block moves to the other one; awake again, it sends nothing that the other took, and nobody is left out."""
    people = 4 * BLOCK_SIZE
    home = make_postgres_home(recorder.port, people, SMTP_CONNECTIONS=CONNECTIONS, LEASE_SECONDS=5)
    running = start(home, 2)
    freeze_next(home)
    assert recorder.wait_for(400)
    sleeper = running[0].process.pid
    assert sleeper is not None
    os.kill(sleeper, signal.SIGSTOP)
    try:
        # All that the sleeper had not marked is sent by the other one, the rest of its own block with it.
        until(lambda: home.receipt().counts.queued == 0, running[1], "its block did not move")
        until(lambda: home.receipt().counts.sending <= MARKED * CONNECTIONS, running[1], f"{home.receipt()}")
    finally:
        os.kill(sleeper, signal.SIGCONT)
    finish(home, running)
    everybody_once(home, recorder, people)


def test_machines_with_journals_of_their_own(make_postgres_home: MakeHome, recorder: Recorder, tmp_path: Path) -> None:
    """What a worker killed elsewhere had marked waits for its machine, which knows it all; others send the rest."""
    people = 3 * BLOCK_SIZE
    home = make_postgres_home(recorder.port, people, SMTP_CONNECTIONS=CONNECTIONS, LEASE_SECONDS=5)
    url = home.unit._engine.url.render_as_string(hide_password=False)
    other = Home.make(tmp_path / "other", url, recorder.port, SMTP_CONNECTIONS=CONNECTIONS, LEASE_SECONDS=5)
    other.unit._engine.dispose()
    [survivor] = start(home, 1)
    victim = other.start(*WORK)
    until(lambda: listeners(home) == 2, victim, "not listening")
    freeze_next(home)
    assert recorder.wait_for(300)
    victim.kill()
    until(lambda: home.receipt().counts.queued == 0, survivor, "its block did not move")
    until(lambda: home.receipt().counts.sending <= MARKED * CONNECTIONS, survivor, "too much is kept")
    assert home.receipt().counts.sending > 0
    back = other.start(*WORK)
    finish(home, [survivor, back])
    assert max(recorder.got.values()) == 1
    receipt = home.receipt()
    assert receipt.balances
    assert receipt.counts.accepted + receipt.counts.uncertain == people
    assert receipt.counts.uncertain <= CONNECTIONS


def test_postgresql_starts_anew(make_postgres_home: MakeHome, recorder: Recorder, postgres_server: str) -> None:
    """In mid-edition it goes away and comes back: all go on by themselves, hear of jobs again, and repeat nothing."""
    people = 4 * BLOCK_SIZE
    home = make_postgres_home(recorder.port, people, SMTP_CONNECTIONS=CONNECTIONS)
    running = start(home, 2)
    freeze_next(home)
    assert recorder.wait_for(400)
    with home.unit.read() as tx:
        folder = tx.exec_driver_sql("SHOW data_directory").scalar_one()
    restart(Path(str(folder)))
    until(
        lambda: home.receipt().edition.status is EditionStatus.FINISHED, running[0], f"not finished: {home.receipt()}"
    )
    everybody_once(home, recorder, people)
    until(lambda: listeners(home) == 2, running[0], "nobody hears of jobs")
    finish(home, running)
    assert not any("Traceback" in one.words for one in running), running[0].words


def restart(data: Path) -> None:
    """Restart the server, as an upgrade of its package does."""
    server = (data / "postmaster.pid").read_text().split()[0]
    tool = Path(f"/proc/{server}/exe").resolve().parent / "pg_ctl"
    # It refuses to work for root.
    owner = data.owner() if os.getuid() == 0 else None
    log = data / "restart.log"
    line = [tool, "restart", "--wait", "--mode=fast", f"--pgdata={data}", f"--log={log}"]
    subprocess.run(line, user=owner, cwd="/", check=True, stdout=subprocess.DEVNULL)
