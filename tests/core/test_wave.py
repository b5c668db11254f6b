"""Waves: who gets an edition at which instant, on every kind of clock there is."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.cadence import (
    Cadence,
    ReaderZone,
    Slot,
    SlotState,
    cadence_text,
    describe_slot,
    extra_slot,
    instant,
    next_slots,
    parse_cadence_text,
    retimed,
    slot_on,
)
from newsletter.core.wave import (
    PassedZones,
    Wave,
    WaveRules,
    forecast_waves,
    spread,
    waves,
    zone_of,
)
from tests.core.wave_rules import GRACE, LONG_AGO, NOON, TUESDAY, plan, readers, rules, slot, utc


def test_each_reader_has_nine_o_clock_of_their_own_tuesday() -> None:
    """Five zones of the world get it within 24 hours, each at its own nine."""
    planned_waves = plan(rules("Pacific/Auckland", "Europe/Berlin", "America/New_York", "Pacific/Honolulu", ""))

    assert planned_waves == {
        "Pacific/Auckland": utc(2026, 11, 23, 20),
        "Europe/Berlin": utc(2026, 11, 24, 8),
        "America/New_York": utc(2026, 11, 24, 14),
        "": utc(2026, 11, 24, 14),
        "Pacific/Honolulu": utc(2026, 11, 24, 19),
    }


def test_a_slot_begins_with_its_first_reader() -> None:
    """The slot keeps its local date, and its instant is that of the easternmost reader."""
    stored_slot = slot(rules("Europe/Berlin", "Asia/Tokyo"))

    assert (stored_slot.date, stored_slot.sends_at, stored_slot.home) == (
        TUESDAY,
        utc(2026, 11, 24, 0),
        utc(2026, 11, 24, 14),
    )


def test_a_slot_begins_at_home_at_the_latest() -> None:
    """Where every reader lives further west, the edition is frozen at the publication's own hour."""
    wave_rules = rules("America/Los_Angeles")

    assert slot(wave_rules).sends_at == utc(2026, 11, 24, 14)
    assert plan(wave_rules) == {"America/Los_Angeles": utc(2026, 11, 24, 17)}


def test_without_locally_nothing_changes() -> None:
    """A cadence that does not go by the readers' clocks ignores their zones."""
    plain = Cadence(weekday=1, at=time(9), zone="America/New_York", readers=readers("Pacific/Auckland"))

    assert slot_on(plain, TUESDAY) == Slot(date=TUESDAY, sends_at=utc(2026, 11, 24, 14))


def test_zones_of_one_instant_go_together() -> None:
    """Berlin, Paris and Rome are one wave, named by the most frequent of them."""
    wave_rules = rules()
    planned_waves = waves(
        wave_rules,
        slot(wave_rules),
        [
            *readers("Europe/Rome", "Europe/Paris"),
            ReaderZone(zone="Europe/Berlin", people=7, since=LONG_AGO),
        ],
        now=utc(2026, 11, 24, 8),
    )

    assert planned_waves == [
        Wave(
            not_before=utc(2026, 11, 24, 8),
            zones=("Europe/Berlin", "Europe/Paris", "Europe/Rome"),
            people=11,
            clock="Europe/Berlin",
        )
    ]
    assert planned_waves[0].label == "Europe/Berlin +2"
    assert zone_of(planned_waves[0].label) == "Europe/Berlin"


@pytest.mark.parametrize("unknown", ["", "Mars/Olympus", "America", "localtime", "posix/Europe/Berlin", "../etc"])
def test_whose_zone_is_unknown_gets_it_with_the_publication(unknown: str) -> None:
    """An unknown zone is as good as none, and goes by the clock of the publication."""
    wave_rules = rules("Europe/Berlin", unknown)
    planned_waves = waves(wave_rules, slot(wave_rules), wave_rules.cadence.readers, now=slot(wave_rules).sends_at)

    assert [wave.label for wave in planned_waves] == ["Europe/Berlin", "America/New_York"]
    assert plan(wave_rules)[unknown] == utc(2026, 11, 24, 14)


def test_zones_with_half_hours() -> None:
    """Zones with odd offsets have their own waves: India, Nepal, the Chatham Islands, Newfoundland."""
    planned_waves = plan(rules("Asia/Kolkata", "Asia/Kathmandu", "Pacific/Chatham", "America/St_Johns"))

    assert planned_waves == {
        "Pacific/Chatham": utc(2026, 11, 23, 19, 15),
        "Asia/Kathmandu": utc(2026, 11, 24, 3, 15),
        "Asia/Kolkata": utc(2026, 11, 24, 3, 30),
        "America/St_Johns": utc(2026, 11, 24, 12, 30),
    }


def test_the_two_ends_of_the_world_are_26_hours_apart() -> None:
    """From UTC+14 to UTC-12 a date lasts longer than a day, and both ends get it."""
    planned_waves = plan(rules("Pacific/Kiritimati", "Etc/GMT+12"))

    assert planned_waves["Etc/GMT+12"] - planned_waves["Pacific/Kiritimati"] == timedelta(hours=26)


@pytest.mark.parametrize(
    ("on", "berlin", "new_york"),
    [
        (date(2026, 3, 3), utc(2026, 3, 3, 8), utc(2026, 3, 3, 14)),
        (date(2026, 3, 10), utc(2026, 3, 10, 8), utc(2026, 3, 10, 13)),  # New York has changed, Berlin has not.
        (date(2026, 3, 31), utc(2026, 3, 31, 7), utc(2026, 3, 31, 13)),
        (date(2026, 10, 27), utc(2026, 10, 27, 8), utc(2026, 10, 27, 13)),  # Berlin has changed, New York has not.
        (date(2026, 11, 3), utc(2026, 11, 3, 8), utc(2026, 11, 3, 14)),
    ],
)
def test_the_weeks_of_the_changes_of_the_hour(on: date, berlin: datetime, new_york: datetime) -> None:
    """Through both changes on both sides of an ocean it is nine o'clock for everybody."""
    assert plan(rules("Europe/Berlin", "America/New_York"), on) == {
        "Europe/Berlin": berlin,
        "America/New_York": new_york,
    }


@pytest.mark.parametrize(
    ("home", "reader"),
    [("America/New_York", "Europe/Berlin"), ("Europe/Berlin", "America/New_York")],
    ids=["the reader's day", "the publication's day"],
)
@pytest.mark.parametrize(
    ("on", "berlin"),
    [
        (date(2026, 3, 29), utc(2026, 3, 29, 1, 30)),  # 02:30 does not exist in Berlin: 03:30 CEST.
        (date(2026, 10, 25), utc(2026, 10, 25, 0, 30)),  # 02:30 comes twice in Berlin: the first.
    ],
)
def test_both_days_of_the_change(home: str, reader: str, on: date, berlin: datetime) -> None:
    """An hour that is left out or comes twice on the day of the change gives one wave, in either role of the zone."""
    cadence = Cadence(weekday=6, at=time(2, 30), zone=home, locally=True, readers=readers(reader, home))
    planned_waves = plan(WaveRules(cadence=cadence, grace=GRACE), on)

    assert planned_waves["Europe/Berlin"] == berlin
    assert planned_waves["America/New_York"] == instant(on, time(2, 30), "America/New_York")


@pytest.mark.parametrize("on", [date(2026, 3, 8), date(2026, 11, 1)], ids=["spring", "autumn"])
def test_both_days_of_the_change_at_home(on: date) -> None:
    """On the days on which New York changes its clocks, readers without a zone get it once, by New York's rule."""
    cadence = Cadence(
        weekday=6, at=time(2, 30), zone="America/New_York", locally=True, readers=readers("", "Asia/Tokyo")
    )
    planned_waves = plan(WaveRules(cadence=cadence, grace=GRACE), on)

    assert planned_waves[""] == instant(on, time(2, 30), "America/New_York")
    assert planned_waves["Asia/Tokyo"] == datetime.combine(on, time(2, 30), ZoneInfo("Asia/Tokyo"))


def test_a_date_that_a_zone_left_out() -> None:
    """Samoa had no 30 December 2011: its readers get the edition of that date at the same hour of the 31st."""
    cadence = Cadence(
        weekday=4,
        at=time(9),
        zone="Pacific/Auckland",
        locally=True,
        readers=readers("Pacific/Apia", since=utc(2011, 1, 1)),
    )
    planned_waves = plan(WaveRules(cadence=cadence, grace=GRACE), date(2011, 12, 30))

    assert planned_waves == {"Pacific/Apia": utc(2011, 12, 30, 19)}
    assert planned_waves["Pacific/Apia"].astimezone(ZoneInfo("Pacific/Apia")).isoformat() == "2011-12-31T09:00:00+14:00"


def test_an_extra_date_keeps_its_hour() -> None:
    """An extra date at noon is stored with noon at home, and begins at noon of the first reader."""
    wave_rules = rules("Europe/Berlin")
    extra = extra_slot(wave_rules.cadence, date(2026, 11, 26), NOON)
    stored = Slot(date=extra.date, sends_at=extra.at_home, extra=True)

    assert (extra.sends_at, extra.home) == (utc(2026, 11, 26, 11), utc(2026, 11, 26, 17))
    assert retimed(wave_rules.cadence, stored) == extra
    assert plan(wave_rules, now=None) != {}
    assert waves(wave_rules, extra, wave_rules.cadence.readers, now=extra.sends_at)[0].not_before == utc(
        2026, 11, 26, 11
    )


def test_a_frozen_date_keeps_its_instant() -> None:
    """What was frozen is history: a further reader does not move it."""
    frozen = Slot(date=TUESDAY, sends_at=utc(2026, 11, 24, 8), state=SlotState.FROZEN)

    assert retimed(rules("Pacific/Auckland").cadence, frozen) == frozen


def test_the_setting_is_part_of_the_schedule() -> None:
    """Turning it on or off is a changed schedule, and the stored text is read back."""
    wave_cadence = rules().cadence

    assert cadence_text(wave_cadence) == "tuesday 09:00 America/New_York locally"
    assert parse_cadence_text(cadence_text(wave_cadence)) == wave_cadence
    assert not parse_cadence_text("tuesday 09:00 America/New_York").locally


def test_a_slot_in_words() -> None:
    """People read the date, the hour on their own clock, and when it begins."""
    words = describe_slot(slot(rules("Pacific/Auckland")), "America/New_York")

    assert words == (
        "Tuesday 24 November 2026, 09:00 on each reader's own clock, "
        "beginning Monday 23 November 2026, 15:00 EST (UTC\N{MINUS SIGN}5)"
    )


def test_the_forecast_is_what_the_freeze_will_do() -> None:
    """Days ahead the forecast shows the same waves as a freeze at the right time."""
    wave_rules = rules("Pacific/Auckland", "Europe/Berlin", "")
    ahead = slot(wave_rules)

    assert forecast_waves(wave_rules, ahead, wave_rules.cadence.readers, now=utc(2026, 11, 20)) == waves(
        wave_rules, ahead, wave_rules.cadence.readers, now=ahead.sends_at
    )


ZONES = st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"}))


@given(
    home=ZONES,
    zones=st.lists(ZONES | st.sampled_from(["", "Mars/Olympus"]), min_size=1, unique=True),
    at=st.times().map(lambda moment: moment.replace(second=0, microsecond=0)),
    week=st.integers(0, 500),
    late=st.integers(0, 60 * 60),
    passed=st.sampled_from(PassedZones),
)
def test_everybody_is_in_one_wave(
    *, home: str, zones: list[str], at: time, week: int, late: int, passed: PassedZones
) -> None:
    """Whatever the clocks, each zone is in exactly one wave, none is before its own hour, and none after the day."""
    cadence = Cadence(weekday=1, at=at, zone=home, locally=True, readers=readers(*zones, since=utc(1990, 1, 1)))
    wave_rules = WaveRules(cadence=cadence, grace=GRACE, passed=passed)
    [ahead] = next_slots(cadence, utc(2020, 1, 1) + timedelta(weeks=week), 1)
    now = ahead.sends_at + timedelta(minutes=late % (60 * 36))
    planned_waves = waves(wave_rules, ahead, cadence.readers, now=now)

    assert sorted(zone for zone, _ in spread(planned_waves)) == sorted(zones)
    assert sum(wave.people for wave in planned_waves) == 2 * len(zones)
    assert [wave.not_before for wave in planned_waves] == sorted(wave.not_before for wave in planned_waves)
    assert len({wave.clock for wave in planned_waves}) == len(planned_waves)
    for wave in planned_waves:
        for zone in wave.zones:
            own = instant(ahead.date, at, zone if zone not in {"", "Mars/Olympus"} else home)
            assert own <= wave.not_before <= max(now, own + GRACE)
