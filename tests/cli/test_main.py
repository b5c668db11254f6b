"""What is the same for all commands: how an error is said, who reads, and on what terminal."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.cli.layout import cells_of, fold_words
from newsletter.cli.main import main
from newsletter.cli.output import print_json, say, sentence, speak_plainly
from tests.cli.conftest import Home

PROGRAM = [sys.executable, "-m", "newsletter"]
TOO_LONG = "a" * 300
"""No file system has names of so many letters."""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("slot", "--foo"), "No such option: --foo."),
        (("frobnicate",), "No such command 'frobnicate'."),
        (("slot", "skip"), "Missing argument 'DATE'."),
        (("tip", "move", "a"), "Say where to: one of --before TIP, --first and --last."),
        (("slot", "skip", "soon"), "'soon' is not a date"),
        (
            ("dkim", "keygen", "--bits", "1024"),
            "Invalid value for '--bits': '1024' is not one of '2048', '3072', '4096'.",
        ),
        (
            ("subscriber", "import", "a.csv", "--as", "dead"),
            "Invalid value for '--as': 'dead' is not one of 'active', ",
        ),
    ],
)
def test_every_wrong_word_is_reported_in_one_way(home: Home, words: tuple[str, ...], message: str) -> None:
    """Whoever finds the mistake, the library or we, it is a sentence behind the name of the program, and code 2."""
    result = home.run(*words)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"newsletter: {message}")


def test_a_group_without_a_verb_shows_its_verbs(home: Home) -> None:
    """That is a question, not a mistake."""
    result = home.run("slot")
    assert "Usage: newsletter slot" in result.err
    assert "unskip" in result.err


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("there is no tip 'a'", "There is no tip 'a'."),
        ("The database is busy. Try again.", "The database is busy. Try again."),
        ("read-it-aloud is retired", "read-it-aloud is retired."),
        ("eve@example.org is not on the list", "eve@example.org is not on the list."),
        ("tips.csv is empty", "tips.csv is empty."),
        ("--map names two", "--map names two."),
        ("say what:", "Say what:"),
    ],
)
def test_an_error_is_a_sentence(message: str, expected: str) -> None:
    """It begins with a capital unless it begins with a name, and ends with a full stop."""
    assert sentence(message) == expected


def test_a_folder_without_settings_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever stands in the wrong folder hears that, and not what settings are missing there."""
    monkeypatch.setattr(sys, "argv", ["newsletter", "-C", str(tmp_path), "queue"])
    with pytest.raises(SystemExit) as result:
        main()
    assert result.value.code == 2
    assert f"There is no .env in {tmp_path}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("people.csv", "people.csv is a file; name the folder"),
        ("people.csv/inside", "inside cannot be used (Not a directory)"),
        (TOO_LONG, "cannot be used (File name too long)"),
    ],
    ids=["a file", "in a file", "too long"],
)
@pytest.mark.parametrize("words", [("status",), ("doctor",), ("init",), ("init", "{}")], ids=" ".join)
def test_what_cannot_be_a_folder_is_no_home(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    words: tuple[str, ...],
    name: str,
    message: str,
) -> None:
    """A file where the folder of the newsletter is wanted is a slip of the hand: one sentence, and nothing is made."""
    (tmp_path / "people.csv").write_text("email\n")
    wrong = str(tmp_path / name)
    option = [] if "{}" in words else ["-C", wrong]
    monkeypatch.setattr(sys, "argv", ["newsletter", *option, *(one.format(wrong) for one in words)])
    with pytest.raises(SystemExit) as result:
        main()
    heard = capsys.readouterr()
    assert (result.value.code, heard.out, heard.err.count("\n")) == (2, "", 1)
    assert message in heard.err
    assert list(tmp_path.iterdir()) == [tmp_path / "people.csv"]


@pytest.mark.parametrize("name", ["people.csv/inside", TOO_LONG], ids=["in a file", "too long"])
@pytest.mark.parametrize(
    "words",
    [
        ("subscriber", "import", "{}"),
        ("subscriber", "export", "{}"),
        ("tip", "add", "{}"),
        ("tip", "import", "{}"),
        ("tip", "preview", "one-idea", "--folder", "{}"),
        ("delivery", "list", "--csv", "{}"),
        ("db", "backup", "{}"),
        ("db", "copy", "--to", "sqlite:///{}"),
        ("dkim", "keygen", "--out", "{}"),
    ],
    ids=" ".join,
)
def test_a_path_at_which_nothing_can_stand_is_a_mistake(home: Home, words: tuple[str, ...], name: str) -> None:
    """Whatever a command reads or writes, it is one sentence without the words of the system's own errors."""
    (home.folder / "people.csv").write_text("email\n")
    assert home.run("tip", "add", "-", stdin="---\ntitle: One idea\n---\n\nOne idea.\n").code == 0
    before = sorted(home.folder.iterdir())
    result = home.run(*(one.format(home.folder / name) for one in words))
    assert (result.code, result.out, result.err.count("\n")) == (1 if "keygen" in words else 2, "", 1)
    assert "Not a directory" in result.err or "File name too long" in result.err
    assert "[Errno" not in result.err
    assert sorted(home.folder.iterdir()) == before


@pytest.mark.parametrize("words", [("tip", "list", "--json"), ("queue",), ("--help",)])
def test_a_reader_who_goes_away_gets_no_trace(home: Home, words: tuple[str, ...]) -> None:
    """`| head -1` is no mistake of anybody: no words, and the exit code of the command."""
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(
        [*PROGRAM, "-C", str(home.folder), *words], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert result.stderr == ""
    assert result.returncode in {0, 1} if words == ("--help",) else result.returncode == 0


def test_a_terminal_without_our_letters_gets_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotes, arrows and rules become plain ones, and a name loses a letter but not the command its life."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))
    speak_plainly()
    say("“Käse” → ─ … Łąka")
    print_json({"name": "Łąka"})
    output = raw.getvalue().decode("latin-1")
    assert output.startswith('"Käse" -> - ... ??ka\n')
    assert json.loads(output.partition("\n")[2]) == {"name": "Łąka"}


def test_ctrl_c_ends_a_command_in_one_line(home: Home) -> None:
    """What is stopped leaves no trace on the screen or in the database, and the exit code that a shell gives it."""
    editor = 'sh -c "kill -INT $PPID; sleep 0.1"'
    result = subprocess.run(
        [*PROGRAM, "-C", str(home.folder), "tip", "new", "Listen"],
        env={**os.environ, "EDITOR": editor, "VISUAL": ""},
        capture_output=True,
        text=True,
        check=False,
        # A test run in the background ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (result.returncode, result.stdout) == (130, "")
    assert result.stderr == "newsletter: Stopped. What was not finished was taken back.\n"
    assert json.loads(home.run("tip", "list", "--json").out) == []


def test_a_label_in_wide_letters_keeps_the_column(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters that take two cells of the terminal count twice: what stands beside them begins in one column."""
    people = "email,名前,town\nann@example.com,山田太郎山田太郎山田太郎山田太郎山田太郎山田太郎,Ulm\n"
    file = home.folder / "people.csv"
    file.write_text(people, encoding="utf-8")
    assert home.run("subscriber", "import", str(file)).code == 0
    shown = home.run("subscriber", "show", "ann@example.com").out.splitlines()
    [wide] = [line for line in shown if line.startswith("名前")]
    [narrow] = [line for line in shown if line.startswith("town")]
    assert cells_of(wide.partition("山")[0]) == narrow.index("Ulm")


@given(
    st.lists(st.text(st.sampled_from("ab日本語"), min_size=1, max_size=30), min_size=1, max_size=12),
    st.integers(20, 60),
)
def test_words_are_folded_by_cells(words: list[str], width: int) -> None:
    """Nothing is lost, and no line is wider than it may be but for one long word of narrow letters."""
    lines = fold_words(" ".join(words), width)
    assert "".join(lines).replace(" ", "") == "".join(words)
    assert all(cells_of(line) <= width or (line.isascii() and " " not in line) for line in lines)


def test_output_on_a_full_disk_is_a_sentence(home: Home) -> None:
    """An export that a full disk cuts short is told, with exit code 1 and without a trace."""
    assert home.run("subscriber", "add", "ann@example.com").code == 0
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "newsletter", "-C", str(home.folder), "subscriber", "export"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (1, "newsletter: The disk is full, and the output is incomplete.\n")
