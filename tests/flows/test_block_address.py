"""Blocking an address whose owner never asked, and sending the mail once more, on both kinds of database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from newsletter.core.address import parse_address
from newsletter.core.notice import NoticeKind
from newsletter.core.signup import SignupId
from newsletter.errors import InputError
from newsletter.flows.add_subscriber import refuse_erased
from newsletter.flows.ask_again import AskedAgain, ask_again
from newsletter.flows.block_address import address_to_block, block_address, unblock_address
from newsletter.flows.confirm_signup import Confirmed, ConfirmedBy, confirm_signup
from newsletter.flows.erase_subscriber import erase_subscriber
from newsletter.flows.export_person import export_person
from newsletter.store import notice as notices
from newsletter.store import signup as signups
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.flows.people_fixtures import KEYRING, put
from tests.flows.signup_fixtures import ask_for, make_processor

ADA = "ada@example.org"
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def kinds(unit: Unit) -> list[NoticeKind]:
    """Return the kinds of the mails to the address."""
    with unit.read() as tx:
        return [item.key.kind for item in notices.to_addresses(tx, [ADA])]


def first_request(unit: Unit) -> SignupId:
    """Return the id of the oldest request."""
    with unit.read() as tx:
        return signups.of_addresses(tx, [ADA])[0].request.id


def ask_and_work(unit: Unit, day: int) -> None:
    """Ask for the address on a day, and decide."""
    ask_for(unit, ADA, now=START + day * DAY)
    make_processor(unit).work(START + day * DAY)


@pytest.mark.parametrize("erased", [False, True])
def test_a_blocked_address_gets_no_mail_from_a_form(unit: Unit, erased: bool) -> None:  # noqa: FBT001
    """Also one that was erased before; no import brings it in, and the export says so."""
    if erased:
        erase_subscriber(unit, KEYRING, put(unit, ADA).id, who="pat", now=START)
    ask_and_work(unit, 0)
    assert address_to_block(unit, first_request(unit)) == ADA
    assert block_address(unit, KEYRING, first_request(unit), now=START)
    assert block_address(unit, KEYRING, first_request(unit), now=START)
    ask_and_work(unit, 2)
    assert kinds(unit) == [NoticeKind.CONFIRM]
    known = export_person(unit, KEYRING, ADA, now=START)
    assert known is not None
    assert known["suppression"]["reason"] == "blocked"
    with unit.read() as tx, pytest.raises(InputError, match="blocked by its owner"):
        refuse_erased(tx, KEYRING, email=ADA, canonical=parse_address(ADA).canonical)


def test_the_owner_takes_it_back(unit: Unit) -> None:
    """The next sign-up causes a mail again; imports are still kept away."""
    ask_and_work(unit, 0)
    block_address(unit, KEYRING, first_request(unit), now=START)
    assert unblock_address(unit, KEYRING, first_request(unit))
    ask_and_work(unit, 2)
    assert kinds(unit) == [NoticeKind.CONFIRM] * 2
    with unit.read() as tx, pytest.raises(InputError):
        refuse_erased(tx, KEYRING, email=ADA, canonical=parse_address(ADA).canonical)


def test_who_confirms_after_all_is_on_the_list(unit: Unit) -> None:
    """The confirmation is the owner's own wish, and lifts the block."""
    ask_and_work(unit, 0)
    block_address(unit, KEYRING, first_request(unit), now=START)
    by = ConfirmedBy.OTHER_BROWSER
    result = confirm_signup(unit, KEYRING, first_request(unit), by=by, network="", now=START + MINUTE)
    assert result.outcome is Confirmed.NOW
    known = export_person(unit, KEYRING, ADA, now=START)
    assert known is not None
    assert known["suppression"] is None


def test_a_request_that_was_forgotten_blocks_nothing(unit: Unit) -> None:
    """The link outlives the request by no more than its own end."""
    assert address_to_block(unit, SignupId(7)) == ""
    assert not block_address(unit, KEYRING, SignupId(7), now=START)
    assert not unblock_address(unit, KEYRING, SignupId(7))


def again(unit: Unit, after: timedelta, *, browser_hash: str = "browser", network: str = "192.0.2.0/24") -> AskedAgain:
    """Press the button some time after asking, and decide."""
    asked = ask_again(unit, KEYRING, browser_hash, network=network, now=START + after)
    make_processor(unit).work(START + after)
    return asked


def test_the_mail_comes_once_more_after_a_minute(unit: Unit) -> None:
    """In the browser that asked, once; the second mail has the code and the request of the first."""
    ask_and_work(unit, 0)
    assert again(unit, timedelta(seconds=59)) is AskedAgain.EARLY
    assert again(unit, MINUTE, browser_hash="another") is AskedAgain.UNKNOWN
    assert again(unit, MINUTE) is AskedAgain.DONE
    assert again(unit, 2 * MINUTE) is AskedAgain.DONE
    with unit.read() as tx:
        written = [(item.key.about, item.key.variant) for item in notices.to_addresses(tx, [ADA])]
    assert written == [(str(first_request(unit)), variant) for variant in ("", "again")]


def test_a_person_on_the_list_gets_nothing_once_more(unit: Unit) -> None:
    """The answer is the same, and no mail follows."""
    put(unit, ADA)
    ask_and_work(unit, 0)
    assert again(unit, MINUTE) is AskedAgain.DONE
    assert kinds(unit) == [NoticeKind.ALREADY]


def test_a_network_that_asked_too_often_waits(unit: Unit) -> None:
    """The press counts with the requests of the network."""
    ask_and_work(unit, 0)
    for number in range(4):
        ask_for(unit, f"r{number}@example.org", browser_hash="others")
    assert again(unit, MINUTE) is AskedAgain.EARLY
    assert again(unit, MINUTE, network="198.51.100.0/24") is AskedAgain.DONE
