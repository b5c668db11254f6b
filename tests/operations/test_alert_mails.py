"""Alerts as the admins hear of them: each once, and once that it has passed; a real mail server is the judge."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from newsletter.core.alert import AlertKind
from newsletter.core.cadence import next_slots
from newsletter.core.lineup import LineupRules
from newsletter.core.monitor import Space
from newsletter.errors import NotNow
from newsletter.flows.freeze import freeze
from newsletter.operations.monitor import Monitor
from newsletter.render.environment import make_environment
from newsletter.store.unit import Unit
from newsletter.testing.catcher import Catcher
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import CADENCE, TUESDAY, add_people, add_tip
from tests.operations.monitor_fixtures import Make, World, text_of

MONDAY = TUESDAY - timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Return a SQLite database: what databases differ in is tested on both by `test_notice_rows.py`."""
    return sqlite_url


@pytest.fixture
def world(unit: Unit, clock: FixedClock, catcher: Catcher) -> Make:
    """Return a function that makes a newsletter with three people and two admins, from Sunday noon."""

    def make(*slugs: str, **more: object) -> World:
        add_people(unit, 3)
        for slug in slugs:
            add_tip(unit, slug)
        return World(unit=unit, clock=clock, catcher=catcher, **more)  # type: ignore[arg-type]

    return make


def test_an_empty_date_is_an_alert_two_days_ahead_and_at_its_time(world: Make) -> None:
    """An empty queue is told two days ahead, at the slot, and when the date is over; each once."""
    installation = world()
    installation.go(TUESDAY + timedelta(hours=37))
    assert installation.diary() == [
        "Alert: there is no tip for a date that comes soon (Tuesday 3 November 2026)",
        "Alert: it is time, and there is nothing to send (Tuesday 3 November 2026)",
        "Alert: a date went by without a mail (Tuesday 3 November 2026)",
    ]
    assert installation.open() == {(AlertKind.MISSED_SLOT, "2026-11-03")}


def test_an_alert_has_the_command_and_the_link_that_mend_it(world: Make) -> None:
    """A date without a tip can be skipped by a link, and the commands to type are below."""
    installation = world()
    installation.go(MONDAY + HOUR)
    [alert] = installation.letters()
    text = text_of(alert)
    assert "newsletter tip approve TIP" in text
    assert "newsletter slot skip 2026-11-03" in text
    assert "https://news.example.com/a/" in text


def test_a_tip_in_time_ends_the_alert(world: Make) -> None:
    """A tip approved after the alert is proofed at once, and that the trouble has passed is said once."""
    installation = world()
    installation.go(MONDAY + HOUR)
    installation.diary()
    add_tip(installation.unit, "first-tip")
    installation.go(MONDAY + 3 * HOUR)
    assert installation.diary() == [
        "Proof for Tuesday 3 November 2026: First tip",
        "Passed: there is no tip for a date that comes soon (Tuesday 3 November 2026)",
    ]


def test_a_missed_date_is_laid_aside_after_a_week(world: Make) -> None:
    """What happened cannot pass: it is told once, stands for a week, and goes without a further word."""
    installation = world()
    installation.clock.turn(minutes=5)
    installation.step()
    installation.clock.set(TUESDAY + timedelta(days=2))
    installation.step()
    assert installation.open() >= {(AlertKind.MISSED_SLOT, "2026-11-03")}
    add_tip(installation.unit, "first-tip")
    installation.diary()
    installation.clock.turn(days=8)
    installation.step()
    assert (AlertKind.MISSED_SLOT, "2026-11-03") not in installation.open()
    assert not [one for one in installation.diary() if one.startswith("Passed: a date")]


def test_low_stock_is_one_alert_per_crossing(world: Make) -> None:
    """Below the line one mail; a tip a week does not make it two; that there is plenty again is said once."""
    installation = world("tip-1", "tip-2", "tip-3", rules=LineupRules(low_stock_weeks=3))
    installation.go(MONDAY - HOUR)
    assert installation.diary() == []
    installation.go(TUESDAY + HOUR)
    installation.go(TUESDAY + 2 * HOUR)
    proof, low, _report = installation.letters()
    assert "Low stock" not in text_of(proof)
    assert low["Subject"] == "[Tip of the Week] Alert: the tips are running low"
    assert "2 fresh tips" in text_of(low)
    add_tip(installation.unit, "tip-4")
    installation.go(TUESDAY + timedelta(days=6, hours=1))
    assert installation.diary() == ["Proof for Tuesday 10 November 2026: Tip 2"]
    installation.go(TUESDAY + timedelta(days=7, hours=1))
    assert installation.diary() == ["3 of 3: “Tip 2”"]
    for number in range(5, 8):
        add_tip(installation.unit, f"tip-{number}")
    installation.go(TUESDAY + timedelta(days=7, hours=2))
    assert installation.diary() == ["Passed: the tips are running low"]


def test_editions_sent_early_are_no_low_stock(world: Make) -> None:
    """With four dates sent early there is plenty for those that are left, and nobody is told otherwise."""
    installation = world(*(f"tip-{number}" for number in range(1, 10)), rules=LineupRules(low_stock_weeks=3))
    for slot in next_slots(CADENCE, installation.clock.now(), 4):
        freeze(
            installation.unit,
            installation.notice_writer.notice_context.render_context,
            slot,
            now=installation.clock.now(),
        )
    installation.go(MONDAY - HOUR)
    assert AlertKind.LOW_STOCK not in {kind for kind, _about in installation.open()}


def test_a_fresh_installation_gets_an_hour(world: Make) -> None:
    """Who has just begun is not told that the queue is empty before there was time to fill it."""
    installation = world(rules=LineupRules(low_stock_weeks=4))
    installation.go(installation.clock.now() + timedelta(minutes=55))
    assert installation.diary() == []
    installation.go(installation.clock.now() + timedelta(minutes=10))
    assert len(installation.diary()) == 1


def test_the_scheduler_reports_a_silent_sender(world: Make) -> None:
    """After ten minutes without a sign of life the command hears of it, since no mail goes out; once."""
    commands_run: list[str] = []
    installation = world("first-tip", command=commands_run)
    installation.go(installation.clock.now() + HOUR)
    installation.sender_lives = False
    installation.go(installation.clock.now() + HOUR)
    assert installation.open() == {(AlertKind.SENDER_SILENT, "sender")}
    assert len(commands_run) == 1
    assert "the sender is not running" in commands_run[0]
    installation.sender_lives = True
    installation.go(installation.clock.now() + HOUR)
    assert installation.diary()[-1] == "Passed: the sender is not running"
    assert installation.open() == set()


def test_the_sender_reports_a_silent_scheduler(world: Make) -> None:
    """The sender listens for the bell; a restart after a long silence is no reason to cry."""
    installation = world("first-tip")
    installation.step()
    ear = Monitor(notice_writer=installation.notice_writer)
    for _ in range(9):
        ear.listen(installation.clock.now())
        assert installation.open() == set()
        installation.clock.turn(minutes=1)
    for _ in range(4):
        installation.clock.turn(minutes=1)
        ear.listen(installation.clock.now())
    installation.notices.work(threading.Event())
    assert installation.diary() == ["Alert: the scheduler is not running"]
    installation.go(installation.clock.now() + HOUR)
    assert installation.diary() == ["Passed: the scheduler is not running"]


def test_a_start_after_a_long_stop_raises_no_alert_of_silence(world: Make) -> None:
    """How long everything was off before this process began is no news."""
    installation = world("first-tip")
    installation.step()
    installation.clock.turn(days=1)
    World(unit=installation.unit, clock=installation.clock, catcher=installation.catcher).monitor.listen(
        installation.clock.now()
    )
    assert installation.open() == set()


def test_a_full_disk_is_an_alert_and_passes(world: Make) -> None:
    """Little room beside the database is one alert; room again is said once."""
    installation = world("first-tip", space=Space(free=100 * 2**20, total=2**40))
    installation.go(installation.clock.now() + HOUR)
    assert installation.diary() == ["Alert: the disk is nearly full"]
    installation.space = Space(free=2**39, total=2**40)
    installation.go(installation.clock.now() + HOUR)
    assert installation.diary() == ["Passed: the disk is nearly full"]


def test_a_relay_dead_on_tuesday(world: Make) -> None:
    """Relay dead from 08:50 to 14:00: the command runs once, the edition goes out after 14:00, everyone once."""
    commands_run: list[str] = []
    installation = world("first-tip", "second-tip", command=commands_run)
    installation.go(TUESDAY - timedelta(minutes=10))
    assert installation.diary() == ["Proof for Tuesday 3 November 2026: First tip"]
    installation.relay_up = False
    installation.go(TUESDAY + timedelta(minutes=10))
    assert commands_run == []
    installation.go(TUESDAY + 5 * HOUR)
    assert len(commands_run) == 1
    assert "Mail cannot be sent" in commands_run[0]
    assert not installation.editions()
    installation.relay_up = True
    installation.go(TUESDAY + 6 * HOUR)
    assert installation.editions() == {f"p{n}@example.com": 1 for n in range(3)}
    # Neither an alert that its own arrival proves wrong, nor word that an edition is going out which is through.
    assert installation.diary() == ["3 of 3: “First tip”", "Passed: mail cannot be sent"]
    assert installation.open() == set()
    installation.go(MONDAY + timedelta(days=6))
    assert installation.diary() == []
    assert len(commands_run) == 1


@pytest.mark.parametrize("edition_first", [False, True])
def test_a_dead_relay_without_a_command_is_reported_when_it_is_back(world: Make, *, edition_first: bool) -> None:
    """Where no command is set, nobody could be told in time; that it happened is told once, when it has passed."""
    installation = world("first-tip", "second-tip")
    installation.go(TUESDAY - timedelta(minutes=10))
    installation.diary()
    installation.relay_up = False
    installation.go(TUESDAY + 5 * HOUR)
    installation.relay_up = True
    if edition_first:
        installation.sender.work(threading.Event())
    installation.go(TUESDAY + 6 * HOUR)
    assert installation.diary() == ["3 of 3: “First tip”", "Passed: mail cannot be sent"]
    assert installation.open() == set()


def test_a_relay_that_blinks_is_no_news(world: Make) -> None:
    """Two minutes without the relay are a line in the log, and no mail."""
    installation = world("first-tip", "second-tip")
    installation.go(TUESDAY - timedelta(minutes=1))
    installation.diary()
    installation.relay_up = False
    installation.go(TUESDAY + timedelta(minutes=2), every=timedelta(minutes=1))
    installation.relay_up = True
    installation.go(TUESDAY + HOUR, every=timedelta(minutes=1))
    assert installation.diary() == ["3 of 3: “First tip”"]


def test_without_admins_nothing_is_written(world: Make) -> None:
    """Nobody to write to means no mail; the alert stands in the database and the command still runs."""
    commands_run: list[str] = []
    installation = world(admins=(), editors=(), command=commands_run)
    installation.go(TUESDAY + HOUR)
    assert not installation.catcher.caught
    assert len(commands_run) == 2
    assert (AlertKind.EMPTY_SLOT, "2026-11-03") in installation.open()


def test_ticks_that_fail_run_the_command(world: Make) -> None:
    """When the database fails for a quarter of an hour, the command says so; when it works again, a mail does."""
    commands_run: list[str] = []
    installation = world("first-tip", command=commands_run)
    installation.step()
    fault = NotNow("The database is busy.")
    for _ in range(4):
        installation.monitor.failed(fault, installation.clock.now())
        installation.clock.turn(minutes=10)
    assert len(commands_run) == 1
    assert "The database is busy." in commands_run[0]
    installation.go(installation.clock.now() + HOUR)
    assert installation.diary() == ["Passed: the database is in trouble"]
    assert len(commands_run) == 1


def test_one_failed_tick_is_no_news(world: Make) -> None:
    """A database that was busy for a moment is not told to anybody."""
    commands_run: list[str] = []
    installation = world("first-tip", command=commands_run)
    installation.monitor.failed(NotNow("busy"), installation.clock.now())
    installation.clock.turn(seconds=5)
    installation.go(installation.clock.now() + HOUR)
    assert (commands_run, installation.diary()) == ([], [])
    assert installation.pings > 10


def test_a_wrong_template_of_the_operator_does_not_swallow_an_alert(world: Make, tmp_path: Path) -> None:
    """With a broken template of one's own the alert goes out as plain text."""
    (tmp_path / "email/alert").mkdir(parents=True)
    (tmp_path / "email/alert/body.html").write_text("{% if %}")
    installation = world()
    render_context = replace(installation.notice_context.render_context, templates=make_environment(tmp_path))
    installation.notice_writer.notice_context = replace(installation.notice_context, render_context=render_context)
    installation.go(installation.clock.now() + 2 * HOUR)
    (alert,) = installation.letters()
    assert "Nothing would go out on Tuesday 3 November 2026" in text_of(alert)
    assert alert.get_body(("html",)) is None
