"""Workers and what they counted: who lives, who fell silent, and sums over all of them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from newsletter.core.tally import Tally
from newsletter.store import tally as tallies
from newsletter.store import worker as workers
from newsletter.store.schema import worker
from newsletter.store.unit import Unit
from tests.flows.follow_up_fixtures import SOON
from tests.store.delivery_fixtures import Rows, make_rows


@pytest.fixture
def rows(unit: Unit) -> Rows:
    """Return two workers beside an edition."""
    return make_rows(unit)


def test_who_lives(rows: Rows) -> None:
    """A worker lives until it ends, or gives no sign of life for a minute; a sign brings it back."""
    with rows.unit.write() as tx:
        assert [one.name for one in workers.alive(tx, now=SOON)] == ["ann", "bob"]
        workers.end(tx, rows.ann, now=SOON)
        assert [one.name for one in workers.alive(tx, now=SOON)] == ["bob"]
        tx.execute(update(worker).where(worker.c.id == rows.bob).values(seen_at=SOON - timedelta(days=3650)))
        assert workers.alive(tx, now=SOON) == []
        assert [one.name for one in workers.silent(tx, now=SOON)] == ["bob"]
        workers.beat(tx, rows.bob, now=SOON, report={"connections": 3})
        [bob] = workers.alive(tx, now=SOON)
    assert (bob.id, bob.report, bob.ended_at) == (rows.bob, {"connections": 3}, None)


def test_a_sign_of_life_without_a_report_keeps_the_last(rows: Rows) -> None:
    """What a worker said it was at stays until it says something else."""
    with rows.unit.write() as tx:
        workers.beat(tx, rows.ann, now=SOON, report={"connections": 3})
        workers.beat(tx, rows.ann, now=SOON)
        assert workers.alive(tx, now=SOON)[0].report == {"connections": 3}


def test_whoever_is_alone_ends_the_others(rows: Rows) -> None:
    """The only worker there can be ends all that were, and what ended long ago is forgotten."""
    with rows.unit.write() as tx:
        workers.end_all(tx, now=SOON)
        assert workers.alive(tx, now=SOON) == []
        assert workers.silent(tx, now=SOON) == []
        assert workers.forget(tx, before=SOON - timedelta(days=3650)) == 0
        assert workers.forget(tx, before=SOON + timedelta(days=36500)) == 2
        again = workers.start(tx, name="cy", machine="cy", now=SOON)
    assert again not in {rows.ann, rows.bob}


def test_counts_add_up_over_workers(rows: Rows) -> None:
    """What each worker counted is added to its own row, and the edition has the sums."""
    edition = rows.world.wrong.id
    with rows.unit.write() as tx:
        assert tallies.of_edition(tx, edition) == Tally()
        tallies.add(tx, edition, rows.ann, {"accepted": 3, "hard": 1}, now=SOON)
        tallies.add(tx, edition, rows.ann, {"accepted": 2}, now=SOON)
        tallies.add(tx, edition, rows.bob, {"accepted": 10, "policy": 4}, now=SOON)
        assert tallies.of_edition(tx, edition) == Tally(accepted=15, hard=1, policy=4)
