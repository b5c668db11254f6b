"""What is written to an address because somebody typed it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from newsletter.core.rate_limit import Window
from newsletter.core.signup import (
    ROLE_NAMES,
    AddressStanding,
    Signup,
    SignupId,
    SignupLimit,
    SignupMail,
    decide_repeat,
    decide_signup,
)
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
    assert decide_signup(REQUEST, AddressStanding(state=state), {}, now=START).mail is mail


@pytest.mark.parametrize("name", sorted(ROLE_NAMES))
def test_no_mail_goes_to_a_function(name: str) -> None:
    """An address that belongs to no person is not written to."""
    request = replace(REQUEST, canonical=f"{name}@example.org")
    assert decide_signup(request, AddressStanding(), {}, now=START).mail is SignupMail.NONE


def test_a_program_gets_no_mail() -> None:
    """A request that looks like a program's costs nobody a mail, and no limit."""
    decision = decide_signup(
        replace(REQUEST, suspect="the hidden field was filled in"), AddressStanding(), {}, now=START
    )
    assert (decision.mail, decision.windows) == (SignupMail.NONE, {})


def test_a_thousand_requests_for_one_address_are_one_mail() -> None:
    """One mail a day and three a month go to an address that somebody else may have typed."""
    windows: dict[SignupLimit, Window] = {}
    mails = []
    for minute in range(1000):
        decision = decide_signup(REQUEST, AddressStanding(), windows, now=START + timedelta(minutes=minute))
        windows |= decision.windows
        mails.append(decision.mail)
    assert mails.count(SignupMail.CONFIRM) == 1
    for day in range(2, 29):
        decision = decide_signup(REQUEST, AddressStanding(), windows, now=START + timedelta(days=day))
        windows |= decision.windows
        mails.append(decision.mail)
    assert mails.count(SignupMail.CONFIRM) == 3


def test_too_many_at_once_wait() -> None:
    """The 61st address of a domain within an hour is written to later, and is not forgotten."""
    windows: dict[SignupLimit, Window] = {}
    for number in range(61):
        own = {limit: window for limit, window in windows.items() if limit is not SignupLimit.VICTIM}
        request = replace(REQUEST, canonical=f"r{number}@example.org")
        decision = decide_signup(request, AddressStanding(), own, now=START + timedelta(seconds=number))
        windows |= decision.windows
        if number < 60:
            assert decision.mail is SignupMail.CONFIRM
    assert (decision.mail, decision.wait_until) == (SignupMail.NONE, START + timedelta(hours=1))


def test_a_blocked_address_gets_nothing() -> None:
    """Neither the first mail nor another one, whatever the state of the person."""
    for state in (None, *SubscriberState):
        standing = AddressStanding(state=state, blocked=True)
        assert decide_signup(REQUEST, standing, {}, now=START).mail is SignupMail.NONE
        assert decide_repeat(REQUEST, standing, {}, now=START).mail is SignupMail.NONE


def test_a_mail_is_repeated_once_a_day_and_thrice_a_month_in_all() -> None:
    """The repetition counts with the first mails of the address in the three of a month."""
    windows: dict[SignupLimit, Window] = dict(decide_signup(REQUEST, AddressStanding(), {}, now=START).windows)
    mails = []
    for hour in (0, 1, 25, 49, 24 * 31):
        decision = decide_repeat(REQUEST, AddressStanding(), windows, now=START + timedelta(hours=hour))
        windows |= decision.windows
        mails.append(decision.mail is SignupMail.CONFIRM)
    assert mails == [True, False, True, False, True]


def test_only_the_mail_to_confirm_is_repeated() -> None:
    """A person who is on the list by now gets no further mail, and neither does a program's request."""
    standing = AddressStanding(state=SubscriberState.ACTIVE)
    assert decide_repeat(REQUEST, standing, {}, now=START).mail is SignupMail.NONE
    suspect = replace(REQUEST, suspect="the hidden field was filled in")
    assert decide_repeat(suspect, AddressStanding(), {}, now=START).mail is SignupMail.NONE
