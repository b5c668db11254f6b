"""Replacing a wrong edition: who gets the right tip, what becomes of the wrong one, and what is refused."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import select

from newsletter.core.cadence import SlotState, slot_on
from newsletter.core.delivery import DeliveryCounts, DeliveryState
from newsletter.core.edition import EditionKind, EditionStatus
from newsletter.core.lineup import LineupRules
from newsletter.core.tip import TipStatus
from newsletter.errors import InputError
from newsletter.flows import hold
from newsletter.flows.follow_up import FollowUp
from newsletter.flows.freeze import RenderContext, freeze
from newsletter.flows.replace_edition import replace_edition
from newsletter.render.environment import make_environment
from newsletter.sending.housekeeping import close_finished
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import slot as slots
from newsletter.store import tip as tips
from newsletter.store.schema import delivery, log, subscriber
from newsletter.store.unit import Unit
from tests.edition_fixtures import CADENCE, PUBLICATION, add_people, add_tip, first_slot
from tests.flows.follow_up_fixtures import LATER, SOON, World, make_world


@pytest.fixture(scope="module")
def render_context() -> RenderContext:
    """Return what rendering needs."""
    return RenderContext(publication=PUBLICATION, templates=make_environment(None), rules=LineupRules())


@pytest.fixture
def world(unit: Unit, render_context: RenderContext) -> World:
    """Return a wrong edition for ten people, of which nothing has gone out."""
    return make_world(unit, render_context)


def replaced(world: World, tip: str = "right", *, number: int = 1) -> FollowUp:
    """Replace an edition of the date by a tip."""
    return replace_edition(
        world.unit, world.render_context, world.edition(number), world.tip(tip), who="ann", why="a mix-up", now=SOON
    )


def gather(world: World, number: int) -> int:
    """Put what is due back to the queue, as the sender does before each pass."""
    edition = world.edition(number)
    with world.unit.write() as tx:
        return deliveries.gather(tx, edition.id, now=LATER)


def test_who_gets_the_right_tip(world: World) -> None:
    """The right tip goes to whom the wrong one did not reach; who has it, or may have it, is left alone."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, 0, 1, 2)
    world.settle(world.wrong, DeliveryState.UNCERTAIN, 3)
    world.settle(world.wrong, DeliveryState.DEFERRED, 4)
    world.settle(world.wrong, DeliveryState.REJECTED, 5)
    follow_up = replaced(world)
    assert follow_up.new
    assert follow_up.edition.name == "2026-11-03.2"
    assert (follow_up.edition.kind, follow_up.edition.of_edition) == (EditionKind.REPLACEMENT, world.wrong.id)
    assert world.states(follow_up.edition) == dict.fromkeys(range(4, 10), "queued")
    wrong = world.edition()
    assert (wrong.status, wrong.status_why) == (EditionStatus.CANCELLED, "replaced by 2026-11-03.2: a mix-up")
    assert wrong.finished_at is not None
    assert world.states(wrong) == (
        dict.fromkeys((0, 1, 2), "accepted")
        | {3: "uncertain", 5: "rejected"}
        | dict.fromkeys((4, 6, 7, 8, 9), "skipped")
    )
    with world.unit.read() as tx:
        reasons = set(tx.execute(select(delivery.c.reason).where(delivery.c.state == "skipped")).scalars())
        log_row = tx.execute(select(log.c.who, log.c.about, log.c.why).where(log.c.what == "edition replace")).one()
    assert reasons == {"the edition was replaced by 2026-11-03.2"}
    assert tuple(log_row) == ("ann", "2026-11-03", "right instead of wrong, 6 people as 2026-11-03.2: a mix-up")


def test_tips_after_a_replacement(world: World) -> None:
    """A wrong tip of which something went out stays sent, and the right one is sent from now on."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, 0)
    assert not replaced(world).drafted
    assert world.tip("wrong").status is TipStatus.SENT
    assert world.tip("right").status is TipStatus.SENT
    with world.unit.read() as tx:
        used = [one.tip for one in editions.history(tx)]
    assert set(used) == {world.tip("wrong").id, world.tip("right").id}


def test_a_wrong_tip_that_reached_nobody(world: World) -> None:
    """A wrong tip that was handed to nobody is a draft again, never next in the queue, and the date keeps its slot."""
    assert replaced(world).drafted
    assert world.tip("wrong").status is TipStatus.DRAFT
    with world.unit.read() as tx:
        used = [one.tip for one in editions.history(tx)]
        slot = slots.get(tx, world.wrong.date)
    assert used == [world.tip("right").id]
    assert slot is not None
    assert (slot.state, slot.reason) == (SlotState.FROZEN, "replaces the edition of 2026-11-03")


def test_planned_for_another_date(unit: Unit, render_context: RenderContext) -> None:
    """A tip that was pinned to a later date goes out now and is not waited for then."""
    world = make_world(unit, render_context)
    right = world.tip("right")
    with unit.write() as tx:
        tips.set_pin(tx, right, date(2026, 12, 1), now=SOON)
    follow_up = replaced(world)
    assert follow_up.unpinned == date(2026, 12, 1)
    assert world.tip("right").pin is None


@pytest.mark.parametrize(
    ("outcome", "then"),
    [
        (DeliveryState.ACCEPTED, "skipped"),
        (DeliveryState.UNCERTAIN, "skipped"),
        (DeliveryState.REJECTED, "queued"),
        (DeliveryState.SKIPPED, "queued"),
    ],
)
def test_in_flight(world: World, outcome: DeliveryState, then: str) -> None:
    """Who is being sent the wrong tip at that moment waits, and gets the right one only if that did not reach them."""
    world.settle(world.wrong, DeliveryState.SENDING, 7)
    follow_up_edition = replaced(world).edition
    assert world.edition().finished_at is None
    assert follow_up_edition.audience == 10
    assert world.states(follow_up_edition)[7] == "deferred"
    assert gather(world, 2) == 0
    assert world.states(follow_up_edition)[7] == "deferred"
    world.settle(world.wrong, outcome, 7)
    with world.unit.write() as tx:
        gathered = deliveries.gather(tx, follow_up_edition.id, now=LATER + timedelta(minutes=1))
    assert gathered == (1 if then == "queued" else 0)
    assert world.states(follow_up_edition)[7] == then


def test_back_unsent(world: World) -> None:
    """Who was in flight and came back unsent is left out of the wrong edition like the others, and it closes."""
    world.settle(world.wrong, DeliveryState.SENDING, 7)
    replaced(world)
    world.settle(world.wrong, DeliveryState.QUEUED, 7)
    assert [one.name for one in close_finished(world.unit, now=SOON)] == ["2026-11-03"]
    assert world.states(world.edition()) == dict.fromkeys(range(10), "skipped")
    with world.unit.read() as tx:
        reasons = set(tx.execute(select(delivery.c.reason).where(delivery.c.state == "skipped")).scalars())
    assert reasons == {"the edition was replaced by 2026-11-03.2"}


def test_trying_again_at_once_does_not_hasten(world: World) -> None:
    """`edition retry` on the right tip sends nothing to whom the wrong one is still on its way."""
    world.settle(world.wrong, DeliveryState.SENDING, 7)
    follow_up_edition = replaced(world).edition
    with world.unit.write() as tx:
        assert deliveries.retry_now(tx, follow_up_edition.id, now=SOON) == 1
        assert deliveries.gather(tx, follow_up_edition.id, now=SOON) == 0
    assert world.states(follow_up_edition)[7] == "deferred"


def test_twice(world: World) -> None:
    """The same command given again changes nothing and names what it opened; with another tip it is refused."""
    first = replaced(world)
    second = replaced(world)
    assert not second.new
    assert second.edition.id == first.edition.id
    with pytest.raises(InputError, match=r"replaced by 2026-11-03\.2 already"):
        replaced(world, "other")


def test_a_replacement_is_replaced(world: World) -> None:
    """The right tip may be wrong too: a third one goes to whom neither reached, and in flight counts for both."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, 0, 1)
    world.settle(world.wrong, DeliveryState.SENDING, 2, 3)
    second = replaced(world).edition
    world.settle(second, DeliveryState.ACCEPTED, 4)
    world.settle(second, DeliveryState.SENDING, 5)
    third = replaced(world, "other", number=2).edition
    assert third.name == "2026-11-03.3"
    waiting = {one for one, state in world.states(third).items() if state == "deferred"}
    assert waiting == {2, 3, 5}
    assert set(world.states(third)) == set(range(2, 10)) - {4}
    world.settle(world.wrong, DeliveryState.ACCEPTED, 2)
    world.settle(world.wrong, DeliveryState.SKIPPED, 3)
    world.settle(second, DeliveryState.ACCEPTED, 5)
    assert gather(world, 3) == 1
    states = world.states(third)
    assert (states[2], states[3], states[5]) == ("skipped", "queued", "skipped")


def test_who_left_since(world: World) -> None:
    """Who left, and who came only after the audience was fixed, is not in the replacement."""
    with world.unit.write() as tx:
        tx.execute(subscriber.update().where(subscriber.c.id == 3).values(state="unsubscribed"))
    add_people(world.unit, 1, start=10)
    follow_up_edition = replaced(world).edition
    assert set(world.states(follow_up_edition)) == set(range(10)) - {2}


def test_after_a_cancel(world: World) -> None:
    """Who cancelled first and thought then can still send the right tip to the others."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, 0, 1)
    hold.cancel_edition(world.unit, world.wrong, who="ann", why="stop", now=SOON)
    follow_up_edition = replaced(world).edition
    assert set(world.states(follow_up_edition)) == set(range(2, 10))
    assert world.edition().status_why == "stop"


def test_a_cancelled_replacement(world: World) -> None:
    """A replacement that is cancelled untouched gives its tip back; the date stays used if the wrong tip went out."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, 0)
    follow_up_edition = replaced(world).edition
    hold.cancel_edition(world.unit, follow_up_edition, who="ann", why="", now=SOON)
    assert world.tip("right").status is TipStatus.APPROVED
    with world.unit.read() as tx:
        slot = slots.get(tx, world.wrong.date)
    assert slot is not None
    assert slot.state is SlotState.FROZEN


def test_refused(world: World) -> None:
    """What makes no sense is refused in words that say what would, and nothing is changed."""
    with pytest.raises(InputError, match="the very tip"):
        replaced(world, "wrong")
    for status, words in (
        (TipStatus.DRAFT, "is a draft; `newsletter tip approve other`"),
        (TipStatus.RETIRED, "retired"),
    ):
        other = world.tip("other")
        with world.unit.write() as tx:
            tips.set_status(tx, other, status, now=SOON)
        with pytest.raises(InputError, match=words):
            replaced(world, "other")
    world.settle(world.wrong, DeliveryState.ACCEPTED, *range(10))
    with pytest.raises(InputError, match=r"edition correct 2026-11-03 --tip right"):
        replaced(world)
    assert world.edition().status is EditionStatus.SENDING
    with world.unit.write() as tx:
        editions.close(tx, world.wrong.id, totals=DeliveryCounts(accepted=10), now=SOON)
    with pytest.raises(InputError, match=r"edition correct 2026-11-03 --tip TIP"):
        replaced(world)


def test_cancelled_before_anybody_got_it(world: World) -> None:
    """An edition that was cancelled untouched has no place any more that could be taken."""
    hold.cancel_edition(world.unit, world.wrong, who="ann", why="", now=SOON)
    with pytest.raises(InputError, match="before anybody got it"):
        replaced(world)


def test_an_older_edition(world: World) -> None:
    """Once the next edition has begun, the old one is not replaced: it would overtake."""
    hold.pause_edition(world.unit, world.wrong, who="ann", why="", now=SOON)
    later = slot_on(CADENCE, date(2026, 11, 10))
    assert later is not None
    add_tip(world.unit, "next")
    assert freeze(world.unit, world.render_context, later, now=later.sends_at).new
    with pytest.raises(InputError, match="must not overtake"):
        replaced(world, "next" if world.tip("next").status is TipStatus.APPROVED else "other")


def test_first_slot_is_the_one(world: World) -> None:
    """The replacement bears the instant of the slot, so that it is sent before the next one."""
    assert replaced(world).edition.sends_at == first_slot().sends_at
