"""Files with people in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from newsletter.cli.private_file import free_name, private_file
from newsletter.errors import InputError
from tests.cli.conftest import Home


def test_a_file_is_complete_and_private(tmp_path: Path) -> None:
    """Only the owner may read the file, and after a failure there is none, under no name."""
    path = tmp_path / "people.csv"
    with private_file(path, overwrite=False) as out:
        out.write("email\n")
        assert not path.exists()
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("email\n", 0o600)
    with pytest.raises(ZeroDivisionError), private_file(path, overwrite=True) as out:
        out.write(str(1 // 0))
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "email\n"


def test_nothing_is_written_over_by_surprise(tmp_path: Path) -> None:
    """An existing file needs `overwrite`; a link, a pipe and a folder are refused with it, too."""
    path = tmp_path / "people.csv"
    path.write_text("old")
    with pytest.raises(InputError, match="exists; --overwrite replaces it"), private_file(path, overwrite=False):
        pass
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (
        ("link", "symbolic link"),
        ("pipe", "not a regular file"),
        (".", "a folder"),
        ("x" * 300, "cannot be written"),
    ):
        with pytest.raises(InputError, match=reason), private_file(tmp_path / name, overwrite=True):
            pass
    assert path.read_text() == "old"


def test_a_file_that_appears_meanwhile(tmp_path: Path) -> None:
    """A file of the same name that another program wrote meanwhile stays."""
    path = tmp_path / "people.csv"
    with pytest.raises(InputError, match="exists"), private_file(path, overwrite=False) as out:
        out.write(str(path.write_text("other")))
    assert path.read_text() == "other"


def test_free_name(tmp_path: Path) -> None:
    """The next number that is free follows the name."""
    path = tmp_path / "people.rejected.csv"
    assert free_name(path) == path
    path.touch()
    assert free_name(path).name == "people.rejected-2.csv"


def test_commands_that_write_people(home: Home) -> None:
    """Deliveries and rejected rows are written by the same rules."""
    listed = home.folder / "deliveries.csv"
    assert home.run("delivery", "list", "--csv", str(listed)).code == 0
    assert listed.stat().st_mode & 0o777 == 0o600
    refused = home.run("delivery", "list", "--csv", str(listed))
    assert refused.code == 2
    assert "--overwrite replaces it" in refused.err
    people = home.folder / "people.csv"
    people.write_text("email\nno address\n")
    rejected = home.folder / "people.rejected.csv"
    rejected.write_text("precious")
    assert "people.rejected-2.csv" in home.run("subscriber", "import", str(people)).out
    assert rejected.read_text() == "precious"
