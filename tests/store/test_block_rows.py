"""Blocks: reserved by one at a time, for a while, and closed when nobody in them waits."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from sqlalchemy import select, update

from newsletter.core.delivery import DeliveryState
from newsletter.flows import hold
from newsletter.store import block as blocks
from newsletter.store import claims
from newsletter.store import delivery as deliveries
from newsletter.store.block import BlockId
from newsletter.store.schema import block, delivery
from newsletter.store.unit import Unit
from newsletter.store.worker import WorkerId
from tests.flows.follow_up_fixtures import SOON
from tests.store.delivery_fixtures import LEASE, Rows, claimable, make_rows


@pytest.fixture
def rows(unit: Unit) -> Rows:
    """Return ten people in two blocks."""
    return make_rows(unit)


def open_blocks(rows: Rows) -> list[BlockId]:
    """Return what is not closed."""
    with rows.unit.read() as tx:
        numbers = tx.execute(select(block.c.number).where(block.c.state == "open").order_by(block.c.number)).scalars()
        return [BlockId(rows.world.wrong.id, number) for number in numbers]


def test_each_gets_another_block(rows: Rows) -> None:
    """What one has reserved nobody else gets, and when all is reserved there is none."""
    assert rows.claim(rows.ann) == rows.blocks[0]
    assert rows.claim(rows.bob) == rows.blocks[1]
    assert rows.claim(rows.ann) is None
    with rows.unit.read() as tx:
        assert not blocks.any_claimable(tx, now=SOON)


def test_two_who_ask_at_once(rows: Rows) -> None:
    """Two transactions that claim at the same moment get one block each."""
    got: dict[WorkerId, BlockId | None] = {}
    together = Barrier(2)

    def ask(who: WorkerId) -> None:
        together.wait(10)
        got[who] = rows.claim(who)

    threads = [Thread(target=ask, args=(who,)) for who in (rows.ann, rows.bob)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert set(got.values()) == set(rows.blocks)


def test_a_lease_ends(rows: Rows) -> None:
    """When its time is over a block is anybody's, and its former owner extends and releases it no more."""
    rows.claim(rows.ann)
    rows.end_lease(rows.blocks[0])
    assert rows.claim(rows.bob) == rows.blocks[0]
    with rows.unit.write() as tx:
        assert blocks.extend(tx, rows.ann, now=SOON, lease=LEASE) == 0
        assert blocks.release(tx, rows.ann) == 0
        assert blocks.claim(tx, rows.ann, now=SOON, lease=LEASE, only=rows.blocks[0]) is None


def test_a_lease_is_extended(rows: Rows) -> None:
    """Whoever gives signs of life keeps what it has."""
    rows.claim(rows.ann)
    rows.end_lease(rows.blocks[0])
    with rows.unit.write() as tx:
        assert blocks.extend(tx, rows.ann, now=SOON, lease=LEASE) == 1
        assert list(claimable(tx, rows.ann, now=SOON)) == [rows.blocks[1]]


def test_what_is_released_is_free(rows: Rows) -> None:
    """A worker that leaves gives back all of its blocks, and none of another's."""
    rows.claim(rows.ann)
    rows.claim(rows.bob)
    with rows.unit.write() as tx:
        assert blocks.release(tx, rows.ann) == 1
        assert list(claimable(tx, rows.ann, now=SOON)) == [rows.blocks[0]]
        blocks.release_all(tx)
        assert list(claimable(tx, rows.ann, now=SOON)) == list(rows.blocks)


def test_a_block_waits_for_its_time(rows: Rows) -> None:
    """A block whose time has not come is nobody's, and it is known when that is."""
    at = SOON + timedelta(hours=1)
    rows.world.settle(rows.world.wrong, DeliveryState.ACCEPTED, *range(9))
    with rows.unit.write() as tx:
        number = blocks.add(tx, rows.world.wrong.id, not_before=at)
    move(rows, number)
    with rows.unit.read() as tx:
        assert not blocks.any_claimable(tx, now=SOON)
        assert blocks.next_start(tx, now=SOON) == at
    with rows.unit.write() as tx:
        assert list(claimable(tx, rows.ann, now=at)) == [BlockId(rows.world.wrong.id, number)]


def move(rows: Rows, number: int) -> None:
    """Put the last person into another block."""
    with rows.unit.write() as tx:
        tx.execute(update(delivery).where(delivery.c.id == rows.ids[9]).values(block=number))


def test_a_held_edition_has_no_blocks(rows: Rows) -> None:
    """Of a paused edition nothing is reserved."""
    hold.pause_edition(rows.unit, rows.world.wrong, who="ann", why="", now=SOON)
    assert rows.claim(rows.ann) is None


def test_a_block_is_closed_when_nobody_waits(rows: Rows) -> None:
    """Who is queued or on the way keeps a block open; who is to be tried again later gets another block."""
    rows.claim(rows.ann)
    rows.world.settle(rows.world.wrong, DeliveryState.ACCEPTED, 0, 1, 2)
    rows.world.settle(rows.world.wrong, DeliveryState.DEFERRED, 3)
    rows.world.settle(rows.world.wrong, DeliveryState.SENDING, 4)
    with rows.unit.write() as tx:
        assert list(blocks.close_done(tx, rows.blocks)) == list(rows.blocks)
    assert open_blocks(rows) == list(rows.blocks)
    rows.world.settle(rows.world.wrong, DeliveryState.UNCERTAIN, 4)
    with rows.unit.write() as tx:
        assert list(blocks.close_done(tx, rows.blocks)) == [rows.blocks[1]]
        # What is closed already is told of no more.
        assert list(blocks.close_done(tx, rows.blocks)) == [rows.blocks[1]]
        assert blocks.any_open(tx, rows.world.wrong.id)
    assert open_blocks(rows) == [rows.blocks[1]]


def test_a_block_is_begun_from_its_first_claim_to_its_end(rows: Rows) -> None:
    """Whoever looks for what the dead had marked finds every block that anybody ever had, and no other."""
    further = rows.blocks[1].number
    assert begun(rows) == [further]
    rows.claim(rows.ann)
    assert begun(rows) == [0, further]
    with rows.unit.write() as tx:
        blocks.release_all(tx)
    assert begun(rows) == [0, further]
    rows.world.settle(rows.world.wrong, DeliveryState.ACCEPTED, *range(5))
    with rows.unit.write() as tx:
        blocks.close_done(tx, rows.blocks)
    assert begun(rows) == [further]


def test_no_block_is_begun_once_its_edition_is_closed(rows: Rows) -> None:
    """Of a cancelled edition nobody closes the blocks; all the same they are not looked through for ever."""
    rows.claim(rows.ann)
    hold.cancel_edition(rows.unit, rows.world.wrong, who="ann", why="", now=SOON)
    assert open_blocks(rows) == list(rows.blocks)
    assert begun(rows) == []


def test_what_moved_to_another_block_is_found_there(rows: Rows) -> None:
    """A worker may mark what it knows from the block before, though nobody has claimed the new one."""
    rows.claim(rows.ann)
    rows.world.settle(rows.world.wrong, DeliveryState.EXPIRED, 0)
    with rows.unit.write() as tx:
        assert deliveries.requeue(tx, rows.world.wrong.id, [DeliveryState.EXPIRED]) == 1
    assert [one.id for one in rows.claim_rows(rows.ann, 0)] == [rows.ids[0]]
    with rows.unit.read() as tx:
        assert [one.id for one in claims.marked_by(tx, rows.ann)] == [rows.ids[0]]
        assert [one.id for one in claims.marked_by_none_of(tx, [])] == [rows.ids[0]]


def begun(rows: Rows) -> list[int]:
    """Return the numbers of the blocks in which something may be marked."""
    with rows.unit.read() as tx:
        return list(tx.execute(select(block.c.number).where(block.c.begun).order_by(block.c.number)).scalars())
