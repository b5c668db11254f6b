"""`newsletter queue` as people and programs read it."""

from __future__ import annotations

import json
from datetime import date

import pytest

from newsletter.cli import output
from newsletter.core.cadence import brief_date
from newsletter.testing.catcher import Catcher
from tests.cli.conftest import Home
from tests.cli.test_tip_commands import add, coming
from tests.flows.follow_up_fixtures import World
from tests.flows.tip_fixtures import subscribe, tip_file


def test_json_is_a_list_of_dates(home: Home) -> None:
    """Each coming date with its instant in UTC, its tip, the source, why, and how many people."""
    subscribe(home.unit, "ada", "ben")
    add(home, "a")
    rows = json.loads(home.run("queue", "--weeks", "2", "--json").out)
    assert [row["date"] for row in rows] == coming(home, count=2)
    assert {"date", "sends_at", "tip", "source", "why", "audience"} <= rows[0].keys()
    assert [(row["tip"], row["source"], row["audience"]) for row in rows] == [("a", "queue", 2), (None, "none", 0)]
    assert rows[0]["sends_at"].endswith("+00:00")
    assert rows[0]["why"] == "next in the queue (1st of 1)"


def test_the_table_names_day_hour_and_offset(home: Home) -> None:
    """A person reads the weekday, the wall clock and its distance from UTC, and each warning on a line."""
    add(home, "a")
    result = home.run("queue", "--weeks", "3")
    assert result.code == 0
    assert "Tuesday" in result.out
    assert ", 09:00 UTC" in result.out
    assert "Warning: no subscriber is active, so nothing would go out" in result.out
    assert "Warning: approved tips end on Tuesday" in result.out
    assert len([line for line in result.out.splitlines() if line.startswith("Tue ") and "09:00" in line]) == 3


def test_skipped_dates_and_stranded_tips_are_shown(home: Home) -> None:
    """The date stays in the table with the reason, and its tip is named below with what to do."""
    day = coming(home)[2]
    assert home.run("tip", "add", "-", stdin=tip_file("a", f"pin: {day}").text).code == 0
    result = home.run("slot", "skip", day, "--because", "the summer fair")
    assert "a is pinned to this date, which is skipped" in result.err
    shown = home.run("queue").out
    assert "skipped on purpose: the summer fair" in shown
    assert "Stranded: “Title of a” (a) will not go out" in shown


def test_the_rate_gives_the_time_it_takes(home: Home) -> None:
    """With a rate of one a second, two people take two seconds."""
    subscribe(home.unit, "ada", "ben")
    with (home.folder / ".env").open("a") as settings:
        settings.write("NEWSLETTER_RATE_PER_SECOND=1\n")
    assert "An edition for 2 people takes about 2 seconds at the present rate." in home.run("queue").out


def test_titles_stand_before_slugs_and_drafts_are_listed(home: Home) -> None:
    """The table names a tip by its title; drafts are below it, the first ones by name; JSON has both names."""
    add(home, "second")
    for number in range(12):
        assert home.run("tip", "add", "-", stdin=tip_file(f"draft-{number}", status="draft").text).code == 0
    shown = home.run("queue").out
    [row] = json.loads(home.run("queue", "--weeks", "1", "--json").out)
    assert f"{row['title']} (second)" in shown
    assert "12 drafts are not approved and in no date: “" in shown
    assert "(draft-0), “" in shown
    assert "and 2 more." in shown


def test_lines_wrap_between_words(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal no line is longer than it, and no word is broken."""
    add(home, "a")
    whole = home.run("queue").out
    monkeypatch.setattr(output, "terminal_width", lambda: 60)
    folded = home.run("queue").out
    warnings = whole[whole.index("Warning:") :]
    assert max(len(line) for line in folded.splitlines()) <= 60
    assert folded[folded.index("Warning:") :].split() == warnings.split()


def test_weeks_have_limits(home: Home) -> None:
    """Zero weeks and a number that is none are wrong input."""
    for weeks in ("0", "many", "100000"):
        assert home.run("queue", "--weeks", weeks).code == 2


def test_dates_that_were_sent_early_are_named(home: Home, world: World, mail: Catcher) -> None:
    """The table and the data show the dates that are left, and a line says what became of the others."""
    days = coming(home, count=4)
    # The first finishes what is under way.
    for _ in range(3):
        sent = home.run("edition", "send", "--now", "-yy")
        assert sent.code == 0, sent.err
    shown = home.run("queue", "--weeks", "2").out
    first, second = (brief_date(date.fromisoformat(day)) for day in days[:2])
    assert f"Begun early, and no longer ahead: {first} (right, finished); {second} (other, finished)." in shown
    rows = json.loads(home.run("queue", "--weeks", "2", "--json").out)
    assert [row["date"] for row in rows] == days[2:]
    assert "Begun early" not in home.run("queue", "--weeks", "1", "--json").out
