"""The live view as words, as JSON lines and as a picture; what it sees is tested beside the store."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from rich.console import Console

from newsletter.cli.edition_watch import LINE_EVERY_SECONDS, EditionWatcher, draw, screen
from newsletter.core.cadence import Cadence
from newsletter.core.delivery import DeliveryCounts, DeliveryState
from newsletter.core.edition import EditionStatus
from newsletter.core.live import Cause, Look, Speed, Waiting
from newsletter.core.pace import Limits, Window, reserve
from newsletter.core.receipt import Receipt
from newsletter.core.worker_view import RelayView, WorkerView
from newsletter.sending.quota import QUOTA
from newsletter.settings.loader import load_settings
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import quota as quotas
from newsletter.testing.clocks import FixedClock
from newsletter.wiring import build
from tests.cli.conftest import Home
from tests.conftest import SHIFTED
from tests.core.edition_samples import edition_of
from tests.edition_fixtures import CADENCE
from tests.flows.follow_up_fixtures import World

NOW = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
LOOK = Look(at=NOW, receipt=Receipt(edition=edition_of(100), counts=DeliveryCounts(accepted=20, queued=80)))
SLOWED = RelayView(
    name="smtp.example.com:587",
    connections=2,
    allowed=5,
    most=10,
    trouble="It is slow.",
    again_at=NOW + timedelta(seconds=10),
)


def look_at(counts: DeliveryCounts, **edition: object) -> Look:
    """Return a look at the edition with these counts."""
    return replace(LOOK, receipt=Receipt(edition=edition_of(100, **edition), counts=counts))


def at_work(look: Look, *relays: RelayView, silent: int = 0) -> Look:
    """Return the look with a worker that has these mail servers."""
    seen_at = look.at - timedelta(seconds=silent)
    return replace(look, workers=(WorkerView(name="web-1 17", machine="web-1", seen_at=seen_at, relays=relays),))


def application(clock: FixedClock, cadence: Cadence = CADENCE) -> SimpleNamespace:
    """Return as much of an application as words need."""
    return SimpleNamespace(clock=clock, cadence=cadence)


def test_lines_are_few(clock: FixedClock, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal there is a line at the beginning, every ten seconds and at the end, and none in between."""
    with screen(application(clock)) as show:  # type: ignore[arg-type]
        for step in range(50):
            show(look_at(DeliveryCounts(accepted=20 + step, queued=80 - step)), Speed())
            clock.turn(seconds=LINE_EVERY_SECONDS / 20)
        show(look_at(DeliveryCounts(accepted=100), status=EditionStatus.FINISHED, finished_at=NOW), Speed())
    captured = capsys.readouterr().out.splitlines()
    assert captured == ["20 of 100 (20 %)", "40 of 100 (40 %)", "60 of 100 (60 %)", "100 of 100 (100 %), finished"]


def test_a_cancelled_edition_tells_how_far_it_got(clock: FixedClock, capsys: pytest.CaptureFixture[str]) -> None:
    """Whom a cancel left out is not done: neither the line nor the bar says 100 % of an edition that was stopped."""
    look = look_at(DeliveryCounts(accepted=20, skipped=80), status=EditionStatus.CANCELLED, finished_at=NOW)
    with screen(application(clock)) as show:  # type: ignore[arg-type]
        show(look, Speed())
    assert capsys.readouterr().out.splitlines() == ["20 of 100 (20 %), cancelled"]

    def drawn(shown_look: Look) -> str:
        console = Console(file=io.StringIO(), width=110, force_terminal=True, color_system="truecolor")
        console.print(draw(shown_look, Speed(), "America/New_York"))
        return console.file.getvalue().splitlines()[1].split("20 of")[0]  # type: ignore[attr-defined, no-any-return]

    assert drawn(look) == drawn(LOOK)


def test_trouble_is_reported_at_once(clock: FixedClock, capsys: pytest.CaptureFixture[str]) -> None:
    """A complaint of the mail server is told as soon as it is heard, and once: another time in it is no news."""
    with screen(application(clock)) as show:  # type: ignore[arg-type]
        show(LOOK, Speed())
        for second in (10, 11, 12):
            clock.turn(seconds=0.5)
            show(at_work(LOOK, replace(SLOWED, again_at=NOW + timedelta(seconds=second))), Speed())
    captured = capsys.readouterr().out.splitlines()
    assert captured[0] == "20 of 100 (20 %)"
    assert captured[1:] == [
        "20 of 100 (20 %); smtp.example.com:587: 2 of 5 (of 10) connections, tried again at 09:00:10: It is slow"
    ]


def test_a_server_cannot_steer_the_terminal(clock: FixedClock, capsys: pytest.CaptureFixture[str]) -> None:
    """What a mail server says is shown without the letters that a terminal obeys."""
    look = at_work(LOOK, replace(SLOWED, trouble="wait \x1b]0;mine\x07\x1b[2J"))
    with screen(application(clock)) as show:  # type: ignore[arg-type]
        show(look, Speed())
    console = Console(file=io.StringIO(), width=110)
    console.print(draw(look, Speed(), "America/New_York"))
    for shown in (capsys.readouterr().out, console.file.getvalue()):  # type: ignore[attr-defined]
        assert "wait" in shown
        assert "\x1b" not in shown
        assert "\x07" not in shown


def test_the_picture() -> None:
    """On a terminal there is the edition, a bar, the pace, each mail server, each worker, and who waits."""
    speed = Speed()
    speed.note(0.0, 0)
    speed.note(10.0, 20)
    wave = Waiting(cause=Cause.WAVE, people=30, until=NOW + timedelta(hours=1), label="Asia/Tokyo")
    look = replace(at_work(look_at(LOOK.receipt.counts, status_why="a test"), SLOWED), waiting=(wave,))
    console = Console(file=io.StringIO(), width=110, force_terminal=True, color_system="truecolor")
    console.print(draw(look, speed, "America/New_York"))
    plain = Console(file=io.StringIO(), width=110)
    plain.print(draw(at_work(look, SLOWED, silent=70), speed, "America/New_York"))
    shown = plain.file.getvalue()  # type: ignore[attr-defined]
    for words in (
        "2026-11-24  “Name your branches”",
        "20 of 100 (20 %), 2.0/s, 25 s left",
        "20 accepted, 80 to go",
        "web-1 17: silent for 1 min 10 s",
        "30 people wait for the hour of their own zone",
    ):
        assert words in shown
    assert "smtp.example.com:587: 2 of 5 (of 10) connections" in console.file.getvalue()  # type: ignore[attr-defined]


def test_watch_as_json(home: Home, world: World) -> None:
    """`edition watch --json` prints one object a line, and ends with the edition."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, *range(6))
    with world.unit.write() as tx:
        counts = deliveries.counts(tx, world.wrong.id)
        editions.close(tx, world.wrong.id, totals=counts, now=NOW)
    ran = home.run("edition", "watch", "--json")
    assert ran.code == 0
    [line] = ran.out.splitlines()
    data = json.loads(line)
    assert (data["status"], data["accepted"], data["left"], data["waiting"]) == ("finished", 6, 0, [])


def test_watch_shows_the_report_at_the_end(home: Home, world: World) -> None:
    """Without --json the last word is the delivery report."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, *range(6))
    with world.unit.write() as tx:
        editions.close(tx, world.wrong.id, totals=DeliveryCounts(accepted=6), now=NOW)
    ran = home.run("edition", "watch", "last")
    assert ran.code == 0
    assert "6 of 6 (100 %), finished" in ran.out
    assert "6 of 6 handed to your mail provider" in ran.out


def test_watch_of_a_paused_edition(home: Home, world: World) -> None:
    """It says once that it is paused and who did it, and then what a person can do; a service would not help."""
    assert home.run("edition", "pause", "last").code == 0
    ran = home.run("edition", "watch", "last")
    first, *rest = ran.out.splitlines()
    assert (ran.code, ran.err) == (0, "")
    assert re.fullmatch(r"0 of 6 \(0 %\), paused by \S+; 6 people wait until it is resumed", first)
    assert re.fullmatch(r"  paused by \S+", rest[1])
    assert rest[2].startswith("  tip: ")
    assert rest[-1].endswith(
        "is paused and 6 people wait: `newsletter edition resume " + world.wrong.name + "` goes on."
    )
    assert re.search(r"is paused by \S+, and 6 people wait\. `", home.run("edition", "send", "last").err)


def test_a_quota_in_the_way(home: Home, world: World) -> None:
    """An hour that is used up is said, with the time until which people wait; and what waits is told at the end."""
    now = SHIFTED.now()
    with (home.folder / ".env").open("a") as settings:
        settings.write("NEWSLETTER_RATE_PER_HOUR=100\n")
    full = reserve(Window(), 95, now, limits=Limits(per_hour=100, per_day=None)).window
    with world.unit.write() as tx:
        quotas.save_quota(tx, QUOTA, full.to_json())
    application = build(load_settings({}, home.folder), clock=SHIFTED)
    look = EditionWatcher(application, world.wrong).look()
    [wait] = look.waiting
    assert (wait.cause, wait.people) == (Cause.QUOTA, 6)
    assert wait.until is not None
    assert timedelta(minutes=50) < wait.until - now <= timedelta(minutes=61)
    assert look.going == 0
