"""`newsletter slot` as people call it."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest

from tests.cli.conftest import Home
from tests.cli.test_tip_commands import add, coming, listed


def test_a_date_is_skipped_and_opened_again(home: Home) -> None:
    """Both say what they did; saying it again is no error."""
    day = coming(home)[2]
    assert home.run("slot", "skip", day, "--because", "fair").out.endswith(": skipped.\n")
    assert home.run("slot", "skip", day).out.endswith(": was skipped already.\n")
    row = json.loads(home.run("slot", "list", "--json").out)[0]
    assert (row["date"], row["state"], row["reason"]) == (day, "skipped", "fair")
    assert "fair" in home.run("slot", "list").out
    assert home.run("slot", "unskip", day).out.endswith(": open again.\n")
    assert home.run("slot", "unskip", day).out.endswith(": was open already.\n")


def test_an_extra_date_is_added_with_its_tip(home: Home) -> None:
    """The tip is pinned to it, the hour is the one asked for, and the queue shows it."""
    add(home, "a", status="draft")
    day = (date.fromisoformat(coming(home)[1]) + timedelta(days=2)).isoformat()
    result = home.run("slot", "add", day, "14:30", "--tip", "a")
    assert result.code == 0
    assert ", 14:30 E" in result.out
    assert result.out.endswith(": added for a.\n")
    assert "It is a draft" in result.err
    assert listed(home)["a"]["pin"] == day
    rows = json.loads(home.run("queue", "--json").out)
    assert [row["extra"] for row in rows if row["date"] == day] == [True]


def test_an_extra_date_without_a_tip_takes_the_next_one(home: Home) -> None:
    """That is said, since it shortens the queue by one."""
    day = (date.fromisoformat(coming(home)[1]) + timedelta(days=2)).isoformat()
    assert home.run("slot", "add", day).out.endswith(": added, for the next tip of the queue.\n")


def test_an_extra_date_is_removed(home: Home) -> None:
    """It is gone from the queue; a weekly date, a date with a pinned tip and no date at all are refused."""
    add(home, "a")
    first, second = coming(home)[:2]
    day = (date.fromisoformat(second) + timedelta(days=2)).isoformat()
    assert home.run("slot", "add", day, "--tip", "a").code == 0
    pinned = home.run("slot", "remove", day)
    assert (pinned.code, "tip unpin a" in pinned.err) == (2, True)
    assert home.run("tip", "unpin", "a").code == 0
    assert home.run("slot", "remove", day).out.endswith(": removed.\n")
    assert day not in coming(home)
    assert "slot remove" in home.run("log").out
    assert "is not a date of the newsletter" in home.run("slot", "remove", day).err
    assert "is a weekly date" in home.run("slot", "remove", first).err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("skip", "soon"), "'soon' is not a date"),
        (("skip", "2020-01-07"), "is over"),
        (("skip", "2199-01-07"), "Nothing goes out on Monday 7 January 2199"),
        (("unskip", "2020-01-07"), "its time is past"),
        (("add", "2020-01-08"), "is past"),
        (("add", "2199-01-07", "25:00"), "'25:00' is not a time"),
        (("add", "2199-01-07", "--tip", "nope"), "There is no tip 'nope'"),
        (("add", "2199-01-08"), "is a weekly date already"),
    ],
)
def test_wrong_input_changes_nothing(home: Home, words: tuple[str, ...], message: str) -> None:
    """Exit code 2, one line, and nothing is recorded of any date."""
    result = home.run("slot", *words)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert len(result.err.splitlines()) <= 2
    assert json.loads(home.run("slot", "list", "--json").out) == []
