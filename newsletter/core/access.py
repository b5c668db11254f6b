"""Who may open which page of the admin area: roles, sessions and how long they last.

In: addresses from the settings, a session and the time. Out: a role, or whether a request is allowed. There is no table
of users: an address that the settings no longer name has no role, so its sessions end at the next request.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import NewType

from newsletter.core.rate_limit import RateRule

SessionId = NewType("SessionId", int)
SignInId = NewType("SignInId", int)

SIGN_IN_WITHIN = timedelta(minutes=10)
"""How long the link and the code of a sign-in work (OWASP ASVS 5.0, 6.5.5)."""
SIGN_IN_TRIES_MAX = 5
"""Attempts to type one code; 40 bits, so that five leave a chance of 1 in 220,000,000,000."""
KEEP_SIGN_INS = timedelta(days=1)
"""After this a request to sign in is deleted."""

SESSION_IDLE_MAX = timedelta(days=14)
"""A session that was not used for so long ends. The work is weekly: a shorter time would end it before each Tuesday."""
SESSION_LIFE_MAX = timedelta(days=90)
"""A session ends after so long, however often it is used."""
RECENT_SIGN_IN_MAX = timedelta(minutes=10)
"""A recent sign-in is at most so old; what cannot be undone needs one."""
SESSION_SEEN_STEP = timedelta(minutes=1)
"""The time of the last request is written at most this often."""
KEEP_SESSIONS = timedelta(days=400)
"""Ended sessions are kept so long: a browser that signed in before is not a new one."""


class SignInLimit(Enum):
    """What is limited about signing in, each by a window of its own."""

    NETWORK = "sign-in network"
    """Requests from one network: checked as the request comes in, whatever the address is."""
    ADDRESS = "sign-in address"
    """Mails to one address from one network."""
    EVERYWHERE = "sign-in everywhere"
    """Mails to one address, from all networks together."""


_HOUR = timedelta(hours=1)

SIGN_IN_RULES: Mapping[SignInLimit, RateRule] = {
    SignInLimit.NETWORK: RateRule(count=20, span=_HOUR),
    SignInLimit.ADDRESS: RateRule(count=5, span=_HOUR),
    SignInLimit.EVERYWHERE: RateRule(count=20, span=_HOUR),
}


class Role(Enum):
    """What a person who signed in may do."""

    EDITOR = "editor"
    """Write, order, preview and approve tips, and see numbers; no people."""
    ADMIN = "admin"
    """Everything."""


class Needed(Enum):
    """What a route needs of the person who opens it."""

    NOTHING = "nothing"
    """Everybody may open it: the pages for signing in."""
    EDITOR = "editor"
    """An editor or an admin."""
    ADMIN = "admin"
    RECENT_EDITOR = "recent editor"
    """An editor or an admin whose sign-in is recent."""
    RECENT_ADMIN = "recent admin"
    """An admin whose sign-in is recent: for what cannot be undone, and for what shows many people at once."""


class Access(Enum):
    """The answer to one request."""

    ALLOWED = "allowed"
    SIGN_IN = "sign in"
    """There is no session, or it has ended."""
    FORBIDDEN = "forbidden"
    """The role does not reach so far."""
    CONFIRM = "confirm"
    """The person must show again that it is them."""


class SignInMethod(Enum):
    """How a person signed in."""

    LINK = "link"
    CODE = "code"
    TERMINAL = "terminal"

    @property
    def words(self) -> str:
        """Return the method as the log and the list of sessions have it."""
        return _METHOD_WORDS[self]


_METHOD_WORDS = {
    SignInMethod.LINK: "by the link of a mail",
    SignInMethod.CODE: "by the code of a mail",
    SignInMethod.TERMINAL: "by a link from the terminal",
}


class SignInOrigin(Enum):
    """Where somebody asked to sign in."""

    PAGE = "page"
    TERMINAL = "terminal"
    """`newsletter admin sign-in`: no browser asked, so the link works in any one, once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A request to sign in, by anybody, for any address."""

    id: SignInId
    email: str
    """Canonical."""
    origin: SignInOrigin
    browser_hash: str
    """Of the cookie that the asking browser got; empty at the terminal."""
    browser: str
    network: str
    back: str
    """The page to return to."""
    asked_at: datetime
    mailed: bool = False
    code_tries: int = 0
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """The addresses that may sign in, in their canonical form, as the settings name them."""

    admins: tuple[str, ...] = ()
    editors: tuple[str, ...] = ()

    def role(self, canonical: str) -> Role | None:
        """Return the role of an address; None when it has none."""
        if canonical in self.admins:
            return Role.ADMIN
        return Role.EDITOR if canonical in self.editors else None

    def name(self, canonical: str) -> str:
        """Return what pages and the log call a person: the part before the @, where it tells them from all others."""
        local = canonical.partition("@")[0]
        same = {known for known in (*self.admins, *self.editors, canonical) if known.partition("@")[0] == local}
        return local if len(same) == 1 else canonical


@dataclass(frozen=True, slots=True, kw_only=True)
class Flash:
    """A sentence about the last change, and the form that takes it back."""

    text: str
    trouble: bool = False
    """The change was refused, and nothing is different."""
    undo_path: str = ""
    """Where the form is sent; empty when there is nothing to take back."""
    undo_fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A person who signed in, in one browser."""

    id: SessionId
    email: str
    """Canonical."""
    method: SignInMethod
    browser: str
    """In words, such as `Firefox on Linux`."""
    network: str
    created_at: datetime
    seen_at: datetime
    """The last request, to the minute."""
    confirmed_at: datetime
    """When the person last showed that it is them."""
    ended_at: datetime | None = None
    flash: Flash | None = None


def is_live(session: Session, *, now: datetime) -> bool:
    """Tell whether a session lasts."""
    idle, whole = now - session.seen_at, now - session.created_at
    return session.ended_at is None and idle < SESSION_IDLE_MAX and whole < SESSION_LIFE_MAX


def is_open(sign_in: SignIn, *, now: datetime) -> bool:
    """Tell whether a request to sign in still works."""
    return sign_in.used_at is None and now - sign_in.asked_at < SIGN_IN_WITHIN


def is_recent(session: Session, *, now: datetime) -> bool:
    """Tell whether the sign-in is recent."""
    return now - session.confirmed_at < RECENT_SIGN_IN_MAX


_ROLES: Mapping[Needed, Collection[Role]] = {
    Needed.EDITOR: (Role.EDITOR, Role.ADMIN),
    Needed.RECENT_EDITOR: (Role.EDITOR, Role.ADMIN),
    Needed.ADMIN: (Role.ADMIN,),
    Needed.RECENT_ADMIN: (Role.ADMIN,),
}


def judge_access(needed: Needed, session: Session | None, role: Role | None, *, now: datetime) -> Access:
    """Tell whether a request is allowed; `role` is that of the session's address in the settings of this moment."""
    if needed is Needed.NOTHING:
        return Access.ALLOWED
    if session is None or role is None or not is_live(session, now=now):
        return Access.SIGN_IN
    if role not in _ROLES[needed]:
        return Access.FORBIDDEN
    if needed in {Needed.RECENT_EDITOR, Needed.RECENT_ADMIN} and not is_recent(session, now=now):
        return Access.CONFIRM
    return Access.ALLOWED
