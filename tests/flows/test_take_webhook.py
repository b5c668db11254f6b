"""The events of webhooks: what they do to a delivery and to a person, once, in any order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import select

from newsletter.core.breaker import BreakerLimits
from newsletter.core.delivery import DeliveryCounts, DeliveryState
from newsletter.core.edition import Edition, EditionStatus
from newsletter.core.evidence import BounceAction
from newsletter.core.subscriber import Subscriber, SubscriberState
from newsletter.core.token import make_unsubscribe_token
from newsletter.flows.change_subscriber import reactivate_subscriber
from newsletter.flows.hold import resume_edition
from newsletter.flows.take_webhook import HookOutcome, take_webhook
from newsletter.store import edition as editions
from newsletter.store import report as books
from newsletter.store import webhook as webhooks
from newsletter.store.alert import AlertKind
from newsletter.store.schema import metadata
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.core.webhook_payloads import BATCHING, PROVIDERS, Mail, event, signed, webhook
from tests.flows.bounce_fixtures import ACCEPTED, NOW, UNCERTAIN, consents, open_alerts, row, sent
from tests.flows.people_fixtures import KEYRING, begin_edition, get, put, set_delivery

LIMITS = BreakerLimits()
COUNTED = ("webhook_count",)
"""What grows with each request, whatever it says."""


def mail_of(person: Subscriber, edition: Edition, number: int = 1) -> Mail:
    """Return the mail of a person, as its provider repeats it."""
    return Mail(token=make_unsubscribe_token(KEYRING, person.id, edition.id), email=person.email, number=number)


def take(unit: Unit, provider: str, *events: tuple[str, Mail], number: int = 1) -> HookOutcome:
    """Let a request come with these events."""
    hook = webhook(provider)
    request = signed(provider, [event(provider, kind, mail) for kind, mail in events], number=number)
    hook.verify(request)
    return take_webhook(unit, KEYRING, provider, hook.read(request), limits=LIMITS, now=NOW)


def rows(unit: Unit) -> dict[str, Sequence[object]]:
    """Return every row of every table but those that count requests."""
    with unit.read() as tx:
        return {
            table.name: sorted(repr(tuple(row)) for row in tx.execute(select(table)))
            for table in metadata.sorted_tables
            if table.name not in COUNTED
        }


def balances(unit: Unit, edition: Edition) -> bool:
    """Tell whether the report of an edition adds up."""
    with unit.read() as tx:
        return books.receipt(tx, editions.by_id(tx, edition.id)).gap == 0


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_hard_bounce_ends_the_subscription_once(unit: Unit, provider: str) -> None:
    """The delivery stays accepted, the report adds up, and whatever comes again changes nothing."""
    person, edition = sent(unit)
    mail = mail_of(person, edition)
    assert take(unit, provider, ("hard", mail)).actions == {BounceAction.STOPPED: 1}
    assert get(unit, person.id).state is SubscriberState.BOUNCED
    delivery = row(unit, edition, person)
    assert (delivery.state, delivery.later, delivery.later_at) == ("accepted", "bounced", NOW)
    assert consents(unit, person) == [("bounced", f"webhook of {provider}", edition.id)]
    assert balances(unit, edition)
    before = rows(unit)
    take(unit, provider, ("hard", mail))
    assert rows(unit) == before
    # The same event in a request of its own.
    take(unit, provider, ("hard", mail), number=2)
    assert {name: values for name, values in rows(unit).items() if name != "webhook_event"} == {
        name: values for name, values in before.items() if name != "webhook_event"
    }


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_complaint_ends_the_subscription_at_once(sqlite_unit: Unit, provider: str) -> None:
    """Also beside other events, and a repeated one does not end it again after the person was brought back."""
    person, edition = sent(sqlite_unit)
    mail = mail_of(person, edition)
    take(sqlite_unit, provider, ("delivered", mail), number=1)
    take(sqlite_unit, provider, ("complaint", mail), number=2)
    assert get(sqlite_unit, person.id).state is SubscriberState.COMPLAINED
    assert row(sqlite_unit, edition, person).later == "complained"
    assert consents(sqlite_unit, person) == [("complained", f"webhook of {provider}", edition.id)]
    reactivate_subscriber(sqlite_unit, person.id, who="ann", because="she wrote", now=NOW)
    take(sqlite_unit, provider, ("complaint", mail), number=2)
    assert get(sqlite_unit, person.id).state is SubscriberState.ACTIVE


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("kind", ["soft", "delayed", "delivered", "unknown"])
def test_what_ends_no_subscription(sqlite_unit: Unit, provider: str, kind: str) -> None:
    """A full mailbox, a delay, an arrival and an event that nobody documents; each is counted."""
    person, edition = sent(sqlite_unit)
    take(sqlite_unit, provider, (kind, mail_of(person, edition)))
    assert get(sqlite_unit, person.id).state is SubscriberState.ACTIVE
    delivery = row(sqlite_unit, edition, person)
    assert (delivery.state, delivery.later) == ("accepted", {"soft": "bounced", "delayed": "delayed"}.get(kind, ""))
    with sqlite_unit.read() as tx:
        [count] = webhooks.counts(tx)
    assert (count.provider, count.events, count.last_at) == (provider, 1, NOW)
    assert (count.kind == "unknown") == (kind == "unknown")


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("order", [("hard", "delivered", "delayed"), ("delivered", "delayed", "hard")])
def test_the_order_of_events_does_not_matter(sqlite_unit: Unit, provider: str, order: tuple[str, ...]) -> None:
    """A bounce that comes before the arrival counts as much as one that comes after it."""
    person, edition = sent(sqlite_unit)
    for number, kind in enumerate(order):
        take(sqlite_unit, provider, (kind, mail_of(person, edition)), number=number)
    assert get(sqlite_unit, person.id).state is SubscriberState.BOUNCED
    delivery = row(sqlite_unit, edition, person)
    assert (delivery.state, delivery.later) == ("accepted", "bounced")
    assert balances(sqlite_unit, edition)


@pytest.mark.parametrize(
    ("kind", "state"), [("delivered", "accepted"), ("complaint", "accepted"), ("hard", "rejected")]
)
def test_an_event_settles_what_was_uncertain(unit: Unit, kind: str, state: str) -> None:
    """The provider tells whether it has the mail, and the report still adds up."""
    person, edition = sent(unit)
    set_delivery(unit, edition, person, UNCERTAIN)
    take(unit, "mailgun", (kind, mail_of(person, edition)))
    assert row(unit, edition, person).state == state
    assert balances(unit, edition)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_unknown_message_changes_nothing(sqlite_unit: Unit, provider: str) -> None:
    """A genuine request about a mail of another sender, or with a forged token."""
    person, edition = sent(sqlite_unit)
    before = {name: values for name, values in rows(sqlite_unit).items() if name != "webhook_event"}
    outcome = take(sqlite_unit, provider, ("hard", Mail(token="x" * 36, email=person.email)))
    assert outcome.actions == {BounceAction.UNKNOWN: 1}
    assert {name: values for name, values in rows(sqlite_unit).items() if name != "webhook_event"} == before
    assert row(sqlite_unit, edition, person).later == ""


def test_a_one_time_token_serves_one_request(unit: Unit) -> None:
    """Mailgun signs no event: who copies a signature cannot use it for another one."""
    person, edition = sent(unit)
    take(unit, "mailgun", ("delivered", mail_of(person, edition)), number=7)
    outcome = take(unit, "mailgun", ("complaint", mail_of(person, edition, 2)), number=7)
    assert (outcome.actions, outcome.repeated) == ({}, 1)
    assert get(unit, person.id).state is SubscriberState.ACTIVE


@pytest.mark.slow
@pytest.mark.parametrize("provider", BATCHING[:1])
def test_a_batch_of_a_thousand(unit: Unit, provider: str) -> None:
    """Each of a thousand people is told apart; a second time nothing changes."""
    people = [put(unit, f"p{n}@example.org") for n in range(200)]
    edition = begin_edition(unit)
    for person in people:
        set_delivery(unit, edition, person, ACCEPTED, last_attempt_at=START, kind="ok")
    kinds = ("delivered", "soft", "delayed", "unknown", "soft")
    events = [(kind, mail_of(person, edition, n)) for n, person in enumerate(people) for kind in kinds]
    outcome = take(unit, provider, *events)
    assert (outcome.actions[BounceAction.NOTED], outcome.repeated) == (200, 200)
    with unit.read() as tx:
        assert sum(count.events for count in webhooks.counts(tx)) == 1000
    assert balances(unit, edition)
    before = rows(unit)
    take(unit, provider, *events)
    assert rows(unit) == before


def test_a_flood_of_hard_bounces_is_held(sqlite_unit: Unit) -> None:
    """A provider's mistake does not end a whole list: beyond twenty, a person looks first."""
    people = [put(sqlite_unit, f"p{n}@example.org") for n in range(40)]
    edition = begin_edition(sqlite_unit)
    for person in people:
        set_delivery(sqlite_unit, edition, person, ACCEPTED, last_attempt_at=START, kind="ok")
    outcome = take(sqlite_unit, "brevo", *(("hard", mail_of(person, edition, n)) for n, person in enumerate(people)))
    assert outcome.actions == {BounceAction.STOPPED: 20, BounceAction.HELD: 20}
    assert AlertKind.BOUNCES_HELD in open_alerts(sqlite_unit)


# Complaints


def complain(unit: Unit, people: Sequence[Subscriber], edition: Edition) -> None:
    """Let these people complain of an edition, one request each."""
    for person in people:
        take(unit, "resend", ("complaint", mail_of(person, edition, person.id)), number=person.id)


def status(unit: Unit, edition: Edition) -> EditionStatus:
    """Return whether an edition goes on."""
    with unit.read() as tx:
        return editions.by_id(tx, edition.id).status


def test_complaints_pause_an_edition(unit: Unit) -> None:
    """At 0.3 % it stands still with an alert; a resume bears what was known, and half as many more pause it again."""
    people = [put(unit, f"p{n}@example.org") for n in range(20)]
    edition = begin_edition(unit)
    complain(unit, people[:2], edition)
    assert status(unit, edition) is EditionStatus.SENDING
    complain(unit, people[2:3], edition)
    assert status(unit, edition) is EditionStatus.PAUSED
    assert "3 of 20 people who have it (15.0 %) called it unwanted" in open_alerts(unit)[AlertKind.EDITION_PAUSED]
    assert resume_edition(unit, edition, who="ann", now=NOW)
    complain(unit, people[3:4], edition)
    assert status(unit, edition) is EditionStatus.SENDING
    complain(unit, people[4:5], edition)
    assert status(unit, edition) is EditionStatus.PAUSED


def test_complaints_raise_an_alert_before_they_pause(sqlite_unit: Unit) -> None:
    """Between a thousandth and three, a person is told and the edition goes on."""
    people = [put(sqlite_unit, f"p{n}@example.org") for n in range(3)]
    edition = begin_edition(sqlite_unit)
    with sqlite_unit.write() as tx:
        editions_table = metadata.tables["edition"]
        tx.execute(editions_table.update().values(audience=2_000))
    complain(sqlite_unit, people, edition)
    assert "3 of 2,000 readers (0.15 %)" in open_alerts(sqlite_unit)[AlertKind.COMPLAINTS]
    assert status(sqlite_unit, edition) is EditionStatus.SENDING


def test_complaints_of_an_edition_that_is_over_pause_nothing(sqlite_unit: Unit) -> None:
    """Complaints come for weeks; a finished edition has nothing to stop."""
    people = [put(sqlite_unit, f"p{n}@example.org") for n in range(4)]
    edition = begin_edition(sqlite_unit, date(2026, 10, 27))
    for person in people:
        set_delivery(sqlite_unit, edition, person, DeliveryState.ACCEPTED)
    with sqlite_unit.write() as tx:
        editions.close(tx, edition.id, totals=DeliveryCounts(accepted=4), now=NOW)
    complain(sqlite_unit, people, edition)
    assert status(sqlite_unit, edition) is EditionStatus.FINISHED
    assert {AlertKind.COMPLAINTS} == set(open_alerts(sqlite_unit))
    with sqlite_unit.read() as tx:
        receipt = books.receipt(tx, editions.by_id(tx, edition.id))
    assert (receipt.complained, receipt.gap) == (4, 0)


def test_limits_of_complaints_can_be_switched_off(sqlite_unit: Unit) -> None:
    """0 is never, for the alert and for the pause."""
    people = [put(sqlite_unit, f"p{n}@example.org") for n in range(4)]
    edition = begin_edition(sqlite_unit)
    limits = replace(LIMITS, complaint_percent=0, complaint_alert_percent=0)
    for person in people:
        hook = webhook("brevo")
        content = hook.read(signed("brevo", [event("brevo", "complaint", mail_of(person, edition, person.id))]))
        take_webhook(sqlite_unit, KEYRING, "brevo", content, limits=limits, now=NOW)
    assert open_alerts(sqlite_unit) == {}
    assert status(sqlite_unit, edition) is EditionStatus.SENDING


def test_events_are_forgotten_after_a_month(unit: Unit) -> None:
    """What no provider sends again takes no room."""
    person, edition = sent(unit)
    take(unit, "brevo", ("hard", mail_of(person, edition)))
    with unit.write() as tx:
        assert webhooks.forget_before(tx, NOW) == 0
        assert webhooks.forget_before(tx, NOW + timedelta(seconds=1)) == 1
