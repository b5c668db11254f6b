"""Let admins and editors sign in: requests to sign in, and sessions.

Revision ID: 0019
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from newsletter.store.schema import BigId, Utc

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_UNDECIDED = sa.text("decided_at IS NULL")
_UNANNOUNCED = sa.text("announced_at IS NULL")


def upgrade() -> None:
    """Add the two tables."""
    op.create_table(
        "sign_in",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("browser_hash", sa.Text(), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("back", sa.Text(), server_default="", nullable=False),
        sa.Column("asked_at", Utc(), nullable=False),
        sa.Column("decided_at", Utc(), nullable=True),
        sa.Column("mailed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("code_tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("used_at", Utc(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in")),
        sa.CheckConstraint("origin IN ('page', 'terminal')", name=op.f("ck_sign_in_origin")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_sign_in_browser_hash"), "sign_in", ["browser_hash"], unique=False)
    op.create_index(op.f("ix_sign_in_asked_at"), "sign_in", ["asked_at"], unique=False)
    op.create_index("ix_sign_in_undecided", "sign_in", ["id"], sqlite_where=_UNDECIDED, postgresql_where=_UNDECIDED)
    op.create_table(
        "session",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.Column("browser_hash", sa.Text(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("created_at", Utc(), nullable=False),
        sa.Column("seen_at", Utc(), nullable=False),
        sa.Column("confirmed_at", Utc(), nullable=False),
        sa.Column("ended_at", Utc(), nullable=True),
        sa.Column("announced_at", Utc(), nullable=True),
        sa.Column("flash", sa.JSON(), server_default=sa.text("'{}'"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
        sa.UniqueConstraint("hash", name=op.f("uq_session_hash")),
        sa.CheckConstraint("method IN ('link', 'code', 'terminal')", name=op.f("ck_session_method")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_session_email"), "session", ["email"], unique=False)
    op.create_index(op.f("ix_session_seen_at"), "session", ["seen_at"], unique=False)
    op.create_index(
        "ix_session_unannounced", "session", ["id"], sqlite_where=_UNANNOUNCED, postgresql_where=_UNANNOUNCED
    )
