"""Opting out by the link of a mail, on both kinds of database."""

from __future__ import annotations

import pytest

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionId
from newsletter.core.subscriber import SubscriberId, SubscriberState
from newsletter.core.token import Keyring, make_unsubscribe_token
from newsletter.flows.opt_out import opt_out
from newsletter.store import log as logs
from newsletter.store import subscriber as subscribers
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.conftest import SECRET
from tests.flows.people_fixtures import KEYRING, begin_edition, get, outcomes, put, set_delivery

OLD = "an older secret of enough characters"


@pytest.mark.parametrize("state", [DeliveryState.QUEUED, DeliveryState.DEFERRED])
def test_leaving(unit: Unit, state: DeliveryState) -> None:
    """One click: she has left, the evidence names the mailing and the way, and what waits for her is taken back."""
    ada, ben = put(unit, "ada@example.org"), put(unit, "ben@example.org")
    edition = begin_edition(unit)
    set_delivery(unit, edition, ada, state)
    token = make_unsubscribe_token(KEYRING, ada.id, EditionId(7))
    opt_out_result = opt_out(unit, KEYRING, token, channel="one-click", now=START)
    assert (opt_out_result.genuine, opt_out_result.changed, opt_out_result.edition_id, opt_out_result.person) == (
        True,
        True,
        7,
        get(unit, ada.id),
    )
    assert get(unit, ada.id).state is SubscriberState.UNSUBSCRIBED
    assert outcomes(unit, edition) == [(ada.id, "skipped", "unsubscribed", ""), (ben.id, "queued", "", "")]
    with unit.read() as tx:
        [consent] = subscribers.consents(tx, ada.id)
        assert logs.latest(tx) == []
    assert (consent.action, consent.channel, consent.edition_id, consent.at) == ("unsubscribed", "one-click", 7, START)


def test_leaving_twice(unit: Unit) -> None:
    """A second click succeeds and leaves no second trace."""
    ada = put(unit, "ada@example.org")
    token = make_unsubscribe_token(KEYRING, ada.id, None)
    opt_out(unit, KEYRING, token, channel="page", now=START)
    again = opt_out(unit, KEYRING, token, channel="page", now=START)
    assert (again.genuine, again.changed, again.edition_id) == (True, False, None)
    with unit.read() as tx:
        assert len(subscribers.consents(tx, ada.id)) == 1


@pytest.mark.parametrize("state", SubscriberState)
def test_leaving_from_every_state(unit: Unit, state: SubscriberState) -> None:
    """Whatever she was, she gets no more mail; a complaint stays one."""
    ada = put(unit, "ada@example.org", state=state)
    opt_out(unit, KEYRING, make_unsubscribe_token(KEYRING, ada.id, None), channel="page", now=START)
    kept = SubscriberState.COMPLAINED if state is SubscriberState.COMPLAINED else SubscriberState.UNSUBSCRIBED
    assert get(unit, ada.id).state is kept


def test_somebody_erased_may_leave(unit: Unit) -> None:
    """The link of one who is no longer on the list is answered like any other."""
    opt_out_result = opt_out(
        unit, KEYRING, make_unsubscribe_token(KEYRING, SubscriberId(99), None), channel="page", now=START
    )
    assert (opt_out_result.genuine, opt_out_result.changed, opt_out_result.person) == (True, False, None)


def test_an_old_secret_still_counts(unit: Unit) -> None:
    """A link that was signed with an earlier secret works for ever."""
    ada = put(unit, "ada@example.org")
    token = make_unsubscribe_token(Keyring(current=OLD), ada.id, None)
    assert opt_out(unit, Keyring(current=SECRET, old=(OLD,)), token, channel="page", now=START).changed


@pytest.mark.parametrize("token", ["", "x", "A" * 36, "ä" * 36, "../../../etc/passwd"])
def test_a_forged_token(unit: Unit, token: str) -> None:
    """What is not ours does nothing, and says so."""
    ada = put(unit, "ada@example.org")
    assert not opt_out(unit, KEYRING, token, channel="page", now=START).genuine
    assert get(unit, ada.id).state is SubscriberState.ACTIVE
