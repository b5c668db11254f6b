"""How many transactions claimed mail: an older copy of a SQLite database has a lower count than its anchor.

Revision ID: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Begin to count."""
    op.add_column("installation", sa.Column("claim_count", sa.Integer(), server_default="0", nullable=False))
