"""Asking to subscribe and confirming it, on both kinds of database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event

from newsletter.core.signup import CODE_TRIES_MAX, CONFIRM_WITHIN, SignupId
from newsletter.core.subscriber import SubscriberState
from newsletter.core.token import confirmation_code, suppression_hash
from newsletter.flows.confirm_signup import Confirmed, ConfirmedBy, confirm_by_code, confirm_signup, look_at_signup
from newsletter.flows.erase_subscriber import erase_subscriber
from newsletter.flows.export_person import export_person
from newsletter.store import signup as signups
from newsletter.store import subscriber as subscribers
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.flows.people_fixtures import KEYRING, get, put
from tests.flows.signup_fixtures import ask_for, make_processor

ADA = "ada@example.org"
LATER = START + timedelta(hours=2)


def first_signup(unit: Unit) -> SignupId:
    """Return the id of the oldest request."""
    with unit.read() as tx:
        return signups.of_addresses(tx, [ADA])[0].request.id


def confirm(unit: Unit, signup_id: SignupId) -> Confirmed:
    """Press the button."""
    return confirm_signup(
        unit, KEYRING, signup_id, by=ConfirmedBy.SAME_BROWSER, network="192.0.2.0/24", now=LATER
    ).outcome


@contextmanager
def statements(unit: Unit) -> Iterator[list[str]]:
    """Collect the statements that reach the database."""
    seen: list[str] = []

    def collect(_c: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(unit._engine, "before_cursor_execute", collect)
    yield seen
    event.remove(unit._engine, "before_cursor_execute", collect)


def test_a_new_person_is_on_the_list_once_they_confirm(unit: Unit) -> None:
    """Not before the press, with the name and the zone of the form, and with evidence of the whole way."""
    assert ask_for(unit, "Ada@Example.org", first_name="Ada", time_zone="Europe/Berlin").accepted
    make_processor(unit).work(START)
    with unit.read() as tx:
        assert subscribers.by_canonical(tx, ADA) is None
    signup_id = first_signup(unit)
    assert look_at_signup(unit, signup_id, now=LATER).outcome is Confirmed.OPEN
    assert confirm(unit, signup_id) is Confirmed.NOW
    with unit.read() as tx:
        person = subscribers.by_canonical(tx, ADA)
        assert person is not None
        [consent] = subscribers.consents(tx, person.id)
    assert (person.email, person.first_name, person.time_zone) == ("Ada@Example.org", "Ada", "Europe/Berlin")
    assert (person.state, person.created_at) == (SubscriberState.ACTIVE, LATER)
    assert (consent.action, consent.channel, consent.at) == ("subscribed", "web", LATER)
    assert consent.evidence["asked at"] == START.isoformat()
    assert consent.evidence["asked from"] == consent.evidence["confirmed from"] == "192.0.2.0/24"
    assert consent.evidence["confirmed by"] == "the link, in the browser that asked"
    assert consent.evidence["wording text"] == "I want it once a week."


def test_a_second_press_changes_nothing(unit: Unit) -> None:
    """The link works once: also for one who left since, whom only a new request brings back."""
    ask_for(unit, ADA)
    signup_id = first_signup(unit)
    assert confirm(unit, signup_id) is Confirmed.NOW
    with unit.write() as tx:
        person = subscribers.by_canonical(tx, ADA)
        assert person is not None
        subscribers.save_state(tx, replace(person, state=SubscriberState.UNSUBSCRIBED))
    assert confirm(unit, signup_id) is Confirmed.BEFORE
    assert get(unit, person.id).state is SubscriberState.UNSUBSCRIBED
    with unit.read() as tx:
        assert len(subscribers.consents(tx, person.id)) == 1


@pytest.mark.parametrize(
    "state", [state for state in SubscriberState if state not in {SubscriberState.ACTIVE, SubscriberState.COMPLAINED}]
)
def test_who_is_known_comes_back(unit: Unit, state: SubscriberState) -> None:
    """A person's own confirmation brings them back as the same person, and the evidence says what they were."""
    ada = put(unit, ADA, state=state, first_name="Ada")
    ask_for(unit, ADA)
    assert confirm(unit, first_signup(unit)) is Confirmed.NOW
    person = get(unit, ada.id)
    assert (person.state, person.first_name) == (SubscriberState.ACTIVE, "Ada")
    with unit.read() as tx:
        assert subscribers.consents(tx, ada.id)[-1].evidence["before"].startswith(state.value)


def test_an_erased_person_comes_back_by_their_own_wish(unit: Unit) -> None:
    """The suppression is lifted by the confirmation, and not by the request."""
    ada = put(unit, ADA)
    erase_subscriber(unit, KEYRING, ada.id, who="pat", now=START)
    ask_for(unit, ADA)
    assert confirm(unit, first_signup(unit)) is Confirmed.NOW
    with unit.read() as tx:
        person = subscribers.by_canonical(tx, ADA)
        assert person is not None
        [consent] = subscribers.consents(tx, person.id)
    assert person.id != ada.id
    assert consent.evidence["suppression lifted"] == f"erased on {START:%Y-%m-%d}"


def test_a_link_ends_after_seven_days(unit: Unit) -> None:
    """What is too old changes nothing, and neither does a request that was forgotten."""
    ask_for(unit, ADA)
    late = START + CONFIRM_WITHIN
    signup_id = first_signup(unit)
    result = confirm_signup(unit, KEYRING, signup_id, by=ConfirmedBy.OTHER_BROWSER, network="", now=late)
    assert result.outcome is Confirmed.EXPIRED
    assert confirm(unit, SignupId(signup_id + 1)) is Confirmed.UNKNOWN


def by_code(unit: Unit, code: str, browser_hash: str = "browser") -> Confirmed:
    """Type a code."""
    return confirm_by_code(unit, KEYRING, browser_hash, code, network="", now=LATER).outcome


def test_the_code_works_in_the_browser_that_asked(unit: Unit) -> None:
    """In another browser the code is worth nothing."""
    ask_for(unit, ADA)
    make_processor(unit).work(START)
    code = confirmation_code(KEYRING, first_signup(unit))
    assert by_code(unit, code, "another") is Confirmed.UNKNOWN
    assert by_code(unit, code) is Confirmed.NOW
    assert by_code(unit, code) is Confirmed.BEFORE


def test_the_sixth_code_is_refused(unit: Unit) -> None:
    """After five wrong ones the right one does not help either; the link still does."""
    ask_for(unit, ADA)
    make_processor(unit).work(START)
    for _ in range(CODE_TRIES_MAX):
        assert by_code(unit, "0000-0000") is Confirmed.WRONG_CODE
    assert by_code(unit, confirmation_code(KEYRING, first_signup(unit))) is Confirmed.WRONG_CODE
    assert confirm(unit, first_signup(unit)) is Confirmed.NOW


def test_a_request_without_a_mail_has_no_code(unit: Unit) -> None:
    """Where nothing was written to the address, nobody can know a code that works."""
    put(unit, ADA)
    ask_for(unit, ADA)
    make_processor(unit).work(START)
    assert by_code(unit, confirmation_code(KEYRING, first_signup(unit))) is Confirmed.WRONG_CODE


@pytest.mark.parametrize("state", [None, "erased", "blocked", *SubscriberState])
def test_equal_work_for_every_address(unit: Unit, state: SubscriberState | str | None) -> None:
    """The same statements run, in the same order, whether the address is known, left, erased or new."""
    if state == "erased":
        erase_subscriber(unit, KEYRING, put(unit, ADA).id, who="pat", now=START)
    elif state == "blocked":
        with unit.write() as tx:
            subscribers.block(tx, suppression_hash(KEYRING, ADA), now=START)
    elif isinstance(state, SubscriberState):
        put(unit, ADA, state=state)
    with statements(unit) as seen:
        assert ask_for(unit, ADA).accepted
    with statements(unit) as expected:
        assert ask_for(unit, "stranger@example.net", network="198.51.100.0/24").accepted
    assert seen == expected


def test_a_network_asks_five_times_an_hour(unit: Unit) -> None:
    """The sixth request is told when to come back; another network is not held up."""
    for number in range(5):
        assert ask_for(unit, f"r{number}@example.org", now=START + timedelta(minutes=number)).accepted
    reply = ask_for(unit, ADA, now=START + timedelta(minutes=10))
    assert (reply.accepted, reply.again_at) == (False, START + timedelta(hours=1))
    assert ask_for(unit, ADA, network="198.51.100.0/24").accepted
    assert ask_for(unit, ADA, now=START + timedelta(hours=1)).accepted


def test_a_flood_asks_for_a_puzzle(unit: Unit) -> None:
    """After 300 requests within an hour, from whichever networks, each one needs a solved puzzle."""
    for number in range(300):
        assert ask_for(unit, f"r{number}@example.org", network=f"2001:db8:{number:x}::/56").accepted
    assert ask_for(unit, ADA).needs_puzzle
    assert ask_for(unit, ADA, puzzle="a solved one").accepted
    assert ask_for(unit, ADA, puzzle="a solved one").needs_puzzle
    assert ask_for(unit, ADA, now=START + timedelta(hours=2)).accepted


def test_an_erasure_takes_requests_along(unit: Unit) -> None:
    """The export of a person names their requests, and an erasure leaves none."""
    ada = put(unit, ADA)
    ask_for(unit, ADA)
    known = export_person(unit, KEYRING, ADA, now=START)
    assert known is not None
    assert [item["wording"] for item in known["sign_ups"]] == ["I want it once a week."]
    erase_subscriber(unit, KEYRING, ada.id, who="pat", now=START)
    with unit.read() as tx:
        assert signups.of_addresses(tx, [ADA]) == []
