"""How long does `db copy` take? `python benchmarks/move.py URL` copies a large newsletter and compares both sides.

In: the URL of an empty database, people, editions. Out: seconds, rows a second and the peak memory of the copying. The
newsletter that is copied is made for it, in a folder that is thrown away.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text
from world import World

from newsletter.flows.copy_database import copy_database
from newsletter.store.unit import Unit

NOW = datetime(2026, 11, 3, 14, tzinfo=UTC)


def main() -> None:
    """Make it, copy it, and print what that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="an empty database, such as postgresql://me@localhost/new")
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--editions", type=int, default=50)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        world = World(home=Path(folder))
        world.prepare(asked.people)
        app = world.application()
        live(app.unit, asked.editions)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        copy_result = copy_database(app.engine, asked.url)
        took = time.perf_counter() - began
    rows = sum(copy_result.rows.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{copy_result.rows['subscriber']:,} people, {copy_result.editions} editions, {rows:,} rows")
    print(f"{took:.1f} s, {rows / took:,.0f} rows/s, peak memory {peak / 1024:.0f} MB ({before / 1024:.0f} MB before)")
    print("differences:", "; ".join(copy_result.differences) or "none")


def live(unit: Unit, editions: int) -> None:
    """Let so many editions have been sent, most of each accepted; the rows are made inside the database."""
    for number in range(editions):
        at = NOW + timedelta(weeks=number)
        with unit.write() as tx:
            values = {"n": number + 1, "on": at.date().isoformat(), "at": at.strftime("%Y-%m-%d %H:%M:%S.%f")}
            tx.execute(
                text("INSERT INTO slot (date, sends_at, extra, state, changed_at) VALUES (:on, :at, 0, 'frozen', :at)"),
                values,
            )
            tx.execute(
                text(
                    "INSERT INTO edition (id, date, number, tip_id, tip_slug, title, source, why, status, audience,"
                    " content, nonce, sends_at, started_at, finished_at, tip_used)"
                    " SELECT :n, :on, 1, (SELECT min(id) FROM tip), 'tip', 'Tip', 'queue', 'next', 'finished',"
                    " count(*), '{}', '', :at, :at, :at, 1 FROM subscriber"
                ),
                values,
            )
            tx.execute(
                text(
                    "INSERT INTO delivery (edition_id, subscriber_id, block, state, attempts, first_attempt_at,"
                    " last_attempt_at, reply_code, reply_text) SELECT :n, id, id / 500, CASE WHEN (id + :n) % 50 = 0"
                    " THEN 'rejected' ELSE 'accepted' END, 1, :at, :at, 250, 'ok' FROM subscriber"
                ),
                values,
            )
            counts = tx.execute(
                text(
                    "SELECT json_group_object(state, n) FROM (SELECT state, count(*) n FROM delivery WHERE"
                    " edition_id = :n GROUP BY state)"
                ),
                values,
            ).scalar_one()
            tx.execute(text("UPDATE edition SET totals = :t WHERE id = :n"), {"t": counts, "n": number + 1})


if __name__ == "__main__":
    main()
