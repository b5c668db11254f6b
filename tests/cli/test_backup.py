"""`newsletter db backup` and `restore`: a copy while others write, and a return that mails nobody who left."""

from __future__ import annotations

import gc
import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from newsletter.core.access import SignInMethod
from newsletter.core.cadence import Slot, SlotState
from newsletter.core.edition import EditionTip
from newsletter.core.lineup import Source
from newsletter.core.monitor import ServicePart
from newsletter.core.tip import TipDraft, TipStatus
from newsletter.core.token import key_fingerprint
from newsletter.store import edition, slot, tip
from newsletter.store import heartbeat as heartbeats
from newsletter.store import installation as installations
from newsletter.store import session as sessions
from newsletter.store import worker as workers
from newsletter.store.database import HEAD, connect, sender_lock
from newsletter.store.upgrade import upgrade
from newsletter.testing.clocks import START
from tests.cli.conftest import Home
from tests.conftest import SECRET, SHIFTED

NOW = datetime(2026, 11, 24, 14, tzinfo=UTC)


def begin_edition(home: Home) -> None:
    """Freeze an edition for everybody."""
    with home.unit.write() as tx:
        draft = TipDraft(slug="a-tip", title="A tip", subject="A tip", status=TipStatus.APPROVED, body="Text\n")
        chosen = tip.add(tx, draft, now=START)
        slot.add(tx, Slot(date=NOW.date(), sends_at=NOW, state=SlotState.OPEN), now=START)
        edition.create(
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


def active(home: Home) -> list[str]:
    """Return who would get an edition."""
    people = json.loads(home.run("subscriber", "list", "--json").out)
    return sorted(one["email"] for one in people if one["state"] == "active")


def add(home: Home, *emails: str) -> None:
    """Put people on the list."""
    for email in emails:
        assert home.run("subscriber", "add", email).code == 0


def let_go(home: Home) -> None:
    """Close what the commands of this process left open, as the end of a process does."""
    home.unit._engine.dispose()
    gc.collect()


def kept(home: Home, name: str = "copy.db") -> Path:
    """Make a backup."""
    file = home.folder / name
    assert home.run("db", "backup", str(file)).code == 0
    let_go(home)
    return file


def test_a_backup_is_one_sound_file(home: Home) -> None:
    """Without a name it lies in the folder of backups; only its owner can read it."""
    add(home, "ann@example.com")
    data = json.loads(home.run("db", "backup", "--json").out)
    file = Path(data["file"])
    assert file.parent == home.folder / "backups"
    assert data["size"] == file.stat().st_size
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(one.name for one in file.parent.iterdir()) == [file.name]
    with closing(sqlite3.connect(file)) as copy:
        assert copy.execute("SELECT email FROM subscriber").fetchall() == [("ann@example.com",)]
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_backup_while_others_write(home: Home) -> None:
    """A transaction that is under way is no hindrance, and no part of it is in the copy."""
    with home.unit.write() as tx:
        heartbeats.record(tx, ServicePart.SCHEDULER, now=NOW, process="other")
        assert home.run("db", "backup", str(home.folder / "copy.db")).code == 0
    with closing(sqlite3.connect(home.folder / "copy.db")) as copy:
        assert copy.execute("SELECT count(*) FROM heartbeat").fetchone() == (0,)


def test_a_backup_writes_over_nothing(home: Home) -> None:
    """A file that is there stays as it is."""
    file = home.folder / "copy.db"
    file.write_text("something")
    result = home.run("db", "backup", str(file))
    assert (result.code, file.read_text()) == (2, "something")
    assert "is there already" in result.err


def test_restore_brings_back_who_was_lost_and_not_who_left(home: Home) -> None:
    """Those who left and were erased since stay away; the present database is copied first."""
    add(home, "ann@example.com", "bob@example.com", "cyn@example.com")
    file = kept(home)
    assert home.run("subscriber", "unsubscribe", "bob@example.com").code == 0
    assert home.run("subscriber", "erase", "cyn@example.com", "--yes").code == 0
    add(home, "dan@example.com")
    let_go(home)
    result = home.run("db", "restore", str(file), "--yes")
    assert (result.code, result.err) == (0, "")
    assert "Since then the ledger knows of 1 opt-out and 1 erasure." in result.out
    assert "1 person who left stays away." in result.out
    assert "older program" not in result.out
    assert "1 person was erased again." in result.out
    assert active(home) == ["ann@example.com"]
    assert home.run("db", "check").code == 0
    assert "Nothing holds" in home.run("db", "adopt", "--yes").out
    (before,) = (home.folder / "backups").iterdir()
    assert str(before) in result.out
    with closing(sqlite3.connect(before)) as copy:
        assert copy.execute("SELECT count(*) FROM subscriber").fetchone() == (3,)
    assert [path.name for path in home.folder.iterdir() if "restoring" in path.name] == []


def test_restore_pauses_open_editions(home: Home) -> None:
    """What was under way may have gone on since; a person decides."""
    add(home, "ann@example.com")
    begin_edition(home)
    file = kept(home)
    data = json.loads(home.run("db", "restore", str(file), "--yes", "--json").out)
    assert data["paused"] == ["2026-11-24"]
    with home.unit.read() as tx:
        assert edition.status(tx, edition.EditionId(1)) == "paused"
    assert json.loads(home.run("edition", "show", "2026-11-24", "--json").out)["status"] == "paused"


def test_a_restored_database_shows_no_service_that_runs(home: Home) -> None:
    """A backup is made while the service runs; what it says of processes and mail servers is over."""
    add(home, "ann@example.com")
    with home.unit.write() as tx:
        for part in (ServicePart.SCHEDULER, ServicePart.SENDER):
            heartbeats.record(tx, part, now=SHIFTED.now(), process="tips 1735")
        workers.start(tx, name="tips 1735", machine="m", now=SHIFTED.now())
    assert "running: process tips 1735" in home.run("status").out
    assert home.run("db", "restore", str(kept(home)), "--yes").code == 0
    output = home.run("status").out
    assert "the scheduler was stopped" in output
    assert "the sender was stopped" in output
    with home.unit.read() as tx:
        assert workers.alive(tx, now=SHIFTED.now()) == []


def test_a_restored_database_signs_everybody_out(home: Home) -> None:
    """A backup does not hold which sessions ended since it was made, so all of them end."""
    with home.unit.write() as tx:
        session_id = sessions.add(
            tx,
            "hash",
            email="ann@example.com",
            method=SignInMethod.LINK,
            browser="Firefox on Linux",
            browser_hash="browser",
            network="192.0.2.0/24",
            now=SHIFTED.now(),
        )
    file = kept(home)
    with home.unit.write() as tx:
        assert sessions.end(tx, session_id, now=SHIFTED.now())
    let_go(home)
    assert home.run("db", "restore", str(file), "--yes").code == 0
    with home.unit.read() as tx:
        assert sessions.live(tx, now=SHIFTED.now()) == []


def test_the_backup_itself_stays_as_it_is(home: Home) -> None:
    """It can be restored a second time, and nothing is written beside it."""
    add(home, "ann@example.com")
    file = kept(home)
    content = file.read_bytes()
    for _ in range(2):
        let_go(home)
        assert home.run("db", "restore", str(file), "--yes").code == 0
    assert file.read_bytes() == content
    assert not [path for path in home.folder.iterdir() if path.name.startswith("copy.db-")]
    assert active(home) == ["ann@example.com"]


def test_restore_without_a_database(home: Home) -> None:
    """On a new machine there is nothing to copy first."""
    add(home, "ann@example.com")
    file = kept(home)
    (home.folder / "newsletter.db").unlink()
    result = home.run("db", "restore", str(file), "--yes")
    assert (result.code, "as it was" in result.out) == (0, False)
    assert active(home) == ["ann@example.com"]


def test_restore_over_a_damaged_database(home: Home) -> None:
    """The damaged file is kept as it is, and its log of changes is not replayed into the good one."""
    add(home, "ann@example.com")
    file = kept(home)
    path = home.folder / "newsletter.db"
    path.write_bytes(b"not a database at all" * 1_000)
    Path(f"{path}-wal").write_bytes(b"rubbish")
    result = home.run("db", "restore", str(file), "--yes")
    assert (result.code, result.err) == (0, "")
    assert active(home) == ["ann@example.com"]
    kept_ones = [one for one in (home.folder / "backups").iterdir() if one.suffix == ".db"]
    assert [one.read_bytes()[:5] for one in kept_ones] == [b"not a"]


def test_restore_upgrades_an_older_backup(home: Home) -> None:
    """A backup of an older version is brought up after it was checked, and that is said."""
    file = home.folder / "old.db"
    engine = connect(f"sqlite:///{file}")
    upgrade(engine, target="0002")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO installation (id, created_at, key_fingerprint) VALUES (1, ?, ?)",
            ("2026-11-01 12:00:00.000000", key_fingerprint(SECRET)),
        )
    engine.dispose()
    let_go(home)
    result = home.run("db", "restore", str(file), "--yes", "--json")
    assert (result.code, result.err) == (0, "")
    assert (json.loads(result.out)["version"], json.loads(result.out)["after"]) == ("0002", HEAD)
    let_go(home)
    output = home.run("db", "restore", str(file), "--yes").out
    assert f"The backup is of an older program: it was upgraded from version 0002 to {HEAD}.\n" in output
    assert json.loads(home.run("db", "upgrade", "--json").out)["before"] == HEAD


def _newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as copy:
        copy.execute("UPDATE alembic_version SET version_num = '9999'")
        copy.commit()


def _damaged(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4096:8192] = b"x" * 4096
    file.write_bytes(content)


def _of_another(file: Path) -> None:
    with closing(sqlite3.connect(file)) as copy:
        copy.execute("UPDATE installation SET key_fingerprint = '0123456789abcdef'")
        copy.commit()


def _no_tables(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as copy:
        copy.execute("CREATE TABLE subscriber (id)")
        copy.commit()


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (_newer, 2, "of a newer version (9999"),
        (_damaged, 2, "damaged"),
        (_of_another, 1, "another secret key"),
        (_no_tables, 2, "no database of this program"),
        (lambda file: file.write_text("a letter"), 2, "is not a database"),
        (lambda file: file.unlink(), 2, "There is no file"),
    ],
)
def test_restore_refuses_what_is_no_backup_of_ours(home: Home, spoil, code: int, words: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """The database stays exactly as it was."""
    file = kept(home)
    add(home, "ann@example.com")
    spoil(file)
    result = home.run("db", "restore", str(file), "--yes")
    assert result.code == code
    assert words in result.err
    assert "Traceback" not in result.err
    assert active(home) == ["ann@example.com"]
    assert not (home.folder / "newsletter.db.restoring").exists()


def test_restore_refuses_while_a_sender_is_alive(home: Home) -> None:
    """The service must be stopped first."""
    file = kept(home)
    with sender_lock(home.unit._engine):
        result = home.run("db", "restore", str(file), "--yes")
    assert result.code == 1
    assert "Stop the service" in result.err


def test_restore_refuses_while_somebody_has_the_database_open(home: Home) -> None:
    """The web part alone must not go on with a file that has no name any more."""
    file = kept(home)
    add(home, "ann@example.com")
    with home.unit.read():
        result = home.run("db", "restore", str(file), "--yes")
    assert result.code == 1
    assert "Stop the service" in result.err
    assert active(home) == ["ann@example.com"]


def test_a_restore_that_is_cut_short_is_held(home: Home) -> None:
    """What was put in place without the ledger having been read sends nothing."""
    with home.unit.write() as tx:
        installations.mark_copied(tx)
    result = home.run("edition", "send", "--yes")
    assert result.code == 1
    assert "newsletter db adopt" in result.err


def test_edition_send_does_nothing_in_a_held_copy(home: Home) -> None:
    """Not a slot is decided before somebody says that this database counts."""
    add(home, "ann@example.com")
    file = kept(home)
    assert home.run("subscriber", "unsubscribe", "ann@example.com").code == 0
    let_go(home)
    shutil.copy(file, home.folder / "newsletter.db")
    for name in ("newsletter.db-wal", "newsletter.db-shm"):
        (home.folder / name).unlink(missing_ok=True)
    result = home.run("edition", "send", "--now", "--yes")
    assert result.code == 1
    assert (
        "Since then the ledger knows of 1 opt-out. Nothing is sent until you say: `newsletter db adopt`." in result.err
    )
    result = home.run("db", "adopt", "--yes")
    assert "1 person who left stays away." in result.out
    assert active(home) == []


def test_copy_says_what_to_do_next(home: Home) -> None:
    """The way to move is told in words, and a relative path is one of the folder of the settings."""
    add(home, "ann@example.com")
    result = home.run("db", "copy", "--to", "sqlite:///moved.db")
    assert (result.code, result.err) == (0, "")
    assert "the reports of 0 editions are the same on both sides" in result.out
    assert "newsletter db adopt" in result.out
    assert (home.folder / "moved.db").exists()
    assert json.loads(home.run("db", "copy", "--to", "sqlite:///other.db", "--json").out)["differences"] == []
    assert home.run("db", "copy", "--to", "sqlite:///moved.db").code == 2
    assert home.run("db", "copy", "--to", "mysql://x").code == 2
