"""What people see of an edition that goes out by each reader's own clock."""

from __future__ import annotations

import json
import re
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import update

from newsletter.core.cadence import Slot, SlotState, brief_date, describe_date
from newsletter.core.edition import Edition, EditionTip
from newsletter.core.lineup import Source
from newsletter.core.wave import Wave
from newsletter.store import edition as editions
from newsletter.store import slot as slots
from newsletter.store import tip as tips
from newsletter.store.schema import delivery
from newsletter.store.wave import WAVE_STRIDE_NUMBER
from tests.cli.conftest import Home
from tests.conftest import SHIFTED
from tests.flows.tip_fixtures import queue, tip_file
from tests.sending.wave_fixtures import add_readers

READERS = {"Pacific/Auckland": 2, "Europe/Berlin": 3, "Europe/Paris": 1, "": 1, "Pacific/Honolulu": 1}
DAY = timedelta(days=1)


@pytest.fixture
def local_home(home: Home) -> Home:
    """Return a home with readers all over the world, that sends by their clocks."""
    with (home.folder / ".env").open("a") as settings:
        settings.write("NEWSLETTER_SEND_LOCALLY=true\n")
    add_readers(home.unit, READERS)
    queue(home.unit, tip_file("first"), tip_file("second"))
    return home


def freeze_now(home: Home, now: datetime) -> Edition:
    """Freeze an edition of which Auckland's wave is through, and Berlin's comes in five hours."""
    planned_waves = [
        Wave(not_before=now - timedelta(hours=1), zones=("Pacific/Auckland",), people=2, clock="Pacific/Auckland"),
        Wave(
            not_before=now + timedelta(hours=5),
            zones=("Europe/Berlin", "Europe/Paris"),
            people=4,
            clock="Europe/Berlin",
        ),
        Wave(
            not_before=now + timedelta(hours=9),
            zones=("", "Pacific/Honolulu"),
            people=2,
            clock="America/New_York",
        ),
    ]
    began = now - timedelta(hours=1)
    with home.unit.write() as tx:
        [tip] = [one for one in tips.all_tips(tx) if one.slug == "first"]
        slots.add(tx, Slot(date=now.date(), sends_at=began, state=SlotState.FROZEN), now=began)
        edition = editions.create(
            tx,
            editions.NewEdition(
                date=now.date(),
                tip=EditionTip(id=tip.id, slug=tip.slug, title=tip.title, source=Source.QUEUE, why="next in the queue"),
                content="",
                nonce="n",
                sends_at=began,
            ),
            waves=planned_waves,
            now=began,
        )
        tx.execute(update(delivery).where(delivery.c.block < WAVE_STRIDE_NUMBER).values(state="accepted", attempts=1))
    return edition


def test_the_queue_shows_the_waves_of_the_next_edition(local_home: Home) -> None:
    """Each wave has a line with its zones, its time there and here, and its people; the dates name the local hour."""
    shown = local_home.run("queue", "--weeks", "2").out
    lines = shown.splitlines()

    assert sum(", 09:00 local" in line for line in lines) == 2
    assert "09:00 on each reader's own clock, beginning Monday" in shown
    assert any(line.startswith("Europe/Berlin +1 ") and line.endswith(" 4") for line in lines)
    assert any(line.startswith("America/New_York ") and line.endswith(" 1") for line in lines)


def test_the_queue_as_json_has_the_waves(local_home: Home) -> None:
    """A program gets each wave with its instant, its local time, its zones and its people; null is no zone."""
    first, second = json.loads(local_home.run("queue", "--weeks", "2", "--json").out)
    waves = first["waves"]

    assert [wave["people"] for wave in waves] == [2, 4, 1, 1]
    assert [wave["zones"] for wave in waves] == [
        ["Pacific/Auckland"],
        ["Europe/Berlin", "Europe/Paris"],
        [None],
        ["Pacific/Honolulu"],
    ]
    assert all(wave["local"].startswith(f"{first['date']}T09:00:00") for wave in waves)
    assert first["sends_at"] == waves[0]["not_before"]
    assert first["sends_at_home"] == waves[2]["not_before"]
    assert second["waves"] == []


def test_without_the_setting_the_queue_is_as_it_was(home: Home) -> None:
    """Where all get it at one instant nothing speaks of waves."""
    add_readers(home.unit, READERS)
    queue(home.unit, tip_file("first"))

    assert "waves" not in json.loads(home.run("queue", "--weeks", "1", "--json").out)[0]
    assert "clock" not in home.run("queue").out


def test_the_report_shows_how_far_each_wave_is(local_home: Home) -> None:
    """`edition show` tells of each wave whether it is done or waits, in words and as data."""
    freeze_now(local_home, SHIFTED.now())
    shown = local_home.run("edition", "show", "last")
    data = json.loads(local_home.run("edition", "show", "last", "--json").out)

    assert shown.code == 0
    lines = [line.split() for line in shown.out.splitlines()]
    assert [line[-1] for line in lines if line[:1] == ["Pacific/Auckland"]] == ["done"]
    assert [line[-5:] for line in lines if line[:2] == ["Europe/Berlin", "+1"]] == [
        ["4", "wait", "for", "their", "hour"]
    ]
    assert [(one["wave"], one["people"], one["waiting"]) for one in data["waves"]] == [
        ("Pacific/Auckland", 2, 0),
        ("Europe/Berlin +1", 4, 4),
        ("America/New_York +1", 2, 2),
    ]


def test_status_names_the_next_wave(local_home: Home) -> None:
    """`status` says for which wave the edition waits, and foretells no end from the pace of the first."""
    freeze_now(local_home, SHIFTED.now())
    shown = local_home.run("status").out
    data = json.loads(local_home.run("status", "--json").out)

    assert "the next wave, Europe/Berlin +1, goes out to 4 people on" in shown
    assert not re.search(r"about .* left", shown)
    assert data["running"][0]["next_wave"]["people"] == 4
    assert data["running"][0]["seconds_left"] is None


def test_the_doctor_warns_when_many_have_no_zone(local_home: Home) -> None:
    """With one reader in eight without a zone it is content; when every second has none it says what to do."""

    def found() -> dict[str, str]:
        rows = json.loads(local_home.run("doctor", "--json").out)["findings"]
        [row] = [one for one in rows if one["about"] == "time zones"]
        return dict(row)

    assert found()["level"] == "ok"
    add_readers(local_home.unit, {"Mars/Olympus": 8})
    assert found()["level"] == "warn"
    assert "9 of 16 have none" in found()["text"]


def test_the_doctor_asks_nothing_about_zones_without_the_setting(home: Home) -> None:
    """Where all get it at one instant, zones do not matter."""
    add_readers(home.unit, {"": 3})

    assert "time zones" not in home.run("doctor", "--json").out


def test_a_wrong_setting_is_reported(home: Home) -> None:
    """A rule for past zones that does not exist is refused with those that do."""
    with (home.folder / ".env").open("a") as settings:
        settings.write("NEWSLETTER_PASSED_ZONES=never\n")
    result = home.run("queue")

    assert result.code == 2
    assert "NEWSLETTER_PASSED_ZONES" in result.err
    assert "with-publication" in result.err


def test_a_date_that_is_skipped_is_named_by_the_readers_clocks(local_home: Home) -> None:
    """The date comes first, not the day before on which its first reader would get it; so in the list of dates."""
    day = date.fromisoformat(json.loads(local_home.run("queue", "--json").out)[2]["date"])
    extra = day + timedelta(days=2)
    assert local_home.run("slot", "add", str(extra), "14:30").code == 0
    for named_day, hour in ((day, "09:00"), (extra, "14:30")):
        begins = f"{describe_date(named_day)}, {hour} on each reader's own clock, "
        begins += f"beginning {describe_date(named_day - DAY)}, "
        for verb, state in (("skip", "skipped"), ("unskip", "open again")):
            output = local_home.run("slot", verb, str(named_day)).out
            assert output.startswith(begins)
            assert output.endswith(f": {state}.\n")
    listed = local_home.run("slot", "list").out
    assert f"{brief_date(day)}, 09:00 local" in listed
    assert f"{brief_date(extra)}, 14:30 local (extra)" in listed
