"""Signing in: only the browser that asked, only once, only for ten minutes, and only whom the settings name."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from newsletter.core.access import SIGN_IN_TRIES_MAX, Roster, SignInId, SignInMethod
from newsletter.core.token import LinkPurpose, read_link_token
from newsletter.errors import InputError
from newsletter.flows.ask_to_sign_in import make_terminal_token
from newsletter.flows.end_session import end_other_sessions, end_session
from newsletter.flows.sign_in import SignedIn, SignInResult, look_at_sign_in, sign_in_by_code, sign_in_by_link
from newsletter.flows.use_session import use_session
from newsletter.store import log
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
    Mailed,
    ask,
    mailed,
    mails_to,
    make_sign_in_processor,
)


@pytest.fixture
def mail(unit: Unit, clock: FixedClock) -> Mailed:
    """Let the admin ask, and return the mail that comes."""
    ask(unit, now=clock.now())
    make_sign_in_processor(unit).work(clock.now())
    return mailed(unit)


def by_code(unit: Unit, clock: FixedClock, code: str, roster: Roster = ROSTER) -> SignInResult:
    """Type a code into the browser that asked."""
    return sign_in_by_code(unit, KEYRING, BROWSER, roster, code, now=clock.now())


def live(unit: Unit, clock: FixedClock) -> int:
    """Count the sessions that last."""
    with unit.read() as tx:
        return len(sessions.live(tx, now=clock.now()))


def test_the_browser_that_asked_signs_in_by_the_link(unit: Unit, clock: FixedClock, mail: Mailed) -> None:
    """The link makes one session, and the log says who signed in, how, and from where."""
    assert look_at_sign_in(unit, mail.id, BROWSER, ROSTER, now=clock.now()).outcome is SignedIn.OPEN
    assert live(unit, clock) == 0
    assert sign_in_by_link(unit, mail.id, BROWSER, ROSTER, now=clock.now()).outcome is SignedIn.NOW
    session = use_session(unit, BROWSER.session_hash, now=clock.now())
    assert session is not None
    assert (session.email, session.method) == (ADMIN, SignInMethod.LINK)
    with unit.read() as tx:
        [entry] = log.latest(tx)
    assert (entry.who, entry.what, entry.about) == ("ada", "admin sign-in", f"session {session.id}")
    assert entry.why == "by the link of a mail, Firefox on Linux, 192.0.2.0/24"


@pytest.mark.parametrize("asked_hash", ["", "another"])
def test_another_browser_gets_nothing_by_the_link(unit: Unit, clock: FixedClock, mail: Mailed, asked_hash: str) -> None:
    """A phone, a scanner, or an attacker who reads the mail: pressing the button makes no session."""
    visitor = replace(OTHER_BROWSER, asked_hash=asked_hash)
    for _ in range(3):
        result = sign_in_by_link(unit, mail.id, visitor, ROSTER, now=clock.now())
        assert result.outcome is SignedIn.OTHER_BROWSER
    assert live(unit, clock) == 0
    assert by_code(unit, clock, mail.code).outcome is SignedIn.NOW


def test_link_and_code_work_once(unit: Unit, clock: FixedClock, mail: Mailed) -> None:
    """A replay of the link, or of the code, makes no second session."""
    assert by_code(unit, clock, mail.code.lower().replace("-", " ")).outcome is SignedIn.NOW
    assert by_code(unit, clock, mail.code).outcome is SignedIn.USED
    assert sign_in_by_link(unit, mail.id, BROWSER, ROSTER, now=clock.now()).outcome is SignedIn.USED
    assert live(unit, clock) == 1


def test_the_sixth_attempt_is_refused(unit: Unit, clock: FixedClock, mail: Mailed) -> None:
    """Five wrong codes use the request up: the right one no longer fits."""
    for _ in range(SIGN_IN_TRIES_MAX):
        assert by_code(unit, clock, "0000-0000").outcome is SignedIn.WRONG_CODE
    assert by_code(unit, clock, mail.code).outcome is SignedIn.WRONG_CODE
    assert live(unit, clock) == 0


def test_the_fifth_attempt_counts(unit: Unit, clock: FixedClock, mail: Mailed) -> None:
    """Four slips of the finger lock no admin out."""
    for _ in range(SIGN_IN_TRIES_MAX - 1):
        by_code(unit, clock, "0000-0000")
    assert by_code(unit, clock, mail.code).outcome is SignedIn.NOW


def test_the_eleventh_minute_is_too_late(unit: Unit, clock: FixedClock, mail: Mailed) -> None:
    """Link and code end after ten minutes."""
    clock.turn(minutes=10)
    assert by_code(unit, clock, mail.code).outcome is SignedIn.EXPIRED
    assert sign_in_by_link(unit, mail.id, BROWSER, ROSTER, now=clock.now()).outcome is SignedIn.EXPIRED
    assert live(unit, clock) == 0


def test_a_code_belongs_to_its_browser(unit: Unit, clock: FixedClock, mail: Mailed) -> None:
    """Whoever learns the code and asked in another browser cannot use it there."""
    other = replace(OTHER_BROWSER, asked_hash="another")
    assert sign_in_by_code(unit, KEYRING, other, ROSTER, mail.code, now=clock.now()).outcome is SignedIn.UNKNOWN
    without = replace(OTHER_BROWSER, asked_hash="")
    assert sign_in_by_code(unit, KEYRING, without, ROSTER, mail.code, now=clock.now()).outcome is SignedIn.UNKNOWN


def test_an_address_that_left_the_settings_signs_in_no_more(unit: Unit, clock: FixedClock, mail: Mailed) -> None:
    """The mail is out, and the address is taken out of the settings: neither way works."""
    gone = Roster(editors=(EDITOR,))
    assert by_code(unit, clock, mail.code, gone).outcome is SignedIn.WRONG_CODE
    assert sign_in_by_link(unit, mail.id, BROWSER, gone, now=clock.now()).outcome is SignedIn.UNKNOWN


def test_a_new_sign_in_ends_the_session_before(unit: Unit, clock: FixedClock, mail: Mailed) -> None:
    """A browser has one session; what it had before its sign-in is over."""
    by_code(unit, clock, mail.code)
    clock.turn(minutes=1)
    ask(unit, now=clock.now())
    make_sign_in_processor(unit).work(clock.now())
    again = replace(BROWSER, session_hash="session 3", former_hash=BROWSER.session_hash)
    sign_in_by_code(unit, KEYRING, again, ROSTER, mailed(unit).code, now=clock.now())
    assert live(unit, clock) == 1
    former = use_session(unit, BROWSER.session_hash, now=clock.now())
    assert former is not None
    assert former.ended_at == clock.now()


def test_the_use_of_a_session_is_written_once_a_minute(unit: Unit, clock: FixedClock, mail: Mailed) -> None:
    """Within a minute a page writes nothing."""
    by_code(unit, clock, mail.code)
    began = clock.now()
    for seconds, seen_at in ((59, began), (1, began + timedelta(minutes=1))):
        clock.turn(seconds=seconds)
        use_session(unit, BROWSER.session_hash, now=clock.now())
        with unit.read() as tx:
            session = sessions.by_hash(tx, BROWSER.session_hash)
        assert session is not None
        assert session.seen_at == seen_at


def test_the_terminal_makes_a_link_for_any_browser(unit: Unit, clock: FixedClock) -> None:
    """It works once, for ten minutes, without a mail; the log says who asked."""
    token = make_terminal_token(unit, KEYRING, ROSTER, "Ada@Example.org", who="root", now=clock.now())
    link = read_link_token(KEYRING, token, LinkPurpose.SIGN_IN)
    assert link is not None
    assert link.expires_at == clock.now() + timedelta(minutes=10)
    result = sign_in_by_link(unit, SignInId(link.id), OTHER_BROWSER, ROSTER, now=clock.now())
    assert result.outcome is SignedIn.NOW
    again = sign_in_by_link(unit, SignInId(link.id), BROWSER, ROSTER, now=clock.now())
    assert again.outcome is SignedIn.USED
    with unit.read() as tx:
        assert [entry.who for entry in log.latest(tx)] == ["ada", "root"]
    assert mails_to(unit, ADMIN) == []


def test_the_terminal_signs_no_stranger_in(unit: Unit, clock: FixedClock) -> None:
    """The error names the settings."""
    with pytest.raises(InputError, match="NEWSLETTER_ADMIN_EMAILS"):
        make_terminal_token(unit, KEYRING, ROSTER, STRANGER, who="root", now=clock.now())


def test_an_editor_ends_no_session_of_an_admin(unit: Unit, clock: FixedClock, mail: Mailed) -> None:
    """An admin ends every session, an editor their own alone."""
    by_code(unit, clock, mail.code)
    with unit.write() as tx:
        for number, email in enumerate((EDITOR, EDITOR, ADMIN)):
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
    with unit.read() as tx:
        everyone = {session.id: session for session in sessions.live(tx, now=clock.now())}
    editors = [session for session in everyone.values() if session.email == EDITOR]
    [admin, *others] = [session for session in everyone.values() if session.email == ADMIN]
    with pytest.raises(InputError):
        end_session(unit, admin.id, by=editors[0], others=True, roster=ROSTER, now=clock.now())
    assert end_other_sessions(unit, by=editors[0], roster=ROSTER, now=clock.now()) == 1
    with pytest.raises(InputError):
        end_session(unit, editors[0].id, by=admin, others=False, roster=ROSTER, now=clock.now())
    end_session(unit, editors[0].id, by=admin, others=True, roster=ROSTER, now=clock.now())
    with unit.read() as tx:
        assert {session.id for session in sessions.live(tx, now=clock.now())} == {admin.id, others[0].id}
