"""Changing one's own address: asked for by private link, confirmed at the new address, on both kinds of database."""

from __future__ import annotations

import re
from datetime import timedelta
from email import message_from_string, policy

import pytest

from newsletter.core.address import parse_address
from newsletter.core.address_change import AddressChangeId
from newsletter.core.notice import NoticeKind
from newsletter.core.subscriber import SubscriberId, SubscriberState
from newsletter.core.token import LinkPurpose, read_link_token
from newsletter.errors import InputError
from newsletter.flows.change_address import ChangedAddress, ask_to_change_address, confirm_address, look_at_change
from newsletter.flows.confirm_signup import ConfirmedBy
from newsletter.flows.erase_subscriber import erase_subscriber
from newsletter.flows.export_person import export_person
from newsletter.operations.retention import RetentionJob
from newsletter.store import address_change as address_changes
from newsletter.store import notice as notices
from newsletter.store import subscriber as subscribers
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.flows.people_fixtures import KEYRING, get, put
from tests.flows.signup_fixtures import make_own_request_processor

OLD, NEW = "ada@example.org", "Ada@work.example.com"
HOUR = timedelta(hours=1)


def ask_at(unit: Unit, who: SubscriberId, email: str = NEW) -> None:
    """Ask for another address."""
    ask_to_change_address(unit, who, parse_address(email), network="192.0.2.0/24", browser_hash="browser", now=START)


def last_change(unit: Unit, who: SubscriberId) -> AddressChangeId:
    """Return the id of the newest request of a person."""
    with unit.read() as tx:
        return address_changes.of_person(tx, who)[-1].change.id


def press(unit: Unit, who: SubscriberId, *, after: timedelta = HOUR) -> ChangedAddress:
    """Press the button of the page that the newest mail leads to."""
    return confirm_address(
        unit,
        KEYRING,
        last_change(unit, who),
        by=ConfirmedBy.OTHER_BROWSER,
        network="198.51.100.0/24",
        now=START + after,
    ).outcome


def mails(unit: Unit, email: str) -> list[tuple[NoticeKind, str]]:
    """Return kind and text of each mail to an address."""
    with unit.read() as tx:
        written = notices.to_addresses(tx, [email])
    parsed = [(item.key.kind, message_from_string(item.message, policy=policy.SMTP)) for item in written]
    return [(kind, " ".join(message.get_body(("plain",)).get_content().split())) for kind, message in parsed]  # type: ignore[attr-defined]


def test_the_new_address_confirms_and_the_old_one_gets_a_mail(unit: Unit) -> None:
    """Nothing changes before the press; then the person is the same with another address, with evidence of it."""
    ada = put(unit, OLD, first_name="Ada")
    ask_at(unit, ada.id)
    processor = make_own_request_processor(unit)
    assert processor.work(START) == 1
    [(kind, text)] = mails(unit, NEW)
    assert (kind, "a***@example.org" in text, OLD in text) == (NoticeKind.NEW_ADDRESS, True, False)
    [token] = re.findall(r"https://news\.example\.com/address/(\S+)", text)
    link = read_link_token(KEYRING, token, LinkPurpose.ADDRESS)
    assert link is not None
    assert (link.id, link.expires_at) == (last_change(unit, ada.id), START + timedelta(days=1))
    assert look_at_change(unit, AddressChangeId(link.id), now=START).outcome is ChangedAddress.OPEN
    assert get(unit, ada.id).email == OLD
    assert press(unit, ada.id) is ChangedAddress.NOW
    assert press(unit, ada.id) is ChangedAddress.BEFORE
    person = get(unit, ada.id)
    assert (person.email, person.canonical, person.first_name) == (NEW, "ada@work.example.com", "Ada")
    with unit.read() as tx:
        consent = subscribers.consents(tx, ada.id)[-1]
    assert (consent.action, consent.channel) == ("address changed", "private link")
    assert (consent.evidence["from"], consent.evidence["to"]) == (OLD, NEW)
    assert consent.evidence["confirmed by"] == "the link, in another browser"
    assert processor.work(START + HOUR) == 1
    assert processor.work(START + HOUR) == 0
    [(kind, text)] = mails(unit, OLD)
    assert (kind, "A***@work.example.com" in text, NEW in text) == (NoticeKind.ADDRESS_CHANGED, True, False)


def test_an_address_of_another_person_is_not_taken(unit: Unit) -> None:
    """The page that asks says nothing of it; the owner of the address is told at the link."""
    ada, ben = put(unit, OLD), put(unit, NEW)
    ask_at(unit, ada.id)
    make_own_request_processor(unit).work(START)
    assert len(mails(unit, NEW)) == 1
    assert press(unit, ada.id) is ChangedAddress.TAKEN
    assert (get(unit, ada.id).email, get(unit, ben.id).email) == (OLD, NEW)


def test_the_link_ends_after_a_day(unit: Unit) -> None:
    """What is too old changes nothing."""
    ada = put(unit, OLD)
    ask_at(unit, ada.id)
    assert press(unit, ada.id, after=timedelta(days=1)) is ChangedAddress.EXPIRED
    assert get(unit, ada.id).email == OLD


@pytest.mark.parametrize("email", ["postmaster@example.com", "spam@example.com"])
def test_some_addresses_get_no_mail(unit: Unit, email: str) -> None:
    """The address of a function, and one that called a mail spam."""
    put(unit, "spam@example.com", state=SubscriberState.COMPLAINED)
    ada = put(unit, OLD)
    ask_at(unit, ada.id, email)
    make_own_request_processor(unit).work(START)
    assert mails(unit, email) == []


def test_a_stranger_gets_one_mail_a_day(unit: Unit) -> None:
    """The new address may be that of a stranger: the limits of sign-ups hold."""
    ada = put(unit, OLD)
    for _ in range(5):
        ask_at(unit, ada.id)
    make_own_request_processor(unit).work(START)
    assert len(mails(unit, NEW)) == 1


def test_the_present_address_is_no_change(unit: Unit) -> None:
    """It is a sentence, and no mail."""
    ada = put(unit, OLD)
    with pytest.raises(InputError, match="nothing was changed"):
        ask_at(unit, ada.id, "ADA@example.org")


def test_a_bounced_person_is_active_again_at_a_new_address(unit: Unit) -> None:
    """The old mailbox was the trouble, not the person; one who left stays away."""
    for state, after in ((SubscriberState.BOUNCED, SubscriberState.ACTIVE), (SubscriberState.UNSUBSCRIBED, None)):
        ada = put(unit, f"{state.value}@example.org", state=state)
        ask_at(unit, ada.id, f"{state.value}@example.com")
        assert press(unit, ada.id) is ChangedAddress.NOW
        assert get(unit, ada.id).state is (after or state)


def test_an_address_that_was_erased_comes_back_by_its_owner(unit: Unit) -> None:
    """The confirmation at the address is its owner's own wish, and lifts the suppression."""
    erase_subscriber(unit, KEYRING, put(unit, NEW).id, who="pat", now=START)
    ada = put(unit, OLD)
    ask_at(unit, ada.id)
    assert press(unit, ada.id) is ChangedAddress.NOW
    with unit.read() as tx:
        assert "suppression lifted" in subscribers.consents(tx, ada.id)[-1].evidence


def test_requests_are_exported_erased_and_forgotten(unit: Unit) -> None:
    """The export names them, an erasure leaves none, and retention takes them after two weeks."""
    ada = put(unit, OLD)
    ask_at(unit, ada.id)
    known = export_person(unit, KEYRING, OLD, now=START)
    assert known is not None
    assert [item["to"] for item in known["address_changes"]] == [NEW]
    retention = RetentionJob(unit=unit, keep_deliveries=timedelta(days=730), process="test")
    for _ in range(5):
        retention.work(START + timedelta(days=15))
    with unit.read() as tx:
        assert address_changes.of_person(tx, ada.id) == []
    ask_at(unit, ada.id)
    erase_subscriber(unit, KEYRING, ada.id, who="pat", now=START)
    with unit.read() as tx:
        assert address_changes.of_person(tx, ada.id) == []


def test_a_request_from_before_another_change_is_void(unit: Unit) -> None:
    """Whoever could read the old mailbox asked for an address of theirs: after the change its link works no more."""
    ada = put(unit, OLD)
    ask_at(unit, ada.id, "stranger@example.net")
    earlier = last_change(unit, ada.id)
    ask_at(unit, ada.id)
    assert press(unit, ada.id) is ChangedAddress.NOW
    by, network, now = ConfirmedBy.OTHER_BROWSER, "203.0.113.0/24", START + 2 * HOUR
    assert look_at_change(unit, earlier, now=now).outcome is ChangedAddress.EXPIRED
    result = confirm_address(unit, KEYRING, earlier, by=by, network=network, now=now)
    assert result.outcome is ChangedAddress.EXPIRED
    assert get(unit, ada.id).email == NEW
