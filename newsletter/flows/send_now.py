"""Sending at a person's word: which slot is meant, and what would go out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from newsletter.core.cadence import (
    Cadence,
    Slot,
    SlotState,
    describe_date,
    extra_slot,
    next_slots,
    retimed,
    slot_on,
)
from newsletter.core.edition import Edition, EditionStatus
from newsletter.core.lineup import Choice
from newsletter.errors import InputError
from newsletter.flows.freeze import RenderContext, choose
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import slot as slots
from newsletter.store import subscriber_count
from newsletter.store.reader_zone import with_readers
from newsletter.store.unit import Tx, Unit
from newsletter.wording import plural


@dataclass(frozen=True, slots=True, kw_only=True)
class UntriedPeople:
    """How many people of an earlier edition a new one gives up, since they were not tried yet."""

    edition: Edition
    count: int

    def __str__(self) -> str:
        """Say what the new edition means for them, and the command that sends to them first."""
        wait = plural(self.count, "person has", "people have")
        first = "resume" if self.edition.status is EditionStatus.PAUSED else "send"
        return (
            f"{wait} not been tried yet in the edition of {self.edition.name}, and the new edition gives them up. "
            f"To send to them first: `newsletter edition {first} {self.edition.name}`."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What sending a slot would do."""

    slot: Slot
    choice: Choice
    audience: int
    untried: Sequence[UntriedPeople] = ()


def plan(tx: Tx, render_context: RenderContext, slot: Slot, *, now: datetime) -> Plan:
    """Tell what would go out for a slot, to how many, and who would be given up for it; nothing is changed."""
    counts = {item: deliveries.count_untried(tx, edition_id=item.id, now=now) for item in editions.unfinished(tx)}
    return Plan(
        slot=slot,
        choice=choose(tx, slot, render_context.rules),
        audience=subscriber_count.active(tx),
        untried=[UntriedPeople(edition=edition, count=count) for edition, count in counts.items() if count],
    )


def early_slot(unit: Unit, cadence: Cadence, on: date | None, *, now: datetime) -> Slot:
    """Return the future slot that is to be sent early: the given date, else the next that is open.

    Raises `InputError` for a date without a slot, in the past, or decided already.
    """
    with unit.read() as tx:
        return early_slot_in(tx, cadence, on, now=now)


def early_slot_in(tx: Tx, cadence: Cadence, on: date | None, *, now: datetime) -> Slot:
    """Return the same as `early_slot`, as a transaction sees it that looks at more."""
    cadence = with_readers(tx, cadence)
    if on is not None:
        return _open(_named(tx, cadence, on), now)
    stored = {slot.date: retimed(cadence, slot) or slot for slot in slots.since(tx, now)}
    # An extra date whose first reader's hour has come is due, and not early.
    stored = {day: slot for day, slot in stored.items() if slot.sends_at > now}
    ahead = {slot.date: slot for slot in next_slots(cadence, now, len(stored) + 1)} | stored
    coming = sorted((s for s in ahead.values() if s.state is SlotState.OPEN), key=lambda slot: slot.sends_at)
    return coming[0]


def _named(tx: Tx, cadence: Cadence, on: date) -> Slot:
    stored = slots.get(tx, on)
    slot = (retimed(cadence, stored) or stored) if stored is not None else slot_on(cadence, on)
    if slot is None:
        when = extra_slot(cadence, on)
        raise InputError(
            f"{describe_date(on)} is not a date of the newsletter; `newsletter slot add {when.date}` adds it.",
        )
    return slot


def _open(slot: Slot, now: datetime) -> Slot:
    if slot.state is not SlotState.OPEN:
        why = f": {slot.reason}" if slot.reason else ""
        # A frozen one without an edition is known from the ledger alone: to a person it is over.
        state = "used up already" if slot.state is SlotState.FROZEN else slot.state.value
        raise InputError(f"{describe_date(slot.date)} is {state}{why}; nothing was sent.")
    if slot.sends_at <= now:
        raise InputError(
            f"{describe_date(slot.date)} lies in the past and is not due; "
            f"`newsletter slot add DATE` makes an extra one.",
        )
    return slot
