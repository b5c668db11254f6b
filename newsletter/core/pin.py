"""A pin: the wish that a tip goes out on one date.

In: the date, the cadence, the extra dates and the present instant. Out: what speaks against it, as sentences
that say what to do. It never moves a pin to another date.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

from newsletter.core.cadence import Cadence, describe_date, local, nearest_slots, slot_on
from newsletter.wording import weekday_name

PIN_YEARS_MAX = 50


def check_pin(pin: date, cadence: Cadence, *, now: datetime, extra_dates: Collection[date] = ()) -> list[str]:
    """Return why a tip cannot be pinned to a date; nothing if it can.

    `extra_dates` are the dates beside the weekly ones; one of them counts as past when its day is over.
    """
    today = local(now, cadence.zone).date()
    # Near the ends of the calendar no instant can be computed.
    if abs(pin.year - today.year) > PIN_YEARS_MAX:
        past = pin < today
        reason = "is past" if past else f"is more than {PIN_YEARS_MAX} years ahead"
        return [f"pin: {pin.isoformat()} {reason}; choose a {'later' if past else 'nearer'} date, or take the pin out"]
    slot = slot_on(cadence, pin)
    is_extra = pin in extra_dates
    is_past = slot.sends_at <= now if slot and not is_extra else pin < today
    if is_past:
        return [f"pin: {describe_date(pin)} is past; choose a later date, or take the pin out"]
    if slot is None and not is_extra:
        return [_no_slot(pin, cadence, now)]
    return []


def _no_slot(pin: date, cadence: Cadence, now: datetime) -> str:
    """Name the dates around the one that was meant, as far as they are still to come."""
    open_dates = [describe_date(slot.date) for slot in nearest_slots(cadence, pin) if slot.sends_at > now]
    weekday = weekday_name(cadence.weekday)
    return (
        f"pin: nothing goes out on {describe_date(pin)}, since the day is {weekday}; "
        f"pin it to {' or '.join(open_dates)}, or add the date: newsletter slot add {pin.isoformat()}"
    )
