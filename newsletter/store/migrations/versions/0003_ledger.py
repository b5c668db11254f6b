"""The ledger: which database this is, what it knows, and on which machine it lives.

Revision ID: 0003
"""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; a database that stands gets its name now."""
    op.add_column("installation", sa.Column("identity", sa.Text(), server_default="", nullable=False))
    op.add_column("installation", sa.Column("ledger_seq", sa.Integer(), server_default="0", nullable=False))
    op.add_column("installation", sa.Column("machine", sa.Text(), nullable=True))
    op.execute(sa.text("UPDATE installation SET identity = :name").bindparams(name=secrets.token_hex(8)))
