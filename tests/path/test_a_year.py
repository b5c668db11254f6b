"""A whole year of the real program: 52 Tuesdays, and everything that goes wrong in between.

The diary is also a page for people, `docs/a-year.md`; this is where it is judged.
"""

from __future__ import annotations

import runpy
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from newsletter.cli.simulate import play_example
from newsletter.core.cadence import describe_date, local
from newsletter.simulation import example as year
from newsletter.simulation.diary import Diary, DiaryEntry, EntryKind

DOCS = Path(__file__).parents[2] / "docs"
SUMMER_TIME, WINTER_TIME = date(2027, 3, 14), date(2027, 11, 7)
"""The days on which the clocks of New York change."""
APRIL = datetime(2027, 4, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def spring() -> Diary:
    """Play the first three months."""
    return play_example(until=APRIL)


@pytest.fixture(scope="module")
def whole_year() -> Diary:
    """Play the year."""
    return play_example()


@pytest.fixture(params=["spring", pytest.param("whole_year", marks=pytest.mark.torture)])
def diary(request: pytest.FixtureRequest) -> Diary:
    """Return the diary of three months, and under `make torture` that of the year too."""
    played: Diary = request.getfixturevalue(request.param)
    return played


def on(diary: Diary, day: date, kind: EntryKind) -> list[DiaryEntry]:
    """Return the entries of a kind on a local date."""
    return [one for one in diary.entries if one.kind is kind and local(one.at, year.EXAMPLE_ZONE).date() == day]


def weeks(diary: Diary) -> Iterator[tuple[date, list[DiaryEntry]]]:
    """Yield the entries of each week, from Monday on."""
    by_monday: dict[date, list[DiaryEntry]] = defaultdict(list)
    for entry in diary.entries:
        there = local(entry.at, year.EXAMPLE_ZONE).date()
        by_monday[there - timedelta(days=there.weekday())].append(entry)
    yield from by_monday.items()


def test_the_page_begins_with_what_happens(spring: Diary) -> None:
    """The diary that people read is the one that this program writes; `make docs` writes it anew."""
    page = (DOCS / "a-year.md").read_text(encoding="utf-8").partition("```text\n")[2].splitlines()
    lines = list(spring.lines())
    assert page[: len(lines)] == lines


@pytest.mark.torture
def test_the_page_is_what_happens(whole_year: Diary) -> None:
    """The same for all of the page."""
    page = runpy.run_path(str(DOCS / "generate.py"))["year_page"](whole_year)
    assert (DOCS / "a-year.md").read_text(encoding="utf-8") == page


def test_each_tuesday_of_spring_has_one_outcome(spring: Diary) -> None:
    """Of 13 Tuesdays each is sent, late or empty, and none is forgotten."""
    assert [day.date for day in spring.days] == [date(2027, 1, 5) + timedelta(weeks=number) for number in range(13)]
    assert Counter(day.outcome for day in spring.days) == {"sent": 10, "late": 2, "empty": 1}


@pytest.mark.torture
def test_each_tuesday_has_one_outcome(whole_year: Diary) -> None:
    """Of 52 Tuesdays each is sent, skipped, missed or empty, and none is forgotten."""
    weekly = [day for day in whole_year.days if not day.extra]
    assert [day.date for day in weekly] == [date(2027, 1, 5) + timedelta(weeks=number) for number in range(52)]
    assert Counter(day.outcome for day in weekly) == {"sent": 45, "late": 2, "skipped": 1, "missed": 3, "empty": 1}
    outcomes = {day.date: day.outcome for day in whole_year.days}
    assert outcomes[year.SKIPPED] == "skipped"
    assert outcomes[date(2027, 2, 9)] == outcomes[date(2027, 3, 23)] == "late"
    assert outcomes[date(2027, 3, 16)] == "empty"
    assert {day for day, outcome in outcomes.items() if outcome == "missed"} == {
        date(2027, 8, 10), date(2027, 8, 17), date(2027, 8, 24),
    }  # fmt: skip


def test_everybody_is_accounted_for(diary: Diary) -> None:
    """The report of each edition adds up to its audience."""
    for day in diary.days:
        assert sum(day.counts.values()) == day.audience, day


@pytest.mark.torture
def test_a_report_says_what_became_of_trouble(whole_year: Diary) -> None:
    """A mailbox that is gone is refused, one that was full for a day is reached, one that stays full expires."""
    counts = {day.date: day.counts for day in whole_year.days}
    assert counts[date(2027, 5, 4)] == {"accepted": 23, "rejected": 1}
    assert counts[date(2027, 6, 8)] == {"accepted": 23}
    assert counts[date(2027, 11, 9)] == {"accepted": 22, "expired": 1}


def test_no_tip_goes_out_twice(diary: Diary) -> None:
    """Each tip goes out on one date, those of the queue in their order."""
    tips = [day.tip for day in diary.days if day.tip is not None]
    assert len(tips) == len(set(tips))
    assert [tip for tip in tips if tip in year.WINTER] == year.WINTER


@pytest.mark.torture
def test_pinned_tips_go_out_on_their_dates(whole_year: Diary) -> None:
    """Each of the two pinned tips goes out on its date, and 48 dates have a tip."""
    assert sum(day.tip is not None for day in whole_year.days) == 48
    pinned = {day.tip: day.date for day in whole_year.days if "pinned" in day.why}
    assert pinned == {year.EXTRA: year.EXTRA_DATE, year.HOLIDAYS: year.HOLIDAY}


@pytest.mark.torture
def test_nobody_gets_two_tips_in_a_week(whole_year: Diary) -> None:
    """Only the extra date that a person asked for makes two, and of that people are warned."""
    assert whole_year.warnings == ["23 people get more than one mail in the week of Monday 11 October 2027"]


def test_the_hour_stays_when_the_clocks_change(diary: Diary) -> None:
    """On the wall the mail goes out at nine before and after both days; the instant moves by an hour."""
    hours = {}
    for entry in diary.entries:
        if entry.kind is EntryKind.EDITION and "late" not in entry.words:
            there = local(entry.at, year.EXAMPLE_ZONE)
            assert (there.hour, there.minute) == (9, 0), entry
            hours[there.date()] = entry.at.hour
    assert {hour for day, hour in hours.items() if SUMMER_TIME < day < WINTER_TIME} == {13}
    assert {hour for day, hour in hours.items() if not SUMMER_TIME < day < WINTER_TIME} == {14}


def test_a_good_week_is_two_mails(diary: Diary) -> None:
    """When nothing happens there is the proof on Monday at nine, the report on Tuesday, and not a word more."""
    quiet = 0
    for monday, entries in weeks(diary):
        if {one.kind for one in entries} != {EntryKind.MAIL, EntryKind.EDITION} or any(one.details for one in entries):
            continue
        quiet += 1
        tuesday = monday + timedelta(days=1)
        [edition] = on(diary, tuesday, EntryKind.EDITION)
        title = edition.words.partition("” to ")[0] + "”"
        [proof], [report] = on(diary, monday, EntryKind.MAIL), on(diary, tuesday, EntryKind.MAIL)
        assert proof.words == f"Proof for {describe_date(tuesday)}: {title.strip('“”')}"
        assert report.words.endswith(f": {title}")
        assert len(entries) == 3
    assert quiet > len(diary.days) / 2


def test_no_mail_is_written_twice(diary: Diary) -> None:
    """No two mails of the year have the same subject within a month: whoever gets one has not read it before."""
    last: dict[str, DiaryEntry] = {}
    for entry in diary.entries:
        if entry.kind is EntryKind.MAIL:
            before = last.get(entry.words)
            assert before is None or entry.at - before.at > timedelta(days=30), entry
            last[entry.words] = entry


@pytest.mark.torture
def test_the_command_runs_when_no_mail_gets_through(whole_year: Diary) -> None:
    """It runs once in the year: on the Tuesday of the dead relay, fifteen minutes after that was first missed."""
    [ran] = [one for one in whole_year.entries if one.kind is EntryKind.COMMAND]
    assert year.RELAY_DEAD.holds(ran.at)
    assert f"{local(ran.at, year.EXAMPLE_ZONE):%m-%d %H:%M}" == "09-14 09:15"
    after = [one.words for one in on(whole_year, date(2027, 9, 14), EntryKind.MAIL)]
    assert after == ["23 of 23: “Call when it takes three mails”", "Passed: mail cannot be sent"]


@pytest.mark.torture
def test_three_weeks_off_are_three_dates_and_no_flood(whole_year: Diary) -> None:
    """Back after three weeks it names each date that went by, sends none of them late, and goes on on Tuesday."""
    back = on(whole_year, date(2027, 8, 27), EntryKind.MAIL)
    assert len(back) == 3
    assert all(one.words.startswith("Alert: a date went by without a mail") for one in back)
    assert on(whole_year, date(2027, 8, 27), EntryKind.EDITION) == []
    assert len(on(whole_year, date(2027, 8, 31), EntryKind.EDITION)) == 1
