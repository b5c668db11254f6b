"""Many ask for the same slot at the same time, in threads and in processes: one edition, one mail each."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from newsletter.core.edition import EditionStatus
from newsletter.core.lineup import LineupRules
from newsletter.errors import NotNow
from newsletter.flows.freeze import FreezeResult, RenderContext, freeze
from newsletter.operations.ticker import Ticker
from newsletter.render.environment import make_environment
from newsletter.sending.sender_loop import SenderLoop
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store.database import connect, open_unit, sender_lock
from newsletter.store.unit import Unit
from newsletter.testing.catcher import Catcher, Keep
from newsletter.testing.clocks import FastClock, FixedClock
from tests.edition_fixtures import CADENCE, PUBLICATION, TUESDAY, add_people, add_tip, first_slot, make_sender
from tests.path.conftest import MakeHome
from tests.path.home import PATIENCE, Watch, speak_to, until
from tests.sending.scripted import Server

RENDER_CONTEXT = RenderContext(publication=PUBLICATION, templates=make_environment(None), rules=LineupRules())


def all_at_once(count: int, act: Callable[[], None]) -> None:
    """Run something in so many threads that start together; what one of them raises is raised."""
    barrier = threading.Barrier(count)
    raised: list[BaseException] = []

    def run() -> None:
        barrier.wait(PATIENCE)
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread of the test
            raised.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    if raised:
        raise raised[0]


def one_edition(unit: Unit, people: int) -> None:
    """Check that there is one edition, with one delivery for each person, and that its tip is used up once."""
    with unit.read() as tx:
        [edition] = editions.latest(tx)
        assert sum(deliveries.counts(tx, edition.id).values()) == edition.audience == people
        assert len(editions.history(tx)) == 1


def test_a_hundred_threads_freeze_one_edition(unit: Unit) -> None:
    """Of a hundred that freeze the same slot one makes the edition, and the others are handed the same one."""
    add_people(unit, 30)
    add_tip(unit)
    add_tip(unit, "not-this-one")
    came: list[FreezeResult] = []
    all_at_once(100, lambda: came.append(freeze(unit, RENDER_CONTEXT, first_slot(), now=TUESDAY)))
    assert Counter(frozen.new for frozen in came) == {True: 1, False: 99}
    assert len({frozen.edition.id for frozen in came if frozen.edition is not None}) == 1
    one_edition(unit, 30)


def make_bell(unit: Unit, clock: FixedClock) -> Ticker:
    """Return a bell as each process has its own."""
    return Ticker(
        unit=unit,
        clock=clock,
        cadence=CADENCE,
        grace=timedelta(hours=36),
        render_context=RENDER_CONTEXT,
        process="test",
    )


def tick_in_threads(url: str, out: str) -> None:
    """Ring the bell in many threads of this process, at the time of the first slot."""
    speak_to(out)
    engine = connect(url)
    clock = FixedClock(TUESDAY)
    ticker = make_bell(open_unit(engine), clock)
    ticked = []
    all_at_once(8, lambda: ticked.append(ticker.tick()))
    print(sum(one is not None for one in ticked))  # noqa: T201 - read by the test
    engine.dispose()


def test_four_processes_tick_one_edition(make_home: MakeHome, database_url: str) -> None:
    """Processes that ring the bell at the same time, each in several threads, make one edition together."""
    home = make_home(25, 30)
    assert make_bell(home.unit, FixedClock()).tick() is None
    ticking = [home.start_other(tick_in_threads, database_url) for _ in range(4)]
    assert [one.wait() for one in ticking] == [0] * 4, "\n".join(one.words for one in ticking)
    assert sum(int(one.words.split()[-1]) for one in ticking) == 1
    one_edition(home.unit, 30)


def test_two_services_do_no_harm(unit: Unit, database_url: str) -> None:
    """Two bells and two senders on one database freeze one edition and send it once; the lock lets one send."""
    add_people(unit, 60)
    add_tip(unit)
    clock = FastClock()
    make_bell(unit, clock).tick()
    clock.set(TUESDAY)
    stop = threading.Event()
    server = Server()

    def serve(engine_url: str, barrier: threading.Barrier) -> None:
        engine = connect(engine_url)
        door = open_unit(engine)
        ticker = make_bell(door, clock)
        sender = make_sender(door, clock, server.connect, connections=2)
        loop = SenderLoop(sender=sender, lock=lambda: sender_lock(engine), stop=stop)
        worker = threading.Thread(target=loop.run)
        barrier.wait(PATIENCE)
        worker.start()
        for _ in range(5):
            ticker.tick()
        with door.read() as tx:
            [edition] = editions.latest(tx)
        while not stop.is_set():
            with door.read() as tx:
                if editions.by_id(tx, edition.id).status is EditionStatus.FINISHED:
                    stop.set()
            stop.wait(0.02)
        worker.join(PATIENCE)
        engine.dispose()

    barrier = threading.Barrier(2)
    all_at_once(2, lambda: serve(database_url, barrier))
    assert server.accepted == {f"p{n}@example.com": 1 for n in range(60)}
    one_edition(unit, 60)


def test_the_right_to_send_is_one(database_url: str) -> None:
    """Whoever asks for the right to send while another has it is refused; when it is given back it can be had."""
    engines = [connect(database_url), connect(database_url)]
    with sender_lock(engines[0]), pytest.raises(NotNow), sender_lock(engines[1]):
        pass
    with sender_lock(engines[1]):
        pass
    for engine in engines:
        engine.dispose()


@pytest.mark.parametrize("named", [True, False], ids=["named", "next"])
def test_sends_that_start_together(make_home: MakeHome, *, named: bool) -> None:
    """Three commands that send a slot early at the same moment send it once between them, and no other slot."""
    watch = Watch()
    watch.hold(1)
    with Catcher(script=watch, keep=Keep.COUNTS) as catcher:
        home = make_home(catcher.port, 40)
        add_tip(home.unit, "of-the-week-after")
        [planned] = home.ask("edition", "send", "--now", "--dry-run")
        date = [str(planned["date"])] if named else []
        sends = [home.start("edition", "send", *date, "--now", "--yes") for _ in range(3)]
        # Without a date, a command that begins after the end of the edition takes the next slot.
        for sending in sends:
            until(lambda running=sending: " of 40" in running.words, sending, "it does not join the edition")  # type: ignore[misc]
        watch.release()
        assert [one.wait() for one in sends] == [0] * 3, "\n".join(one.words for one in sends)
        assert catcher.accepted == {f"p{n}@example.com": 1 for n in range(40)}
    one_edition(home.unit, 40)
    assert home.receipt().counts.accepted == 40
