"""Let readers have the tips of a pause afterwards.

Revision ID: 0024
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from newsletter.store.schema import BigId, Utc

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_DUE = sa.text("next_at IS NOT NULL")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "backlog",
        sa.Column("subscriber_id", BigId, autoincrement=False, nullable=False),
        sa.Column("since", Utc(), nullable=False),
        sa.Column("resumed_at", Utc(), nullable=True),
        sa.Column("next_at", Utc(), nullable=True),
        sa.PrimaryKeyConstraint("subscriber_id", name=op.f("pk_backlog")),
    )
    op.create_index("ix_backlog_next_at", "backlog", ["next_at"], sqlite_where=_DUE, postgresql_where=_DUE)
