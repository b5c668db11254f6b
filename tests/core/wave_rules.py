"""What the tests of waves share: readers by their zones, and the rules of a Tuesday at nine."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from newsletter.core.cadence import (
    Cadence,
    ReaderZone,
    Slot,
    extra_slot,
    slot_on,
)
from newsletter.core.wave import (
    PassedZones,
    WaveRules,
    waves,
)

TUESDAY = date(2026, 11, 24)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
GRACE = timedelta(hours=36)
NOON = time(12)


def readers(*zones: str, since: datetime = LONG_AGO) -> tuple[ReaderZone, ...]:
    """Return two people of each zone."""
    return tuple(ReaderZone(zone=zone, people=2, since=since) for zone in zones)


def rules(*zones: str, home: str = "America/New_York", passed: PassedZones = PassedZones.AT_ONCE) -> WaveRules:
    """Return the rules of a newsletter that goes out on Tuesdays at nine, with these readers."""
    cadence = Cadence(weekday=1, at=time(9), zone=home, locally=True, readers=readers(*zones))
    return WaveRules(cadence=cadence, grace=GRACE, passed=passed)


def slot(wave_rules: WaveRules, on: date = TUESDAY) -> Slot:
    """Return the slot of a date."""
    stored_slot = slot_on(wave_rules.cadence, on)
    return stored_slot if stored_slot is not None else extra_slot(wave_rules.cadence, on)


def plan(wave_rules: WaveRules, on: date = TUESDAY, *, now: datetime | None = None) -> dict[str, datetime]:
    """Return when each zone gets the edition of a date, frozen at a moment, else at its very time."""
    wave_slot = slot(wave_rules, on)
    planned_waves = waves(wave_rules, wave_slot, wave_rules.cadence.readers, now=now or wave_slot.sends_at)
    return {zone: wave.not_before for wave in planned_waves for zone in wave.zones}


def utc(*parts: int) -> datetime:
    """Return an instant."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]
