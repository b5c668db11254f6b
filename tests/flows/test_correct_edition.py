"""Correcting an edition: who gets the correction, and what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from newsletter.core.cadence import SlotState
from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import Edition, EditionKind, EditionStatus
from newsletter.core.lineup import LineupRules
from newsletter.core.tip import TipStatus
from newsletter.errors import InputError
from newsletter.flows import hold
from newsletter.flows.correct_edition import correct_edition
from newsletter.flows.follow_up import FollowUp
from newsletter.flows.freeze import RenderContext
from newsletter.flows.replace_edition import replace_edition
from newsletter.render.environment import make_environment
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import slot as slots
from newsletter.store import tip as tips
from newsletter.store.schema import delivery, log, subscriber
from newsletter.store.unit import Unit
from tests.edition_fixtures import PUBLICATION
from tests.flows.follow_up_fixtures import LATER, LONG_AFTER, SOON, World, make_world

PEOPLE = range(10)


@pytest.fixture(scope="module")
def render_context() -> RenderContext:
    """Return what rendering needs."""
    return RenderContext(publication=PUBLICATION, templates=make_environment(None), rules=LineupRules())


@pytest.fixture
def world(unit: Unit, render_context: RenderContext) -> World:
    """Return an edition for ten people, of which nothing has gone out."""
    return make_world(unit, render_context)


def finish(world: World, edition: Edition) -> None:
    """Close an edition, as the sender does."""
    with world.unit.write() as tx:
        counts = deliveries.counts(tx, edition.id)
        editions.close(tx, edition.id, totals=counts, now=SOON)


def corrected(world: World, tip: str = "right", *, number: int = 1) -> FollowUp:
    """Correct an edition of the date by a tip."""
    return correct_edition(
        world.unit, world.render_context, world.edition(number), world.tip(tip), who="ann", why="a typo", now=LONG_AFTER
    )


def test_who_gets_a_correction(world: World) -> None:
    """A correction goes to those who got the edition or may have it, long after it, and to nobody who left since."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, *range(7))
    world.settle(world.wrong, DeliveryState.UNCERTAIN, 7)
    world.settle(world.wrong, DeliveryState.REJECTED, 8)
    world.settle(world.wrong, DeliveryState.EXPIRED, 9)
    finish(world, world.wrong)
    with world.unit.write() as tx:
        tx.execute(subscriber.update().where(subscriber.c.id == 1).values(state="unsubscribed"))
    follow_up = corrected(world)
    assert follow_up.edition.name == "2026-11-03.2"
    assert (follow_up.edition.kind, follow_up.edition.of_edition) == (EditionKind.CORRECTION, world.wrong.id)
    assert world.states(follow_up.edition) == dict.fromkeys(range(1, 8), "queued")
    assert world.edition().status is EditionStatus.FINISHED
    assert world.tip("right").status is TipStatus.SENT
    with world.unit.read() as tx:
        log_row = tx.execute(select(log.c.who, log.c.about, log.c.why).where(log.c.what == "edition correct")).one()
        slot = slots.get(tx, world.wrong.date)
    assert tuple(log_row) == ("ann", "2026-11-03", "right, 7 people as 2026-11-03.2: a typo")
    assert slot is not None
    assert (slot.state, slot.reason) == (SlotState.FROZEN, "next in the queue (1st of 3)")


def test_who_waits_for_another_try(world: World) -> None:
    """Whose mailbox defers the edition gets the correction if the edition arrives in the end, and not otherwise."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, *range(8))
    world.settle(world.wrong, DeliveryState.DEFERRED, 8, 9)
    follow_up_edition = corrected(world).edition
    assert follow_up_edition.audience == 10
    with world.unit.write() as tx:
        assert deliveries.gather(tx, follow_up_edition.id, now=LONG_AFTER + timedelta(hours=1)) == 0
    world.settle(world.wrong, DeliveryState.ACCEPTED, 8)
    world.settle(world.wrong, DeliveryState.EXPIRED, 9)
    with world.unit.write() as tx:
        assert deliveries.gather(tx, follow_up_edition.id, now=LONG_AFTER + timedelta(hours=2)) == 1
    states = world.states(follow_up_edition)
    assert (states[8], states[9]) == ("queued", "skipped")
    with world.unit.read() as tx:
        reasons = tx.execute(select(delivery.c.reason).where(delivery.c.state == "skipped")).scalars().all()
    assert reasons == ["did not get the edition that this one corrects"]


def test_replacing_and_correcting_reach_everybody_once(world: World) -> None:
    """After both, each person has a row in exactly one of the two, whatever had become of them."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, 0, 1, 2)
    world.settle(world.wrong, DeliveryState.UNCERTAIN, 3)
    world.settle(world.wrong, DeliveryState.DEFERRED, 4)
    world.settle(world.wrong, DeliveryState.REJECTED, 5)
    world.settle(world.wrong, DeliveryState.EXPIRED, 6)
    replaced = replace_edition(
        world.unit, world.render_context, world.wrong, world.tip("right"), who="ann", why="", now=SOON
    ).edition
    fixed = corrected(world, "other").edition
    assert fixed.name == "2026-11-03.3"
    second, third = set(world.states(replaced)), set(world.states(fixed))
    assert second | third == set(PEOPLE)
    assert not second & third


def test_twice(world: World) -> None:
    """The same command given again mails nobody a second time; another correction may follow."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, *PEOPLE)
    first = corrected(world)
    second = corrected(world)
    assert (second.new, second.edition.id) == (False, first.edition.id)
    assert corrected(world, "other").edition.name == "2026-11-03.3"


def test_a_correction_that_is_given_up(world: World) -> None:
    """A correction that is cancelled untouched gives its tip back, and the date stays as it was."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, *PEOPLE)
    follow_up_edition = corrected(world).edition
    hold.cancel_edition(world.unit, follow_up_edition, who="ann", why="", now=LONG_AFTER)
    assert world.tip("right").status is TipStatus.APPROVED
    with world.unit.read() as tx:
        slot = slots.get(tx, world.wrong.date)
    assert slot is not None
    assert slot.state is SlotState.FROZEN
    with pytest.raises(InputError, match="is a correction"):
        replace_edition(
            world.unit, world.render_context, follow_up_edition, world.tip("other"), who="ann", why="", now=LONG_AFTER
        )


def test_still_going_out(world: World) -> None:
    """An edition that still goes out is stopped first: its people would get the wrong tip and then a correction."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, 0)
    with pytest.raises(InputError, match="9 people are to get it yet; stop it first"):
        corrected(world)


def test_refused(world: World) -> None:
    """What makes no sense is refused: the same tip, a tip that cannot go out, and an edition that nobody got."""
    world.settle(world.wrong, DeliveryState.REJECTED, *PEOPLE)
    with pytest.raises(InputError, match="everybody who got"):
        corrected(world)
    world.settle(world.wrong, DeliveryState.ACCEPTED, *PEOPLE)
    with pytest.raises(InputError, match="the very tip"):
        corrected(world, "wrong")
    right = world.tip("right")
    with world.unit.write() as tx:
        tips.set_status(tx, right, TipStatus.DRAFT, now=SOON)
    with pytest.raises(InputError, match="is a draft"):
        corrected(world)


def test_who_got_it_is_not_known_any_more(world: World) -> None:
    """An edition whose rows were deleted after their time is not corrected: some who got it would be left out."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, *PEOPLE)
    finish(world, world.wrong)
    with world.unit.write() as tx:
        tx.execute(delivery.delete().where(delivery.c.subscriber_id < 5))
    with pytest.raises(InputError, match="not known any more"):
        corrected(world)


def test_later_is_late_enough(world: World) -> None:
    """A correction goes out when it is asked for, not at the hour of its slot."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, *PEOPLE)
    assert corrected(world).edition.sends_at == LONG_AFTER > LATER
