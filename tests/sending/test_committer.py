"""Committer, claim buffer and revocation watcher: claims go out under a lease, and come back when they must not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from newsletter.core.delivery import DeliveryId, DeliveryState
from newsletter.core.edition import Edition
from newsletter.core.pace import Limits, Window
from newsletter.flows import hold
from newsletter.flows.freeze import RenderContext, freeze
from newsletter.journal.writer import Journal
from newsletter.sending.block_queue import BlockQueue
from newsletter.sending.claim_buffer import CLAIMS_MAX, FIRST_CLAIMS_COUNT, Claim, ClaimBuffer
from newsletter.sending.claimer import Claimer
from newsletter.sending.committer import GroupCommitter
from newsletter.sending.connection_worker import ConnectionWorker, Ready
from newsletter.sending.pass_state import PassState
from newsletter.sending.quota import QUOTA
from newsletter.sending.revocation import STUCK_SECONDS, RevocationWatcher
from newsletter.sending.sender import Sender
from newsletter.store import block as blocks
from newsletter.store import delivery as deliveries
from newsletter.store import installation as installations
from newsletter.store import quota as quotas
from newsletter.store import worker as workers
from newsletter.store.database import connect, open_unit
from newsletter.store.schema import delivery
from newsletter.store.unit import Unit
from newsletter.store.worker import WorkerId
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import TUESDAY, add_people, add_tip, first_slot, make_sender, work
from tests.sending.scripted import TAKEN, Answer, Script, Server

Freeze = Callable[[int], Edition]
LEASE = timedelta(seconds=30)
NO_LIMITS = Limits(per_hour=None, per_day=None)


class Worker:
    """A committer with its buffer, as one worker has it; each commit is made by hand, without an event loop."""

    def __init__(
        self,
        unit: Unit,
        clock: FixedClock,
        folder: Path,
        name: str = "one",
        *,
        rate: float | None = None,
        limits: Limits = NO_LIMITS,
    ) -> None:
        """Register the worker and open its journal."""
        with unit.write() as tx:
            self.who = workers.start(tx, name=name, machine=name, now=clock.now())
            identity = installations.get(tx).identity
        self.unit, self.clock = unit, clock
        self.journal = Journal.open(folder, identity=identity, worker=self.who)
        self.pass_state = PassState(stop=threading.Event(), size=1, on_pause=lambda *_: None, connected=1)
        self.claim_buffer = ClaimBuffer(clock=clock, pass_state=self.pass_state)
        self.committer = GroupCommitter(
            unit=unit,
            clock=clock,
            claimer=Claimer(
                block_queue=BlockQueue(who=self.who, lease=LEASE, now=clock.now), limits=limits, rate=rate, clock=clock
            ),
            claim_buffer=self.claim_buffer,
            pass_state=self.pass_state,
            journal=self.journal,
            breaker=lambda _: None,
            on_commit=lambda _: None,
            beat=lambda tx: workers.beat(tx, self.who, now=clock.now(), report={}),
        )

    def commit(self) -> None:
        """Make one commit."""
        self.committer._commit_with_retries()

    def take(self, *, connections: int = 1) -> list[Claim]:
        """Commit, and take all claims as so many connections would before their first message."""
        self.pass_state.connected = connections
        self.commit()
        claims: list[Claim] = []
        while (claim := self.claim_buffer.take()) is not None:
            claims.append(claim)
        return claims

    def send(self, claims: list[Claim]) -> list[DeliveryId]:
        """Note that these went out, and return whose they were."""
        for claim in claims:
            self.claim_buffer.sent(claim)
        return [claim.person.id for claim in claims]

    def watcher(self, *connection_workers: ConnectionWorker) -> RevocationWatcher:
        """Return the revocation watcher of this worker."""
        return RevocationWatcher(
            unit=self.unit,
            clock=self.clock,
            who=self.who,
            claim_buffer=self.claim_buffer,
            connection_workers=connection_workers,
        )


StartWorker = Callable[..., Worker]


@pytest.fixture
def start_worker(unit: Unit, clock: FixedClock, tmp_path: Path) -> Iterator[StartWorker]:
    """Return a function that starts a worker."""
    started: list[Worker] = []

    def start(name: str = "one", **options: object) -> Worker:
        started.append(Worker(unit, clock, tmp_path, name, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for worker in started:
        worker.journal.close()


def states(unit: Unit, edition: Edition) -> dict[str, int]:
    """Count the deliveries of each state."""
    with unit.read() as tx:
        return {state.value: count for state, count in deliveries.counts(tx, edition.id).items() if count}


def owners(unit: Unit) -> set[WorkerId]:
    """Return the workers with claims."""
    with unit.read() as tx:
        query = select(delivery.c.worker).where(delivery.c.state == DeliveryState.SENDING.value)
        return set(tx.execute(query).scalars())


def test_each_delivery_is_claimed_once(frozen: Freeze, start_worker: StartWorker, unit: Unit) -> None:
    """Each commit claims the next people of the queue, until there is nothing more."""
    edition = frozen(10)
    worker = start_worker()
    assert [len(worker.send(worker.take())) for _ in range(4)] == [FIRST_CLAIMS_COUNT, FIRST_CLAIMS_COUNT, 2, 0]
    assert states(unit, edition) == {"sending": 10}
    assert not worker.claim_buffer.wait()
    assert worker.pass_state.queue_empty.is_set()


def test_claims_stay_below_their_bound(frozen: Freeze, start_worker: StartWorker, unit: Unit) -> None:
    """However fast and many the connections are, a process holds at most so many claims."""
    edition = frozen(2 * CLAIMS_MAX)
    worker = start_worker()
    claims = worker.take(connections=CLAIMS_MAX)
    assert len(claims) == CLAIMS_MAX
    worker.claim_buffer.answered = 10 * CLAIMS_MAX
    assert worker.take(connections=CLAIMS_MAX) == []
    assert states(unit, edition)["sending"] == CLAIMS_MAX


def test_a_slow_worker_holds_few_claims(frozen: Freeze, start_worker: StartWorker, clock: FixedClock) -> None:
    """The claims are about as many as the worker sends in half a second, and two for each connection."""
    frozen(100)
    worker = start_worker()
    worker.send(worker.take(connections=3))
    worker.claim_buffer.answered = 3 * FIRST_CLAIMS_COUNT
    clock.turn(seconds=12)
    assert len(worker.take(connections=3)) == 2 * 3


def test_a_lease_that_ran_out(frozen: Freeze, start_worker: StartWorker, unit: Unit, clock: FixedClock) -> None:
    """A worker that slept longer than its lease sends no earlier claim, and leaves another's block alone."""
    frozen(10)
    sleeper = start_worker("sleeper")
    early = sleeper.take()
    assert all(sleeper.claim_buffer.may_send(claim) for claim in early)
    clock.turn(seconds=LEASE.total_seconds() + 1)
    assert not any(sleeper.claim_buffer.may_send(claim) for claim in early)
    with unit.write() as tx:
        # By the clock of the server no time has passed on PostgreSQL.
        blocks.release_all(tx)
    other = start_worker("other")
    others = other.send(other.take())
    # The first commit begins a new lease; claims of the old one stay forbidden.
    assert sleeper.take() == []
    assert not any(sleeper.claim_buffer.may_send(claim) for claim in early)
    for claim in early:
        sleeper.claim_buffer.put_back(claim)
    assert sleeper.take() == []
    sleeper.commit()
    assert owners(unit) == {other.who}
    assert set(others).isdisjoint({claim.person.id for claim in early})
    assert other.send(other.take()) == [9, 10]


@pytest.mark.parametrize("announced", [True, False])
def test_a_stuck_connection_releases_its_claims(
    frozen: Freeze, start_worker: StartWorker, clock: FixedClock, *, announced: bool
) -> None:
    """A connection that waits long for one reply leaves what it has not sent to the others at once."""
    frozen(FIRST_CLAIMS_COUNT)
    worker = start_worker()
    connection_worker = connection_of(worker)
    connection_worker._ready.extend(Ready(claim, envelope=None) for claim in worker.take())  # type: ignore[arg-type]
    connection_worker._offered = connection_worker._ready[0] if announced else None
    connection_worker.waiting_since = clock.monotonic()
    watcher = worker.watcher(connection_worker)
    watcher.revoke_stale_claims()
    assert worker.claim_buffer.take() is None
    clock.turn(seconds=STUCK_SECONDS + 1)
    watcher.revoke_stale_claims()
    claims = [worker.claim_buffer.take() for _ in range(FIRST_CLAIMS_COUNT)]
    # One whose envelope may be with the server stays with its connection.
    assert [claim.person.id for claim in claims if claim is not None] == ([2, 3, 4] if announced else [1, 2, 3, 4])


@pytest.mark.parametrize("with_connection", [True, False])
def test_a_pause_reaches_every_claim(
    frozen: Freeze, start_worker: StartWorker, unit: Unit, clock: FixedClock, *, with_connection: bool
) -> None:
    """A pause reaches the claims of the buffer and those that a connection has, and none counts as an attempt."""
    edition = frozen(FIRST_CLAIMS_COUNT)
    worker = start_worker()
    claims = worker.take() if with_connection else []
    if not with_connection:
        worker.commit()
    hold.pause_edition(unit, edition, who="editor@example.com", why="", now=clock.now())
    worker.watcher().revoke_stale_claims()
    for claim in claims:
        assert not worker.claim_buffer.may_send(claim)
        worker.claim_buffer.put_back(claim)
    assert worker.claim_buffer.take() is None
    worker.commit()
    assert states(unit, edition) == {"queued": FIRST_CLAIMS_COUNT}
    with unit.read() as tx:
        assert tx.execute(select(func.sum(delivery.c.attempts))).scalar_one() == 0


def connection_of(worker: Worker) -> ConnectionWorker:
    """Return a connection worker that never runs."""
    return ConnectionWorker(
        claim_buffer=worker.claim_buffer,
        message_builder=None,
        pass_state=worker.pass_state,
        pool=None,
        journal=worker.journal,
        clock=worker.clock,
    )  # type: ignore[arg-type]


def test_the_pace_does_not_use_up_the_quota(
    frozen: Freeze, start_worker: StartWorker, unit: Unit, clock: FixedClock
) -> None:
    """Of the quota of an hour only claims count, however many were wanted under a slow pace."""
    frozen(40)
    worker = start_worker(rate=2.0, limits=Limits(per_hour=100, per_day=None))
    claimed = 0
    for _ in range(5):
        claimed += len(worker.send(worker.take(connections=8)))
        clock.turn(seconds=5)
    with unit.write() as tx:
        stored = quotas.load_quota(tx, QUOTA)
    assert stored is not None
    assert 0 < claimed <= 10
    assert sum(count for _, count in Window.from_json(stored).minutes) == claimed


@pytest.mark.postgres
def test_two_workers_share_an_edition(postgres_url: str, clock: FixedClock, render_context: RenderContext) -> None:
    """Two processes that send at once reach everybody once, and both take part."""
    engine = connect(postgres_url)
    unit = open_unit(engine)
    edition = freeze_in_blocks(unit, render_context, clock, people=120, blocks_of=20)
    together = threading.Barrier(2, timeout=30)
    servers = [Server(script=meeting(together)) for _ in range(2)]
    senders = [make_sender(unit, clock, server.connect, connections=2) for server in servers]
    run_all(senders)
    assert all(server.accepted.total() >= 20 for server in servers)
    assert servers[0].accepted + servers[1].accepted == {f"p{number}@example.com": 1 for number in range(120)}
    assert states(unit, edition) == {"accepted": 120}
    for sender in senders:
        sender.retire()
    assert list(senders[0].host.journals.glob("*.journal")) == []
    engine.dispose()


def freeze_in_blocks(
    unit: Unit, render_context: RenderContext, clock: FixedClock, *, people: int, blocks_of: int
) -> Edition:
    """Freeze an edition and part its people into small blocks."""
    add_people(unit, people)
    add_tip(unit)
    clock.set(TUESDAY)
    edition = freeze(unit, render_context, first_slot(), now=clock.now()).edition
    assert edition is not None
    with unit.write() as tx:
        ids = tx.execute(select(delivery.c.id).order_by(delivery.c.id)).scalars().all()
        for begin in range(blocks_of, people, blocks_of):
            number = blocks.add(tx, edition.id)
            moved = delivery.c.id.in_(ids[begin : begin + blocks_of])
            tx.execute(update(delivery).where(moved).values(block=number))
    return edition


def meeting(together: threading.Barrier) -> Script:
    """Return a script whose first message waits for the other server's, so that both workers have a block."""
    first = [True]
    lock = threading.Lock()

    def script(_address: str, _nth: int) -> Answer:
        with lock:
            waits = first.pop() if first else False
        if waits:
            together.wait()
        return TAKEN

    return script


def run_all(senders: list[Sender]) -> None:
    """Let all work at once, each until nothing is left for it."""
    threads = [threading.Thread(target=work, args=(sender,)) for sender in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
