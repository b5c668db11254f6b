"""Signing in: by the link in the browser that asked, by the code typed there, or by the link of the terminal.

In: a request's id with a genuine token, or a browser and a code. Out: what came of it; a new session once this commits.
The mail alone lets a person in nowhere: its link works only in the browser that asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from newsletter.core.access import SIGN_IN_TRIES_MAX, Roster, SignIn, SignInId, SignInMethod, SignInOrigin, is_open
from newsletter.core.token import Keyring, is_sign_in_code
from newsletter.store import log
from newsletter.store import session as sessions
from newsletter.store import sign_in as sign_ins
from newsletter.store.log import LogEntry
from newsletter.store.unit import Tx, Unit


class SignedIn(Enum):
    """What came of an attempt to sign in, or would come of it."""

    OPEN = "open"
    """The button of the page signs the person in."""
    OTHER_BROWSER = "other browser"
    """The link was opened elsewhere: the code is to be typed where the person asked."""
    NOW = "now"
    """This call signed the person in."""
    USED = "used"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    """There is no such request (any more), or its address may not sign in."""
    WRONG_CODE = "wrong code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """The browser that tries to sign in."""

    session_hash: str
    """Of the cookie of the session that is made when it succeeds."""
    former_hash: str
    """Of the cookie of the session that the browser had before, which ends."""
    asked_hash: str
    """Of the cookie that it got when it asked."""
    browser_hash: str
    """Of the cookie by which it is known next time."""
    browser: str
    network: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInResult:
    """The result, and the request it is about."""

    outcome: SignedIn
    sign_in: SignIn | None = None


def look_at_sign_in(
    unit: Unit, sign_in_id: SignInId, visitor: Visitor, roster: Roster, *, now: datetime
) -> SignInResult:
    """Tell what pressing the button would do; nothing is changed."""
    with unit.read() as tx:
        return _standing(sign_ins.by_id(tx, sign_in_id), visitor, roster, now)


def sign_in_by_link(
    unit: Unit, sign_in_id: SignInId, visitor: Visitor, roster: Roster, *, now: datetime
) -> SignInResult:
    """Sign a person in by a link; a second press, and any other browser than the one that asked, changes nothing."""
    with unit.write() as tx:
        standing = _standing(sign_ins.by_id(tx, sign_in_id), visitor, roster, now)
        if standing.outcome is not SignedIn.OPEN or standing.sign_in is None:
            return standing
        terminal = standing.sign_in.origin is SignInOrigin.TERMINAL
        method = SignInMethod.TERMINAL if terminal else SignInMethod.LINK
        return _begin_session(tx, standing.sign_in, visitor, roster, method=method, now=now)


def sign_in_by_code(
    unit: Unit, keyring: Keyring, visitor: Visitor, roster: Roster, typed: str, *, now: datetime
) -> SignInResult:
    """Sign a person in by the code of the last request of the browser; the sixth attempt is refused."""
    with unit.write() as tx:
        stored = sign_ins.by_browser(tx, visitor.asked_hash, lock=True) if visitor.asked_hash else None
        if stored is None:
            return SignInResult(outcome=SignedIn.UNKNOWN)
        if not is_open(stored, now=now):
            return SignInResult(outcome=SignedIn.EXPIRED if stored.used_at is None else SignedIn.USED, sign_in=stored)
        sign_ins.count_code_try(tx, stored.id)
        right = is_sign_in_code(keyring, stored.id, stored.browser_hash, typed)
        # A request about which no mail was written has a code too, which is in no mail.
        allowed = stored.mailed and roster.role(stored.email) is not None
        if stored.code_tries >= SIGN_IN_TRIES_MAX or not allowed or not right:
            return SignInResult(outcome=SignedIn.WRONG_CODE, sign_in=stored)
        return _begin_session(tx, stored, visitor, roster, method=SignInMethod.CODE, now=now)


def _standing(stored: SignIn | None, visitor: Visitor, roster: Roster, now: datetime) -> SignInResult:
    if stored is None or roster.role(stored.email) is None:
        return SignInResult(outcome=SignedIn.UNKNOWN)
    if stored.used_at is not None:
        return SignInResult(outcome=SignedIn.USED, sign_in=stored)
    if not is_open(stored, now=now):
        return SignInResult(outcome=SignedIn.EXPIRED, sign_in=stored)
    anywhere = stored.origin is SignInOrigin.TERMINAL
    same_browser = bool(visitor.asked_hash) and stored.browser_hash == visitor.asked_hash
    outcome = SignedIn.OPEN if anywhere or same_browser else SignedIn.OTHER_BROWSER
    return SignInResult(outcome=outcome, sign_in=stored)


def _begin_session(
    tx: Tx, request: SignIn, visitor: Visitor, roster: Roster, *, method: SignInMethod, now: datetime
) -> SignInResult:
    if not sign_ins.use(tx, request.id, now=now):
        return SignInResult(outcome=SignedIn.USED, sign_in=request)
    former = sessions.by_hash(tx, visitor.former_hash)
    if former is not None:
        sessions.end(tx, former.id, now=now)
    session_id = sessions.add(
        tx,
        visitor.session_hash,
        email=request.email,
        method=method,
        browser=visitor.browser,
        browser_hash=visitor.browser_hash,
        network=visitor.network,
        now=now,
    )
    why = f"{method.words}, {visitor.browser}, {visitor.network}"
    person_name = roster.name(request.email)
    log.add(tx, LogEntry(at=now, who=person_name, what="admin sign-in", about=f"session {session_id}", why=why))
    return SignInResult(outcome=SignedIn.NOW, sign_in=request)
