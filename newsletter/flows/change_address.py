"""Changing one's own address: asked for by the private link, done once the new address has confirmed it.

In: a person and an address; later the id of a genuine link. Out: what came of it. Whether somebody has the new address
already shows only to its owner, at the link. The old address stays with the evidence, and is told of the change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from newsletter.core.address import Address
from newsletter.core.address_change import CHANGE_WITHIN, AddressChange, AddressChangeId
from newsletter.core.subscriber import Subscriber, SubscriberId, SubscriberState
from newsletter.core.token import Keyring, suppression_hashes
from newsletter.errors import InputError
from newsletter.flows.change_subscriber import move_on
from newsletter.flows.confirm_signup import ConfirmedBy
from newsletter.store import address_change as address_changes
from newsletter.store import log as logs
from newsletter.store import subscriber as subscribers
from newsletter.store.address_change import StoredAddressChange
from newsletter.store.subscriber import Consent
from newsletter.store.unit import Tx, Unit

_CHANNEL = "private link"
_WHO = "the person, at the new address"


class ChangedAddress(Enum):
    """What came of a confirmation at the new address, or would come of it."""

    OPEN = "open"
    """Not confirmed yet: the button does it."""
    NOW = "now"
    """This call changed the address."""
    BEFORE = "before"
    """It was confirmed before; nothing was changed."""
    TAKEN = "taken"
    """Another person of the list has the address."""
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    """There is no such request (any more)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressConfirmation:
    """The result, and the request it is about."""

    outcome: ChangedAddress
    change: AddressChange | None = None


def ask_to_change_address(
    unit: Unit, subscriber_id: SubscriberId, address: Address, *, network: str, browser_hash: str, now: datetime
) -> None:
    """Write the wish; raises `InputError` for a person who was erased, and for the address they have."""
    with unit.write() as tx:
        person = subscribers.by_id(tx, subscriber_id)
        if person is None:
            raise InputError("This person was erased; nothing was changed.")
        if person.canonical == address.canonical:
            raise InputError("This is the address that you have; nothing was changed.")
        change = AddressChange(
            id=AddressChangeId(0),
            subscriber_id=subscriber_id,
            old_email=person.email,
            email=address.email,
            canonical=address.canonical,
            network=network,
            browser_hash=browser_hash,
            asked_at=now,
        )
        address_changes.add(tx, change)


def look_at_change(unit: Unit, change_id: AddressChangeId, *, now: datetime) -> AddressConfirmation:
    """Tell what pressing the button would do; nothing is changed."""
    with unit.read() as tx:
        return _standing(tx, address_changes.by_id(tx, change_id), now)


def confirm_address(
    unit: Unit, keyring: Keyring, change_id: AddressChangeId, *, by: ConfirmedBy, network: str, now: datetime
) -> AddressConfirmation:
    """Give the person the new address; pressing twice changes nothing the second time."""
    with unit.write() as tx:
        standing = _standing(tx, address_changes.by_id(tx, change_id, lock=True), now)
        if standing.outcome is not ChangedAddress.OPEN or standing.change is None:
            return standing
        person = subscribers.locked(tx, standing.change.subscriber_id)
        if person is None:
            return AddressConfirmation(outcome=ChangedAddress.UNKNOWN)
        _change(tx, keyring, person, standing.change, by=by, network=network, now=now)
        address_changes.confirm(tx, change_id, now=now)
        return AddressConfirmation(outcome=ChangedAddress.NOW, change=standing.change)


def _standing(tx: Tx, stored: StoredAddressChange | None, now: datetime) -> AddressConfirmation:
    if stored is None:
        return AddressConfirmation(outcome=ChangedAddress.UNKNOWN)
    change = stored.change
    if stored.confirmed_at is not None:
        return AddressConfirmation(outcome=ChangedAddress.BEFORE, change=change)
    if now >= (stored.decided_at or change.asked_at) + CHANGE_WITHIN:
        return AddressConfirmation(outcome=ChangedAddress.EXPIRED, change=change)
    person = subscribers.by_id(tx, change.subscriber_id)
    if person is not None and person.email != change.old_email:
        # The address changed since: a link that the former mailbox asked for must not change it again.
        return AddressConfirmation(outcome=ChangedAddress.EXPIRED, change=change)
    owner = subscribers.by_canonical(tx, change.canonical)
    is_free = owner is None or owner.id == change.subscriber_id
    return AddressConfirmation(outcome=ChangedAddress.OPEN if is_free else ChangedAddress.TAKEN, change=change)


def _change(
    tx: Tx, keyring: Keyring, person: Subscriber, change: AddressChange, *, by: ConfirmedBy, network: str, now: datetime
) -> None:
    evidence = {
        "from": person.email,
        "to": change.email,
        "asked at": change.asked_at.isoformat(timespec="seconds"),
        "asked from": change.network,
        "confirmed from": network,
        "confirmed by": by.value,
    }
    hashes = suppression_hashes(keyring, change.canonical)
    suppressed_at = subscribers.suppressed_since(tx, hashes)
    if suppressed_at is not None:
        reason = subscribers.suppression_reason(tx, hashes)
        subscribers.lift_suppression(tx, hashes)
        evidence["suppression lifted"] = f"{reason} on {suppressed_at:%Y-%m-%d}"
    moved = replace(person, email=change.email, canonical=change.canonical)
    subscribers.save(tx, moved)
    subscribers.add_consent(
        tx, person.id, Consent(at=now, action="address changed", channel=_CHANNEL, evidence=evidence)
    )
    if person.state is SubscriberState.BOUNCED:
        after = replace(moved, state=SubscriberState.ACTIVE, state_since=now, state_why="a new address was confirmed")
        move_on(tx, moved, after, Consent(at=now, action="reactivated", channel=_CHANNEL), reason="")
    about = f"subscriber {person.id}"
    logs.add(tx, logs.LogEntry(at=now, who=_WHO, what="subscriber edit", about=about, why="changed email"))
