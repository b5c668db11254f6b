"""Let readers change their address themselves.

Revision ID: 0018
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from newsletter.store.schema import BigId, Utc

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_UNDECIDED = sa.text("decided_at IS NULL")
_UNTOLD = sa.text("confirmed_at IS NOT NULL AND told_at IS NULL")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "address_change",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("subscriber_id", BigId, nullable=False),
        sa.Column("old_email", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("canonical", sa.Text(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("browser_hash", sa.Text(), nullable=False),
        sa.Column("asked_at", Utc(), nullable=False),
        sa.Column("due_at", Utc(), nullable=False),
        sa.Column("decided_at", Utc(), nullable=True),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.Column("confirmed_at", Utc(), nullable=True),
        sa.Column("told_at", Utc(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address_change")),
        sqlite_autoincrement=True,
    )
    for column in ("subscriber_id", "canonical", "asked_at"):
        op.create_index(op.f(f"ix_address_change_{column}"), "address_change", [column], unique=False)
    for name, column, condition in (("undecided", "due_at", _UNDECIDED), ("untold", "id", _UNTOLD)):
        op.create_index(
            f"ix_address_change_{name}",
            "address_change",
            [column],
            sqlite_where=condition,
            postgresql_where=condition,
        )
