"""`newsletter tip import export.xml` as people call it, and `newsletter tip redirects`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Home
from tests.flows.archive_fixtures import BASE, export, item

POSTS = (
    item("ask-first", "Ask.", title="Ask First \N{EN DASH} 7/8/14 TOW", number=1),
    item("not-yet", "A draft.", status="draft", number=2),
    item("about", "Us.", kind="page", number=3),
)


@pytest.fixture
def file(home: Home) -> Path:
    """Return an export in the home."""
    path = home.folder / "export.xml"
    path.write_bytes(export(*POSTS))
    return path


def test_an_export_comes_in_with_a_report(home: Home, file: Path) -> None:
    """What became of each entry, in words; the second time nothing is changed."""
    result = home.run("tip", "import", str(file))
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("export.xml (WordPress export): 3 entries\n")
    assert "          1  pages of the archive added\n" in result.out
    assert "          1  added as drafts: look at each, then `newsletter tip approve`\n" in result.out
    assert "          1  left out: page, which is no post\n" in result.out
    assert "“Title of not-yet”: draft there" in result.out
    assert "          2  there already, left as they are\n" in home.run("tip", "import", str(file)).out


def test_a_dry_run_writes_nothing(home: Home, file: Path) -> None:
    """And says so first."""
    result = home.run("tip", "import", str(file), "--dry-run")
    assert result.out.startswith("Nothing was written; this is what would happen. export.xml")
    assert home.run("tip", "list").out == "There is no tip yet.\n"


def test_the_report_is_to_be_had_as_data(home: Home, file: Path) -> None:
    """The counts add up to the entries."""
    report = json.loads(home.run("tip", "import", str(file), "--as", "evergreen", "--json").out)
    outcomes = ("added", "added_draft", "updated", "known", "duplicate", "other_kind", "deleted", "empty", "refused")
    assert sum(report[outcome] for outcome in outcomes) == report["entries"] == 3
    assert report["other_kinds"] == {"page": 1}
    assert report["remarks"]["not_published"]["examples"] == ["“Title of not-yet”: draft there"]
    tip = json.loads(home.run("tip", "show", "ask-first", "--json").out)
    assert (tip["evergreen"], tip["state"], tip["last_sent"]) == (True, "approved", "2014-07-08")


def test_settings_say_how_titles_and_footers_look(home: Home) -> None:
    """Another site writes its dates and its last line in another way."""
    with (home.folder / ".env").open("a") as settings:
        settings.write("NEWSLETTER_IMPORT_TITLES='{day}.{month}.{year}: {title}'\n")
        settings.write("NEWSLETTER_IMPORT_DROP_LINES='Bis bald*'\n")
    path = home.folder / "feed.xml"
    path.write_bytes(export(item("erst-fragen", "Fragen.\n\nBis bald, Ihr Team", title="8.7.2014: Erst fragen")))
    home.run("tip", "import", str(path), "--as", "draft")
    tip = json.loads(home.run("tip", "show", "erst-fragen", "--json").out)
    assert (tip["title"], tip["body"], tip["last_sent"]) == ("Erst fragen", "Fragen.", "2014-07-08")


def test_a_wrong_pattern_of_titles_is_a_wrong_setting(home: Home) -> None:
    """Named like any other, before anything is read."""
    with (home.folder / ".env").open("a") as settings:
        settings.write("NEWSLETTER_IMPORT_TITLES='{title} - {date}'\n")
    result = home.run("tip", "list")
    assert result.code == 2
    assert "NEWSLETTER_IMPORT_TITLES: '{title} - {date}' must have each of {title}, {month}, {day}" in result.err


def test_old_addresses_are_printed_for_nginx(home: Home, file: Path) -> None:
    """With and without the closing slash, and by the number of the post; a draft has none."""
    assert "No old address" in home.run("tip", "redirects").err
    home.run("tip", "import", str(file))
    lines = home.run("tip", "redirects").out.splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        "map $uri $archive_page {",
        f'    "/2014/07/ask-first" {BASE}/tips/ask-first;',
        f'    "/2014/07/ask-first/" {BASE}/tips/ask-first;',
        "}",
        'map "$uri?$args" $archive_post {',
        f'    "/?p=1" {BASE}/tips/ask-first;',
        "}",
    ]
    assert json.loads(home.run("tip", "redirects", "--json").out) == [
        {"from": "/2014/07/ask-first", "to": f"{BASE}/tips/ask-first"},
        {"from": "/?p=1", "to": f"{BASE}/tips/ask-first"},
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("missing.xml",), "missing.xml cannot be read"),
        (("broken.xml",), "is not whole"),
        (("export.xml", "a.md"), "by itself, one file at a time"),
        (("export.xml", "broken.xml"), "by itself, one file at a time"),
        (("a.md", "--dry-run"), "are for an archive"),
        (("packed.zip",), "is a zip file; unpack it"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    home: Home, file: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    """Exit code 2, and nothing is changed."""
    monkeypatch.chdir(home.folder)
    Path("broken.xml").write_bytes(file.read_bytes()[:-300])
    Path("a.md").write_text("# A\n\nText.\n")
    Path("packed.zip").write_bytes(b"PK\x03\x04")
    result = home.run("tip", "import", *words)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert home.run("tip", "list").out == "There is no tip yet.\n"
