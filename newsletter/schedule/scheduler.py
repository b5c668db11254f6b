"""The scheduler: APScheduler calls one callback every few seconds, and knows nothing of slots.

In: a callback and the event that stops the service. Out: a `TickScheduler` whose `alive` tells whether its thread
lives.
Nothing is stored and nothing is decided here: a late, coalesced or double call does no harm, because the callback asks
the database what is due.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC
from types import TracebackType
from typing import Self

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from newsletter.clock import Clock, SystemClock
from newsletter.errors import NewsletterError
from newsletter.schedule.trouble_log import TroubleLog

logger = logging.getLogger(__name__)

_EXECUTOR = "newsletter"


class TickScheduler:
    """Calls back every few seconds; as a context manager it stops when the block is left."""

    def __init__(
        self, callback: Callable[[], object], *, every_seconds: float, stop: threading.Event, clock: Clock
    ) -> None:
        self._callback = callback
        self._stop = stop
        self._trouble_log = TroubleLog(logger, "the tick")
        # APScheduler logs a line for each call, and a warning for each call that a long one made superfluous.
        _keep_quiet(f"apscheduler.executors.{_EXECUTOR}", logging.ERROR)
        _keep_quiet(f"{__name__}.scheduler", logging.ERROR)
        self._scheduler = _Scheduler(
            timezone=UTC,
            executors={_EXECUTOR: ThreadPoolExecutor(1)},
            logger=logging.getLogger(f"{__name__}.scheduler"),
        )
        self._scheduler.add_job(
            self._call,
            IntervalTrigger(seconds=every_seconds, timezone=UTC),
            executor=_EXECUTOR,
            # At once, so that what became due while the service was down does not wait for the second call.
            next_run_time=clock.now(),
            max_instances=1,
            coalesce=True,
            # The default of one second would drop a late call without a word.
            misfire_grace_time=None,
        )
        self._scheduler.start()

    @property
    def alive(self) -> bool:
        """Tell whether the thread lives; one that died raises nothing anywhere."""
        return self._scheduler.alive

    def close(self) -> None:
        """Call no more, and return when a running callback has ended."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def _call(self) -> None:
        if self._stop.is_set():
            return
        try:
            self._callback()
        except NewsletterError as error:
            self._trouble_log.failed(error)
        except Exception:
            logger.exception("the tick failed; the next one tries again")
        else:
            self._trouble_log.succeeded()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


class _Scheduler(BackgroundScheduler):  # type: ignore[misc] # It publishes no types.
    """APScheduler's, which does not tell by itself whether its thread lives."""

    @property
    def alive(self) -> bool:
        # `running` is only a note of what was last asked for: it stays true when the thread dies.
        thread: threading.Thread | None = self._thread if self.running else None
        return thread is not None and thread.is_alive()


def start_scheduler(
    callback: Callable[[], object], *, every_seconds: float, stop: threading.Event, clock: Clock | None = None
) -> TickScheduler:
    """Call back now and every so many seconds, never twice at a time, until `stop` is set or the scheduler is closed.

    What the callback raises is logged and does not stop the scheduler.
    """
    return TickScheduler(callback, every_seconds=every_seconds, stop=stop, clock=clock or SystemClock())


def _keep_quiet(name: str, level: int) -> None:
    logging.getLogger(name).setLevel(level)
