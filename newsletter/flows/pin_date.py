"""Whether a tip can be pinned to a date: the calendar, the stored slots and the other pins are asked.

In: a transaction, the date and the cadence. Out: what speaks against it, in sentences. It changes nothing.
"""

from __future__ import annotations

from datetime import date, datetime

from newsletter.core.cadence import Cadence, SlotState, describe_date, retimed
from newsletter.core.pin import check_pin
from newsletter.store import slot as slots
from newsletter.store.reader_zone import with_readers
from newsletter.store.unit import Tx


def pin_faults(tx: Tx, day: date, *, cadence: Cadence, now: datetime) -> list[str]:
    """Return why nothing can be pinned to a date; whether another tip has it is asked elsewhere."""
    stored, cadence = slots.get(tx, day), with_readers(tx, cadence)
    current = retimed(cadence, stored) if stored is not None else None
    extra = [day] if current is not None and current.extra else []
    faults = check_pin(day, cadence, now=now, extra_dates=extra)
    if faults or current is None:
        return faults
    name = describe_date(day)
    match current.state:
        case SlotState.OPEN if current.sends_at <= now:
            return [f"pin: the time of {name} is past; choose a later date"]
        case SlotState.OPEN:
            return []
        case SlotState.SKIPPED:
            because = f" ({current.reason})" if current.reason else ""
            return [f"pin: {name} is skipped{because}; `newsletter slot unskip {day}` opens it again"]
        case SlotState.FROZEN:
            return [f"pin: the edition of {name} has begun already; choose a later date"]
        case _:
            return [f"pin: {name} is over ({current.state}); choose a later date"]
