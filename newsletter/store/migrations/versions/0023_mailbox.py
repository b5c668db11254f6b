"""Remember which mails of a mailbox were judged.

Revision ID: 0023
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from newsletter.store.schema import Utc

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "mailbox_mail",
        sa.Column("mailbox", sa.Text(), nullable=False),
        sa.Column("validity", sa.BigInteger(), nullable=False),
        sa.Column("uid", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox", "validity", "uid", name=op.f("pk_mailbox_mail")),
        sa.CheckConstraint("verdict IN ('read', 'unknown')", name=op.f("ck_mailbox_mail_verdict")),
    )
    op.create_index(op.f("ix_mailbox_mail_at"), "mailbox_mail", ["at"], unique=False)
