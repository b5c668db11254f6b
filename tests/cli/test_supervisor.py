"""What systemd is told: a real datagram socket listens, and the clock is turned by hand."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from newsletter.cli.supervisor import Supervisor
from newsletter.testing.clocks import FixedClock

Heard = Callable[[], list[str]]


def listen(address: str) -> socket.socket:
    """Return a socket that listens as systemd's does."""
    wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    wire.bind(address)
    wire.settimeout(0)
    return wire


def drain(wire: socket.socket) -> list[str]:
    """Return what has come so far."""
    messages = []
    while True:
        try:
            messages.append(wire.recv(4096).decode())
        except BlockingIOError:
            return messages


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Return the address of the socket."""
    return str(tmp_path / "notify")


@pytest.fixture
def heard(place: str) -> Iterator[Heard]:
    """Listen, and return what gives the messages that came."""
    with listen(place) as wire:
        yield lambda: drain(wire)


def made(clock: FixedClock, place: str, **more: str) -> Supervisor:
    """Return a supervisor that expects a ping every 300 s."""
    environ = {"NOTIFY_SOCKET": place, "WATCHDOG_USEC": "300000000", **more}
    return Supervisor(environ, clock=clock, least_patience=15)


def test_the_datagrams_of_a_life(clock: FixedClock, place: str, heard: Heard) -> None:
    """Ready, a status when it changes, pings, and the end, each as one datagram."""
    supervisor = made(clock, place)
    supervisor.ready()
    supervisor.status("next date\nTuesday")
    supervisor.status("next date Tuesday")
    supervisor.ping()
    supervisor.stopping()
    assert heard() == [
        "READY=1",
        "STATUS=next date Tuesday",
        "WATCHDOG=1",
        "STOPPING=1\nSTATUS=finishing the messages in flight",
    ]


def test_the_status_is_for_a_supervisor(clock: FixedClock, place: str) -> None:
    """The service asks the database for its status, and for a hung sender, where a supervisor wants to know."""
    alone = Supervisor({}, clock=clock, least_patience=15)
    assert (alone.reads_status, alone.expects_pings) == (False, False)
    watched = made(clock, place)
    assert (watched.reads_status, watched.expects_pings) == (True, True)


def test_a_hung_tick_stops_the_pings(
    clock: FixedClock, place: str, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    """Half of the watchdog's time after the last tick no ping goes out, the log says why once, and a tick mends it."""
    supervisor = made(clock, place)
    supervisor.expect_ticks()
    clock.turn(seconds=150)
    supervisor.ping()
    assert heard() == ["WATCHDOG=1"]
    clock.turn(seconds=1)
    for _ in range(3):
        supervisor.ping()
    assert heard() == []
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["no tick has ended for 151 s"]
    supervisor.ticked()
    supervisor.ping()
    assert heard() == ["WATCHDOG=1"]


def test_what_a_tick_found_stops_the_pings(clock: FixedClock, place: str, heard: Heard) -> None:
    """A sender that hangs is found by the tick, and no ping goes out until a tick finds it well."""
    supervisor = made(clock, place)
    supervisor.ticked(trouble="the sender was last alive 1300 s ago")
    supervisor.ping()
    assert heard() == []
    supervisor.ticked()
    supervisor.ping()
    assert heard() == ["WATCHDOG=1"]


def test_a_short_watchdog_leaves_time_for_three_ticks(clock: FixedClock, place: str, heard: Heard) -> None:
    """Whoever sets the watchdog to a few seconds does not get a service that is killed between two ticks."""
    supervisor = made(clock, place, WATCHDOG_USEC="4000000")
    supervisor.expect_ticks()
    clock.turn(seconds=15)
    supervisor.ping()
    assert heard() == ["WATCHDOG=1"]


def test_a_process_without_a_scheduler_pings_without_ticks(clock: FixedClock, place: str, heard: Heard) -> None:
    """`run --only web` expects no tick."""
    supervisor = made(clock, place)
    clock.turn(days=1)
    supervisor.ping()
    assert heard() == ["WATCHDOG=1"]


@pytest.mark.parametrize("more", [{"WATCHDOG_USEC": ""}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_PID": "1"}])
def test_no_ping_where_none_is_expected(clock: FixedClock, place: str, heard: Heard, more: dict[str, str]) -> None:
    """Without a watchdog, or with one for another process, there is no ping."""
    supervisor = made(clock, place, **more)
    supervisor.ping()
    assert heard() == []


def test_the_watchdog_of_this_very_process(clock: FixedClock, place: str, heard: Heard) -> None:
    """A watchdog that names this process is meant for it."""
    made(clock, place, WATCHDOG_PID=str(os.getpid())).ping()
    assert heard() == ["WATCHDOG=1"]


def test_a_socket_outside_the_file_system(clock: FixedClock) -> None:
    """An address that begins with @ is an abstract one."""
    with listen(f"\0newsletter-{os.getpid()}") as wire:
        made(clock, f"@newsletter-{os.getpid()}").ready()
        assert drain(wire) == ["READY=1"]


def test_without_a_supervisor_nothing_is_sent(clock: FixedClock, caplog: pytest.LogCaptureFixture) -> None:
    """In a terminal and in a container there is nobody to tell."""
    supervisor = made(clock, "")
    supervisor.ready()
    supervisor.stopping()
    assert caplog.records == []


def test_a_supervisor_that_cannot_be_reached_is_no_reason_to_end(
    clock: FixedClock, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Where nothing listens the log says so once, and the service goes on."""
    supervisor = made(clock, place)
    supervisor.ready()
    supervisor.ping()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
