"""What SQLite does for a query: the steps of its plan, to see that an index serves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from newsletter.store.unit import Tx, Unit


def plan_steps(unit: Unit, job: Callable[[Tx], object], *, table: str) -> list[str]:
    """Return the steps of every SELECT on a table that a piece of work runs, such as `SEARCH tip USING INDEX …`."""
    statements: list[str] = []
    with unit.write() as tx:
        tx.exec_driver_sql("ANALYZE")
    with unit.read() as tx:
        driver: Any = tx.connection.driver_connection
        driver.set_trace_callback(statements.append)
        job(tx)
        driver.set_trace_callback(None)
        selects = [text for text in statements if text.startswith("SELECT") and f"FROM {table}" in text]
        return [row[-1] for text in selects for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
