"""The sending process dies without a word, again and again; the mail server's log is the judge of what that did."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from newsletter.cli import sending
from newsletter.clock import SystemClock
from newsletter.config import load_settings
from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionStatus
from newsletter.engine.send import Sender
from newsletter.errors import NewsletterError
from newsletter.flows.freeze import freeze
from newsletter.flows.send_now import early_slot
from newsletter.transport.catcher import HANG, Catcher, Keep, Step
from newsletter.wiring import Application
from tests.path.conftest import MakeHome
from tests.path.home import PATIENCE, Home, Watch, speak_to

CONNECTIONS = 4
SEND = ("edition", "send", "--now", "--yes")
GO_ON = ("edition", "send", "--yes")


def on_both(people: int, times: int) -> pytest.MarkDecorator:
    """Run a test on SQLite, and with fewer people and moments on PostgreSQL."""
    smaller = pytest.param("make_postgres_home", 400, 4, id="postgres", marks=pytest.mark.postgres)
    return pytest.mark.parametrize(
        ("make", "people", "times"),
        [pytest.param("make_sqlite_home", people, times, id="sqlite"), smaller],
        indirect=["make"],
    )


def moments(people: int, times: int, *, seed: int) -> list[tuple[int, float]]:
    """Return after how many messages, and how many seconds after that, something happens."""
    chance = random.Random(seed)
    return [(count, chance.uniform(0, 0.02)) for count in sorted(chance.sample(range(1, people - 60), times))]


def books_agree(home: Home, catcher: Catcher, people: int) -> None:
    """Compare every row with what the server has: nobody twice, and nobody left out without a row that says so."""
    got, states = catcher.accepted, home.states()
    assert len(states) == people
    assert max(got.values()) == 1
    assert set(states.values()) <= {DeliveryState.ACCEPTED, DeliveryState.UNCERTAIN}
    assert {email for email, state in states.items() if state is DeliveryState.ACCEPTED} <= got.keys()
    assert got.keys() <= states.keys()
    receipt = home.receipt()
    assert receipt.balances
    assert receipt.status is EditionStatus.FINISHED


@pytest.mark.slow
@on_both(2000, 20)
def test_kill_9_at_random_moments(make: MakeHome, people: int, times: int) -> None:
    """However often the sender is killed, nobody gets two mails, and at most one per connection and kill is unsure."""
    watch = Watch()
    with Catcher(script=watch, keep=Keep.COUNTS) as catcher:
        home = make(catcher.port, people, SMTP_CONNECTIONS=CONNECTIONS)
        doubtful = 0
        for number, (count, more) in enumerate(moments(people, times, seed=7)):
            sender = home.start(*(GO_ON if number else SEND))
            # What the last one still had in flight may have gone past this moment already.
            watch.wait_for(max(count, watch.count + 2))
            sender.process.join(more)
            sender.kill()
            receipt = home.receipt()
            assert receipt.balances
            assert receipt.sending + receipt.uncertain <= doubtful + CONNECTIONS
            doubtful = receipt.sending + receipt.uncertain
        # The last one is started as an operator does it, through the shell's own way.
        last = [sys.executable, "-m", "newsletter", "-C", str(home.folder), *GO_ON]
        done = subprocess.run(last, check=False, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        books_agree(home, catcher, people)
        assert home.receipt().uncertain == doubtful


@pytest.mark.slow
@on_both(1000, 20)
def test_sigterm_at_random_moments(make: MakeHome, people: int, times: int) -> None:
    """A sender that is told to stop finishes what is in flight: exit code 0, nothing uncertain, and it can go on."""
    watch = Watch()
    with Catcher(script=watch, keep=Keep.COUNTS) as catcher:
        home = make(catcher.port, people, SMTP_CONNECTIONS=CONNECTIONS)
        for number, (count, more) in enumerate(moments(people, times, seed=11)):
            sender = home.start(*(GO_ON if number else SEND))
            # What the last one still had in flight may have gone past this moment already.
            watch.wait_for(max(count, watch.count + 2))
            sender.process.join(more)
            sender.process.terminate()
            assert sender.wait() == 0, sender.words
            receipt = home.receipt()
            assert (receipt.sending, receipt.uncertain) == (0, 0)
            # What the server has and what the books say is the same at every stop.
            assert receipt.accepted == catcher.accepted.total() < people
        code, words = home.run(*GO_ON)
        assert code == 0, words
        books_agree(home, catcher, people)
        assert home.receipt().accepted == people


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_stop_while_the_server_is_silent(make_sqlite_home: MakeHome, sign: int) -> None:
    """A message whose final dot is never answered is uncertain once the time to stop is over; exit code 1."""
    hanging = "p3@example.com"
    watch = Watch(lambda step, address, _nth: HANG if (step, address) == (Step.DOT, hanging) else None)
    with Catcher(script=watch, keep=Keep.COUNTS) as catcher:
        home = make_sqlite_home(catcher.port, 8, SMTP_CONNECTIONS=2)
        sender = home.start_other(send_with_a_short_end, str(home.folder))
        watch.wait_for(8)
        os.kill(sender.process.pid or 0, sign)
        assert sender.wait() == 1, sender.words
    assert "1 message got no answer" in sender.words
    assert home.states().pop(hanging) is DeliveryState.UNCERTAIN
    receipt = home.receipt()
    assert (receipt.accepted, receipt.uncertain, receipt.status) == (7, 1, EditionStatus.FINISHED)
    assert home.rows()[hanging].attempts == 1


def test_stop_while_the_server_is_silent_before_the_content(make_sqlite_home: MakeHome) -> None:
    """A message that hangs before its content was written is not in doubt at a stop: it goes back, and exit code 0."""
    hanging = "p3@example.com"
    reached = threading.Event()

    def script(step: Step, address: str, nth: int) -> str | None:
        if (step, address, nth) == (Step.RCPT, hanging, 1):
            reached.set()
            return HANG
        return None

    watch = Watch(script)
    with Catcher(script=watch, keep=Keep.COUNTS) as catcher:
        home = make_sqlite_home(catcher.port, 8, SMTP_CONNECTIONS=2)
        sender = home.start_other(send_with_a_short_end, str(home.folder))
        watch.wait_for(7)
        assert reached.wait(PATIENCE)
        sender.process.terminate()
        assert sender.wait() == 0, sender.words
        assert home.states()[hanging] is DeliveryState.QUEUED
        assert home.run(*GO_ON)[0] == 0
        assert catcher.accepted == {f"p{n}@example.com": 1 for n in range(8)}


@pytest.mark.slow
def test_kill_9_where_uncertain_is_retried(make_sqlite_home: MakeHome) -> None:
    """With NEWSLETTER_UNCERTAIN=retry nobody is left out, and whoever gets two gets the very same message twice."""
    people, kills = 300, 6
    watch = Watch()
    with Catcher(script=watch) as catcher:
        home = make_sqlite_home(catcher.port, people, SMTP_CONNECTIONS=CONNECTIONS, UNCERTAIN="retry")
        for number, (count, more) in enumerate(moments(people, kills, seed=3)):
            sender = home.start(*(GO_ON if number else SEND))
            watch.wait_for(max(count, watch.count + 2))
            sender.process.join(more)
            sender.kill()
        assert home.run(*GO_ON)[0] == 0
        assert home.receipt().uncertain == 0
        home.run("edition", "retry", "last")
        assert home.run("edition", "send", "last", "--yes")[0] == 0
        got = catcher.accepted
        mails = {(one.rcpt_to, one.content) for one in catcher.caught}
    assert got.keys() == {f"p{n}@example.com" for n in range(people)}
    assert sum(count - 1 for count in got.values()) <= kills * CONNECTIONS
    assert len(mails) == people
    assert home.receipt().accepted == people


def send_with_a_short_end(folder: str, out: str) -> None:
    """Send the next edition as the command does, but with half a second for messages in flight at the end."""
    speak_to(out)
    application = ShortEnd(settings=load_settings({}, Path(folder)), clock=SystemClock())
    slot = early_slot(application.unit, application.cadence, None, now=application.clock.now())
    frozen = freeze(application.unit, application.kitchen, slot, now=application.clock.now())
    assert frozen.edition is not None
    try:
        sending._work(application, frozen.edition, as_json=False)
    except NewsletterError as error:
        print(error)  # noqa: T201 - the words of this process are read by the test
        sys.exit(error.exit_code)


class ShortEnd(Application):
    """An application that does not wait half a minute."""

    def sender(self) -> Sender:
        """Return a sender that is impatient at the end."""
        return replace(super().sender(), drain_seconds=0.5)
