"""The tick: every few seconds it does the scheduled work that is due. It writes rows and never speaks SMTP.

In: the database and the time. Out: slots decided (frozen, missed, empty), alerts raised and cleared, a heartbeat. Any
number of ticking processes does no harm: every decision is a guarded update.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from structlog.contextvars import bound_contextvars

from newsletter.clock import Clock
from newsletter.core.cadence import (
    Cadence,
    Slot,
    SlotState,
    cadence_text,
    calendar,
    describe_date,
    describe_span,
    parse_cadence_text,
    retimed,
    slots_between,
)
from newsletter.core.due import judge_slots, last_start
from newsletter.core.edition import Edition
from newsletter.core.monitor import ServicePart
from newsletter.errors import InputError
from newsletter.flows.adopt import Hold
from newsletter.flows.alert import report, settle_alert
from newsletter.flows.change_subscriber import end_pauses
from newsletter.flows.freeze import RenderContext, freeze
from newsletter.flows.line_up import find_stranded
from newsletter.operations.monitor import Monitor
from newsletter.operations.publisher import Publisher
from newsletter.operations.retention import RetentionJob
from newsletter.store import alert as alerts
from newsletter.store import heartbeat as heartbeats
from newsletter.store import installation as installations
from newsletter.store import log as logs
from newsletter.store import slot as slots
from newsletter.store.alert import Alert, AlertKind
from newsletter.store.reader_zone import with_readers
from newsletter.store.unit import Tx, Unit

logger = logging.getLogger(__name__)

FULL_LOOK_EVERY = timedelta(hours=1)
"""So often a tick reads all dates since the first tick; the others read those that are not settled yet."""
_MARGIN = timedelta(days=8)
"""A date that is settled may move by less than this when readers in another time zone come or go."""


@dataclass(slots=True)
class SettledDates:
    """The instant up to which every date was sent, skipped or missed, and has its row, as this process last saw it.

    It is kept in memory and forgotten every hour, so that a row that somebody removed is not overlooked for longer.
    """

    until: datetime | None = None
    not_before: datetime | None = None
    full_look_at: datetime | None = None

    def start(self, not_before: datetime, now: datetime) -> datetime:
        """Return the instant from which on dates have to be looked at: `not_before` for all of them."""
        if self.until is None or self.not_before != not_before or self.full_look_at is None:
            return not_before
        if not self.full_look_at <= now < self.full_look_at + FULL_LOOK_EVERY:
            return not_before
        return max(not_before, min(self.until, now) - _MARGIN)

    def record(self, start: datetime, not_before: datetime, due: Slot | None, now: datetime) -> None:
        """Take note of a look at all dates after `start`; only the one that is due may have no row."""
        self.until = min(now, due.sends_at) if due is not None else now
        if start == not_before:
            self.not_before, self.full_look_at = not_before, now


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticker:
    """Everything a tick needs; calling it more often does no harm."""

    unit: Unit
    clock: Clock
    cadence: Cadence
    grace: timedelta
    render_context: RenderContext
    process: str
    hold: Callable[[], Hold | None] = lambda: None
    """Why this database is held; None when it is not."""
    retention: RetentionJob | None = None
    """Deletes rows that were kept long enough."""

    publisher: Publisher | None = None
    """Enters tips into the public archive; None where nothing is published, as in a simulation."""

    monitor: Monitor | None = None
    """Raises alerts; None where nothing watches, as in a command."""

    settled: SettledDates = field(default_factory=SettledDates)

    def tick(self) -> Edition | None:
        """Do the work that is due; return the edition that this tick froze, if it did."""
        try:
            return self._tick()
        except Exception as error:
            if self.monitor is not None:
                self.monitor.failed(error, self.clock.now())
            raise

    def _tick(self) -> Edition | None:
        now = self.clock.now()
        hold = self.hold()
        if hold is not None:
            # A copy of a database decides nothing before a person adopts it, and beside its original it writes nothing.
            if not hold.beside:
                with self.unit.write() as tx:
                    heartbeats.record(tx, ServicePart.SCHEDULER, now=now, process=self.process)
            return None
        # First, so that a pause that ends on the day of a tip does not miss it.
        end_pauses(self.unit, now=now)
        due = self.decide(now)
        edition = None
        if due is not None:
            with bound_contextvars(edition=due.date.isoformat()):
                edition = self._freeze(due, now)
        if self.monitor is not None:
            self.monitor.look(now)
            self.monitor.succeeded(now)
        if self.publisher is not None:
            self.publisher.work(now)
        if due is None and self.retention is not None:
            # Only when there is nothing better to do.
            self.retention.work(now)
        return edition

    def decide(self, now: datetime, *, heartbeat: bool = True) -> Slot | None:
        """Record the schedule, missed slots and, in the service, a heartbeat; return the slot that is due."""
        with self.unit.write() as tx:
            not_before = self._schedule(tx, now)
            start = self.settled.start(not_before, now)
            known = slots.unsettled(tx, since=not_before - _MARGIN, settled=start - _MARGIN, now=now)
            # Those that lie ahead too: a clock that was ahead may have marked them missed.
            ahead = [slot for slot in known if slot.sends_at > now]
            cadence = with_readers(tx, self.cadence)
            every = [*calendar(cadence, known, after=start, until=now), *ahead]
            verdict = judge_slots(every, now=now, not_before=not_before, grace=self.grace, zone=self.cadence.zone)
            for slot in (*verdict.missed, *verdict.passed_over):
                self._miss(tx, slot, now)
            for slot in verdict.reopen:
                if slots.move(tx, slot.date, was=SlotState.MISSED, to=SlotState.OPEN, reason="", now=now):
                    settle_alert(tx, AlertKind.MISSED_SLOT, slot.date.isoformat(), now=now)
            self._look_for_stranded(tx, verdict.due, cadence, now)
            if heartbeat:
                heartbeats.record(tx, ServicePart.SCHEDULER, now=now, process=self.process)
        self.settled.record(start, not_before, verdict.due, now)
        for warning in verdict.warnings:
            logger.warning("%s", warning)
        return verdict.due

    def _schedule(self, tx: Tx, now: datetime) -> datetime:
        """Return the instant before which nothing is due, noticing a first tick and a changed schedule."""
        installation = installations.lock(tx)
        current = cadence_text(self.cadence)
        if installation.first_tick_at is None:
            installations.begin(tx, now=now, cadence=current)
            logger.info("first tick: dates count from now on (%s)", current)
            return now
        not_before = installation.not_before or now
        if installation.cadence == current:
            return not_before
        # Due slots of the old schedule are settled first: a change must not make one vanish in silence.
        for slot in self._owed(tx, installation.cadence or current, not_before, now):
            self._miss(tx, slot, now)
        self._retime(tx, now)
        installations.change_cadence(tx, now=now, cadence=current)
        # It is unknown here who changed the settings; it is known when the service noticed.
        why = f"{current}; it was {installation.cadence}"
        logs.add(tx, logs.LogEntry(at=now, who=self.process, what="schedule change", about="settings", why=why))
        logger.warning("the schedule is now %s (it was %s)", current, installation.cadence)
        return now

    def _owed(self, tx: Tx, old: str, not_before: datetime, now: datetime) -> list[Slot]:
        was = parse_cadence_text(old)
        known = {slot.date: slot for slot in slots.since(tx, not_before)}
        passed = [known.get(slot.date, slot) for slot in slots_between(was, not_before, now)]
        reason = "the schedule was changed before it was sent"
        return [replace(s, state=SlotState.MISSED, reason=reason) for s in passed if s.state is SlotState.OPEN]

    def _retime(self, tx: Tx, now: datetime) -> None:
        """Let the weekly slots that lie ahead, open or skipped, follow the new time of day."""
        for slot in slots.since(tx, now):
            moved = retimed(self.cadence, slot)
            if moved is not None and moved.sends_at != slot.sends_at:
                slots.move_instant(tx, slot.date, sends_at=moved.sends_at, now=now)

    def _miss(self, tx: Tx, slot: Slot, now: datetime) -> None:
        """Record a slot that was not sent: `empty` if its time came and nothing was there, `missed` otherwise."""
        known = slots.get(tx, slot.date)
        empty = known is not None and known.empty_since is not None
        state = SlotState.EMPTY if empty else SlotState.MISSED
        reason = known.reason if known is not None and empty else slot.reason
        slots.add(tx, replace(slot, state=SlotState.OPEN, reason=""), now=now)
        slots.move_instant(tx, slot.date, sends_at=slot.sends_at, now=now)
        if not slots.move(tx, slot.date, was=SlotState.OPEN, to=state, reason=reason, now=now):
            return
        # Alerts about a slot end with it; one of them stays.
        for kind in (AlertKind.EMPTY_SLOT, AlertKind.CANNOT_FREEZE):
            settle_alert(tx, kind, slot.date.isoformat(), now=now, quietly=True)
        day = describe_date(slot.date)
        message = (
            f"There was nothing to send for {day}: {reason}."
            if empty
            else f"{day} was missed: {reason}. No mail went out for it, and its tip stays in the queue."
        )
        report(tx, Alert(kind=AlertKind.MISSED_SLOT, about=slot.date.isoformat(), message=message, raised_at=now))

    def _look_for_stranded(self, tx: Tx, due: Slot | None, cadence: Cadence, now: datetime) -> None:
        """Raise the alert about stranded tips, and clear it when it has passed."""
        waiting = find_stranded(tx, due, cadence, now=now)
        names = {tip.tip.slug for tip in waiting}
        for known in alerts.open_alerts(tx):
            if known.kind is AlertKind.STRANDED_PIN and known.about not in names:
                settle_alert(tx, AlertKind.STRANDED_PIN, known.about, now=now)
        for tip in waiting:
            message = (
                f"The tip {tip.tip.slug!r} will not go out: {tip.why}. Pin it to another date, unpin it, or retire it."
            )
            report(tx, Alert(kind=AlertKind.STRANDED_PIN, about=tip.tip.slug, message=message, raised_at=now))

    def _freeze(self, due: Slot, now: datetime) -> Edition | None:
        about = due.date.isoformat()
        try:
            frozen = freeze(self.unit, self.render_context, due, now=now)
        except InputError as error:
            self._tell(AlertKind.CANNOT_FREEZE, due, f"The tip for {due.date} cannot be sent: {error}", now)
            return None
        if frozen.edition is None:
            message = self._empty_words(due, frozen.empty)
            self._tell(AlertKind.EMPTY_SLOT, due, message, now, empty_reason=frozen.empty)
            return None
        if not frozen.new:
            return None
        with self.unit.write() as tx:
            for kind in (AlertKind.CANNOT_FREEZE, AlertKind.EMPTY_SLOT):
                settle_alert(tx, kind, about, now=now)
        edition = frozen.edition
        logger.info("the edition of %s is frozen for %s people: “%s”", edition.name, edition.audience, edition.title)
        return frozen.edition

    def _empty_words(self, due: Slot, why: str) -> str:
        until = describe_span(last_start(due, self.grace) - self.clock.now())
        day = describe_date(due.date)
        return f"Nothing can be sent for {day}: {why}. If that changes within {until}, it goes out late."

    def _tell(self, kind: AlertKind, due: Slot, message: str, now: datetime, *, empty_reason: str = "") -> None:
        with self.unit.write() as tx:
            slots.add(tx, due, now=now)
            stands = slots.get(tx, due.date)
            if stands is None or stands.state is not SlotState.OPEN:
                # Somebody skipped or froze it since it was found due: there is nothing left to worry about.
                return
            if empty_reason:
                slots.mark_empty(tx, due.date, reason=empty_reason, now=now)
            report(tx, Alert(kind=kind, about=due.date.isoformat(), message=message, raised_at=now))
