"""Compare addresses by code point on PostgreSQL, as SQLite does: the unique index then finds beginnings of them.

Revision ID: 0014
"""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the collation, which builds the unique index anew."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute('ALTER TABLE subscriber ALTER COLUMN canonical TYPE text COLLATE "C"')
