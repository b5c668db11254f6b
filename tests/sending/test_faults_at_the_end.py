"""Faults at the end of a pass, in a long one, or when it is to stop: nobody waits, nobody is lost."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from newsletter.clock import SystemClock
from newsletter.core.edition import Edition
from newsletter.errors import NotNow, Stop
from newsletter.journal.writer import Journal
from newsletter.sending.sender_loop import send_until_idle
from newsletter.store import claims, installation
from newsletter.store import worker as workers
from newsletter.store.schema import delivery
from newsletter.store.unit import Tx, Unit
from newsletter.testing.clocks import FixedClock
from newsletter.transport.base import ConnectFailure, Connection
from tests.edition_fixtures import make_sender
from tests.sending.scripted import TAKEN, Answer, ScriptedConnection, Server
from tests.sending.test_trouble import counts, everybody


def test_a_connection_that_is_stuck_at_the_end_holds_nobody_up(unit: Unit, frozen: Callable[[int], Edition]) -> None:
    """What a connection without an answer holds goes out over another, though that one had nothing left to do."""
    edition = frozen(4)
    answered, first, others = threading.Event(), threading.Event(), threading.Event()
    opened = itertools.count(1)

    def opening() -> None:
        # The second has nothing to do: the first took all there was.
        if next(opened) == 2:
            first.wait(60)

    def script(_address: str, _nth: int) -> Answer:
        if not first.is_set():
            first.set()
            answered.wait(60)
        else:
            others.set()
        return TAKEN

    server = Server(script=script, opening=opening)
    sender = make_sender(unit, SystemClock(), server.connect, connections=2)
    thread = threading.Thread(target=lambda: sender.work(threading.Event()))
    thread.start()
    try:
        assert others.wait(10)
    finally:
        answered.set()
        thread.join()
    assert server.accepted == everybody(4)
    assert counts(unit, edition) == {"accepted": 4}


def test_a_dead_worker_is_settled_during_a_long_pass(
    unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition]
) -> None:
    """Another worker of the machine need not have sent everything before it goes on with what a dead one had marked."""
    edition = frozen(8)
    if unit._engine.dialect.name == "sqlite":
        pytest.skip("there is one worker at a time")
    with unit.write() as tx:
        identity = installation.get(tx).identity
        first = tx.execute(select(func.min(delivery.c.id))).scalar_one()
        dead = workers.start(tx, name="dead", machine="test machine", now=clock.now())
    settled = threading.Event()

    def script(_address: str, nth: int) -> Answer:
        if not settled.is_set():
            with unit.write() as tx:
                claims.claim(tx, [first + 7], who=dead, now=clock.now())
            Journal.open(sender.host.journals, identity=identity, worker=dead, machine=sender.host.machine).close(
                keep=True
            )
            clock.turn(seconds=10)
            for _ in range(500):
                with unit.read() as tx:
                    if not claims.marked_by(tx, dead):
                        break
                settled.wait(0.01)
            settled.set()
        return TAKEN

    server = Server(script=script)
    sender = make_sender(unit, clock, server.connect, connections=1)
    sender.work(threading.Event())
    with unit.read() as tx:
        assert not claims.marked_by(tx, dead)
    sender.work(threading.Event())
    assert server.accepted == everybody(8)
    assert counts(unit, edition) == {"accepted": 8}


class Gone(Unit):
    """A door to a database that is gone from some moment on."""

    def __init__(self, unit: Unit, gone: threading.Event) -> None:
        """Take the database of another door."""
        super().__init__(unit._engine)
        self._gone = gone

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """Fail before anything is written."""
        if self._gone.is_set():
            message = "The database does not answer."
            raise NotNow(message)
        with super().write() as tx:
            yield tx


def test_a_stop_while_the_database_is_gone(unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition]) -> None:
    """It takes no longer than a stop may: the journal tells what the database could not be told."""
    edition = frozen(40)
    stop = threading.Event()
    stopped_at: list[float] = []

    def script(address: str, _nth: int) -> Answer:
        if address == "p20@example.com":
            stop.set()
            stopped_at.append(clock.monotonic())
        return TAKEN

    server = Server(script=script)
    with suppress(NotNow):
        send_until_idle(make_sender(Gone(unit, stop), clock, server.connect, connections=1), stop)
    assert clock.monotonic() - stopped_at[0] < 30
    send_until_idle(make_sender(unit, clock, server.connect), threading.Event())
    assert server.accepted == everybody(40)
    assert counts(unit, edition) == {"accepted": 40}


def test_a_stop_that_comes_while_a_connection_is_opened(
    unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition]
) -> None:
    """Nothing goes over it any more: who asked for the stop may have waited for long already."""
    edition = frozen(30)
    stop = threading.Event()
    server = Server()
    opened: list[ScriptedConnection] = []

    def connect() -> Connection | ConnectFailure:
        if opened:
            stop.set()
        opened.append(ScriptedConnection(server))
        return opened[-1]

    sender = make_sender(unit, clock, connect, connections=1)
    # The first one is too old when it has its run.
    send_until_idle(sender, stop, progress=lambda _: opened[0].close())
    assert server.asked.total() == 0
    assert counts(unit, edition) == {"queued": 30}


def test_a_journal_that_cannot_be_made(
    unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition], tmp_path: Path
) -> None:
    """Nothing is sent without it, and nobody passes for a worker who could not become one."""
    frozen(1)
    server = Server()
    sender = make_sender(unit, clock, server.connect)
    (tmp_path / "file").touch()
    sender.host = replace(sender.host, journals=tmp_path / "file")
    with pytest.raises(Stop, match="journal"):
        send_until_idle(sender, threading.Event())
    with unit.read() as tx:
        assert not workers.alive(tx, now=clock.now())
    assert server.asked.total() == 0
