"""What is written to an address because somebody typed it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from newsletter.core.rate_limit import Window
from newsletter.core.signup import ROLE_NAMES, Signup, SignupId, SignupLimit, SignupMail, decide_signup
from newsletter.core.subscriber import SubscriberState
from newsletter.testing.clocks import START

REQUEST = Signup(
    id=SignupId(1),
    email="ada@example.org",
    canonical="ada@example.org",
    first_name="Ada",
    time_zone="",
    wording="w",
    network="192.0.2.0/24",
    browser_hash="b",
    origin="/subscribe",
    suspect="",
    asked_at=START,
)


@pytest.mark.parametrize(
    ("state", "mail"),
    [
        (None, SignupMail.CONFIRM),
        (SubscriberState.PENDING, SignupMail.CONFIRM),
        (SubscriberState.ACTIVE, SignupMail.ALREADY),
        (SubscriberState.PAUSED, SignupMail.ALREADY),
        (SubscriberState.UNSUBSCRIBED, SignupMail.CONFIRM),
        (SubscriberState.BOUNCED, SignupMail.CONFIRM),
        (SubscriberState.COMPLAINED, SignupMail.NONE),
    ],
)
def test_the_state_decides(state: SubscriberState | None, mail: SignupMail) -> None:
    """Who left may come back by a confirmation; who called a mail spam gets none."""
    assert decide_signup(REQUEST, state, {}, now=START).mail is mail


@pytest.mark.parametrize("name", sorted(ROLE_NAMES))
def test_no_mail_goes_to_a_function(name: str) -> None:
    """An address that belongs to no person is not written to."""
    request = replace(REQUEST, canonical=f"{name}@example.org")
    assert decide_signup(request, None, {}, now=START).mail is SignupMail.NONE


def test_a_program_gets_no_mail() -> None:
    """A request that looks like a program's costs nobody a mail, and no limit."""
    decision = decide_signup(replace(REQUEST, suspect="the hidden field was filled in"), None, {}, now=START)
    assert (decision.mail, decision.windows) == (SignupMail.NONE, {})


def test_a_thousand_requests_for_one_address_are_one_mail() -> None:
    """One mail a day and three a month go to an address that somebody else may have typed."""
    windows: dict[SignupLimit, Window] = {}
    mails = []
    for minute in range(1000):
        decision = decide_signup(REQUEST, None, windows, now=START + timedelta(minutes=minute))
        windows |= decision.windows
        mails.append(decision.mail)
    assert mails.count(SignupMail.CONFIRM) == 1
    for day in range(2, 29):
        decision = decide_signup(REQUEST, None, windows, now=START + timedelta(days=day))
        windows |= decision.windows
        mails.append(decision.mail)
    assert mails.count(SignupMail.CONFIRM) == 3


def test_too_many_at_once_wait() -> None:
    """The 61st address of a domain within an hour is written to later, and is not forgotten."""
    windows: dict[SignupLimit, Window] = {}
    for number in range(61):
        own = {limit: window for limit, window in windows.items() if limit is not SignupLimit.VICTIM}
        request = replace(REQUEST, canonical=f"r{number}@example.org")
        decision = decide_signup(request, None, own, now=START + timedelta(seconds=number))
        windows |= decision.windows
        if number < 60:
            assert decision.mail is SignupMail.CONFIRM
    assert (decision.mail, decision.wait_until) == (SignupMail.NONE, START + timedelta(hours=1))
