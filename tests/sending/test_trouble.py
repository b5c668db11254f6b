"""Trouble with the relay, the database and the disk: nobody is lost, nobody gets two, and somebody is told."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import event

from newsletter.clock import SystemClock
from newsletter.core.delivery import DeliveryState, UncertainPolicy
from newsletter.core.edition import Edition, EditionStatus
from newsletter.core.pace import Limits
from newsletter.errors import NewsletterError
from newsletter.flows import hold, resolve
from newsletter.flows.freeze import RenderContext, freeze
from newsletter.operations.ticker import Ticker
from newsletter.sending.options import PassResult
from newsletter.sending.sender import Sender
from newsletter.sending.sender_loop import SenderLoop, send_until_idle
from newsletter.store import alert as alerts
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import report
from newsletter.store.alert import AlertKind
from newsletter.store.database import sender_lock
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import TUESDAY, add_people, add_tip, first_slot, make_sender, work
from tests.sending.failing_db import Patient, ScriptedEvent, fragile
from tests.sending.scripted import (
    ABSENT,
    CLOSING,
    GREYLISTED,
    LOST_AT_MAIL,
    SILENT_TAKEN,
    TAKEN,
    WRONG_LOGIN,
    Answer,
    Server,
)

Freeze = Callable[[int], Edition]
WEEK = timedelta(weeks=1)


def everybody(count: int) -> dict[str, int]:
    """Return what the server has when each person got one mail."""
    return {f"p{n}@example.com": 1 for n in range(count)}


def counts(unit: Unit, edition: Edition) -> dict[str, int]:
    """Return the states that anybody is in."""
    with unit.read() as tx:
        receipt = report.receipt(tx, editions.by_id(tx, edition.id))
    assert receipt.balances
    return {state.value: receipt.counts[state] for state in DeliveryState if receipt.counts[state]}


def alerted(unit: Unit) -> dict[AlertKind, str]:
    """Return the open alerts."""
    with unit.read() as tx:
        return {one.kind: one.message for one in alerts.open_alerts(tx)}


def run(sender: Sender) -> PassResult:
    """Send in the foreground."""
    return send_until_idle(sender, threading.Event())


def test_421_in_the_middle(unit: Unit, clock: FixedClock, frozen: Freeze) -> None:
    """A server that closes the session gets fewer connections; only the person it spoke about waits for longer."""
    edition = frozen(40)
    openings: list[None] = []
    server = Server(
        script=lambda address, nth: CLOSING if (address, nth) == ("p20@example.com", 1) else TAKEN,
        opening=lambda: openings.append(None),
    )
    sender = make_sender(unit, clock, server.connect)
    result = run(sender)
    assert result.trouble == ""
    # Three at first, and one in the place of the connection that was closed if no other may stay.
    assert 3 <= len(openings) <= 4
    assert counts(unit, edition) == {"accepted": 39, "deferred": 1}
    assert alerted(unit) == {}
    clock.turn(minutes=10)
    run(sender)
    assert server.accepted == everybody(40)


@pytest.mark.parametrize(("failure", "person"), [(ABSENT, False), (WRONG_LOGIN, True)])
def test_no_connection(unit: Unit, clock: FixedClock, frozen: Freeze, failure: object, person: bool) -> None:  # noqa: FBT001
    """While no session can be opened nobody is tried; people are told, and told again when it has passed."""
    edition = frozen(5)
    broken = [True]
    server = Server(opening=lambda: failure if broken else None)  # type: ignore[arg-type,return-value]
    sender = make_sender(unit, clock, server.connect)
    result = run(sender)
    assert (result.trouble, result.needs_person) == (failure.plain, person)  # type: ignore[attr-defined]
    assert counts(unit, edition) == {"queued": 5}
    assert AlertKind.RELAY in alerted(unit)
    broken.clear()
    # The pool remembers a relay that failed, and leaves it alone for a while.
    clock.turn(minutes=10)
    run(sender)
    assert server.accepted == everybody(5)
    assert alerted(unit) == {}


def test_one_address_that_kills_every_connection(unit: Unit, clock: FixedClock, frozen: Freeze) -> None:
    """An address at which every connection is lost waits its turn, and is given up after three days with an alert."""
    edition = frozen(30)
    server = Server(script=lambda address, _nth: LOST_AT_MAIL if address == "p3@example.com" else TAKEN)
    sender = make_sender(unit, clock, server.connect)
    assert run(sender).trouble == ""
    assert {email: count for email, count in server.accepted.items() if count} == {
        email: 1 for email in everybody(30) if email != "p3@example.com"
    }
    assert counts(unit, edition) == {"accepted": 29, "deferred": 1}
    for _ in range(80):
        clock.turn(hours=1)
        run(sender)
    assert counts(unit, edition) == {"accepted": 29, "expired": 1}
    # One person in 30 is named by the delivery report, and is no alert.
    assert AlertKind.EXPIRED_PEOPLE not in alerted(unit)


def test_addresses_that_kill_connections_do_not_hold_up_the_others(
    unit: Unit, clock: FixedClock, frozen: Freeze
) -> None:
    """Twelve at the head of the queue look like a server in trouble; all others are tried before one is tried again."""
    edition = frozen(40)
    deadly = {f"p{n}@example.com" for n in range(12)}
    taken_at: dict[str, timedelta] = {}
    start = clock.now()

    def script(address: str, _nth: int) -> Answer:
        if address in deadly:
            return LOST_AT_MAIL
        taken_at[address] = clock.now() - start
        return TAKEN

    sender = make_sender(unit, clock, Server(script=script).connect, connections=4)
    for _ in range(30):
        run(sender)
        clock.turn(minutes=1)
    assert counts(unit, edition) == {"accepted": 28, "deferred": 12}
    assert max(taken_at.values()) < timedelta(minutes=3)


def test_a_mailbox_that_never_opens_expires(unit: Unit, clock: FixedClock, frozen: Freeze) -> None:
    """Somebody whose server always says "later" is tried ever more rarely, to the very end of 72 hours, then named."""
    edition = frozen(2)
    tries: list[timedelta] = []

    def script(address: str, _nth: int) -> Answer:
        if address == "p1@example.com":
            tries.append(clock.now() - TUESDAY)
            return GREYLISTED
        return TAKEN

    sender = make_sender(unit, clock, Server(script=script).connect)
    while counts(unit, edition) != {"accepted": 1, "expired": 1}:
        run(sender)
        assert clock.now() - TUESDAY < timedelta(hours=74)
        clock.turn(minutes=20)
    assert timedelta(hours=71) < tries[-1] <= timedelta(hours=72, minutes=20)
    assert len(tries) >= 10
    waits = [after - before for before, after in pairwise(tries)]
    assert waits[:-1] == sorted(waits[:-1])
    with unit.read() as tx:
        assert editions.by_id(tx, edition.id).status is EditionStatus.FINISHED


@pytest.mark.parametrize("held", [False, True])
def test_the_next_edition_overtakes_nobody_in_silence(
    unit: Unit,
    clock: FixedClock,
    frozen: Freeze,
    ticker: Ticker,
    held: bool,  # noqa: FBT001
) -> None:
    """People who were never tried when the next edition begins expire, are alerted, and get the new one only."""
    edition = frozen(4)
    ticker.tick()
    if held:
        hold.pause_edition(unit, edition, who="ann", why="", now=clock.now())
    add_tip(unit, "next-tip")
    clock.set(TUESDAY + WEEK)
    following = ticker.tick()
    assert following is not None
    assert counts(unit, edition) == {"expired": 4}
    assert "4 people were given up in the edition of 2026-11-03" in alerted(unit)[AlertKind.EXPIRED_PEOPLE]
    server = Server()
    run(make_sender(unit, clock, server.connect))
    assert server.accepted == everybody(4)
    assert counts(unit, following) == {"accepted": 4}


def test_a_retry_of_the_expired_ends_their_alert(unit: Unit, clock: FixedClock, frozen: Freeze, ticker: Ticker) -> None:
    """The alert names the command that sends to people after all; once it was given, `status` needs nobody."""
    edition = frozen(4)
    ticker.tick()
    add_tip(unit, "next-tip")
    clock.set(TUESDAY + WEEK)
    ticker.tick()
    assert "`newsletter edition retry 2026-11-03 --expired`" in alerted(unit)[AlertKind.EXPIRED_PEOPLE]
    assert resolve.retry(unit, edition, (DeliveryState.EXPIRED,), who="ann", now=clock.now()) == 4
    assert AlertKind.EXPIRED_PEOPLE not in alerted(unit)
    run(make_sender(unit, clock, Server().connect))
    assert counts(unit, edition) == {"accepted": 4}


def test_retry_policy_sends_the_same_message_again(unit: Unit, clock: FixedClock, frozen: Freeze) -> None:
    """With NEWSLETTER_UNCERTAIN=retry an unanswered message goes out again later, byte for byte the same."""
    edition = frozen(3)
    server = Server(script=lambda address, nth: SILENT_TAKEN if (address, nth) == ("p1@example.com", 1) else TAKEN)
    sender = make_sender(unit, clock, server.connect, uncertain_policy=UncertainPolicy.RETRY)
    run(sender)
    assert counts(unit, edition) == {"accepted": 2, "deferred": 1}
    clock.turn(minutes=10)
    run(sender)
    assert counts(unit, edition) == {"accepted": 3}
    first, second = server.contents["p1@example.com"]
    assert first == second
    assert b"\r\nMessage-ID: <" in first


def test_the_rate_per_second_holds(sqlite_unit: Unit, render_context: RenderContext, clock: FixedClock) -> None:
    """However many connections there are, no span of time holds more messages than the rate allows."""
    add_people(sqlite_unit, 40)
    add_tip(sqlite_unit)
    freeze(sqlite_unit, render_context, first_slot(), now=TUESDAY)
    at: list[float] = []
    server = Server(script=lambda *_: (at.append(time.monotonic()), TAKEN)[1])
    work(make_sender(sqlite_unit, SystemClock(), server.connect, connections=4, rate_per_second=50.0))
    assert server.accepted == everybody(40)
    # The first may have been held up on a busy machine.
    assert at[-1] - at[0] >= 35 / 50
    # Two threads that were both held up may come out together; never more than there are connections.
    assert all(later - earlier >= 10 / 50 for earlier, later in zip(at, at[14:], strict=False))


def test_the_quota_of_an_hour_holds(unit: Unit, clock: FixedClock, frozen: Freeze) -> None:
    """No hour holds more than its quota, over several processes, and everybody is reached in the end."""
    edition = frozen(50)
    at: list[timedelta] = []
    server = Server(script=lambda *_: (at.append(clock.now() - TUESDAY), TAKEN)[1])
    hours = 0
    while counts(unit, edition) != {"accepted": 50}:
        # A new process each time: what was used is in the database.
        result = run(make_sender(unit, clock, server.connect, limits=Limits(per_hour=20, per_day=None)))
        assert result.trouble == ""
        if result.wait:
            assert 0 < result.wait <= 3660
            clock.turn(seconds=result.wait)
        hours += 1
        assert hours < 6
    assert server.accepted == everybody(50)
    assert max(sum(one <= other < one + timedelta(hours=1) for other in at) for one in at) <= 20


@pytest.fixture
def waiting_edition(sqlite_url: str, sqlite_unit: Unit, render_context: RenderContext) -> Edition:
    """Return an edition of sixty people on SQLite."""
    add_people(sqlite_unit, 60)
    add_tip(sqlite_unit)
    edition = freeze(sqlite_unit, render_context, first_slot(), now=TUESDAY).edition
    assert edition is not None
    return edition


@pytest.mark.parametrize("seconds", [10, 300])
def test_a_database_that_somebody_else_locks(
    sqlite_url: str, sqlite_unit: Unit, waiting_edition: Edition, caplog: pytest.LogCaptureFixture, seconds: int
) -> None:
    """An outcome waits a minute for the database; then the journal tells it the next start, and nobody gets two."""
    path = sqlite_url.removeprefix("sqlite:///")
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    clock = Patient(lambda: other.execute("ROLLBACK"), at=seconds // 2)
    lock = threading.Lock()

    def script(_address: str, _nth: int) -> Answer:
        with lock:
            if server.asked.total() == 5:
                other.execute("BEGIN IMMEDIATE")
        return TAKEN

    server = Server(script=script)
    with fragile(sqlite_url) as (unit, _):
        sender = make_sender(unit, clock, server.connect, connections=1)
        if seconds == 10:
            assert run(sender).trouble == ""
        else:
            with pytest.raises(NewsletterError, match="database is busy"):
                run(sender)
    if other.in_transaction:
        other.execute("ROLLBACK")
    other.close()
    lost = [one for one in caplog.records if one.levelno == logging.ERROR and "not recorded" in one.getMessage()]
    assert bool(lost) == (seconds == 300)
    run(make_sender(sqlite_unit, clock, server.connect, connections=1))
    assert server.accepted == everybody(60)
    assert counts(sqlite_unit, waiting_edition) == {"accepted": 60}


def test_a_full_disk(
    sqlite_url: str, sqlite_unit: Unit, waiting_edition: Edition, caplog: pytest.LogCaptureFixture
) -> None:
    """When the disk is full, sending ends with a sentence, outcomes stand in the log, and nobody gets two later."""
    words = Answer(reply=TAKEN.reply.__class__(phase=TAKEN.reply.phase, code=250, text="x" * 1000), took=True)
    server = Server(script=lambda *_: words)
    clock = FixedClock(TUESDAY)
    with fragile(sqlite_url) as (unit, engine):

        @event.listens_for(engine, "checkout")
        def _(dbapi: sqlite3.Connection, _record: object, _proxy: object) -> None:
            # The smallest that SQLite accepts is what the file has already.
            dbapi.execute("PRAGMA max_page_count=1")

        try:
            trouble = run(make_sender(unit, clock, server.connect, connections=2)).trouble
        except NewsletterError as error:
            trouble = str(error)
        assert "disk that holds the database is full" in trouble
    reached = server.accepted.total()
    assert 0 < reached < 60
    assert any("not recorded" in one.getMessage() for one in caplog.records)
    run(make_sender(sqlite_unit, clock, server.connect, connections=2))
    assert server.accepted.total() <= 60
    assert max(server.accepted.values()) == 1
    outcome = counts(sqlite_unit, waiting_edition)
    assert outcome.get("uncertain", 0) <= 2
    assert outcome["accepted"] + outcome.get("uncertain", 0) == 60


def test_the_service_outlives_a_database_in_trouble(
    sqlite_url: str, sqlite_unit: Unit, waiting_edition: Edition
) -> None:
    """The sender of the service goes on by itself once a lock that lasted too long is gone."""
    path = sqlite_url.removeprefix("sqlite:///")
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    clock = Patient(lambda: other.execute("ROLLBACK"), at=4)
    stop = threading.Event()

    def script(_address: str, _nth: int) -> Answer:
        if server.asked.total() == 60:
            stop.set()
        return TAKEN

    server = Server(script=script)
    with fragile(sqlite_url) as (unit, engine):
        sender = make_sender(unit, clock, server.connect)
        SenderLoop(sender=sender, lock=lambda: sender_lock(engine), stop=stop).run()
    other.close()
    assert server.accepted == everybody(60)
    assert counts(sqlite_unit, waiting_edition) == {"accepted": 60}


def test_the_service_writes_down_later_what_it_knows(
    sqlite_url: str, sqlite_unit: Unit, waiting_edition: Edition
) -> None:
    """An outcome that the database refused for over a minute is written as soon as it can be, before more is sent."""
    path = sqlite_url.removeprefix("sqlite:///")
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    stop = threading.Event()

    def script(_address: str, _nth: int) -> Answer:
        if server.asked.total() == 5:
            other.execute("BEGIN IMMEDIATE")
        if server.asked.total() == 60:
            stop.set()
        return TAKEN

    server = Server(script=script)
    # Each outcome has a line of its own; the first one frees the database.
    given_up = ScriptedEvent(lambda: other.in_transaction and other.execute("ROLLBACK"), on="not recorded")
    logging.getLogger("newsletter.sending.committer").addHandler(given_up)
    with fragile(sqlite_url) as (unit, engine):
        sender = make_sender(unit, FixedClock(TUESDAY), server.connect, connections=1)
        SenderLoop(sender=sender, lock=lambda: sender_lock(engine), stop=stop).run()
    logging.getLogger("newsletter.sending.committer").removeHandler(given_up)
    other.close()
    assert server.accepted == everybody(60)
    assert counts(sqlite_unit, waiting_edition) == {"accepted": 60}


def test_nothing_is_marked_without_the_disk(sqlite_url: str, sqlite_unit: Unit, waiting_edition: Edition) -> None:
    """A mark that could not be made durable sends nothing: the server sees no envelope."""
    server = Server()
    readonly = Path(sqlite_url.removeprefix("sqlite:///"))
    other = sqlite3.connect(readonly, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with fragile(sqlite_url) as (unit, _), pytest.raises(NewsletterError):
        run(make_sender(unit, FixedClock(TUESDAY), server.connect))
    other.execute("ROLLBACK")
    other.close()
    assert server.asked.total() == 0
    with sqlite_unit.read() as tx:
        assert deliveries.counts(tx, waiting_edition.id)[DeliveryState.QUEUED] == 60
