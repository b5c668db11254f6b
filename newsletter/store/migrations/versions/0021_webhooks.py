"""Remember the events of webhooks, and count them.

Revision ID: 0021
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from newsletter.store.schema import Utc

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "webhook_event",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_webhook_event")),
    )
    op.create_index(op.f("ix_webhook_event_at"), "webhook_event", ["at"], unique=False)
    op.create_table(
        "webhook_count",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("last_at", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("provider", "kind", name=op.f("pk_webhook_count")),
    )
