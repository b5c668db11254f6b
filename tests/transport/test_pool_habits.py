"""The pool and the wire against relays with the habits of the well-known ones; what these received is the judge."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass, field

import pytest

from newsletter.core.reply import Effect, RelayAction, judge
from newsletter.core.throttle import PAUSES
from newsletter.testing.clocks import FixedClock
from newsletter.transport.base import ConnectFailure, Connection, Envelope, Relay, Security
from newsletter.transport.pool import Pool, PoolBusy
from newsletter.transport.pooled import PooledConnection
from newsletter.transport.smtp import connect
from tests.path.relay_habits import HABITS, HANG_UP, Habit, HabitServer, Session
from tests.transport.pool_fixtures import ABSENT, WRONG_LOGIN

PEOPLE = 300
CONNECTIONS = 6
HANGS_UP = {RelayAction.RECONNECT, RelayAction.BACK_OFF, RelayAction.STOP}


class Vanishing(Habit):
    """Hangs up on everybody once it took fifty messages, between two of them."""

    most = 50
    total = 0

    def greet(self) -> str:
        """Hang up without a greeting."""
        return HANG_UP if self.total >= self.most else super().greet()

    def mail(self, session: Session) -> str:
        """Hang up."""
        return HANG_UP if self.total >= self.most else super().mail(session)

    def dot(self, session: Session) -> str:
        """Count; what is under way elsewhere as it vanishes is refused."""
        if self.total >= self.most:
            return "421 4.3.2 Shutting down"
        self.total += 1
        return super().dot(session)


def envelope(number: int) -> Envelope:
    """Return the message to one person."""
    to = f"p{number}@example.com"
    content = f"Subject: Hello\r\nTo: {to}\r\n\r\nA tip.\r\n".encode()
    return Envelope(mail_from="tips@example.com", rcpt_to=to, content=content)


class Sleepers:
    """Threads that share a clock: it is turned only when all of them wait, to where the first one wakes."""

    def __init__(self, clock: FixedClock, threads: int) -> None:
        """Expect so many threads."""
        self._clock = clock
        self._awake = threads
        self._until: list[float] = []
        self._turned = threading.Condition()

    def wait(self, seconds: float) -> None:
        """Wait on the clock of the test."""
        with self._turned:
            until = self._clock.monotonic() + seconds
            self._until.append(until)
            self._awake -= 1
            self._turn()
            self._turned.wait_for(lambda: self._clock.monotonic() >= until)
            self._until.remove(until)
            self._awake += 1

    def leave(self) -> None:
        """Go home."""
        with self._turned:
            self._awake -= 1
            self._turn()

    def _turn(self) -> None:
        now = self._clock.monotonic()
        if self._until and not self._awake and min(self._until) > now:
            # A little more than nothing is lost to rounding.
            self._clock.turn(seconds=min(self._until) - now + 1e-6)
            self._turned.notify_all()


@dataclass
class Round:
    """A few threads that send everybody a message, one ahead where they may."""

    pool: Pool
    queue: deque[Envelope]
    sleepers: Sleepers
    lock: threading.Lock = field(default_factory=threading.Lock)
    open: int = PEOPLE
    faults: list[BaseException] = field(default_factory=list)
    gate: threading.Barrier = field(default_factory=lambda: threading.Barrier(CONNECTIONS))
    """All ask for a connection before the first message goes, so that a relay is crowded if it can be."""

    def run(self) -> None:
        """Send until nobody is left."""
        threads = [threading.Thread(target=self.guarded, daemon=True) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        if self.faults:
            raise self.faults[0]

    def guarded(self) -> None:
        """Keep what goes wrong for the test."""
        try:
            self.send()
        except BaseException as fault:  # noqa: BLE001 - raised again by `run`.
            self.faults.append(fault)
            self.open = 0
        finally:
            self.sleepers.leave()

    def send(self) -> None:
        """Be one connection after the other."""
        started = False
        while self.open > 0:
            lent = self.pool.connect()
            if not started:
                self.gate.wait(10)
                started = True
            if isinstance(lent, PooledConnection):
                self.use(lent)
                lent.close()
            self.sleepers.wait(lent.seconds if isinstance(lent, PoolBusy) else 0.01)

    def take(self) -> Envelope | None:
        """Take the next message."""
        with self.lock:
            return self.queue.popleft() if self.queue else None

    def use(self, lent: Connection) -> None:
        """Send over one connection until it is to be closed."""
        item = self.take()
        while item is not None and not lent.needs_recycling:
            following = self.take()
            reply = lent.hand_over(item, following=following) or lent.answer()
            verdict = judge(reply)
            self.pool.observe(lent, verdict, reply)
            with self.lock:
                if verdict.effect in {Effect.DEFER, Effect.REQUEUE}:
                    self.queue.append(item)
                else:
                    self.open -= 1
                    assert verdict.effect is Effect.ACCEPT, (reply, verdict)
            item = following
            if verdict.relay in HANGS_UP:
                break
        if item is not None:
            with self.lock:
                self.queue.appendleft(item)


@dataclass(frozen=True)
class Bearable:
    """What a relay may have to put up with, and how long it may take."""

    connections: int = 30
    refusals: int = 10
    seconds: float = 70.0


BEARABLE = {
    # 300 messages at 14 a second, with one connection after the first complaints.
    "ses": Bearable(connections=60, refusals=40, seconds=120),
    # 150 a day: one more day, and one question an hour.
    "ses-quota": Bearable(connections=50, refusals=50, seconds=1.1 * 86_400),
    "mailgun": Bearable(connections=PEOPLE // 3 + 10),
    # Thirty a minute, which takes nine.
    "office365": Bearable(connections=80, refusals=60, seconds=1200),
    # A hundred, and then ten minutes of silence; twice.
    "gmail": Bearable(refusals=20, seconds=1500),
}


def make_pool(clock: FixedClock, *servers: HabitServer) -> Pool:
    """Return a pool over these relays, in this order."""
    relays = [
        Relay(host="127.0.0.1", port=one.port, security=Security.NONE, timeout=5.0, dot_timeout=5.0) for one in servers
    ]
    return Pool(
        relays,
        connections=CONNECTIONS,
        clock=clock,
        jitter=lambda: 0.0,
        dial=lambda relay: connect(relay, monotonic=clock.monotonic),
    )


def send_all(pool: Pool, clock: FixedClock) -> None:
    """Send everybody a message."""
    queue = deque(map(envelope, range(PEOPLE)))
    Round(pool=pool, queue=queue, sleepers=Sleepers(clock, CONNECTIONS)).run()


EVERYBODY = {f"p{number}@example.com": 1 for number in range(PEOPLE)}


@pytest.mark.parametrize("name", HABITS)
def test_everybody_gets_it_once_whatever_the_relay_is_used_to(name: str) -> None:
    """Nobody is lost, nobody gets it twice, and the relay is neither stormed nor asked in vain without end."""
    clock = FixedClock()
    with HabitServer(HABITS[name](), clock.monotonic) as server:
        send_all(make_pool(clock, server), clock)
        seconds = clock.monotonic()
    assert server.accepted == EVERYBODY
    bearable = BEARABLE.get(name, Bearable())
    assert server.connections <= bearable.connections
    assert server.refusals.total() <= bearable.refusals, server.refusals
    assert seconds <= bearable.seconds
    assert bool(server.ahead) is ("PIPELINING" in server.habit.extensions)


@pytest.mark.parametrize("name", ["ses-quota", "gmail"])
def test_the_second_relay_takes_what_the_first_does_not(name: str) -> None:
    """While the first relay wants no mail for long, the second one carries the rest, and nobody gets it from both."""
    clock = FixedClock()
    with (
        HabitServer(HABITS[name](), clock.monotonic) as first,
        HabitServer(Habit(), clock.monotonic) as second,
    ):
        pool = make_pool(clock, first, second)
        send_all(pool, clock)
        states = pool.states()
    assert first.accepted + second.accepted == EVERYBODY
    assert first.accepted.total() >= 100
    assert second.accepted.total() >= 100
    assert clock.monotonic() < 60
    assert states[0].trouble
    assert states[0].again_at is not None
    assert states[1].trouble == ""


def test_a_relay_that_goes_away_in_the_middle_is_replaced() -> None:
    """When the first relay is gone after some messages, the second one carries the rest without anybody noticing."""
    clock = FixedClock()
    with HabitServer(Habit(), clock.monotonic) as second, HabitServer(Vanishing(), clock.monotonic) as first:
        send_all(make_pool(clock, first, second), clock)
    assert first.accepted + second.accepted == EVERYBODY
    assert first.accepted.total() == Vanishing.most
    assert first.connections <= CONNECTIONS + 6


def test_the_log_says_once_that_a_relay_is_away_and_once_that_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever reads only the log learns why the second relay works, and until when; however many messages there are."""
    caplog.set_level(logging.INFO, logger="newsletter")
    clock = FixedClock()
    vanishing = Vanishing()
    with HabitServer(Habit(), clock.monotonic) as second, HabitServer(vanishing, clock.monotonic) as first:
        pool = make_pool(clock, first, second)
        send_all(pool, clock)
        [away] = caplog.records
        assert away.levelno == logging.WARNING
        assert away.getMessage().startswith(
            f"no mail goes to 127.0.0.1:{first.port} for now, it goes to 127.0.0.1:{second.port}: "
        )
        vanishing.most = 10 * PEOPLE
        clock.turn(seconds=PAUSES[-1])
        send_all(pool, clock)
    [_, back] = caplog.records
    assert (back.levelno, back.getMessage()) == (logging.INFO, f"127.0.0.1:{first.port} takes mail again")


@pytest.mark.parametrize(
    ("trouble", "words"), [(WRONG_LOGIN, "It refuses the login."), (ABSENT, "Nobody is there.")], ids=["login", "gone"]
)
def test_the_log_says_when_nothing_goes_out(
    trouble: ConnectFailure, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Where no relay is left that line says so, and a relay that stays away is told of once."""
    clock = FixedClock()
    relay = Relay(host="smtp.example.com", port=25, name="only")
    pool = Pool([relay], connections=2, clock=clock, jitter=lambda: 0.0, dial=lambda _: trouble)
    for _ in range(5):
        pool.connect()
        clock.turn(seconds=PAUSES[-1])
    assert [one.getMessage() for one in caplog.records] == [f"no mail goes to only for now, nothing goes out: {words}"]
