"""What people type becomes a cadence, a date or a time, or a sentence about what is accepted."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from newsletter.core.cadence import (
    Cadence,
    cadence_text,
    parse_cadence,
    parse_date,
    parse_local,
    parse_time,
    parse_weekday,
    parse_zone,
)


def test_a_cadence_round_trips_through_its_text() -> None:
    """Three settings become one stable text, however they were spelled, so that a change can be told."""
    cadence = parse_cadence(" Tue ", "9:00", "America/New_York")
    assert cadence == Cadence(weekday=1, at=time(9), zone="America/New_York")
    assert cadence_text(cadence) == "tuesday 09:00 America/New_York"
    assert parse_cadence(*cadence_text(cadence).split()) == cadence


@pytest.mark.parametrize(
    "changed", [("monday", "09:00", "UTC"), ("tuesday", "09:01", "UTC"), ("tuesday", "09:00", "Etc/UTC")]
)
def test_a_changed_day_time_or_zone_changes_the_text(changed: tuple[str, str, str]) -> None:
    """Each of the three shows in the text."""
    assert cadence_text(parse_cadence(*changed)) != cadence_text(parse_cadence("tuesday", "09:00", "UTC"))


@pytest.mark.parametrize("text", ["2", "", "tu", "tuesdays", "dienstag"])
def test_a_wrong_day_names_the_days(text: str) -> None:
    """A number or another language is refused with the seven names."""
    with pytest.raises(ValueError, match=r"is not a day: use one of monday, tuesday, .*sunday"):
        parse_weekday(text)


@pytest.mark.parametrize(
    "text", ["24:00", "9", "0900", "9:0", "09:60", "9:00 am", "09:00:00", "09:00+01:00", "٩:00", ""]
)
def test_a_wrong_time_shows_a_right_one(text: str) -> None:
    """Anything but hours and minutes is refused with an example."""
    with pytest.raises(ValueError, match=r"is not a time: .*such as 09:00"):
        parse_time(text)


@pytest.mark.parametrize("text", ["2026-02-30", "24.11.2026", "20261124", "2026-W48-2", "0026-11-24", "9999-12-31", ""])
def test_a_wrong_date_shows_a_right_one(text: str) -> None:
    """Other spellings, days that do not exist and slips in the year are refused with an example."""
    with pytest.raises(ValueError, match=r"is not a date: .*such as 2026-11-24"):
        parse_date(text)


@pytest.mark.parametrize(
    "text", ["", "America", "/etc/passwd", "../x", "localtime", "Factory", "right/UTC", "a\0b", "Mars/Base", "x" * 999]
)
def test_a_wrong_zone_shows_a_right_one(text: str) -> None:
    """Paths, folders and keys that are no places are refused with an example, whatever the system makes of them."""
    with pytest.raises(ValueError, match=r"is not a time zone.*such as America/New_York"):
        parse_zone(text)


@pytest.mark.parametrize(
    ("text", "meant"), [("america/new york", "America/New_York"), ("Europe/Berln", "Europe/Berlin")]
)
def test_a_misspelled_zone_is_guessed(text: str, meant: str) -> None:
    """A zone that is nearly right is answered with the one that was meant."""
    with pytest.raises(ValueError, match=rf"did you mean {meant}\?"):
        parse_zone(text)


def test_a_typed_date_and_time_become_an_instant() -> None:
    """`slot add 2026-12-24 18:30` means that hour in the zone of the publication."""
    assert parse_date("2026-12-24") == date(2026, 12, 24)
    assert parse_local("2026-12-24", "18:30", "Europe/Berlin") == datetime(2026, 12, 24, 17, 30, tzinfo=UTC)
