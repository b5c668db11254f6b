"""The commands `newsletter subscriber …`, as people call them."""

from __future__ import annotations

import csv
import io
import json
import os
from datetime import date
from pathlib import Path

import pytest

from newsletter.core.delivery import DeliveryState
from newsletter.core.subscriber import SubscriberId
from tests.cli.conftest import Home
from tests.flows.people_fixtures import begin_edition, get, outcomes, set_delivery

ADD = ("subscriber", "add", "Ada@example.org")


def read(home: Home, *words: str) -> object:
    """Run a command with `--json` and return what it prints."""
    ran = home.run("subscriber", *words, "--json")
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def test_add_and_show(home: Home) -> None:
    """Everything that is told about a person is shown again, with the evidence."""
    words = ("--first-name", "Ada", "--time-zone", "europe/paris", "--tag", "vip", "--field", "floor=3")
    ran = home.run(*ADD, *words, "--source", "fair in May")
    assert (ran.code, ran.out, ran.err) == (0, "Added Ada@example.org.\n", "")
    shown = home.run("subscriber", "show", "ADA@EXAMPLE.ORG").out
    for words_shown in ("Ada@example.org", "ada@example.org", "Europe/Paris", "vip", "floor", "fair in May", "active"):
        assert words_shown in shown
    assert "No edition" in shown
    data = read(home, "show", "ada@example.org")
    assert isinstance(data, dict)
    assert (data["first_name"], data["fields"], data["state"]) == ("Ada", {"floor": "3"}, "active")
    assert [consent["source"] for consent in data["consent"]] == ["fair in May"]


def test_add_twice(home: Home) -> None:
    """A second time changes nothing and says so; the exit code is that of work done."""
    home.run(*ADD)
    ran = home.run("subscriber", "add", "ada@example.org", "--name", "Other")
    assert ran.code == 0
    assert "on the list already (active since" in ran.out
    assert read(home, "add", "ada@example.org", "--name", "Other")["name"] == ""  # type: ignore[index]


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("add", "ada"), "there is no @ sign"),
        (("add", "ada@example.org", "--time-zone", "Mars"), "is not a time zone"),
        (("add", "ada@example.org", "--field", "floor"), "write NAME=VALUE"),
        (("show", "adda@example.org"), "did you mean Ada@example.org?"),
        (("pause", "nobody@example.com"), "nobody@example.com is not on the list"),
        (("edit", "ada@example.org"), "Say what to change"),
        (("edit", "ada@example.org", "--email", "eve"), "there is no @ sign"),
        (("reactivate", "ada@example.org", "--because", " "), "Say why with --because"),
        (("import", "none.csv"), "none.csv cannot be read"),
        (("import", "."), ". is a folder; name the CSV file"),
        (("export", "/", "--overwrite"), "/ is a folder; name the file to write"),
        (("import", "x.csv", "--map", "email"), "write NAME=VALUE"),
        (("export", "--all", "--state", "active"), "contradict"),
    ],
)
def test_wrong_words(home: Home, words: tuple[str, ...], fault: str) -> None:
    """Wrong input is exit code 2 with one line that says what to do, and nothing is changed."""
    home.run(*ADD)
    before = read(home, "list")
    ran = home.run("subscriber", *words)
    assert (ran.code, ran.out) == (2, "")
    assert fault in ran.err
    assert read(home, "list") == before


def test_one_who_left(home: Home) -> None:
    """Unsubscribe, then add: refused with the way back, which needs a reason and works."""
    home.run(*ADD)
    assert "Unsubscribed" in home.run("subscriber", "unsubscribe", "ada@example.org", "--because", "wrote").out
    refused = home.run(*ADD)
    assert refused.code == 2
    assert "newsletter subscriber reactivate Ada@example.org --because TEXT" in refused.err
    assert home.run("subscriber", "reactivate", "ada@example.org").code == 2
    again = home.run("subscriber", "reactivate", "ada@example.org", "--because", "asked for it")
    assert (again.code, again.out) == (0, "Ada@example.org is active again.\n")


def test_pause_in_an_open_edition(home: Home) -> None:
    """What waits is taken back and told; the receipt adds up; `show` tells the outcome in plain words."""
    home.run(*ADD)
    home.run("subscriber", "add", "ben@example.org")
    edition = begin_edition(home.unit)
    assert home.run("subscriber", "pause", "ada@example.org").out == (
        "Paused Ada@example.org.\n1 waiting mail will not go out.\n"
    )
    assert [state for _, state, _, _ in outcomes(home.unit, edition)] == ["skipped", "queued"]
    assert "nothing was changed" in home.run("subscriber", "pause", "ada@example.org").out
    shown = read(home, "show", "ada@example.org")
    assert isinstance(shown, dict)
    assert [(one["edition"], one["outcome"], one["why"]) for one in shown["editions"]] == [
        ("2026-11-03", "skipped", "paused")
    ]
    assert home.run("subscriber", "resume", "ada@example.org").out == "Resumed Ada@example.org.\n"


def test_the_last_twelve_editions(home: Home) -> None:
    """Twelve editions are shown, newest first, with the server's words."""
    home.run(*ADD)
    for week in range(14):
        edition = begin_edition(home.unit, date.fromordinal(date(2026, 11, 3).toordinal() + 7 * week))
    data = read(home, "show", "ada@example.org")
    assert isinstance(data, dict)
    assert [edition["edition"] for edition in data["editions"]][::11] == ["2027-02-02", "2026-11-17"]
    set_delivery(
        home.unit,
        edition,
        get(home.unit, SubscriberId(1)),
        DeliveryState.REJECTED,
        reason="The mailbox is unknown.",
        reply_code=550,
        reply_enhanced="5.1.1",
        reply_text="no \x1b[31msuch user",
    )
    shown = home.run("subscriber", "show", "ada@example.org").out
    assert "The last 12 editions" in shown
    assert "The mailbox is unknown." in shown
    assert "550 5.1.1 no" in shown
    assert "\x1b" not in shown


def test_edit(home: Home) -> None:
    """Values change, an empty one is removed, another address is another way to the same person."""
    home.run(*ADD, "--name", "Ada", "--tag", "old", "--field", "floor=3")
    data = read(
        home,
        *("edit", "ada@example.org", "--email", "ada@example.net", "--name", "", "--untag", "OLD"),
        *("--tag", "new", "--field", "floor="),
    )
    assert isinstance(data, dict)
    assert (data["changed"], data["email"], data["name"]) == (True, "ada@example.net", "")
    assert (data["tags"], data["fields"]) == (["new"], {})
    assert home.run("subscriber", "show", "ada@example.org").code == 2
    again = home.run("subscriber", "edit", "ada@example.net", "--tag", "new")
    assert "nothing was changed" in again.out


def test_erase(home: Home) -> None:
    """Without a terminal it does not ask; afterwards nobody knows the address, and it does not come back."""
    home.run(*ADD)
    begin_edition(home.unit)
    ran = home.run("subscriber", "erase", "ada@example.org", "--yes")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "Erased subscriber 1; 1 delivery is kept without the person.\n1 waiting mail will not go out.\n"
    assert home.run("subscriber", "show", "ada@example.org").code == 2
    assert "must not be added again" in home.run(*ADD).err
    home.run("subscriber", "add", "ben@example.org")
    assert read(home, "erase", "ben@example.org", "--yes") == {"erased": True, "id": 2, "skipped": 0, "blanked": 0}


def test_list(home: Home) -> None:
    """A list tells how many there are beyond those it shows."""
    assert home.run("subscriber", "list").out.startswith("The list is empty")
    for name in ("c", "a", "b"):
        home.run("subscriber", "add", f"{name}@example.org", "--tag", f"t{name}")
    ran = home.run("subscriber", "list", "--limit", "2")
    assert "2 of 3 subscribers; --limit 0 lists all" in ran.out
    assert ran.out.index("a@example.org") < ran.out.index("b@example.org")
    assert "c@example.org" not in ran.out
    assert [one["email"] for one in read(home, "list", "--tag", "TC")] == ["c@example.org"]  # type: ignore[attr-defined]
    assert home.run("subscriber", "list", "--search", "zz").out == "No subscriber matches.\n"


def test_a_file_whose_name_is_no_text(home: Home) -> None:
    """What it is called is kept as evidence, with a sign for each byte that says nothing."""
    file = Path(os.fsdecode(os.fsencode(home.folder) + b"/people-\xff.csv"))
    file.write_text("email\nada@example.org\n")
    ran = home.run("subscriber", "import", str(file))
    assert ran.code == 0
    assert "people-\N{REPLACEMENT CHARACTER}.csv" in home.run("subscriber", "show", "ada@example.org").out


def test_import_and_rejected_rows(home: Home) -> None:
    """Good rows go in, bad ones to a file beside it with line and reason, in cells that no spreadsheet runs."""
    file = home.folder / "people.csv"
    file.write_text("Emailadresse;Note\nada@example.org;x\n=1+1;y\nADA@example.org;z\n")
    ran = home.run("subscriber", "import", str(file), "--map", "email=Emailadresse", "--source", "fair")
    assert ran.code == 0
    assert "people.csv (UTF-8, semicolon): 3 rows" in ran.out
    assert "1  added" in ran.out
    assert "1  again in this file" in ran.out
    rejected = home.folder / "people.rejected.csv"
    assert f"1  rejected: see {rejected}" in ran.out
    assert list(csv.reader(io.StringIO(rejected.read_text()))) == [
        ["line", "reason", "Emailadresse", "Note"],
        ["3", "not an e-mail address: there is no @ sign", "'=1+1", "y"],
    ]
    assert rejected.stat().st_mode & 0o077 == 0


def test_a_dry_run_writes_no_file(home: Home) -> None:
    """A dry run counts the bad rows and writes neither them nor the good ones."""
    file = home.folder / "people.csv"
    file.write_text("email\nada@example.org\nbad\n")
    data = read(home, "import", str(file), "--dry-run")
    assert isinstance(data, dict)
    assert (data["dry_run"], data["added"], data["rejected"], data["rejected_file"]) == (True, 1, 1, None)
    assert read(home, "list") == []
    assert sorted(path.name for path in home.folder.glob("people*")) == ["people.csv"]


def test_strict_import(home: Home) -> None:
    """One bad row, and nobody comes in; the lines are named, and the file of bad rows is there to correct."""
    file = home.folder / "people.csv"
    file.write_text("email\nada@example.org\nbad\n")
    ran = home.run("subscriber", "import", str(file), "--strict")
    assert ran.code == 2
    assert "line 3: not an e-mail address" in ran.err
    assert read(home, "list") == []
    assert (home.folder / "people.rejected.csv").exists()


def test_import_as(home: Home) -> None:
    """`--as` says what the people of a file are; one who stays in another file stays out."""
    file = home.folder / "left.csv"
    file.write_text("email\nada@example.org\n")
    assert read(home, "import", str(file), "--as", "complained")["added"] == 1  # type: ignore[index]
    assert read(home, "import", str(file))["left"] == 1  # type: ignore[index]
    assert home.run("subscriber", "import", str(file), "--as", "paused").code == 2


def test_progress_off_a_terminal(home: Home) -> None:
    """Every ten thousand rows there is a line on standard error, never among the data."""
    file = home.folder / "people.csv"
    file.write_text("email\n" + "".join(f"p{number}@example.org\n" for number in range(20_001)))
    ran = home.run("subscriber", "import", str(file), "--dry-run")
    assert ran.err == "10,000 rows\n20,000 rows\n"


def test_export(home: Home) -> None:
    """To standard output or to a file of one's own, which is never replaced by the way."""
    home.run(*ADD, "--name", "=1+1")
    home.run("subscriber", "add", "ben@example.org")
    home.run("subscriber", "unsubscribe", "ben@example.org")
    lines = home.run("subscriber", "export").out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("Ada@example.org,'=1+1,")
    file = home.folder / "out.csv"
    assert home.run("subscriber", "export", str(file), "--all").out == f"2 subscribers in {file}\n"
    assert file.stat().st_mode & 0o077 == 0
    assert home.run("subscriber", "export", str(file)).code == 2
    assert home.run("subscriber", "export", str(file), "--overwrite", "--state", "unsubscribed").code == 0
    assert [row["email"] for row in csv.DictReader(io.StringIO(file.read_text()))] == ["ben@example.org"]
    assert json.loads(home.run("subscriber", "export", "--json").out)["name"] == "=1+1"
    assert list(home.folder.glob("*.part")) == []


def test_a_question_about_consent(home: Home) -> None:
    """The command stops with the options to type, and these options answer the question."""
    file = home.folder / "people.csv"
    file.write_text("email,status\nada@example.org,dabei\nben@example.org,weg\n")
    stopped = home.run("subscriber", "import", str(file))
    assert stopped.code == 2
    assert "--map state=status --map unsubscribed=dabei --map unsubscribed=weg" in stopped.err
    assert read(home, "list") == []
    words = ("--map", "state=status", "--map", "active=dabei", "--map", "unsubscribed=weg")
    assert (
        "states were read from `status`: 1 active, 1 unsubscribed"
        in home.run("subscriber", "import", str(file), *words).out
    )


def test_a_guessed_encoding_is_shown(home: Home) -> None:
    """The report of a guess shows a name as read, other readings, and the option, which corrects the name."""
    file = home.folder / "people.csv"
    file.write_bytes(b"email;first_name\neva@example.org;\xa3ukasz\n")
    out = home.run("subscriber", "import", str(file)).out
    assert "£ukasz" in out
    assert "--encoding cp1250 reads it as Łukasz" in out
    assert (
        "1  known already, a name from an earlier import is corrected"
        in home.run("subscriber", "import", str(file), "--encoding", "cp1250").out
    )
    assert "not the name of a text encoding" in home.run("subscriber", "import", str(file), "--encoding", "rot13").err


def test_a_dry_run_shows_rejected_rows(home: Home) -> None:
    """Line and reason of each rejected row are printed, since no file is written."""
    file = home.folder / "people.csv"
    file.write_text("email\nno address\n")
    out = home.run("subscriber", "import", str(file), "--dry-run").out
    assert "line 2: not an e-mail address: there is a blank inside" in out


def test_a_pipe_is_no_file_of_people(home: Home) -> None:
    """A named pipe and a path that is too long are refused at once."""
    os.mkfifo(home.folder / "pipe.csv")
    assert "not a regular file" in home.run("subscriber", "import", str(home.folder / "pipe.csv")).err
    assert home.run("subscriber", "import", "x" * 300).code == 2


def test_a_misspelt_domain_gets_a_hint(home: Home) -> None:
    """The address is added as typed, with a hint."""
    added = home.run("subscriber", "add", "ada@gmial.com")
    assert (added.code, added.out) == (0, "Added ada@gmial.com.\n")
    assert "did you mean gmail.com?" in added.err
