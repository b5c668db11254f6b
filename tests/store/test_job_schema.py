"""The job queue's own tables on PostgreSQL: made, brought up, and never in the way of ours."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import resources

import pytest
from sqlalchemy import Engine, create_engine, inspect, text

from newsletter.errors import InputError
from newsletter.store import job_schema
from newsletter.store.database import connect
from newsletter.store.upgrade import upgrade

pytestmark = pytest.mark.postgres


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    """Return a database of this version, which has a job queue."""
    bare_engine = connect(postgres_url)
    yield bare_engine
    bare_engine.dispose()


def columns(engine: Engine) -> dict[str, list[tuple[str, str]]]:
    """Return every table of the job queue with its columns."""
    seen = inspect(engine)
    return {
        name: [(one["name"], str(one["type"])) for one in seen.get_columns(name, schema=job_schema.SCHEMA)]
        for name in sorted(seen.get_table_names(schema=job_schema.SCHEMA))
    }


def functions(engine: Engine) -> dict[str, str]:
    """Return every function of the job queue with its text, blanks aside."""
    query = "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = to_regnamespace(:name)"
    with engine.connect() as connection:
        rows = connection.execute(text(query), {"name": job_schema.SCHEMA}).all()
    return {name: " ".join(body.split()) for name, body in rows}


def test_it_stands_beside_our_tables(engine: Engine) -> None:
    """A fresh database has the queue in a schema of its own, and none of its tables among ours."""
    assert "procrastinate_jobs" in columns(engine)
    assert not [name for name in inspect(engine).get_table_names() if name.startswith("procrastinate")]
    with engine.connect() as connection:
        assert job_schema.missing(connection) == []


def test_a_second_upgrade_runs_nothing(engine: Engine) -> None:
    """What was run is recorded, and not run again; the search path is as it was."""
    with engine.begin() as connection:
        before = connection.scalar(text("SHOW search_path"))
        assert job_schema.apply(connection) == []
        assert connection.scalar(text("SHOW search_path")) == before


def scripts() -> list[str]:
    """Return the library's upgrades in order."""
    folder = resources.files("procrastinate.sql") / "migrations"
    return sorted(one.name for one in folder.iterdir() if one.name.endswith(".sql"))


def make_old(engine: Engine, until: str) -> None:
    """Make the queue as a version of the library did that had only the first of its scripts."""
    folder = resources.files("procrastinate.sql") / "migrations"
    with engine.begin() as connection:
        job_schema.drop(connection)
        connection.execute(text("CREATE SCHEMA procrastinate"))
    for name in [name for name in scripts() if name <= until]:
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL search_path TO procrastinate"))
            connection.execute(
                text("CREATE TABLE IF NOT EXISTS newsletter_scripts (name text PRIMARY KEY, run_at date)")
            )
            connection.execute(text("INSERT INTO newsletter_scripts VALUES (:name)"), {"name": name})
            connection.connection.driver_connection.execute((folder / name).read_text())


@pytest.mark.parametrize("until", [0, -4, -1])
def test_an_older_queue_is_brought_up(engine: Engine, until: int) -> None:
    """However old the library was that made it, the queue is then like a fresh one, and the next look finds it so."""
    tables, code = columns(engine), functions(engine)
    make_old(engine, scripts()[until])
    upgrade(engine)
    assert {name: sorted(found) for name, found in columns(engine).items() if "scripts" not in name} == {
        name: sorted(found) for name, found in tables.items() if "scripts" not in name
    }
    assert {name: body for name, body in functions(engine).items() if name in code} == code
    with engine.connect() as connection:
        assert job_schema.missing(connection) == []


def test_a_failed_upgrade_leaves_everything(engine: Engine) -> None:
    """Our revisions and the queue's come together or not at all."""
    with engine.begin() as connection:
        job_schema.drop(connection)
        # A type in the way of the library's own script.
        connection.execute(text("CREATE SCHEMA procrastinate"))
        connection.execute(text("CREATE TYPE procrastinate.procrastinate_job_status AS ENUM ('x')"))
    with pytest.raises(Exception, match="job queue cannot be brought up"):
        upgrade(engine)
    with engine.connect() as connection:
        assert not job_schema.exists(connection)


def test_without_the_extra_it_says_so(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has the driver and not the queue is told which extra to install."""
    monkeypatch.setitem(sys.modules, "procrastinate", None)
    with engine.connect() as connection, pytest.raises(InputError, match=r"pip install '\.\[postgres\]'"):
        job_schema.apply(connection)


def test_sqlite_needs_none_of_it() -> None:
    """On SQLite nothing is made, and the library is not even looked for."""
    with create_engine("sqlite://").connect() as connection:
        assert job_schema.apply(connection) == []
        assert job_schema.missing(connection) == []
