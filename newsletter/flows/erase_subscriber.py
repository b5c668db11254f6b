"""Erasing a person: nothing that names them stays but a keyed hash, by which they are never added again.

In: a subscriber. Out: what was done, as numbers. Their deliveries stay without them, so that every report still adds
up; what has not gone out is taken back first. The log bears the id, not the address.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from newsletter.core.address import parse_address
from newsletter.core.subscriber import Subscriber, SubscriberId
from newsletter.core.token import Keyring, suppression_hash
from newsletter.store import address_change as address_changes
from newsletter.store import backlog as backlogs
from newsletter.store import delivery as deliveries
from newsletter.store import erasure, ledger
from newsletter.store import link_request as link_requests
from newsletter.store import log as logs
from newsletter.store import signup as signups
from newsletter.store import subscriber as subscribers
from newsletter.store.ledger import LedgerKind
from newsletter.store.unit import Tx, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was done."""

    id: SubscriberId
    skipped: int
    """Mails that were waiting and do not go out."""
    blanked: int
    """Deliveries that stay without the person."""
    addresses: int
    """Addresses on the suppression list from now on: the present one, and those before it."""
    spellings: set[str]
    """Every form of the addresses, to be looked for in what people wrote."""


def erase_subscriber(
    unit: Unit, keyring: Keyring, subscriber_id: SubscriberId, *, who: str, why: str = "", now: datetime
) -> Erased | None:
    """Forget a person for good; None when they were erased already."""
    with unit.write() as tx:
        person = subscribers.locked(tx, subscriber_id)
        if person is None:
            return None
        result = forget(tx, keyring, person, now=now)
        logs.add(
            tx,
            logs.LogEntry(at=now, who=who, what="subscriber erase", about=f"subscriber {person.id}", why=why),
        )
        # Last, so that the words of this very entry are looked through too.
        erasure.scrub_words(tx, result.spellings)
    unit.flush()
    return result


def forget(tx: Tx, keyring: Keyring, person: Subscriber, *, now: datetime) -> Erased:
    """Do it inside a transaction; the words of the log are left to the caller, who writes the last of them."""
    addresses = {person.email, *erasure.former_addresses(tx, person.id)}
    suppressed = _suppress(tx, keyring, person, addresses, now=now)
    skipped = deliveries.skip_person(tx, person.id, "erased")
    spellings = spellings_of(addresses)
    erasure.scrub_replies(tx, person.id, spellings)
    blanked = deliveries.blank_person(tx, person.id)
    erasure.drop_notices(tx, spellings)
    signups.drop_addresses(tx, spellings)
    link_requests.drop_person(tx, person.id)
    backlogs.drop(tx, person.id)
    address_changes.drop_person(tx, person.id, spellings)
    subscribers.erase(tx, person.id)
    ledger.note(tx, LedgerKind.ERASED, str(person.id), now=now, canonical=person.canonical)
    return Erased(id=person.id, skipped=skipped, blanked=blanked, addresses=suppressed, spellings=spellings)


def _suppress(tx: Tx, keyring: Keyring, person: Subscriber, addresses: set[str], *, now: datetime) -> int:
    """Put every address of the person on the list, but for one that is somebody else's by now."""
    people = 0
    for canonical in {parse_address(address).canonical for address in addresses}:
        owner = subscribers.by_canonical(tx, canonical)
        if owner is None or owner.id == person.id:
            subscribers.suppress_hash(tx, suppression_hash(keyring, canonical), reason="erased", now=now)
            people += 1
    return people


def spellings_of(addresses: Iterable[str]) -> set[str]:
    """Return every way in which these addresses may have been written down."""
    parsed = [parse_address(address) for address in addresses]
    return {form for item in parsed for form in (item.email, item.canonical, item.smtp)}
