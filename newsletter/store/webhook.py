"""What the webhooks of mail providers brought: the events that were dealt with, and how many came of each kind."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select

from newsletter.store.schema import webhook_count, webhook_event
from newsletter.store.unit import Tx
from newsletter.store.upsert import upsert


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookCount:
    """How many events of a kind a provider sent."""

    provider: str
    kind: str
    events: int
    last_at: datetime


def remember(tx: Tx, provider: str, key: str, *, now: datetime) -> bool:
    """Remember an event by the provider's own id; tell whether it is new.

    On PostgreSQL a second process with the same event waits here until the first has committed.
    """
    name = hashlib.sha256(f"{provider}\n{key}".encode()).hexdigest()[:32]
    statement = upsert(webhook_event, tx.dialect.name).values(hash=name, at=now).on_conflict_do_nothing()
    return tx.execute(statement.returning(webhook_event.c.hash)).first() is not None


def add_counts(tx: Tx, provider: str, kinds: Mapping[str, int], *, now: datetime) -> None:
    """Add to the counts of a provider."""
    # In one order, so that two processes do not wait for each other.
    for kind, events in sorted(kinds.items()):
        new = upsert(webhook_count, tx.dialect.name).values(provider=provider, kind=kind, events=events, last_at=now)
        tx.execute(
            new.on_conflict_do_update(
                index_elements=["provider", "kind"],
                set_={"events": webhook_count.c.events + new.excluded.events, "last_at": now},
            )
        )


def counts(tx: Tx) -> Sequence[WebhookCount]:
    """Return the counts of all providers."""
    query = select(webhook_count).order_by(webhook_count.c.provider, webhook_count.c.kind)
    return [
        WebhookCount(provider=row.provider, kind=row.kind, events=row.events, last_at=row.last_at)
        for row in tx.execute(query)
    ]


def forget_before(tx: Tx, before: datetime) -> int:
    """Forget the events that no provider sends again; return how many."""
    return tx.execute(delete(webhook_event).where(webhook_event.c.at < before)).rowcount
