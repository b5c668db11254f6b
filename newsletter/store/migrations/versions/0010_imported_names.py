"""A subscriber has a mark for names that an import wrote, and an index by state.

Revision ID: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Leave the mark off for the present people: where their names come from is not known for certain."""
    op.add_column("subscriber", sa.Column("names_imported", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index("ix_subscriber_state", "subscriber", ["state"], unique=False)
