"""Let a reader have the mail to confirm once more.

Revision ID: 0020
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from newsletter.store.schema import Utc

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_OPEN = sa.text("again_at IS NOT NULL AND again_decided_at IS NULL")


def upgrade() -> None:
    """Add the columns and their index."""
    op.add_column("signup", sa.Column("again_at", Utc(), nullable=True))
    op.add_column("signup", sa.Column("again_decided_at", Utc(), nullable=True))
    op.create_index("ix_signup_again", "signup", ["again_at"], sqlite_where=_OPEN, postgresql_where=_OPEN)
