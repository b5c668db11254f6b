"""Many conversations in one thread: each goes on until it has to wait, and then the next one has its turn.

In: pieces of work that wait by what stands here alone. Out: the same waits, which in a thread of its own simply block.
Ten threads hand the interpreter's lock around at every word of a server, and that costs more than the word. Work that
can wait only in ways of its own (a name to look up, a database) is done `apart`, in a thread that nobody waits for.
"""

from __future__ import annotations

import os
import queue
import select
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Generic, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

from newsletter.clock import SystemClock

T = TypeVar("T")

_monotonic = SystemClock().monotonic
_here = threading.local()
"""What serves the present thread, if anything does."""


class GreenletLoop:
    """Serves some conversations until all of them are over; for one thread, and for one use."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._loop: greenlet | None = None
        self._next: deque[tuple[greenlet, int]] = deque()
        """Whose turn it is, and what came of what was waited for."""
        self._poll = select.poll()
        self._watched: dict[int, int] = {}
        """For which events each socket is registered."""
        self._waiting: dict[int, tuple[greenlet, float]] = {}
        """Who waits at which socket, and until when."""
        self._look_at = float("inf")
        """When the earliest of these is over; it may be earlier than that, never later."""
        self._rung: deque[greenlet] = deque()
        """Who was called from other threads."""
        self._asleep = False
        self._door = threading.Lock()
        """Nobody knocks at a door that is being taken away."""
        self._mouth: int | None = None
        self._apart = _Apart()

    def run(self, works: Sequence[Callable[[], None]]) -> None:
        """Do all of this in turns; what one of them raises ends everything and is raised here."""
        self._loop = getcurrent()
        self._ear, self._mouth = os.pipe()
        for end in (self._ear, self._mouth):
            os.set_blocking(end, False)
        self._poll.register(self._ear, select.POLLIN)
        lines = [greenlet(work) for work in works]
        _here.turns = self
        try:
            for line in lines:
                line.gr_context = copy_context()
            self._next.extend((line, 0) for line in lines)
            away = len(lines)
            while away:
                if not self._next:
                    self._look()
                while self._next:
                    line, came = self._next.popleft()
                    if line:
                        line.switch(came)
                    else:
                        # It has not begun yet.
                        line.switch()
                    away -= line.dead
        finally:
            _here.turns = None
            self._end(lines)

    def _end(self, lines: Sequence[greenlet]) -> None:
        """Take everything down. After a fault some are left in the midst of something, with locks and transactions."""
        self._apart.close()
        # The mouth first: who speaks into it must have somebody to hear it.
        with self._door:
            if self._mouth is not None:
                os.close(self._mouth)
            self._mouth = None
        os.close(self._ear)
        for line in lines:
            if line:
                with suppress(Exception):
                    # Each lets go of what it holds; from now on it waits as one does who is alone in a thread.
                    line.throw(GreenletExit)

    def at(self, handle: int, events: int, seconds: float) -> int:
        """Let the others go on until something happens at a socket, and return what; 0 when nothing did in time."""
        if self._watched.get(handle) != events:
            self._poll.register(handle, events)
            self._watched[handle] = events
        until = _monotonic() + seconds
        self._look_at = min(self._look_at, until)
        self._waiting[handle] = (getcurrent(), until)
        return self.pause()

    def pause(self) -> int:
        """Let the others go on until this one is called."""
        assert self._loop is not None  # noqa: S101 only what `run` runs gets here
        came: int = self._loop.switch()
        return came

    def call(self, line: greenlet) -> None:
        """Give somebody who paused the next turn; from any thread."""
        self._rung.append(line)
        if self._asleep:
            # A full pipe wakes as well as one more byte would.
            with self._door, suppress(BlockingIOError):
                if self._mouth is not None:
                    os.write(self._mouth, b"\0")

    def step_aside(self) -> None:
        """Let those go first for whom something came meanwhile."""
        self.call(getcurrent())
        self.pause()

    def apart(self, work: Callable[[], T]) -> T:
        """Do something in another thread, and let the others go on meanwhile."""
        line = getcurrent()
        errand = _Errand(work, lambda: self.call(line))
        self._apart.take(errand)
        try:
            self.pause()
        except GreenletExit:
            # Whatever it does, nobody may undo before it is done.
            errand.over.wait()
            raise
        return errand.result()

    def _look(self) -> None:
        """Wait until something happens, and find out whose turn it is."""
        self._asleep = True
        # Who is called after this finds us asleep; who was called before it is found here.
        wait = 0.0 if self._rung else self._look_at - _monotonic()
        events = self._poll.poll(None if wait == float("inf") else max(0.0, wait * 1000))
        self._asleep = False
        for handle, what in events:
            found = self._waiting.pop(handle, None)
            if found is not None:
                self._next.append((found[0], what))
            elif handle == self._ear:
                os.read(self._ear, 4096)
            else:
                # Nobody wants to hear of it now, or it was closed.
                self._poll.unregister(handle)
                del self._watched[handle]
        while self._rung:
            self._next.append((self._rung.popleft(), 0))
        if _monotonic() >= self._look_at:
            self._give_up()

    def _give_up(self) -> None:
        """Call those who have waited for as long as they would."""
        now = _monotonic()
        for handle, (line, until) in list(self._waiting.items()):
            if until <= now:
                del self._waiting[handle]
                self._next.append((line, 0))
        self._look_at = min((until for _, until in self._waiting.values()), default=float("inf"))


class OneShotEvent:
    """Something that happens once; whoever waits for it is called from whatever thread it happens in."""

    __slots__ = ("_calls", "_lock", "rung")

    def __init__(self) -> None:
        """Begin before it happened."""
        self.rung = False
        self._lock = threading.Lock()
        self._calls: list[Callable[[], None]] = []

    @property
    def awaited(self) -> bool:
        """Tell whether somebody waits for it at this moment."""
        return bool(self._calls)

    def ring(self) -> None:
        """Let it happen."""
        with self._lock:
            self.rung = True
            calls, self._calls = self._calls, []
        for call in calls:
            call()

    def wait(self) -> None:
        """Wait until it happened."""
        turns = _present()
        if turns is None:
            event = threading.Event()
            if self._calls_later(event.set):
                event.wait()
            return
        line = getcurrent()
        if self._calls_later(lambda: turns.call(line)):
            turns.pause()

    def _calls_later(self, call: Callable[[], None]) -> bool:
        """Have somebody called when it happens; False when it happened already."""
        with self._lock:
            if not self.rung:
                self._calls.append(call)
            return not self.rung


def comes(handle: int, events: int, seconds: float) -> int:
    """Wait until one may read from or write to a socket (`select.POLLIN`, `POLLOUT`), or it is over; return which.

    0 when nothing happens in that time.
    """
    turns = _present()
    if turns is not None:
        return turns.at(handle, events, seconds)
    poll = select.poll()
    poll.register(handle, events)
    return next((what for _, what in poll.poll(max(seconds, 0) * 1000)), 0)


def in_turns() -> bool:
    """Tell whether others share this thread."""
    return _present() is not None


def own_line() -> object:
    """Return what stands for the present conversation, or for this thread where there is none."""
    return getcurrent()


def step_aside() -> None:
    """Let those go first for whom something came meanwhile; to be called where something takes long without a wait."""
    turns = _present()
    if turns is not None:
        turns.step_aside()


def apart(work: Callable[[], T]) -> T:
    """Do what waits in ways of its own; in a thread of its own it is simply done."""
    turns = _present()
    return work() if turns is None else turns.apart(work)


def _present() -> GreenletLoop | None:
    return getattr(_here, "turns", None)


class _Errand(Generic[T]):
    """Something done apart, and what came of it."""

    def __init__(self, work: Callable[[], T], done: Callable[[], None]) -> None:
        self._work = work
        self._context = copy_context()
        self._result: T
        self._error: BaseException | None = None
        self.done = done
        self.over = threading.Event()

    def run(self) -> None:
        try:
            self._result = self._context.run(self._work)
        except BaseException as error:  # noqa: BLE001 it is raised where the result is asked for
            self._error = error
        self.over.set()

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._result


class _Apart:
    """Threads for what is done apart: as many as were ever needed at once."""

    def __init__(self) -> None:
        self._errands: queue.SimpleQueue[_Errand[Any] | None] = queue.SimpleQueue()
        self._threads = 0
        self._busy = 0
        self._lock = threading.Lock()

    def take(self, errand: _Errand[Any]) -> None:
        with self._lock:
            self._busy += 1
            if self._busy > self._threads:
                self._threads += 1
                # Nobody waits for it at the end: to look up a name may take longer than a stop does.
                threading.Thread(target=self._serve, name="apart", daemon=True).start()
        self._errands.put(errand)

    def close(self) -> None:
        for _ in range(self._threads):
            self._errands.put(None)

    def _serve(self) -> None:
        while (errand := self._errands.get()) is not None:
            errand.run()
            with self._lock:
                self._busy -= 1
            errand.done()
