"""Clocks for tests, the demo and the simulation: none of them makes anybody wait for real hours.

In: instants. Out: a `Clock` (`newsletter/clock.py`) that stands, jumps, or runs ahead of the machine.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from newsletter.clock import SystemClock

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
"""Where a fixed clock begins unless a test says otherwise: a Sunday, two days before a slot."""


class FixedClock:
    """A clock that a test turns by hand; waiting turns it too, so that nothing ever sleeps."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._seconds = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the time that was set."""
        with self._lock:
            return self._now

    def monotonic(self) -> float:
        """Return the seconds turned so far, steps of the wall clock aside."""
        with self._lock:
            return self._seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Turn the clock instead of sleeping."""
        if not event.is_set():
            self.turn(seconds=max(0.0, seconds))
        return event.is_set()

    def turn(self, **span: float) -> None:
        """Let time pass."""
        step = timedelta(**span)
        with self._lock:
            self._now += step
            self._seconds += step.total_seconds()

    def set(self, now: datetime) -> None:
        """Step the wall clock, as an operator or a time server does."""
        with self._lock:
            self._now = now


class FastClock(FixedClock):
    """A clock that goes ten times as fast as the real one, and can be turned besides; waiting takes its time.

    For several that wait at once: where one turns the clock by waiting, it turns days into the work of another.
    """

    FASTER = 10.0

    def __init__(self) -> None:
        """Begin now."""
        super().__init__()
        self._real = SystemClock()
        self._begun = self._real.monotonic()

    def now(self) -> datetime:
        """Return the time that was set, and what passed since."""
        return super().now() + timedelta(seconds=self._passed())

    def monotonic(self) -> float:
        """Return the seconds turned so far, and what passed."""
        return super().monotonic() + self._passed()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for a tenth of the time."""
        return self._real.wait(event, seconds / self.FASTER)

    def _passed(self) -> float:
        return (self._real.monotonic() - self._begun) * self.FASTER


class JumpingClock:
    """A clock that stands until it is set; waiting moves it, so that nothing ever sleeps."""

    def __init__(self, start: datetime) -> None:
        self._start = self._now = start
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the time that was set."""
        with self._lock:
            return self._now

    def set(self, moment: datetime) -> None:
        """Let it be a later time at once."""
        with self._lock:
            self._now = max(moment, self._now)

    def monotonic(self) -> float:
        """Return the seconds since the start."""
        return (self.now() - self._start).total_seconds()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Move on instead of sleeping."""
        if not event.is_set():
            self.set(self.now() + timedelta(seconds=max(0.0, seconds)))
        return event.is_set()


class TurnedClock:
    """The clock of the machine, some time ahead; it goes on at its usual pace."""

    def __init__(self) -> None:
        self._machine = SystemClock()
        self._ahead = timedelta()

    def now(self) -> datetime:
        """Return the present instant of the demo."""
        return self._machine.now() + self._ahead

    def machine_now(self) -> datetime:
        """Return the present instant of the machine."""
        return self._machine.now()

    def turn_to(self, moment: datetime) -> None:
        """Let it be another time at once."""
        self._ahead += moment - self.now()

    def monotonic(self) -> float:
        """Return the seconds of the machine."""
        return self._machine.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Sleep as the machine does."""
        return self._machine.wait(event, seconds)
