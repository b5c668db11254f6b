"""The ways out that are no mail: the operator's command and the ping, against real processes and a real server."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from newsletter.operations.alert_hooks import PING_EVERY_SECONDS, AlertCommand, HeartbeatPing
from newsletter.testing.clocks import FixedClock


def run(line: str, text: str, **more: float) -> None:
    """Run a command to its end."""
    command = AlertCommand(line=line, **more)
    command.run(text)
    command.join()


def test_the_command_is_handed_the_text_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The alert stands on standard input and in a variable; the secrets of the newsletter stand nowhere."""
    monkeypatch.setenv("NEWSLETTER_SECRET_KEY", "a secret")
    script, out = tmp_path / "a script.py", tmp_path / "out"
    script.write_text(
        "import os, sys\n"
        "secret = os.environ.get('NEWSLETTER_SECRET_KEY')\n"
        "open(sys.argv[1], 'w').write(repr((sys.stdin.read(), os.environ['NEWSLETTER_ALERT_TEXT'], secret)))\n"
    )
    run(f"'{sys.executable}' '{script}' {out}", "Mail; $(cannot) be sent: “really”.\n")
    assert out.read_text() == repr(("Mail; $(cannot) be sent: “really”.\n",) * 2 + (None,))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("false", "failed with exit code 1"),
        ("no-such-command --now", "cannot be run (no-such-command: No such file or directory);"),
        ("'unbalanced", "cannot be run"),
        ("sh -c 'echo oh no; exit 3'", "exit code 3: oh no"),
    ],
)
def test_a_command_that_fails_is_an_error_in_the_log(line: str, message: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is wrong with the command is one line in the log, and never an exception."""
    with caplog.at_level(logging.WARNING):
        run(line, "x")
    assert message in caplog.text


def test_a_command_that_hangs_is_ended(caplog: pytest.LogCaptureFixture) -> None:
    """After its time a command is stopped; nobody waits for it."""
    with caplog.at_level(logging.WARNING):
        run("tail -f /dev/null", "x", timeout=0.2)
    assert "longer than 0.2 s" in caplog.text


@pytest.fixture
def monitor() -> Iterator[tuple[str, list[str], list[int]]]:
    """Run a service that is pinged, and return its address, what was fetched, and what it answers next."""
    fetched: list[str] = []
    answers = [200]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer and remember."""
            fetched.append(self.path)
            self.send_response(answers[0])
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Keep quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/ping/token", fetched, answers
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_ping_goes_once_a_minute(monitor: tuple[str, list[str], list[int]], clock: FixedClock) -> None:
    """However often a tick goes well, the address is fetched once a minute."""
    url, fetched, _ = monitor
    ping = HeartbeatPing(url=url, monotonic=clock.monotonic)
    for _ in range(14):
        ping.well()
        ping.join()
        clock.turn(seconds=5)
    assert fetched == ["/ping/token"] * 2
    assert PING_EVERY_SECONDS == 60


def test_a_ping_that_fails_is_reported_once(
    monitor: tuple[str, list[str], list[int]], clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A service that is away is one line in the log until it answers again."""
    url, fetched, answers = monitor
    answers[0] = 500
    ping = HeartbeatPing(url=url, monotonic=clock.monotonic)
    with caplog.at_level(logging.WARNING):
        for status in (500, 500, 500, 200, 200):
            answers[0] = status
            ping.well()
            ping.join()
            clock.turn(minutes=1)
    assert len(fetched) == 5
    assert caplog.text.count("could not be fetched") == 1
    assert caplog.text.count("answers again") == 1


def test_nobody_listening_is_no_fault(clock: FixedClock, caplog: pytest.LogCaptureFixture) -> None:
    """An address at which nobody listens is a line in the log."""
    ping = HeartbeatPing(url="http://127.0.0.1:1/", monotonic=clock.monotonic)
    with caplog.at_level(logging.WARNING):
        ping.well()
        ping.join()
    assert "could not be fetched" in caplog.text
