"""What a mail server's no does to a subscriber: at once, where it is sure; else when it was repeated for weeks.

In: an outcome that has just been recorded, in the same transaction. Out: whether the subscription ended by it. Nothing
is counted in a column: the history is read again each time (`core/bounce_count.py`).
"""

from __future__ import annotations

from datetime import datetime

from newsletter.core.bounce_count import counts, verdict
from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionId
from newsletter.core.subscriber import SubscriberId, bounce
from newsletter.store import delivery as deliveries
from newsletter.store import evidence
from newsletter.store import subscriber as subscribers
from newsletter.store.subscriber import Consent
from newsletter.store.unit import Tx, Unit

MAIL_SERVER = "mail server"
"""By which way it is known: the answer to our own mail."""

_PAGE_ROWS = 500


def suppress(
    tx: Tx,
    who: SubscriberId,
    *,
    why: str,
    now: datetime,
    channel: str = MAIL_SERVER,
    edition_id: EditionId | None = None,
) -> bool:
    """Mail an address no more; part of the transaction that records the refusal. Tell whether that is new."""
    person = subscribers.locked(tx, who)
    if person is None:
        return False
    changed = bounce(person, now=now, why=why)
    if changed == person:
        return False
    subscribers.save_state(tx, changed)
    subscribers.add_consent(
        tx, who, Consent(at=now, action="bounced", channel=channel, source=why, edition_id=edition_id)
    )
    deliveries.skip_person(tx, who, "the address bounced")
    return True


def count_failure(
    tx: Tx, who: SubscriberId, *, state: DeliveryState, kind: str, now: datetime, channel: str = MAIL_SERVER
) -> bool:
    """Weigh a failure that ends no subscription by itself, after its row (state and kind) was written.

    Part of the same transaction; costs nothing for any other outcome. Tells whether it was one too many.
    """
    if not counts(state, kind):
        return False
    why = reason_to_stop(tx, who, now=now)
    return bool(why) and suppress(tx, who, why=why, now=now, channel=channel)


def reason_to_stop(tx: Tx, who: SubscriberId, *, now: datetime) -> str:
    """Return why a person must not be mailed any more, by what became of their last editions; empty for no reason."""
    return verdict(evidence.history(tx, who), now=now)


def count_expired(unit: Unit, edition_id: EditionId, *, now: datetime) -> int:
    """Weigh those who were given up in an edition; call it once, when it is closed. Return how many were one too many.

    Small transactions, so that no other process waits for the write lock; a second call does no harm.
    """
    last, stopped = 0, 0
    while True:
        with unit.write() as tx:
            people = evidence.expired_people(tx, edition_id, after=last, limit=_PAGE_ROWS)
            for _, who in people:
                why = reason_to_stop(tx, who, now=now)
                stopped += bool(why) and suppress(tx, who, why=why, now=now)
        if len(people) < _PAGE_ROWS:
            return stopped
        last = people[-1][0]
