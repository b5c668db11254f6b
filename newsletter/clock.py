"""The only place that reads the clock or sleeps; everything else is handed a `Clock`.

All times are aware and in UTC. Local time exists in `core/cadence.py` alone.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Protocol

from newsletter.event_loop import run_in_thread

_EVEN_ASLEEP = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux's usual monotonic clock stands still while the machine sleeps; a lease that is long over would seem to hold."""


def wait(event: threading.Event, seconds: float) -> bool:
    """Sleep until the event is set or the seconds are over, in real time; other greenlets of the thread go on."""
    return run_in_thread(lambda: event.wait(max(0.0, seconds)))


class Clock(Protocol):
    """The time and the sleep of a running part; tests pass a clock that they turn by hand."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds from a clock that never steps back."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Sleep until the event is set or the seconds are over; tell whether it is set."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds from a clock that never steps back."""
        return time.clock_gettime(_EVEN_ASLEEP)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Sleep until the event is set or the seconds are over; tell whether it is set."""
        return wait(event, seconds)
