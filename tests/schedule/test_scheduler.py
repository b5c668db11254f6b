"""The scheduler, with APScheduler's real threads; each wait is on an event, with a limit."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

import pytest

from newsletter.clock import SystemClock
from newsletter.errors import Stop
from newsletter.schedule.scheduler import start_scheduler
from newsletter.testing.clocks import FixedClock

LONG = 20.0
"""Seconds after which a test gives up."""


class Count:
    """Counts rings, and lets a test wait for the n-th."""

    def __init__(self) -> None:
        self.rings = 0
        self._changed = threading.Condition()

    def __call__(self) -> None:
        """Count one call."""
        with self._changed:
            self.rings += 1
            self._changed.notify_all()

    def reaches(self, number: int) -> bool:
        """Wait until there were so many calls."""
        with self._changed:
            return self._changed.wait_for(lambda: self.rings >= number, LONG)


def test_the_first_ring_is_at_once() -> None:
    """What became due while the service was down does not wait for a whole interval."""
    count = Count()
    with start_scheduler(count, every_seconds=3600, stop=threading.Event()):
        assert count.reaches(1)


def test_a_late_ring_is_one_ring() -> None:
    """After an hour in which the machine slept there is one call at once for the sixty that were missed."""
    an_hour_ago = FixedClock(SystemClock().now() - timedelta(hours=1))
    count = Count()
    with start_scheduler(count, every_seconds=60, stop=threading.Event(), clock=an_hour_ago):
        assert count.reaches(1)
    assert count.rings == 1


def test_it_rings_again_and_again() -> None:
    """After the first call come others."""
    count = Count()
    with start_scheduler(count, every_seconds=0.01, stop=threading.Event()) as ticker:
        assert count.reaches(4)
        assert ticker.alive


def test_a_callback_that_fails_does_not_end_the_scheduler(caplog: pytest.LogCaptureFixture) -> None:
    """An error is logged with its trace, and the scheduler goes on."""
    count = Count()

    def fail() -> None:
        count()
        raise ValueError("the seventh seal")

    with start_scheduler(fail, every_seconds=0.01, stop=threading.Event()) as ticker:
        assert count.reaches(3)
        assert ticker.alive
    assert "the tick failed" in caplog.text
    assert "the seventh seal" in caplog.text


def test_known_trouble_is_one_line_until_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    """A full disk or a database that is away is no fault of the program: one line without a trace, one at its end."""
    caplog.set_level(logging.INFO)
    count = Count()

    def fail_three_times() -> None:
        count()
        if count.rings <= 3:
            raise Stop("The disk is full; free some space.")

    with start_scheduler(fail_three_times, every_seconds=0.01, stop=threading.Event()):
        assert count.reaches(5)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("ERROR", "the tick failed, and is tried again every few seconds: The disk is full; free some space."),
        ("INFO", "the tick succeeds again"),
    ]
    assert "Traceback" not in caplog.text


def test_it_never_rings_twice_at_a_time(caplog: pytest.LogCaptureFixture) -> None:
    """While a callback runs the scheduler waits, without a warning for every call that it leaves out."""
    caplog.set_level(logging.DEBUG)
    running, let_go, twice = threading.Lock(), threading.Event(), threading.Event()
    count = Count()

    def slow() -> None:
        if not running.acquire(blocking=False):
            twice.set()
            return
        count()
        # Two dozen rings are due in the meantime.
        let_go.wait(0.25)
        running.release()

    with start_scheduler(slow, every_seconds=0.01, stop=threading.Event()):
        assert count.reaches(3)
        let_go.set()
    assert not twice.is_set()
    assert [one.name for one in caplog.records if one.levelno >= logging.WARNING] == []


def test_rings_leave_no_lines_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A log of a year must not consist of rings."""
    caplog.set_level(logging.INFO)
    count = Count()
    with start_scheduler(count, every_seconds=0.01, stop=threading.Event()):
        assert count.reaches(5)
    assert caplog.records == []


def test_closing_waits_for_the_callback() -> None:
    """A tick that is writing is never cut off."""
    began, let_go, finished = threading.Event(), threading.Event(), threading.Event()

    def slow() -> None:
        began.set()
        let_go.wait(LONG)
        finished.set()

    ticker = start_scheduler(slow, every_seconds=3600, stop=threading.Event())
    assert began.wait(LONG)
    closer = threading.Thread(target=ticker.close)
    closer.start()
    closer.join(0.1)
    assert closer.is_alive()
    let_go.set()
    closer.join(LONG)
    assert finished.is_set()
    assert not ticker.alive


def test_it_is_silent_once_the_service_stops() -> None:
    """No tick begins after SIGTERM, even before the scheduler is closed."""
    stop, count = threading.Event(), Count()
    stop.set()
    with start_scheduler(count, every_seconds=0.01, stop=stop):
        # Time for ten calls: a scheduler that ignores the event calls at once.
        threading.Event().wait(0.1)
    assert count.rings == 0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_thread_is_noticed() -> None:
    """APScheduler says that it runs although its thread has died in silence; `alive` does not."""
    count = Count()
    with start_scheduler(count, every_seconds=0.05, stop=threading.Event()) as ticker:
        assert count.reaches(1)
        scheduler = ticker._scheduler
        thread = scheduler._thread

        def die() -> None:
            raise SystemExit

        scheduler._process_jobs = die
        scheduler.wakeup()
        thread.join(LONG)
        assert scheduler.running
        assert not ticker.alive


def test_closing_twice_does_no_harm() -> None:
    """A service that stops in more than one place may close the scheduler in each."""
    ticker = start_scheduler(Count(), every_seconds=3600, stop=threading.Event())
    ticker.close()
    ticker.close()
    assert not ticker.alive
