"""Counting the people anew, where the kept counts differ from the list.

In: a database. Out: the differences that were corrected. Nothing but the counts changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from newsletter.store import log as logs
from newsletter.store import subscriber_count
from newsletter.store.unit import Unit


def recount_people(unit: Unit, *, who: str, now: datetime) -> Sequence[str]:
    """Correct the counts of people by state and zone; return what differed."""
    with unit.write() as tx:
        faults = subscriber_count.faults(tx)
        if faults:
            subscriber_count.recount(tx)
            why = f"wrong counts: {len(faults)}"
            logs.add(tx, logs.LogEntry(at=now, who=who, what="db recount", about="subscribers", why=why))
        return faults
