"""Ten people of an edition in two blocks, and two workers who may send to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select, update

from newsletter.core.delivery import Delivery, DeliveryId
from newsletter.core.lineup import LineupRules
from newsletter.flows.freeze import RenderContext
from newsletter.render.environment import make_environment
from newsletter.store import block as blocks
from newsletter.store import claims
from newsletter.store import worker as workers
from newsletter.store.block import BlockId
from newsletter.store.claims import ClaimedDelivery
from newsletter.store.schema import block, delivery, subscriber
from newsletter.store.unit import Tx, Unit
from newsletter.store.worker import WorkerId
from tests.edition_fixtures import PUBLICATION
from tests.flows.follow_up_fixtures import SOON, World, make_world

LEASE = timedelta(seconds=30)


def claimable(tx: Tx, who: WorkerId, *, now: datetime) -> Sequence[BlockId]:
    """Return every block that waits for a worker at this moment, in order, and reserve none of them."""
    block_ids = []
    with tx.begin_nested() as trial:
        while (block_id := blocks.claim(tx, who, now=now, lease=LEASE)) is not None:
            block_ids.append(block_id)
        trial.rollback()
    return block_ids


@dataclass(frozen=True, slots=True)
class Rows:
    """What both workers look at."""

    world: World
    ann: WorkerId
    bob: WorkerId
    ids: Sequence[DeliveryId]
    blocks: Sequence[BlockId]
    unit: Unit = field(init=False)

    def __post_init__(self) -> None:
        """Shorten the way to the database."""
        object.__setattr__(self, "unit", self.world.unit)

    def claim(self, who: WorkerId) -> BlockId | None:
        """Reserve the next block."""
        with self.unit.write() as tx:
            return blocks.claim(tx, who, now=SOON, lease=LEASE)

    def claim_rows(self, who: WorkerId, *places: int) -> Sequence[ClaimedDelivery]:
        """Mark the deliveries at these places."""
        with self.unit.write() as tx:
            return claims.claim(tx, [self.ids[place] for place in places], who=who, now=SOON)

    def row(self, place: int) -> Delivery:
        """Return a delivery as it stands."""
        with self.unit.read() as tx:
            return claims.from_row(tx.execute(select(delivery).where(delivery.c.id == self.ids[place])).one())

    def leave(self, place: int) -> None:
        """Let a person leave, as of this moment."""
        with self.unit.write() as tx:
            tx.execute(update(subscriber).where(subscriber.c.id == place + 1).values(state="unsubscribed"))

    def end_lease(self, block_id: BlockId) -> None:
        """Let the time of a lease be over, by whichever clock it was dated."""
        mine = (block.c.edition_id == block_id.edition) & (block.c.number == block_id.number)
        with self.unit.write() as tx:
            tx.execute(update(block).where(mine).values(lease_until=SOON - timedelta(days=3650)))


def make_rows(unit: Unit) -> Rows:
    """Freeze an edition and part its people into two blocks of five."""
    render_context = RenderContext(publication=PUBLICATION, templates=make_environment(None), rules=LineupRules())
    world = make_world(unit, render_context)
    edition = world.wrong.id
    with unit.write() as tx:
        ids = [DeliveryId(one) for one in tx.execute(select(delivery.c.id).order_by(delivery.c.id)).scalars()]
        number = blocks.add(tx, edition)
        tx.execute(update(delivery).where(delivery.c.id.in_(ids[5:])).values(block=number))
        ann, bob = (workers.start(tx, name=name, machine=name, now=SOON) for name in ("ann", "bob"))
    return Rows(world, ann, bob, ids, (BlockId(edition, 0), BlockId(edition, number)))
