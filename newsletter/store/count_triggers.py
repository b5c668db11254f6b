"""The triggers that keep the table `subscriber_count` equal to the numbers of people in the table `subscriber`.

In: nothing. Out: the statements that create them, for each database. A statement that changes people changes the
counts in the same transaction, whichever module or tool runs it.

SQLite has one writer at a time, so that each state and zone has one row there. On PostgreSQL a row that every
transaction updates would make imports and opt-outs wait for each other until their commits, and two of them could
deadlock. There a transaction updates any row of the state and zone that no other one holds, or inserts another row:
the sum of the rows is the count, and there are at most as many of them as there were transactions at the same time.
"""

from __future__ import annotations

_INCREASE = """
    INSERT INTO subscriber_count (state, time_zone, people) SELECT NEW.state, NEW.time_zone, 0
    WHERE NOT EXISTS (SELECT 1 FROM subscriber_count WHERE state = NEW.state AND time_zone = NEW.time_zone);
    UPDATE subscriber_count SET people = people + 1 WHERE state = NEW.state AND time_zone = NEW.time_zone;"""
_DECREASE = """
    UPDATE subscriber_count SET people = people - 1 WHERE state = OLD.state AND time_zone = OLD.time_zone;"""

SQLITE = (
    f"CREATE TRIGGER subscriber_count_insert AFTER INSERT ON subscriber BEGIN{_INCREASE}\nEND",
    f"CREATE TRIGGER subscriber_count_delete AFTER DELETE ON subscriber BEGIN{_DECREASE}\nEND",
    f"""CREATE TRIGGER subscriber_count_update AFTER UPDATE OF state, time_zone ON subscriber
WHEN OLD.state <> NEW.state OR OLD.time_zone <> NEW.time_zone BEGIN{_INCREASE}{_DECREASE}\nEND""",
)

_ADD = """
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
"""
_COUNT = """
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
"""


def _trigger(event: str, tables: str) -> str:
    return (
        f"CREATE TRIGGER subscriber_count_{event.lower()} AFTER {event} ON subscriber REFERENCING {tables} "
        "FOR EACH STATEMENT EXECUTE FUNCTION count_subscribers()"
    )


POSTGRESQL = (
    _ADD,
    _COUNT,
    _trigger("INSERT", "NEW TABLE AS new_rows"),
    _trigger("DELETE", "OLD TABLE AS old_rows"),
    _trigger("UPDATE", "OLD TABLE AS old_rows NEW TABLE AS new_rows"),
)
