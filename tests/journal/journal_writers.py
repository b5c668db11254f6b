"""What the tests of the journal run in processes of their own: writers that are killed, and rivals."""

from __future__ import annotations

import resource
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

from newsletter.core.delivery import DeliveryId
from newsletter.core.reply import Phase, Reply
from newsletter.errors import Stop
from newsletter.journal.reader import adopt
from newsletter.journal.writer import Journal, Page, Track

AT = datetime(2026, 11, 24, 14, tzinfo=UTC)
TRACKS = 3


def reply_to(number: int) -> Reply:
    """Return a reply that is different for each message, in its length too."""
    return Reply(phase=Phase.DOT, code=250, enhanced="2.0.0", text=f"queued as {number} " + "ä" * (number % 90))


def answered_at(number: int) -> datetime:
    """Return an instant that is different for each message."""
    return AT + timedelta(microseconds=number)


def write_until_killed(folder: str, out: Connection) -> None:
    """Write as couriers do, and tell of each step after it: what was told has happened, whatever comes then."""
    journal = Journal.open(Path(folder), identity="one", worker=1, tracks=TRACKS)
    lock = threading.Lock()

    def tell(kind: str, *numbers: int) -> None:
        with lock:
            out.send((kind, numbers))

    threads = [threading.Thread(target=_courier, args=(track, nth, tell)) for nth, track in enumerate(journal.tracks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _courier(track: Track, nth: int, tell: Callable[..., None]) -> None:
    batch: list[int] = []
    pending: deque[tuple[Page, list[int]]] = deque()
    number = nth
    while True:
        number += TRACKS
        track.handed(DeliveryId(number), 1)
        tell("handed", number)
        if len(batch) >= 7:
            # In flight while the page turns, as it is on a connection that never waits.
            pending.append((track.turn(), batch))
            batch = []
        track.answered(DeliveryId(number), 1, reply_to(number), answered_at(number))
        tell("answered", number)
        batch.append(number)
        # Now soon, now as late as it may.
        if pending and (number % 2 or len(batch) >= 7):
            page, outcomes = pending.popleft()
            tell("committed", *outcomes)
            page.clear()


def open_on_a_full_disk(folder: str, out: Connection) -> None:
    """Try to make a journal where there is room for a part of it only."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
    try:
        Journal.open(Path(folder), identity="one", worker=1, tracks=4)
    except Stop as stop:
        out.send(str(stop))
    else:
        out.send("it was made")


def adopt_at_once(folder: str, barrier: Barrier, out: Connection) -> None:
    """Adopt together with a rival, and hold what was got until both have said so; then forget it."""
    barrier.wait()
    found = adopt(Path(folder), "one")
    out.send([(one.worker, len(one.fates)) for one in found])
    barrier.wait()
    for one in found:
        one.forget()
