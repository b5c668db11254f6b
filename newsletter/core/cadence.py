"""Cadence: which instants are slots. The only module in which local time exists.

In: a weekday, a wall-clock time and a zone. Out: slots, each keyed by its local date, with its instant in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum


class SlotState(StrEnum):
    """`open → frozen / skipped / empty / missed`."""

    OPEN = "open"
    FROZEN = "frozen"
    SKIPPED = "skipped"
    EMPTY = "empty"
    MISSED = "missed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """Once a week, on one weekday, at one wall-clock time of one zone."""

    weekday: int
    """0 is Monday, as in `date.weekday()`."""
    at: time
    """Wall-clock time, naive."""
    zone: str
    """IANA name, such as `America/New_York`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One send date."""

    date: date
    """Local date in the zone of the cadence: the key."""
    sends_at: datetime
    """The instant, UTC."""
    extra: bool = False
    """An extra date, added by a person beside the weekly ones."""
    state: SlotState = SlotState.OPEN
    reason: str = ""
    """Why it was skipped, missed or empty, in words."""
