"""What a person sees and changes of themselves, on both kinds of database."""

from __future__ import annotations

import re
from datetime import timedelta
from email import message_from_string, policy

import pytest

from newsletter.core.delivery import DeliveryState
from newsletter.core.notice import NoticeKind
from newsletter.core.subscriber import SubscriberId, SubscriberState
from newsletter.core.token import LinkPurpose, read_link_token
from newsletter.errors import InputError
from newsletter.flows.erase_subscriber import erase_subscriber
from newsletter.flows.own_settings import OwnChange, ask_for_link, change_own_settings, own_data, own_settings
from newsletter.flows.undo_leaving import PAUSE_SPAN
from newsletter.store import link_request as link_requests
from newsletter.store import notice as notices
from newsletter.store import subscriber as subscribers
from newsletter.store.notice import Notice
from newsletter.store.schema import metadata
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.flows.people_fixtures import KEYRING, begin_edition, get, put, set_delivery
from tests.flows.signup_fixtures import make_own_request_processor

ADA = "ada@example.org"


def change(unit: Unit, who: SubscriberId, change_kind: OwnChange, value: str = "") -> None:
    """Change one thing."""
    change_own_settings(unit, KEYRING, who, change_kind, value, now=START)


def mails(unit: Unit) -> list[Notice]:
    """Return the mails to the person."""
    with unit.read() as tx:
        return list(notices.to_addresses(tx, [ADA]))


def test_a_person_sees_what_the_machine_knows(unit: Unit) -> None:
    """Who they are, and what became of each mail."""
    ada = put(unit, ADA, first_name="Ada")
    set_delivery(unit, begin_edition(unit), ada, DeliveryState.ACCEPTED)
    known = own_settings(unit, ada.id)
    assert known is not None
    assert (known.email, known.first_name, known.state) == (ADA, "Ada", SubscriberState.ACTIVE)
    [issue] = known.history
    assert (str(issue.date), issue.title, issue.state.value) == ("2026-11-03", "T", "accepted")
    assert (issue.bounced, issue.reason, issue.server_said) == (False, "", "")
    document = own_data(unit, KEYRING, ada.id, now=START)
    assert document is not None
    assert document["email"] == ADA


@pytest.mark.parametrize(
    ("state", "values", "expected"),
    [
        (DeliveryState.SKIPPED, {"reason": "paused"}, (False, "paused", "")),
        (DeliveryState.REJECTED, {"reply_code": 550, "reply_text": "no such box"}, (False, "", "550 no such box")),
        (DeliveryState.ACCEPTED, {"reply_code": 250, "reply_text": "queued as 7"}, (False, "", "")),
        (DeliveryState.ACCEPTED, {"later": "bounced", "later_text": "box is full"}, (True, "", "box is full")),
    ],
)
def test_a_person_sees_why_a_mail_did_not_come(
    unit: Unit, state: DeliveryState, values: dict[str, object], expected: tuple[bool, str, str]
) -> None:
    """The change that held it back, or the words of their own server; a server that took it said nothing against it."""
    ada = put(unit, ADA)
    set_delivery(unit, begin_edition(unit), ada, state, **values)
    known = own_settings(unit, ada.id)
    assert known is not None
    [issue] = known.history
    assert (issue.bounced, issue.reason, issue.server_said) == expected


EXPORTED = {
    "subscriber": "subscriber",
    "consent": "consent",
    "delivery": "editions",
    "link_request": "private_links",
    "address_change": "address_changes",
    "backlog": "missed_tips",
    "signup": "sign_ups",
    "notice": "notices",
    "suppression": "suppression",
    "log": "log",
}
"""Where the export has the rows of a table."""


def test_the_export_has_every_table_with_people(unit: Unit) -> None:
    """A new table that names a person, or an address, has a place in the export."""
    with_people = {
        table.name
        for table in metadata.sorted_tables
        if {"subscriber_id", "canonical", "recipient"} & set(table.columns.keys())
    }
    assert with_people - EXPORTED.keys() == set()
    ada = put(unit, ADA)
    ask_for_link(unit, ada.id, now=START)
    document = own_data(unit, KEYRING, ada.id, now=START)
    assert document is not None
    assert set(EXPORTED.values()) <= document.keys()
    assert document["private_links"] == [{"asked_at": START.isoformat()}]


def test_name_and_zone(unit: Unit) -> None:
    """What cannot be is a sentence."""
    ada = put(unit, ADA)
    change(unit, ada.id, OwnChange.NAME, "Ada\r\nBcc: x")
    change(unit, ada.id, OwnChange.ZONE, "Europe/Berlin")
    person = get(unit, ada.id)
    assert "\n" not in person.first_name
    assert person.time_zone == "Europe/Berlin"
    with pytest.raises(InputError):
        change(unit, ada.id, OwnChange.ZONE, "Nowhere/Never")


def test_pausing_going_on_and_leaving(unit: Unit) -> None:
    """A pause has an end, every change has evidence, and a settings link subscribes no one again."""
    ada = put(unit, ADA)
    change(unit, ada.id, OwnChange.PAUSE)
    known = own_settings(unit, ada.id)
    assert known is not None
    assert (known.state, known.paused_until) == (SubscriberState.PAUSED, START + PAUSE_SPAN)
    change(unit, ada.id, OwnChange.RESUME)
    known = own_settings(unit, ada.id)
    assert known is not None
    assert (known.state, known.paused_until) == (SubscriberState.ACTIVE, None)
    change(unit, ada.id, OwnChange.LEAVE)
    for change_kind in (OwnChange.PAUSE, OwnChange.RESUME):
        with pytest.raises(InputError):
            change(unit, ada.id, change_kind)
    with unit.read() as tx:
        evidence = [(item.action, item.channel) for item in subscribers.consents(tx, ada.id)]
    assert evidence == [(action, "private link") for action in ("paused", "resumed", "unsubscribed")]


def test_erasing_oneself(unit: Unit) -> None:
    """Nothing is left, and the link shows nothing any more."""
    ada = put(unit, ADA)
    ask_for_link(unit, ada.id, now=START)
    change(unit, ada.id, OwnChange.ERASE)
    assert own_settings(unit, ada.id) is None
    assert own_data(unit, KEYRING, ada.id, now=START) is None
    with unit.read() as tx:
        assert link_requests.undecided(tx, limit=10) == []
    with pytest.raises(InputError):
        change(unit, ada.id, OwnChange.LEAVE)


def test_the_link_goes_to_the_persons_own_address(unit: Unit) -> None:
    """The link names the person and ends after a day; three a day, ten minutes apart."""
    ada = put(unit, ADA)
    for minute in range(0, 100, 5):
        now = START + timedelta(minutes=minute)
        ask_for_link(unit, ada.id, now=now)
        make_own_request_processor(unit).work(now)
    assert [notice.key.kind for notice in mails(unit)] == [NoticeKind.PRIVATE_LINK] * 3
    message = message_from_string(mails(unit)[0].message, policy=policy.SMTP)
    text = message.get_body(("plain",)).get_content()  # type: ignore[attr-defined]
    [token] = re.findall(r"/me/(\S+)", text)
    link = read_link_token(KEYRING, token, LinkPurpose.PRIVATE)
    assert link is not None
    assert (link.id, link.expires_at) == (ada.id, START + timedelta(days=1))


def test_no_link_for_a_person_who_is_gone(unit: Unit) -> None:
    """A complaint stays one, and an erased person has no address."""
    ada = put(unit, ADA, state=SubscriberState.COMPLAINED)
    ask_for_link(unit, ada.id, now=START)
    make_own_request_processor(unit).work(START)
    erase_subscriber(unit, KEYRING, ada.id, who="pat", now=START)
    ask_for_link(unit, ada.id, now=START)
    make_own_request_processor(unit).work(START)
    assert mails(unit) == []
