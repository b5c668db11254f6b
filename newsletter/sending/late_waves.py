"""Late waves: a wave whose hour passed while nobody sent waits for its readers' day.

In: the database, the time, the grace. Out: blocks that wait a little longer. It is asked before blocks are claimed, and
costs one small query; a wave that has begun, if only with one mail, goes on whatever the hour.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from newsletter.core.due import LATE_AFTER
from newsletter.core.wave import WORLD, rested, zone_of
from newsletter.store import wave as waves
from newsletter.store.unit import Unit
from newsletter.store.wave import Overdue

logger = logging.getLogger(__name__)


def defer_late_waves(unit: Unit, *, grace: timedelta, now: datetime) -> int:
    """Put off each late wave in whose zone it is night, as far as the grace reaches from its hour on; return how many.

    However often a machine is off by day, the last grace ends where the last clock of the world shows the hour.
    """
    with unit.read() as tx:
        late = waves.overdue(tx, before=now - LATE_AFTER)
    planned = [(wave, rested(now, zone_of(wave.label), until=_until(wave, grace))) for wave in late]
    if not any(to > now for _, to in planned):
        return 0
    with unit.write() as tx:
        moved = [
            (wave, to) for wave, to in planned if to > now and waves.put_off(tx, wave.edition_id, wave.label, to=to)
        ]
    for wave, to in moved:
        logger.warning("the wave %s is late, and waits for its readers' day: %s", wave.label, to.isoformat())
    return len(moved)


def _until(late: Overdue, grace: timedelta) -> datetime:
    return min(late.not_before, late.edition_began + WORLD) + grace
