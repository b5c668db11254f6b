"""Killing senders at random moments, and judging what it did by what the mail server received.

How many kills, and the seed of the moments, come from the environment: `make torture KILLS=500 SEED=7`.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from pathlib import Path

from newsletter.clock import SystemClock
from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionStatus
from newsletter.flows.freeze import freeze
from newsletter.flows.send_now import early_slot
from newsletter.settings.loader import load_settings
from newsletter.wiring import Application
from tests.path.home import PATIENCE, Home, Running
from tests.path.recorder import Recorder

SEND = ("edition", "send", "--now", "--yes")
GO_ON = ("edition", "send", "--yes")
WORK = ("run", "--only", "sender")

KILLS = int(os.environ.get("TORTURE_KILLS", "10"))
"""In all tests of `test_sudden_death.py` together."""
SEED = int(os.environ.get("TORTURE_SEED", "7"))

STRIDE = 60
"""At most so many messages between a start and the moment of death."""
LATER = 0.02
"""And up to so many seconds more."""


def share(part: float) -> int:
    """Return how many of the kills are for a test."""
    return max(2, round(KILLS * part))


def people_for(kills: int) -> int:
    """Return how many people are enough for so many kills, with what the senders do between moment and death."""
    return 200 + kills * 120


@dataclass(kw_only=True)
class CrashTest:
    """One edition, sent by processes that keep dying."""

    home: Home
    recorder: Recorder
    people: int
    connections: int = 4
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))
    kills: int = 0
    """So far."""
    started: list[Running] = field(default_factory=list)

    def wait_for_a_moment(self) -> bool:
        """Wait until a few more messages have come, and then a moment; False when hardly anybody is left to send to."""
        goal = self.recorder.catch_up() + self.chance.randint(1, STRIDE)
        if goal > self.people - 20:
            return False
        assert self.recorder.wait_for(goal), f"only {self.recorder.count} of {goal}: {self.words}"
        self.started[-1].process.join(self.chance.uniform(0, LATER))
        return True

    def start(self, *arguments: str) -> Running:
        """Start a sender."""
        running = self.home.start(*arguments)
        self.started.append(running)
        return running

    def kill(self, running: Running) -> None:
        """Let one die; whether it was just done is its luck."""
        running.process.kill()
        assert running.wait() in {-9, 0}, running.words
        self.kills += 1

    @property
    def found(self) -> str:
        """What the books say, and what the senders said, for whoever has to find out why."""
        return f"{self.home.receipt()}\n" + "\n--\n".join(one.words for one in self.started)

    @property
    def words(self) -> str:
        """What the last one said."""
        return self.started[-1].words if self.started else ""

    def run(self, kills: int) -> None:
        """Send in the foreground, killed again and again; each kill makes at most one person per connection unsure."""
        doubtful = 0
        while self.kills < kills:
            sender = self.start(*(GO_ON if self.started else SEND))
            if not self.wait_for_a_moment():
                break
            receipt = self.home.receipt()
            # The one that runs has taken over what the one before left.
            assert receipt.balances
            assert receipt.counts.uncertain <= doubtful + self.connections, self.words
            doubtful = receipt.counts.uncertain
            self.kill(sender)
        else:
            self.start(*GO_ON)
        assert self.started[-1].wait() == 0, self.words
        assert self.kills >= kills * 3 // 4, f"only {self.kills} of {kills} kills: more people are needed"
        assert self.home.receipt().counts.uncertain <= doubtful + self.connections

    def endure_as_workers(self, kills: int, workers: int) -> None:
        """Send with several workers at once, of which one is killed and started again at each moment."""
        freeze_next(self.home)
        alive = [self.start(*WORK) for _ in range(workers)]
        doubtful = 0
        while self.kills < kills and self.wait_for_a_moment():
            nth = self.chance.randrange(workers)
            self.kill(alive[nth])
            receipt = self.home.receipt()
            assert receipt.balances
            assert receipt.counts.uncertain <= doubtful + self.connections, self.words
            doubtful = max(doubtful, receipt.counts.uncertain) + self.connections
            alive[nth] = self.start(*WORK)
        self.wait_for_the_end(alive)
        for running in alive:
            running.stop()
        assert self.kills >= kills * 3 // 4, f"only {self.kills} of {kills} kills: more people are needed"

    def wait_for_the_end(self, alive: list[Running]) -> None:
        """Wait until the edition is finished."""
        for _ in range(int(PATIENCE * 10)):
            if self.home.receipt().edition.status is EditionStatus.FINISHED:
                return
            alive[0].process.join(0.1)
        message = f"not finished: {self.home.receipt()} {[one.words for one in alive]}"
        raise AssertionError(message)

    def nobody_twice_and_nobody_forgotten(self) -> None:
        """Compare every row with what the server has: who has none is in a row that says so."""
        got, states = self.recorder.got, self.home.states()
        assert len(states) == self.people
        assert max(got.values()) == 1, [one for one in self.recorder.mails if got[one.rcpt] > 1] + [self.found]
        assert set(states.values()) <= {DeliveryState.ACCEPTED, DeliveryState.UNCERTAIN}, self.found
        assert {email for email, state in states.items() if state is DeliveryState.ACCEPTED} <= got.keys()
        assert got.keys() <= states.keys()
        receipt = self.home.receipt()
        assert receipt.balances
        assert receipt.edition.status is EditionStatus.FINISHED, self.found
        assert receipt.counts.uncertain <= self.kills * self.connections, self.found

    def everybody_and_repeats_alike(self) -> None:
        """Compare what the server has: nobody is left out, and whoever has two has the very same message twice."""
        got, mails = self.recorder.got, self.recorder.mails
        assert got.keys() == {f"p{number}@example.com" for number in range(self.people)}
        assert got.total() - self.people <= self.kills * self.connections
        assert len({mail.message_id for mail in mails}) == self.people
        assert len({(mail.rcpt, mail.message_id, mail.digest) for mail in mails}) == self.people
        assert self.home.receipt().counts.accepted == self.people


def freeze_next(home: Home) -> None:
    """Freeze the next edition now, as the bell does when it is due."""
    application = Application(settings=load_settings({}, Path(home.folder)), clock=SystemClock())
    now = application.clock.now()
    slot = early_slot(application.unit, application.cadence, None, now=now)
    assert freeze(application.unit, application.render_context, slot, now=now).edition is not None
    application.engine.dispose()
