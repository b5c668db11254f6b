"""Find the tips that can still go out, and the open editions, without reading the archive.

Revision ID: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Store when each tip was last sent, and index what the lineup reads."""
    op.add_column("tip", sa.Column("last_sent_on", sa.Date(), nullable=True))
    tip = sa.table(
        "tip", sa.column("id"), sa.column("first_published", sa.Date()), sa.column("last_sent_on", sa.Date())
    )
    edition = sa.table(
        "edition", sa.column("tip_id"), sa.column("date", sa.Date()), sa.column("tip_used", sa.Boolean())
    )
    last = (
        sa.select(sa.func.max(edition.c.date)).where(edition.c.tip_id == tip.c.id, edition.c.tip_used).scalar_subquery()
    )
    first = tip.c.first_published
    op.execute(tip.update().values(last_sent_on=sa.case((last > first, last), else_=sa.func.coalesce(first, last))))
    op.create_index("ix_tip_position", "tip", ["position"], unique=False)
    op.create_index(
        "ix_tip_approved",
        "tip",
        ["evergreen", "last_sent_on", "position", "pin"],
        unique=False,
        sqlite_where=sa.text("status = 'approved'"),
        postgresql_where=sa.text("status = 'approved'"),
    )
    op.create_index(
        "ix_tip_draft",
        "tip",
        ["id"],
        unique=False,
        sqlite_where=sa.text("status = 'draft'"),
        postgresql_where=sa.text("status = 'draft'"),
    )
    op.create_index(
        "ix_tip_series",
        "tip",
        ["series", "part"],
        unique=False,
        sqlite_where=sa.text("series IS NOT NULL"),
        postgresql_where=sa.text("series IS NOT NULL"),
    )
    op.create_index(
        "ix_edition_sent",
        "edition",
        ["tip_id", "date"],
        unique=False,
        sqlite_where=sa.text("tip_used = 1"),
        postgresql_where=sa.text("tip_used"),
    )
    op.create_index(
        "ix_edition_open",
        "edition",
        ["id"],
        unique=False,
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )
