"""Let readers ask for the link to their own settings.

Revision ID: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from newsletter.store.schema import BigId, Utc

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_UNDECIDED = sa.text("decided_at IS NULL")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "link_request",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("subscriber_id", BigId, nullable=False),
        sa.Column("asked_at", Utc(), nullable=False),
        sa.Column("decided_at", Utc(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link_request")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_link_request_subscriber_id"), "link_request", ["subscriber_id"], unique=False)
    op.create_index(op.f("ix_link_request_asked_at"), "link_request", ["asked_at"], unique=False)
    op.create_index(
        "ix_link_request_undecided", "link_request", ["id"], sqlite_where=_UNDECIDED, postgresql_where=_UNDECIDED
    )
