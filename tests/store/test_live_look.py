"""A look at an edition on its way: rows counted now and then, tallies in between, waits and workers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionStatus
from newsletter.core.lineup import LineupRules
from newsletter.core.live import Cause, Look
from newsletter.flows import hold
from newsletter.flows.freeze import RenderContext
from newsletter.flows.replace_edition import replace_edition
from newsletter.render.environment import make_environment
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import live, report
from newsletter.store.schema import block, delivery, tally, worker
from newsletter.store.unit import Unit
from newsletter.store.worker import moment
from tests.edition_fixtures import PUBLICATION
from tests.flows.follow_up_fixtures import LATER, SOON, World, make_world


@pytest.fixture
def world(unit: Unit) -> World:
    """Return an edition for ten people, of which nothing has gone out."""
    render_context = RenderContext(publication=PUBLICATION, templates=make_environment(None), rules=LineupRules())
    return make_world(unit, render_context)


def count(world: World) -> live.Counted:
    """Count the rows as they are now."""
    with world.unit.read() as tx:
        return live.count(tx, editions.by_id(tx, world.wrong.id), now=SOON)


def look(world: World, counted: live.Counted) -> Look:
    """Look at the edition."""
    with world.unit.read() as tx:
        return live.look(tx, world.wrong.id, counted, now=SOON)


def tell(world: World, **tallied: int) -> None:
    """Let a worker have tallied so much."""
    with world.unit.write() as tx:
        tx.execute(tally.delete())
        tx.execute(
            tally.insert().values(
                edition_id=world.wrong.id, source="worker", worker_id=1, since=SOON, at=SOON, **tallied
            )
        )


def test_counts(world: World) -> None:
    """Each state is counted where people look for it, and the settled are all but those to go."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, 0, 1, 2)
    world.settle(world.wrong, DeliveryState.REJECTED, 3)
    world.settle(world.wrong, DeliveryState.UNCERTAIN, 4)
    world.settle(world.wrong, DeliveryState.DEFERRED, 5)
    world.settle(world.wrong, DeliveryState.SENDING, 6)
    seen = look(world, count(world))
    counts = seen.receipt.counts
    assert (counts.accepted, counts.rejected, counts.uncertain, counts.deferred, counts.left) == (3, 1, 1, 1, 4)
    assert (seen.receipt.settled, seen.receipt.edition.audience, seen.ended) == (5, 10, False)
    [wait] = seen.waiting
    assert (wait.cause, wait.people, wait.until) == (Cause.RETRY, 1, LATER)


def test_who_waits_for_an_earlier_outcome(world: World) -> None:
    """Of a replacement, who may have the edition before waits for that outcome; who was put off, for another try."""
    world.settle(world.wrong, DeliveryState.SENDING, 7, 8)
    follow_up_edition = replace_edition(
        world.unit, world.render_context, world.wrong, world.tip("right"), who="ann", why="a mix-up", now=SOON
    ).edition
    world.settle(follow_up_edition, DeliveryState.DEFERRED, 1)
    with world.unit.read() as tx:
        seen = live.look(tx, follow_up_edition.id, live.count(tx, follow_up_edition, now=SOON), now=SOON)
        receipt = report.receipt(tx, follow_up_edition)
    waits = [(wait.cause, wait.people, wait.until) for wait in seen.waiting]
    assert waits == [(Cause.RETRY, 1, LATER), (Cause.OUTCOME, 2, None)]
    assert (receipt.counts.deferred, receipt.again, receipt.awaiting, receipt.next_attempt_at) == (3, 1, 2, LATER)


def test_tallies_move_it_on(world: World) -> None:
    """Between two counts the workers' tallies say how far it is, and never further than there are people."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, 0, 1)
    tell(world, accepted=2)
    counted = count(world)
    assert look(world, counted).receipt.settled == 2
    tell(world, accepted=6, hard=1)
    seen = look(world, counted)
    counts = seen.receipt.counts
    assert (seen.receipt.settled, counts.accepted, counts.rejected, counts.left) == (7, 6, 1, 3)
    tell(world, accepted=400)
    seen = look(world, counted)
    counts = seen.receipt.counts
    assert (seen.receipt.settled, counts.accepted, counts.left) == (10, 10, 0)


@pytest.mark.parametrize(("wave", "cause"), [("Asia/Tokyo", Cause.WAVE), ("", Cause.QUOTA)])
def test_blocks_that_wait(world: World, wave: str, cause: Cause) -> None:
    """People of a block that is put off wait for their wave or for a quota, until its time."""
    with world.unit.write() as tx:
        tx.execute(block.update().values(not_before=LATER, wave=wave))
    world.settle(world.wrong, DeliveryState.ACCEPTED, 0)
    seen = look(world, count(world))
    [wait] = seen.waiting
    assert (wait.cause, wait.people, wait.until, wait.label) == (cause, 9, LATER, wave)
    assert seen.going == 0


def test_paused_and_closed(world: World) -> None:
    """A paused edition says for whom it waits; a closed one is told by its stored totals, though its rows are gone."""
    world.settle(world.wrong, DeliveryState.ACCEPTED, 0)
    hold.pause_edition(world.unit, world.wrong, who="ann", why="a typo", now=SOON)
    seen = look(world, count(world))
    assert (seen.receipt.edition.status, seen.receipt.edition.status_why) == (EditionStatus.PAUSED, "a typo")
    assert [(wait.cause, wait.people) for wait in seen.waiting] == [(Cause.PAUSED, 9)]
    hold.cancel_edition(world.unit, world.wrong, who="ann", why="", now=SOON)
    with world.unit.write() as tx:
        assert deliveries.counts(tx, world.wrong.id)[DeliveryState.SKIPPED] == 9
        tx.execute(delivery.delete())
    seen = look(world, count(world))
    counts = seen.receipt.counts
    assert (seen.ended, counts.accepted, counts.skipped, counts.left, seen.workers) == (True, 1, 9, 0, ())


def test_workers(world: World) -> None:
    """Workers that are at it are shown, and one that fell silent a while ago; one that ended is not."""
    relay = {"name": "smtp.example.com:587", "connections": 3, "allowed": 4, "most": 4}
    with world.unit.write() as tx:
        # The clock that dates them: on PostgreSQL the server's.
        now = moment(tx, SOON)
        rows = [
            {"name": "here 1", "seen_at": now, "report": {"rate": 20, "relays": [relay]}},
            {"name": "here 2", "seen_at": now, "ended_at": now, "report": {}},
            {"name": "here 3", "seen_at": now - timedelta(minutes=2), "report": {"connections": 7}},
            {"name": "here 4", "seen_at": now - timedelta(hours=2), "report": {}},
        ]
        for row in rows:
            tx.execute(worker.insert().values(machine="here", started_at=now, **row))
    seen = look(world, count(world))
    first, third = seen.workers
    assert (first.name, first.connections, first.per_second, first.silent(seen.at)) == ("here 1", 3, 20.0, False)
    assert (third.name, third.connections, third.silent(seen.at)) == ("here 3", 7, True)
    assert [one.name for one in seen.relays] == ["smtp.example.com:587"]
