"""An edition whose rows were deleted after years, as the commands show it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from newsletter.operations.retention import RetentionJob
from newsletter.testing.clocks import START
from tests.cli.conftest import Home
from tests.edition_fixtures import add_people
from tests.operations.test_retention import closed_edition


@pytest.fixture
def purged(home: Home) -> Home:
    """Return a home with one edition of long ago."""
    add_people(home.unit, 4)
    closed_edition(home.unit, rejected=1, uncertain=1)
    purge = RetentionJob(unit=home.unit, keep_deliveries=timedelta(days=730), process="test 1")
    while purge.work(START + timedelta(days=1000)):
        pass
    return home


def test_its_report_still_adds_up(purged: Home) -> None:
    """The totals are those that were stored, the exit code is 0, and the check of the database finds nothing."""
    ran = purged.run("edition", "show", "2026-11-03", "--json")
    data = json.loads(ran.out)
    assert (ran.code, data["audience"], data["accepted"], data["rejected"], data["gap"]) == (0, 4, 2, 1, 0)
    assert "2 of 4 handed to your mail provider" in purged.run("edition", "show", "2026-11-03").out
    assert purged.run("db", "check").code == 0


def test_who_got_it_is_gone(purged: Home) -> None:
    """An empty list says why it is empty, and what is left."""
    out = purged.run("delivery", "list", "--edition", "2026-11-03").out
    assert "NEWSLETTER_KEEP_DELIVERIES_DAYS" in out
    assert "newsletter edition show 2026-11-03" in out


@pytest.mark.parametrize(
    "words", [("retry", "--rejected", "--yes"), ("retry", "--expired", "--yes"), ("resolve", "--resend", "--yes")]
)
def test_nothing_of_it_is_sent_again(purged: Home, words: tuple[str, ...]) -> None:
    """Nobody is left to send to: a wish to is refused, and the edition stays closed with its totals."""
    ran = purged.run("edition", words[0], "2026-11-03", *words[1:])
    assert (ran.code, ran.out) == (2, "")
    assert "were deleted" in ran.err
    assert json.loads(purged.run("edition", "show", "last", "--json").out)["finished_at"] is not None


def test_settling_what_is_gone(purged: Home) -> None:
    """Evidence about the uncertain comes too late: nobody is settled, and the totals stay as they were."""
    ran = purged.run("edition", "resolve", "2026-11-03", "--accepted", "--because", "seen", "--yes")
    assert ran.out.startswith("The edition of 2026-11-03 has no uncertain mail")
    assert json.loads(purged.run("edition", "show", "2026-11-03", "--json").out)["uncertain"] == 1
