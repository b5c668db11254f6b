"""A whole edition through relays with the habits of the well-known ones; what these received is the judge."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from newsletter.core.cadence import slot_on
from newsletter.core.edition import EditionStatus
from newsletter.flows.freeze import freeze
from newsletter.settings.loader import load_settings
from newsletter.testing.clocks import FastClock
from newsletter.wiring import Application, build
from tests.path.conftest import MakeHome
from tests.path.home import Home
from tests.path.relay_habits import HABITS, Habit, HabitServer

PEOPLE = 250
CONNECTIONS = 5
TUESDAY = datetime(2026, 11, 3, 14, tzinfo=UTC)
pytestmark = pytest.mark.slow
EVERYBODY = {f"p{number}@example.com": 1 for number in range(PEOPLE)}


@dataclass(frozen=True)
class Bearable:
    """What a relay may have to put up with, and how long the edition may take; hours because refused people wait."""

    connections: int = 60
    refusals: int = 30
    hours: float = 2.0
    step: float = 30.0
    """Seconds between two passes."""


BEARABLE: dict[str, Bearable] = {
    # 150 a day, asked for once an hour; those who were refused wait for hours, as greylisting would have it.
    "ses-quota": Bearable(hours=48.0, refusals=60, step=600.0),
    "mailgun": Bearable(connections=PEOPLE // 3 + 30),
    # Thirty a minute: it takes nine minutes at the least. Whoever comes to the wrong moment thrice waits for hours.
    "office365": Bearable(hours=8.0, connections=110, refusals=70),
}


def frozen(home: Home, clock: FastClock) -> Application:
    """Return the application of a home whose edition is frozen, and due."""
    clock.set(TUESDAY)
    application = build(load_settings({}, home.folder), clock=clock)
    slot = slot_on(application.cadence, TUESDAY.date())
    assert slot is not None
    freeze(application.unit, application.render_context, slot, now=clock.now())
    return application


def send(application: Application, home: Home, clock: FastClock, bearable: Bearable) -> None:
    """Let the sender work, pass after pass, until the edition is finished."""
    stop = threading.Event()
    sender = application.sender()
    with application.right_to_send():
        while home.edition().status is not EditionStatus.FINISHED:
            assert clock.monotonic() < bearable.hours * 3600, home.receipt()
            waits = sender.work(stop).wait
            clock.turn(seconds=waits or bearable.step)


@pytest.mark.parametrize("name", HABITS)
def test_an_edition_gets_through_whatever_the_relay_is_used_to(make_sqlite_home: MakeHome, name: str) -> None:
    """Nobody is lost, nobody gets it twice, the books balance, and the relay is neither stormed nor asked in vain."""
    clock = FastClock()
    bearable = BEARABLE.get(name, Bearable())
    with HabitServer(HABITS[name](), clock.monotonic) as server:
        home = make_sqlite_home(server.port, PEOPLE, SMTP_CONNECTIONS=CONNECTIONS)
        send(frozen(home, clock), home, clock, bearable)
    assert server.accepted == EVERYBODY
    receipt = home.receipt()
    assert receipt.balances
    assert (receipt.counts.accepted, receipt.counts.uncertain, receipt.counts.rejected) == (PEOPLE, 0, 0)
    assert server.connections <= bearable.connections
    assert server.refusals.total() <= bearable.refusals, server.refusals


@pytest.mark.parametrize("name", ["ses-quota", "gmail"])
def test_the_second_relay_carries_the_rest_of_the_edition(make_sqlite_home: MakeHome, name: str) -> None:
    """What the first relay does not take for long goes through the second; nobody gets it from both."""
    clock = FastClock()
    with HabitServer(HABITS[name](), clock.monotonic) as first, HabitServer(Habit(), clock.monotonic) as second:
        fallback = {"HOST": "127.0.0.1", "PORT": second.port, "SECURITY": "none"}
        more = {f"FALLBACK_SMTP_{key}": value for key, value in fallback.items()}
        home = make_sqlite_home(first.port, PEOPLE, SMTP_CONNECTIONS=CONNECTIONS, **more)
        send(frozen(home, clock), home, clock, Bearable())
    assert Counter(first.accepted) + Counter(second.accepted) == EVERYBODY
    assert second.accepted.total() >= 90
    assert home.receipt().counts.accepted == PEOPLE
