"""Notices: proofs, reports and alerts as mails of their own, and what was said about an alert.

Revision ID: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPEN = "state IN ('queued', 'sending', 'deferred')"
STATES = "state IN ('queued', 'sending', 'deferred', 'accepted', 'rejected', 'expired', 'withdrawn')"


def upgrade() -> None:
    """Make the table, and let alerts remember what was done about them."""
    op.create_table(
        "notice",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), server_default="", nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("first_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reply_code", sa.Integer(), nullable=True),
        sa.Column("reply_enhanced", sa.Text(), server_default="", nullable=False),
        sa.Column("reply_text", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint(STATES, name=op.f("ck_notice_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint(
            "kind", "about", "variant", "recipient", name=op.f("uq_notice_kind_about_variant_recipient")
        ),
    )
    op.create_index(
        "ix_notice_open",
        "notice",
        ["next_attempt_at"],
        unique=False,
        sqlite_where=sa.text(OPEN),
        postgresql_where=sa.text(OPEN),
    )
    op.add_column("alert", sa.Column("command_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("alert", sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
    # What had passed before there were mails was never mailed, so nothing is left to say about it.
    op.execute(sa.text("UPDATE alert SET closed_at = cleared_at"))
    op.drop_index("uq_alert_open", table_name="alert")
    op.create_index(
        "uq_alert_open",
        "alert",
        ["kind", "about"],
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
