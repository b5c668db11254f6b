"""Bounces and complaints: what they do to a delivery and to a person, and what forged ones do not."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from sqlalchemy import update

from newsletter.core.delivery import DeliveryCounts, DeliveryId, DeliveryState, Later
from newsletter.core.evidence import BounceAction
from newsletter.core.subscriber import SubscriberState
from newsletter.core.token import Keyring, make_unsubscribe_token, make_verp_sender, message_id
from newsletter.flows.change_subscriber import reactivate_subscriber
from newsletter.flows.erase_subscriber import erase_subscriber
from newsletter.flows.read_bounce import read_bounce
from newsletter.store import edition as editions
from newsletter.store import evidence
from newsletter.store import report as books
from newsletter.store.alert import AlertKind
from newsletter.store.schema import delivery
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.core.bounce_corpus import RETURNED, SAMPLES, Sample, report
from tests.flows.bounce_fixtures import (
    NOW,
    UNCERTAIN,
    bounce_with,
    come,
    consents,
    open_alerts,
    row,
    sample,
    sent,
)
from tests.flows.people_fixtures import KEYRING, begin_edition, get, put, set_delivery


@pytest.mark.parametrize("name", ["postfix", "exim", "qmail", "exchange online", "gmail full and inactive"])
def test_a_mailbox_that_is_gone(unit: Unit, name: str) -> None:
    """A hard bounce ends the subscription, by evidence; the delivery stays accepted, as the server said."""
    person, edition = sent(unit)
    handled = come(unit, edition, person, sample(name))
    assert (handled.action, handled.edition) == (BounceAction.STOPPED, edition.name)
    after = get(unit, person.id)
    assert after.state is SubscriberState.BOUNCED
    assert after.state_why.startswith("It came back: The mailbox")
    stored_row = row(unit, edition, person)
    assert (stored_row.state, stored_row.later, stored_row.later_at) == ("accepted", "bounced", NOW)
    assert sample(name).words in stored_row.later_text
    assert consents(unit, person) == [("bounced", "bounce mail", edition.id)]


def test_the_same_mail_twice(unit: Unit) -> None:
    """It is as good as once, also after the person was brought back: an old mail ends no new subscription."""
    person, edition = sent(unit)
    come(unit, edition, person, sample("postfix"))
    before = row(unit, edition, person)
    assert come(unit, edition, person, sample("postfix"), at=NOW + timedelta(days=1)).action is BounceAction.KNOWN
    assert row(unit, edition, person) == before
    reactivate_subscriber(unit, person.id, who="ann", because="she wrote", now=NOW)
    assert come(unit, edition, person, sample("postfix"), at=NOW + timedelta(days=2)).action is BounceAction.KNOWN
    assert get(unit, person.id).state is SubscriberState.ACTIVE


@pytest.mark.parametrize(
    "name",
    [
        "postfix delayed",
        "exim warning",
        "exchange with a vague status",
        "postfix gave up",
        "out of office",
        "abwesend",
        "a letter",
        "a read receipt",
        "not spam after all",
        "relayed to a server without reports",
        "several recipients, one arrived",
    ],
)
def test_what_ends_no_subscription(unit: Unit, name: str) -> None:
    """Delays, blocks, a failure that may pass, holiday notices and letters."""
    person, edition = sent(unit)
    handled = come(unit, edition, person, sample(name))
    assert handled.action in {BounceAction.NOTED, BounceAction.IGNORED, BounceAction.KNOWN}
    assert get(unit, person.id).state is SubscriberState.ACTIVE
    assert row(unit, edition, person).state == "accepted"


@pytest.mark.parametrize("by", ["optout", "id", "envelope id"])
def test_other_ways_to_find_the_delivery(unit: Unit, by: str) -> None:
    """Where the bounce address is lost, the returned mail or the envelope id tells; each bears a key of ours."""
    person, edition = sent(unit)
    delivery_id = DeliveryId(row(unit, edition, person).id)
    verp = make_verp_sender(KEYRING, delivery_id, "x.example.com")
    marks = {"verp": "somebody@example.com"}
    text = report(status="Final-Recipient: rfc822; a\nAction: failed\nStatus: 5.1.1\n", returned=RETURNED)
    if by == "optout":
        marks["optout"] = make_unsubscribe_token(KEYRING, person.id, edition.id)
    elif by == "id":
        marks["message_id"] = message_id(edition.id, delivery_id, "n", "example.com")
    else:
        text = text.replace("Final-", f"Original-Envelope-Id: {verp[2:23]}\n\nFinal-", 1)
    mail = Sample(name="", kind="failed", text=text)
    assert read_bounce(unit, KEYRING, mail.raw(**marks), now=NOW).action is BounceAction.STOPPED
    assert get(unit, person.id).state is SubscriberState.BOUNCED


@pytest.mark.parametrize("name", [one.name for one in SAMPLES])
def test_forged_mails_change_nothing(unit: Unit, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Without a key of ours nobody is found, whatever the mail says; it is logged without a word of it."""
    person, edition = sent(unit)
    other = Keyring(current="another secret of thirty-two chars")
    delivery_id = DeliveryId(row(unit, edition, person).id)
    raw = sample(name).raw(
        verp=make_verp_sender(other, delivery_id, "bounces.example.com"),
        optout=make_unsubscribe_token(other, person.id, edition.id),
        message_id=message_id(edition.id, delivery_id, "another nonce", "example.com"),
    )
    before = row(unit, edition, person)
    handled = read_bounce(unit, KEYRING, raw, recipient="b+000000000000000000000@bounces.example.com", now=NOW)
    assert handled.action in {BounceAction.UNKNOWN, BounceAction.IGNORED}
    assert row(unit, edition, person) == before
    assert get(unit, person.id) == person
    assert (handled.action is BounceAction.UNKNOWN) == ("no valid token" in caplog.text)
    assert "ann@example.org" not in caplog.text


def test_a_key_of_an_earlier_secret_is_genuine(unit: Unit) -> None:
    """Mail that went out before the key was changed still comes back."""
    person, edition = sent(unit)
    verp = make_verp_sender(KEYRING, DeliveryId(row(unit, edition, person).id), "bounces.example.com")
    keyring = Keyring(current="a newer secret of thirty-two chars", old=(KEYRING.current,))
    assert read_bounce(unit, keyring, sample("postfix").raw(verp=verp), now=NOW).action is BounceAction.STOPPED


@pytest.mark.parametrize("name", ["complaint", "complaint without anybody's address", "complaint by its Message-ID"])
def test_a_complaint(unit: Unit, name: str) -> None:
    """A reader who calls it spam gets no more of it, and never comes back by an import."""
    person, edition = sent(unit)
    delivery_id = DeliveryId(row(unit, edition, person).id)
    token = make_unsubscribe_token(KEYRING, person.id, edition.id)
    ids = message_id(edition.id, delivery_id, "n", "example.com")
    assert come(unit, edition, person, sample(name), optout=token, message_id=ids).action is BounceAction.STOPPED
    assert get(unit, person.id).state is SubscriberState.COMPLAINED
    assert row(unit, edition, person).later == "complained"
    assert consents(unit, person) == [("complained", "feedback report", edition.id)]
    assert come(unit, edition, person, sample(name), optout=token, message_id=ids).action is BounceAction.KNOWN
    # A bounce that comes after it takes nothing back.
    come(unit, edition, person, sample("postfix"))
    assert get(unit, person.id).state is SubscriberState.COMPLAINED
    assert row(unit, edition, person).later == "complained"


def test_an_opt_out_by_the_provider(unit: Unit) -> None:
    """It is an opt-out like any other."""
    person, edition = sent(unit)
    assert come(unit, edition, person, sample("opt-out by a provider")).action is BounceAction.STOPPED
    assert get(unit, person.id).state is SubscriberState.UNSUBSCRIBED


def test_many_complaints_raise_an_alert(sqlite_unit: Unit) -> None:
    """Two say nothing, three of a small list do."""
    people = [put(sqlite_unit, f"p{n}@example.org") for n in range(3)]
    edition = begin_edition(sqlite_unit)
    for person in people:
        assert AlertKind.COMPLAINTS not in open_alerts(sqlite_unit)
        come(sqlite_unit, edition, person, sample("complaint"))
    assert (
        "3 of 3 readers (100.00 %) called the edition of 2026-11-03 unwanted"
        in open_alerts(sqlite_unit)[AlertKind.COMPLAINTS]
    )


@pytest.mark.parametrize(
    ("name", "state", "words"),
    [
        ("postfix", "rejected", "It did not arrive: The mailbox does not exist."),
        ("complaint", "accepted", "It arrived: the reader complained of it"),
        ("relayed to a server without reports", "accepted", "It arrived: the mail server reported it"),
        ("postfix delayed", "uncertain", ""),
        ("out of office", "uncertain", ""),
    ],
)
def test_evidence_settles_what_is_uncertain(unit: Unit, name: str, state: str, words: str) -> None:
    """A bounce says that it did not arrive, a complaint that it did; stored totals move along."""
    person, edition = sent(unit)
    set_delivery(unit, edition, person, UNCERTAIN)
    with unit.write() as tx:
        editions.close(tx, edition.id, totals=DeliveryCounts(uncertain=1, accepted=0), now=START)
    come(unit, edition, person, sample(name))
    stored_row = row(unit, edition, person)
    assert (stored_row.state, stored_row.reason) == (state, words)
    with unit.read() as tx:
        totals = editions.totals(tx, edition.id)
        assert totals is not None
        assert {name: count for name, count in totals.items() if count} == {state: 1}


@pytest.mark.parametrize("state", [one for one in DeliveryState if one is not UNCERTAIN])
def test_no_other_state_is_moved(unit: Unit, state: DeliveryState) -> None:
    """What a server answered stays, and the books balance whatever comes back."""
    person, edition = sent(unit)
    set_delivery(unit, edition, person, state)
    come(unit, edition, person, bounce_with("4.4.7"))
    assert (row(unit, edition, person).state, row(unit, edition, person).later) == (state.value, "bounced")


def test_an_erased_person_stays_forgotten(unit: Unit) -> None:
    """A bounce that comes after the erasure is counted, and no word of it is kept."""
    person, edition = sent(unit)
    delivery_row = row(unit, edition, person)
    with unit.write() as tx:
        tx.execute(update(delivery).values(subscriber_id=None))
    verp = make_verp_sender(KEYRING, DeliveryId(delivery_row.id), "bounces.example.com")
    assert read_bounce(unit, KEYRING, sample("postfix").raw(verp=verp), now=NOW).action is BounceAction.NOTED
    with unit.read() as tx:
        [evidence_row] = evidence.rows(tx, edition.id)
    assert (evidence_row.email, evidence_row.later, evidence_row.text) == ("", Later.BOUNCED, "")


def test_a_delivery_whose_row_was_deleted(unit: Unit) -> None:
    """After years the rows go; a mail about one of them is of nobody."""
    verp = make_verp_sender(KEYRING, DeliveryId(4_000_000), "bounces.example.com")
    assert read_bounce(unit, KEYRING, sample("postfix").raw(verp=verp), now=NOW).action is BounceAction.UNKNOWN


def test_the_words_of_a_bounce_are_erased_with_the_person(sqlite_unit: Unit) -> None:
    """What a server wrote may name the address; that the mail came back is still counted."""
    person, edition = sent(sqlite_unit)
    come(sqlite_unit, edition, person, sample("postfix"))
    erase_subscriber(sqlite_unit, KEYRING, person.id, who="ann", now=NOW)
    with sqlite_unit.read() as tx:
        [evidence_row] = evidence.rows(tx, edition.id)
    assert (evidence_row.later, evidence_row.text) == (Later.BOUNCED, "")


def test_any_mail_with_a_genuine_token(unit: Unit) -> None:
    """Whatever a stranger writes around it: nothing is raised, what is stored can be stored, and the books balance."""
    person, edition = sent(unit)
    verp = make_verp_sender(KEYRING, DeliveryId(row(unit, edition, person).id), "bounces.example.com")
    for number in range(120):
        chance = random.Random(number)
        raw = bytearray(chance.choice(SAMPLES).raw(verp=verp))
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(raw))
            raw[at : at + chance.randint(0, 20)] = chance.choice(ODD)
        handled = read_bounce(unit, KEYRING, bytes(raw), recipient=verp, now=NOW)
        assert isinstance(handled.action, BounceAction)
    with unit.read() as tx:
        assert books.receipt(tx, edition).balances


ODD = [b"", b"\x00", b"\xff\xfe", b"\r\n", b"5.1.1", b"=?utf-8?q?=00?=", "\u2028\ud7ff".encode(), b"\x1b[2J", b": "]
