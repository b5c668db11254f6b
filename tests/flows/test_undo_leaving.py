"""After leaving: taking it back, pausing instead and saying why, on both kinds of database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from newsletter.core.subscriber import Subscriber, SubscriberState
from newsletter.core.token import LinkPurpose, LinkToken, make_unsubscribe_token, read_link_token
from newsletter.flows.change_subscriber import end_pauses, resume_subscriber, unsubscribe_subscriber
from newsletter.flows.opt_out import opt_out
from newsletter.flows.undo_leaving import PAUSE_SPAN, AfterLeaving, change_after_leaving, make_undo_token
from newsletter.store import subscriber as subscribers
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.flows.people_fixtures import KEYRING, get, put

LEFT_AT = START + timedelta(hours=1, microseconds=700_000)
SOON = LEFT_AT + timedelta(minutes=5)


def leave(unit: Unit, state: SubscriberState = SubscriberState.ACTIVE) -> tuple[Subscriber, LinkToken]:
    """Leave by the link of a mail; return the person before, and the token of the page after it."""
    ada = put(unit, "ada@example.org", state=state)
    result = opt_out(unit, KEYRING, make_unsubscribe_token(KEYRING, ada.id), channel="page", now=LEFT_AT)
    assert result.before is not None
    assert result.person is not None
    token = make_undo_token(KEYRING, result.before, left_at=result.person.state_since)
    link = read_link_token(KEYRING, token, LinkPurpose.UNDO)
    assert link is not None
    return ada, link


def actions(unit: Unit, person: Subscriber) -> list[tuple[str, str, str]]:
    """Return the evidence of a person."""
    with unit.read() as tx:
        return [(item.action, item.channel, item.source) for item in subscribers.consents(tx, person.id)]


@pytest.mark.parametrize("state", [SubscriberState.ACTIVE, SubscriberState.PAUSED, SubscriberState.PENDING])
def test_leaving_is_taken_back(unit: Unit, state: SubscriberState) -> None:
    """The person is what they were before, the evidence tells both, and a second press changes nothing."""
    ada, link = leave(unit, state)
    assert change_after_leaving(unit, link, AfterLeaving.UNDO, now=SOON).changed
    assert get(unit, ada.id).state is state
    assert [action for action, *_ in actions(unit, ada)] == ["unsubscribed", "unsubscribed taken back"]
    assert not change_after_leaving(unit, link, AfterLeaving.UNDO, now=SOON).changed


@pytest.mark.parametrize("state", [SubscriberState.BOUNCED, SubscriberState.COMPLAINED, SubscriberState.UNSUBSCRIBED])
def test_what_cannot_be_taken_up_again_has_no_token(unit: Unit, state: SubscriberState) -> None:
    """Nobody comes back by it who was not on the list just before."""
    ada = put(unit, "ada@example.org", state=state)
    assert make_undo_token(KEYRING, ada, left_at=START) == ""


def test_a_later_leaving_is_not_taken_back(unit: Unit) -> None:
    """The token of one leaving says nothing about another."""
    ada, link = leave(unit)
    assert change_after_leaving(unit, link, AfterLeaving.UNDO, now=SOON).changed
    unsubscribe_subscriber(unit, ada.id, who="pat", why="on the phone", now=SOON + timedelta(minutes=1))
    for act in AfterLeaving:
        assert not change_after_leaving(unit, link, act, reason="x", now=SOON + timedelta(minutes=2)).changed
    assert get(unit, ada.id).state is SubscriberState.UNSUBSCRIBED


def test_a_pause_ends_by_itself(unit: Unit) -> None:
    """Four weeks later the person is active again, not a minute before, with evidence of it."""
    ada, link = leave(unit)
    result = change_after_leaving(unit, link, AfterLeaving.PAUSE, now=SOON)
    assert (result.changed, result.paused_until) == (True, SOON + PAUSE_SPAN)
    assert get(unit, ada.id).state is SubscriberState.PAUSED
    assert end_pauses(unit, now=SOON + PAUSE_SPAN - timedelta(seconds=1)) == 0
    assert end_pauses(unit, now=SOON + PAUSE_SPAN) == 1
    assert end_pauses(unit, now=SOON + PAUSE_SPAN) == 0
    assert get(unit, ada.id).state is SubscriberState.ACTIVE
    assert actions(unit, ada)[-1] == ("resumed", "scheduler", "the pause is over")


def test_whatever_comes_between_ends_the_pause(unit: Unit) -> None:
    """A person who left during a pause, or was resumed and paused by hand, is not brought back at its end."""
    ada, link = leave(unit)
    change_after_leaving(unit, link, AfterLeaving.PAUSE, now=SOON)
    resume_subscriber(unit, ada.id, who="pat", why="", now=SOON)
    unsubscribe_subscriber(unit, ada.id, who="pat", why="", now=SOON)
    assert end_pauses(unit, now=SOON + PAUSE_SPAN) == 0
    assert get(unit, ada.id).state is SubscriberState.UNSUBSCRIBED


def test_a_reason_is_kept_once(unit: Unit) -> None:
    """In the person's own words, without control characters, at most 500 characters, and not a second time."""
    ada, link = leave(unit)
    assert not change_after_leaving(unit, link, AfterLeaving.REASON, reason=" \n ", now=SOON).changed
    assert change_after_leaving(unit, link, AfterLeaving.REASON, reason="Too\x00 often" + "!" * 600, now=SOON).changed
    assert not change_after_leaving(unit, link, AfterLeaving.REASON, reason="again", now=SOON).changed
    action, channel, source = actions(unit, ada)[-1]
    assert (action, channel, len(source)) == ("reason for leaving", "page", 500)
    assert "\x00" not in source
