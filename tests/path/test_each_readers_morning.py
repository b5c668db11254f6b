"""One Tuesday round the world: everybody gets the tip at nine o'clock of their own clock, once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from newsletter.cli.sending import _what_waits
from newsletter.core.edition import EditionStatus
from newsletter.core.receipt import Receipt
from newsletter.flows import hold
from newsletter.sending.sender_loop import send_until_idle
from newsletter.settings.loader import load_settings
from newsletter.store import edition as editions
from newsletter.store import report
from newsletter.store import wave as waves
from newsletter.store.schema import delivery
from newsletter.testing.catcher import Catcher
from newsletter.testing.clocks import FixedClock
from newsletter.wiring import Application, build
from tests.edition_fixtures import add_tip
from tests.path.home import Home
from tests.sending.wave_fixtures import AUCKLAND, BERLIN, HONOLULU, NEW_YORK, add_readers

WORLD = {"Pacific/Auckland": 3, "Europe/Berlin": 4, "America/New_York": 2, "": 1, "Pacific/Honolulu": 2}
EVERYBODY = sum(WORLD.values())
TUESDAY = date(2026, 11, 3)
HOUR = timedelta(hours=1)


class Round:
    """One machine, its clock, and what the mail server took at which instant."""

    def __init__(self, application: Application, clock: FixedClock, catcher: Catcher) -> None:
        self.application = application
        self.clock = clock
        self.catcher = catcher
        self.ticker = application.ticker
        self.got: dict[str, list[datetime]] = {}
        self._seen = 0

    def at(self, now: datetime) -> int:
        """Let the service do at an instant what is due; return how many mails that came to."""
        self.clock.set(now)
        self.ticker.tick()
        before = self._seen
        with self.application.right_to_send():
            send_until_idle(self.application.sender(), threading.Event())
        for mail in self.catcher.caught[before:]:
            self.got.setdefault(mail.rcpt_to, []).append(now)
        self._seen = len(self.catcher.caught)
        return self._seen - before

    def times(self) -> dict[str, Counter[datetime]]:
        """Return how many people of each place got their mail at which instant."""
        times_by_reader: dict[str, Counter[datetime]] = {}
        for email, moments in self.got.items():
            times_by_reader.setdefault(email.partition("@")[0].rstrip("0123456789"), Counter()).update(moments)
        return times_by_reader

    def receipt(self, on: date = TUESDAY) -> Receipt:
        """Return the account of an edition."""
        with self.application.unit.read() as tx:
            edition = editions.by_date(tx, on)
            assert edition is not None
            return report.receipt(tx, edition)


MakeRound = Callable[..., Round]


@contextmanager
def rounds(url: str, folder: Path, clock: FixedClock) -> Iterator[MakeRound]:
    """Give a function that makes a newsletter with readers all over the world, which starts at this moment."""
    with ExitStack() as stack:

        def make(people: dict[str, int] = WORLD, **more: object) -> Round:
            catcher = stack.enter_context(Catcher())
            home = Home.make(folder / "home", url, catcher.port, SEND_LOCALLY="true", **more)
            application = build(load_settings({}, home.folder), clock=clock)
            stack.callback(home.unit._engine.dispose)
            stack.callback(application.engine.dispose)
            add_readers(application.unit, people)
            add_tip(application.unit, "first-tip")
            add_tip(application.unit, "second-tip")
            morning = Round(application, clock, catcher)
            assert morning.at(clock.now()) == 0
            return morning

        yield make


@pytest.fixture
def make_round(sqlite_url: str, tmp_path: Path, clock: FixedClock) -> Iterator[MakeRound]:
    """Return a function that makes such a newsletter, from Sunday noon."""
    with rounds(sqlite_url, tmp_path, clock) as make:
        yield make


@pytest.fixture
def make_any_round(database_url: str, tmp_path: Path, clock: FixedClock) -> Iterator[MakeRound]:
    """Return the same once for each kind of database."""
    with rounds(database_url, tmp_path, clock) as make:
        yield make


def test_nine_o_clock_of_everybodys_own_tuesday(make_any_round: MakeRound) -> None:
    """From Monday to Wednesday, by half hours: each reader gets one mail, at nine by their own clock."""
    morning = make_any_round()
    now = datetime(2026, 11, 2, 12, tzinfo=UTC)
    while now < datetime(2026, 11, 4, 18, tzinfo=UTC):
        morning.at(now)
        now += HOUR / 2

    assert morning.times() == {
        "auckland": Counter({AUCKLAND: 3}),
        "berlin": Counter({BERLIN: 4}),
        "new_york": Counter({NEW_YORK: 2}),
        "nowhere": Counter({NEW_YORK: 1}),
        "honolulu": Counter({HONOLULU: 2}),
    }
    receipt = morning.receipt()
    assert (receipt.edition.status, receipt.edition.audience, receipt.counts.accepted, receipt.gap) == (
        EditionStatus.FINISHED,
        EVERYBODY,
        EVERYBODY,
        0,
    )
    assert [(one.people, one.waiting) for one in receipt.waves] == [(3, 0), (4, 0), (3, 0), (2, 0)]


def test_between_the_waves_the_report_tells_who_waits(
    make_round: MakeRound, capsys: pytest.CaptureFixture[str]
) -> None:
    """After Berlin's wave the report balances, and says for whose hour it waits."""
    morning = make_round()
    morning.at(AUCKLAND)
    morning.at(BERLIN)
    receipt = morning.receipt()

    assert (receipt.edition.status, receipt.counts.accepted, receipt.counts.queued, receipt.gap) == (
        EditionStatus.SENDING,
        7,
        5,
        0,
    )
    assert [(one.label, one.waiting) for one in receipt.waves] == [
        ("Pacific/Auckland", 0),
        ("Europe/Berlin", 0),
        ("America/New_York", 3),
        ("Pacific/Honolulu", 2),
    ]
    with morning.application.unit.read() as tx:
        edition = editions.by_date(tx, TUESDAY)
        assert edition is not None
        coming = waves.coming(tx, now=BERLIN)
    assert coming is not None
    assert (coming.not_before, coming.people) == (NEW_YORK, 3)
    _what_waits(morning.application, edition, receipt)
    captured = capsys.readouterr().out
    assert "5 still waiting for their own hour (next Tuesday 3 November 2026, 09:00 EST" in captured
    assert "America/New_York: 3)" in captured


def test_a_machine_that_was_off_lets_people_sleep(make_round: MakeRound) -> None:
    """Off from Sunday until Tuesday 08:30 UTC: Berlin is late by minutes, and Auckland waits for its Wednesday."""
    morning = make_round()
    late = BERLIN + HOUR / 2  # 21:30 in Auckland.
    morning.at(late)
    for half_hours in range(1, 24):
        morning.at(late + half_hours * HOUR / 2)

    assert morning.times() == {
        "berlin": Counter({late: 4}),
        "new_york": Counter({NEW_YORK: 2}),
        "nowhere": Counter({NEW_YORK: 1}),
        "auckland": Counter({datetime(2026, 11, 3, 18, tzinfo=UTC): 3}),  # 07:00 of Wednesday.
        "honolulu": Counter({HONOLULU: 2}),
    }
    assert morning.receipt().gap == 0


def test_a_machine_that_slept_through_a_wave_lets_people_sleep(make_round: MakeRound) -> None:
    """Down from Tuesday noon in Berlin to 22:00 in New York: its wave goes out at seven there, Honolulu's at once."""
    readers = make_round()
    readers.at(AUCKLAND)
    readers.at(BERLIN)
    back = datetime(2026, 11, 4, 3, tzinfo=UTC)
    readers.at(back)
    morning = datetime(2026, 11, 4, 12, tzinfo=UTC)
    assert readers.at(morning - timedelta(minutes=1)) == 0
    readers.at(morning)

    times = readers.times()
    assert times["honolulu"] == Counter({back: 2})
    assert times["new_york"] + times["nowhere"] == Counter({morning: 3})
    assert sum(len(moments) for moments in readers.got.values()) == EVERYBODY
    assert readers.receipt().edition.status is EditionStatus.FINISHED


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        # In March New York changes two weeks before Berlin, in autumn one week after it.
        (date(2027, 3, 16), [datetime(2027, 3, 16, 8, tzinfo=UTC), datetime(2027, 3, 16, 13, tzinfo=UTC)]),
        (date(2027, 3, 30), [datetime(2027, 3, 30, 7, tzinfo=UTC), datetime(2027, 3, 30, 13, tzinfo=UTC)]),
        (date(2027, 11, 2), [datetime(2027, 11, 2, 8, tzinfo=UTC), datetime(2027, 11, 2, 13, tzinfo=UTC)]),
        (date(2027, 11, 9), [datetime(2027, 11, 9, 8, tzinfo=UTC), datetime(2027, 11, 9, 14, tzinfo=UTC)]),
    ],
)
def test_the_tuesdays_after_the_clocks_change(
    make_round: MakeRound, clock: FixedClock, on: date, expected: list[datetime]
) -> None:
    """After each change of the hour, on either side of the ocean, it is nine o'clock for both sides."""
    clock.set(datetime(on.year, on.month, on.day, tzinfo=UTC) - timedelta(days=2))
    morning = make_round({"Europe/Berlin": 2, "": 2})
    for hours in range(6, 18):
        morning.at(datetime(on.year, on.month, on.day, hours, tzinfo=UTC))

    assert [set(times) for times in morning.times().values()] == [{expected[0]}, {expected[1]}]
    assert morning.receipt(on).counts.accepted == 4


@pytest.mark.parametrize("on", [date(2027, 3, 14), date(2027, 3, 28), date(2027, 10, 31), date(2027, 11, 7)])
def test_the_very_days_of_the_change(make_round: MakeRound, clock: FixedClock, on: date) -> None:
    """A Sunday newsletter at 02:30, which may not exist or come twice there: everybody gets one, on that date."""
    midnight = datetime(on.year, on.month, on.day, tzinfo=UTC)
    clock.set(midnight - timedelta(days=2))
    morning = make_round({"Europe/Berlin": 2, "": 2, "Asia/Tokyo": 1}, SEND_DAY="sunday", SEND_TIME="02:30")
    for half_hours in range(-20, 20):
        morning.at(midnight + half_hours * HOUR / 2)

    assert morning.receipt(on).counts.accepted == 5
    assert {len(moments) for moments in morning.got.values()} == {1}
    assert morning.times()["tokyo"] == Counter({midnight - timedelta(hours=6, minutes=30): 1})


def test_a_deferred_reader_of_an_early_wave_waits_for_no_other(make_round: MakeRound) -> None:
    """Who is greylisted in Auckland is tried again minutes later, and not with Berlin."""
    morning = make_round()
    morning.at(AUCKLAND)
    with morning.application.unit.write() as tx:
        first_delivery = select(func.min(delivery.c.id)).scalar_subquery()
        again = AUCKLAND + timedelta(minutes=10)
        tx.execute(
            update(delivery).where(delivery.c.id == first_delivery).values(state="deferred", next_attempt_at=again)
        )

    assert morning.at(AUCKLAND + timedelta(minutes=9)) == 0
    assert morning.at(AUCKLAND + timedelta(minutes=11)) == 1
    assert (morning.receipt().counts.accepted, morning.receipt().counts.queued) == (3, EVERYBODY - 3)


def test_a_paused_edition_waits_and_goes_on(make_round: MakeRound) -> None:
    """Paused before Berlin's hour and resumed in its afternoon: Berlin gets it then, and later waves at their hour."""
    morning = make_round()
    morning.at(AUCKLAND)
    with morning.application.unit.read() as tx:
        edition = editions.by_date(tx, TUESDAY)
    assert edition is not None
    hold.pause_edition(morning.application.unit, edition, who="t", why="a typo", now=morning.clock.now())
    assert morning.at(BERLIN) == 0
    hold.resume_edition(morning.application.unit, edition, who="t", now=BERLIN + HOUR)
    assert morning.at(BERLIN + HOUR) == 4
    assert morning.at(NEW_YORK - timedelta(minutes=1)) == 0
    assert morning.at(NEW_YORK) == 3
