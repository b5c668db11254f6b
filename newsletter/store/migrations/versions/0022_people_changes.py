"""Count who came and left lately without reading imports.

Revision ID: 0022
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_COUNTED = sa.text("action <> 'imported'")


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_consent_counted", "consent", ["at", "action"], sqlite_where=_COUNTED, postgresql_where=_COUNTED)
