"""What cancelling an edition does to its tip: it is free again as long as nobody can have it."""

from __future__ import annotations

import pytest

from newsletter.core.cadence import SlotState
from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import Edition
from newsletter.core.subscriber import Subscriber
from newsletter.core.tip import TipStatus
from newsletter.flows.hold import cancel_edition
from newsletter.flows.resolve import resend
from newsletter.store import slot as slots
from newsletter.store import tally as tallies
from newsletter.store import tip as tips
from newsletter.store.unit import Unit
from newsletter.store.worker import WorkerId
from newsletter.testing.clocks import START
from tests.flows.people_fixtures import begin_edition, put, set_delivery

TRIED = {"attempts": 2, "first_attempt_at": START, "last_attempt_at": START}


def under_way(unit: Unit) -> tuple[Edition, Subscriber]:
    """Return an edition that goes out to two people, and one of them."""
    person, _ = put(unit, "ann@example.org"), put(unit, "bob@example.org")
    edition = begin_edition(unit)
    with unit.write() as tx:
        tip = tips.by_slug(tx, edition.tip.slug)
        assert tip is not None
        tips.set_status(tx, tip, TipStatus.SENT, now=START)
        slots.move(tx, edition.date, was=SlotState.OPEN, to=SlotState.FROZEN, reason="next", now=START)
    return edition, person


def after_cancel(unit: Unit, edition: Edition) -> tuple[TipStatus, SlotState]:
    """Cancel an edition; return what became of its tip and of its date."""
    cancel_edition(unit, edition, who="ann", why="", now=START)
    with unit.read() as tx:
        tip, slot = tips.by_slug(tx, edition.tip.slug), slots.get(tx, edition.date)
    assert tip is not None
    assert slot is not None
    return tip.status, slot.state


FREE = (TipStatus.APPROVED, SlotState.SKIPPED)
USED = (TipStatus.SENT, SlotState.FROZEN)


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (DeliveryState.DEFERRED, "greylisted"),
        (DeliveryState.QUEUED, "greylisted"),
        (DeliveryState.REJECTED, "hard"),
        (DeliveryState.EXPIRED, "system"),
    ],
)
def test_who_was_only_refused_or_put_off_does_not_have_it(unit: Unit, state: DeliveryState, kind: str) -> None:
    """A server that was asked and took nothing has not used up the tip."""
    edition, person = under_way(unit)
    set_delivery(unit, edition, person, state, kind=kind, **TRIED)
    assert after_cancel(unit, edition) == FREE


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (DeliveryState.ACCEPTED, "ok"),
        (DeliveryState.SENDING, ""),
        (DeliveryState.UNCERTAIN, "unknown"),
        # Whoever is tried again although the outcome is unknown (NEWSLETTER_UNCERTAIN=retry).
        (DeliveryState.DEFERRED, "unknown"),
    ],
)
def test_who_has_it_or_may_have_it_uses_it_up(unit: Unit, state: DeliveryState, kind: str) -> None:
    """One person is enough: a tip that somebody got is not sent to everybody another week."""
    edition, person = under_way(unit)
    set_delivery(unit, edition, person, state, kind=kind, **TRIED)
    assert after_cancel(unit, edition) == USED


def test_who_may_have_it_and_is_sent_to_again_uses_it_up(unit: Unit) -> None:
    """What was uncertain once stays so for the tip, though the row waits in the queue as if nothing had been."""
    edition, person = under_way(unit)
    with unit.write() as tx:
        tallies.add(tx, edition.id, WorkerId(1), {"uncertain": 1}, now=START)
    set_delivery(unit, edition, person, DeliveryState.UNCERTAIN, kind="unknown", **TRIED)
    assert resend(unit, edition, only=None, who="ann", now=START) == 1
    set_delivery(unit, edition, person, DeliveryState.DEFERRED, kind="greylisted", **TRIED)
    assert after_cancel(unit, edition) == USED
