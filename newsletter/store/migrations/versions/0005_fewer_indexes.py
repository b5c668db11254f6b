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
    """Take whatever is open as begun: it may be."""
    op.add_column("block", sa.Column("begun", sa.Boolean(), server_default=sa.false(), nullable=False))
    block = sa.table("block", sa.column("state", sa.Text()), sa.column("begun", sa.Boolean()))
    op.execute(block.update().where(block.c.state == "open").values(begun=True))
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
