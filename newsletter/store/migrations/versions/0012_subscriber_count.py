"""Keep the numbers of people by state and time zone in a table of their own, by triggers.

Revision ID: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

INCREASE = """
    INSERT INTO subscriber_count (state, time_zone, people) SELECT NEW.state, NEW.time_zone, 0
    WHERE NOT EXISTS (SELECT 1 FROM subscriber_count WHERE state = NEW.state AND time_zone = NEW.time_zone);
    UPDATE subscriber_count SET people = people + 1 WHERE state = NEW.state AND time_zone = NEW.time_zone;"""
DECREASE = """
    UPDATE subscriber_count SET people = people - 1 WHERE state = OLD.state AND time_zone = OLD.time_zone;"""

SQLITE = (
    f"CREATE TRIGGER subscriber_count_insert AFTER INSERT ON subscriber BEGIN{INCREASE}\nEND",
    f"CREATE TRIGGER subscriber_count_delete AFTER DELETE ON subscriber BEGIN{DECREASE}\nEND",
    f"""CREATE TRIGGER subscriber_count_update AFTER UPDATE OF state, time_zone ON subscriber
WHEN OLD.state <> NEW.state OR OLD.time_zone <> NEW.time_zone BEGIN{INCREASE}{DECREASE}\nEND""",
)

POSTGRESQL = (
    """
CREATE OR REPLACE FUNCTION add_to_subscriber_count(which_state text, which_zone text, number bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE subscriber_count SET people = people + number WHERE id = (
        SELECT id FROM subscriber_count WHERE state = which_state AND time_zone = which_zone
        LIMIT 1 FOR UPDATE SKIP LOCKED
    );
    IF NOT FOUND THEN
        INSERT INTO subscriber_count (state, time_zone, people) VALUES (which_state, which_zone, number);
    END IF;
END $$
""",
    """
CREATE OR REPLACE FUNCTION count_subscribers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM add_to_subscriber_count(state, time_zone, people)
        FROM (SELECT state, time_zone, count(*) AS people FROM new_rows GROUP BY state, time_zone) AS change;
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM add_to_subscriber_count(state, time_zone, -people)
        FROM (SELECT state, time_zone, count(*) AS people FROM old_rows GROUP BY state, time_zone) AS change;
    ELSE
        PERFORM add_to_subscriber_count(state, time_zone, people)
        FROM (
            SELECT state, time_zone, sum(step) AS people
            FROM (
                SELECT state, time_zone, 1 AS step FROM new_rows
                UNION ALL SELECT state, time_zone, -1 FROM old_rows
            ) AS moved
            GROUP BY state, time_zone HAVING sum(step) <> 0
        ) AS change;
    END IF;
    RETURN NULL;
END $$
""",
    *(
        f"CREATE TRIGGER subscriber_count_{event.lower()} AFTER {event} ON subscriber REFERENCING {tables} "
        "FOR EACH STATEMENT EXECUTE FUNCTION count_subscribers()"
        for event, tables in (
            ("INSERT", "NEW TABLE AS new_rows"),
            ("DELETE", "OLD TABLE AS old_rows"),
            ("UPDATE", "OLD TABLE AS old_rows NEW TABLE AS new_rows"),
        )
    ),
)


def upgrade() -> None:
    """Create the table and its triggers, which lock the people, and count these afterwards."""
    op.create_table(
        "subscriber_count",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("people", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriber_count")),
    )
    op.create_index("ix_subscriber_count_state_time_zone", "subscriber_count", ["state", "time_zone"], unique=False)
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL:
        op.execute(statement)
    op.execute(
        "INSERT INTO subscriber_count (state, time_zone, people) "
        "SELECT state, time_zone, count(*) FROM subscriber GROUP BY state, time_zone"
    )
    op.drop_index("ix_subscriber_active", "subscriber")
    op.create_index(
        "ix_subscriber_zone",
        "subscriber",
        ["time_zone", "state_since"],
        unique=False,
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )
