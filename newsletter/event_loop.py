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
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from gevent.event import Event
    from gevent.hub import Hub

T = TypeVar("T")

IDLE_WATCHERS_MAX = 256
"""Watchers of sockets that are kept for the next wait; more are made anew, so that odd time-outs take no memory."""

_thread = threading.local()
"""`hub`: gevent's hub while this thread runs a loop; `idle_watchers`: those that no greenlet waits with."""


def run_greenlets(works: Sequence[Callable[[], None]]) -> None:
    """Run each function as a greenlet until all have returned; the first exception ends them all and is raised."""
    import gevent  # noqa: PLC0415 - see above.

    hub = gevent.get_hub()
    # Each greenlet waits for at most one thread task, so none has to wait for a place in the pool.
    hub.threadpool_size = len(works)
    # An exception is raised below; gevent would print it, and that of each thread task.
    hub.exception_stream = None
    _thread.hub = hub
    _thread.idle_watchers = {}
    greenlets = [gevent.spawn(copy_context().run, work) for work in works]
    try:
        gevent.joinall(greenlets, raise_error=True)
    finally:
        try:
            gevent.killall(greenlets)
        finally:
            _thread.hub = None
            for watchers in _thread.idle_watchers.values():
                for watcher in watchers:
                    watcher.close()
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
    from gevent import getcurrent  # noqa: PLC0415 - see above.

    key = handle, events, seconds
    watcher, timer = _thread.idle_watchers.pop(key, None) or _new_watchers(hub, handle, events, seconds)
    resume = getcurrent().switch
    # Set anew each time: where a socket was closed, another one may have its number, of which the kernel knows nothing.
    watcher.fd = handle
    try:
        watcher.start(resume, events)
        timer.start(resume, 0, update=True)
        # Only the two know of `resume`, so that a return from the hub is theirs.
        return bool(hub.switch())
    finally:
        watcher.stop()
        timer.stop()
        idle = _thread.idle_watchers
        if len(idle) < IDLE_WATCHERS_MAX:
            idle[key] = watcher, timer
        else:
            watcher.close()
            timer.close()


def _new_watchers(hub: Hub, handle: int, events: int, seconds: float) -> tuple[Any, Any]:
    """Return a watcher of a socket and a timer; they are kept, since to make them costs as much as to wait."""
    # gevent's READ and WRITE are 1 and 2. `gevent.Timeout` would cost three times as much as this timer.
    watcher = hub.loop.io(handle, bool(events & select.POLLIN) | bool(events & select.POLLOUT) << 1)
    return watcher, hub.loop.timer(max(seconds, 0.0))


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
