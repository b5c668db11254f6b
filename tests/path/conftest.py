"""What the tests of the whole path share: a home folder with people and a tip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from newsletter.store.unit import Unit
from tests.edition_fixtures import add_people, add_tip
from tests.path.home import Home

MakeHome = Callable[..., Home]


@pytest.fixture
def make_home(database_url: str, tmp_path: Path) -> Iterator[MakeHome]:
    """Return a function that makes a home for so many people, once for each kind of database."""
    with make_in(database_url, tmp_path) as make:
        yield make


@pytest.fixture
def make_sqlite_home(sqlite_url: str, tmp_path: Path) -> Iterator[MakeHome]:
    """Return a function that makes a home on SQLite, for what does not differ between databases."""
    with make_in(sqlite_url, tmp_path) as make:
        yield make


@pytest.fixture
def make_postgres_home(postgres_url: str, tmp_path: Path) -> Iterator[MakeHome]:
    """Return a function that makes a home on PostgreSQL."""
    with make_in(postgres_url, tmp_path) as make:
        yield make


@pytest.fixture
def make(request: pytest.FixtureRequest) -> MakeHome:
    """Return the maker of homes that a test names."""
    maker: MakeHome = request.getfixturevalue(request.param)
    return maker


@contextmanager
def make_in(url: str, folder: Path) -> Iterator[MakeHome]:
    """Give a function that makes homes on a database."""
    units: list[Unit] = []

    def make(port: int, people: int, **more: object) -> Home:
        home = Home.make(folder / "home", url, port, **more)
        units.append(home.unit)
        add_people(home.unit, people)
        add_tip(home.unit)
        return home

    yield make
    for unit in units:
        unit._engine.dispose()
