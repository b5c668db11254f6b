"""When everybody of an edition has had a first try: how long an edition takes is told by that, not by the last retry.

Revision ID: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the instant; an edition without a deferred delivery had its first tries when it finished."""
    op.add_column("edition", sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True))
    edition = sa.table("edition", *map(sa.column, ("id", "status", "finished_at", "tried_at")))
    tally = sa.table("tally", *map(sa.column, ("edition_id", "deferred")))
    deferred = sa.select(tally.c.edition_id).where(tally.c.deferred > 0)
    op.execute(
        edition.update()
        .where(edition.c.status == "finished", edition.c.id.not_in(deferred))
        .values(tried_at=edition.c.finished_at)
    )
