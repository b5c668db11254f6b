"""What the tests of the journal run in processes of their own: writers that are killed, full disks, and rivals."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

from newsletter.core.delivery import DeliveryId
from newsletter.core.reply import Phase, Reply
from newsletter.errors import Stop
from newsletter.journal.reader import adopt_journals
from newsletter.journal.record import Header, boot_id
from newsletter.journal.writer import Journal, JournalError

AT = datetime(2026, 11, 24, 14, tzinfo=UTC)
CONNECTIONS = 3


def reply_to(number: int) -> Reply:
    """Return a reply that is different for each message, in its length too."""
    return Reply(phase=Phase.DOT, code=250, enhanced="2.0.0", text=f"queued as {number} " + "ä" * (number % 90))


def answered_at(number: int) -> datetime:
    """Return an instant that is different for each message."""
    return AT + timedelta(microseconds=number)


def small_journal(folder: Path, *, rotate_bytes: int) -> Journal:
    """Return a journal that rotates often."""
    header = Header(identity="one", worker=1, machine="here", boot=boot_id())
    return Journal(folder / "one-1.journal", header, rotate_bytes=rotate_bytes)


def write_until_killed(folder: str, out: Connection) -> None:
    """Write as connections do, rotating often, and report each step after it."""
    journal = small_journal(Path(folder), rotate_bytes=3000)
    lock = threading.Lock()

    def report(kind: str, *numbers: int) -> None:
        with lock:
            out.send((kind, numbers))

    threads = [threading.Thread(target=_send, args=(journal, nth, report)) for nth in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _send(journal: Journal, nth: int, report: Callable[..., None]) -> None:
    batch: list[int] = []
    number = nth
    while True:
        number += CONNECTIONS
        journal.handed(DeliveryId(number), 1)
        report("handed", number)
        if len(batch) >= 7 + number % 5:
            # The commit happens before the journal hears of it.
            report("committed", *batch)
            journal.recorded([DeliveryId(one) for one in batch])
            batch = []
        journal.answered(DeliveryId(number), 1, reply_to(number), answered_at(number))
        report("answered", number)
        batch.append(number)


def open_on_a_full_disk(folder: str, out: Connection) -> None:
    """Try to make a journal where there is room for a part of its header only."""
    _limit(20)
    try:
        Journal.open(Path(folder), identity="one", worker=1)
    except Stop as stop:
        out.send(str(stop))
    else:
        out.send("it was made")


def fill_the_disk(folder: str, out: Connection) -> None:
    """Hand a message over, let the disk be full at its answer and at the next message, and then get room again."""
    journal = Journal.open(Path(folder), identity="one", worker=1)
    journal.handed(DeliveryId(1), 1)
    _limit(journal.path.stat().st_size + 10)
    journal.answered(DeliveryId(1), 1, reply_to(1), answered_at(1))
    try:
        journal.handed(DeliveryId(2), 1)
    except JournalError as error:
        out.send(str(error))
    _limit(resource.RLIM_INFINITY)
    journal.handed(DeliveryId(3), 1)
    out.send("goes on")


def _limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def adopt_at_once(folder: str, barrier: Barrier, out: Connection) -> None:
    """Adopt together with a rival, and hold the result until both have reported it; then delete it."""
    barrier.wait()
    orphans = adopt_journals(Path(folder), "one")
    out.send([(orphan.worker, len(orphan.entries)) for orphan in orphans])
    barrier.wait()
    for orphan in orphans:
        orphan.delete()
