"""`INSERT … ON CONFLICT`, which SQLAlchemy has for each database apart.

In: a table, and which database it is. Out: the insert that knows `on_conflict_do_nothing` and `on_conflict_do_update`.
The module of a database is imported when it is used: the one of PostgreSQL brings asyncio along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Table

if TYPE_CHECKING:
    from sqlalchemy.dialects.postgresql import Insert as PostgresqlInsert
    from sqlalchemy.dialects.sqlite import Insert as SqliteInsert


def upsert(table: Table, dialect: str) -> SqliteInsert | PostgresqlInsert:
    """Return an insert into a table for a dialect, `sqlite` or `postgresql`."""
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert  # noqa: PLC0415

        return sqlite_insert(table)
    from sqlalchemy.dialects.postgresql import insert as postgresql_insert  # noqa: PLC0415

    return postgresql_insert(table)
