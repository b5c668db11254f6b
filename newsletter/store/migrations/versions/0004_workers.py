"""Workers, leases and waves; what is counted as it goes; what comes to light later; editions about another one.

Revision ID: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TALLIED = ("accepted", "deferred", "hard", "policy", "content", "refused", "uncertain")
UTC = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the tables and columns; rows that stand are as if marked by nobody."""
    op.create_table(
        "worker",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("machine", sa.Text(), nullable=False),
        sa.Column("started_at", UTC, nullable=False),
        sa.Column("seen_at", UTC, nullable=False),
        sa.Column("ended_at", UTC, nullable=True),
        sa.Column("report", sa.JSON(), server_default=sa.text("'{}'"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tally",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.Integer(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Integer(), server_default="0", nullable=False) for name in TALLIED),
        sa.Column("since", UTC, nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["edition_id"], ["edition.id"], name=op.f("fk_tally_edition_id_edition")),
        sa.PrimaryKeyConstraint("edition_id", "worker_id", name=op.f("pk_tally")),
    )
    op.add_column("block", sa.Column("owner", sa.Integer(), nullable=True))
    op.add_column("block", sa.Column("lease_until", UTC, nullable=True))
    op.add_column("block", sa.Column("not_before", UTC, nullable=True))
    op.add_column("block", sa.Column("wave", sa.Text(), server_default="", nullable=False))
    op.add_column("delivery", sa.Column("kind", sa.Text(), server_default="", nullable=False))
    op.add_column("delivery", sa.Column("worker", sa.Integer(), nullable=True))
    op.add_column("delivery", sa.Column("later", sa.Text(), server_default="", nullable=False))
    op.add_column("delivery", sa.Column("later_at", UTC, nullable=True))
    op.add_column("delivery", sa.Column("later_text", sa.Text(), server_default="", nullable=False))
    op.create_index(
        "ix_delivery_later",
        "delivery",
        ["edition_id", "later"],
        unique=False,
        sqlite_where=sa.text("later <> ''"),
        postgresql_where=sa.text("later <> ''"),
    )
    op.add_column("edition", sa.Column("kind", sa.Text(), server_default="regular", nullable=False))
    op.add_column("edition", sa.Column("of_edition", sa.Integer(), nullable=True))
    op.add_column("edition", sa.Column("borne", sa.JSON(), nullable=True))
    op.add_column("edition", sa.Column("local", sa.Boolean(), server_default=sa.false(), nullable=False))
