"""Whether a part of the service runs, judged by its last heartbeat: the one table of thresholds, used by every view.

In: the last sign of life and the time. Out: alive, late or not running. A heartbeat comes every few seconds; a freeze
of a million people or a long wait for a lock may delay some of them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

LATE_AFTER = timedelta(seconds=60)
"""Older than this a heartbeat is late; on PostgreSQL, other workers take over from a sender that is late."""
NOT_RUNNING_AFTER = timedelta(minutes=2)
"""Older than this the part does not run: `/healthz` answers 503, and `status` says what to start."""
ALERT_AFTER = timedelta(minutes=10)
"""Older than this an alert is raised: one message may take ten minutes (RFC 5321 §4.5.3.2.6)."""
HUNG_AFTER = timedelta(minutes=20)
"""A sender of this process whose heartbeat is older hangs, and its supervisor may restart it."""


class Liveness(StrEnum):
    """How a part of the service stands."""

    ALIVE = "alive"
    LATE = "late"
    NOT_RUNNING = "not running"


def judge_heartbeat(seen_at: datetime | None, now: datetime, *, stopped: bool = False) -> Liveness:
    """Judge a part by its last heartbeat, None when it never gave one; `stopped` when it ended on purpose."""
    if seen_at is None or stopped:
        return Liveness.NOT_RUNNING
    # A heartbeat from the future comes from a clock that was wrong, and proves nothing.
    age = abs(now - seen_at)
    if age <= LATE_AFTER:
        return Liveness.ALIVE
    return Liveness.LATE if age <= NOT_RUNNING_AFTER else Liveness.NOT_RUNNING
