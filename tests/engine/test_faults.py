"""Faults in the wrong moment, of the database and of this program: what a server took is never sent again."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from newsletter.core.edition import Edition
from newsletter.engine.service import send_until_idle
from newsletter.errors import NotNow
from newsletter.store.unit import Unit
from tests.conftest import FixedClock
from tests.engine.conftest import make_sender
from tests.engine.scripted import Server
from tests.engine.test_trouble import counts, everybody


class Jitter:
    """A source of chance that is broken once."""

    def __init__(self, *, at: int) -> None:
        """Break at the nth call."""
        self._left = at

    def __call__(self) -> float:
        """Count."""
        self._left -= 1
        if self._left == 0:
            raise ZeroDivisionError
        return 0.0


@pytest.mark.parametrize("nth", [1, 2, 7])
def test_a_fault_while_a_message_is_in_flight(
    unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition], nth: int
) -> None:
    """What was handed over when this program failed, or was answered and not recorded, is not sent again."""
    edition = frozen(30)
    server = Server()
    sender = make_sender(unit, clock, server.connect, connections=1, jitter=Jitter(at=nth))
    with pytest.raises(ZeroDivisionError):
        send_until_idle(sender, threading.Event())
    sender.rules = replace(sender.rules, jitter=lambda: 0.0)
    send_until_idle(sender, threading.Event())
    assert server.taken == everybody(30)
    assert counts(unit, edition) == {"accepted": 30}


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
    assert server.taken == everybody(30)
    assert counts(unit, edition) == {"accepted": 30}
