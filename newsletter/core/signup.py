"""A sign-up: one request to get the newsletter, and what is written to the address because of it.

In: a request, the state of the person if the address is known, and the limits. Out: a decision with its reason. The
page that takes a request knows none of this, so that it answers the same whatever the address is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

from newsletter.core.rate_limit import RateRule, Window, take
from newsletter.core.subscriber import SubscriberState

SignupId = NewType("SignupId", int)

CONFIRM_WITHIN = timedelta(days=7)
"""How long the link of a confirmation works."""
KEEP_SIGNUPS = timedelta(days=14)
"""After this the request is deleted: a person who did not confirm asked for nothing (GDPR, article 5)."""
CODE_TRIES_MAX = 5
REPEAT_AFTER = timedelta(seconds=60)
"""How long a reader looks into the mailbox before the mail can be sent once more."""


class SignupMail(StrEnum):
    """What is written to the address of a request."""

    CONFIRM = "confirm"
    """The mail whose link or code confirms."""
    ALREADY = "already"
    """Says that the address is on the list already."""
    NONE = "none"


class SignupLimit(StrEnum):
    """What is limited, each by a window of its own."""

    NETWORK = "network"
    """Requests from one network: checked as the request comes in."""
    VICTIM = "victim"
    """Mails to one address, which somebody else may have typed."""
    REMINDER = "reminder"
    """Mails to a person who is on the list already."""
    DOMAIN = "domain"
    """Mails to the addresses of one domain."""
    REPEAT = "repeat"
    """The mail to confirm sent once more, at a press in the browser that asked."""
    LINK = "link"
    """Mails with the private link of one person."""
    ALL = "all"
    """All mails that requests cause."""


DAY, MONTH, HOUR = timedelta(days=1), timedelta(days=30), timedelta(hours=1)

SIGNUP_RULES: Mapping[SignupLimit, tuple[RateRule, ...]] = {
    SignupLimit.NETWORK: (RateRule(count=5, span=HOUR),),
    SignupLimit.VICTIM: (RateRule(count=1, span=DAY), RateRule(count=3, span=MONTH)),
    SignupLimit.REMINDER: (RateRule(count=1, span=MONTH),),
    SignupLimit.REPEAT: (RateRule(count=1, span=DAY),),
    SignupLimit.LINK: (RateRule(count=1, span=timedelta(minutes=10)), RateRule(count=3, span=DAY)),
    SignupLimit.DOMAIN: (RateRule(count=60, span=HOUR),),
    SignupLimit.ALL: (RateRule(count=300, span=HOUR),),
}
FLOOD_RULE = RateRule(count=300, span=HOUR)
"""Requests, whether taken or refused, from which on each one must come with a solved puzzle."""

ROLE_NAMES = frozenset(
    ("abuse", "hostmaster", "mailer-daemon", "no-reply", "noreply", "postmaster", "root", "security", "webmaster")
)
"""Local parts that belong to a function and not to a person (RFC 2142)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signup:
    """One request, as it was sent."""

    id: SignupId
    email: str
    canonical: str
    first_name: str
    time_zone: str
    wording: str
    """The hash of the sentence that the person agreed to."""
    network: str
    """Where it came from, as `192.0.2.0/24`."""
    browser_hash: str
    origin: str
    """The page that sent the form."""
    suspect: str
    """Why it looks like a program's, in words; empty when it does not."""
    asked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SignupDecision:
    """What is done about a request."""

    mail: SignupMail
    why: str
    windows: Mapping[SignupLimit, Window]
    """The windows that changed."""
    wait_until: datetime | None = None
    """The request stays undecided until then: the mail is owed, but too many go out now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressStanding:
    """What is known of an address when a page is about to cause a mail to it."""

    state: SubscriberState | None = None
    """None for an address that is not on the list, or was erased."""
    blocked: bool = False
    """Its owner wants no such mail."""


def decide_signup(
    signup: Signup, standing: AddressStanding, windows: Mapping[SignupLimit, Window], *, now: datetime
) -> SignupDecision:
    """Decide about a request.

    A limit on one person drops the request, since the mail is there already. A limit on a domain or on all of them
    lets it wait: the people behind these requests are different ones.
    """
    mail, why = _wish(signup, standing)
    own = SignupLimit.REMINDER if mail is SignupMail.ALREADY else SignupLimit.VICTIM
    return limit_mail(mail, why, {own: SIGNUP_RULES[own]}, windows, now=now)


def decide_repeat(
    signup: Signup, standing: AddressStanding, windows: Mapping[SignupLimit, Window], *, now: datetime
) -> SignupDecision:
    """Decide about sending the mail to confirm once more: once a day, and within the three a month."""
    mail, why = _wish(signup, standing)
    if mail is not SignupMail.CONFIRM:
        return SignupDecision(mail=SignupMail.NONE, why=why, windows={})
    _, a_month = SIGNUP_RULES[SignupLimit.VICTIM]
    own = {SignupLimit.REPEAT: SIGNUP_RULES[SignupLimit.REPEAT], SignupLimit.VICTIM: (a_month,)}
    return limit_mail(mail, why, own, windows, now=now)


def limit_mail(
    mail: SignupMail,
    why: str,
    own: Mapping[SignupLimit, Sequence[RateRule]],
    windows: Mapping[SignupLimit, Window],
    *,
    now: datetime,
) -> SignupDecision:
    """Hold a mail to its limits: `own` counts what goes to one address, the others are shared by everybody."""
    if mail is SignupMail.NONE:
        return SignupDecision(mail=mail, why=why, windows={})
    changed: dict[SignupLimit, Window] = {}
    for limit, rules in ({**own, **{shared: SIGNUP_RULES[shared] for shared in _SHARED}}).items():
        result = take(windows.get(limit, ()), rules, now=now)
        if not result.allowed and limit in _SHARED:
            words = f"too many sign-ups at once ({limit.value})"
            return SignupDecision(mail=SignupMail.NONE, why=words, windows={}, wait_until=result.again_at)
        if not result.allowed:
            return SignupDecision(mail=SignupMail.NONE, why="a mail about it went out already", windows={})
        changed[limit] = result.window
    return SignupDecision(mail=mail, why=why, windows=changed)


_SHARED = (SignupLimit.DOMAIN, SignupLimit.ALL)


def refusal_of(canonical: str, standing: AddressStanding) -> str:
    """Return why an address gets no mail at all that a page causes; empty where it may."""
    if standing.blocked:
        return "the owner of the address blocked it"
    if canonical.partition("@")[0] in ROLE_NAMES:
        return "the address is that of a function, not of a person"
    return "the person called a mail of ours spam" if standing.state is SubscriberState.COMPLAINED else ""


def _wish(signup: Signup, standing: AddressStanding) -> tuple[SignupMail, str]:
    if refusal := signup.suspect or refusal_of(signup.canonical, standing):
        return SignupMail.NONE, refusal
    match standing.state:
        case SubscriberState.ACTIVE | SubscriberState.PAUSED as state:
            return SignupMail.ALREADY, f"on the list already ({state.value})"
        case None:
            return SignupMail.CONFIRM, "a new address"
        case other:
            return SignupMail.CONFIRM, f"on the list as {other.value}"
