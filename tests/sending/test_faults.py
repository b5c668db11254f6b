"""Faults in the wrong moment, of the database and of this program: what a server took is never sent again."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields, replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from newsletter.core.edition import Edition, EditionId
from newsletter.core.reply import Reply
from newsletter.errors import NotNow
from newsletter.journal.writer import Journal
from newsletter.sending.claim_buffer import ClaimBuffer
from newsletter.sending.connection_worker import ConnectionWorker
from newsletter.sending.pass_state import PassState
from newsletter.sending.sender import Sender
from newsletter.sending.sender_loop import send_until_idle
from newsletter.store import block as blocks
from newsletter.store import claims, installation
from newsletter.store import worker as workers
from newsletter.store.claims import ClaimedDelivery
from newsletter.store.schema import delivery
from newsletter.store.unit import Tx, Unit
from newsletter.testing.clocks import FixedClock
from newsletter.transport.base import ConnectFailure, Connection
from tests.edition_fixtures import make_sender
from tests.sending.scripted import TAKEN, UNKNOWN_USER, Answer, ScriptedConnection, Server
from tests.sending.test_lost_answers import Forgetful
from tests.sending.test_trouble import counts, everybody


@pytest.mark.parametrize("nth", [1, 2, 7])
def test_a_fault_while_a_message_is_in_flight(
    unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition], monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    """What was handed over when this program failed, or was answered and not recorded, is not sent again."""
    edition = frozen(30)
    server = Server()
    settled = itertools.count(1)

    def add_accepted(claim_buffer: ClaimBuffer, person: ClaimedDelivery, reply: Reply) -> None:
        if next(settled) == nth:
            raise ZeroDivisionError
        right(claim_buffer, person, reply)

    right = ClaimBuffer.add_accepted
    monkeypatch.setattr(ClaimBuffer, "add_accepted", add_accepted)
    sender = make_sender(unit, clock, server.connect, connections=1)
    with pytest.raises(ZeroDivisionError):
        send_until_idle(sender, threading.Event())
    send_until_idle(sender, threading.Event())
    assert server.accepted == everybody(30)
    assert counts(unit, edition) == {"accepted": 30}


def test_an_exit_in_the_midst_of_it(unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition]) -> None:
    """What ends the program where no error is expected is told, and nobody gets two afterwards."""
    edition = frozen(60)
    server = Server()
    signed = itertools.count(1)

    def sign(content: bytes) -> bytes:
        if next(signed) == 20:
            raise SystemExit
        return content

    sender = make_sender(unit, clock, server.connect, connections=3)
    sender.sign = sign
    with pytest.raises(SystemExit):
        send_until_idle(sender, threading.Event())
    send_until_idle(sender, threading.Event())
    assert set(server.accepted.values()) == {1}
    faults = counts(unit, edition)
    # Three connections had a message in flight.
    assert faults["accepted"] + faults.get("uncertain", 0) == 60
    assert faults.get("uncertain", 0) <= 3


def test_a_fault_on_the_way_home(
    unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One connection that fails at its end leaves the others their work, and nothing of the database locked."""
    edition = frozen(60)
    server = Server()
    left = itertools.count(1)

    def go_home(connection_worker: ConnectionWorker) -> None:
        right(connection_worker)
        if next(left) == 1:
            raise ZeroDivisionError

    right = ConnectionWorker._finish
    monkeypatch.setattr(ConnectionWorker, "_finish", go_home)
    sender = make_sender(unit, clock, server.connect, connections=3)
    with pytest.raises(ZeroDivisionError):
        send_until_idle(sender, threading.Event())
    with unit.write() as tx:
        assert tx.execute(select(delivery.c.id).limit(1)).first() is not None
    send_until_idle(sender, threading.Event())
    assert server.accepted == everybody(60)
    assert counts(unit, edition) == {"accepted": 60}


def test_a_database_that_fails_while_a_message_is_in_flight(
    unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition]
) -> None:
    """The server's answer is heard all the same: nobody is uncertain, and nobody gets two."""
    edition = frozen(30)
    server = Server()
    sender = make_sender(unit, clock, server.connect, connections=1)
    spliced = itertools.count(1)

    def sign(content: bytes) -> bytes:
        # The third is spliced while the server has the first; what is read of the database is read there, too.
        if next(spliced) == 3:
            raise NotNow("The database does not answer.")
        return content

    sender.sign = sign
    send_until_idle(sender, threading.Event())
    send_until_idle(sender, threading.Event())
    assert server.accepted == everybody(30)
    assert counts(unit, edition) == {"accepted": 30}


def test_a_stop_while_a_connection_is_being_opened(
    unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is uncertain of those whose turn would have come over a connection that never opened."""
    monkeypatch.setattr("newsletter.sending.sender.JOIN_SECONDS", 0.05)
    edition = frozen(30)
    stop, answered = threading.Event(), threading.Event()
    server = Server()
    opened: list[ScriptedConnection] = []

    def connect() -> Connection | ConnectFailure:
        # The second one is waited for, as one to a host that does not answer.
        if opened:
            stop.set()
            answered.wait(60)
        opened.append(ScriptedConnection(server))
        return opened[-1]

    def stale(_: object) -> None:
        # It was idle for too long when the first run came.
        opened[0].close()

    sender = make_sender(unit, clock, connect, connections=1)
    sender.rules = replace(sender.rules, drain_seconds=-1.0)
    send_until_idle(sender, stop, progress=stale)
    answered.set()
    send_until_idle(make_sender(unit, clock, server.connect), threading.Event())
    assert server.accepted == everybody(30)
    assert counts(unit, edition) == {"accepted": 30}


class Doubly(Forgetful):
    """A door that denies one commit, and fails the first write of this thread that comes after it."""

    def __init__(self, unit: Unit, *, nth: int) -> None:
        """Take the database of another door, and which commit is denied."""
        self._here = threading.current_thread()
        self._denied = False
        super().__init__(unit, fails=self._deny)
        self._nth = nth

    def _deny(self, count: int) -> bool:
        self._denied = self._denied or count == self._nth
        return count == self._nth

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """Fail before anything is written, or behave like the other."""
        if self._denied and threading.current_thread() is self._here:
            self._denied = False
            message = "The database does not answer."
            raise NotNow(message)
        with super().write() as tx:
            yield tx


@pytest.mark.parametrize("nth", range(5, 14))
def test_a_database_that_fails_again_at_the_end_of_a_pass(
    unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition], nth: int
) -> None:
    """Who was marked by a commit whose answer got lost is not uncertain because the last word was not heard either."""
    edition = frozen(150)
    server = Server()
    sender = make_sender(Doubly(unit, nth=nth), clock, server.connect)
    for _ in range(4):
        with suppress(NotNow):
            send_until_idle(sender, threading.Event())
    assert server.accepted == everybody(150)
    assert counts(unit, edition) == {"accepted": 150}


def test_a_database_that_fails_while_journals_are_adopted(
    unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition]
) -> None:
    """The journals of several dead workers wait for the next try, in the same process too; nobody is uncertain."""
    edition = frozen(3)
    server = Server()
    sender = make_sender(unit, clock, server.connect)
    with unit.write() as tx:
        identity = installation.get(tx).identity
        for row in tx.execute(select(delivery.c.id)).scalars().all():
            dead = workers.start(tx, name="dead", machine="test machine", now=clock.now())
            blocks.claim(tx, dead, now=clock.now(), lease=timedelta(seconds=30))
            claims.claim(tx, [row], who=dead, now=clock.now())
            Journal.open(sender.host.journals, identity=identity, worker=dead, machine=sender.host.machine).close(
                keep=True
            )
    lost = Lost(unit, nth=2)
    sender.unit = lost
    with pytest.raises(NotNow):
        sender.recover()
    assert sender.recover() == 2
    sender.unit = unit
    send_until_idle(sender, threading.Event())
    assert counts(unit, edition) == {"accepted": 3}


class Lost(Unit):
    """A door at which one write fails before it has begun."""

    def __init__(self, unit: Unit, *, nth: int) -> None:
        """Take the database of another door, and which write fails."""
        super().__init__(unit._engine)
        self._left = nth

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """Count."""
        self._left -= 1
        if self._left == 0:
            message = "The database does not answer."
            raise NotNow(message)
        with super().write() as tx:
            yield tx


class Blind(Sender):
    """A sender that cannot count once how many were refused."""

    looks = 0

    def _check(self, edition: EditionId, pass_state: PassState) -> None:
        self.looks += 1
        if self.looks == 1:
            raise NotNow("The database is busy.")
        super()._check(edition, pass_state)


def test_a_look_at_refusals_that_fails(unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition]) -> None:
    """What was committed before it is not done again: every run that was marked goes out, and it is looked again."""
    edition = frozen(60)

    def script(address: str, _nth: int) -> Answer:
        clock.turn(seconds=1)
        return UNKNOWN_USER if address == "p1@example.com" else TAKEN

    new_sender = make_sender(unit, clock, Server(script=script).connect, connections=1)
    sender = Blind(
        **{one.name: getattr(new_sender, one.name) for one in fields(new_sender) if one.init and one.name[0] != "_"}
    )
    sender.work(threading.Event())
    assert sender.looks > 1
    assert counts(unit, edition) == {"accepted": 59, "rejected": 1}


class Puzzled(Unit):
    """A unit in which the first read of the revocation watcher raises what nothing expects."""

    seen = 0
    armed = False
    """Set once a message is on its way: from then on only the watcher reads in the thread of the connections."""

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """Fail once."""
        if self.armed and threading.current_thread().name == "connections":
            self.seen += 1
            if self.seen == 1:
                raise ZeroDivisionError
        with super().read() as tx:
            yield tx


def test_a_look_that_fails_is_followed_by_another(
    unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition]
) -> None:
    """A fault of ours in one look does not end the looking."""
    frozen(5)
    puzzled = Puzzled(unit._engine)
    looked = threading.Event()

    def script(_address: str, _nth: int) -> Answer:
        puzzled.armed = True
        for _ in range(500):
            if puzzled.seen > 1:
                break
            looked.wait(0.01)
        return TAKEN

    sender = make_sender(puzzled, clock, Server(script=script).connect, connections=1)
    sender.work(threading.Event())
    assert puzzled.seen > 1
