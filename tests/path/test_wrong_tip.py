"""The wrong tip goes out: stopped, replaced and corrected by real processes; what each person received is the judge."""

from __future__ import annotations

import threading
import time
from collections import defaultdict

import pytest

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionStatus
from newsletter.core.receipt import Receipt
from newsletter.store import edition as editions
from newsletter.store import report
from newsletter.testing.catcher import Catcher, Step
from tests.edition_fixtures import add_tip
from tests.path.conftest import MakeHome
from tests.path.home import Home, Watch

SEND = ("edition", "send", "--now", "--yes")
WRONG, RIGHT, NOTE = "Name your branches", "The right one", "A correction"
PEOPLE = 300
NEVER = threading.Event()


def received(catcher: Catcher) -> dict[str, list[str]]:
    """Return the subjects that each person has, in order."""
    tips_by_reader: dict[str, list[str]] = defaultdict(list)
    for mail in catcher.caught:
        [subject] = [line[9:] for line in mail.content.decode().splitlines() if line.startswith("Subject: ")]
        if mail.accepted:
            tips_by_reader[mail.rcpt_to].append(subject)
    return tips_by_reader


def add_tips(home: Home) -> None:
    """Put the right tip and the correction beside the wrong one."""
    add_tip(home.unit, "the-right-one")
    add_tip(home.unit, "a-correction")


def slow(step: Step, _address: str, _nth: int) -> None:
    """Take a moment for each message; there is one server, so that makes fifty a second at most."""
    if step is Step.DOT:
        NEVER.wait(0.02)


def balanced(home: Home, count: int) -> list[Receipt]:
    """Return the reports of the date's editions, each of which adds up, the first one first."""
    with home.unit.read() as tx:
        stored_edition = [report.receipt(tx, one) for one in reversed(editions.latest(tx))]
    assert len(stored_edition) == count
    assert all(one.balances for one in stored_edition)
    return stored_edition


def test_stopped_replaced_and_corrected(make_home: MakeHome) -> None:
    """Beside a running sender: nobody gets both tips, nobody gets none, and those with the wrong one are told."""
    watch = Watch()
    with Catcher(script=watch) as catcher:
        home = make_home(catcher.port, PEOPLE, RATE_PER_SECOND=60)
        add_tips(home)
        sender = home.start(*SEND)
        watch.wait_for(20)
        code, words = home.run("edition", "replace", "last", "--tip", "the-right", "--because", "a mix-up", "--yes")
        assert code == 0, words
        assert sender.wait() == 0, sender.words
        have = received(catcher)
        assert len(have) == PEOPLE
        assert {tuple(one) for one in have.values()} == {(WRONG,), (RIGHT,)}
        wrong, right = balanced(home, 2)
        assert (wrong.edition.status, right.edition.status) == (EditionStatus.CANCELLED, EditionStatus.FINISHED)
        assert wrong.counts.accepted + right.counts.accepted == PEOPLE
        assert wrong.counts.uncertain == right.counts.uncertain == 0

        code, words = home.run("edition", "correct", wrong.edition.name, "--tip", "a-corr", "--yes", "--yes")
        assert code == 0, words
        have = received(catcher)
        assert {tuple(one) for one in have.values()} == {(WRONG, NOTE), (RIGHT,)}
        assert balanced(home, 3)[2].counts.accepted == wrong.counts.accepted
    assert home.run("db", "check")[0] == 0


def test_killed_in_the_middle(make_sqlite_home: MakeHome) -> None:
    """A `replace` that is killed while it sends is finished by giving it again; who is uncertain is named."""
    watch = Watch()
    with Catcher(script=watch) as catcher:
        home = make_sqlite_home(catcher.port, PEOPLE, RATE_PER_SECOND=60)
        add_tips(home)
        first = home.start(*SEND)
        watch.wait_for(20)
        first.kill()
        replace = ("edition", "replace", "last", "--tip", "the-right-one", "--yes")
        second = home.start(*replace)
        watch.wait_for(watch.count + 30)
        second.kill()
        code, words = home.run(
            *("edition", "replace", home.edition().date.isoformat(), "--tip", "the-right-one", "--yes")
        )
        assert code == 0, words
        have = received(catcher)
        assert max(len(one) for one in have.values()) == 1
        wrong, right = balanced(home, 2)
        assert len(have) + wrong.counts.uncertain + right.counts.uncertain >= PEOPLE
        # Four connections, killed twice.
        assert wrong.counts.uncertain + right.counts.uncertain <= 8
    assert right.edition.status is EditionStatus.FINISHED


@pytest.mark.parametrize("act", [("pause", "last"), ("cancel", "last", "--yes")], ids=["pause", "cancel"])
def test_a_slow_server(make_home: MakeHome, act: tuple[str, ...]) -> None:
    """On a slow server a pause or a cancel stops the mail within moments: nothing is uncertain, and nobody is lost."""
    watch = Watch(script=slow)
    with Catcher(script=watch) as catcher:
        home = make_home(catcher.port, PEOPLE * 4)
        sender = home.start(*SEND)
        watch.wait_for(20)
        assert home.run("edition", *act)[0] == 0
        began, before = time.monotonic(), watch.count
        code = sender.wait()
        took, after = time.monotonic() - began, watch.count - before
        # A person's word is no failure, whichever it was.
        assert code == 0, sender.words
        # At fifty messages a second; a busy machine is given its time.
        assert took < 5
        assert after < 150
        states = list(home.states().values())
        assert states.count(DeliveryState.ACCEPTED) == catcher.accepted.total() == watch.count
        rest = DeliveryState.QUEUED if act[0] == "pause" else DeliveryState.SKIPPED
        assert states.count(rest) == PEOPLE * 4 - watch.count
        assert balanced(home, 1)[0].counts.uncertain == 0
