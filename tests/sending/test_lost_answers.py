"""A commit whose answer got lost: the database has it, the sender does not know, and asks for the same once more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import func, select

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import Edition
from newsletter.errors import NotNow
from newsletter.sending.sender_loop import send_until_idle
from newsletter.store import delivery as deliveries
from newsletter.store.schema import tally
from newsletter.store.unit import Tx, Unit
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import make_sender
from tests.sending.scripted import Server


class Forgetful(Unit):
    """A door whose commits succeed, and now and then raise as if they had not."""

    def __init__(self, unit: Unit, *, fails: Callable[[int], bool]) -> None:
        """Take the database of another door; `fails` tells of which transactions the answer is lost."""
        super().__init__(unit._engine)
        self._fails = fails
        self._count = 0
        self._lock = threading.Lock()

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """Commit, and maybe deny it."""
        with super().write() as tx:
            yield tx
        with self._lock:
            self._count += 1
            lost = self._fails(self._count)
        if lost:
            message = "The database does not answer (it crashed after the commit)."
            raise NotNow(message)


@pytest.mark.parametrize("nth", range(5, 14))
def test_a_commit_without_an_answer(unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition], nth: int) -> None:
    """Everybody gets it once and nobody stays marked, whichever commit it was; each is counted once."""
    edition = frozen(150)
    server = Server()
    # The ones before make the worker; they are not asked for again, and end the run.
    sender = make_sender(Forgetful(unit, fails=lambda count: count == nth), clock, server.connect)
    for _ in range(3):
        try:
            send_until_idle(sender, threading.Event())
        except NotNow:
            continue
    assert server.accepted == {f"p{number}@example.com": 1 for number in range(150)}
    with unit.read() as tx:
        assert deliveries.counts(tx, edition.id)[DeliveryState.ACCEPTED] == 150
        assert tx.execute(select(func.sum(tally.c.accepted))).scalar_one() == 150
