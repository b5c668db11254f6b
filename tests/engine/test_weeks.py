"""What the people who run this hear, week by week; the mail server in process is the judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from newsletter.core.alert import AlertKind
from newsletter.core.cadence import slot_on
from newsletter.core.lineup import LineupRules
from newsletter.core.watch import Space
from newsletter.errors import NotNow
from newsletter.flows.change_slot import skip_slot
from newsletter.flows.change_tip import move_tip, pin_tip
from newsletter.flows.queue_tip import Review
from newsletter.store import tip as tips
from newsletter.store.unit import Unit
from newsletter.transport.catcher import Catcher, Step
from tests.conftest import FixedClock
from tests.engine.conftest import CADENCE, TUESDAY, add_people, add_tip
from tests.engine.watch_world import ADMINS, World, text_of

MONDAY = TUESDAY - timedelta(days=1)
HOUR = timedelta(hours=1)
Make = Callable[..., World]


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


def review(world: World) -> Review:
    """Return what a change of the queue is judged by."""
    return Review(kitchen=world.office.kitchen, cadence=CADENCE, now=world.clock.now())


def edit(world: World, slug: str, **changes: object) -> None:
    """Change a tip as its editor would."""
    with world.unit.write() as tx:
        known = tips.by_slug(tx, slug)
        assert known is not None
        tips.save(tx, known, replace(known, **changes), now=world.clock.now())  # type: ignore[arg-type]


def test_a_good_fortnight_is_two_mails_a_week(world: Make) -> None:
    """When all is well each admin gets a proof on Monday and a report on Tuesday, and nothing else."""
    here = world("first-tip", "second-tip", "third-tip")
    here.go(TUESDAY + timedelta(days=12))
    assert here.diary() == [
        "Proof for Tuesday 3 November 2026: First tip",
        "3 of 3: “First tip”",
        "Proof for Tuesday 10 November 2026: Second tip",
        "3 of 3: “Second tip”",
    ]
    assert here.editions() == {f"p{n}@example.com": 2 for n in range(3)}
    assert sum(one.rcpt_to == ADMINS[1] for one in here.catcher.caught) == 4


def test_the_proof_comes_a_day_ahead_and_says_everything(world: Make) -> None:
    """24 hours before its time the real mail is with the editors, with date, hour, zone, people, reason and ways out."""
    here = world("first-tip", "second-tip")
    here.go(MONDAY - timedelta(minutes=1))
    assert here.diary() == []
    here.go(MONDAY)
    (proof,) = here.letters()
    said = text_of(proof)
    for words in (
        "Tuesday 3 November 2026, 09:00 EST (UTC\N{MINUS SIGN}5)",
        "3 people",
        "next in the queue (1st of 2)",
        "newsletter tip edit first-tip",
        "newsletter slot skip 2026-11-03",
        "newsletter edition pause 2026-11-03",
        "https://news.example.com/a/",
        "Hello there,",
    ):
        assert words in said
    assert "Hello there," in text_of(proof, "html")
    assert proof["Auto-Submitted"] == "auto-generated"
    assert proof["List-Unsubscribe-Post"] is None


def test_a_proof_has_the_values_of_the_editor(world: Make, unit: Unit) -> None:
    """An editor who is subscribed sees her own name in the proof."""
    here = world("first-tip", admins=(), editors=("P1@example.com",))
    here.go(MONDAY)
    (proof,) = here.letters("P1@example.com")
    assert "Hello Person1," in text_of(proof)


def test_each_change_sends_a_new_proof_at_once(world: Make) -> None:
    """An edit, a reorder, a pin and a skip after the proof each send one more, which says what changed."""
    here = world("first-tip", "second-tip", "third-tip")
    here.go(MONDAY + HOUR)
    assert len(here.diary()) == 1
    edit(here, "first-tip", body="Other words.\n")
    here.step()
    (edited,) = here.letters()
    assert "Changed: the mail was edited" in text_of(edited)
    assert "Other words." in text_of(edited)
    now = here.clock.now()
    with here.unit.read() as tx:
        second, third = tips.by_slug(tx, "second-tip"), tips.by_slug(tx, "third-tip")
    assert second is not None
    assert third is not None
    move_tip(here.unit, second, before=None, first=True, who="ann", now=now)
    here.step()
    assert here.diary() == ["Changed proof for Tuesday 3 November 2026: Second tip"]
    pin_tip(here.unit, third, TUESDAY.date(), review(here), who="ann")
    here.step()
    assert here.diary() == ["Changed proof for Tuesday 3 November 2026: Third tip"]
    skip_slot(here.unit, TUESDAY.date(), here.office.plan, who="ann", because="a holiday", now=now)
    here.step()
    (gone,) = here.letters()
    assert gone["Subject"] == "[Tip of the Week] Changed: Tuesday 3 November 2026 is skipped"
    assert "a holiday" in text_of(gone)
    here.step()
    assert here.diary() == []


def test_changed_and_changed_back_are_two_proofs(world: Make) -> None:
    """A proof stands for one content: whoever undoes an edit hears of that too."""
    here = world("first-tip")
    here.go(MONDAY)
    here.diary()
    with here.unit.read() as tx:
        before = tips.by_slug(tx, "first-tip")
    assert before is not None
    for body in ("Other words.\n", before.body, "Other words.\n"):
        edit(here, "first-tip", body=body)
        here.step()
        assert len(here.diary()) == 1


def test_a_place_in_the_queue_is_no_change(world: Make) -> None:
    """A tip that is queued behind, and a person who subscribes, send no second proof."""
    here = world("first-tip")
    here.go(MONDAY)
    here.diary()
    add_tip(here.unit, "another-tip")
    add_people(here.unit, 2, start=10)
    here.go(MONDAY + HOUR)
    assert here.diary() == []


def test_a_tip_that_a_gate_refuses_is_an_alert_a_day_ahead(world: Make) -> None:
    """A proof that cannot be made is told on Monday, not on Tuesday; mended, the proof comes and the alert has passed."""
    here = world("first-tip")
    edit(here, "first-tip", body="Hello {{ first_nam|there }}.\n")
    here.go(MONDAY + HOUR)
    (alert,) = here.letters()
    assert alert["Subject"] == "[Tip of the Week] Alert: the proof could not be sent"
    assert "first_nam" in text_of(alert)
    edit(here, "first-tip", body="Hello {{ first_name|there }}.\n")
    here.go(MONDAY + 2 * HOUR)
    assert here.diary() == [
        "Proof for Tuesday 3 November 2026: First tip",
        "Passed: the proof could not be sent",
    ]


def test_a_proof_that_the_relay_refuses_is_an_alert(unit: Unit, clock: FixedClock) -> None:
    """An editor whose address is refused is named to the admins."""

    def script(step: Step, address: str, nth: int) -> str | None:
        return "550 5.1.1 no such user" if step is Step.RCPT and address == "gone@example.org" else None

    add_people(unit, 1)
    add_tip(unit, "first-tip")
    with Catcher(script=script) as catcher:
        here = World(unit=unit, clock=clock, catcher=catcher, admins=ADMINS[:1], editors=("gone@example.org",))
        here.go(MONDAY + HOUR)
        (alert,) = here.letters()
        assert "gone@example.org" in text_of(alert)
        here.go(TUESDAY + HOUR)
        assert here.diary() == ["1 of 1: “First tip”"]
        assert here.open() == set()


def test_an_empty_date_is_told_two_days_ahead_and_at_its_time(world: Make) -> None:
    """An empty queue is told on Sunday, at the slot, and when the date is over; a tip in time would have been enough."""
    here = world()
    here.go(TUESDAY + timedelta(hours=37))
    assert here.diary() == [
        "Alert: there is no tip for a date that comes soon",
        "Alert: it is time, and there is nothing to send",
        "Alert: a date went by without a mail",
    ]
    assert here.open() == {(AlertKind.MISSED_SLOT, "2026-11-03")}


def test_a_tip_in_time_ends_the_alert(world: Make) -> None:
    """A tip approved after the alert is proofed at once, and that the trouble has passed is said once."""
    here = world()
    here.go(MONDAY + HOUR)
    here.diary()
    add_tip(here.unit, "first-tip")
    here.go(MONDAY + 3 * HOUR)
    assert here.diary() == [
        "Proof for Tuesday 3 November 2026: First tip",
        "Passed: there is no tip for a date that comes soon",
    ]


def test_a_missed_date_is_laid_aside_after_a_week(world: Make) -> None:
    """What happened cannot pass: it is told once, stands for a week, and goes without a further word."""
    here = world()
    here.clock.turn(minutes=5)
    here.step()
    here.clock.set(TUESDAY + timedelta(days=2))
    here.step()
    assert here.open() >= {(AlertKind.MISSED_SLOT, "2026-11-03")}
    add_tip(here.unit, "first-tip")
    here.diary()
    here.clock.turn(days=8)
    here.step()
    assert (AlertKind.MISSED_SLOT, "2026-11-03") not in here.open()
    assert not [one for one in here.diary() if one.startswith("Passed: a date")]


def test_low_stock_is_told_once_per_crossing(world: Make) -> None:
    """Below the line one mail; a tip a week does not make it two; then only the proof says so, until there is plenty."""
    here = world("tip-1", "tip-2", "tip-3", rules=LineupRules(low_stock_weeks=3))
    here.go(MONDAY - HOUR)
    assert here.diary() == []
    here.go(TUESDAY + HOUR)
    here.go(TUESDAY + 2 * HOUR)
    proof, report, low = here.letters()
    assert "Low stock" not in text_of(proof)
    assert low["Subject"] == "[Tip of the Week] Alert: the tips are running low"
    assert "2 weeks" in text_of(low)
    add_tip(here.unit, "tip-4")
    here.go(TUESDAY + timedelta(days=6, hours=1))
    assert here.diary() == ["Proof for Tuesday 10 November 2026: Tip 2"]
    here.go(TUESDAY + timedelta(days=7, hours=1))
    assert here.diary() == ["3 of 3: “Tip 2”"]
    for number in range(5, 8):
        add_tip(here.unit, f"tip-{number}")
    here.go(TUESDAY + timedelta(days=7, hours=2))
    assert here.diary() == ["Passed: the tips are running low"]


def test_a_fresh_installation_gets_an_hour(world: Make) -> None:
    """Who has just begun is not told that the queue is empty before there was time to fill it."""
    here = world(rules=LineupRules(low_stock_weeks=4))
    here.go(here.clock.now() + timedelta(minutes=55))
    assert here.diary() == []
    here.go(here.clock.now() + timedelta(minutes=10))
    assert len(here.diary()) == 1


def test_a_silent_sender_is_told_by_the_bell(world: Make) -> None:
    """After ten minutes without a sign of life the command hears of it, since no mail goes out; once."""
    said: list[str] = []
    here = world("first-tip", command=said)
    here.go(here.clock.now() + HOUR)
    here.sender_lives = False
    here.go(here.clock.now() + HOUR)
    assert here.open() == {(AlertKind.SENDER_SILENT, "sender")}
    assert len(said) == 1
    assert "the sender gives no sign of life" in said[0]
    here.sender_lives = True
    here.go(here.clock.now() + HOUR)
    assert here.diary()[-1] == "Passed: the sender gives no sign of life"
    assert here.open() == set()


def test_a_silent_bell_is_told_by_the_sender(world: Make) -> None:
    """The sender listens for the bell; a restart after a long silence is no reason to cry."""
    here = world("first-tip")
    here.step()
    here.clock.turn(days=1)
    for _ in range(3):
        here.watch.listen(here.clock.now())
    assert here.open() == {(AlertKind.BELL_SILENT, "bell")}
    here.bell.tick()
    assert here.open() == set()


def test_a_service_that_starts_after_a_long_stop_hears_no_silence(world: Make) -> None:
    """How long everything was off before this process began is no news."""
    here = world("first-tip")
    here.step()
    here.clock.turn(days=1)
    World(unit=here.unit, clock=here.clock, catcher=here.catcher).watch.listen(here.clock.now())
    assert here.open() == set()


def test_a_full_disk_is_told_and_passes(world: Make) -> None:
    """Little room beside the database is one alert; room again is said once."""
    here = world("first-tip", space=Space(free=100 * 2**20, total=2**40))
    here.go(here.clock.now() + HOUR)
    assert here.diary() == ["Alert: the disk is nearly full"]
    here.space = Space(free=2**39, total=2**40)
    here.go(here.clock.now() + HOUR)
    assert here.diary() == ["Passed: the disk is nearly full"]


def test_a_relay_dead_on_tuesday(world: Make) -> None:
    """Relay dead from 08:50 to 14:00: the command runs once, the edition goes out after 14:00, everyone once."""
    said: list[str] = []
    here = world("first-tip", "second-tip", command=said)
    here.go(TUESDAY - timedelta(minutes=10))
    assert here.diary() == ["Proof for Tuesday 3 November 2026: First tip"]
    here.relay_up = False
    here.go(TUESDAY + timedelta(minutes=10))
    assert said == []
    here.go(TUESDAY + 5 * HOUR)
    assert len(said) == 1
    assert "Mail cannot be sent" in said[0]
    assert not here.editions()
    here.relay_up = True
    here.go(TUESDAY + 6 * HOUR)
    assert here.editions() == {f"p{n}@example.com": 1 for n in range(3)}
    diary = here.diary()
    assert diary[-1] == "Passed: mail cannot be sent"
    assert "3 of 3: “First tip”" in diary
    assert len(diary) == len(set(diary))
    assert here.open() == set()
    here.go(MONDAY + timedelta(days=6))
    assert here.diary() == []
    assert len(said) == 1


def test_a_relay_that_blinks_is_no_news(world: Make) -> None:
    """Two minutes without the relay are a line in the log, and no mail."""
    here = world("first-tip", "second-tip")
    here.go(TUESDAY - timedelta(minutes=1))
    here.diary()
    here.relay_up = False
    here.go(TUESDAY + timedelta(minutes=2), every=timedelta(minutes=1))
    here.relay_up = True
    here.go(TUESDAY + HOUR, every=timedelta(minutes=1))
    assert here.diary() == ["3 of 3: “First tip”"]


def test_a_slow_edition_can_be_stopped(world: Make) -> None:
    """An edition that still goes on after five minutes is told, with links that pause and cancel; then comes the report."""
    here = world("first-tip", "second-tip")
    here.go(TUESDAY - timedelta(minutes=1))
    here.diary()
    here.clock.set(TUESDAY)
    here.bell.tick()
    here.clock.turn(minutes=6)
    here.bell.tick()
    here.notices.work(here_stop())
    (sending,) = here.letters()
    assert sending["Subject"] == "[Tip of the Week] “First tip” is going out"
    assert text_of(sending).count("https://news.example.com/a/") == 2
    assert "newsletter edition pause 2026-11-03" in text_of(sending)
    here.step()
    here.step()
    assert here.diary() == ["3 of 3: “First tip”"]


def here_stop() -> object:
    """Return an event that nobody sets."""
    import threading  # noqa: PLC0415

    return threading.Event()


def test_a_straggler_does_not_hold_back_the_report(unit: Unit, clock: FixedClock) -> None:
    """A full mailbox is tried for three days; the report of Tuesday comes on Tuesday and says so, once."""

    def script(step: Step, address: str, nth: int) -> str | None:
        return "452 4.2.2 mailbox full" if step is Step.RCPT and address == "p1@example.com" else None

    add_people(unit, 3)
    add_tip(unit, "first-tip")
    add_tip(unit, "second-tip")
    with Catcher(script=script) as catcher:
        here = World(unit=unit, clock=clock, catcher=catcher)
        here.go(TUESDAY + timedelta(hours=12), every=timedelta(minutes=30))
        proof, report = here.letters()
        assert report["Subject"] == "[Tip of the Week] 2 of 3: “First tip”"
        assert "1 person waits for another try" in text_of(report)
        here.go(TUESDAY + timedelta(days=5), every=timedelta(hours=1))
        assert here.diary() == ["Alert: people did not get their mail"]


def test_without_admins_nothing_is_written(world: Make) -> None:
    """Nobody to write to means no mail; the alert stands in the database and the command still runs."""
    said: list[str] = []
    here = world(admins=(), editors=(), command=said)
    here.go(TUESDAY + HOUR)
    assert not here.catcher.caught
    assert len(said) == 2
    assert (AlertKind.EMPTY_SLOT, "2026-11-03") in here.open()


def test_two_bells_write_everything_once(world: Make, unit: Unit, clock: FixedClock, catcher: Catcher) -> None:
    """Two services on one database send one proof and one report, whichever comes first."""
    here = world("first-tip", "second-tip")
    other = World(unit=unit, clock=clock, catcher=catcher)
    while clock.now() < TUESDAY + HOUR:
        here.step()
        other.step()
        clock.turn(minutes=10)
    assert here.diary() == ["Proof for Tuesday 3 November 2026: First tip", "3 of 3: “First tip”"]


def test_ticks_that_fail_run_the_command(world: Make) -> None:
    """When the database fails for a quarter of an hour, the command says so; when it works again, a mail does."""
    said: list[str] = []
    here = world("first-tip", command=said)
    here.step()
    fault = NotNow("The database is busy.")
    for _ in range(4):
        here.watch.failed(fault, here.clock.now())
        here.clock.turn(minutes=10)
    assert len(said) == 1
    assert "The database is busy." in said[0]
    here.go(here.clock.now() + HOUR)
    assert here.diary() == ["Passed: the database is in trouble"]
    assert len(said) == 1


def test_one_failed_tick_is_no_news(world: Make) -> None:
    """A database that was busy for a moment is not told to anybody."""
    said: list[str] = []
    here = world("first-tip", command=said)
    here.watch.failed(NotNow("busy"), here.clock.now())
    here.clock.turn(seconds=5)
    here.go(here.clock.now() + HOUR)
    assert (said, here.diary()) == ([], [])
    assert here.pings > 10


def test_a_wrong_template_of_the_operator_does_not_swallow_an_alert(world: Make, tmp_path: object) -> None:
    """With a broken template of one's own the alert goes out as plain text."""
    assert slot_on(CADENCE, TUESDAY.date()) is not None
