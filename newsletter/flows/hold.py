"""Holding an edition: pause, resume, cancel. Each is one guarded update, seen by the sender before its next message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from newsletter.core.breaker import resume_advice
from newsletter.core.cadence import SlotState
from newsletter.core.edition import Edition, EditionId, EditionKind, EditionStatus
from newsletter.core.tip import TipStatus
from newsletter.errors import InputError
from newsletter.flows.alert import report, settle_alert
from newsletter.flows.publish_page import withdraw_page
from newsletter.store import alert as alerts
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import jobs
from newsletter.store import log as logs
from newsletter.store import slot as slots
from newsletter.store import tally as tallies
from newsletter.store import tip as tips
from newsletter.store.alert import Alert, AlertKind
from newsletter.store.unit import Tx, Unit

CANCELLED = "the edition was cancelled"
REPLACED = "the edition was replaced by {}"


def pause_edition(unit: Unit, edition: Edition, *, who: str, why: str, now: datetime) -> bool:
    """Send nothing more of an edition until it is resumed; tell whether it was sending."""
    with unit.write() as tx:
        _refuse_closed(editions.by_id(tx, edition.id))
        moved = editions.move(
            tx, edition.id, was=[EditionStatus.SENDING], to=EditionStatus.PAUSED, why=why or f"by {who}"
        )
        if moved:
            logs.add(tx, logs.LogEntry(at=now, who=who, what="edition pause", about=edition.name, why=why))
        return moved


def pause_for_trouble(unit: Unit, edition_id: EditionId, *, why: str, now: datetime) -> None:
    """Pause because the relay refuses what is ours (sender, size, permission), and tell a person."""
    with unit.write() as tx:
        if editions.move(tx, edition_id, was=[EditionStatus.SENDING], to=EditionStatus.PAUSED, why=why):
            edition = editions.by_id(tx, edition_id)
            # What was refused a moment ago may not be counted yet, so the advice names it always.
            advice = resume_advice(edition.name, rejected=True)
            message = f"The edition of {edition.name} is paused: {why} {advice}"
            report(tx, Alert(kind=AlertKind.EDITION_PAUSED, about=edition.name, message=message, raised_at=now))


def paused_by_person(tx: Tx, edition: Edition) -> bool:
    """Tell whether a person paused an edition: what the machine pauses by itself stands as an alert."""
    alerted = {(alert.kind, alert.about) for alert in alerts.open_alerts(tx)}
    return edition.status is EditionStatus.PAUSED and (AlertKind.EDITION_PAUSED, edition.name) not in alerted


def resume_edition(unit: Unit, edition: Edition, *, who: str, now: datetime) -> bool:
    """Go on with a paused edition; tell whether it was paused."""
    with unit.write() as tx:
        _refuse_closed(editions.by_id(tx, edition.id))
        moved = editions.move(tx, edition.id, was=[EditionStatus.PAUSED], to=EditionStatus.SENDING)
        if moved:
            tallies.bear(tx, edition.id, now=now)
            # A job that met the paused edition has gone home.
            jobs.put_up_again(tx, edition.id)
            logs.add(tx, logs.LogEntry(at=now, who=who, what="edition resume", about=edition.name))
            settle_alert(tx, AlertKind.EDITION_PAUSED, edition.name, now=now)
        return moved


def cancel_edition(unit: Unit, edition: Edition, *, who: str, why: str, now: datetime) -> int:
    """Send nothing more, for good; return how many people it does not reach.

    The tip goes back to the queue only if nothing was handed to a server: if none took it, and none may have.
    """
    with unit.write() as tx:
        _refuse_closed(editions.by_id(tx, edition.id))
        stopped = stop(tx, edition, why=why or f"by {who}", now=now)
        if stopped.untouched:
            _give_tip_back(tx, edition, now=now)
        logs.add(tx, logs.LogEntry(at=now, who=who, what="edition cancel", about=edition.name, why=why))
        return stopped.skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedEdition:
    """What stopping an edition for good came to."""

    skipped: int
    """People who were waiting and do not get it."""
    untouched: bool
    """True when nothing of it was handed to a server: no reader has it, nor may have it."""


def left_out(tx: Tx, edition: Edition) -> str:
    """Return what the row of somebody says whom a cancelled edition did not reach."""
    by = next((item for item in editions.about(tx, edition.id) if item.kind is EditionKind.REPLACEMENT), None)
    return CANCELLED if by is None else REPLACED.format(by.name)


def stop(tx: Tx, edition: Edition, *, why: str, now: datetime, reason: str = CANCELLED) -> StoppedEdition:
    """Cancel an edition and leave out who waits; close it, unless something of it is on its way at this moment.

    `reason` is what the rows of those who are left out say.
    """
    open_states = [EditionStatus.SENDING, EditionStatus.PAUSED]
    editions.move(tx, edition.id, was=open_states, to=EditionStatus.CANCELLED, why=why)
    skipped = deliveries.skip_edition(tx, edition.id, reason)
    # From here on nothing of it begins any more.
    untouched = not deliveries.reached(tx, edition.id)
    if not deliveries.has_open(tx, edition.id):
        editions.close(tx, edition.id, totals=deliveries.counts(tx, edition.id), now=now)
    settle_alert(tx, AlertKind.EDITION_PAUSED, edition.name, now=now)
    return StoppedEdition(skipped=skipped, untouched=untouched)


def _give_tip_back(tx: Tx, edition: Edition, *, now: datetime) -> None:
    tip = tips.by_id(tx, edition.tip.id)
    if tip is not None and tip.status is TipStatus.SENT:
        tips.set_status(tx, tip, TipStatus.APPROVED, now=now)
    editions.give_tip_back(tx, edition.id)
    withdraw_page(tx, edition)
    if editions.reached_anybody(tx, edition.date):
        # Another edition of that date did go out: what is given up is a replacement or a correction of it.
        return
    slots.move(
        tx, edition.date, was=SlotState.FROZEN, to=SlotState.SKIPPED, reason="its edition was cancelled", now=now
    )


def _refuse_closed(edition: Edition) -> None:
    if edition.status in {EditionStatus.FINISHED, EditionStatus.CANCELLED}:
        message = f"The edition of {edition.name} is {edition.status} already; nothing was changed."
        raise InputError(message)
