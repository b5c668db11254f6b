"""Changing a slot: skip a date on purpose, take that back, add a date beside the weekly ones.

In: a local date. Out: the slot as it is stored now, and the tip that this concerns. Nothing here makes a date due that
lies in the past, and nothing changes a slot that was frozen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time

from newsletter.core.cadence import (
    Cadence,
    Slot,
    SlotState,
    describe_date,
    describe_slot,
    extra_slot,
    nearest_slots,
    retimed,
    slot_on,
)
from newsletter.core.edition import EditionStatus
from newsletter.core.tip import Tip
from newsletter.errors import InputError, NotNow
from newsletter.flows.alert import settle_alert
from newsletter.flows.change_tip import pin_in
from newsletter.flows.plan import PlanRules, judged
from newsletter.flows.queue_tip import TipValidation
from newsletter.store import edition as editions
from newsletter.store import installation as installations
from newsletter.store import log as logs
from newsletter.store import slot as slots
from newsletter.store import tip as tips
from newsletter.store.alert import AlertKind
from newsletter.store.reader_zone import with_readers
from newsletter.store.unit import Tx, Unit
from newsletter.wording import weekday_name


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotChange:
    """What a change of a slot came to."""

    slot: Slot
    tip: Tip | None
    """The tip that is pinned to the date."""
    new: bool
    """False when the slot stood like that already."""


def skip_slot(unit: Unit, day: date, rules: PlanRules, *, who: str, because: str, now: datetime) -> SlotChange:
    """Send nothing on a date, on purpose; a tip of the queue waits for the next one."""
    with unit.write() as tx:
        installations.lock(tx)
        slot = _slot_of(tx, day, with_readers(tx, rules.cadence), now)
        holder = tips.pinned_to(tx, day)
        if slot.state is SlotState.SKIPPED:
            if because and because != slot.reason:
                slots.move(tx, day, was=SlotState.SKIPPED, to=SlotState.SKIPPED, reason=because, now=now)
                logs.add(tx, logs.LogEntry(at=now, who=who, what="slot skip", about=day.isoformat(), why=because))
            return SlotChange(slot=replace(slot, reason=because or slot.reason), tip=holder, new=False)
        if slot.state is SlotState.FROZEN:
            raise InputError(_begun(tx, day))
        if not judged(tx, rules, slot, now=now):
            raise InputError(f"{describe_date(day)} is over; only a date that is still to come can be skipped")
        slots.add(tx, slot, now=now)
        if not slots.move(tx, day, was=SlotState.OPEN, to=SlotState.SKIPPED, reason=because, now=now):
            raise NotNow(f"the date {day} changed at this moment; nothing was done. Try again.")
        for kind in (AlertKind.EMPTY_SLOT, AlertKind.CANNOT_FREEZE):
            settle_alert(tx, kind, day.isoformat(), now=now)
        logs.add(tx, logs.LogEntry(at=now, who=who, what="slot skip", about=day.isoformat(), why=because))
        return SlotChange(slot=replace(slot, state=SlotState.SKIPPED, reason=because), tip=holder, new=True)


def unskip_slot(unit: Unit, day: date, cadence: Cadence, *, who: str, now: datetime) -> SlotChange:
    """Send on a date after all, as long as its time has not come."""
    with unit.write() as tx:
        installations.lock(tx)
        cadence = with_readers(tx, cadence)
        slot = _slot_of(tx, day, cadence, now)
        name = describe_date(day)
        if slot.state is SlotState.OPEN and slot.sends_at > now:
            return SlotChange(slot=slot, tip=tips.pinned_to(tx, day), new=False)
        if slot.state is SlotState.OPEN:
            raise InputError(f"{name} is not skipped, and its time is past")
        if slot.state is not SlotState.SKIPPED:
            raise InputError(f"{name} is not skipped: it is {slot.state}")
        if slot.sends_at <= now:
            at = describe_slot(slot, cadence.zone)
            raise InputError(
                f"its time, {at}, is past, so nothing would go out; `newsletter slot add` makes a new date"
            )
        if editions.by_date(tx, day) is not None:
            raise InputError(f"the edition of {name} was cancelled, and a date has one; add another date for its tip")
        slots.move(tx, day, was=SlotState.SKIPPED, to=SlotState.OPEN, reason="", now=now)
        slots.move_instant(tx, day, sends_at=slot.at_home if slot.extra else slot.sends_at, now=now)
        logs.add(tx, logs.LogEntry(at=now, who=who, what="slot unskip", about=day.isoformat()))
        # Not as it is stored: a row does not know that each reader has an hour of their own.
        opened = replace(slot, state=SlotState.OPEN, reason="")
        return SlotChange(slot=opened, tip=tips.pinned_to(tx, day), new=True)


def add_slot(unit: Unit, day: date, at: time | None, review: TipValidation, *, tip: Tip | None, who: str) -> SlotChange:
    """Add a date beside the weekly ones, with the tip that shall go out on it."""
    with unit.write() as tx:
        installations.lock(tx)
        new = extra_slot(with_readers(tx, review.cadence), day, at)
        text = describe_slot(new, review.cadence.zone)
        if new.sends_at <= review.now:
            raise InputError(f"{text} is past; choose a later date or time")
        _clear_foreign(tx, day, review)
        _refuse_taken(tx, day, review)
        slots.add(tx, new, now=review.now)
        holder = tips.pinned_to(tx, day)
        if tip is not None:
            current = tips.by_id(tx, tip.id)
            if current is None or current != tip:
                raise NotNow(f"{tip.slug!r} changed at this moment; nothing was done. Try again.")
            if tip.pin != day:
                pin_in(tx, tip, day, review)
            holder = tips.by_id(tx, tip.id)
        why = text if tip is None else f"{text}, {tip.slug}"
        logs.add(tx, logs.LogEntry(at=review.now, who=who, what="slot add", about=day.isoformat(), why=why))
        return SlotChange(slot=new, tip=holder, new=True)


def remove_slot(unit: Unit, day: date, cadence: Cadence, *, who: str, now: datetime) -> SlotChange:
    """Remove an added date on which nothing went out yet; a tip pinned to it must have another place first."""
    with unit.write() as tx:
        installations.lock(tx)
        name = describe_date(day)
        slot = slots.get(tx, day)
        if slot is None or not slot.extra:
            if slot is None and slot_on(cadence, day) is None:
                raise InputError(f"{name} is not a date of the newsletter; `newsletter slot list` shows the added ones")
            raise InputError(f"{name} is a weekly date and stays; `newsletter slot skip {day}` sends nothing on it")
        if slot.state not in {SlotState.OPEN, SlotState.SKIPPED}:
            raise InputError(f"{name} is {slot.state} and stays in the records")
        if (tip := tips.pinned_to(tx, day)) is not None:
            raise InputError(f"{tip.slug!r} is pinned to {name}; `newsletter tip unpin {tip.slug}` comes first")
        if editions.by_date(tx, day) is not None:
            raise InputError(f"the edition of {name} was cancelled, and the date stays in the records")
        slots.move(tx, day, was=SlotState.SKIPPED, to=SlotState.OPEN, reason="", now=now)
        slots.remove(tx, day)
        for kind in (AlertKind.EMPTY_SLOT, AlertKind.CANNOT_FREEZE):
            settle_alert(tx, kind, day.isoformat(), now=now)
        logs.add(tx, logs.LogEntry(at=now, who=who, what="slot remove", about=day.isoformat()))
        return SlotChange(slot=slot, tip=None, new=True)


def _begun(tx: Tx, day: date) -> str:
    """Say that a date has its edition, and how to stop it as long as anything of it is left."""
    edition = editions.by_date(tx, day)
    name = f"the edition of {describe_date(day)}"
    if edition is None or edition.finished_at is None:
        return f"{name} has begun already; `newsletter edition cancel {day}` stops it"
    if edition.status is EditionStatus.CANCELLED:
        return f"{name} was cancelled already, so nothing more goes out on that date"
    return f"{name} has gone out already, so nothing is left to skip"


def _slot_of(tx: Tx, day: date, cadence: Cadence, now: datetime) -> Slot:
    """Return the slot of a date under the cadence of today, stored or not; raise `InputError` if it has none."""
    stored = slots.get(tx, day)
    slot = retimed(cadence, stored) if stored is not None else slot_on(cadence, day)
    if slot is not None:
        return slot
    ahead = [describe_date(item.date) for item in nearest_slots(cadence, day) if item.sends_at > now]
    near = f"; near it: {', '.join(ahead)}" if ahead else ""
    weekday = weekday_name(cadence.weekday)
    raise InputError(f"nothing goes out on {describe_date(day)}, since the day is {weekday}{near}")


def _clear_foreign(tx: Tx, day: date, review: TipValidation) -> None:
    """Take away what an earlier cadence left on a date on which nothing goes out any more."""
    stored = slots.get(tx, day)
    if stored is None or retimed(review.cadence, stored) is not None or editions.by_date(tx, day) is not None:
        return
    slots.move(tx, day, was=SlotState.SKIPPED, to=SlotState.OPEN, reason="", now=review.now)
    slots.remove(tx, day)


def _refuse_taken(tx: Tx, day: date, review: TipValidation) -> None:
    stored = slots.get(tx, day)
    name = describe_date(day)
    if stored is None and slot_on(review.cadence, day) is None:
        return
    if stored is not None and stored.state is SlotState.SKIPPED:
        raise InputError(f"{name} is a date already, and skipped; `newsletter slot unskip {day}` opens it again")
    if stored is not None and stored.state is not SlotState.OPEN:
        raise InputError(f"{name} is a date already, and it is {stored.state}; choose another date")
    if stored is None or not stored.extra:
        weekly = slot_on(review.cadence, day)
        if weekly is not None and weekly.sends_at <= review.now:
            instead = "`newsletter edition send --now` sends the next tip at once"
            raise InputError(f"{name} is a weekly date, and its time is past; {instead}")
    kind = "an extra" if stored is not None and stored.extra else "a weekly"
    raise InputError(f"{name} is {kind} date already; `newsletter tip pin TIP {day}` chooses what goes out on it")
