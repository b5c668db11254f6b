"""A data folder that is copied, put back, or used twice at once: nobody gets an edition again (real processes)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from newsletter.store import edition as editions
from newsletter.store.database import connect, open_unit, sqlite_path
from newsletter.testing.catcher import HANG, Catcher, Keep, Step
from tests.edition_fixtures import add_people, add_tip
from tests.path.home import Home, Watch, settings

PEOPLE = 12
SEND = ("edition", "send", "--now", "--yes")
GO_ON = ("edition", "send", "--yes")
HELD = "Nothing is sent until you say: `newsletter db adopt`."
BESIDE = "which is running: nothing is decided or sent from here."


class Folders:
    """Homes that are whole folders with the database inside, as operators copy them, on one machine."""

    def __init__(self, place: Path, template: Path) -> None:
        """Make the first of them."""
        self.place = place
        self._opened: list[Home] = []
        (place / "first").mkdir()
        shutil.copy(template, place / "first" / "newsletter.db")

    def write(self, port: int) -> Home:
        """Write the settings of the first folder, and add people and a tip."""
        folder = self.place / "first"
        text = settings(port, "sqlite:///newsletter.db", JOURNAL_DIR="journal", STATE_DIR=self.place / "state")
        (folder / ".env").write_text(text)
        home = self.open(folder)
        add_people(home.unit, PEOPLE)
        add_tip(home.unit)
        assert home.run("status")[0] in {0, 1}
        return home

    def ledger(self) -> Path:
        """Return the ledger in the state folder."""
        return self.place / "state" / "ledger.jsonl"

    def open(self, folder: Path) -> Home:
        """Open a folder."""
        home = Home(folder=folder, unit=open_unit(connect(f"sqlite:///{folder}/newsletter.db")))
        self._opened.append(home)
        return home

    def copy(self, home: Home, name: str) -> Path:
        """Copy a folder as `cp -a` does."""
        home.unit.flush()
        return Path(shutil.copytree(home.folder, self.place / name))

    def put_back(self, copy: Path, home: Home) -> Home:
        """Put a copy in the place of a folder."""
        home.unit._engine.dispose()
        shutil.rmtree(home.folder)
        shutil.copytree(copy, home.folder)
        return self.open(home.folder)

    def close(self) -> None:
        """Close every database."""
        for home in self._opened:
            home.unit._engine.dispose()


@pytest.fixture
def folders(tmp_path: Path, sqlite_template: Path) -> Iterator[Folders]:
    """Return the first folder of a newsletter."""
    two_folders = Folders(tmp_path, sqlite_template)
    yield two_folders
    two_folders.close()


def everybody() -> dict[str, int]:
    """Return one mail for each."""
    return {f"p{number}@example.com": 1 for number in range(PEOPLE)}


def test_a_folder_that_is_copied_and_put_back(folders: Folders) -> None:
    """The ledger inside comes back along with the database; the state folder holds it until it is adopted."""
    with Catcher(keep=Keep.COUNTS) as catcher:
        home = folders.write(catcher.port)
        copy = folders.copy(home, "copy")
        assert home.run(*SEND)[0] == 0
        assert catcher.accepted == everybody()
        home = folders.put_back(copy, home)
        code, words = home.run(*SEND)
        assert (code, catcher.accepted) == (1, everybody())
        assert "Since then the ledger knows of 1 edition." in words
        assert HELD in words
        code, words = home.run("db", "adopt", "--yes")
        assert code == 0, words
        assert "counts as sent" in words
        assert f"Other copies are held where they find {folders.place / 'state'}, on this machine" in words
        assert "every other copy" not in words
        home.run(*GO_ON)
        assert catcher.accepted == everybody()


def test_a_copy_from_the_middle_of_an_edition(folders: Folders) -> None:
    """No edition began after the copy was made: that mail went out since holds it, and the edition is paused."""
    hanging = ["p5@example.com"]
    watch = Watch(lambda step, address, _nth: HANG if step is Step.DOT and address in hanging else None)
    with Catcher(script=watch, keep=Keep.COUNTS) as catcher:
        home = folders.write(catcher.port)
        sender = home.start(*SEND)
        watch.wait_for(6)
        sender.kill()
        hanging.clear()
        copy = folders.copy(home, "copy")
        assert home.run(*GO_ON)[0] == 0
        assert max(catcher.accepted.values()) == 1
        home = folders.put_back(copy, home)
        code, words = home.run(*GO_ON)
        assert code == 1
        assert "A later state of it, or another copy, has sent mail on this machine since." in words
        code, words = home.run("db", "adopt", "--yes")
        assert (code, "is paused" in words) == (0, True), words
        home.run(*GO_ON)
        assert max(catcher.accepted.values()) == 1


def test_a_copy_beside_the_running_original(folders: Folders) -> None:
    """While the original sends, its copy freezes, sends, starts and adopts nothing, and `status` says what it is."""
    hanging = ["p5@example.com"]
    watch = Watch(lambda step, address, _nth: HANG if step is Step.DOT and address in hanging else None)
    with Catcher(script=watch, keep=Keep.COUNTS) as catcher:
        home = folders.write(catcher.port)
        other = folders.open(folders.copy(home, "copy"))
        sender = home.start(*SEND)
        watch.wait_for(6)
        for arguments in (SEND, ("status",), ("run",), ("run", "--only", "scheduler")):
            code, words = other.run(*arguments)
            assert (code, BESIDE in words) == (1, True), f"{arguments}: {words}"
            assert f"This is a copy of the installation at {home.folder.resolve()}/newsletter.db" in " ".join(
                words.split()
            )
        assert "heartbeat" not in other.run("status")[1]
        code, words = other.run("doctor")
        assert (code, BESIDE in " ".join(words.split())) == (1, True), words
        code, words = other.run("db", "adopt", "--yes")
        assert (code, "Stop and disable its service first" in words) == (1, True), words
        with other.unit.read() as tx:
            assert editions.latest(tx, count=1) == []
        sender.kill()
        hanging.clear()
        assert home.run(*GO_ON)[0] == 0
        code, words = other.run(*SEND)
        assert (code, HELD in words) == (1, True), words
        assert max(catcher.accepted.values()) == 1
        numbers = [line.split('"seq": ')[1].split(",")[0] for line in folders.ledger().read_text().splitlines()]
        assert len(numbers) == len(set(numbers))


def test_a_backup_is_not_restored_beside_the_running_original(folders: Folders) -> None:
    """It would hold the original in the middle of its work; nothing is changed."""
    hanging = ["p5@example.com"]
    watch = Watch(lambda step, address, _nth: HANG if step is Step.DOT and address in hanging else None)
    with Catcher(script=watch, keep=Keep.COUNTS) as catcher:
        home = folders.write(catcher.port)
        other = folders.open(folders.copy(home, "copy"))
        assert home.run("db", "backup", str(folders.place / "backup.db"))[0] == 0
        sender = home.start(*SEND)
        watch.wait_for(6)
        code, words = other.run("db", "restore", str(folders.place / "backup.db"), "--yes")
        assert (code, "which is running" in words) == (1, True), words
        sender.kill()
        hanging.clear()
        assert home.run(*GO_ON)[0] == 0
        assert catcher.accepted == everybody()


def test_a_copy_whose_original_is_stopped(folders: Folders) -> None:
    """The copy waits for a person; once it is adopted it sends, and the original is held."""
    with Catcher(keep=Keep.COUNTS) as catcher:
        home = folders.write(catcher.port)
        assert home.run("edition", "send", "--now", "--dry-run")[0] == 0
        other = folders.open(folders.copy(home, "copy"))
        code, words = other.run(*SEND)
        assert (code, catcher.accepted) == (1, {})
        assert f"It is a copy of the installation at {home.folder.resolve()}/newsletter.db" in words
        assert HELD in words
        assert "newsletter db adopt" in other.run("doctor")[1]
        code, words = other.run("db", "adopt", "--yes")
        assert code == 0, words
        assert f"The installation at {home.folder.resolve()}/newsletter.db is held from now on." in " ".join(
            words.split()
        )
        assert other.run(*SEND)[0] == 0
        assert catcher.accepted == everybody()
        code, words = home.run(*SEND)
        assert (code, HELD in words, catcher.accepted) == (1, True, everybody()), words


def test_a_folder_that_is_moved(folders: Folders) -> None:
    """`mv` needs no adoption: the folder before is gone."""
    with Catcher(keep=Keep.COUNTS) as catcher:
        home = folders.write(catcher.port)
        assert home.run("edition", "send", "--now", "--dry-run")[0] == 0
        home.unit._engine.dispose()
        moved = folders.open(Path(shutil.move(home.folder, folders.place / "moved")))
        assert moved.run(*SEND)[0] == 0
        assert catcher.accepted == everybody()


def test_a_folder_under_two_names(folders: Folders) -> None:
    """A command through a symbolic link works beside a sender: it is one installation."""
    hanging = ["p5@example.com"]
    watch = Watch(lambda step, address, _nth: HANG if step is Step.DOT and address in hanging else None)
    with Catcher(script=watch, keep=Keep.COUNTS) as catcher:
        home = folders.write(catcher.port)
        (folders.place / "link").symlink_to(home.folder)
        link = folders.open(folders.place / "link")
        sender = home.start(*SEND)
        watch.wait_for(6)
        assert BESIDE not in link.run("status")[1]
        sender.kill()
        hanging.clear()
        assert link.run(*GO_ON)[0] == 0
        assert max(catcher.accepted.values()) == 1


def test_the_other_copy_is_held_after_an_adoption(folders: Folders) -> None:
    """Whichever copy is adopted, the one that sent before is held from then on."""
    with Catcher(keep=Keep.COUNTS) as catcher:
        home = folders.write(catcher.port)
        other = folders.open(folders.copy(home, "copy"))
        assert home.run(*SEND)[0] == 0
        assert other.run("db", "adopt", "--yes")[0] == 0
        code, words = home.run(*SEND)
        assert code == 1
        assert "Another copy of it was made the one that counts since" in words
        assert catcher.accepted == everybody()


@pytest.mark.parametrize("lost", ["journal", "state"])
def test_a_lost_ledger_is_written_again(folders: Folders, lost: str) -> None:
    """Each of the two files is written again from the other."""
    with Catcher(keep=Keep.COUNTS) as catcher:
        home = folders.write(catcher.port)
        assert home.run(*SEND)[0] == 0
        files = {
            "journal": home.folder / "journal" / "ledger.jsonl",
            "state": folders.place / "state" / "ledger.jsonl",
        }
        lines = files["journal"].read_bytes()
        assert files["state"].read_bytes() == lines
        files[lost].unlink()
        home.run(*GO_ON)
        assert files[lost].read_bytes() == lines


def test_a_state_folder_that_cannot_be_made(folders: Folders) -> None:
    """Mail goes out, unprotected, and `doctor` says so with what to do."""
    (folders.place / "state").write_text("a file where a folder should be")
    with Catcher(keep=Keep.COUNTS) as catcher:
        home = folders.write(catcher.port)
        assert home.run(*SEND)[0] == 0
        assert catcher.accepted == everybody()
        words = " ".join(home.run("doctor")[1].split())
        assert "a copied or restored database would not be noticed" in words
        assert "NEWSLETTER_STATE_DIR" in words
    assert sqlite_path(home.unit._engine) == home.folder / "newsletter.db"
