"""The loop of the sender: in the foreground until nothing is due, in the service until a request to stop.

In: a sender and the right to send. Out: passes over the queue, with waits between them while the relay is in trouble.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace

from newsletter.core.delivery import DeliveryState
from newsletter.errors import NewsletterError, NotNow
from newsletter.sending.notice_sender import NoticeSender, posting
from newsletter.sending.options import PassResult
from newsletter.sending.sender import Sender
from newsletter.sending.wakeups import Wakeups
from newsletter.store import block as blocks
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions

logger = logging.getLogger(__name__)

RELAY_BACK_OFF_SECONDS = (5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds before a relay in trouble is tried again."""

IDLE_POLL_SECONDS = 1.0
"""Between two checks for an open edition, where no job wakes the sender."""

IDLE_PASS_SECONDS = 15.0
"""Between two passes, and two heartbeats, while no edition is open; a quarter of the age at which one is late."""

FOREGROUND_PAUSE_MAX_SECONDS = 60.0
"""How long a foreground run waits for a relay that had enough."""

LOCK_REFUSALS_LOGGED_MIN = 2
"""Refusals in a row after which another process sends: a command that only looks holds the right for a moment, too."""

NEARLY_DUE_SECONDS = 5.0
"""A foreground run waits this long for deliveries that are nearly due (design, `edition send`)."""

FRUITLESS_PASSES_MAX = 3
"""Passes in a row without one accepted message after which a foreground run gives up."""

Progress = Callable[[Counter[DeliveryState]], None]


def send_until_idle(
    sender: Sender,
    stop: threading.Event,
    *,
    progress: Progress = lambda _: None,
    tell: Callable[[], None] = lambda: None,
) -> PassResult:
    """Work until nothing is due within five seconds, a stop is requested, or the relay stays in trouble.

    Needs the sender lock. The counts of the returned pass are those of the whole run. `tell` is called at its end, to
    write what people should hear of it.
    """
    try:
        with posting(NoticeSender.beside(sender), stop):
            result = _until_idle(sender, stop, progress)
            tell()
            return result
    finally:
        sender.retire()


def _until_idle(sender: Sender, stop: threading.Event, progress: Progress) -> PassResult:
    total: Counter[DeliveryState] = Counter()
    seconds = 0.0
    fruitless = 0
    while True:
        last = sender.work(stop, progress=_on_top_of(total, progress))
        total += last.counts
        seconds += last.book_seconds
        result = replace(last, counts=total, book_seconds=seconds)
        if stop.is_set() or last.needs_person:
            return result
        fruitless = 0 if last.counts[DeliveryState.ACCEPTED] else fruitless + 1
        pause = _pause(sender, last, fruitless, untouched=not total)
        if pause is None:
            return result
        sender.clock.wait(stop, pause)


def _on_top_of(earlier: Counter[DeliveryState], progress: Progress) -> Progress:
    """Add the counts of earlier passes of this run."""
    base = earlier.copy()
    return lambda counts: progress(base + counts)


def _pause(sender: Sender, result: PassResult, fruitless: int, *, untouched: bool) -> float | None:
    """Return how long to wait before the next pass, None to end the run."""
    if result.trouble:
        # A server that was never reached is reported at once; one that refused for now gets its time.
        pause = max(result.wait, RELAY_BACK_OFF_SECONDS[fruitless])
        return None if untouched or fruitless >= FRUITLESS_PASSES_MAX or pause > FOREGROUND_PAUSE_MAX_SECONDS else pause
    if result.wait > NEARLY_DUE_SECONDS:
        return None
    if result.counts:
        return 0.0
    now = sender.clock.now()
    with sender.unit.read() as tx:
        ahead = [at for at in (deliveries.next_due(tx), blocks.next_start(tx, now=now)) if at is not None]
    if not ahead:
        return None
    seconds = (min(ahead) - now).total_seconds()
    return max(0.0, seconds) if seconds <= NEARLY_DUE_SECONDS else None


@dataclass(kw_only=True)
class SenderLoop:
    """The sender inside the service."""

    sender: Sender
    lock: Callable[[], AbstractContextManager[Callable[[], bool]]]
    stop: threading.Event
    also: Callable[[], None] = lambda: None
    """Called now and then, whatever the sender is at: it checks the heartbeat of the scheduler."""
    wakeups: Wakeups | None = None
    """On PostgreSQL: wakes the sender when there is something to do."""
    listening: Callable[[threading.Event], AbstractContextManager[None]] = lambda _: nullcontext()
    """Receives jobs while it is entered, and wakes the sender."""
    _still: Callable[[], bool] = lambda: True
    _refused: int = 0
    """How often in a row the right to send was not to be had."""
    unanswered: int = 0
    """Messages without an answer when the service had to end."""

    def run(self) -> None:
        """Hold the right to send and use it; without it, stand by."""
        while not self.stop.is_set():
            try:
                with ExitStack() as held:
                    if self._take(held):
                        self._hold()
            except NewsletterError as error:
                logger.error("%s", error)  # noqa: TRY400 - its own sentence says all
                self.sender.clock.wait(self.stop, RELAY_BACK_OFF_SECONDS[1])
            except Exception:
                logger.exception("the sender failed; it starts again")
                self.sender.clock.wait(self.stop, RELAY_BACK_OFF_SECONDS[2])

    def _take(self, held: ExitStack) -> bool:
        """Take the right to send; without it, stand by for a moment."""
        try:
            self._still = held.enter_context(self.lock())
        except NotNow:
            # Another process sends; should it die, the operating system frees the lock and we go on.
            self._stand_by()
            return False
        if self._refused >= LOCK_REFUSALS_LOGGED_MIN:
            logger.info("the other process sends no more: this one takes over")
        self._refused = 0
        return True

    def _stand_by(self) -> None:
        self._refused += 1
        if self._refused == LOCK_REFUSALS_LOGGED_MIN:
            logger.info(
                "another process sends (`newsletter status` names it): this one stands by and takes over after it"
            )
        self.sender.clock.wait(
            self.stop, RELAY_BACK_OFF_SECONDS[0] if self._refused >= LOCK_REFUSALS_LOGGED_MIN else IDLE_POLL_SECONDS
        )

    def _hold(self) -> None:
        try:
            with posting(NoticeSender.beside(self.sender), self.stop, also=self.also), self.listening(self.stop):
                self._work()
        finally:
            self.sender.retire()

    def _work(self) -> None:
        troubled = 0
        while not self.stop.is_set() and self._still():
            result = self.sender.work(self.stop)
            self.unanswered += result.unanswered
            troubled = troubled + 1 if result.trouble and not result.counts[DeliveryState.ACCEPTED] else 0
            if result.trouble:
                logger.warning("%s (next try in %.0f s)", result.trouble, RELAY_BACK_OFF_SECONDS[min(troubled, 5)])
                self._rest(RELAY_BACK_OFF_SECONDS[min(troubled, 5)])
            elif result.wait:
                self._rest(min(result.wait, RELAY_BACK_OFF_SECONDS[3]))
            else:
                self._be_called(idle=not result.counts)

    def _be_called(self, *, idle: bool) -> None:
        """Wait for something to do, unless something was done just now."""
        if self.wakeups is not None:
            self.wakeups.look_around()
        if idle:
            self._wait_for_edition()

    def _wait_for_edition(self) -> None:
        """Wait until an edition is open, or the next pass is due; while one is open, for a moment."""
        clock = self.sender.clock
        self.sender.beat()
        until = clock.monotonic() + IDLE_PASS_SECONDS
        while not self.stop.is_set() and clock.monotonic() < until:
            if self.wakeups is None:
                clock.wait(self.stop, IDLE_POLL_SECONDS)
            else:
                self.wakeups.idle(self.stop)
            with self.sender.unit.read() as tx:
                if editions.has_unfinished(tx):
                    return

    def _rest(self, seconds: float) -> None:
        """Wait, whatever is called for: jobs come again afterwards, or go to another process."""
        if self.wakeups is None:
            self._wait(seconds)
            return
        self.wakeups.rest(seconds)
        self._wait(seconds)
        self.wakeups.go_on()

    def _wait(self, seconds: float) -> None:
        clock = self.sender.clock
        until = clock.monotonic() + seconds
        while not self.stop.is_set() and clock.monotonic() < until:
            self.sender.beat()
            clock.wait(self.stop, min(RELAY_BACK_OFF_SECONDS[0], until - clock.monotonic()))
