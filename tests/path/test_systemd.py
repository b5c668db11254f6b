"""The service under systemd's rules: a real process, and a real socket on which its supervisor listens."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from newsletter.cli import service
from newsletter.store import installation as installations
from newsletter.testing.catcher import Catcher, Keep
from tests.path.conftest import MakeHome
from tests.path.home import PATIENCE, Home, Running, Watch, command, free_port


class Ear:
    """Hears what the service says."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.wire.bind(str(place))

    def hear(self, *, within: float = PATIENCE) -> str:
        """Return the next message; raises `TimeoutError` when none comes."""
        self.wire.settimeout(within)
        return self.wire.recv(4096).decode()

    def wait_for(self, beginning: str) -> list[str]:
        """Return every message up to one that begins so."""
        heard = [self.hear()]
        while not heard[-1].startswith(beginning):
            heard.append(self.hear())
        return heard

    def wait_for_silence(self, seconds: float) -> None:
        """Wait until for so long nothing was said."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                self.hear(within=seconds)
            except TimeoutError:
                return
        raise AssertionError("it was never silent")


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[Ear]:
    """Listen as systemd does."""
    ear = Ear(tmp_path / "notify")
    yield ear
    ear.wire.close()


def supervised(folder: str, notify: str, watchdog_usec: str, out: str) -> None:
    """Run the service as systemd starts it, with a quick bell and port 0 for the web part."""
    os.environ |= {"NOTIFY_SOCKET": notify, "WATCHDOG_USEC": watchdog_usec, "WATCHDOG_PID": str(os.getpid())}
    service.TICK_SECONDS, service.STOP_CHECK_SECONDS = 0.2, 0.1
    command(folder, ["run"], out)


def start(home: Home, ear: Ear, watchdog_usec: int) -> Running:
    """Start the service under a supervisor that listens."""
    return home.start_other(supervised, str(home.folder), str(ear.place), str(watchdog_usec))


def test_from_ready_to_stopped_in_mid_edition(make_sqlite_home: MakeHome, ear: Ear) -> None:
    """Ready once all parts run, pings, a status; SIGTERM in mid-edition: stopping, exit code 0, nothing uncertain."""
    watch = Watch()
    with Catcher(script=watch, keep=Keep.COUNTS) as catcher:
        home = make_sqlite_home(catcher.port, 150, RATE_PER_SECOND=60, WEB_PORT=free_port())
        sender = home.start("edition", "send", "--now", "--yes")
        watch.wait_for(5)
        sender.process.terminate()
        assert sender.wait() == 0, sender.words
        running = start(home, ear, 60_000_000)
        heard = ear.wait_for("READY=1")
        assert "running: scheduler, sender, web" in running.words
        heard += ear.wait_for("WATCHDOG=1")
        if not any(line.startswith("STATUS=") for line in heard):
            heard += ear.wait_for("STATUS=")
        assert any(line.startswith("STATUS=sending 20") and "next date" in line for line in heard)
        watch.wait_for(watch.count + 20)
        # As systemd does: SIGTERM, and SIGCONT for a process that was stopped.
        for sign in (signal.SIGTERM, signal.SIGCONT, signal.SIGTERM):
            os.kill(running.process.pid or 0, sign)
        assert running.wait() == 0, running.words
        heard = ear.wait_for("STOPPING=1")
        assert "finishing the messages in flight" in heard[-1]
        with pytest.raises(TimeoutError):
            ear.hear(within=0.01)
        receipt = home.receipt()
        assert (receipt.counts.sending, receipt.counts.uncertain) == (0, 0)
        assert 0 < receipt.counts.accepted == catcher.accepted.total() < 150


def test_a_hung_tick_stops_the_pings_of_a_real_service(make_home: MakeHome, ear: Ear) -> None:
    """While somebody holds the database and a tick cannot end, no ping goes out; afterwards they come again."""
    with Catcher(keep=Keep.COUNTS) as catcher:
        home = make_home(catcher.port, 1, WEB_PORT=free_port())
        running = start(home, ear, 2_000_000)
        ear.wait_for("READY=1")
        ear.wait_for("WATCHDOG=1")
        with home.unit.write() as tx:
            # On SQLite the open transaction is enough, and on PostgreSQL every tick waits for this row.
            installations.lock(tx)
            ear.wait_for_silence(2.0)
            assert running.process.is_alive()
        ear.wait_for("WATCHDOG=1")
        assert "no tick has ended for" in running.words
        running.process.terminate()
        assert running.wait() == 0, running.words
