"""The right to send, when the database that keeps it restarts."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import text

from newsletter.core.edition import Edition
from newsletter.errors import NotNow
from newsletter.store.database import SENDER_LOCK, connect, sender_lock
from newsletter.store.unit import Unit
from newsletter.transport.catcher import Catcher
from tests.conftest import FixedClock
from tests.engine.conftest import make_sender, work

KILL = text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = :low")


def test_a_held_right_stays_held(database_url: str) -> None:
    """Nobody else gets the right while one process has it, and it is told to be held."""
    engine = connect(database_url)
    with sender_lock(engine) as still:
        assert still()
        with pytest.raises(NotNow), sender_lock(engine):
            pass
    engine.dispose()


@pytest.mark.postgres
def test_a_right_that_is_lost_is_noticed(postgres_url: str) -> None:
    """When PostgreSQL drops the connection that holds the right, another process may send, and this one knows."""
    engine, other = connect(postgres_url), connect(postgres_url)
    with sender_lock(engine) as still:
        with other.connect() as connection:
            connection.execute(KILL, {"low": SENDER_LOCK & 0xFFFFFFFF})
        assert not still()
        with sender_lock(other) as theirs:
            assert theirs()
    engine.dispose()
    other.dispose()


def test_without_the_right_nothing_more_goes_out(
    unit: Unit, clock: FixedClock, catcher: Catcher, frozen: Callable[[int], Edition]
) -> None:
    """A pass that lost the right hands out nothing, and says so; with the right again, everybody is reached once."""
    frozen(30)
    sender = make_sender(unit, clock, catcher.port)
    sender.still_mine = lambda: False
    with pytest.raises(NotNow, match="right to send"):
        sender.work(threading.Event())
    assert not catcher.accepted
    sender.still_mine = lambda: True
    work(sender)
    assert catcher.accepted == {f"p{number}@example.com": 1 for number in range(30)}
