"""Bounces of the address that a reader had before: they end nothing for the mailbox that the reader has now."""

from __future__ import annotations

from datetime import date, timedelta

from newsletter.core.address import parse_address
from newsletter.core.evidence import HOLD_BOUNCES_MIN, BounceAction
from newsletter.core.subscriber import Subscriber, SubscriberState
from newsletter.flows.change_subscriber import Changes, edit_subscriber
from newsletter.flows.read_bounce import settle_held
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.flows.bounce_fixtures import ACCEPTED, NOW, bounce_with, come, row, sample, sent
from tests.flows.people_fixtures import KEYRING, begin_edition, get, put, set_delivery

WEEK = timedelta(weeks=1)


def change_address(unit: Unit, person: Subscriber, *, after: timedelta) -> None:
    """Give a person another address, so long after the first edition went out."""
    changes = Changes(address=parse_address("ann@example.net"))
    edit_subscriber(unit, KEYRING, person.id, changes, who="ann", now=START + after)


def test_a_bounce_of_the_old_address_leaves_the_new_one(unit: Unit) -> None:
    """A mail that went to the old address comes back: it is noted; one that went to the new address ends it."""
    person, before = sent(unit)
    change_address(unit, person, after=timedelta(hours=1))
    assert come(unit, before, person, sample("postfix")).action is BounceAction.NOTED
    assert row(unit, before, person).later == "bounced"
    assert get(unit, person.id).state is SubscriberState.ACTIVE
    later = begin_edition(unit, date(2026, 11, 10))
    set_delivery(unit, later, person, ACCEPTED, last_attempt_at=START + WEEK, kind="ok")
    assert come(unit, later, person, sample("postfix"), at=NOW + WEEK).action is BounceAction.STOPPED


def test_failures_of_the_old_address_do_not_count(unit: Unit) -> None:
    """A refusal that ends a subscription when it repeats begins to count anew with the new address."""
    person = put(unit, "ann@example.org")
    actions = []
    for number in range(3):
        weekly = begin_edition(unit, date(2026, 11, 3) + number * WEEK)
        set_delivery(unit, weekly, person, ACCEPTED, last_attempt_at=START + number * WEEK, kind="ok")
        at = START + number * WEEK + timedelta(hours=1)
        actions.append(come(unit, weekly, person, bounce_with("5.9.9"), at=at).action)
        if number == 0:
            change_address(unit, person, after=timedelta(hours=2))
    assert actions == [BounceAction.NOTED, BounceAction.NOTED, BounceAction.STOPPED]


def test_releasing_held_bounces_leaves_a_new_address(unit: Unit) -> None:
    """Bounces of the old address that waited for a decision end no subscription of the new one."""
    people = [put(unit, f"reader{number}@example.org") for number in range(HOLD_BOUNCES_MIN + 1)]
    edition = begin_edition(unit, date(2026, 11, 3))
    for person in people:
        set_delivery(unit, edition, person, ACCEPTED, last_attempt_at=START, kind="ok")
        come(unit, edition, person, sample("postfix"))
    assert row(unit, edition, people[-1]).later == "held"
    change_address(unit, people[-1], after=timedelta(days=4))
    assert settle_held(unit, edition, stop=True, who="ann", now=START + timedelta(days=5)) == 1
    assert get(unit, people[-1].id).state is SubscriberState.ACTIVE
