"""A worker that sleeps longer than its lease, as a paused machine does, and wakes up in the middle of a message."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from newsletter.cli.sending import stopping
from newsletter.clock import SystemClock
from newsletter.sending.sender import Sender
from newsletter.sending.sender_loop import SenderLoop
from newsletter.settings.loader import load_settings
from newsletter.wiring import Application
from tests.path.conftest import MakeHome
from tests.path.crash_test import KILLS, CrashTest, freeze_next
from tests.path.home import speak_to
from tests.path.recorder import Recorder

LEASE = timedelta(seconds=2)
CONNECTIONS = 4
HELD = CONNECTIONS * 60
"""What a worker may have marked and not sent, at most: under fifty for each connection, and a run on its way."""


class Hasty(Application):
    """An application whose leases are short."""

    def sender(self) -> Sender:
        """Return a sender that is soon taken for asleep."""
        new_sender = super().sender()
        return replace(new_sender, rules=replace(new_sender.rules, lease=LEASE))


def work_hastily(folder: str, out: str) -> None:
    """Be a worker until told to stop."""
    speak_to(out)
    application = Hasty(settings=load_settings({}, Path(folder)), clock=SystemClock())
    stop = threading.Event()
    with stopping(stop):
        SenderLoop(sender=application.sender(), lock=application.right_to_send, stop=stop).run()


@pytest.mark.slow
@pytest.mark.postgres
def test_a_worker_sleeps_longer_than_its_lease(make_postgres_home: MakeHome, tmp_path: Path) -> None:
    """Its block moves to another; awake again it finishes what was in flight and sends nothing that another took."""
    naps = max(1, KILLS // 20)
    people = 300 + naps * 900
    with Recorder(tmp_path, slowness=0.03) as recorder:
        home = make_postgres_home(recorder.port, people, SMTP_CONNECTIONS=CONNECTIONS)
        ordeal = CrashTest(home=home, recorder=recorder, people=people, connections=CONNECTIONS)
        freeze_next(home)
        alive = [home.start_other(work_hastily, str(home.folder)) for _ in range(2)]
        ordeal.started += alive
        for nap in range(naps):
            assert recorder.wait_for(recorder.catch_up() + ordeal.chance.randint(40, 120)), ordeal.found
            sleeper = alive[nap % 2].process
            sleeper.join(ordeal.chance.uniform(0, 0.02))
            os.kill(sleeper.pid or 0, signal.SIGSTOP)
            if nap + 1 == naps:
                # The other one goes on alone with everything that nobody has marked.
                assert recorder.wait_for(people - HELD), ordeal.found
            sleeper.join(LEASE.total_seconds() * 1.5)
            os.kill(sleeper.pid or 0, signal.SIGCONT)
        ordeal.wait_for_the_end(alive)
        for running in alive:
            running.process.terminate()
        assert [running.wait() for running in alive] == [0, 0], ordeal.found
        ordeal.nobody_twice_and_nobody_forgotten()
        assert home.receipt().counts.uncertain == 0
