"""A real Tuesday on a stepped clock: the service as a process of its own, which faketime starts at 08:59:50."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from newsletter.core.edition import EditionStatus
from newsletter.testing.catcher import Catcher, Keep
from tests.path.conftest import MakeHome
from tests.path.home import PATIENCE, Watch, free_port

FAKETIME = shutil.which("faketime")
PEOPLE = 25
NINE = datetime(2026, 11, 3, 14, tzinfo=UTC)
"""09:00 in New York, the Tuesday after the clocks went back."""

Service = subprocess.Popen[str]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(FAKETIME is None, reason="faketime is not installed (Debian: apt-get install faketime)"),
]


@pytest.fixture
def run_from() -> Iterator[Callable[[str, str], Service]]:
    """Return a function that starts the service of a folder, for which it is then that moment in UTC."""
    # The command itself would stand between us and the service, and pass no signal on.
    asked = subprocess.run([str(FAKETIME), "-m", "-f", "+0", "printenv", "LD_PRELOAD"], capture_output=True, check=True)
    started: list[Service] = []

    def run(folder: str, moment: str) -> Service:
        # Waiting goes by the monotonic clock, which nobody steps.
        fake = {"LD_PRELOAD": asked.stdout.decode().strip(), "FAKETIME": f"@{moment}", "TZ": "UTC"}
        words = [sys.executable, "-m", "newsletter", "-C", folder, "run"]
        environ = os.environ | fake | {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        started.append(
            subprocess.Popen(words, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def until(service: Service, words: str) -> str:
    """Read what the service says up to a line with these words."""
    assert service.stdout is not None
    output = ""
    for line in service.stdout:
        output += line
        if words in line:
            return output
    raise AssertionError(f"it ended without {words!r}: {output}")


def end(service: Service) -> None:
    """Stop the service as systemd does."""
    service.send_signal(signal.SIGTERM)
    words, _ = service.communicate(timeout=PATIENCE)
    assert service.returncode == 0, words


def test_a_tuesday(make_sqlite_home: MakeHome, run_from: Callable[[str, str], Service]) -> None:
    """Up since Monday, ten seconds to nine nothing has gone out; at nine the edition is sent to everybody once."""
    watch = Watch()
    with Catcher(script=watch, keep=Keep.COUNTS) as catcher:
        home = make_sqlite_home(catcher.port, PEOPLE, WEB_PORT=free_port())
        monday = run_from(str(home.folder), "2026-11-02 20:00:00")
        until(monday, "first tick")
        end(monday)
        assert catcher.accepted.total() == 0
        tuesday = run_from(str(home.folder), "2026-11-03 13:59:50")
        watch.wait_for(PEOPLE)
        output = until(tuesday, "is closed")
        end(tuesday)
        assert catcher.accepted.total() == PEOPLE == len(catcher.accepted)
    edition = home.edition()
    assert edition.status is EditionStatus.FINISHED
    assert edition.sends_at == NINE
    assert NINE <= edition.started_at < NINE.replace(second=20)
    assert home.receipt().counts.accepted == PEOPLE
    # Each line of the log bears what it is about.
    assert f"is frozen for {PEOPLE} people: “Name your branches” [edition=2026-11-03 part=scheduler]" in output
    assert output.endswith("[edition=2026-11-03 part=sender]\n")
