"""An edition with a wrong tip, part of which has gone out, and the right tip beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import update

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import Edition
from newsletter.core.tip import Tip
from newsletter.flows.freeze import RenderContext, freeze
from newsletter.store import edition as editions
from newsletter.store import report
from newsletter.store import tip as tips
from newsletter.store.schema import delivery
from newsletter.store.unit import Unit
from tests.edition_fixtures import TUESDAY, add_people, add_tip, first_slot

SOON = TUESDAY + timedelta(minutes=5)
LATER = SOON + timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The database and what was frozen in it."""

    unit: Unit
    render_context: RenderContext
    wrong: Edition

    def tip(self, slug: str) -> Tip:
        """Return a tip as it stands."""
        with self.unit.read() as tx:
            stored_tip = tips.by_slug(tx, slug)
        assert stored_tip is not None
        return stored_tip

    def edition(self, number: int = 1, on: date | None = None) -> Edition:
        """Return an edition of the date as it stands."""
        with self.unit.read() as tx:
            stored_edition = editions.by_date(tx, on or self.wrong.date, number)
        assert stored_edition is not None
        return stored_edition

    def settle(self, edition: Edition, state: DeliveryState, *people: int) -> None:
        """Let the sender have come so far with these people."""
        waits = state in {DeliveryState.QUEUED, DeliveryState.SKIPPED}
        values: dict[str, object] = {"state": state.value, "attempts": 0 if waits else 1, "next_attempt_at": None}
        if not waits:
            values["first_attempt_at"] = TUESDAY
        if state is DeliveryState.DEFERRED:
            values["next_attempt_at"] = LATER
        with self.unit.write() as tx:
            tx.execute(
                update(delivery)
                # People are numbered from 0, their rows from 1.
                .where(delivery.c.edition_id == edition.id, delivery.c.subscriber_id.in_([one + 1 for one in people]))
                .values(**values),
            )

    def states(self, edition: Edition) -> dict[int, str]:
        """Return the state of each person of an edition, whose report must balance."""
        with self.unit.read() as tx:
            receipt = report.receipt(tx, editions.by_id(tx, edition.id))
            deliveries = report.rows(tx, edition_id=edition.id)
            rows = {int(row.email[1:].partition("@")[0]): row.state.value for row in deliveries}
        assert receipt.balances
        return rows


def make_world(unit: Unit, render_context: RenderContext, *, people: int = 10) -> World:
    """Freeze the wrong tip for so many people; nothing of it has gone out yet."""
    add_people(unit, people)
    add_tip(unit, "wrong")
    add_tip(unit, "right")
    add_tip(unit, "other")
    frozen = freeze(unit, render_context, first_slot(), now=TUESDAY)
    assert frozen.edition is not None
    return World(unit=unit, render_context=render_context, wrong=frozen.edition)


LONG_AFTER = datetime(2027, 3, 1, tzinfo=UTC)
