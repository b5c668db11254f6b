"""Swapping: another tip goes out on a date, and the one that would have gone waits for the next.

In: the date and the tip that shall not go out. Out: the tip that goes instead. It is what a person does with
`tip pin`, at the choice of the lineup: the next one that could go. A tip that was pinned to the date loses its pin.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from newsletter.core.cadence import Slot, SlotState, describe_date, retimed, slot_on
from newsletter.core.tip import Tip, TipId
from newsletter.errors import InputError
from newsletter.flows.change_tip import pin_in
from newsletter.flows.line_up import line_up
from newsletter.flows.queue_tip import TipValidation
from newsletter.store import installation as installations
from newsletter.store import log as logs
from newsletter.store import slot as slots
from newsletter.store import tip as tips
from newsletter.store.reader_zone import with_readers
from newsletter.store.unit import Tx, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """What a swap would do, or did."""

    slot: Slot
    out: Tip
    instead: Tip


def plan_swap(unit: Unit, day: date, out: TipId, review: TipValidation) -> Swap:
    """Tell what a swap would do; raise `InputError` when it cannot be done any more."""
    with unit.read() as tx:
        return _swap(tx, day, out, review)


def swap_tip(unit: Unit, day: date, out: TipId, review: TipValidation, *, who: str) -> Swap:
    """Let the next tip go out on a date instead; raise `InputError` when another one goes already, or none could."""
    with unit.write() as tx:
        installations.lock(tx)
        swap = _swap(tx, day, out, review)
        if swap.out.pin == day:
            tips.set_pin(tx, swap.out, None, now=review.now)
        pin_in(tx, swap.instead, day, review)
        why = f"{swap.instead.slug} instead of {swap.out.slug}"
        logs.add(tx, logs.LogEntry(at=review.now, who=who, what="tip swap", about=day.isoformat(), why=why))
        return swap


def _swap(tx: Tx, day: date, out: TipId, review: TipValidation) -> Swap:
    slot = _open_slot(tx, day, review)
    rules = review.render_context.rules
    [now_goes] = line_up(tx, [slot], rules)
    if now_goes.tip is None:
        raise InputError(f"nothing would go out on {describe_date(day)} as it is: {now_goes.why}")
    if now_goes.tip.id != out:
        raise InputError(f"another tip goes out on {describe_date(day)} already: “{now_goes.tip.title}”")
    # As a draft it still holds back the later parts of its series, which must not overtake it.
    instead = line_up(tx, [slot], rules, held_back=out)[0].tip
    if instead is None:
        raise InputError("there is no other approved tip that could go out; approve one first")
    return Swap(slot=slot, out=now_goes.tip, instead=instead)


def _open_slot(tx: Tx, day: date, review: TipValidation) -> Slot:
    stored, cadence = slots.get(tx, day), with_readers(tx, review.cadence)
    slot = retimed(cadence, stored) if stored is not None else slot_on(cadence, day)
    if slot is None:
        raise InputError(f"nothing goes out on {describe_date(day)}")
    if slot.state is SlotState.FROZEN:
        raise InputError(f"the edition of {describe_date(day)} has begun already")
    if slot.state is not SlotState.OPEN or slot.sends_at <= review.now:
        noun = "over" if slot.state is SlotState.OPEN else slot.state.value
        raise InputError(f"{describe_date(day)} is {noun}")
    return slot
