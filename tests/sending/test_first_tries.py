"""The log of an edition: its first tries, and its close days later."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest

from newsletter.core.edition import Edition
from newsletter.store import edition as editions
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import make_sender, work
from tests.sending.scripted import GREYLISTED, TAKEN, UNKNOWN_USER, Answer, Server


def test_the_first_tries_are_logged_and_stored(
    unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition], caplog: pytest.LogCaptureFixture
) -> None:
    """Once everybody had a first try the log says what came of it, once; the close comes when nobody waits any more."""
    edition = frozen(6)

    def script(address: str, nth: int) -> Answer:
        if address == "p1@example.com":
            return UNKNOWN_USER
        return GREYLISTED if address == "p2@example.com" and nth == 1 else TAKEN

    sender = make_sender(unit, clock, Server(script=script).connect)
    with caplog.at_level(logging.INFO, "newsletter.sending.housekeeping"):
        work(sender)
        lines = [record.getMessage() for record in caplog.records]
        assert len(lines) == 1
        assert "4 of 6 handed over in" in lines[0]
        assert lines[0].endswith("; 1 refused, 1 waits")
        with unit.read() as tx:
            tried_at = editions.by_id(tx, edition.id).tried_at
        assert tried_at is not None
        work(sender)
        clock.turn(hours=2)
        work(sender)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert "is closed" in lines[1]
    with unit.read() as tx:
        closed = editions.by_id(tx, edition.id)
    assert closed.tried_at == tried_at
    assert closed.finished_at is not None
    assert closed.finished_at - tried_at > timedelta(hours=1)
