"""Files that belong to somebody else: the service and the commands end with one sentence that says what to look at."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.path.conftest import MakeHome
from tests.path.home import Home, Running, command

OWNER = "The database cannot be opened for writing: check its path, and who owns the file and its folder."
CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    """What capset(2) is asked about."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def without_privileges(folder: str, arguments: tuple[str, ...], out: str) -> None:
    """Run a command as somebody for whom the modes of files hold, which for root they otherwise do not."""
    if os.geteuid() == 0:
        nothing = (ctypes.c_uint32 * 6)()
        header = _Header(CAPABILITY_VERSION_3, 0)
        if ctypes.CDLL(None, use_errno=True).capset(ctypes.byref(header), nothing) != 0:
            raise OSError(ctypes.get_errno(), "capset")
    command(folder, arguments, out)


@pytest.fixture
def home(make_sqlite_home: MakeHome, tmp_path: Path) -> Iterator[Home]:
    """Return a home whose database lies in a folder of its own, which is given back at the end."""
    home = make_sqlite_home(1, 2, WEB_PORT=1)
    place = tmp_path / "data"
    place.mkdir()
    home.unit._engine.dispose()
    (tmp_path / "newsletter.db").rename(place / "newsletter.db")
    text = (home.folder / ".env").read_text().replace(str(tmp_path / "newsletter.db"), str(place / "newsletter.db"))
    (home.folder / ".env").write_text(text)
    yield home
    place.chmod(0o700)
    (place / "newsletter.db").chmod(0o600)


def start(home: Home, *arguments: str) -> Running:
    """Start a command without privileges."""
    return home.start_other(without_privileges, str(home.folder), arguments)


def read_only_folder(place: Path) -> str:
    """Take away the right to make files beside the database, which SQLite needs."""
    place.chmod(0o500)
    return OWNER


def file_of_somebody_else(place: Path) -> str:
    """Take away the database, as one that root made while the service runs as another user."""
    (place / "newsletter.db").chmod(0o000)
    return OWNER


def file_that_can_only_be_read(place: Path) -> str:
    """Leave the database to be read, as a copy that was put back with a careful umask."""
    (place / "newsletter.db").chmod(0o400)
    return OWNER


def folder_of_somebody_else(place: Path) -> str:
    """Take away the folder."""
    place.chmod(0o000)
    return f"The folder of the database may not be entered by this user: check who owns {place}."


TROUBLES = [read_only_folder, file_of_somebody_else, file_that_can_only_be_read, folder_of_somebody_else]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
@pytest.mark.parametrize("words", [("run",), ("subscriber", "add", "ann@example.org", "--source", "a form")])
def test_each_has_its_sentence(
    home: Home, tmp_path: Path, trouble: Callable[[Path], str], words: tuple[str, ...]
) -> None:
    """The service does not claim to run, a command changes nothing: exit code 1, one line, and no trace."""
    sentence = trouble(tmp_path / "data")
    running = start(home, *words)
    assert running.wait() == 1, running.words
    assert running.words == f"newsletter: {sentence}\n"


def test_a_lock_file_of_somebody_else(home: Home, tmp_path: Path) -> None:
    """A lock file that the service may not open is told with its folder."""
    lock = tmp_path / "data" / "newsletter.db.sender.lock"
    lock.touch(mode=0o000)
    lock.chmod(0o000)
    running = start(home, "edition", "send", "--now", "--yes")
    assert running.wait() == 1, running.words
    assert f"The lock file beside the database cannot be opened (Permission denied); check who owns {lock.parent}." in (
        running.words
    )


def test_without_trouble_the_same_command_works(home: Home) -> None:
    """What the tests above take away is all that was missing."""
    running = start(home, "subscriber", "add", "ann@example.org", "--source", "a form")
    assert running.wait() == 0, running.words
