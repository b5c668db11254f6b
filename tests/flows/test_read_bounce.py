"""Bounces and complaints: what they do to a delivery and to a person, and what forged ones do not."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from newsletter.core.delivery import DeliveryId, DeliveryState
from newsletter.core.edition import Edition
from newsletter.core.evidence import HOLD_AT_LEAST, Later
from newsletter.core.subscriber import Subscriber, SubscriberState
from newsletter.core.token import Keyring, make_unsubscribe_token, make_verp_sender, message_id
from newsletter.flows.bounce import count_expired, count_failure
from newsletter.flows.change_subscriber import reactivate_subscriber
from newsletter.flows.erase_subscriber import erase_subscriber
from newsletter.flows.read_bounce import Done, Handled, read_bounce, settle_held
from newsletter.store import alert as alerts
from newsletter.store import edition as editions
from newsletter.store import evidence
from newsletter.store import log as logs
from newsletter.store import report as books
from newsletter.store import subscriber as subscribers
from newsletter.store.alert import AlertKind
from newsletter.store.schema import delivery, edition, tally
from newsletter.store.unit import Unit
from tests.conftest import START
from tests.core.bounce_corpus import RETURNED, SAMPLES, Sample, report
from tests.flows.people_world import KEYRING, begin_edition, get, put, set_delivery

NOW = START + timedelta(days=3)
ACCEPTED, UNCERTAIN, REJECTED = DeliveryState.ACCEPTED, DeliveryState.UNCERTAIN, DeliveryState.REJECTED


def sample(name: str) -> Sample:
    """Return one of the written mails."""
    return next(one for one in SAMPLES if one.name == name)


def bounce_with(status: str, *, action: str = "failed", words: str = "no") -> Sample:
    """Return a delivery report with this status."""
    text = report(
        status=f"Final-Recipient: rfc822; ann@example.org\nAction: {action}\nStatus: {status}\n"
        f"Diagnostic-Code: smtp; {status[0]}50 {status} {words}\n"
    )
    return Sample(name=status, kind="failed", text=text)


def row(unit: Unit, of: Edition, who: Subscriber) -> Any:  # noqa: ANN401 a row has any columns
    """Return the row of a delivery."""
    with unit.read() as tx:
        query = select(delivery).where(delivery.c.edition_id == of.id, delivery.c.subscriber_id == who.id)
        return tx.execute(query).one()


def come(unit: Unit, of: Edition, who: Subscriber, mail: Sample, *, at: Any = NOW, **marks: str) -> Handled:  # noqa: ANN401 an instant
    """Let a mail come back about a delivery, to the address that the delivery bore."""
    verp = make_verp_sender(KEYRING, DeliveryId(row(unit, of, who).id), "bounces.example.com")
    return read_bounce(unit, KEYRING, mail.raw(**({"verp": verp} | marks)), now=at)


def sent(unit: Unit, email: str = "ann@example.org", on: date = date(2026, 11, 3)) -> tuple[Subscriber, Edition]:
    """Return a person whose mail a server took."""
    person = put(unit, email)
    edition = begin_edition(unit, on)
    set_delivery(unit, edition, person, ACCEPTED, last_attempt_at=START, kind="ok")
    return person, edition


def consents(unit: Unit, who: Subscriber) -> Sequence[tuple[str, str, int | None]]:
    """Return what is kept as evidence about a person."""
    with unit.read() as tx:
        return [(one.action, one.channel, one.edition_id) for one in subscribers.consents(tx, who.id)]


def open_alerts(unit: Unit) -> dict[AlertKind, str]:
    """Return what needs a person."""
    with unit.read() as tx:
        return {one.kind: one.message for one in alerts.open_alerts(tx)}


@pytest.mark.parametrize("name", ["postfix", "exim", "qmail", "exchange online", "gmail full and inactive"])
def test_a_mailbox_that_is_gone(unit: Unit, name: str) -> None:
    """A hard bounce ends the subscription, by evidence; the delivery stays accepted, as the server said."""
    person, of = sent(unit)
    handled = come(unit, of, person, sample(name))
    assert (handled.done, handled.edition) == (Done.STOPPED, of.name)
    after = get(unit, person.id)
    assert after.state is SubscriberState.BOUNCED
    assert after.state_why.startswith("It came back: The mailbox")
    found = row(unit, of, person)
    assert (found.state, found.later, found.later_at) == ("accepted", "bounced", NOW)
    assert sample(name).words in found.later_text
    assert consents(unit, person) == [("bounced", "bounce mail", of.id)]


def test_the_same_mail_twice(unit: Unit) -> None:
    """It is as good as once, also after the person was brought back: an old mail ends no new subscription."""
    person, of = sent(unit)
    come(unit, of, person, sample("postfix"))
    before = row(unit, of, person)
    assert come(unit, of, person, sample("postfix"), at=NOW + timedelta(days=1)).done is Done.KNOWN
    assert row(unit, of, person) == before
    reactivate_subscriber(unit, person.id, who="ann", because="she wrote", now=NOW)
    assert come(unit, of, person, sample("postfix"), at=NOW + timedelta(days=2)).done is Done.KNOWN
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
    person, of = sent(unit)
    handled = come(unit, of, person, sample(name))
    assert handled.done in {Done.NOTED, Done.IGNORED, Done.KNOWN}
    assert get(unit, person.id).state is SubscriberState.ACTIVE
    assert row(unit, of, person).state == "accepted"


@pytest.mark.parametrize("by", ["optout", "id", "envelope id"])
def test_other_ways_to_find_the_delivery(unit: Unit, by: str) -> None:
    """Where the bounce address is lost, the returned mail or the envelope id tells; each bears a key of ours."""
    person, of = sent(unit)
    one = DeliveryId(row(unit, of, person).id)
    verp = make_verp_sender(KEYRING, one, "x.example.com")
    marks = {"verp": "somebody@example.com"}
    text = report(status="Final-Recipient: rfc822; a\nAction: failed\nStatus: 5.1.1\n", returned=RETURNED)
    if by == "optout":
        marks["optout"] = make_unsubscribe_token(KEYRING, person.id, of.id)
    elif by == "id":
        marks["message_id"] = message_id(of.id, one, "n", "example.com")
    else:
        text = text.replace("Final-", f"Original-Envelope-Id: {verp[2:23]}\n\nFinal-", 1)
    mail = Sample(name="", kind="failed", text=text)
    assert read_bounce(unit, KEYRING, mail.raw(**marks), now=NOW).done is Done.STOPPED
    assert get(unit, person.id).state is SubscriberState.BOUNCED


@pytest.mark.parametrize("name", [one.name for one in SAMPLES])
def test_forged_mails_change_nothing(unit: Unit, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Without a key of ours nobody is found, whatever the mail says; it is logged without a word of it."""
    person, of = sent(unit)
    other = Keyring(current="another secret of thirty-two chars")
    one = DeliveryId(row(unit, of, person).id)
    raw = sample(name).raw(
        verp=make_verp_sender(other, one, "bounces.example.com"),
        optout=make_unsubscribe_token(other, person.id, of.id),
        message_id=message_id(of.id, one, "another nonce", "example.com"),
    )
    before = row(unit, of, person)
    handled = read_bounce(unit, KEYRING, raw, recipient="b+000000000000000000000@bounces.example.com", now=NOW)
    assert handled.done in {Done.UNKNOWN, Done.IGNORED}
    assert row(unit, of, person) == before
    assert get(unit, person.id) == person
    assert (handled.done is Done.UNKNOWN) == ("no genuine token" in caplog.text)
    assert "ann@example.org" not in caplog.text


def test_a_key_of_an_earlier_secret_is_genuine(unit: Unit) -> None:
    """Mail that went out before the key was changed still comes back."""
    person, of = sent(unit)
    verp = make_verp_sender(KEYRING, DeliveryId(row(unit, of, person).id), "bounces.example.com")
    keyring = Keyring(current="a newer secret of thirty-two chars", old=(KEYRING.current,))
    assert read_bounce(unit, keyring, sample("postfix").raw(verp=verp), now=NOW).done is Done.STOPPED


@pytest.mark.parametrize("name", ["complaint", "complaint without anybody's address", "complaint by its Message-ID"])
def test_a_complaint(unit: Unit, name: str) -> None:
    """A reader who calls it spam gets no more of it, and never comes back by an import."""
    person, of = sent(unit)
    one = DeliveryId(row(unit, of, person).id)
    token = make_unsubscribe_token(KEYRING, person.id, of.id)
    ids = message_id(of.id, one, "n", "example.com")
    assert come(unit, of, person, sample(name), optout=token, message_id=ids).done is Done.STOPPED
    assert get(unit, person.id).state is SubscriberState.COMPLAINED
    assert row(unit, of, person).later == "complained"
    assert consents(unit, person) == [("complained", "feedback report", of.id)]
    assert come(unit, of, person, sample(name), optout=token, message_id=ids).done is Done.KNOWN
    # A bounce that comes after it takes nothing back.
    come(unit, of, person, sample("postfix"))
    assert get(unit, person.id).state is SubscriberState.COMPLAINED
    assert row(unit, of, person).later == "complained"


def test_an_opt_out_by_the_provider(unit: Unit) -> None:
    """It is an opt-out like any other."""
    person, of = sent(unit)
    assert come(unit, of, person, sample("opt-out by a provider")).done is Done.STOPPED
    assert get(unit, person.id).state is SubscriberState.UNSUBSCRIBED


def test_many_complaints_raise_an_alert(sqlite_unit: Unit) -> None:
    """Two say nothing, three of a small list do."""
    people = [put(sqlite_unit, f"p{n}@example.org") for n in range(3)]
    of = begin_edition(sqlite_unit)
    for person in people:
        assert AlertKind.COMPLAINTS not in open_alerts(sqlite_unit)
        come(sqlite_unit, of, person, sample("complaint"))
    assert "3 of 3 readers called the edition of 2026-11-03 unwanted" in open_alerts(sqlite_unit)[AlertKind.COMPLAINTS]


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
    person, of = sent(unit)
    set_delivery(unit, of, person, UNCERTAIN)
    with unit.write() as tx:
        editions.close(tx, of.id, totals={"uncertain": 1, "accepted": 0}, now=START)
    come(unit, of, person, sample(name))
    found = row(unit, of, person)
    assert (found.state, found.reason) == (state, words)
    with unit.read() as tx:
        totals = editions.totals(tx, of.id)
        assert totals is not None
        assert {name: count for name, count in totals.items() if count} == {state: 1}


@pytest.mark.parametrize("state", [one for one in DeliveryState if one is not UNCERTAIN])
def test_no_other_state_is_moved(unit: Unit, state: DeliveryState) -> None:
    """What a server answered stays, and the books balance whatever comes back."""
    person, of = sent(unit)
    set_delivery(unit, of, person, state)
    come(unit, of, person, bounce_with("4.4.7"))
    assert (row(unit, of, person).state, row(unit, of, person).later) == (state.value, "bounced")


def weeks(unit: Unit, person: Subscriber, count: int) -> list[Edition]:
    """Send a person so many weekly editions, all accepted."""
    found = []
    for number in range(count):
        of = begin_edition(unit, date(2026, 11, 3) + timedelta(weeks=number))
        set_delivery(unit, of, person, ACCEPTED, last_attempt_at=START + timedelta(weeks=number), kind="ok")
        found.append(of)
    return found


@pytest.mark.parametrize(("status", "times"), [("5.2.2", 4), ("4.2.1", 3), ("5.4.4", 2), ("5.9.9", 2)])
def test_bounces_that_repeat(unit: Unit, status: str, times: int) -> None:
    """Full for four weeks, soft for three, a refusal or a lost domain twice: only then it ends."""
    person = put(unit, "ann@example.org")
    done = [
        come(unit, of, person, bounce_with(status), at=START + timedelta(weeks=number, hours=1)).done
        for number, of in enumerate(weeks(unit, person, times))
    ]
    assert done == [Done.NOTED] * (times - 1) + [Done.STOPPED]


def test_an_arrival_in_between_wipes_the_slate(unit: Unit) -> None:
    """Two soft bounces, one mail that stayed, two more: nobody is lost."""
    person = put(unit, "ann@example.org")
    for number, of in enumerate(weeks(unit, person, 5)):
        if number != 2:
            come(unit, of, person, bounce_with("4.2.1"), at=START + timedelta(weeks=number, hours=1))
    assert get(unit, person.id).state is SubscriberState.ACTIVE


def test_refusals_at_our_own_door_count_too(unit: Unit) -> None:
    """Two answers of the second kind a week apart, one by mail and one at once."""
    person = put(unit, "ann@example.org")
    first, second = weeks(unit, person, 2)
    come(unit, first, person, bounce_with("5.9.9"), at=START)
    later = START + timedelta(weeks=1)
    set_delivery(unit, second, person, REJECTED, kind="provisional", last_attempt_at=later)
    with unit.write() as tx:
        assert not count_failure(tx, person.id, state=REJECTED, kind="policy", now=later)
        assert count_failure(tx, person.id, state=REJECTED, kind="provisional", now=later)
    assert get(unit, person.id).state is SubscriberState.BOUNCED


def test_giving_up_counts(unit: Unit) -> None:
    """Three editions given up, two weeks from first to last; whoever was throttled stays."""
    ann, bob = put(unit, "ann@example.org"), put(unit, "bob@example.org")
    for number, of in enumerate(weeks(unit, ann, 3)):
        at = START + timedelta(weeks=number)
        set_delivery(unit, of, ann, DeliveryState.EXPIRED, kind="soft", last_attempt_at=at)
        set_delivery(unit, of, bob, DeliveryState.EXPIRED, kind="rate", last_attempt_at=at)
        assert count_expired(unit, of.id, now=at) == int(number == 2)
        assert count_expired(unit, of.id, now=at) == 0
    assert get(unit, ann.id).state is SubscriberState.BOUNCED
    assert get(unit, ann.id).state_why == "The mailbox took no mail for 3 editions over 14 days in a row."
    assert get(unit, bob.id).state is SubscriberState.ACTIVE


def flood(unit: Unit, count: int) -> tuple[list[Subscriber], Edition]:
    """Let hard bounces of so many people of a small list come within a minute."""
    people = [put(unit, f"p{n}@example.org") for n in range(count)]
    of = begin_edition(unit)
    for person in people:
        set_delivery(unit, of, person, ACCEPTED, kind="ok")
        come(unit, of, person, sample("postfix"))
    return people, of


def test_too_many_at_once_wait_for_a_person(unit: Unit) -> None:
    """The twenty-first of a small list within ten minutes ends no subscription; an alert says what to do."""
    people, of = flood(unit, HOLD_AT_LEAST + 2)
    states = [get(unit, one.id).state for one in people]
    assert states == [SubscriberState.BOUNCED] * HOLD_AT_LEAST + [SubscriberState.ACTIVE] * 2
    assert row(unit, of, people[-1]).later == "held"
    assert "newsletter bounce release 2026-11-03" in open_alerts(unit)[AlertKind.BOUNCES_HELD]
    assert come(unit, of, people[-1], sample("postfix")).done is Done.HELD
    assert settle_held(unit, of, stop=True, who="ann", now=NOW) == 2
    assert [get(unit, one.id).state for one in people] == [SubscriberState.BOUNCED] * (HOLD_AT_LEAST + 2)
    assert AlertKind.BOUNCES_HELD not in open_alerts(unit)
    with unit.read() as tx:
        assert evidence.counts(tx, of.id) == {Later.BOUNCED: HOLD_AT_LEAST + 2}
        assert [(one.what, one.why) for one in logs.latest(tx)] == [("bounce release", "2 people")]


def test_held_bounces_may_be_dismissed(sqlite_unit: Unit) -> None:
    """It was a mail server's mistake: those who were held go on."""
    people, of = flood(sqlite_unit, HOLD_AT_LEAST + 1)
    assert settle_held(sqlite_unit, of, stop=False, who="ann", now=NOW) == 1
    assert get(sqlite_unit, people[-1].id).state is SubscriberState.ACTIVE
    assert row(sqlite_unit, of, people[-1]).later == ""
    # Ten minutes later the next one is heeded again.
    come(sqlite_unit, of, people[-1], sample("postfix"), at=NOW + timedelta(minutes=11))
    assert get(sqlite_unit, people[-1].id).state is SubscriberState.BOUNCED


def test_a_block_behind_a_relay_is_told(unit: Unit) -> None:
    """Mails that come back because of us are counted for whoever watches the edition, and raise an alert."""
    people, of = [put(unit, f"p{n}@example.org") for n in range(26)], begin_edition(unit)
    block = bounce_with("5.7.1", words="<ann@example.org> blocked, see our page")
    for number, person in enumerate(people):
        assert (AlertKind.REFUSED_PEOPLE in open_alerts(unit)) == (number >= 25)
        assert come(unit, of, person, block).done is Done.NOTED
        assert come(unit, of, person, block).done is Done.KNOWN
    with unit.read() as tx:
        [counted] = tx.execute(select(tally)).all()
    assert (counted.policy, counted.hard, counted.refused, counted.accepted) == (26, 0, 0, 0)
    told = open_alerts(unit)[AlertKind.REFUSED_PEOPLE]
    assert told.startswith("25 of 26 mails of the edition of 2026-11-03 came back because of us, not of the readers")
    assert "ann@example.org" not in told


def test_five_per_cent_of_a_large_edition(sqlite_unit: Unit) -> None:
    """With a thousand people fifty may go within ten minutes."""
    people, of = [put(sqlite_unit, f"p{n}@example.org") for n in range(51)], begin_edition(sqlite_unit)
    with sqlite_unit.write() as tx:
        tx.execute(update(edition).values(audience=1_000))
    done = [come(sqlite_unit, of, person, sample("postfix")).done for person in people]
    assert done == [Done.STOPPED] * 50 + [Done.HELD]


def test_an_erased_person_stays_forgotten(unit: Unit) -> None:
    """A bounce that comes after the erasure is counted, and no word of it is kept."""
    person, of = sent(unit)
    one = row(unit, of, person)
    with unit.write() as tx:
        tx.execute(update(delivery).values(subscriber_id=None))
    verp = make_verp_sender(KEYRING, DeliveryId(one.id), "bounces.example.com")
    assert read_bounce(unit, KEYRING, sample("postfix").raw(verp=verp), now=NOW).done is Done.NOTED
    with unit.read() as tx:
        [found] = evidence.rows(tx, of.id)
    assert (found.email, found.later, found.text) == ("", Later.BOUNCED, "")


def test_a_delivery_whose_row_was_deleted(unit: Unit) -> None:
    """After years the rows go; a mail about one of them is of nobody."""
    verp = make_verp_sender(KEYRING, DeliveryId(4_000_000), "bounces.example.com")
    assert read_bounce(unit, KEYRING, sample("postfix").raw(verp=verp), now=NOW).done is Done.UNKNOWN


def test_the_words_of_a_bounce_are_erased_with_the_person(sqlite_unit: Unit) -> None:
    """What a server wrote may name the address; that the mail came back is still counted."""
    person, of = sent(sqlite_unit)
    come(sqlite_unit, of, person, sample("postfix"))
    erase_subscriber(sqlite_unit, KEYRING, person.id, who="ann", now=NOW)
    with sqlite_unit.read() as tx:
        [found] = evidence.rows(tx, of.id)
    assert (found.later, found.text) == (Later.BOUNCED, "")


def test_any_mail_with_a_genuine_token(unit: Unit) -> None:
    """Whatever a stranger writes around it: nothing is raised, what is stored can be stored, and the books balance."""
    person, of = sent(unit)
    verp = make_verp_sender(KEYRING, DeliveryId(row(unit, of, person).id), "bounces.example.com")
    for number in range(120):
        chance = random.Random(number)
        raw = bytearray(chance.choice(SAMPLES).raw(verp=verp))
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(raw))
            raw[at : at + chance.randint(0, 20)] = chance.choice(ODD)
        handled = read_bounce(unit, KEYRING, bytes(raw), recipient=verp, now=NOW)
        assert isinstance(handled.done, Done)
    with unit.read() as tx:
        assert books.receipt(tx, of).balances


ODD = [b"", b"\x00", b"\xff\xfe", b"\r\n", b"5.1.1", b"=?utf-8?q?=00?=", "\u2028\ud7ff".encode(), b"\x1b[2J", b": "]
