"""Opting out by the link of a mail: a genuine token ends it for good, at any number of clicks by any person.

In: the token of a link. Out: an `OptOut`; a token that is not ours is a value too, never an exception. What still waits
for this person is taken back in the same transaction. It logs no address and asks for no login.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from newsletter.core.address import mask_address
from newsletter.core.edition import EditionId
from newsletter.core.subscriber import Subscriber, SubscriberId, unsubscribe
from newsletter.core.token import Keyring, read_unsubscribe_token
from newsletter.flows.change_subscriber import move_on
from newsletter.store import subscriber as subscribers
from newsletter.store.subscriber import Consent
from newsletter.store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOut:
    """What came of it."""

    genuine: bool
    """False: the token is not one of ours, and nothing was done."""
    person: Subscriber | None = None
    """As they are now; None for one who was erased, who gets no mail either."""
    before: Subscriber | None = None
    """As they were before."""
    changed: bool = False
    """False when they had left before."""
    edition_id: EditionId | None = None
    """The mailing whose link it was."""


def masked_address(unit: Unit, subscriber_id: SubscriberId) -> str:
    """Return the address of a person, of which little can be read; empty for one who was erased."""
    with unit.read() as tx:
        person = subscribers.by_id(tx, subscriber_id)
    return mask_address(person.email) if person else ""


def opt_out(unit: Unit, keyring: Keyring, token: str, *, channel: str, now: datetime) -> OptOut:
    """Unsubscribe the person of a token; `channel` is `one-click` or `page` and is kept as evidence."""
    link = read_unsubscribe_token(keyring, token)
    if link is None:
        return OptOut(genuine=False)
    with unit.write() as tx:
        before = subscribers.locked(tx, link.subscriber_id)
        if before is None:
            return OptOut(genuine=True, edition_id=link.edition_id)
        after = unsubscribe(before, now=now, why=f"opted out ({channel})")
        consent = Consent(at=now, action="unsubscribed", channel=channel, edition_id=link.edition_id)
        move_on(tx, before, after, consent, reason="unsubscribed")
        return OptOut(genuine=True, person=after, before=before, changed=after != before, edition_id=link.edition_id)
