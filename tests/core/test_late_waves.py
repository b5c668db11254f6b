"""Waves that are late: who comes after their hour, and a machine that was off; readers sleep meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.cadence import (
    Cadence,
    Slot,
    slot_on,
)
from newsletter.core.due import judge_slots, last_start
from newsletter.core.wave import (
    PassedZones,
    rested,
    waking_hour,
    waves,
)
from tests.core.wave_rules import GRACE, LONG_AGO, TUESDAY, plan, readers, rules, slot, utc


def test_who_came_after_their_hour_moves_nothing_into_the_past() -> None:
    """A reader who joins in Auckland when it is Tuesday noon there does not make the edition begin yesterday."""
    came = utc(2026, 11, 23, 23)
    cadence = Cadence(
        weekday=1,
        at=time(9),
        zone="America/New_York",
        locally=True,
        readers=(*readers("Europe/Berlin"), *readers("Pacific/Auckland", since=came)),
    )

    assert slot_on(cadence, TUESDAY) == Slot(date=TUESDAY, sends_at=utc(2026, 11, 24, 8), home=utc(2026, 11, 24, 14))
    assert slot_on(cadence, date(2026, 12, 1)).sends_at == utc(2026, 11, 30, 20)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("passed", "auckland"),
    [(PassedZones.AT_ONCE, utc(2026, 11, 24, 8)), (PassedZones.WITH_PUBLICATION, utc(2026, 11, 24, 14))],
)
def test_zones_that_are_past_at_the_freeze(passed: PassedZones, auckland: datetime) -> None:
    """Whose hour is past as the edition begins gets it at once, or with the publication, as the setting says."""
    wave_rules = rules("Europe/Berlin", passed=passed)
    planned_waves = waves(
        wave_rules, slot(wave_rules), readers("Europe/Berlin", "Pacific/Auckland"), now=utc(2026, 11, 24, 8)
    )

    assert {zone: wave.not_before for wave in planned_waves for zone in wave.zones} == {
        "Europe/Berlin": utc(2026, 11, 24, 8),
        "Pacific/Auckland": auckland,
    }


def test_a_late_start_waits_for_the_day() -> None:
    """After a night of downtime, whoever sleeps gets it at seven, who is awake at once, and others at their hour."""
    wave_rules = rules("Pacific/Auckland", "Asia/Tokyo", "Europe/Berlin", "America/New_York")
    now = utc(2026, 11, 24, 9)  # 22:00 in Auckland, 18:00 in Tokyo, 10:00 in Berlin, 04:00 in New York.

    assert plan(wave_rules, now=now) == {
        "Pacific/Auckland": utc(2026, 11, 24, 18),
        "Asia/Tokyo": now,
        "Europe/Berlin": now,
        "America/New_York": utc(2026, 11, 24, 14),
    }


def test_a_late_start_with_the_publication() -> None:
    """With the other setting those who are past get it at the publication's hour, as long as that lies ahead."""
    wave_rules = rules("Pacific/Auckland", "America/New_York", passed=PassedZones.WITH_PUBLICATION)

    assert plan(wave_rules, now=utc(2026, 11, 24, 9))["Pacific/Auckland"] == utc(2026, 11, 24, 14)
    assert plan(wave_rules, now=utc(2026, 11, 24, 15))["Pacific/Auckland"] == utc(2026, 11, 24, 18)


def test_what_is_late_does_not_wait_beyond_the_grace() -> None:
    """Where the reader's day begins after the end of the grace, the edition comes at night rather than never."""
    wave_rules = replace(rules("Pacific/Auckland", "Asia/Tokyo", "America/New_York"), grace=timedelta(hours=16))
    now = utc(2026, 11, 24, 11)  # 15 hours after Auckland's nine and 11 after Tokyo's: midnight, and 20:00.

    assert plan(wave_rules, now=now) == {
        "Pacific/Auckland": now,
        "Asia/Tokyo": now,
        "America/New_York": utc(2026, 11, 24, 14),
    }
    assert plan(replace(wave_rules, grace=timedelta(hours=23)), now=now)["Pacific/Auckland"] == utc(2026, 11, 24, 18)


@pytest.mark.parametrize(
    ("hour", "expected"),
    [
        (time(6, 59), (0, time(7))),
        (time(7), (0, time(7))),
        (time(20, 59), (0, time(20, 59))),
        (time(21), (1, time(7))),
        (time(0), (0, time(7))),
    ],
)
def test_waking_hours(hour: time, expected: tuple[int, time]) -> None:
    """From 07:00 up to 21:00 is day; everything else waits for the next 07:00."""
    zone = ZoneInfo("Europe/Berlin")
    at = datetime.combine(TUESDAY, hour, zone).astimezone(UTC)
    days, then = expected

    assert waking_hour(at, "Europe/Berlin") == datetime.combine(TUESDAY + timedelta(days=days), then, zone)


def test_a_short_grace_does_not_miss_a_date_before_its_hour() -> None:
    """With two hours of grace and a first reader in Auckland, a start at New York's eight o'clock is not too late."""
    wave_slot = slot(rules("Pacific/Auckland"))
    grace = timedelta(hours=2)

    def judged(now: datetime) -> Slot | None:
        return judge_slots([wave_slot], now=now, not_before=LONG_AGO, grace=grace).due

    assert last_start(wave_slot, grace) == wave_slot.home
    assert judged(utc(2026, 11, 24, 13)) == wave_slot
    assert judged(utc(2026, 11, 24, 14)) is None
    assert last_start(wave_slot, GRACE) == wave_slot.sends_at + GRACE


@given(
    zone=st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"})),
    minutes=st.integers(0, 15 * 365 * 24 * 60),
)
def test_resting_ends_in_the_day(zone: str, minutes: int) -> None:
    """What rests goes out in the reader's day and never earlier than asked; without time to rest it goes at once."""
    at = utc(2020, 1, 1) + timedelta(minutes=minutes)
    woken = waking_hour(at, zone).astimezone(ZoneInfo(zone)).time()

    assert waking_hour(at, zone) >= at
    assert time(7) <= woken < time(21)
    assert rested(at, zone, until=at) == at
