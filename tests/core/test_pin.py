"""Pins: which dates a tip can be pinned to."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from newsletter.core.cadence import Cadence
from newsletter.core.pin import check_pin

TUESDAYS = Cadence(weekday=1, at=time(9, 0), zone="America/New_York")
NOW = datetime(2026, 12, 1, 15, 0, tzinfo=UTC)  # A Tuesday, an hour after the mail went out.


def test_a_coming_slot_can_have_a_pin() -> None:
    """Nothing speaks against a weekly date still to come."""
    assert check_pin(date(2026, 12, 22), TUESDAYS, now=NOW) == []


def test_another_weekday_names_the_dates_around_it() -> None:
    """A pin on a Wednesday is answered with the Tuesdays beside it and the way to add it."""
    (fault,) = check_pin(date(2026, 12, 23), TUESDAYS, now=NOW)
    assert fault == (
        "pin: nothing goes out on Wednesday 23 December 2026, since the day is Tuesday; "
        "pin it to Tuesday 22 December 2026 or Tuesday 29 December 2026, or add the date: "
        "newsletter slot add 2026-12-23"
    )


def test_a_date_that_is_past_is_not_proposed() -> None:
    """The Tuesday that has gone by is left out of what a person may choose."""
    (fault,) = check_pin(date(2026, 12, 2), TUESDAYS, now=NOW)
    assert "1 December" not in fault
    assert "pin it to Tuesday 8 December 2026, or add" in fault


def test_an_extra_date_can_have_a_pin() -> None:
    """A date that a person added is as good as a weekly one."""
    assert check_pin(date(2026, 12, 23), TUESDAYS, now=NOW, extra_dates=[date(2026, 12, 23)]) == []


def test_a_slot_is_past_from_its_instant_on() -> None:
    """One second before the mail goes out a pin counts; at that second it is too late."""
    day = date(2026, 12, 1)
    assert check_pin(day, TUESDAYS, now=datetime(2026, 12, 1, 13, 59, 59, tzinfo=UTC)) == []
    (fault,) = check_pin(day, TUESDAYS, now=datetime(2026, 12, 1, 14, 0, tzinfo=UTC))
    assert fault.startswith("pin: Tuesday 1 December 2026 is past")


def test_the_day_ends_in_the_zone_of_the_publication() -> None:
    """At 03:00 UTC it is still the evening before in New York, so an extra date of that evening is not past."""
    now = datetime(2026, 12, 4, 3, 0, tzinfo=UTC)
    assert check_pin(date(2026, 12, 3), TUESDAYS, now=now, extra_dates={date(2026, 12, 3)}) == []
    assert check_pin(date(2026, 12, 2), TUESDAYS, now=now, extra_dates={date(2026, 12, 2)}) != []


@pytest.mark.parametrize(
    ("day", "reason"),
    [
        (date(9999, 12, 28), "pin: 9999-12-28 is more than 50 years ahead; choose a nearer date, or take the pin out"),
        (date(9999, 12, 31), "pin: 9999-12-31 is more than 50 years ahead"),
        (date(2077, 1, 5), "pin: 2077-01-05 is more than 50 years ahead"),
        (date(1, 1, 1), "pin: 0001-01-01 is past; choose a later date"),
        (date(1970, 1, 1), "pin: 1970-01-01 is past"),
    ],
)
@pytest.mark.parametrize("extra", [False, True])
def test_the_ends_of_the_calendar_are_no_dates(day: date, reason: str, *, extra: bool) -> None:
    """A date for which no instant can be computed is refused like any other that is too far away."""
    (fault,) = check_pin(day, TUESDAYS, now=NOW, extra_dates=[day] if extra else [])
    assert fault.startswith(reason)
