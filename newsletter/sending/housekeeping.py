"""The books: what is done to deliveries besides sending them.

The overdue expire, those due again are gathered, editions close.

In: the database and the time. Out: rows moved on, and alerts where a person should know.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from structlog.contextvars import bound_contextvars

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import Edition, EditionId, EditionStatus
from newsletter.flows.alert import report_expired, report_refused
from newsletter.flows.bounce import count_expired
from newsletter.flows.hold import left_out
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store.unit import Tx, Unit

logger = logging.getLogger(__name__)

LAST_TRY = timedelta(hours=1)

REFUSED_ALERT_MIN = 3
"""One or two refused people are no sign of anything, however few there are in all."""


def expire_overdue(unit: Unit, *, now: datetime, expire_after: timedelta) -> None:
    """Give up on people whose first attempt is too long ago, and say so.

    The last try falls on the very end of the time (`core.delivery.settle`), so the sweep leaves it an hour to happen.
    """
    hours = int(expire_after.total_seconds() // 3600)
    with unit.write() as tx:
        for edition_id, count in deliveries.expire(
            tx, first_before=now - expire_after - LAST_TRY, reason=f"given up {hours} hours after the first try"
        ):
            edition = editions.by_id(tx, edition_id)
            report_expired(tx, edition, count, now=now)


def gather_due(unit: Unit, *, now: datetime) -> int:
    """Put every deferred delivery that is due back to the queue, a block at a time; return how many."""
    with unit.read() as tx:
        due = deliveries.due_editions(tx, now=now)
    gathered = 0
    for edition_id in due:
        more = True
        while more:
            with unit.write() as tx:
                count = deliveries.gather(tx, edition_id, now=now)
            gathered += count
            more = count > 0
    return gathered


def close_finished(unit: Unit, *, now: datetime) -> Sequence[Edition]:
    """Close the editions of which nobody waits any more: their totals are stored for good. Return them."""
    with unit.read() as tx:
        ripe = [
            one
            for one in editions.unclosed(tx)
            if one.status is EditionStatus.CANCELLED or not deliveries.has_open(tx, one.id)
        ]
    closed = []
    for edition in ripe:
        with bound_contextvars(edition=edition.name), unit.write() as tx:
            closed += _close(tx, edition.id, now)
    for edition in closed:
        # Whoever could not be reached for weeks is not mailed for ever.
        count_expired(unit, edition.id, now=now)
    return closed


def _close(tx: Tx, edition_id: EditionId, now: datetime) -> list[Edition]:
    edition = editions.by_id(tx, edition_id)
    if edition.status is EditionStatus.CANCELLED:
        # Who was on the way at that moment and came back unsent is left out like everybody else.
        deliveries.skip_edition(tx, edition_id, left_out(tx, edition))
    if edition.status is EditionStatus.PAUSED or deliveries.has_open(tx, edition_id):
        return []
    counts = deliveries.counts(tx, edition_id)
    editions.close(tx, edition_id, totals={state.value: count for state, count in counts.items()}, now=now)
    if counts[DeliveryState.EXPIRED]:
        report_expired(tx, edition, counts[DeliveryState.EXPIRED], now=now)
    refused, audience = counts[DeliveryState.REJECTED], sum(counts.values())
    if refused >= REFUSED_ALERT_MIN and refused * 2 > audience:
        report_refused(tx, edition, refused, audience, now=now)
    logger.info("the edition of %s is closed: %s", edition.name, {k.value: v for k, v in counts.items() if v})
    return [editions.by_id(tx, edition_id)]
