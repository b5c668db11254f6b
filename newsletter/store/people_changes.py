"""How many people came and left lately, from the evidence of consent.

In: a transaction and an instant. Out: counts, through an index that leaves imports out: a list of a million people that
was imported yesterday is not read for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from newsletter.store.schema import COUNTED_CONSENT, consent
from newsletter.store.unit import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleChanges:
    """What happened to the list since an instant."""

    came: int = 0
    """People who subscribed or came back; not those of an import."""
    left: int = 0
    """People who unsubscribed, without those who took it back."""
    bounced: int = 0
    complained: int = 0


def changes_since(tx: Tx, since: datetime) -> PeopleChanges:
    """Count the changes since an instant."""
    query = select(consent.c.action, func.count().label("people")).where(consent.c.at >= since, COUNTED_CONSENT)
    counts = {row.action: int(row.people) for row in tx.execute(query.group_by(consent.c.action))}
    return PeopleChanges(
        came=counts.get("subscribed", 0) + counts.get("reactivated", 0),
        left=max(0, counts.get("unsubscribed", 0) - counts.get("unsubscribed taken back", 0)),
        bounced=counts.get("bounced", 0),
        complained=counts.get("complained", 0),
    )
