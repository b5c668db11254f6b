"""Creating and upgrading databases."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect, select, text

from newsletter.errors import InputError, Stop
from newsletter.store.claims import marked_by
from newsletter.store.database import HEAD, connect, current_revision, open_unit
from newsletter.store.schema import block, delivery, edition, metadata, slot, tip
from newsletter.store.upgrade import upgrade
from newsletter.store.worker import WorkerId

THEN = datetime(2026, 11, 3, 14, tzinfo=UTC)


_SQLITE_TEXTS = (
    "SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger', 'view') AND sql IS NOT NULL"
)
# Predicates, operator classes, collations and storage parameters of an index are all in its definition.
_POSTGRESQL_TEXTS = """
SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'trigger', tgname, pg_get_triggerdef(pg_trigger.oid)
FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE NOT tgisinternal AND relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'function', proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL
SELECT 'storage', relname, concat(relpersistence, reloptions::text) FROM pg_class
WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'collation', concat(table_name, '.', column_name), collation_name
FROM information_schema.columns WHERE table_schema = 'public'
"""


def definitions(engine: Engine) -> dict[tuple[str, str], str]:
    """Return what the database stores of indexes, triggers, functions and storage parameters, as it words them."""
    query = _SQLITE_TEXTS if engine.dialect.name == "sqlite" else _POSTGRESQL_TEXTS
    with engine.connect() as connection:
        rows = connection.execute(text(query)).all()
    texts = {(kind, name): " ".join((words or "").split()) for kind, name, words in rows}
    return {item: words for item, words in texts.items() if "alembic_version" not in item[1]}


def describe(engine: Engine) -> dict[str, object]:
    """Return everything a database knows of our tables, in a form that can be compared."""
    seen = inspect(engine)
    tables = [name for name in seen.get_table_names() if name != "alembic_version"]
    return {
        name: {
            "columns": [
                {key: str(value) for key, value in column.items() if key in {"name", "type", "nullable", "default"}}
                for column in seen.get_columns(name)
            ],
            "key": seen.get_pk_constraint(name),
            "unique": sorted(map(str, seen.get_unique_constraints(name))),
            "checks": sorted(map(str, seen.get_check_constraints(name))),
            "references": sorted(map(str, seen.get_foreign_keys(name))),
            "indexes": sorted(
                str({**index, "dialect_options": {key: str(value) for key, value in index["dialect_options"].items()}})
                for index in seen.get_indexes(name)
            ),
        }
        for name in sorted(tables)
    }


def test_a_migrated_schema_equals_a_fresh_one(database_url: str, request: pytest.FixtureRequest) -> None:
    """What the migrations make is what the code believes in, on both databases."""
    migrated = connect(database_url)
    fresh = _fresh(migrated, request)
    metadata.create_all(fresh)
    assert describe(migrated) == describe(fresh)
    assert definitions(migrated) == definitions(fresh)
    migrated.dispose()
    fresh.dispose()


def _fresh(migrated: Engine, request: pytest.FixtureRequest) -> Engine:
    if migrated.dialect.name == "sqlite":
        return create_engine("sqlite://")
    server = create_engine(request.getfixturevalue("postgres_server"), isolation_level="AUTOCOMMIT")
    name = f"{migrated.url.database}_fresh"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    server.dispose()
    return create_engine(migrated.url.set(database=name))


@pytest.mark.parametrize(
    ("statement", "databases"),
    [
        ("DROP INDEX ix_tip_draft", ("sqlite", "postgresql")),
        ("CREATE INDEX ix_more ON tip (id) WHERE status = 'sent'", ("sqlite", "postgresql")),
        ("DROP TRIGGER subscriber_count_delete", ("sqlite",)),
        ("DROP TRIGGER subscriber_count_delete ON subscriber", ("postgresql",)),
        ("ALTER TABLE delivery RESET (fillfactor)", ("postgresql",)),
        ("ALTER TABLE subscriber SET (fillfactor = 70)", ("postgresql",)),
        ("ALTER INDEX ix_tip_draft SET (fillfactor = 70)", ("postgresql",)),
        ("CREATE FUNCTION more() RETURNS int LANGUAGE sql AS 'SELECT 1'", ("postgresql",)),
        ('ALTER TABLE tip ALTER COLUMN slug TYPE text COLLATE "POSIX"', ("postgresql",)),
    ],
)
def test_a_difference_of_two_schemas_is_seen(database_url: str, statement: str, databases: tuple[str, ...]) -> None:
    """An index, its condition, a trigger, a function or a storage parameter that differs changes the description."""
    engine = connect(database_url)
    if engine.dialect.name in databases:
        before = definitions(engine)
        with engine.begin() as connection:
            connection.execute(text(statement))
        assert definitions(engine) != before
    engine.dispose()


def test_opening_never_creates(tmp_path: Path) -> None:
    """A path without a database is an error that names `newsletter init`, and no file appears."""
    with pytest.raises(Stop, match="newsletter init"):
        open_unit(connect(f"sqlite:///{tmp_path}/none.db"))
    assert list(tmp_path.iterdir()) == []


def test_a_newer_database_is_left_alone(sqlite_url: str) -> None:
    """A database of a newer version is refused by name, by opening and by upgrading."""
    path = sqlite_url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as direct:
        direct.execute("UPDATE alembic_version SET version_num = '9999'")
    direct.close()
    engine = connect(sqlite_url)
    with pytest.raises(Stop, match="newer version"):
        open_unit(engine)
    with pytest.raises(Stop, match="newer version"):
        upgrade(engine)
    engine.dispose()


def test_upgrading_twice_changes_nothing(database_url: str) -> None:
    """An upgrade of an up-to-date database is a no-op."""
    engine = connect(database_url)
    before = describe(engine)
    assert upgrade(engine) == (HEAD, HEAD)
    assert describe(engine) == before
    assert current_revision(engine) == HEAD
    engine.dispose()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    """A text file in the place of the database is told apart from a bug."""
    path = tmp_path / "newsletter.db"
    path.write_text("this is a letter to the editor, and a long one, so that it is longer than a header\n" * 20)
    with pytest.raises(Stop, match="not a database"):
        open_unit(connect(f"sqlite:///{path}"))


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", "", "sqlite//x"])
def test_other_urls_are_refused(url: str) -> None:
    """Only SQLite and PostgreSQL are spoken."""
    with pytest.raises(InputError, match="DATABASE_URL"):
        connect(url)


def test_no_index_asks_for_the_state_of_a_delivery(database_url: str) -> None:
    """It changes twice in every row; on PostgreSQL an index that asks for it makes each change one of all indexes."""
    engine = connect(database_url)
    indexes = inspect(engine).get_indexes("delivery")
    engine.dispose()
    assert {one["name"] for one in indexes} >= {"ix_delivery_deferred", "ix_delivery_later"}
    assert [one for one in indexes if "state" in str(one)] == []


def test_what_was_under_way_at_an_upgrade_is_found(tmp_path: Path) -> None:
    """A message that an older version had marked when it died is settled by this one."""
    engine = connect(f"sqlite:///{tmp_path}/newsletter.db")
    upgrade(engine, target="0004")
    with engine.begin() as tx:
        day = THEN.date()
        tx.execute(slot.insert().values(date=day, sends_at=THEN, extra=False, state="frozen", changed_at=THEN))
        tx.execute(
            tip.insert().values(
                slug="a", title="A", subject="A", evergreen=False, status="sent", body="A", position=1, changed_at=THEN
            )
        )
        tx.execute(
            edition.insert().values(
                date=day, number=1, tip_id=1, tip_slug="a", title="A", source="queue", why="", status="sending",
                audience=1, content="{}", nonce="a", sends_at=THEN, started_at=THEN, tip_used=True,
            )
        )  # fmt: skip
        tx.exec_driver_sql("INSERT INTO block (edition_id, number, state) VALUES (1, 0, 'open'), (1, 1, 'open')")
        tx.execute(delivery.insert().values(edition_id=1, subscriber_id=1, block=0, state="sending", worker=7))
    assert upgrade(engine) == ("0004", HEAD)
    with open_unit(engine).read() as tx:
        assert [one.id for one in marked_by(tx, WorkerId(7))] == [1]
        assert list(tx.execute(select(block.c.number).where(block.c.begun)).scalars()) == [0]
    engine.dispose()


def test_a_name_that_no_file_can_have_is_named(tmp_path: Path) -> None:
    """A path that is too long for the file system is an error about the setting, not a trace."""
    with pytest.raises(InputError, match="NEWSLETTER_DATABASE_URL"):
        open_unit(connect(f"sqlite:///{tmp_path}/{'n' * 300}.db"))
