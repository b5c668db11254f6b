"""Take sign-ups on the web: requests, the wording that people agreed to, and the limits.

Revision ID: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from newsletter.store.schema import BigId, Utc

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_UNDECIDED = sa.text("decided_at IS NULL")
_UNWELCOMED = sa.text("confirmed_at IS NOT NULL AND welcomed_at IS NULL")


def upgrade() -> None:
    """Add the three tables."""
    op.create_table(
        "signup",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("canonical", sa.Text(), nullable=False),
        sa.Column("first_name", sa.Text(), server_default="", nullable=False),
        sa.Column("time_zone", sa.Text(), server_default="", nullable=False),
        sa.Column("wording", sa.Text(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("browser_hash", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("suspect", sa.Text(), server_default="", nullable=False),
        sa.Column("asked_at", Utc(), nullable=False),
        sa.Column("due_at", Utc(), nullable=False),
        sa.Column("decided_at", Utc(), nullable=True),
        sa.Column("mail", sa.Text(), server_default="", nullable=False),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.Column("code_tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("confirmed_at", Utc(), nullable=True),
        sa.Column("welcomed_at", Utc(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signup")),
        sa.CheckConstraint("mail IN ('', 'confirm', 'already', 'none')", name=op.f("ck_signup_mail")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_signup_canonical"), "signup", ["canonical"], unique=False)
    op.create_index(op.f("ix_signup_browser_hash"), "signup", ["browser_hash"], unique=False)
    op.create_index(op.f("ix_signup_asked_at"), "signup", ["asked_at"], unique=False)
    op.create_index("ix_signup_undecided", "signup", ["due_at"], sqlite_where=_UNDECIDED, postgresql_where=_UNDECIDED)
    op.create_index("ix_signup_unwelcomed", "signup", ["id"], sqlite_where=_UNWELCOMED, postgresql_where=_UNWELCOMED)
    op.create_table(
        "wording",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("first_used_at", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_wording")),
    )
    op.create_table(
        "rate_limit",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("events", sa.JSON(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("expires_at", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_rate_limit")),
    )
    op.create_index(op.f("ix_rate_limit_expires_at"), "rate_limit", ["expires_at"], unique=False)
