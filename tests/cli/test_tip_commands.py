"""`newsletter tip` as people call it."""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
import webbrowser
from datetime import time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from newsletter.core.cadence import Cadence, cadence_text, next_slots
from newsletter.core.tip_file import parse_tip_file
from newsletter.store import installation as installations
from newsletter.wording import WEEKDAYS
from tests.cli.conftest import Home
from tests.conftest import SHIFTED
from tests.flows.tip_fixtures import CADENCE, TUESDAYS, freeze_on, subscribe, tip_file

SAMPLES = Path(__file__).parents[2] / "data" / "tips"


def coming(home: Home, cadence: Cadence = CADENCE, *, count: int = 4) -> list[str]:
    """Return the coming weekly dates; the first may pass while a test runs, so tests use the others."""
    with home.unit.read() as tx:
        assert installations.get(tx).first_tick_at is None
    # The command reads the real clock, so the test does too.
    return [slot.date.isoformat() for slot in next_slots(cadence, SHIFTED.now(), count)]


def add(home: Home, *slugs: str, status: str = "approved") -> None:
    """Add tips in this order."""
    for slug in slugs:
        assert home.run("tip", "add", "-", stdin=tip_file(slug, status=status).text).code == 0


def listed(home: Home) -> dict[str, dict[str, object]]:
    """Return what `tip list --json` says, by slug."""
    return {row["slug"]: row for row in json.loads(home.run("tip", "list", "--json").out)}


def editor(home: Home, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Make a program of one line the editor; the file is `$1`."""
    path = home.folder / "editor.sh"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("VISUAL", str(path))


def test_the_sample_tips_go_in_and_are_listed(home: Home) -> None:
    """A folder goes in as it stands, in the order of the names, and once."""
    result = home.run("tip", "import", str(SAMPLES))
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("“Answer with a date” (answer-with-a-date): added, approved\n“Begin with")
    assert result.out.endswith("18 files: 18 added.\n")
    assert home.run("tip", "import", str(SAMPLES)).out.endswith("18 files: 18 unchanged.\n")
    assert len(listed(home)) == 18
    assert "answer-with-a-date" in home.run("tip", "list", "--state", "approved").out
    assert home.run("tip", "list", "--state", "sent").out == "No tip is sent.\n"


def test_names_are_taken_in_the_order_in_which_people_count(home: Home) -> None:
    """`2-` comes before `10-`; files of other kinds and hidden ones are left alone."""
    folder = home.folder / "new"
    folder.mkdir()
    for name, slug in (("10-x.md", "ten"), ("2-x.md", "two")):
        (folder / name).write_text(tip_file(slug).text)
    (folder / "notes.txt").write_text("no tip")
    (folder / ".hidden.md").write_text("no tip")
    home.run("tip", "import", str(folder))
    assert list(listed(home)) == ["two", "ten"]


def test_faults_of_all_files_are_reported_with_their_lines(home: Home) -> None:
    """Exit code 2, each fault with file and line, and nothing is changed."""
    folder = home.folder / "new"
    folder.mkdir()
    (folder / "a.md").write_text(tip_file("a").text)
    (folder / "b.md").write_text(tip_file("b", "pin: soon").text)
    (folder / "c.md").write_text(tip_file("c", body="Hello {{ frist_name|x }}").text)
    result = home.run("tip", "import", str(folder))
    assert (result.code, result.out) == (2, "")
    assert f"{folder}/b.md: line 5: pin:" in result.err
    assert f'{folder}/c.md: line 7: unknown merge field "frist_name"' in result.err
    assert listed(home) == {}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tip", "add", "missing.md"), "cannot be read"),
        (("tip", "add", "."), "is a folder; `newsletter tip import .`"),
        (("tip", "import", "empty"), "holds no .md file"),
        (
            ("tip", "list", "--state", "good"),
            "'good' is not a state of a tip; use one of draft, approved, sent, retired",
        ),
        (("tip", "show", "nope"), "There is no tip 'nope'"),
        (("tip", "approve", "a", "nope"), "There is no tip 'nope'"),
        (("tip", "show", "an"), "begins the name of 2 tips"),
        (("tip", "pin", "a", "soon"), "'soon' is not a date"),
        (("tip", "pin", "a", "2020-01-07"), "is past"),
        (("tip", "move", "a"), "Say where to"),
        (("tip", "move", "a", "--first", "--last"), "Say where to"),
        (("tip", "move", "a", "--before", "a"), "cannot go before itself"),
        (("tip", "preview", "a", "--as", "eve@example.org"), "There is no subscriber eve@example.org"),
        (("tip", "preview", "a", "--as", "eve"), "newsletter: "),
        (("tip", "preview", "a", "--folder", ".env"), "cannot be written"),
    ],
)
def test_wrong_input_is_one_line_and_changes_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    """Exit code 2, a first line that says what is wrong, no traceback, and the tips are as before."""
    monkeypatch.chdir(home.folder)
    (home.folder / "empty").mkdir()
    add(home, "a", "anna", "anne", status="draft")
    before = listed(home)
    result = home.run(*words)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("newsletter: ")
    assert message in result.err.splitlines()[0]
    assert listed(home) == before


def test_bytes_that_are_no_text_are_refused_with_their_line(home: Home) -> None:
    """A file in another encoding is named with the line on which it shows."""
    path = home.folder / "latin.md"
    path.write_bytes("---\ntitle: Café\n---\nText\n".encode("latin-1"))
    result = home.run("tip", "add", str(path))
    assert result.code == 2
    assert "latin.md, line 2: this is not UTF-8 text" in result.err


def test_an_unreadable_file_hides_no_fault_of_the_others(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """`tip add` names the missing file, the folder, and each fault of the files that can be read; none goes in."""
    monkeypatch.chdir(home.folder)
    (home.folder / "wrong.md").write_text("---\ntitle: A\ncolor: red\n---\nText\n")
    (home.folder / "good.md").write_text("# Good\n\nAnswer with a date.\n")
    result = home.run("tip", "add", "missing.md", "wrong.md", ".", "good.md")
    assert result.code == 2
    assert "3 of 4 files must be corrected first; nothing was changed" in result.err
    assert "missing.md cannot be read" in result.err
    assert ". is a folder" in result.err
    assert "wrong.md: line 3: “color” is not a key of a tip" in result.err
    assert listed(home) == {}


def test_a_file_name_keeps_its_case(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that begins with the name of a file writes it as it was typed."""
    monkeypatch.chdir(home.folder)
    (home.folder / "notes").write_text("---\ntitle: A\ncolor: red\n---\nText\n")
    assert home.run("tip", "add", "notes").err.startswith("newsletter: notes has 1 fault; correct it")


def test_show_prints_the_file(home: Home) -> None:
    """What is shown could be saved and imported again; JSON has the words too."""
    add(home, "a")
    result = home.run("tip", "show", "a")
    assert "“Title of a” (a): approved" in result.out
    assert "title: Title of a\nslug: a\nstatus: approved\n---\n\nOne idea." in result.out
    assert json.loads(home.run("tip", "show", "a", "--json").out)["body"] == "One idea."


def test_approving_says_when_it_goes_out(home: Home) -> None:
    """One line for each tip; approving it again says so and is no error."""
    add(home, "a", "b", status="draft")
    result = home.run("tip", "approve", "a", "b")
    assert result.code == 0
    assert [line.partition(" out ")[0] for line in result.out.splitlines()] == [
        "“Title of a” (a): approved; goes",
        "“Title of b” (b): approved; goes",
    ]
    assert "was approved already" in home.run("tip", "approve", "a").out


def test_pins_places_and_retirement(home: Home) -> None:
    """A tip can be pinned, unpinned, moved and retired; the list follows."""
    add(home, "a", "b")
    day = coming(home)[2]
    assert home.run("tip", "pin", "b", day).code == 0
    assert (listed(home)["b"]["pin"], listed(home)["b"]["goes_out"]) == (day, day)
    assert "was pinned to that date already" in home.run("tip", "pin", "b", day).out
    assert home.run("tip", "unpin", "b").out == f"“Title of b” (b): no longer pinned to {day}\n"
    assert home.run("tip", "unpin", "b").out == "“Title of b” (b): was not pinned\n"
    moved = home.run("tip", "move", "b", "--first").out
    assert moved.startswith("“Title of b” (b): now first in the queue\n“Title of b” (b): goes out ")
    assert home.run("tip", "move", "a", "--before", "b").code == 0
    assert list(listed(home)) == ["a", "b"]
    assert home.run("tip", "retire", "a", "--because", "outdated").out == "“Title of a” (a): retired\n"
    assert home.run("tip", "retire", "a").out == "“Title of a” (a): was retired already\n"
    assert listed(home)["a"]["state"] == "retired"


def test_a_pinned_draft_is_warned_of(home: Home) -> None:
    """A pin alone sends nothing."""
    add(home, "a", status="draft")
    result = home.run("tip", "pin", "a", coming(home)[2])
    assert result.code == 0
    assert "It is a draft and goes out only once approved" in result.err


def test_a_preview_is_three_files(home: Home) -> None:
    """HTML, text and a message for a mail program, in a folder that is told; a draft will do."""
    add(home, "a", status="draft")
    folder = home.folder / "look"
    result = home.run("tip", "preview", "a", "--folder", str(folder))
    assert result.code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["preview.eml", "preview.html", "preview.txt"]
    assert str(folder / "preview.html") in result.out
    assert "One idea." in (folder / "preview.txt").read_text()
    assert (folder / "preview.eml").read_bytes().startswith(b"From: ")
    for path in folder.iterdir():
        path.chmod(0o644)
    assert home.run("tip", "preview", "a", "--folder", str(folder)).code == 0
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert home.run("tip", "preview", "a").code == 0
    assert (home.folder / "data" / "previews" / "a" / "preview.html").is_file()


def test_a_preview_opens_in_the_browser(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser of the person is called with the page."""
    seen = home.folder / "seen"
    program = home.folder / "browser.sh"
    program.write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(webbrowser, "_tryorder", [])
    webbrowser.register("of-the-test", None, webbrowser.GenericBrowser([str(program), "%s"]), preferred=True)
    add(home, "a", status="draft")
    result = home.run("tip", "preview", "a", "--open")
    assert result.code == 0
    assert seen.read_text().strip() == (home.folder / "data/previews/a/preview.html").as_uri()


def test_a_tip_that_never_went_out_can_be_deleted(home: Home) -> None:
    """Asked for by --yes, it is gone; one of which there is an edition stays."""
    add(home, "a", "b")
    subscribe(home.unit, "ada")
    freeze_on(home.unit, TUESDAYS[0])
    refused = home.run("tip", "delete", "a", "--yes")
    assert refused.code == 2
    assert "“Title of a” (a) went out, and the report of its edition names it, so it is kept" in refused.err
    assert home.run("tip", "delete", "b").code == 2
    assert list(listed(home)) == ["b", "a"]
    result = home.run("tip", "delete", "b", "--yes")
    assert (result.code, result.out) == (0, "“Title of b” (b): deleted\n")
    assert list(listed(home)) == ["a"]
    assert "tip delete" in home.run("log").out


def test_sent_and_retired_tips_are_listed_last(home: Home) -> None:
    """The queue comes first, drafts at their place in it; the title stands before the slug."""
    add(home, "sent", "retired", "one")
    add(home, "draft", status="draft")
    add(home, "two")
    subscribe(home.unit, "ada")
    freeze_on(home.unit, TUESDAYS[0])
    home.run("tip", "retire", "retired")
    assert list(listed(home)) == ["one", "draft", "two", "sent", "retired"]
    lines = home.run("tip", "list").out.splitlines()
    assert [line.split()[0] for line in lines[:1]] == ["title"]
    assert re.search(r"Title of one +one +approved", "\n".join(lines))


def test_exported_files_import_again_unchanged(home: Home) -> None:
    """Here nothing changes; elsewhere the queue is the same, and what was sent does not go out again."""
    home.run("tip", "import", str(SAMPLES))
    home.run("tip", "move", "say-the-name-right", "--first")
    home.run("tip", "pin", "read-it-aloud", coming(home)[2])
    home.run("tip", "retire", "throw-out-one-template-in-three")
    add(home, "draft", status="draft")
    subscribe(home.unit, "ada")
    freeze_on(home.unit, TUESDAYS[0])
    before = home.run("tip", "list", "--json").out
    for words in ((), ("--all",)):
        folder = home.folder / f"exported{len(words)}"
        result = home.run("tip", "export", str(folder), *words)
        assert result.code == 0, result.err
        files = len(list(folder.iterdir()))
        assert files == (19 if words else 17)
        assert f"{files} tips written to {folder}" in result.out
        again = home.run("tip", "import", str(folder))
        assert again.out.endswith(f"{files} files: {files} unchanged.\n"), again.out + again.err
        assert home.run("tip", "list", "--json").out == before
    exported = [parse_tip_file(path.read_text(), file_name="x") for path in sorted(folder.iterdir())]
    assert exported[0].slug == "say-the-name-right"
    (sent,) = (slug for slug, row in listed(home).items() if row["state"] == "sent")
    assert [draft.status for draft in exported if draft.slug == sent] == ["draft"]
    assert home.run("tip", "export", str(folder)).code == 2
    first_folder = home.folder / "one"
    assert home.run("tip", "export", str(first_folder), "read-it-aloud").code == 0
    assert [path.name for path in first_folder.iterdir()] == ["01-read-it-aloud-before-you-send-it.md"]


def test_a_new_tip_comes_from_the_editor(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was saved is added; signs that YAML knows may stand in the title."""
    editor(home, monkeypatch, 'printf "More words.\\n" >> "$1"')
    result = home.run("tip", "new", 'Part 1: "listen" # first \\ last')
    assert (result.code, result.out) == (
        0,
        '“Part 1: "listen" # first \\ last” (part-1-listen-first-last): added, draft\n',
    )
    row = listed(home)["part-1-listen-first-last"]
    assert row["title"] == 'Part 1: "listen" # first \\ last'


def test_a_placeholder_goes_to_nobody(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A draft may still hold the text of a new tip, and says so; it is neither approved nor added as approved."""
    editor(home, monkeypatch, """sed -i "/^Write one idea/s/.*/Say the next step./" "$1\"""")
    result = home.run("tip", "new", "Listen")
    assert (result.code, result.out) == (0, "“Listen” (listen): added, draft\n")
    left = (
        "“**Try this week:** one small thing to do.” is still the placeholder of a new tip; write your own text there"
    )
    assert result.err == f"“Listen” (listen): {left} before you approve it: newsletter tip edit listen\n"
    result = home.run("tip", "approve", "listen")
    assert (result.code, result.out) == (2, "")
    assert f"ot approved: listen: {left}: `newsletter tip edit listen`" in result.err
    assert listed(home)["listen"]["state"] == "draft"
    editor(home, monkeypatch, 'sed -i "s/^status: draft/status: approved/" "$1"')
    for words in (("edit", "listen"), ("new", "Listen twice")):
        result = home.run("tip", *words)
        assert result.code == 2
        assert re.search(rf"line \d+: {re.escape(left)}", result.err)
        assert "your text is kept" in result.err
    editor(
        home, monkeypatch, """sed -i "s/one small thing to do/ask twice/; s/^status: draft/status: approved/" "$1\""""
    )
    result = home.run("tip", "edit", "listen")
    assert (result.code, result.out, result.err) == (0, "“Listen” (listen): updated, approved.\n", "")


def test_a_new_tip_saved_unchanged_adds_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing the editor is how a person says no."""
    editor(home, monkeypatch, "true")
    result = home.run("tip", "new", "Listen")
    assert (result.code, result.out) == (0, "Saved unchanged, so nothing was added.\n")
    assert listed(home) == {}


def test_a_faulty_new_tip_is_kept(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The faults are told with their lines, and where the text lies."""
    editor(home, monkeypatch, 'sed -i "s/^title/titel/" "$1"')
    result = home.run("tip", "new", "Listen")
    assert result.code == 2
    assert "listen.md has 2 faults" in result.err
    assert "line 2: “titel” is not a key of a tip" in result.err
    kept = Path(result.err.rsplit("`newsletter tip add ", 1)[1].split("`")[0])
    assert kept.read_text().startswith("---\ntitel: ")


@pytest.mark.parametrize(
    ("script", "message"),
    [("exit 3", "The editor gave up (exit code 3)"), ('echo more >> "$1"; exit 3', "and the text is kept at ")],
)
def test_an_editor_that_fails_changes_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    """What was written before is not lost."""
    editor(home, monkeypatch, script)
    result = home.run("tip", "new", "Listen")
    assert result.code == 2
    assert message in result.err
    assert listed(home) == {}


def test_without_an_editor_the_other_way_is_shown(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither VISUAL nor EDITOR, or one that is not there, is wrong input."""
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    assert "set EDITOR, such as EDITOR=nano" in home.run("tip", "new", "Listen").err
    monkeypatch.setenv("EDITOR", "no-such-editor")
    result = home.run("tip", "new", "Listen")
    assert (result.code, "cannot be started" in result.err) == (2, True)


def test_editing_changes_the_words_and_the_status(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole file is in the editor; saving it unchanged changes nothing, a fault keeps it."""
    add(home, "a")
    editor(home, monkeypatch, "true")
    assert home.run("tip", "edit", "a").out == "Saved unchanged, so nothing was changed.\n"
    editor(home, monkeypatch, 'sed -i "s/One idea/Two ideas/; s/approved/draft/" "$1"')
    assert home.run("tip", "edit", "a").out == "“Title of a” (a): updated, draft.\n"
    assert json.loads(home.run("tip", "show", "a", "--json").out)["body"] == "Two ideas."
    editor(home, monkeypatch, 'sed -i "s/^slug.*/slug: A B/" "$1"')
    result = home.run("tip", "edit", "a")
    assert result.code == 2
    assert "line 3: slug:" in result.err
    assert "your text is kept" in result.err


def test_editing_a_tip_that_went_out_warns(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was frozen goes out as it was, so the person is told before she writes."""
    add(home, "a")
    subscribe(home.unit, "ada")
    freeze_on(home.unit, TUESDAYS[0])
    editor(home, monkeypatch, "true")
    result = home.run("tip", "edit", "a")
    assert "a was frozen for 2026-11-03: what you change here does not change that mail." in result.err
    assert (
        "not changed, since it went out already"
        in home.run("tip", "add", "-", stdin=tip_file("a", body="Better.").text).out
    )


def test_a_tip_for_a_date_that_is_due_says_what_happens(home: Home) -> None:
    """Approved within the grace of an empty date, it goes out late: to whom, until when, and how to prevent it."""
    now = SHIFTED.now()
    due = now - timedelta(hours=1)
    cadence = Cadence(weekday=due.weekday(), at=time(due.hour, due.minute), zone="UTC")
    with (home.folder / ".env").open("a") as settings:
        settings.write(f"NEWSLETTER_SEND_DAY={WEEKDAYS[cadence.weekday]}\n")
        settings.write(f"NEWSLETTER_SEND_TIME={cadence.at:%H:%M}\nNEWSLETTER_TIME_ZONE=UTC\n")
    with home.unit.write() as tx:
        installations.begin(tx, now=now - timedelta(hours=3), cadence=cadence_text(cadence))
    subscribe(home.unit, "ada")
    add(home, "a", status="draft")
    assert "is due: it goes out as soon as it has a tip" in home.run("queue").out
    result = home.run("tip", "approve", "a")
    assert "Due since " in result.out
    assert "'a' goes out late, to 1 person, as soon as the service runs within the next 3" in result.out
    assert result.out.endswith(f"newsletter slot skip {due.date()}\n")
    assert "is due: it goes out as soon as the service runs" in home.run("queue").out
    assert home.run("slot", "skip", due.date().isoformat()).code == 0
    assert "is due" not in home.run("queue").out


def test_names_and_reasons_are_one_printable_line(home: Home) -> None:
    """Neither a file name nor a reason can steer the terminal or break the database."""
    path = home.folder / "bad\udcff\x1bname.md"
    path.write_text("no tip")
    result = home.run("tip", "add", str(path))
    assert result.code == 2
    assert "bad name.md has" in result.err
    add(home, "a")
    assert home.run("tip", "retire", "a", "--because", "line\nline\x1b[1m\udcff").code == 0


def test_an_emptied_file_is_a_no(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleting everything is another way to say no."""
    editor(home, monkeypatch, ': > "$1"')
    assert home.run("tip", "new", "Listen").out == "Saved unchanged, so nothing was added.\n"
    assert "Say what the tip is called" in home.run("tip", "new", " ").err


def test_a_pin_that_breaks_a_series_is_warned_of(home: Home) -> None:
    """A person's own pin counts, but not unnoticed."""
    for slug, part in (("one", 1), ("two", 2)):
        home.run("tip", "add", "-", stdin=tip_file(slug, "series: talks", f"part: {part}").text)
    home.run("tip", "pin", "one", coming(home)[3])
    result = home.run("tip", "pin", "two", coming(home)[2])
    assert result.code == 0
    assert "Warning: out of order: part 1 of its series has not gone out" in result.err


def test_approving_what_cannot_go_says_why(home: Home) -> None:
    """A tip whose date was skipped is approved, and stranded."""
    day = coming(home)[2]
    home.run("tip", "add", "-", stdin=tip_file("a", f"pin: {day}", status="draft").text)
    home.run("slot", "skip", day)
    assert "“Title of a” (a): approved; will not go out: Tuesday" in home.run("tip", "approve", "a").out


def test_a_pipe_below_dev_is_no_open_descriptor(home: Home) -> None:
    """The shell's own descriptors are read as streams; a pipe among the files of /dev/shm is refused like any other."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        os.mkfifo(f"{folder}/pipe.md")
        refused = home.run("tip", "import", f"{folder}/pipe.md")
    assert "pipe.md is not a regular file" in refused.err


def test_odd_names_in_a_folder(home: Home, tmp_path: Path) -> None:
    """Digits beyond ASCII sort as letters, a pipe is refused without waiting, and every unreadable file is named."""
    (tmp_path / "\u00b21.md").write_text("# Two\n\nAnswer with a date.\n")
    assert home.run("tip", "import", str(tmp_path)).code == 0
    os.mkfifo(tmp_path / "pipe.md")
    (tmp_path / "latin.md").write_bytes(b"# Zo\xeb\n")
    refused = home.run("tip", "import", str(tmp_path))
    assert refused.code == 2
    assert "pipe.md is not a regular file" in refused.err
    assert "latin.md, line 1: this is not UTF-8 text" in refused.err
    assert home.run("tip", "import", "x" * 300).code == 2


@pytest.mark.parametrize("words", ["tip list", "tip list --json", "tip show a", "queue", "status", "tip import FOLDER"])
def test_no_command_reads_the_text_of_every_tip(home: Home, words: str) -> None:
    """The text is read of tips that are chosen by an index, never of the whole archive."""
    add(home, "a", "b", "c")
    folder = home.folder / "tips"
    folder.mkdir()
    (folder / "d.md").write_text(tip_file("d").text)
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        result = home.run(*words.replace("FOLDER", str(folder)).split())
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert (result.err, bool(statements)) == ("", True)
    bodies = [statement for statement in statements if statement.startswith("SELECT") and "tip.body" in statement]
    chosen = re.compile(r"WHERE .*(LIMIT|tip\.(id|slug|pin|series|last_sent_on) )", re.DOTALL)
    assert [statement for statement in bodies if not chosen.search(statement)] == []
