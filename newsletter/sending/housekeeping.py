"""Housekeeping of deliveries and editions besides sending: expire, requeue, defer late waves, close.

In: the database and the time. Out: rows moved on, log lines, and alerts where a person has to act.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from structlog.contextvars import bound_contextvars

from newsletter.core.delivery import DeliveryState
from newsletter.core.due import LATE_SLOT_AFTER
from newsletter.core.edition import Edition, EditionId, EditionStatus
from newsletter.core.wave import WORLD, rested, zone_of
from newsletter.core.worker_view import span_words
from newsletter.flows.alert import report, report_expired, report_refused
from newsletter.flows.bounce import count_expired
from newsletter.flows.hold import left_out
from newsletter.store import block as blocks
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import wave as waves
from newsletter.store.alert import Alert, AlertKind
from newsletter.store.unit import Tx, Unit
from newsletter.store.wave import Overdue

logger = logging.getLogger(__name__)

RELAY = "mail server"
"""What an alert about the relay is about."""

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


def defer_late_waves(unit: Unit, *, grace: timedelta, now: datetime) -> int:
    """Put off each late wave in whose zone it is night, as far as the grace reaches from its hour on; return how many.

    A wave that has begun goes on whatever the hour. However often a machine is off by day, the last grace ends where
    the last clock of the world shows the hour.
    """
    with unit.read() as tx:
        late = waves.overdue(tx, before=now - LATE_SLOT_AFTER)
    planned = [(wave, rested(now, zone_of(wave.label), until=_rest_until(wave, grace))) for wave in late]
    if not any(to > now for _, to in planned):
        return 0
    with unit.write() as tx:
        moved = [
            (wave, to) for wave, to in planned if to > now and waves.put_off(tx, wave.edition_id, wave.label, to=to)
        ]
    for wave, to in moved:
        logger.warning("the wave %s is late, and waits for its readers' day: %s", wave.label, to.isoformat())
    return len(moved)


def _rest_until(late: Overdue, grace: timedelta) -> datetime:
    return min(late.not_before, late.edition_began + WORLD) + grace


def close_finished(unit: Unit, *, now: datetime) -> Sequence[Edition]:
    """Log the editions whose first tries are through, and close those in which no delivery is open; return these."""
    with unit.read() as tx:
        unclosed = editions.unclosed(tx)
        tried = [edition for edition in unclosed if edition.tried_at is None and not blocks.any_open(tx, edition.id)]
        ripe = [
            edition
            for edition in unclosed
            if edition.status is EditionStatus.CANCELLED or not deliveries.has_open(tx, edition.id)
        ]
    for edition in tried:
        with bound_contextvars(edition=edition.name), unit.write() as tx:
            _log_first_tries(tx, edition, now)
    closed = []
    for edition in ripe:
        with bound_contextvars(edition=edition.name), unit.write() as tx:
            closed += _close(tx, edition.id, now)
    for edition in closed:
        # An address that expires for weeks is suppressed.
        count_expired(unit, edition.id, now=now)
    return closed


_OTHERWISE = {
    DeliveryState.REJECTED: ("refused", "refused"),
    DeliveryState.UNCERTAIN: ("uncertain", "uncertain"),
    DeliveryState.DEFERRED: ("waits", "wait"),
    DeliveryState.SKIPPED: ("left out", "left out"),
    DeliveryState.EXPIRED: ("expired", "expired"),
}


def _log_first_tries(tx: Tx, edition: Edition, now: datetime) -> None:
    if not editions.set_tried(tx, edition.id, now=now):
        return
    counts = deliveries.counts(tx, edition.id)
    others = [f"{count:,} {words[count != 1]}" for state, words in _OTHERWISE.items() if (count := counts[state])]
    span = span_words((now - edition.started_at).total_seconds())
    logger.info(
        "the edition of %s: %s of %s handed over in %s%s",
        edition.name,
        f"{counts.accepted:,}",
        f"{edition.audience:,}",
        span,
        "; " + ", ".join(others) if others else "",
    )


def _close(tx: Tx, edition_id: EditionId, now: datetime) -> list[Edition]:
    edition = editions.by_id(tx, edition_id)
    if edition.status is EditionStatus.CANCELLED:
        # A delivery that was under way at the cancel and came back unsent is skipped like the others.
        deliveries.skip_edition(tx, edition_id, left_out(tx, edition))
    if edition.status is EditionStatus.PAUSED or deliveries.has_open(tx, edition_id):
        return []
    counts = deliveries.counts(tx, edition_id)
    editions.close(tx, edition_id, totals=counts, now=now)
    if counts.expired:
        report_expired(tx, edition, counts.expired, now=now)
    if counts.rejected >= REFUSED_ALERT_MIN and counts.rejected * 2 > counts.total:
        report_refused(tx, edition, counts.rejected, counts.total, now=now)
    outcomes = ", ".join(f"{count:,} {state.value}" for state, count in counts.items() if count)
    logger.info("the edition of %s is closed: %s", edition.name, outcomes)
    return [editions.by_id(tx, edition_id)]


def report_relay_trouble(unit: Unit, trouble: str, *, now: datetime) -> None:
    """Raise the alert that no mail can be sent."""
    message = f"Mail cannot be sent: {trouble} Nothing is lost; what is queued waits."
    with unit.write() as tx:
        report(tx, Alert(kind=AlertKind.RELAY, about=RELAY, message=message, raised_at=now))
