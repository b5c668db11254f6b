"""What the tests of single people share: somebody on the list, and an edition on its way to them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import select, update

from newsletter.core.cadence import Slot
from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import Edition, EditionTip
from newsletter.core.lineup import Source
from newsletter.core.subscriber import Subscriber, SubscriberId
from newsletter.core.tip import TipDraft
from newsletter.core.token import Keyring
from newsletter.flows.add_subscriber import newcomer
from newsletter.store import edition as editions
from newsletter.store import report
from newsletter.store import slot as slots
from newsletter.store import subscriber as subscribers
from newsletter.store import subscriber_batch as batches
from newsletter.store import tip as tips
from newsletter.store.schema import delivery
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.conftest import SECRET

KEYRING = Keyring(current=SECRET)


def put(unit: Unit, email: str, **values: Any) -> Subscriber:  # noqa: ANN401 any field of a subscriber
    """Put an active person on the list."""
    person = replace(newcomer(email=email, canonical=email.lower(), now=START), **values)
    with unit.write() as tx:
        return replace(person, id=batches.add_new(tx, [person])[person.canonical])


def get(unit: Unit, subscriber_id: SubscriberId) -> Subscriber:
    """Return a person who must be there."""
    with unit.read() as tx:
        person = subscribers.by_id(tx, subscriber_id)
    assert person is not None
    return person


def begin_edition(unit: Unit, on: date = date(2026, 11, 3)) -> Edition:
    """Freeze an edition for everybody who is active."""
    with unit.write() as tx:
        slug = f"tip-{on}"
        tip = tips.by_slug(tx, slug) or tips.add(tx, TipDraft(slug=slug, title="T", subject="S", body="B"), now=START)
        at = datetime(on.year, on.month, on.day, 14, tzinfo=UTC)
        slots.add(tx, Slot(date=on, sends_at=at), now=START)
        new = editions.NewEdition(
            date=on,
            tip=EditionTip(id=tip.id, slug=slug, title="T", source=Source.QUEUE, why="next"),
            content="{}",
            nonce="n",
            sends_at=at,
        )
        return editions.create(tx, new, now=START)


def set_delivery(unit: Unit, edition: Edition, who: Subscriber, state: DeliveryState, **values: object) -> None:
    """Bring a delivery into a state, as a sender did."""
    with unit.write() as tx:
        tx.execute(
            update(delivery)
            .where(delivery.c.edition_id == edition.id, delivery.c.subscriber_id == who.id)
            .values(state=state.value, **values)
        )


def outcomes(unit: Unit, edition: Edition) -> list[tuple[int | None, str, str, str]]:
    """Return subscriber, state, reason and reply of each delivery; the books must balance."""
    with unit.read() as tx:
        assert report.receipt(tx, edition).gap == 0
        rows = tx.execute(select(delivery).where(delivery.c.edition_id == edition.id).order_by(delivery.c.id))
        return [(row.subscriber_id, row.state, row.reason, row.reply_text) for row in rows]
