"""`newsletter simulate` as people call it: their tips and dates, on a copy, with stand-ins for their readers."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta

import pytest

from newsletter.cli import simulate
from newsletter.core.cadence import describe_date, next_slots
from newsletter.core.lineup import LineupRules
from newsletter.flows.freeze import RenderContext, freeze
from newsletter.render.environment import make_environment
from tests.cli.conftest import Home, Ran
from tests.conftest import SHIFTED
from tests.edition_fixtures import CADENCE, PUBLICATION

PEOPLE = ("ada@example.com", "ben@example.net")
_TODAY = SHIFTED.now().date()
THURSDAY = _TODAY + timedelta(days=(3 - _TODAY.weekday()) % 7 + 7)


def furnish(home: Home, *titles: str, admin: bool = True) -> None:
    """Add people and tips, and name an admin."""
    for email in PEOPLE:
        assert home.run("subscriber", "add", email).code == 0
    for title in titles:
        text = f"---\ntitle: {title}\nstatus: approved\n---\n\n{title}, in a word.\n"
        assert home.run("tip", "add", "-", stdin=text).code == 0
    if admin:
        with (home.folder / ".env").open("a") as settings:
            settings.write("NEWSLETTER_ADMIN_EMAILS=admin@example.org\n")


def play(home: Home, *words: str) -> Ran:
    """Simulate from a Thursday on, so that on whatever day this runs, each week ends well after its Tuesday."""
    return home.run("simulate", "--from", str(THURSDAY), *words)


def content(home: Home) -> str:
    """Return what stands for the bytes of the database."""
    assert home.unit.flush()
    return hashlib.sha256((home.folder / "newsletter.db").read_bytes()).hexdigest()


def test_the_coming_weeks_are_played_and_nothing_is_changed(home: Home) -> None:
    """The tips go out in their order, the queue runs dry, admins are told, and the database stays as it was."""
    furnish(home, "First", "Second")
    before = content(home)
    ran = play(home, "--weeks", "3")
    assert ran.code == 0, ran.err
    assert content(home) == before
    assert ran.out.index("“First” to 2 people") < ran.out.index("“Second” to 2 people")
    assert "2 of 2: “Second”" in ran.out
    assert "Alert: it is time, and there is nothing to send" in ran.out
    assert "2 sent on time" in ran.out
    assert "Warning: approved tips end on" in ran.out


def test_nobody_is_named(home: Home) -> None:
    """Stand-ins are played for the people, so that a diary can be shown around."""
    furnish(home, "First")
    ran = play(home, "--weeks", "2", "--json")
    assert ran.code == 0, ran.err
    assert not [email for email in PEOPLE if email in ran.out]


def test_a_diary_as_data(home: Home) -> None:
    """Each date has its outcome and each entry its instant."""
    furnish(home, "First")
    data = json.loads(play(home, "--weeks", "1", "--json").out)
    [day] = data["dates"]
    assert (day["outcome"], day["tip"], day["audience"], day["counts"]) == ("sent", "First", 2, {"accepted": 2})
    assert [entry["kind"] for entry in data["entries"]][-2:] == ["edition", "mail"]
    assert datetime.fromisoformat(data["entries"][0]["at"]).tzinfo is not None


def test_a_later_start_misses_nothing(home: Home) -> None:
    """The weeks before the day it begins on are not played, so none of them is missed."""
    furnish(home, "First", "Second")
    begins = (SHIFTED.now() + timedelta(weeks=6)).date()
    ran = home.run("simulate", "--from", str(begins), "--weeks", "2")
    assert ran.code == 0, ran.err
    assert "missed" not in ran.out
    assert "2 weekly dates: 2 sent on time." in ran.out


def test_when_nothing_is_left_the_diary_ends(home: Home) -> None:
    """After three empty dates one knows how it goes on, and is not told for a year."""
    furnish(home, "First")
    ran = play(home, "--weeks", "52")
    assert "there is no tip for any later date, so the diary ends" in ran.out
    assert "4 weekly dates: 1 sent on time, 3 with nothing to send." in ran.out


def test_without_admins_the_diary_says_why(home: Home) -> None:
    """Where nobody is named no mail is written, and the diary says why it has none."""
    furnish(home, "First", admin=False)
    ran = play(home, "--weeks", "1")
    assert "0 mails" in ran.out
    assert "set NEWSLETTER_ADMIN_EMAILS" in ran.out


def test_a_large_list_has_fewer_stand_ins(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more people than are worth playing, it says how many were."""
    monkeypatch.setattr(simulate, "STAND_INS_MAX", 1)
    furnish(home, "First")
    ran = play(home, "--weeks", "1")
    assert "“First” to 1 person" in ran.out
    assert "1 stand-ins were played for your 2 subscribers" in ran.out


@pytest.mark.parametrize("day", ["2020-01-07", "tomorrow"])
def test_a_day_that_cannot_be(home: Home, day: str) -> None:
    """A day in the past, or none at all, is refused with what is wanted."""
    ran = home.run("simulate", "--from", day)
    assert ran.code == 2
    assert day in ran.err


def test_what_was_skipped_stays_skipped(home: Home) -> None:
    """The dates that a person changed are played as she changed them."""
    furnish(home, "First")
    day = THURSDAY + timedelta(days=5)
    assert home.run("slot", "skip", str(day), "--because", "fair").code == 0
    ran = play(home, "--weeks", "2")
    assert "is skipped: fair" in ran.out
    assert "1 sent on time, 1 skipped on purpose" in ran.out


def test_a_date_that_was_sent_early_is_no_date_on_time(home: Home) -> None:
    """An edition sent before its date uses the date up; its account is closed, so no report is said to be wrong."""
    furnish(home, "First", "Second")
    now = SHIFTED.now()
    render_context = RenderContext(publication=PUBLICATION, templates=make_environment(None), rules=LineupRules())
    [slot] = next_slots(CADENCE, now, 1)
    assert freeze(home.unit, render_context, slot, now=now).edition is not None
    ran = home.run("simulate", "--weeks", "2")
    assert "1 sent on time, 1 sent early" in ran.out
    assert f"{describe_date(slot.date)} was sent early: “First”, on " in ran.out
    assert "does not add up" not in ran.out
    data = json.loads(home.run("simulate", "--weeks", "2", "--json").out)
    assert [day["outcome"] for day in data["dates"]] == ["early", "sent"]
