"""What a mail server's final no does to a subscriber."""

from __future__ import annotations

from datetime import datetime

from newsletter.core.subscriber import SubscriberId, bounce
from newsletter.store import delivery as deliveries
from newsletter.store import subscriber as subscribers
from newsletter.store.subscriber import Consent
from newsletter.store.unit import Tx


def suppress(tx: Tx, who: SubscriberId, *, why: str, now: datetime) -> None:
    """Mail an address no more; part of the transaction that records the refusal."""
    person = subscribers.locked(tx, who)
    if person is None:
        return
    changed = bounce(person, now=now, why=why)
    if changed == person:
        return
    subscribers.save_state(tx, changed)
    subscribers.add_consent(tx, who, Consent(at=now, action="bounced", channel="mail server", source=why))
    deliveries.skip_person(tx, who, "the address bounced")
