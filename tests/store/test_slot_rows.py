"""Slots in the store: one for each date, moved only from the state they were read in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from newsletter.core.cadence import Slot, SlotState
from newsletter.store import slot as slots
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START

TUESDAY = Slot(date=date(2026, 11, 3), sends_at=datetime(2026, 11, 3, 14, tzinfo=UTC))


def test_a_date_has_one_slot(unit: Unit) -> None:
    """The first one stays, whoever comes second with another time."""
    later = replace(TUESDAY, sends_at=TUESDAY.sends_at + timedelta(hours=1), extra=True)
    with unit.write() as tx:
        assert slots.add(tx, TUESDAY, now=START)
        assert not slots.add(tx, later, now=START)
        assert slots.get(tx, TUESDAY.date) == TUESDAY


def test_slots_come_in_order_of_time(unit: Unit) -> None:
    """`since` begins with the instant that was asked for, whatever the order of writing."""
    every = [
        replace(TUESDAY, date=TUESDAY.date + timedelta(weeks=n), sends_at=TUESDAY.sends_at + timedelta(weeks=n))
        for n in range(3)
    ]
    with unit.write() as tx:
        for slot in reversed(every):
            slots.add(tx, slot, now=START)
    with unit.read() as tx:
        assert slots.since(tx, None) == every
        assert slots.since(tx, every[1].sends_at) == every[1:]
        assert slots.since(tx, every[1].sends_at + timedelta(seconds=1)) == every[2:]


@pytest.mark.parametrize("state", SlotState)
def test_a_slot_moves_only_from_where_it_was_read(unit: Unit, state: SlotState) -> None:
    """Two who saw it open cannot both move it: the second is told no, and the reason of the first stays."""
    with unit.write() as tx:
        slots.add(tx, replace(TUESDAY, state=state), now=START)
    with unit.write() as tx:
        first = slots.move(tx, TUESDAY.date, was=SlotState.OPEN, to=SlotState.SKIPPED, reason="fair", now=START)
        second = slots.move(tx, TUESDAY.date, was=SlotState.OPEN, to=SlotState.MISSED, reason="late", now=START)
    assert (first, second) == (state is SlotState.OPEN, False)
    with unit.read() as tx:
        stored_slot = slots.get(tx, TUESDAY.date)
    assert stored_slot == (
        replace(TUESDAY, state=SlotState.SKIPPED, reason="fair") if first else replace(TUESDAY, state=state)
    )


@pytest.mark.parametrize("state", SlotState)
def test_history_follows_no_new_schedule(unit: Unit, state: SlotState) -> None:
    """Only what is open or skipped gets a new instant, and only what is open can be taken away."""
    moved = TUESDAY.sends_at + timedelta(hours=3)
    with unit.write() as tx:
        slots.add(tx, replace(TUESDAY, state=state), now=START)
        slots.move_instant(tx, TUESDAY.date, sends_at=moved, now=START)
        stored_slot = slots.get(tx, TUESDAY.date)
        assert stored_slot is not None
        assert (stored_slot.sends_at == moved) == (state in {SlotState.OPEN, SlotState.SKIPPED})
        assert slots.remove(tx, TUESDAY.date) == (state is SlotState.OPEN)
        assert (slots.get(tx, TUESDAY.date) is None) == (state is SlotState.OPEN)
