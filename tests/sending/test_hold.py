"""What other processes decide while an edition is on its way: it holds from the next look on (promise 9)."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import Edition, EditionStatus
from newsletter.core.subscriber import SubscriberId
from newsletter.core.tip import TipStatus
from newsletter.core.token import Keyring, make_unsubscribe_token
from newsletter.errors import InputError
from newsletter.flows import hold, resolve
from newsletter.flows.erase_subscriber import erase_subscriber
from newsletter.flows.opt_out import opt_out
from newsletter.sending.committer import BEAT_SECONDS
from newsletter.sending.sender import Sender
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import report
from newsletter.store import subscriber as subscribers
from newsletter.store import tip as tips
from newsletter.store.database import connect, open_unit
from newsletter.store.schema import delivery, worker
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from tests.conftest import SECRET
from tests.edition_fixtures import make_sender, work
from tests.sending.scripted import (
    BLOCKED,
    GREYLISTED,
    LOST_AT_MAIL,
    SILENT_LOST,
    SILENT_TAKEN,
    TAKEN,
    UNKNOWN_USER,
    Answer,
    Server,
)

Freeze = Callable[[int], Edition]
KEYRING = Keyring(current=SECRET)


@pytest.fixture
def elsewhere(database_url: str) -> Iterator[Unit]:
    """Return another process's door to the same database."""
    engine = connect(database_url)
    yield open_unit(engine)
    engine.dispose()


LOOKS = 3
"""Signs of life after which a look has surely begun and ended: one may have been ordered, another begun before."""


def acting(unit: Unit, clock: FixedClock, act: Callable[[], object], *, at: int, answer: Answer = TAKEN) -> Server:
    """Return a server during whose nth message something is decided elsewhere, and which then gives an answer.

    No message is answered before the sender has looked at what was decided.
    """
    server = Server()
    lock = threading.Lock()
    numbers = itertools.count(1)

    def script(_address: str, _nth: int) -> Answer:
        with lock:
            # Its own number: what others have asked meanwhile is no business of this one.
            if next(numbers) == at:
                act()
                for _ in range(LOOKS):
                    await_sign_of_life(unit, clock)
                return answer
            return TAKEN

    server.script = script
    return server


def await_sign_of_life(unit: Unit, clock: FixedClock) -> None:
    """Turn the clock by a second, and wait until the worker has written that it lives, which it does at each look."""
    with unit.read() as tx:
        before = tx.execute(select(func.max(worker.c.seen_at))).scalar_one()
    clock.turn(seconds=BEAT_SECONDS)
    nothing = threading.Event()
    for _ in range(3000):
        with unit.read() as tx:
            if tx.execute(select(func.max(worker.c.seen_at))).scalar_one() > before:
                return
        nothing.wait(0.01)
    message = "the sender gave no sign of life"
    raise AssertionError(message)


def attempts(unit: Unit, state: str) -> set[tuple[int, bool]]:
    """Return how often those in a state were tried, and whether the time of a first try is known."""
    with unit.read() as tx:
        rows = tx.execute(select(delivery.c.attempts, delivery.c.first_attempt_at).where(delivery.c.state == state))
        return {(row.attempts, row.first_attempt_at is not None) for row in rows}


def counts(unit: Unit, edition: Edition) -> dict[str, int]:
    """Return the states that anybody is in."""
    with unit.read() as tx:
        receipt = report.receipt(tx, editions.by_id(tx, edition.id))
    assert receipt.balances
    return {state.value: receipt.counts[state] for state in DeliveryState if receipt.counts[state]}


def status(unit: Unit, edition: Edition) -> EditionStatus:
    """Return where an edition stands."""
    with unit.read() as tx:
        return editions.status(tx, edition.id)


def address_of(number: int) -> str:
    """Return the address of a person."""
    return f"p{number}@example.com"


def test_pause_and_resume(unit: Unit, elsewhere: Unit, clock: FixedClock, frozen: Freeze) -> None:
    """After a pause what was not begun is given back untried, and a resumed edition reaches everybody once."""
    edition = frozen(20)
    server = acting(
        elsewhere, clock, lambda: hold.pause_edition(elsewhere, edition, who="ann", why="a typo", now=clock.now()), at=7
    )
    sender = make_sender(unit, clock, server.connect, connections=1)
    work(sender)
    assert server.accepted.total() == 7
    assert counts(unit, edition) == {"accepted": 7, "queued": 13}
    assert attempts(unit, "queued") == {(0, False)}
    assert status(unit, edition) is EditionStatus.PAUSED
    work(sender)
    assert server.accepted.total() == 7
    assert hold.resume_edition(elsewhere, edition, who="ann", now=clock.now())
    work(sender)
    assert server.accepted == {address_of(n): 1 for n in range(20)}
    assert status(unit, edition) is EditionStatus.FINISHED


def test_pause_over_several_connections(unit: Unit, elsewhere: Unit, clock: FixedClock, frozen: Freeze) -> None:
    """After a pause no connection begins another message than the one that it was at."""
    edition = frozen(60)
    server = acting(
        elsewhere, clock, lambda: hold.pause_edition(elsewhere, edition, who="ann", why="", now=clock.now()), at=20
    )
    work(make_sender(unit, clock, server.connect, connections=4))
    assert 20 <= server.accepted.total() <= 23
    assert counts(unit, edition) == {"accepted": server.accepted.total(), "queued": 60 - server.accepted.total()}


def test_cancel_in_the_middle(unit: Unit, elsewhere: Unit, clock: FixedClock, frozen: Freeze) -> None:
    """A cancelled edition goes to nobody else, its books are closed, and its tip stays used."""
    edition = frozen(20)
    server = acting(
        elsewhere, clock, lambda: hold.cancel_edition(elsewhere, edition, who="ann", why="", now=clock.now()), at=7
    )
    sender = make_sender(unit, clock, server.connect, connections=1)
    work(sender)
    assert server.accepted.total() == 7
    assert counts(unit, edition) == {"accepted": 7, "skipped": 13}
    with unit.read() as tx:
        closed = editions.by_id(tx, edition.id)
        assert tips.by_id(tx, edition.tip.id).status is TipStatus.SENT
    assert closed.status is EditionStatus.CANCELLED
    assert closed.finished_at is not None
    with pytest.raises(InputError):
        resolve.retry(unit, edition, (DeliveryState.REJECTED,), who="ann", now=clock.now())


@pytest.mark.parametrize("answer", [GREYLISTED, LOST_AT_MAIL])
def test_cancel_while_one_is_deferred(
    unit: Unit, elsewhere: Unit, clock: FixedClock, frozen: Freeze, answer: Answer
) -> None:
    """Whoever was on the way at a cancel and comes back unsent is skipped like the others, and the edition closes."""
    edition = frozen(5)
    server = acting(
        elsewhere,
        clock,
        lambda: hold.cancel_edition(elsewhere, edition, who="ann", why="", now=clock.now()),
        at=2,
        answer=answer,
    )
    work(make_sender(unit, clock, server.connect, connections=1))
    assert server.accepted.total() == 1
    assert counts(unit, edition) == {"accepted": 1, "skipped": 4}
    with unit.read() as tx:
        assert editions.by_id(tx, edition.id).finished_at is not None


def test_cancel_before_anything_was_handed(unit: Unit, clock: FixedClock, frozen: Freeze) -> None:
    """An edition cancelled before its first message gives the tip back to the queue."""
    edition = frozen(3)
    assert hold.cancel_edition(unit, edition, who="ann", why="", now=clock.now()) == 3
    server = Server()
    work(make_sender(unit, clock, server.connect))
    assert server.asked.total() == 0
    assert counts(unit, edition) == {"skipped": 3}
    with unit.read() as tx:
        assert tips.by_id(tx, edition.tip.id).status is TipStatus.APPROVED
        assert editions.history(tx) == []


@pytest.mark.parametrize("leave", ["opt-out", "erase"])
def test_leaving_in_the_middle(unit: Unit, elsewhere: Unit, clock: FixedClock, frozen: Freeze, leave: str) -> None:
    """Whoever leaves before the envelope is written gets no mail, and is accounted for as skipped."""
    edition = frozen(10)
    leaver = address_of(8)

    def act() -> None:
        with elsewhere.read() as tx:
            person = subscribers.by_canonical(tx, leaver)
        assert person is not None
        if leave == "erase":
            erase_subscriber(elsewhere, KEYRING, person.id, who="ann", now=clock.now())
        else:
            token = make_unsubscribe_token(KEYRING, person.id, edition.id)
            opt_out(elsewhere, KEYRING, token, channel="one-click", now=clock.now())

    server = acting(elsewhere, clock, act, at=4)
    work(make_sender(unit, clock, server.connect, connections=1))
    assert server.asked == {address_of(n): 1 for n in range(10) if n != 8}
    assert counts(unit, edition) == {"accepted": 9, "skipped": 1}


def test_leaving_while_deferred(unit: Unit, elsewhere: Unit, clock: FixedClock, frozen: Freeze) -> None:
    """An opt-out that comes while the server is answering is honoured before the next try."""
    edition = frozen(1)

    def act() -> None:
        token = make_unsubscribe_token(KEYRING, SubscriberId(1), edition.id)
        opt_out(elsewhere, KEYRING, token, channel="one-click", now=clock.now())

    server = acting(elsewhere, clock, act, at=1, answer=GREYLISTED)
    sender = make_sender(unit, clock, server.connect)
    work(sender)
    clock.turn(hours=1)
    work(sender)
    assert server.asked.total() == 1
    assert counts(unit, edition) == {"skipped": 1}


def test_an_erased_address_does_not_come_back(unit: Unit, elsewhere: Unit, clock: FixedClock, frozen: Freeze) -> None:
    """The server's words about somebody who was erased meanwhile are not written down: they may hold the address."""
    edition = frozen(1)
    words = replace(BLOCKED, reply=replace(BLOCKED.reply, text="<p0@example.com> is not welcome"))

    def act() -> None:
        erase_subscriber(elsewhere, KEYRING, SubscriberId(1), who="ann", now=clock.now())

    work(make_sender(unit, clock, acting(elsewhere, clock, act, at=1, answer=words).connect))
    with unit.read() as tx:
        [row] = report.rows(tx, edition_id=edition.id)
    assert (row.state, row.email) == (DeliveryState.REJECTED, "")
    assert "p0@" not in row.reply
    assert row.reply.startswith("554")


def test_resend_from_elsewhere(unit: Unit, elsewhere: Unit, clock: FixedClock, frozen: Freeze) -> None:
    """What is uncertain goes out again at a person's word, with the same Message-ID, and the edition closes anew."""
    edition = frozen(4)
    server = Server(script=lambda address, nth: SILENT_LOST if (address, nth) == (address_of(2), 1) else TAKEN)
    sender = make_sender(unit, clock, server.connect, connections=1)
    work(sender)
    assert counts(unit, edition) == {"accepted": 3, "uncertain": 1}
    assert resolve.resend(elsewhere, edition, only=None, who="ann", now=clock.now()) == 1
    assert status(unit, edition) is EditionStatus.SENDING
    work(sender)
    assert server.accepted == {address_of(n): 1 for n in range(4)}
    assert counts(unit, edition) == {"accepted": 4}
    first, second = server.contents[address_of(2)]
    assert message_id(first) == message_id(second)


def message_id(raw: bytes) -> bytes:
    """Return the line with the Message-ID."""
    [line] = [line for line in raw.split(b"\r\n\r\n")[0].split(b"\r\n") if line.startswith(b"Message-ID:")]
    return line


@pytest.mark.parametrize(("to", "want"), [(DeliveryState.ACCEPTED, "accepted"), (DeliveryState.REJECTED, "rejected")])
def test_settling_what_is_uncertain(
    unit: Unit, clock: FixedClock, frozen: Freeze, to: DeliveryState, want: str
) -> None:
    """Evidence settles what was uncertain, also in the totals of a closed edition."""
    edition = frozen(2)
    server = Server(script=lambda address, _: SILENT_TAKEN if address == address_of(0) else UNKNOWN_USER)
    work(make_sender(unit, clock, server.connect, connections=1))
    before = {"uncertain": 1, "rejected": 1}
    assert counts(unit, edition) == before
    now = clock.now()
    assert resolve.settle_uncertain(unit, edition, to, only=None, because="the relay's log", who="ann", now=now) == 1
    with unit.read() as tx:
        totals = editions.totals(tx, edition.id)
        assert deliveries.counts(tx, edition.id) == totals
    assert counts(unit, edition) == ({"rejected": 2} if want == "rejected" else {"accepted": 1, "rejected": 1})


def test_a_retry_that_meets_a_cancel(unit: Unit, elsewhere: Unit, clock: FixedClock, frozen: Freeze) -> None:
    """Whoever asks for a retry while somebody else cancels is refused, however old what they looked at is."""
    edition = frozen(2)
    server = Server(script=lambda *_: UNKNOWN_USER)
    seen = edition
    sender: Sender = make_sender(unit, clock, server.connect, connections=1)
    hold.pause_edition(unit, edition, who="ann", why="", now=clock.now())
    hold.cancel_edition(elsewhere, edition, who="bob", why="", now=clock.now())
    for ask in (
        lambda: resolve.retry(unit, seen, (DeliveryState.SKIPPED,), who="ann", now=clock.now()),
        lambda: resolve.resend(unit, seen, only=None, who="ann", now=clock.now()),
    ):
        with pytest.raises(InputError):
            ask()
    work(sender)
    assert counts(unit, edition) == {"skipped": 2}
