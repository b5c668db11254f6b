"""The desk, the feed and the look: what is marked goes out under a lease, and comes back when it must not."""

from __future__ import annotations

import threading
from collections.abc import Callable
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
from newsletter.sending.claim_buffer import ClaimBuffer
from newsletter.sending.committer import CommitRequest, GroupCommitter
from newsletter.sending.connection_worker import ConnectionWorker
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


class ImmediateCommitter(GroupCommitter):
    """Commits each request at once, without an event loop."""

    def submit(self, request: CommitRequest) -> CommitRequest:
        """Commit."""
        self._work([request])
        return request


class NoticeContext:
    """A committer, as one worker has it."""

    def __init__(
        self, unit: Unit, clock: FixedClock, name: str, *, rate: float | None = None, limits: Limits = NO_LIMITS
    ) -> None:
        """Enlist the worker and open the desk."""
        with unit.write() as tx:
            self.who = workers.start(tx, name=name, machine=name, now=clock.now())
        self.committer = ImmediateCommitter(
            unit=unit,
            clock=clock,
            limits=limits,
            breaker=lambda _: None,
            rate=rate,
            who=self.who,
            process=name,
            block_queue=BlockQueue(who=self.who, lease=LEASE, now=clock.now),
            lease=LEASE,
            on_commit=lambda _: None,
        )

    def ask(self, **said: object) -> CommitRequest:
        """Hand a request in and wait for what comes of it."""
        request = self.committer.submit(CommitRequest(**said))  # type: ignore[arg-type]
        assert request.error is None
        return request

    def ids(self, wants: int) -> list[DeliveryId]:
        """Order so many and return who was marked."""
        return [job.person.id for job in self.ask(wants=wants).claims]


Open = Callable[..., NoticeContext]


@pytest.fixture
def offices(unit: Unit, clock: FixedClock) -> Open:
    """Return a function that opens a committer for a new worker."""
    return lambda name="ann", **more: NoticeContext(unit, clock, name, **more)


def states(unit: Unit, edition: Edition) -> dict[str, int]:
    """Count the states that anybody is in."""
    with unit.read() as tx:
        return {state.value: count for state, count in deliveries.counts(tx, edition.id).items() if count}


def owners(unit: Unit) -> set[WorkerId]:
    """Return who has marked anything."""
    with unit.read() as tx:
        query = select(delivery.c.worker).where(delivery.c.state == DeliveryState.SENDING.value)
        return set(tx.execute(query).scalars())


def hand_of(notice_context: NoticeContext) -> ClaimBuffer:
    """Return the hand of a connection that sends nothing."""
    pass_state = PassState(stop=threading.Event(), size=2, on_pause=lambda *_: None)
    return ClaimBuffer(committer=notice_context.committer, message_builder=None, pass_state=pass_state)  # type: ignore[arg-type]


def test_what_waits_is_dealt_out_once(frozen: Freeze, offices: Open, unit: Unit) -> None:
    """Each order gets the next people of the queue, until there is nothing more."""
    edition = frozen(10)
    notice_context = offices()
    assert [len(notice_context.ids(4)) for _ in range(4)] == [4, 4, 2, 0]
    assert notice_context.ask(wants=4).queue_empty
    assert states(unit, edition) == {"sending": 10}


def test_a_lease_that_ran_out(frozen: Freeze, offices: Open, unit: Unit, clock: FixedClock) -> None:
    """Whoever slept longer than its lease sends nothing that it marked before, and leaves another's block alone."""
    frozen(10)
    ann = offices("ann")
    early = list(ann.ask(wants=4).claims)
    pass_state = PassState(stop=threading.Event(), size=1, on_pause=lambda *_: None)
    claim_buffer = ClaimBuffer(committer=ann.committer, message_builder=None, pass_state=pass_state)  # type: ignore[arg-type]
    assert all(claim_buffer.may_send(job) for job in early)
    clock.turn(seconds=LEASE.total_seconds() + 1)
    assert not any(claim_buffer.may_send(job) for job in early)
    with unit.write() as tx:
        # By the clock of the server no time has passed on PostgreSQL.
        blocks.release_all(tx)
    bob = offices("bob")
    others = bob.ids(3)
    # The first sign of life begins a new term; what is left over from the old one stays forbidden.
    ann.ask()
    assert not any(claim_buffer.may_send(job) for job in early)
    assert ann.ids(10) == []
    ann.ask(unused=[job.person.id for job in early])
    assert owners(unit) == {bob.who}
    assert set(others).isdisjoint({job.person.id for job in early})
    assert bob.ids(10) == list(range(8, 11))


def test_a_stuck_connection_loses_its_hand(
    frozen: Freeze, offices: Open, unit: Unit, clock: FixedClock, tmp_path: Path
) -> None:
    """What a connection holds that waits long for one answer goes to the others at once; a run on its way too."""
    frozen(8)
    notice_context = offices()
    with open_journal(unit, notice_context, tmp_path) as journal:
        hands = [hand_of(notice_context) for _ in range(2)]
        connection_workers = [worker_of(claim_buffer, journal, clock) for claim_buffer in hands]
        assert hands[0].refill()
        # The next run lies in its request, since the connection waits for an answer.
        hands[0]._request_claims()
        assert len(hands[0].held()) == 8
        revocation_watcher = RevocationWatcher(
            unit=unit, committer=notice_context.committer, connection_workers=connection_workers
        )
        connection_workers[0].waiting_since = clock.monotonic()
        revocation_watcher.revoke_stale_claims()
        assert len(hands[0].held()) == 8
        clock.turn(seconds=STUCK_SECONDS + 1)
        revocation_watcher.revoke_stale_claims()
        assert hands[0].held() == []
        assert sorted(notice_context.ids(10)) == list(range(1, 9))


@pytest.mark.parametrize("received", [True, False])
def test_the_look_reaches_every_run(
    frozen: Freeze,
    offices: Open,
    unit: Unit,
    clock: FixedClock,
    tmp_path: Path,
    *,
    received: bool,
) -> None:
    """A pause reaches what a connection holds, also a run that still lies in its request."""
    edition = frozen(4)
    notice_context = offices()
    with open_journal(unit, notice_context, tmp_path) as journal:
        claim_buffer = hand_of(notice_context)
        if received:
            assert claim_buffer.refill()
        else:
            claim_buffer._request_claims()
        hold.pause_edition(unit, edition, who="ann", why="", now=clock.now())
        RevocationWatcher(
            unit=unit, committer=notice_context.committer, connection_workers=[worker_of(claim_buffer, journal, clock)]
        ).revoke_stale_claims()
        assert claim_buffer.held() == []
        notice_context.ask()
    assert states(unit, edition) == {"queued": 4}
    with unit.read() as tx:
        assert tx.execute(select(func.sum(delivery.c.attempts))).scalar_one() == 0


def open_journal(unit: Unit, notice_context: NoticeContext, folder: Path) -> Journal:
    """Open the journal of a worker."""
    with unit.read() as tx:
        identity = installations.get(tx).identity
    return Journal.open(folder, identity=identity, worker=notice_context.who)


def worker_of(claim_buffer: ClaimBuffer, journal: Journal, clock: FixedClock) -> ConnectionWorker:
    """Return a connection worker that never runs."""
    return ConnectionWorker(
        claim_buffer=claim_buffer,
        pass_state=claim_buffer.pass_state,
        pool=None,
        journal=journal,
        clock=clock,
        rate=None,
    )  # type: ignore[arg-type]


def test_the_pace_does_not_use_up_the_quota(frozen: Freeze, offices: Open, unit: Unit, clock: FixedClock) -> None:
    """Of the quota of an hour only what is marked counts, however much was asked for under a slow pace."""
    frozen(40)
    notice_context = offices(rate=2.0, limits=Limits(per_hour=100, per_day=None))
    marked = 0
    for _ in range(5):
        marked += len(notice_context.ids(30))
        clock.turn(seconds=5)
    with unit.write() as tx:
        stored = quotas.load_quota(tx, QUOTA)
    assert stored is not None
    assert 0 < marked <= 10
    assert sum(count for _, count in Window.from_json(stored).minutes) == marked


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
    assert all(server.taken.total() >= 20 for server in servers)
    assert servers[0].taken + servers[1].taken == {f"p{number}@example.com": 1 for number in range(120)}
    assert states(unit, edition) == {"accepted": 120}
    for sender in senders:
        sender.retire()
    assert list(senders[0].journals.glob("*.journal")) == []
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
