"""Wake-ups of the sender by the job queue.

In: the blocks that jobs name. Out: a sender that wakes at once and takes them first, and for each job its result: the
block is done, or the time of the next try. The row of the block decides (`store/block.py`); a wake-up is only a hint.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from newsletter.clock import Clock
from newsletter.sending.recovery import SILENT_WORKER_AGE
from newsletter.store import block as blocks
from newsletter.store import jobs
from newsletter.store import worker as workers
from newsletter.store.block import BlockId
from newsletter.store.unit import Unit
from newsletter.store.worker import WorkerId

logger = logging.getLogger(__name__)

ALONE_SECONDS = 1.0
"""Between two looks at an empty queue, where no job would tell."""
CALLED_SECONDS = 5.0
"""The same where jobs do: for the job that was lost."""

BLOCK_POLL_SECONDS = 1.0
"""How long a job sleeps between two looks at the row of its block."""


@dataclass(slots=True, eq=False)
class RetryLater(Exception):  # noqa: N818 - no fault: it carries the time of the next try.
    """The block of a job cannot be sent here now; the job comes again at a time."""

    at: datetime


@dataclass(slots=True, kw_only=True)
class Wakeups:
    """The calls to one sender; any number of threads may call."""

    unit: Unit
    clock: Clock
    who: Callable[[], WorkerId | None]
    """The sender, as a worker; None while it is none."""
    listening: bool = False
    """Whether the queue would call if there was anything to do."""
    _wished: deque[BlockId] = field(default_factory=deque)
    _woken: threading.Event = field(default_factory=threading.Event)
    _turn: threading.Condition = field(default_factory=threading.Condition)
    _rests_until: datetime | None = None
    _over: bool = False

    # Called by the sender.

    def wished(self) -> BlockId | None:
        """Return the next block that a job names; None when there is none."""
        try:
            return self._wished.popleft()
        except IndexError:
            return None

    def idle(self, stop: threading.Event) -> None:
        """Wait for a wake-up, or for as long as is safe."""
        if self.listening:
            self.clock.wait(self._woken, CALLED_SECONDS)
        else:
            self.clock.wait(stop, ALONE_SECONDS)
        self._woken.clear()

    def wake(self) -> None:
        """Let the sender look at once, whatever for."""
        self._woken.set()

    def rest(self, seconds: float) -> None:
        """Take no calls for a while: the mail server is in trouble, or a quota is used up."""
        self._rests_until = self.clock.now() + timedelta(seconds=seconds)
        self.look_around()

    def go_on(self) -> None:
        """Take calls again."""
        self._rests_until = None

    def look_around(self) -> None:
        """Let every job look at its block: something has changed."""
        with self._turn:
            self._turn.notify_all()

    # Called by the job queue.

    @property
    def resting(self) -> bool:
        """Tell whether wake-ups are useless at this moment."""
        return self._rests_until is not None

    def begin(self) -> None:
        """Take calls from now on."""
        self._over = False

    def end(self) -> None:
        """Let every job end."""
        self._over = True
        self.look_around()

    def serve(self, block_id: BlockId, stop: threading.Event) -> None:
        """Have a block sent by this process; return when nothing of it is left to do here.

        Raises `RetryLater` when the job should be retried: its hour has not come, the sender rests, or it ends.
        """
        while True:
            with self.unit.read() as tx:
                block = blocks.standing(tx, block_id, now=self.clock.now())
            me = self.who()
            if block is None or (block.owner is not None and block.owner != me):
                # Done, paused, or reserved by another worker; should that die, the block gets another job.
                return
            if block.owner is None:
                self._call(block_id, block.not_before, stop)
            elif self._over:
                raise RetryLater(self.clock.now())
            with self._turn:
                self._turn.wait(BLOCK_POLL_SECONDS)

    def _call(self, block_id: BlockId, not_before: datetime | None, stop: threading.Event) -> None:
        now = self.clock.now()
        if not_before is not None and not_before > now:
            raise RetryLater(not_before)
        if self._over or stop.is_set():
            raise RetryLater(now)
        if self._rests_until is not None:
            raise RetryLater(max(now, self._rests_until))
        if block_id not in self._wished:
            self._wished.append(block_id)
        self._woken.set()

    def put_in_order(self) -> None:
        """Enqueue blocks without a job and those of dead workers; give up on workers that are silent for long."""
        with self.unit.write() as tx:
            workers.end_silent(tx, now=self.clock.now(), after=SILENT_WORKER_AGE)
            revived = jobs.revive(tx)
            again = jobs.put_up_again(tx)
        if revived or again:
            logger.info("%s blocks waited without a job, %s jobs without a worker", again, revived)
