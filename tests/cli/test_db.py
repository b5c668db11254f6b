"""`newsletter db`: upgrading with a copy first, and finding what does not add up."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from newsletter.core.cadence import Slot, SlotState
from newsletter.core.delivery import DeliveryCounts
from newsletter.core.edition import EditionTip
from newsletter.core.lineup import Source
from newsletter.core.subscriber import SubscriberState
from newsletter.core.tip import TipDraft, TipStatus
from newsletter.core.token import key_fingerprint
from newsletter.store import check, edition, slot, tip
from newsletter.store.backup import copy_sqlite
from newsletter.store.database import HEAD, connect, current_revision, sender_lock
from newsletter.store.schema import delivery, subscriber, subscriber_count
from newsletter.store.schema import edition as edition_table
from newsletter.store.unit import Unit
from newsletter.store.upgrade import upgrade
from newsletter.testing.clocks import START
from tests.cli.conftest import Home, Ran
from tests.conftest import SECRET

NOW = datetime(2026, 11, 24, 14, tzinfo=UTC)


@pytest.fixture
def run(home: Home) -> Callable[..., Ran]:
    """Return the command line in a home whose database is empty."""
    return home.run


def make_edition(unit: Unit, people: int) -> edition.EditionId:
    """Freeze an edition for so many people, straight in the store."""
    with unit.write() as tx:
        for number in range(people):
            email = f"p{number}@example.com"
            tx.execute(
                subscriber.insert().values(
                    email=email,
                    canonical=email,
                    state=SubscriberState.ACTIVE.value,
                    state_since=START,
                    created_at=START,
                )
            )
        draft = TipDraft(slug="a-tip", title="A tip", subject="A tip", status=TipStatus.APPROVED, body="Text\n")
        chosen = tip.add(tx, draft, now=START)
        slot.add(tx, Slot(date=NOW.date(), sends_at=NOW, state=SlotState.OPEN), now=START)
        new_edition = edition.create(
            tx,
            edition.NewEdition(
                date=date(2026, 11, 24),
                tip=EditionTip(
                    id=chosen.id, slug=chosen.slug, title=chosen.title, source=Source.QUEUE, why="next in the queue"
                ),
                content="{}",
                nonce="0" * 20,
                sends_at=NOW,
            ),
            now=NOW,
        )
    return new_edition.id


def books(unit: Unit) -> list[check.Books]:
    """Return the account of every edition."""
    with unit.read() as tx:
        return list(check.all_books(tx))


def test_a_frozen_edition_balances(unit: Unit) -> None:
    """From the freeze on everybody is accounted for."""
    make_edition(unit, 3)
    (account,) = books(unit)
    assert (account.edition, account.audience, account.accounted, account.gap, account.faults) == (
        "2026-11-24",
        3,
        3,
        0,
        (),
    )


def test_a_lost_row_is_a_gap(unit: Unit) -> None:
    """A person whom no row accounts for is counted as missing."""
    edition_id = make_edition(unit, 3)
    with unit.write() as tx:
        tx.execute(delivery.delete().where(delivery.c.subscriber_id == 1))
    (account,) = books(unit)
    assert account.gap == 1
    assert account.faults == ("its rows account for 2 of 3 people",)
    assert edition_id == 1


def test_a_closed_edition_keeps_its_balance_when_rows_are_purged(unit: Unit) -> None:
    """After years the stored totals alone tell the story."""
    edition_id = make_edition(unit, 2)
    with unit.write() as tx:
        tx.execute(delivery.update().values(state="accepted"))
        edition.close(tx, edition_id, totals=DeliveryCounts(accepted=2), now=NOW)
    assert books(unit)[0].faults == ()
    with unit.write() as tx:
        tx.execute(delivery.delete())
    assert books(unit)[0].faults == ()


def test_a_closed_edition_with_people_who_wait_is_reported(unit: Unit) -> None:
    """Nobody may be left waiting in an edition that is closed, nor may its rows and totals differ."""
    edition_id = make_edition(unit, 2)
    with unit.write() as tx:
        edition.close(tx, edition_id, totals=DeliveryCounts(accepted=2), now=NOW)
    assert books(unit)[0].faults == (
        "it is closed, and 2 of its rows still wait",
        "its rows differ from its stored totals",
    )


def test_check_says_that_all_is_well(run: Callable[..., Ran]) -> None:
    """A fresh database is sound."""
    result = run("db", "check")
    assert (result.code, result.out) == (0, "The database is sound; there is no edition yet.\n")


def test_check_fails_with_the_gap(run: Callable[..., Ran], sqlite_unit: Unit) -> None:
    """An edition that does not add up is named, and the exit code says so."""
    make_edition(sqlite_unit, 2)
    with sqlite_unit.write() as tx:
        tx.execute(edition_table.update().values(audience=5))
    result = run("db", "check")
    assert result.code == 1
    assert "edition 2026-11-24: its rows account for 2 of 5 people" in result.out
    data = json.loads(run("db", "check", "--json").out)
    assert data["ok"] is False
    assert data["gaps"][0]["gap"] == 3


def test_check_finds_broken_references(run: Callable[..., Ran], home: Home, sqlite_unit: Unit) -> None:
    """A row that refers to nothing is told, as when somebody edited the file by hand."""
    make_edition(sqlite_unit, 1)
    with closing(sqlite3.connect(home.folder / "newsletter.db")) as by_hand:
        by_hand.execute("DELETE FROM tip")
        by_hand.commit()
    result = run("db", "check")
    assert result.code == 1
    assert "row 1 of edition refers to a row of tip that is not there" in result.out


def test_check_finds_a_damaged_file(run: Callable[..., Ran], home: Home) -> None:
    """A file with garbage in its middle is told, without a traceback."""
    path = home.folder / "newsletter.db"
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"x" * 4096
    path.write_bytes(content)
    result = run("db", "check")
    assert result.code == 1
    assert "Traceback" not in result.err
    assert "damaged" in result.out + result.err


def test_upgrade_of_a_present_database_changes_nothing(run: Callable[..., Ran], home: Home) -> None:
    """There is nothing to copy when there is nothing to do."""
    result = run("db", "upgrade")
    assert result.code == 0
    assert f"version {HEAD} already" in result.out
    assert not (home.folder / "backups").exists()


def test_upgrade_creates_a_database(run: Callable[..., Ran], home: Home) -> None:
    """Where there is none, one is made, with its key."""
    (home.folder / "newsletter.db").unlink()
    assert json.loads(run("db", "upgrade", "--json").out) == {"before": None, "after": HEAD, "backup": None}
    assert run("db", "check").code == 0


def test_upgrade_brings_the_first_version_to_this_one(run: Callable[..., Ran], home: Home) -> None:
    """A database of the very first version is copied, brought up, and whole."""
    path = home.folder / "newsletter.db"
    path.unlink()
    engine = connect(f"sqlite:///{path}")
    upgrade(engine, target="0001")
    engine.dispose()
    with closing(sqlite3.connect(path)) as by_hand:
        by_hand.execute(
            "INSERT INTO installation (id, created_at, key_fingerprint) VALUES (1, '2026-11-01 12:00:00.000000', ?)",
            [key_fingerprint(SECRET)],
        )
        by_hand.commit()
    refused = run("db", "check")
    assert refused.code == 1
    assert "newsletter db upgrade" in refused.err
    result = run("db", "upgrade")
    assert (result.code, result.err) == (0, "")
    (copy,) = (home.folder / "backups").iterdir()
    assert str(copy) in result.out
    assert f"from version 0001 to {HEAD}" in result.out
    assert run("db", "check").code == 0


def make_old(home: Home) -> None:
    """Pretend that the database was made by a version before the first."""
    with closing(sqlite3.connect(home.folder / "newsletter.db")) as by_hand:
        by_hand.execute("UPDATE alembic_version SET version_num = '0000'")
        by_hand.commit()


def test_upgrade_copies_before_it_changes(run: Callable[..., Ran], home: Home, sqlite_unit: Unit) -> None:
    """Even when the upgrade then fails, the copy is there, whole and private."""
    make_edition(sqlite_unit, 2)
    make_old(home)
    result = run("db", "upgrade")
    assert result.code == 1
    assert "0000" in result.err
    (copy,) = (home.folder / "backups").iterdir()
    assert copy.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(copy)) as kept:
        assert kept.execute("SELECT count(*) FROM delivery").fetchone() == (2,)
        assert kept.execute("SELECT version_num FROM alembic_version").fetchone() == ("0000",)


def test_upgrade_waits_for_the_sender(run: Callable[..., Ran], home: Home, sqlite_url: str) -> None:
    """While somebody sends, nothing is copied and nothing is changed."""
    make_old(home)
    engine = connect(sqlite_url)
    with sender_lock(engine):
        result = run("db", "upgrade")
    assert result.code == 1
    assert "Stop the service" in result.err
    assert current_revision(engine) == "0000"
    engine.dispose()
    assert not (home.folder / "backups").exists()


def test_a_copy_holds_what_was_committed_while_others_write(sqlite_url: str, sqlite_unit: Unit, tmp_path: Path) -> None:
    """A transaction that is under way does not block the copy and is not in it."""
    make_edition(sqlite_unit, 2)
    engine = connect(sqlite_url)
    with sqlite_unit.write() as tx:
        tx.execute(delivery.delete())
        copy_sqlite(engine, tmp_path / "copies" / "one.db")
    engine.dispose()
    with closing(sqlite3.connect(tmp_path / "copies" / "one.db")) as kept:
        assert kept.execute("SELECT count(*) FROM delivery").fetchone() == (2,)
    assert [path.name for path in (tmp_path / "copies").iterdir()] == ["one.db"]


def test_check_finds_and_corrects_wrong_counts(run: Callable[..., Ran], sqlite_unit: Unit) -> None:
    """A count of people that differs from the list is an error until it is counted anew."""
    make_edition(sqlite_unit, 2)
    with sqlite_unit.write() as tx:
        tx.execute(subscriber_count.update().values(people=5))
    result = run("db", "check")
    assert result.code == 1
    assert "counts: 5 people are counted as active without a time zone, not 2" in result.out
    assert "newsletter db check --recount" in result.out
    assert json.loads(run("db", "check", "--recount", "--json").out)["recounted"] is True
    assert run("db", "check").code == 0
