"""No index asks for the state of a delivery any more; a block says whether anything of it can be going out.

Revision ID: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ROOM = 45
"""Per cent of a page of deliveries that are filled at first: the rest is for the same rows as they change."""


def upgrade() -> None:
    """Take as begun what holds a marked delivery: nobody sends during an upgrade, and a claim tells the rest."""
    op.add_column("block", sa.Column("begun", sa.Boolean(), server_default=sa.false(), nullable=False))
    block = sa.table("block", *map(sa.column, ("edition_id", "number")), sa.column("begun", sa.Boolean()))
    delivery = sa.table("delivery", *map(sa.column, ("edition_id", "block")), sa.column("state", sa.Text()))
    # While the index of the marked is there: a literal, so that it can be used.
    marked = sa.select(delivery.c.edition_id, delivery.c.block).where(
        delivery.c.state == sa.literal_column("'sending'")
    )
    op.execute(
        block.update().where(sa.tuple_(block.c.edition_id, block.c.number).in_(marked.distinct())).values(begun=True)
    )
    op.create_index(
        "ix_block_begun",
        "block",
        ["edition_id", "number"],
        unique=False,
        sqlite_where=sa.text("begun = 1"),
        postgresql_where=sa.text("begun"),
    )
    op.drop_index("ix_delivery_sending", "delivery")
    op.drop_index("ix_delivery_deferred", "delivery")
    op.create_index(
        "ix_delivery_deferred",
        "delivery",
        ["edition_id", "next_attempt_at"],
        unique=False,
        sqlite_where=sa.text("next_attempt_at IS NOT NULL"),
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE delivery SET (fillfactor = {ROOM})")
