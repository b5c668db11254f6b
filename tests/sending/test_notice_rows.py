"""Sending notices, on both databases: beside an edition, over a bad line, and after a crash."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from newsletter.clock import SystemClock
from newsletter.core.edition import Edition
from newsletter.core.notice import NoticeKey, NoticeKind, NoticeState
from newsletter.core.pace import Limits
from newsletter.sending import notice_sender as engine
from newsletter.sending.notice_sender import NOTICE_ORPHAN_AGE, NoticeSender, posting
from newsletter.sending.quota import QUOTA
from newsletter.store import notice as notices
from newsletter.store import quota as quotas
from newsletter.store.schema import notice
from newsletter.store.unit import Unit
from newsletter.testing.catcher import DROP, HANG, Catcher, Step
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import make_sender

MESSAGE = "Subject: hello\r\nMessage-ID: <notice.1@news.example.com>\r\n\r\nHello.\r\n"
STOP = threading.Event()


def queue(unit: Unit, clock: FixedClock, about: str = "1", to: str = "ann@example.org") -> None:
    """Queue a notice."""
    key = NoticeKey(kind=NoticeKind.ALERT, about=about)
    with unit.write() as tx:
        notices.add(tx, key, recipient=to, message=MESSAGE, now=clock.now())


def states(unit: Unit) -> dict[NoticeState, int]:
    """Return how many notices stand in each state."""
    with unit.read() as tx:
        return dict(notices.counts(tx))


def make(unit: Unit, clock: FixedClock, port: int, **rules: object) -> NoticeSender:
    """Return a sender of notices."""
    return NoticeSender.beside(make_sender(unit, clock, port, **rules))


def test_a_notice_is_written_once(unit: Unit, clock: FixedClock) -> None:
    """The same notice to the same person is one row, whoever writes it; to another person it is another."""
    for to in ("ann@example.org", "ann@example.org", "bob@example.org"):
        queue(unit, clock, to=to)
    assert states(unit) == {NoticeState.QUEUED: 2}


def test_what_waits_is_sent_once(unit: Unit, clock: FixedClock, catcher: Catcher) -> None:
    """Each notice goes out as it was written, and not again."""
    queue(unit, clock, "1")
    queue(unit, clock, "2", "bob@example.org")
    sender = make(unit, clock, catcher.port)
    assert (sender.work(STOP), sender.work(STOP)) == ("", "")
    assert catcher.accepted == {"ann@example.org": 1, "bob@example.org": 1}
    assert catcher.caught[0].content == MESSAGE.encode()
    assert states(unit) == {NoticeState.ACCEPTED: 2}


def test_a_lost_answer_is_tried_again_with_the_same_id(unit: Unit, clock: FixedClock) -> None:
    """A notice that may or may not have gone out is sent again: better twice than not at all."""

    def script(step: Step, address: str, nth: int) -> str | None:
        return DROP if step is Step.DOT and nth == 1 else None

    queue(unit, clock)
    with Catcher(script=script) as catcher:
        sender = make(unit, clock, catcher.port)
        sender.work(STOP)
        assert states(unit) == {NoticeState.DEFERRED: 1}
        clock.turn(minutes=7)
        sender.work(STOP)
        assert [one.content for one in catcher.caught] == [MESSAGE.encode()] * 2
    assert states(unit) == {NoticeState.ACCEPTED: 1}


def test_a_deferred_notice_waits_and_one_too_old_is_given_up(unit: Unit, clock: FixedClock) -> None:
    """A 4xx is tried on the schedule of deliveries until the time is over."""

    def script(step: Step, address: str, nth: int) -> str | None:
        return "451 4.7.1 come back later" if step is Step.RCPT else None

    queue(unit, clock)
    with Catcher(script=script) as catcher:
        sender = make(unit, clock, catcher.port)
        sender.work(STOP)
        sender.work(STOP)
        assert states(unit) == {NoticeState.DEFERRED: 1}
        for _ in range(80):
            clock.turn(hours=1)
            sender.work(STOP)
    assert states(unit) == {NoticeState.EXPIRED: 1}


def test_a_refused_notice_does_not_stop_the_next(unit: Unit, clock: FixedClock) -> None:
    """One bad address is rejected, and the other admin still gets hers."""

    def script(step: Step, address: str, nth: int) -> str | None:
        return "550 5.1.1 no such user" if step is Step.RCPT and address == "ann@example.org" else None

    queue(unit, clock)
    queue(unit, clock, to="bob@example.org")
    with Catcher(script=script) as catcher:
        make(unit, clock, catcher.port).work(STOP)
        assert catcher.accepted == {"bob@example.org": 1}
    assert states(unit) == {NoticeState.REJECTED: 1, NoticeState.ACCEPTED: 1}


def test_a_dead_relay_costs_no_notice(unit: Unit, clock: FixedClock) -> None:
    """Where nobody listens, nothing is marked or counted as a try; the trouble is said."""
    queue(unit, clock)
    assert "127.0.0.1" in make(unit, clock, 1).work(STOP)
    assert states(unit) == {NoticeState.QUEUED: 1}


def test_a_crash_in_the_middle_is_recovered(unit: Unit, clock: FixedClock, catcher: Catcher) -> None:
    """What a dead sender had under way goes out when the next one begins, or after an hour where others may live."""
    queue(unit, clock)
    with unit.write() as tx:
        (due_notice,) = notices.due(tx, now=clock.now(), limit=5)
        assert notices.mark(tx, due_notice, now=clock.now()) is not None
        assert notices.mark(tx, due_notice, now=clock.now()) is None
    sender = make(unit, clock, catcher.port)
    sender.work(STOP)
    assert not catcher.caught
    if not sender.sole:
        sender.recover()
        assert states(unit) == {NoticeState.SENDING: 1}
        clock.turn(seconds=NOTICE_ORPHAN_AGE.total_seconds() + 1)
    sender.recover()
    sender.work(STOP)
    assert states(unit) == {NoticeState.ACCEPTED: 1}


def test_notices_have_their_share_of_the_quota(unit: Unit, clock: FixedClock, catcher: Catcher) -> None:
    """When an edition has used up its part of the hour, notices still go; when all is used up, they wait."""
    for about in range(3):
        queue(unit, clock, str(about))
    limits = Limits(per_hour=20)
    with unit.write() as tx:
        bucket = int(clock.now().timestamp() // 60)
        quotas.save_quota(tx, QUOTA, f'{{"minutes": [[{bucket}, 18]], "quarters": []}}')
    sender = make(unit, clock, catcher.port, limits=limits)
    sender.work(STOP)
    assert states(unit) == {NoticeState.ACCEPTED: 2, NoticeState.QUEUED: 1}
    clock.turn(minutes=62)
    sender.work(STOP)
    assert states(unit) == {NoticeState.ACCEPTED: 3}


def test_a_held_database_sends_no_notice(unit: Unit, clock: FixedClock, catcher: Catcher) -> None:
    """A copy that nobody has adopted sends nothing at all."""
    queue(unit, clock)
    sender = make(unit, clock, catcher.port)
    sender.held = lambda: "another machine"
    sender.work(STOP)
    assert not catcher.caught


def test_a_withdrawn_notice_stays(unit: Unit, clock: FixedClock, catcher: Catcher) -> None:
    """What was taken back before it went out does not go out."""
    queue(unit, clock)
    with unit.write() as tx:
        assert notices.withdraw(tx, NoticeKind.ALERT, "1", reason="over") == 1
    make(unit, clock, catcher.port).work(STOP)
    assert not catcher.caught
    assert states(unit) == {NoticeState.WITHDRAWN: 1}


def test_a_notice_overtakes_an_edition(unit: Unit, clock: FixedClock, frozen: Callable[[int], Edition]) -> None:
    """While an edition of many more messages goes out, a notice that is written meanwhile goes out in the midst."""
    begun = threading.Event()

    def script(step: Step, address: str, nth: int) -> str | None:
        if step is Step.DOT and address.startswith("p"):
            begun.set()
        return None

    frozen(100)
    with Catcher(script=script) as catcher:
        # Fifty messages a second of real time: the edition takes two seconds, and a notice is looked for each half.
        sender = make_sender(unit, SystemClock(), catcher.port, connections=1, rate_per_second=50.0)
        with posting(NoticeSender.beside(sender), threading.Event()):
            work = threading.Thread(target=sender.work, args=(threading.Event(),))
            work.start()
            assert begun.wait(20)
            queue(unit, clock)
            work.join(60)
        order = [one.rcpt_to for one in catcher.caught]
    assert order.index("ann@example.org") < order.index("p99@example.com")
    assert catcher.accepted.total() == 101


def test_states_of_the_table_are_those_of_the_code() -> None:
    """The database accepts every state the code knows."""
    checks = " ".join(str(one.sqltext) for one in notice.constraints if hasattr(one, "sqltext"))
    assert all(f"'{state.value}'" in checks for state in NoticeState)


def test_the_expiry_is_that_of_deliveries(unit: Unit, clock: FixedClock, catcher: Catcher) -> None:
    """A notice is tried as long as the operator wants deliveries to be tried."""
    assert make(unit, clock, catcher.port, expire_after=timedelta(hours=5)).expire_after == timedelta(hours=5)


def test_what_is_left_goes_out_at_the_end(unit: Unit, clock: FixedClock, catcher: Catcher) -> None:
    """A report that is written as a run ends goes out before the run is over; after a stop it waits for the next."""
    sender = make(unit, clock, catcher.port)
    stop = threading.Event()
    with posting(sender, stop):
        queue(unit, clock)
    assert catcher.accepted == {"ann@example.org": 1}
    stop.set()
    with posting(sender, stop):
        queue(unit, clock, "2")
    assert states(unit) == {NoticeState.ACCEPTED: 1, NoticeState.QUEUED: 1}


def test_a_server_that_never_answers_does_not_hold_up_the_end(
    unit: Unit, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notice without an answer is cut off and tried again, so that a service ends in time."""
    monkeypatch.setattr(engine, "NOTICE_DRAIN_SECONDS", 0.5)
    asked = threading.Event()

    def script(step: Step, address: str, nth: int) -> str | None:
        asked.set()
        return HANG if step is Step.DOT else None

    queue(unit, clock)
    stop = threading.Event()
    with Catcher(script=script) as catcher:
        sender = make(unit, clock, catcher.port)
        with posting(sender, stop):
            assert asked.wait(20)
            stop.set()
    assert states(unit) == {NoticeState.DEFERRED: 1}


def test_what_a_dead_sender_left_lately_is_not_forgotten(
    unit: Unit, clock: FixedClock, catcher: Catcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notice that was under way when a sender died goes out in time, though nobody starts again after that."""
    monkeypatch.setattr(engine, "CALLBACK_EVERY_SECONDS", 0.5)
    sender = make(unit, clock, catcher.port)
    stop = threading.Event()
    with posting(sender, stop):
        queue(unit, clock)
        with unit.write() as tx:
            marked = notices.mark(tx, notices.due(tx, now=clock.now(), limit=1)[0], now=clock.now())
            assert marked is not None
        clock.turn(seconds=NOTICE_ORPHAN_AGE.total_seconds() + 1)
        for _ in range(500):
            if catcher.accepted:
                break
            stop.wait(0.01)
        assert catcher.accepted == {"ann@example.org": 1}
    assert states(unit) == {NoticeState.ACCEPTED: 1}
