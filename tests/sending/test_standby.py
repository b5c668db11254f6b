"""A second service on one SQLite database: it stands by, and says so."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import pytest

from newsletter.errors import NotNow
from newsletter.flows.freeze import RenderContext, freeze
from newsletter.sending.sender_loop import SenderLoop
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import TUESDAY, add_people, add_tip, first_slot, make_sender
from tests.sending.scripted import TAKEN, Answer, Server

PEOPLE = 5


@pytest.mark.parametrize(("refusals", "message"), [(0, 0), (1, 0), (2, 1), (50, 1)])
def test_who_stands_by_says_so_once(
    sqlite_unit: Unit, render_context: RenderContext, caplog: pytest.LogCaptureFixture, refusals: int, message: int
) -> None:
    """Standing by and taking over have a line each; a command that held the right for a moment has none."""
    add_people(sqlite_unit, PEOPLE)
    add_tip(sqlite_unit)
    assert freeze(sqlite_unit, render_context, first_slot(), now=TUESDAY).edition is not None
    stop = threading.Event()
    left = [refusals]

    @contextmanager
    def lock() -> Iterator[Callable[[], bool]]:
        if left[0]:
            left[0] -= 1
            raise NotNow
        yield lambda: True

    def script(_address: str, _nth: int) -> Answer:
        if server.asked.total() == PEOPLE:
            stop.set()
        return TAKEN

    server = Server(script=script)
    sender = make_sender(sqlite_unit, FixedClock(TUESDAY), server.connect)
    with caplog.at_level(logging.INFO, "newsletter.sending.sender_loop"):
        SenderLoop(sender=sender, lock=lock, stop=stop).run()
    lines = [one.getMessage() for one in caplog.records if one.name == "newsletter.sending.sender_loop"]
    assert server.accepted.total() == PEOPLE
    assert len([one for one in lines if "another process sends" in one and "stands by" in one]) == message
    assert len([one for one in lines if "takes over" in one and "no more" in one]) == message


@pytest.mark.parametrize(("opened", "seconds"), [(False, 15), (True, 1)])
def test_an_idle_sender_waits_for_an_edition(
    sqlite_unit: Unit,
    render_context: RenderContext,
    *,
    opened: bool,
    seconds: int,
) -> None:
    """While no edition is open a pass comes every 15 seconds, and an edition that opens ends the wait in one."""
    add_people(sqlite_unit, PEOPLE)
    add_tip(sqlite_unit)
    if opened:
        assert freeze(sqlite_unit, render_context, first_slot(), now=TUESDAY).edition is not None
    clock = FixedClock(TUESDAY)
    sender = make_sender(sqlite_unit, clock, Server().connect)
    SenderLoop(sender=sender, lock=nullcontext, stop=threading.Event())._wait_for_edition()  # type: ignore[arg-type]
    assert clock.monotonic() == seconds
