"""Who may open what: roles from the settings, sessions that end, and sign-ins that are recent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from newsletter.core.access import (
    RECENT_SIGN_IN_MAX,
    SESSION_IDLE_MAX,
    SESSION_LIFE_MAX,
    Access,
    Needed,
    Role,
    Roster,
    Session,
    SessionId,
    SignInMethod,
    is_live,
    judge_access,
)
from newsletter.core.browser_words import UNKNOWN_BROWSER, browser_words

NOW = datetime(2026, 11, 3, 14, tzinfo=UTC)
SESSION = Session(
    id=SessionId(1),
    email="ada@example.org",
    method=SignInMethod.CODE,
    browser="Firefox on Linux",
    network="192.0.2.0/24",
    created_at=NOW,
    seen_at=NOW,
    confirmed_at=NOW,
)
ROSTER = Roster(admins=("ada@example.org",), editors=("ed@example.org", "ada@example.com"))


@pytest.mark.parametrize(
    ("needed", "nobody", "editor", "admin"),
    [
        (Needed.NOTHING, Access.ALLOWED, Access.ALLOWED, Access.ALLOWED),
        (Needed.EDITOR, Access.SIGN_IN, Access.ALLOWED, Access.ALLOWED),
        (Needed.ADMIN, Access.SIGN_IN, Access.FORBIDDEN, Access.ALLOWED),
        (Needed.RECENT_EDITOR, Access.SIGN_IN, Access.ALLOWED, Access.ALLOWED),
        (Needed.RECENT_ADMIN, Access.SIGN_IN, Access.FORBIDDEN, Access.ALLOWED),
    ],
)
def test_a_role_reaches_so_far(needed: Needed, nobody: Access, editor: Access, admin: Access) -> None:
    """Without a session only the pages for signing in are open; an editor reaches no page of an admin."""
    assert judge_access(needed, None, None, now=NOW) is nobody
    assert judge_access(needed, SESSION, Role.EDITOR, now=NOW) is editor
    assert judge_access(needed, SESSION, Role.ADMIN, now=NOW) is admin


@pytest.mark.parametrize("needed", [needed for needed in Needed if needed is not Needed.NOTHING])
def test_an_address_that_left_the_settings_has_no_session(needed: Needed) -> None:
    """The session is live, and its address has no role any more: the person must sign in, which it cannot."""
    assert judge_access(needed, SESSION, ROSTER.role("former@example.org"), now=NOW) is Access.SIGN_IN


@pytest.mark.parametrize("needed", [Needed.RECENT_EDITOR, Needed.RECENT_ADMIN])
def test_what_cannot_be_undone_needs_a_recent_sign_in(needed: Needed) -> None:
    """Ten minutes after the sign-in the person shows once more that it is them."""
    early, late = NOW + RECENT_SIGN_IN_MAX - timedelta(seconds=1), NOW + RECENT_SIGN_IN_MAX
    assert judge_access(needed, SESSION, Role.ADMIN, now=early) is Access.ALLOWED
    assert judge_access(needed, SESSION, Role.ADMIN, now=late) is Access.CONFIRM


def test_a_session_ends_when_idle_and_in_any_case() -> None:
    """Fourteen days without use, ninety days in all, or at once when somebody ended it."""
    assert is_live(SESSION, now=NOW + SESSION_IDLE_MAX - timedelta(seconds=1))
    assert not is_live(SESSION, now=NOW + SESSION_IDLE_MAX)
    used = replace(SESSION, seen_at=NOW + SESSION_LIFE_MAX - timedelta(hours=1))
    assert is_live(used, now=NOW + SESSION_LIFE_MAX - timedelta(seconds=1))
    assert not is_live(used, now=NOW + SESSION_LIFE_MAX)
    assert not is_live(replace(SESSION, ended_at=NOW), now=NOW)


def test_a_person_is_named_by_the_part_before_the_sign() -> None:
    """Where two addresses share it, both are named in full."""
    assert ROSTER.name("ed@example.org") == "ed"
    assert ROSTER.name("ada@example.org") == "ada@example.org"


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/142.0 Safari/537.36 Edg/142.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Safari/604.1", "Safari on an iPhone"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/142.0 Safari/537.36", "Chrome on Android"),
        ("curl/8.5 <script>", UNKNOWN_BROWSER),
        ("", UNKNOWN_BROWSER),
    ],
)
def test_a_browser_is_named_from_a_fixed_list(user_agent: str, words: str) -> None:
    """What a stranger sends as the name of a browser is never shown."""
    assert browser_words(user_agent) == words
