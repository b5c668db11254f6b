"""Carrying a whole database over to another one, whatever kind either is: every row, and the next free numbers.

In: two databases of this version, the second one empty. Out: the rows on the other side, in one transaction and in
steps, so that memory stays flat. On PostgreSQL rows go in by COPY.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import JSON, Column, Table, func, insert, inspect, select, text

from newsletter.errors import InputError, Stop
from newsletter.store.database import Database
from newsletter.store.schema import metadata
from newsletter.store.unit import Tx

_BATCH_ROWS = 5_000

TABLES = [table for table in metadata.sorted_tables if not table.info.get("derived")]
"""In an order in which every row finds what it refers to; without those that triggers fill."""

Progress = Callable[[str, int], None]
"""Called with the name of a table and the rows so far."""


@contextmanager
def one_state(database: Database) -> Iterator[Tx]:
    """Give a transaction that sees one state from its first statement to its last, on either kind."""
    options = {"readonly": True}
    if database.dialect.name == "postgresql":
        options = {"isolation_level": "REPEATABLE READ"}  # type: ignore[dict-item]
    with database.execution_options(**options).connect() as connection, connection.begin():
        yield connection


def refuse_filled(tx: Tx) -> None:
    """Raise `InputError` unless every table of ours is empty."""
    for table in TABLES:
        if tx.execute(select(table).limit(1)).first() is not None:
            raise InputError(f"The target is not empty (table {table.name}); nothing was changed.")


def has_strangers(database: Database) -> bool:
    """Tell whether a database holds tables under our names that are not of this program."""
    return bool({table.name for table in TABLES} & set(inspect(database).get_table_names()))


def carry(source: Tx, target: Tx, *, progress: Progress) -> None:
    """Copy every row of every table, and see to it that no id is ever given again."""
    for table in TABLES:
        write = _copy_in if target.dialect.name == "postgresql" else _insert
        copied = 0
        with closing(_steps(source, table)) as steps:
            for rows in steps:
                write(target, table, rows)
                copied += len(rows)
                progress(table.name, copied)
        if copied == 0:
            progress(table.name, 0)
    for table in TABLES:
        _count_on(source, target, table)


def counts(tx: Tx) -> Mapping[str, int]:
    """Return how many rows each table has."""
    return {table.name: tx.execute(select(func.count()).select_from(table)).scalar_one() for table in TABLES}


def _steps(source: Tx, table: Table) -> Generator[Sequence[Sequence[Any]], None, None]:
    query = select(table).order_by(*table.primary_key.columns)
    result = source.execute(query, execution_options={"yield_per": _BATCH_ROWS})
    with closing(result):
        yield from result.partitions()


def _insert(target: Tx, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    names = [column.name for column in table.columns]
    target.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])


def _copy_in(target: Tx, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    adapters = [_adapter(column) for column in table.columns]
    driver = target.connection.driver_connection
    line = f'COPY "{table.name}" ({names}) FROM STDIN'
    try:
        with driver.cursor() as cursor, cursor.copy(line) as copy:  # type: ignore[union-attr]
            for row in rows:
                copy.write_row([adapt(value) for adapt, value in zip(adapters, row, strict=True)])
    except target.dialect.loaded_dbapi.Error as error:
        words = " ".join(str(error).split())
        raise Stop(f"PostgreSQL did not take rows of {table.name} ({words}); nothing was copied.") from error


def _adapter(column: Column[Any]) -> Callable[[Any], Any]:
    if isinstance(column.type, JSON):
        return lambda value: None if value is None else json.dumps(value)
    # The one letter that SQLite keeps in a text and PostgreSQL does not.
    return lambda value: value.replace("\0", "") if isinstance(value, str) else value


def _count_on(source: Tx, target: Tx, table: Table) -> None:
    """Let the next id be one that neither side ever gave: old links and bounce addresses bear the ids."""
    key = table.autoincrement_column
    if key is None or key.name != "id":
        return
    last = max(_last_given(source, table), target.execute(select(func.max(key))).scalar() or 0)
    if not last:
        return
    if target.dialect.name == "postgresql":
        target.execute(
            text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :last)"), {"name": table.name, "last": last}
        )
    elif "ids_used_once" in table.info:
        target.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        target.execute(
            text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), {"name": table.name, "last": last}
        )


def _last_given(tx: Tx, table: Table) -> int:
    """Return the highest id that was ever given, also to a row that is gone."""
    if tx.dialect.name == "postgresql":
        sequence = tx.execute(text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": table.name}).scalar()
        if sequence is None:
            return 0
        [last, called] = tx.execute(text(f"SELECT last_value, is_called FROM {sequence}")).one()  # noqa: S608 - a name of the catalogue
        return int(last) if called else 0
    if "ids_used_once" not in table.info:
        return 0
    value = tx.execute(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table.name}).scalar()
    return int(value or 0)
