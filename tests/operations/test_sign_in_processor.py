"""The mails of signing in: to addresses of the settings alone, within limits, and one about each new browser."""

from __future__ import annotations

from dataclasses import replace

import pytest

from newsletter.core.access import SIGN_IN_RULES, Roster, SignInLimit, SignInMethod
from newsletter.flows.sign_in import SignedIn, sign_in_by_code, sign_in_by_link
from newsletter.store import session as sessions
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from tests.flows.people_fixtures import KEYRING
from tests.flows.sign_in_fixtures import (
    ADMIN,
    BROWSER,
    EDITOR,
    OTHER_BROWSER,
    ROSTER,
    STRANGER,
    ask,
    mailed,
    mails_to,
    make_sign_in_processor,
)


@pytest.mark.parametrize(("email", "count"), [(ADMIN, 1), (EDITOR, 1), (STRANGER, 0)])
def test_only_addresses_of_the_settings_get_a_mail(unit: Unit, clock: FixedClock, email: str, count: int) -> None:
    """The page takes each request; what follows depends on the settings, and happens once."""
    assert ask(unit, email, now=clock.now()).accepted
    processor = make_sign_in_processor(unit)
    assert processor.work(clock.now()) == count
    assert processor.work(clock.now()) == 0
    assert len(mails_to(unit, email)) == count


def test_a_mail_shows_which_browser_asked(unit: Unit, clock: FixedClock) -> None:
    """The reader of the mail sees what asked, the code, and that doing nothing is safe."""
    ask(unit, now=clock.now())
    make_sign_in_processor(unit).work(clock.now())
    [text] = mails_to(unit, ADMIN)
    assert "Firefox on Linux" in text
    assert "Then do nothing" in text
    assert mailed(unit).code in text


def test_a_request_that_waited_too_long_gets_no_mail(unit: Unit, clock: FixedClock) -> None:
    """After an outage of ten minutes the link would not work."""
    ask(unit, now=clock.now())
    clock.turn(minutes=10)
    assert make_sign_in_processor(unit).work(clock.now()) == 0


def test_one_network_fills_no_mailbox(unit: Unit, clock: FixedClock) -> None:
    """Five mails an hour to one address, whatever a stranger types; an hour later there are more."""
    limit = SIGN_IN_RULES[SignInLimit.ADDRESS].count
    for _ in range(limit + 2):
        ask(unit, now=clock.now())
    processor = make_sign_in_processor(unit)
    assert processor.work(clock.now()) == limit
    ask(unit, now=clock.now(), network="198.51.100.0/24")
    assert processor.work(clock.now()) == 1, "another network still gets one"
    clock.turn(minutes=61)
    ask(unit, now=clock.now())
    assert processor.work(clock.now()) == 1


def test_one_network_asks_so_often(unit: Unit, clock: FixedClock) -> None:
    """The network is refused, and learns when it may ask again, for whatever address."""
    for number in range(SIGN_IN_RULES[SignInLimit.NETWORK].count):
        assert ask(unit, f"a{number}@example.org", now=clock.now()).accepted
    reply = ask(unit, STRANGER, now=clock.now())
    assert not reply.accepted
    assert reply.again_at is not None


def test_a_new_browser_is_reported_once(unit: Unit, clock: FixedClock) -> None:
    """The first sign-in of a browser brings a mail; the next one of the same browser brings none."""
    processor = make_sign_in_processor(unit)
    mails = []
    for number, visitor in enumerate((BROWSER, BROWSER, OTHER_BROWSER)):
        clock.turn(minutes=20)
        ask(unit, now=clock.now())
        processor.work(clock.now())
        signing = replace(visitor, asked_hash="asked", session_hash=f"session {number}")
        result = sign_in_by_code(unit, KEYRING, signing, ROSTER, mailed(unit).code, now=clock.now())
        assert result.outcome is SignedIn.NOW
        mails.append(processor.work(clock.now()))
        if mails[-1]:
            assert "A new browser signed in" in mails_to(unit, ADMIN)[-1]
            assert "Network: 192.0.2.0/24" in mails_to(unit, ADMIN)[-1]
    assert mails == [1, 0, 1]


def test_two_processors_write_one_mail(unit: Unit, clock: FixedClock) -> None:
    """Each decision and each announcement is a guarded update."""
    ask(unit, now=clock.now())
    first, second = make_sign_in_processor(unit), make_sign_in_processor(unit)
    assert first.work(clock.now()) + second.work(clock.now()) == 1
    sign_in_by_link(unit, mailed(unit).id, BROWSER, ROSTER, now=clock.now())
    with unit.read() as tx:
        assert len(sessions.unannounced(tx, limit=5)) == 1
    assert first.work(clock.now()) + second.work(clock.now()) == 1


def test_an_address_that_comes_back_signs_in_anew(unit: Unit, clock: FixedClock) -> None:
    """The service that starts without an address ends its sessions for good, and nobody else's."""
    for number, email in enumerate((ADMIN, EDITOR)):
        with unit.write() as tx:
            sessions.add(
                tx,
                f"hash {number}",
                email=email,
                method=SignInMethod.CODE,
                browser="Firefox on Linux",
                browser_hash="b",
                network="n",
                now=clock.now(),
            )
    make_sign_in_processor(unit, Roster(admins=(ADMIN,))).work(clock.now())
    make_sign_in_processor(unit).work(clock.now())
    with unit.read() as tx:
        assert [session.email for session in sessions.live(tx, now=clock.now())] == [ADMIN]
