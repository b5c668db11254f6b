"""Failures that repeat, and very many at once: when a subscription ends, and when a person is asked first."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import insert, select, update

from newsletter.core.breaker import BreakerLimits
from newsletter.core.delivery import DeliveryState, Later
from newsletter.core.edition import Edition, EditionStatus
from newsletter.core.evidence import HOLD_BOUNCES_MIN, BounceAction
from newsletter.core.subscriber import Subscriber, SubscriberState
from newsletter.core.tally import Tally
from newsletter.flows.bounce import count_expired, count_failure
from newsletter.flows.hold import pause_edition, resume_edition
from newsletter.flows.read_bounce import read_bounce, settle_held
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import evidence, report
from newsletter.store import log as logs
from newsletter.store import tally as tallies
from newsletter.store.alert import AlertKind
from newsletter.store.schema import bounce_window, edition, tally
from newsletter.store.unit import Unit
from newsletter.store.worker import WorkerId
from newsletter.testing.clocks import START
from tests.flows.bounce_fixtures import (
    ACCEPTED,
    NOW,
    REJECTED,
    UNCERTAIN,
    bounce_with,
    come,
    open_alerts,
    row,
    sample,
    verp_of,
)
from tests.flows.people_fixtures import KEYRING, begin_edition, get, put, set_delivery


def weeks(unit: Unit, person: Subscriber, count: int) -> list[Edition]:
    """Send a person so many weekly editions, all accepted."""
    weekly_editions = []
    for number in range(count):
        sent_edition = begin_edition(unit, date(2026, 11, 3) + timedelta(weeks=number))
        set_delivery(unit, sent_edition, person, ACCEPTED, last_attempt_at=START + timedelta(weeks=number), kind="ok")
        weekly_editions.append(sent_edition)
    return weekly_editions


@pytest.mark.parametrize(("status", "times"), [("5.2.2", 4), ("4.2.1", 3), ("5.4.4", 2), ("5.9.9", 2)])
def test_bounces_that_repeat(unit: Unit, status: str, times: int) -> None:
    """Full for four weeks, soft for three, a refusal or a lost domain twice: only then it ends."""
    person = put(unit, "ann@example.org")
    actions = [
        come(unit, of, person, bounce_with(status), at=START + timedelta(weeks=number, hours=1)).action
        for number, of in enumerate(weeks(unit, person, times))
    ]
    assert actions == [BounceAction.NOTED] * (times - 1) + [BounceAction.STOPPED]


NOT_THE_MAILBOX = {
    "our sender": ("5.1.8", "failed", "Access denied, bad outbound sender"),
    "our account": ("5.7.0", "failed", "Your account is suspended"),
    "our quota": ("5.4.5", "failed", "Daily sending quota exceeded"),
    "our content": ("5.6.0", "failed", "Message contains an invalid header"),
    "a block list": ("5.7.1", "failed", "Client host is listed"),
    "authentication": ("5.7.26", "failed", "The sender is unauthenticated"),
    "a relay that got no connection": ("4.4.1", "failed", "connect to in.example.org: Connection timed out"),
    "a relay whose queue expired": ("4.4.7", "failed", "message expired"),
    "a relay that says 5 and gave up": ("5.4.7", "failed", "Delivery expired (message too old)"),
    "a loop": ("5.4.6", "failed", "mail loops back to myself"),
    "an internal error": ("5.3.0", "failed", "Local delivery failed: internal error"),
    "a delay": ("4.4.1", "delayed", "Connection refused"),
    "a delay that quotes a refusal": ("5.1.1", "delayed", "user unknown"),
}


@pytest.mark.parametrize("fault", NOT_THE_MAILBOX)
def test_another_fault_never_ends_a_subscription(unit: Unit, fault: str) -> None:
    """Promise 13: only a refusal of that mailbox counts, whatever else comes back for ten editions in a row."""
    status, action, words = NOT_THE_MAILBOX[fault]
    person = put(unit, "ann@example.org")
    for number, weekly in enumerate(weeks(unit, person, 10)):
        mail = bounce_with(status, action=action, words=words)
        come(unit, weekly, person, mail, at=START + timedelta(weeks=number, hours=1))
    assert get(unit, person.id).state is SubscriberState.ACTIVE


def test_editions_that_a_system_in_trouble_gave_up(unit: Unit) -> None:
    """At our own door as by mail: ten editions that expired because no server answered end no subscription."""
    person = put(unit, "ann@example.org")
    for number, weekly in enumerate(weeks(unit, person, 10)):
        at = START + timedelta(weeks=number)
        set_delivery(unit, weekly, person, DeliveryState.EXPIRED, kind="system", last_attempt_at=at)
        assert count_expired(unit, weekly.id, now=at) == 0
    assert get(unit, person.id).state is SubscriberState.ACTIVE


def test_bounces_that_contradict_themselves(unit: Unit) -> None:
    """A failure with a status of success came back, but counts against nobody, however often it comes."""
    person = put(unit, "ann@example.org")
    for number, sent_edition in enumerate(weeks(unit, person, 5)):
        at = START + timedelta(weeks=number, hours=1)
        assert come(unit, sent_edition, person, bounce_with("2.0.0"), at=at).action is BounceAction.NOTED
        assert row(unit, sent_edition, person).later == "bounced"
    assert get(unit, person.id).state is SubscriberState.ACTIVE


def test_an_arrival_in_between_wipes_the_slate(unit: Unit) -> None:
    """Two soft bounces, one mail that stayed, two more: nobody is lost."""
    person = put(unit, "ann@example.org")
    for number, sent_edition in enumerate(weeks(unit, person, 5)):
        if number != 2:
            come(unit, sent_edition, person, bounce_with("4.2.1"), at=START + timedelta(weeks=number, hours=1))
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
    for number, sent_edition in enumerate(weeks(unit, ann, 3)):
        at = START + timedelta(weeks=number)
        set_delivery(unit, sent_edition, ann, DeliveryState.EXPIRED, kind="soft", last_attempt_at=at)
        set_delivery(unit, sent_edition, bob, DeliveryState.EXPIRED, kind="rate", last_attempt_at=at)
        assert count_expired(unit, sent_edition.id, now=at) == int(number == 2)
        assert count_expired(unit, sent_edition.id, now=at) == 0
    assert get(unit, ann.id).state is SubscriberState.BOUNCED
    assert get(unit, ann.id).state_why == "The mailbox took no mail for 3 editions over 14 days in a row."
    assert get(unit, bob.id).state is SubscriberState.ACTIVE


def flood(unit: Unit, count: int) -> tuple[list[Subscriber], Edition]:
    """Let hard bounces of so many people of a small list come within a minute."""
    people = [put(unit, f"p{n}@example.org") for n in range(count)]
    sent_edition = begin_edition(unit)
    for person in people:
        set_delivery(unit, sent_edition, person, ACCEPTED, kind="ok")
        come(unit, sent_edition, person, sample("postfix"))
    return people, sent_edition


def test_too_many_at_once_wait_for_a_person(unit: Unit) -> None:
    """The twenty-first of a small list within ten minutes ends no subscription; an alert says what to do."""
    people, sent_edition = flood(unit, HOLD_BOUNCES_MIN + 2)
    states = [get(unit, one.id).state for one in people]
    assert states == [SubscriberState.BOUNCED] * HOLD_BOUNCES_MIN + [SubscriberState.ACTIVE] * 2
    assert row(unit, sent_edition, people[-1]).later == "held"
    assert "newsletter bounce release 2026-11-03" in open_alerts(unit)[AlertKind.BOUNCES_HELD]
    assert come(unit, sent_edition, people[-1], sample("postfix")).action is BounceAction.HELD
    assert settle_held(unit, sent_edition, stop=True, who="ann", now=NOW) == 2
    assert [get(unit, one.id).state for one in people] == [SubscriberState.BOUNCED] * (HOLD_BOUNCES_MIN + 2)
    assert AlertKind.BOUNCES_HELD not in open_alerts(unit)
    with unit.read() as tx:
        assert deliveries.later_counts(tx, sent_edition.id) == {Later.BOUNCED: HOLD_BOUNCES_MIN + 2}
        assert [(one.what, one.why) for one in logs.latest(tx)] == [("bounce release", "2 people")]


def test_held_bounces_may_be_dismissed(sqlite_unit: Unit) -> None:
    """It was a mail server's mistake: those who were held go on."""
    people, sent_edition = flood(sqlite_unit, HOLD_BOUNCES_MIN + 1)
    assert settle_held(sqlite_unit, sent_edition, stop=False, who="ann", now=NOW) == 1
    assert get(sqlite_unit, people[-1].id).state is SubscriberState.ACTIVE
    assert row(sqlite_unit, sent_edition, people[-1]).later == ""
    # Ten minutes later the next one is heeded again.
    come(sqlite_unit, sent_edition, people[-1], sample("postfix"), at=NOW + timedelta(minutes=11))
    assert get(sqlite_unit, people[-1].id).state is SubscriberState.BOUNCED


def test_a_block_behind_a_relay_is_reported(unit: Unit) -> None:
    """Mails that come back because of us are counted for whoever watches the edition, and raise an alert."""
    people, sent_edition = [put(unit, f"p{n}@example.org") for n in range(26)], begin_edition(unit)
    block = bounce_with("5.7.1", words="<ann@example.org> blocked, see our page")
    for number, person in enumerate(people):
        assert (AlertKind.REFUSED_PEOPLE in open_alerts(unit)) == (number >= 25)
        assert come(unit, sent_edition, person, block).action is BounceAction.NOTED
        assert come(unit, sent_edition, person, block).action is BounceAction.KNOWN
    with unit.read() as tx:
        [counted] = tx.execute(select(tally)).all()
    assert (counted.policy, counted.hard, counted.refused, counted.accepted) == (26, 0, 0, 0)
    alert = open_alerts(unit)[AlertKind.REFUSED_PEOPLE]
    assert alert.startswith("25 of 26 mails of the edition of 2026-11-03 came back because of us, not of the readers")
    assert "ann@example.org" not in alert


def test_what_is_remembered_of_a_flood_stays_small_and_goes(unit: Unit) -> None:
    """A bounce costs as much as the one before it, and the day after nothing is left of any."""
    people, sent_edition = [put(unit, f"p{n}@example.org") for n in range(9)], begin_edition(unit)
    window = select(bounce_window.c.counts).where(bounce_window.c.edition_id == sent_edition.id)
    sizes = []
    for person in people:
        come(unit, sent_edition, person, sample("postfix"))
        with unit.read() as tx:
            sizes.append(len(tx.execute(window).scalar_one()))
    assert sizes == sizes[:1] * len(people)
    with unit.write() as tx:
        assert evidence.forget_recent(tx, now=NOW + timedelta(minutes=9)) == 0
        assert evidence.forget_recent(tx, now=NOW + timedelta(days=1)) == 1
        assert tx.execute(window).scalars().all() == []


def test_five_per_cent_of_a_large_edition(sqlite_unit: Unit) -> None:
    """With a thousand people fifty may go within ten minutes."""
    people, sent_edition = [put(sqlite_unit, f"p{n}@example.org") for n in range(51)], begin_edition(sqlite_unit)
    with sqlite_unit.write() as tx:
        tx.execute(update(edition).values(audience=1_000))
    actions = [come(sqlite_unit, sent_edition, person, sample("postfix")).action for person in people]
    assert actions == [BounceAction.STOPPED] * 50 + [BounceAction.HELD]


def test_an_edition_that_comes_back_is_paused(sqlite_unit: Unit) -> None:
    """Behind a relay that takes everything, only the bounces tell that going on would burn the list."""
    people, sent_edition = [put(sqlite_unit, f"p{n}@example.org") for n in range(25)], begin_edition(sqlite_unit)
    with sqlite_unit.write() as tx:
        tx.execute(
            insert(tally).values(
                edition_id=sent_edition.id, worker_id=1, source="worker", accepted=900, since=NOW, at=NOW
            )
        )
    for reader in people:
        set_delivery(sqlite_unit, sent_edition, reader, ACCEPTED)
    raw = [
        bounce_with("5.7.1", words="blocked").raw(verp=verp_of(sqlite_unit, sent_edition, reader)) for reader in people
    ]
    for number, returned_mail in enumerate(raw):
        with sqlite_unit.read() as tx:
            assert editions.by_id(tx, sent_edition.id).status is EditionStatus.SENDING, number
        read_bounce(sqlite_unit, KEYRING, returned_mail, limits=BreakerLimits(), now=NOW)
    with sqlite_unit.read() as tx:
        paused = editions.by_id(tx, sent_edition.id)
    assert paused.status is EditionStatus.PAUSED
    assert paused.status_why.startswith("25 of 900 people (2.8 %) were refused because of us")


def counted_since(unit: Unit, sent_edition: Edition) -> Tally:
    """Return what the breaker goes by."""
    with unit.read() as tx:
        return tallies.of_edition(tx, sent_edition.id).since(tallies.borne(tx, sent_edition.id) or Tally())


def test_a_person_counts_once(unit: Unit) -> None:
    """Who was accepted and came back is one person who was refused, in the share that pauses an edition."""
    people, sent_edition = [put(unit, f"p{n}@example.org") for n in range(4)], begin_edition(unit)
    with unit.write() as tx:
        tallies.add(tx, sent_edition.id, WorkerId(1), {"accepted": 100, "hard": 1, "uncertain": 1}, now=NOW)
    states = [ACCEPTED, DeliveryState.SENDING, REJECTED, UNCERTAIN]
    for person, state in zip(people, states, strict=True):
        set_delivery(unit, sent_edition, person, state)
        come(unit, sent_edition, person, sample("postfix"))
    counted = counted_since(unit, sent_edition)
    # The one on its way is accepted in a moment; the refused one was counted at our own door.
    assert (counted.accepted, counted.hard, counted.answered) == (98, 4, 102)
    with unit.read() as tx:
        receipt = report.receipt(tx, editions.by_id(tx, sent_edition.id))
    assert (receipt.counts[ACCEPTED], receipt.came_back, receipt.balances) == (1, 4, True)


@pytest.mark.parametrize("later", [False, True])
def test_a_person_counts_once_after_a_resume(unit: Unit, *, later: bool) -> None:
    """Whose mail comes back after a resume counts among the people since, whenever it was sent."""
    people, sent_edition = [put(unit, f"p{n}@example.org") for n in range(3)], begin_edition(unit)
    with unit.write() as tx:
        tallies.add(tx, sent_edition.id, WorkerId(1), {"accepted": 100}, now=NOW)
    assert pause_edition(unit, sent_edition, who="ann", why="", now=NOW)
    assert resume_edition(unit, sent_edition, who="ann", now=NOW)
    with unit.write() as tx:
        tallies.add(tx, sent_edition.id, WorkerId(1), {"accepted": 10}, now=NOW)
    at = NOW + timedelta(seconds=1 if later else -1)
    for person in people:
        set_delivery(unit, sent_edition, person, ACCEPTED, last_attempt_at=at)
        come(unit, sent_edition, person, sample("postfix"), at=NOW + timedelta(hours=1))
    counted = counted_since(unit, sent_edition)
    assert (counted.hard, counted.answered) == (3, 10 if later else 13)
    with unit.read() as tx:
        assert tallies.of_edition(tx, sent_edition.id) == Tally(accepted=107, hard=3)


def test_a_domain_that_is_lost_counts_as_an_address_that_is(sqlite_unit: Unit) -> None:
    """By mail as at our own door: what the reply means decides, not the way it came."""
    person, sent_edition = put(sqlite_unit, "ann@example.org"), begin_edition(sqlite_unit)
    set_delivery(sqlite_unit, sent_edition, person, ACCEPTED)
    come(sqlite_unit, sent_edition, person, bounce_with("5.4.4"))
    assert counted_since(sqlite_unit, sent_edition).hard == 1
