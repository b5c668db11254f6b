"""What the people who run this hear, week by week; the mail server in process is the judge."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import Engine, event

from newsletter.flows.change_slot import skip_slot
from newsletter.flows.change_tip import move_tip, pin_tip
from newsletter.operations.monitor import Monitor
from newsletter.store import tip as tips
from newsletter.store.unit import Unit
from newsletter.testing.catcher import Catcher, Step
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import TUESDAY, add_people, add_tip
from tests.operations.monitor_fixtures import ADMINS, Make, World, edit, review, text_of

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


def test_a_good_fortnight_is_two_mails_a_week(world: Make) -> None:
    """When all is well each admin gets a proof on Monday and a report on Tuesday, and nothing else."""
    installation = world("first-tip", "second-tip", "third-tip")
    installation.go(TUESDAY + timedelta(days=12))
    assert installation.diary() == [
        "Proof for Tuesday 3 November 2026: First tip",
        "3 of 3: “First tip”",
        "Proof for Tuesday 10 November 2026: Second tip",
        "3 of 3: “Second tip”",
    ]
    assert installation.editions() == {f"p{n}@example.com": 2 for n in range(3)}
    assert sum(one.rcpt_to == ADMINS[1] for one in installation.catcher.caught) == 4


def test_the_proof_comes_a_day_ahead_and_says_everything(world: Make) -> None:
    """24 hours ahead the real mail is with the editors, with date, hour, zone, people, reason and ways out."""
    installation = world("first-tip", "second-tip")
    installation.go(MONDAY - timedelta(minutes=1))
    assert installation.diary() == []
    installation.go(MONDAY)
    (proof,) = installation.letters()
    proof_text = text_of(proof)
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
        assert words in proof_text
    assert "Hello there," in text_of(proof, "html")
    assert proof["Auto-Submitted"] == "auto-generated"
    assert proof["List-Unsubscribe-Post"] is None


def test_a_proof_has_the_values_of_the_editor(world: Make, unit: Unit) -> None:
    """An editor who is subscribed sees her own name in the proof."""
    installation = world("first-tip", admins=(), editors=("P1@example.com",))
    installation.go(MONDAY)
    (proof,) = installation.letters("P1@example.com")
    assert "Hello Person1," in text_of(proof)


def test_each_change_sends_a_new_proof_at_once(world: Make) -> None:
    """An edit, a reorder, a pin and a skip after the proof each send one more, which says what changed."""
    installation = world("first-tip", "second-tip", "third-tip")
    installation.go(MONDAY + HOUR)
    assert len(installation.diary()) == 1
    edit(installation, "first-tip", body="Other words.\n")
    installation.step()
    (edited,) = installation.letters()
    assert "Changed: the mail was edited" in text_of(edited)
    assert "Other words." in text_of(edited)
    now = installation.clock.now()
    with installation.unit.read() as tx:
        second, third = tips.by_slug(tx, "second-tip"), tips.by_slug(tx, "third-tip")
    assert second is not None
    assert third is not None
    move_tip(installation.unit, second, before=None, first=True, who="ann", now=now)
    installation.step()
    assert installation.diary() == ["Changed proof for Tuesday 3 November 2026: Second tip"]
    pin_tip(installation.unit, third, TUESDAY.date(), review(installation), who="ann")
    installation.step()
    assert installation.diary() == ["Changed proof for Tuesday 3 November 2026: Third tip"]
    skip_slot(
        installation.unit, TUESDAY.date(), installation.notice_context.plan, who="ann", because="a holiday", now=now
    )
    installation.step()
    stranded, gone = installation.letters()
    assert stranded["Subject"] == "[Tip of the Week] Alert: a pinned tip will not go out"
    assert gone["Subject"] == "[Tip of the Week] Changed: Tuesday 3 November 2026 is skipped"
    assert "a holiday" in text_of(gone)
    installation.step()
    assert installation.diary() == []


def test_changed_and_changed_back_are_two_proofs(world: Make) -> None:
    """A proof stands for one content: whoever undoes an edit hears of that too."""
    installation = world("first-tip")
    installation.go(MONDAY)
    installation.diary()
    with installation.unit.read() as tx:
        before = tips.by_slug(tx, "first-tip")
    assert before is not None
    for body in ("Other words.\n", before.body, "Other words.\n"):
        edit(installation, "first-tip", body=body)
        installation.step()
        assert len(installation.diary()) == 1


def test_a_place_in_the_queue_is_no_change(world: Make) -> None:
    """A tip that is queued behind, and a person who subscribes, send no second proof."""
    installation = world("first-tip")
    installation.go(MONDAY)
    installation.diary()
    add_tip(installation.unit, "another-tip")
    add_people(installation.unit, 2, start=10)
    installation.go(MONDAY + HOUR)
    assert installation.diary() == []


def test_a_tip_that_a_gate_refuses_is_an_alert_a_day_ahead(world: Make) -> None:
    """A proof that cannot be made is told on Monday; mended, the proof comes and the alert has passed."""
    installation = world("first-tip")
    edit(installation, "first-tip", body="Hello {{ first_nam|there }}.\n")
    installation.go(MONDAY + HOUR)
    (alert,) = installation.letters()
    assert alert["Subject"] == "[Tip of the Week] Alert: the proof could not be sent (Tuesday 3 November 2026)"
    assert "first_nam" in text_of(alert)
    edit(installation, "first-tip", body="Hello {{ first_name|there }}.\n")
    installation.go(MONDAY + 2 * HOUR)
    assert installation.diary() == [
        "Proof for Tuesday 3 November 2026: First tip",
        "Passed: the proof could not be sent (Tuesday 3 November 2026)",
    ]


def test_a_proof_that_the_relay_refuses_is_an_alert(unit: Unit, clock: FixedClock) -> None:
    """An editor whose address is refused is named to the admins."""

    def script(step: Step, address: str, nth: int) -> str | None:
        return "550 5.1.1 no such user" if step is Step.RCPT and address == "gone@example.org" else None

    add_people(unit, 1)
    add_tip(unit, "first-tip")
    with Catcher(script=script) as catcher:
        installation = World(unit=unit, clock=clock, catcher=catcher, admins=ADMINS[:1], editors=("gone@example.org",))
        installation.go(MONDAY + HOUR)
        (alert,) = installation.letters()
        assert "gone@example.org" in text_of(alert)
        installation.go(TUESDAY + HOUR)
        assert installation.diary() == ["1 of 1: “First tip”"]
        assert installation.open() == set()


def test_a_slow_edition_can_be_stopped(world: Make) -> None:
    """An edition that takes over five minutes is told, with links that pause and cancel; then comes the report."""
    installation = world("first-tip", "second-tip")
    installation.go(TUESDAY - timedelta(minutes=1))
    installation.diary()
    installation.clock.set(TUESDAY)
    installation.ticker.tick()
    installation.clock.turn(minutes=6)
    installation.ticker.tick()
    installation.notices.work(threading.Event())
    (sending,) = installation.letters()
    assert sending["Subject"] == "[Tip of the Week] “First tip” is going out"
    assert text_of(sending).count("https://news.example.com/a/") == 2
    assert "newsletter edition pause 2026-11-03" in text_of(sending)
    installation.step()
    installation.step()
    assert installation.diary() == ["3 of 3: “First tip”"]


def test_a_straggler_does_not_hold_back_the_report(unit: Unit, clock: FixedClock) -> None:
    """A full mailbox is tried for three days; the report of Tuesday comes on Tuesday and says so; no alert follows."""

    def script(step: Step, address: str, nth: int) -> str | None:
        return "452 4.2.2 mailbox full" if step is Step.RCPT and address == "p1@example.com" else None

    add_people(unit, 3)
    add_tip(unit, "first-tip")
    add_tip(unit, "second-tip")
    with Catcher(script=script) as catcher:
        installation = World(unit=unit, clock=clock, catcher=catcher)
        installation.go(TUESDAY + timedelta(hours=12), every=timedelta(minutes=30))
        _proof, report = installation.letters()
        assert report["Subject"] == "[Tip of the Week] 2 of 3: “First tip”"
        assert "1 person waits for another try" in text_of(report)
        installation.go(TUESDAY + timedelta(days=5), every=timedelta(hours=1))
        assert installation.diary() == []


@pytest.mark.parametrize("down", [timedelta(days=9), timedelta(days=30)])
def test_an_edition_that_ended_before_a_long_stop_is_reported_once(
    unit: Unit, clock: FixedClock, catcher: Catcher, down: timedelta
) -> None:
    """The service stopped as the last mail was accepted: its report comes as the service is back, once."""
    add_people(unit, 3)
    add_tip(unit, "first-tip")
    installation = World(unit=unit, clock=clock, catcher=catcher)
    installation.go(TUESDAY - timedelta(minutes=1))
    installation.diary()
    clock.set(TUESDAY)
    installation.ticker.tick()
    installation.sender.work(threading.Event())
    clock.turn(seconds=down.total_seconds())
    installation.step()
    installation.step()
    clock.turn(days=1)
    installation.step()
    installation.step()
    assert [subject for subject in installation.diary() if "First tip" in subject] == ["3 of 3: “First tip”"]


def test_a_newly_named_admin_gets_one_report(unit: Unit, clock: FixedClock, catcher: Catcher) -> None:
    """Of the past only the last edition is reported, not each of the weeks before."""
    add_people(unit, 3)
    for slug in ("first-tip", "second-tip", "third-tip"):
        add_tip(unit, slug)
    silent = World(unit=unit, clock=clock, catcher=catcher, admins=(), editors=())
    silent.go(TUESDAY + timedelta(days=15), every=HOUR)
    clock.turn(days=5)
    installation = World(unit=unit, clock=clock, catcher=catcher)
    installation.step()
    installation.step()
    reports = [subject for subject in installation.diary() if subject.startswith("3 of 3")]
    assert reports == ["3 of 3: “Third tip”"]


def test_two_schedulers_write_everything_once(world: Make, unit: Unit, clock: FixedClock, catcher: Catcher) -> None:
    """Two services on one database send one proof and one report, whichever comes first."""
    installation = world("first-tip", "second-tip")
    other = World(unit=unit, clock=clock, catcher=catcher)
    while clock.now() < TUESDAY + HOUR:
        installation.step()
        other.step()
        clock.turn(minutes=30)
    assert installation.diary() == ["Proof for Tuesday 3 November 2026: First tip", "3 of 3: “First tip”"]


def test_a_long_look_is_followed_by_a_rest(world: Make) -> None:
    """Where a look takes long, as among a million people, the next ones only tell what is due for a while."""
    installation = world("first-tip")
    looks: list[float] = []

    def space() -> None:
        looks.append(installation.clock.monotonic())
        installation.clock.turn(seconds=1)

    monitor = Monitor(notice_writer=installation.notice_writer, space=space, monotonic=installation.clock.monotonic)  # type: ignore[arg-type]
    installation.ticker.tick()
    for _ in range(9):
        monitor.look(installation.clock.now())
        installation.clock.turn(seconds=5)
    assert [round(second) for second in looks] == [0, 21, 42]


def test_the_coming_weeks_are_worked_out_after_a_change(world: Make) -> None:
    """A tick reads the queue after a change by a person, and once a minute; between these it leaves the tips alone."""
    installation = world("first-tip", "second-tip")
    installation.go(MONDAY)
    engine: Engine = installation.unit._engine
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))

    def reads_tips() -> bool:
        statements.clear()
        installation.monitor.look(installation.clock.now())
        installation.clock.turn(seconds=5)
        return any("FROM tip" in statement for statement in statements)

    assert not reads_tips()
    edit(installation, "first-tip", body="Other words.\n")
    assert reads_tips()
    assert [reads_tips() for _ in range(13)] == [False] * 11 + [True, False]
