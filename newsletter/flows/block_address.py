"""Blocking an address: its owner got a mail to confirm that they never asked for, and wants no more of them.

In: the request whose mail had the link. Out: whether it is there. The address is kept as a keyed hash, so that no
sign-up of it causes a mail and no import brings it in. Its owner takes it back by the same link, or by confirming.
"""

from __future__ import annotations

from datetime import datetime

from newsletter.core.signup import SignupId
from newsletter.core.token import Keyring, suppression_hash, suppression_hashes
from newsletter.store import signup as signups
from newsletter.store import subscriber as subscribers
from newsletter.store.unit import Unit


def address_to_block(unit: Unit, signup_id: SignupId) -> str:
    """Return the address of a request; empty for one that was forgotten."""
    with unit.read() as tx:
        stored = signups.by_id(tx, signup_id)
    return stored.request.email if stored else ""


def block_address(unit: Unit, keyring: Keyring, signup_id: SignupId, *, now: datetime) -> bool:
    """Let no page cause a mail to the address; tell whether the request is still there."""
    with unit.write() as tx:
        stored = signups.by_id(tx, signup_id)
        if stored is None:
            return False
        subscribers.block(tx, suppression_hash(keyring, stored.request.canonical), now=now)
    return True


def unblock_address(unit: Unit, keyring: Keyring, signup_id: SignupId) -> bool:
    """Take it back; tell whether the request is still there."""
    with unit.write() as tx:
        stored = signups.by_id(tx, signup_id)
        if stored is None:
            return False
        subscribers.unblock(tx, suppression_hashes(keyring, stored.request.canonical))
    return True
