"""The lineup: which tip goes to which slot, and why. Computed, never stored, until a slot is frozen.

In: slots in order, all tips, what was sent when. Out: one `Choice` per slot. It never changes a tip or a slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from newsletter.core.cadence import Slot
from newsletter.core.tip import Tip, TipId


class Source(StrEnum):
    """Where the tip of a slot comes from."""

    SKIPPED = "skipped"
    PINNED = "pinned"
    QUEUE = "queue"
    EVERGREEN = "evergreen"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One past edition, as far as the lineup cares: this tip went out for this date."""

    tip: TipId
    date: date


@dataclass(frozen=True, slots=True, kw_only=True)
class LineupRules:
    """What the operator decided."""

    evergreen_rest_weeks: int = 52


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What one slot gets."""

    slot: Slot
    tip: Tip | None
    source: Source
    why: str
    """One clause a person understands: `pinned to this date`, `next in the queue (2nd of 7)`."""
    warnings: tuple[str, ...] = ()
