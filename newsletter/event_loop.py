"""The event loop of a sending process: greenlets of one thread, scheduled by gevent without monkey-patching.

In: functions that run as greenlets. Out: waits that let the other greenlets go on. Outside a loop the same calls
block the thread. `clock`, `transport/wire`, `transport/pool`, `store/unit` and, on PostgreSQL, each statement
(`store/driver_glue`) wait through this module, so that code above them reads as if it blocked. gevent is imported by
the first loop: it takes 80 ms, which a command that sends nothing does not have to pay.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from gevent.event import Event
    from gevent.hub import Hub

T = TypeVar("T")

_thread = threading.local()
"""`hub`: gevent's hub while this thread runs a loop."""


def run_greenlets(works: Sequence[Callable[[], None]]) -> None:
    """Run each function as a greenlet until all have returned; the first exception ends them all and is raised."""
    import gevent  # noqa: PLC0415 - see above.

    hub = gevent.get_hub()
    # Each greenlet waits for at most one thread task, so none has to wait for a place in the pool.
    hub.threadpool_size = len(works)
    # An exception is raised below; gevent would print it, and that of each thread task.
    hub.exception_stream = None
    _thread.hub = hub
    greenlets = [gevent.spawn(copy_context().run, work) for work in works]
    try:
        gevent.joinall(greenlets, raise_error=True)
    finally:
        try:
            gevent.killall(greenlets)
        finally:
            _thread.hub = None
            hub.destroy()


def run_in_thread(work: Callable[[], T]) -> T:
    """Run a function that blocks in a thread of the pool; outside a loop, in this thread.

    A greenlet that is ended meanwhile waits for the function: what it holds must not be released before.
    """
    hub = _hub()
    if hub is None:
        return work()
    from gevent import GreenletExit  # noqa: PLC0415 - see above.

    task = hub.threadpool.spawn(copy_context().run, work)
    try:
        result: T = task.get()
    except GreenletExit:
        task.wait()
        raise
    return result


def wait_for_io(handle: int, events: int, seconds: float) -> bool:
    """Wait until a socket may be read or written (`select.POLLIN`, `POLLOUT`); False when the time is over."""
    hub = _hub()
    if hub is None:
        poll = select.poll()
        poll.register(handle, events)
        return bool(poll.poll(max(seconds, 0) * 1000))
    from gevent.hub import Waiter  # noqa: PLC0415 - see above.

    waiter = Waiter(hub)
    # gevent's READ and WRITE are 1 and 2. `gevent.Timeout` would cost three times as much as this timer.
    watcher = hub.loop.io(handle, bool(events & select.POLLIN) | bool(events & select.POLLOUT) << 1)
    timer = hub.loop.timer(max(seconds, 0.0))
    try:
        watcher.start(waiter.switch, events)
        timer.start(waiter.switch, 0, update=True)
        return bool(waiter.get())
    finally:
        watcher.close()
        timer.close()


def yield_now() -> None:
    """Let every greenlet go on whose I/O is ready; for work that takes long without a wait."""
    hub = _hub()
    if hub is not None:
        with hub.loop.timer(0) as timer:
            hub.wait(timer)


def new_event() -> Event:
    """Return an event for the greenlets of one loop."""
    from gevent.event import Event  # noqa: PLC0415 - see above.

    return Event()


def current() -> object:
    """Return what identifies the running greenlet, or this thread outside a loop."""
    hub = _hub()
    if hub is None:
        return threading.get_ident()
    from gevent import getcurrent  # noqa: PLC0415 - see above.

    return getcurrent()


def in_loop() -> bool:
    """Tell whether other greenlets share this thread."""
    return _hub() is not None


def _hub() -> Hub | None:
    return getattr(_thread, "hub", None)
