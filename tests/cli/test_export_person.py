"""`newsletter subscriber export EMAIL`: everything about one person, beside the export of the list."""

from __future__ import annotations

import json

from tests.cli.conftest import Home


def test_one_person(home: Home) -> None:
    """An address instead of a file prints all that is known of that person as one JSON document."""
    home.run("subscriber", "add", "ada@example.com", "--first-name", "Ada", "--source", "a fair")
    home.run("subscriber", "add", "ben@example.com")
    ran = home.run("subscriber", "export", "Ada@Example.com")
    data = json.loads(ran.out)
    assert (ran.code, data["email"], data["subscriber"]["first_name"]) == (0, "ada@example.com", "Ada")
    assert data["consent"][0]["source"] == "a fair"
    assert "ben@" not in ran.out
    assert not (home.folder / "Ada@Example.com").exists()


def test_somebody_who_was_erased(home: Home) -> None:
    """All that can be said is since when the address must not come back."""
    home.run("subscriber", "add", "ada@example.com")
    home.run("subscriber", "erase", "ada@example.com", "--yes")
    data = json.loads(home.run("subscriber", "export", "ada@example.com").out)
    assert data["subscriber"] is None
    assert data["suppression"]["reason"] == "erased"


def test_nobody_of_that_name(home: Home) -> None:
    """An address that nobody has is wrong input, with whom it may have meant, and no file of that name appears."""
    home.run("subscriber", "add", "ada@example.com")
    ran = home.run("subscriber", "export", "adda@example.com")
    assert (ran.code, ran.out) == (2, "")
    assert "did you mean ada@example.com?" in ran.err


def test_a_choice_of_people_and_one_person(home: Home) -> None:
    """One person is not a list, so the options of a list are refused; a file may still bear an @, as a path."""
    home.run("subscriber", "add", "ada@example.com")
    ran = home.run("subscriber", "export", "ada@example.com", "--all")
    assert ran.code == 2
    assert "./ada@example.com" in ran.err
    file = home.folder / "list@home.csv"
    assert home.run("subscriber", "export", str(file)).code == 0
    assert "ada@example.com" in file.read_text()
