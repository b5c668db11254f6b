"""`db copy`: the whole history on the other side, whatever kind either is, and nobody mailed twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select, text

from newsletter.core.token import Keyring
from newsletter.errors import InputError, NotNow
from newsletter.flows.adopt import adopt_database
from newsletter.flows.copy_database import copy_database
from newsletter.flows.freeze import RenderContext
from newsletter.store import subscriber_count, transfer
from newsletter.store.database import connect, current_revision, sender_lock
from newsletter.store.schema import installation
from newsletter.store.schema import log as log_table
from newsletter.store.unit import Unit
from newsletter.testing.catcher import Catcher
from newsletter.testing.clocks import FixedClock
from tests.conftest import SECRET
from tests.edition_fixtures import TUESDAY, add_people, add_tip
from tests.sending.copied_fixtures import MONDAY, Newsletter, close_all, open_newsletter

PEOPLE, EDITIONS = 553, 3


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Where it is copied from and to."""

    source: Newsletter
    to: str
    open: Callable[[str], Newsletter]


@pytest.fixture(
    params=[
        "sqlite to sqlite",
        pytest.param("sqlite to postgresql", marks=pytest.mark.postgres),
        pytest.param("postgresql to sqlite", marks=pytest.mark.postgres),
    ]
)
def pair(request: pytest.FixtureRequest, tmp_path: Path, clock: FixedClock, render_context: RenderContext) -> Pair:
    """Return a newsletter with some history, and an empty database."""
    source_kind, other = request.param.split(" to ")
    source = request.getfixturevalue("sqlite_url" if source_kind == "sqlite" else "postgres_url")
    if other == "sqlite":
        to = f"sqlite:///{tmp_path / 'moved' / 'copy.db'}"
        (tmp_path / "moved").mkdir()
    else:
        to = request.getfixturevalue("postgres_url")
        empty(to)
    clock.set(MONDAY)
    source_newsletter = open_newsletter(source, tmp_path / "journal", clock, render_context)
    return Pair(
        source=source_newsletter,
        to=to,
        open=lambda url: open_newsletter(url, tmp_path / "journal", clock, render_context),
    )


def empty(url: str) -> None:
    """Leave nothing but the tables."""
    engine = connect(url)
    with engine.begin() as connection:
        connection.execute(delete(installation))
    engine.dispose()


def live(source: Newsletter, catcher: Catcher) -> None:
    """Send some editions; people leave and are erased in between, the newest one too."""
    add_people(source.unit, PEOPLE)
    source.ticker.tick()
    for number in range(EDITIONS):
        add_tip(source.unit, f"tip-{number}", tags=("a", "ä"))
        source.clock.set(TUESDAY + timedelta(weeks=number))
        assert source.ticker.tick() is not None
        source.sender(catcher.port).work(threading.Event())
        source.leaves(f"p{number}@example.com")
    source.erase(f"p{PEOPLE - 1}@example.com")


def everything(unit: Unit) -> Mapping[str, list[tuple[object, ...]]]:
    """Return every row of every table that is copied, but the one of the installation."""
    with unit.read() as tx:
        assert subscriber_count.faults(tx) == []
        return {
            table.name: [tuple(row) for row in tx.execute(select(table).order_by(*table.primary_key.columns))]
            for table in transfer.TABLES
            if table.name != "installation"
        }


def test_every_row_arrives(pair: Pair, catcher: Catcher) -> None:
    """All tables are the same on both sides, with their reports, and the next ids were never given."""
    live(pair.source, catcher)
    copy_result = copy_database(pair.source.unit._engine, pair.to)
    assert (list(copy_result.differences), copy_result.editions) == ([], EDITIONS)
    assert copy_result.rows["subscriber"] == PEOPLE - 1
    copy = pair.open(pair.to)
    assert everything(copy.unit) == everything(pair.source.unit)
    add_people(copy.unit, 1, start=90_000)
    assert copy.id_of("p90000@example.com") == PEOPLE + 1


def test_the_copy_is_held_until_adopted_and_the_original_from_then_on(pair: Pair, catcher: Catcher) -> None:
    """At every moment one of the two may send; what happens in between is caught up with."""
    live(pair.source, catcher)
    copy_database(pair.source.unit._engine, pair.to)
    copy = pair.open(pair.to)
    assert "a copy that was not adopted yet" in copy.held()
    assert pair.source.held() == ""
    pair.source.leaves("p77@example.com")
    assert "1 opt-out." in copy.held()
    adoption = adopt_database(copy.unit, copy.home, Keyring(current=SECRET), who="pat", now=copy.clock.now())
    assert adoption is not None
    assert adoption.left == 1
    assert copy.held() == ""
    assert "Another copy of it was made the one that counts" in pair.source.held()
    add_tip(copy.unit, "next")
    copy.clock.set(TUESDAY + timedelta(weeks=EDITIONS))
    assert pair.source.ticker.tick() is None
    edition = copy.ticker.tick()
    assert edition is not None
    assert edition.audience == PEOPLE - EDITIONS - 2


def test_a_target_that_holds_something_is_refused(pair: Pair) -> None:
    """Nothing is ever written over, not even by a second copy; the database itself is no target."""
    engine = pair.source.unit._engine
    copy_database(engine, pair.to)
    for to in (pair.to, pair.source.url):
        with pytest.raises(InputError, match="nothing was changed"):
            copy_database(engine, to)


def test_strange_tables_under_our_names_are_refused(pair: Pair, tmp_path: Path) -> None:
    """A database of another program stays as it is."""
    other = f"sqlite:///{tmp_path / 'other.db'}"
    engine = connect(other)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE subscriber (id INTEGER)"))
    engine.dispose()
    with pytest.raises(InputError, match="other tables"):
        copy_database(pair.source.unit._engine, other)
    assert current_revision(connect(other)) is None


def test_nothing_is_copied_while_a_sender_is_alive(pair: Pair) -> None:
    """Whoever copies hears that the service must be stopped first."""
    with sender_lock(pair.source.unit._engine), pytest.raises(NotNow, match="Stop the service"):
        copy_database(pair.source.unit._engine, pair.to)


def test_a_copy_that_is_cut_short_leaves_an_empty_target(pair: Pair, catcher: Catcher) -> None:
    """It is one transaction: after a failure the same command can be run again."""
    live(pair.source, catcher)

    def fail(table: str, _rows: int) -> None:
        if table == "delivery":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_database(pair.source.unit._engine, pair.to, progress=fail)
    assert list(copy_database(pair.source.unit._engine, pair.to).differences) == []


def test_differences_of_the_copy_are_listed(pair: Pair, catcher: Catcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that get lost on the way are differences in words, by table and by edition."""
    live(pair.source, catcher)
    steps = transfer._steps

    def lossy(source, table):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        for rows in steps(source, table):
            yield rows[:-1] if table.name == "delivery" else rows

    monkeypatch.setattr(transfer, "_steps", lossy)
    copy_result = copy_database(pair.source.unit._engine, pair.to)
    assert len(copy_result.differences) == 2
    assert copy_result.differences[0].startswith("delivery: ")
    assert "edition 2026-11-17" in copy_result.differences[1]


def test_a_letter_that_postgresql_does_not_keep(pair: Pair) -> None:
    """A zero byte in an old text of SQLite stops no move."""
    if pair.source.url.startswith("postgresql"):
        return
    values = {"at": MONDAY, "who": "pat", "what": "note", "about": "a\0b", "why": ""}
    with pair.source.unit.write() as tx:
        tx.execute(log_table.insert().values(**values))
    assert list(copy_database(pair.source.unit._engine, pair.to).differences) == []
