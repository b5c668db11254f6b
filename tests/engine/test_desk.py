"""The desk, the feed and the look: what is marked goes out under a lease, and comes back when it must not."""

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
from newsletter.engine.courier import Courier
from newsletter.engine.crew import Crew
from newsletter.engine.desk import QUOTA, Desk, Ticket
from newsletter.engine.feed import Feed
from newsletter.engine.hand import Hand
from newsletter.engine.journal import Journal
from newsletter.engine.lookout import STUCK_SECONDS, Lookout
from newsletter.engine.send import Sender
from newsletter.flows import hold
from newsletter.flows.freeze import Kitchen, freeze
from newsletter.store import block as blocks
from newsletter.store import delivery as deliveries
from newsletter.store import installation as installations
from newsletter.store import worker as workers
from newsletter.store.database import connect, open_unit
from newsletter.store.schema import delivery
from newsletter.store.unit import Unit
from newsletter.store.worker import WorkerId
from tests.conftest import FixedClock
from tests.engine.conftest import TUESDAY, add_people, add_tip, first_slot, make_sender, work
from tests.engine.scripted import TAKEN, Answer, Script, Server

Freeze = Callable[[int], Edition]
LEASE = timedelta(seconds=30)
NO_LIMITS = Limits(per_hour=None, per_day=None)


class Office:
    """A desk with its thread, as one worker has it."""

    def __init__(
        self, unit: Unit, clock: FixedClock, name: str, *, rate: float | None = None, limits: Limits = NO_LIMITS
    ) -> None:
        """Enlist the worker and open the desk."""
        with unit.write() as tx:
            self.who = workers.start(tx, name=name, machine=name, now=clock.now())
        self.desk = Desk(
            unit=unit,
            clock=clock,
            limits=limits,
            breaker=lambda _: None,
            rate=rate,
            who=self.who,
            process=name,
            feed=Feed(who=self.who, lease=LEASE, now=clock.now),
            lease=LEASE,
            on_commit=lambda _: None,
        )
        self._thread = threading.Thread(target=self.desk.run)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self.desk.close()
        self._thread.join(30)

    def ask(self, **said: object) -> Ticket:
        """Hand a ticket in and wait for what comes of it."""
        ticket = self.desk.submit(Ticket(**said))  # type: ignore[arg-type]
        ticket.done.wait()
        assert ticket.error is None
        return ticket

    def ids(self, wants: int) -> list[DeliveryId]:
        """Order so many and return who was marked."""
        return [job.person.id for job in self.ask(wants=wants).jobs]


Open = Callable[..., Office]


@pytest.fixture
def offices(unit: Unit, clock: FixedClock) -> Iterator[Open]:
    """Return a function that opens a desk for a new worker."""
    opened: list[Office] = []

    def make(name: str = "ann", **more: object) -> Office:
        opened.append(Office(unit, clock, name, **more))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for office in opened:
        office.close()


def states(unit: Unit, edition: Edition) -> dict[str, int]:
    """Count the states that anybody is in."""
    with unit.read() as tx:
        return {state.value: count for state, count in deliveries.counts(tx, edition.id).items() if count}


def owners(unit: Unit) -> set[WorkerId]:
    """Return who has marked anything."""
    with unit.read() as tx:
        query = select(delivery.c.worker).where(delivery.c.state == DeliveryState.SENDING.value)
        return set(tx.execute(query).scalars())


def hand_of(office: Office, journal: Journal, track: int) -> Hand:
    """Return the hand of a connection that sends nothing."""
    crew = Crew(stop=threading.Event(), size=2, on_pause=lambda *_: None)
    return Hand(desk=office.desk, post=None, crew=crew, track=journal.tracks[track])  # type: ignore[arg-type]


def test_what_waits_is_dealt_out_once(frozen: Freeze, offices: Open, unit: Unit) -> None:
    """Each order gets the next people of the queue, until there is nothing more."""
    edition = frozen(10)
    office = offices()
    assert [len(office.ids(4)) for _ in range(4)] == [4, 4, 2, 0]
    assert office.ask(wants=4).dry
    assert states(unit, edition) == {"sending": 10}


def test_a_lease_that_ran_out(frozen: Freeze, offices: Open, unit: Unit, clock: FixedClock) -> None:
    """Whoever slept longer than its lease sends nothing that it marked before, and leaves another's block alone."""
    frozen(10)
    ann = offices("ann")
    early = list(ann.ask(wants=4).jobs)
    crew = Crew(stop=threading.Event(), size=1, on_pause=lambda *_: None)
    hand = Hand(desk=ann.desk, post=None, crew=crew, track=None)  # type: ignore[arg-type]
    assert all(hand.may(job) for job in early)
    clock.turn(seconds=LEASE.total_seconds() + 1)
    assert not any(hand.may(job) for job in early)
    with unit.write() as tx:
        # By the clock of the server no time has passed on PostgreSQL.
        blocks.release_all(tx)
    bob = offices("bob")
    others = bob.ids(3)
    # The first sign of life begins a new term; what is left over from the old one stays forbidden.
    ann.ask()
    assert not any(hand.may(job) for job in early)
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
    office = offices()
    with open_journal(unit, office, tmp_path) as journal:
        hands = [hand_of(office, journal, track) for track in range(2)]
        couriers = [courier_of(hand, clock) for hand in hands]
        assert hands[0].restock()
        # The next run lies in its ticket, since the connection waits for an answer.
        hands[0]._order()
        assert hands[0]._ticket is not None
        hands[0]._ticket.done.wait()
        assert len(hands[0].held()) == 8
        lookout = Lookout(unit=unit, desk=office.desk, couriers=couriers)
        couriers[0].waiting_since = clock.monotonic()
        lookout.look()
        assert len(hands[0].held()) == 8
        clock.turn(seconds=STUCK_SECONDS + 1)
        lookout.look()
        assert hands[0].held() == []
        assert sorted(office.ids(10)) == list(range(1, 9))


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
    """A pause reaches what a connection holds, also a run that still lies in its ticket."""
    edition = frozen(4)
    office = offices()
    with open_journal(unit, office, tmp_path) as journal:
        hand = hand_of(office, journal, 0)
        if received:
            assert hand.restock()
        else:
            hand._order()
            assert hand._ticket is not None
            hand._ticket.done.wait()
        hold.pause(unit, edition, who="ann", why="", now=clock.now())
        Lookout(unit=unit, desk=office.desk, couriers=[courier_of(hand, clock)]).look()
        assert hand.held() == []
        office.ask()
    assert states(unit, edition) == {"queued": 4}
    with unit.read() as tx:
        assert tx.execute(select(func.sum(delivery.c.attempts))).scalar_one() == 0


def open_journal(unit: Unit, office: Office, folder: Path) -> Journal:
    """Open the journal of a worker."""
    with unit.read() as tx:
        identity = installations.get(tx).identity
    return Journal.open(folder, identity=identity, worker=office.who, tracks=2)


def courier_of(hand: Hand, clock: FixedClock) -> Courier:
    """Return a courier that never runs."""
    return Courier(hand=hand, crew=hand.crew, pool=None, track=hand.track, clock=clock, rate=None)  # type: ignore[arg-type]


def test_the_pace_does_not_use_up_the_quota(frozen: Freeze, offices: Open, unit: Unit, clock: FixedClock) -> None:
    """Of the quota of an hour only what is marked counts, however much was asked for under a slow pace."""
    frozen(40)
    office = offices(rate=2.0, limits=Limits(per_hour=100, per_day=None))
    marked = 0
    for _ in range(5):
        marked += len(office.ids(30))
        clock.turn(seconds=5)
    with unit.write() as tx:
        stored = installations.load_quota(tx, QUOTA)
    assert stored is not None
    assert 0 < marked <= 10
    assert sum(count for _, count in Window.from_json(stored).minutes) == marked


@pytest.mark.postgres
def test_two_workers_share_an_edition(postgres_url: str, clock: FixedClock, kitchen: Kitchen) -> None:
    """Two processes that send at once reach everybody once, and both take part."""
    engine = connect(postgres_url)
    unit = open_unit(engine)
    edition = freeze_in_blocks(unit, kitchen, clock, people=120, blocks_of=20)
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


def freeze_in_blocks(unit: Unit, kitchen: Kitchen, clock: FixedClock, *, people: int, blocks_of: int) -> Edition:
    """Freeze an edition and part its people into small blocks."""
    add_people(unit, people)
    add_tip(unit)
    clock.set(TUESDAY)
    edition = freeze(unit, kitchen, first_slot(), now=clock.now()).edition
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
