"""An old archive comes along: pages, drafts and evergreens, and a second import that changes nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import MetaData, select

from newsletter.core.archive_import import ImportMode, PostOutcome, RemarkKind
from newsletter.core.archive_page import ArchivePage, Topic, TopicKind
from newsletter.core.tip import TipStatus
from newsletter.errors import InputError
from newsletter.flows.import_archive import ArchiveReport
from newsletter.flows.preview import compile_tip
from newsletter.store import page as pages
from newsletter.store import redirect as redirects
from newsletter.store.unit import Unit
from tests.flows.archive_fixtures import BASE, SITE, export, item, run_import
from tests.flows.tip_fixtures import RENDER_CONTEXT, TUESDAYS, logged, queue, stored, tip_file
from tests.render.test_from_html import HOSTILE

SEEDS = export(
    item(
        "defend-without-being-defensive",
        "Some customers attack.\n\n<ul>\n\t<li>Listen.</li>\n\t<li>Repeat.</li>\n</ul>\n<strong>Defend the rule, not"
        f' yourself.</strong>\n\n<a href="{SITE}/sign-up">Signup for FREE Tips!</a>\n\n<a href="{SITE}/contact">Contact'
        f' Us</a> | <a href="{SITE}/more">More Resources</a> | <a href="{SITE}/">Home</a>',
        title="Defend without Being Defensive \N{EN DASH} 7/8/14 TOW",
        categories=["Business Advice", "Education"],
        tags=["upset", "service recovery"],
        number=11,
    ),
    item(
        "highlight-the-hidden-value",
        f'<!-- wp:paragraph -->\n<p>As <a href="{SITE}/2014/07/Defend-without-being-defensive">we said</a>, and as'
        f' <a href="{SITE}/gone/">nobody knows</a>.</p>\n<!-- /wp:paragraph -->',
        title="Highlight the Hidden Value - 7/1/25",
        day="2025-07-01",
        categories=["Uncategorized"],
        number=12,
    ),
    item("a-holiday-poem", "Last week was Christmas.", title="A Holiday Poem", day="2015-12-20", number=13),
    item("not-yet", "A draft.", status="draft", number=14),
    item("secret", "Between us.", status="private", number=15),
    item("soon", "To come.", status="future", day="2027-01-05", number=16),
    item("about", "Who we are.", kind="page", number=17),
    item("lamp", "", kind="attachment", number=18),
    item("poem-again", "Last week  was Christmas.", title="The Poem Again - 12/20/16", number=19),
    item("trashed", "Gone.", status="trash", number=20),
)


def page_of(unit: Unit, slug: str) -> ArchivePage:
    """Return the page of a name."""
    with unit.read() as tx:
        page = pages.find_page(tx, slug)
    assert page is not None
    return page


def counts(report: ArchiveReport) -> dict[str, int]:
    """Return the outcomes that happened."""
    assert sum(report.outcomes.values()) == report.post_count
    return {outcome.value: count for outcome, count in report.outcomes.items() if count}


def rows(unit: Unit) -> Mapping[str, object]:
    """Return everything in the database, table by table."""
    metadata = MetaData()
    with unit.read() as tx:
        metadata.reflect(tx.engine, only=["tip", "page", "page_topic", "redirect", "log", "installation"])
        return {name: tx.execute(select(table)).fetchall() for name, table in metadata.tables.items()}


def test_an_export_becomes_pages_and_what_was_not_public_drafts(unit: Unit) -> None:
    """Titles without their dates, topics of both kinds, no footer, and links to pages that came along."""
    report = run_import(unit, SEEDS)
    assert counts(report) == {"added": 3, "added_draft": 3, "duplicate": 1, "other_kind": 2, "deleted": 1}
    assert report.other_kinds == {"page": 1, "attachment": 1}
    defend = page_of(unit, "defend-without-being-defensive")
    assert (defend.entry.title, defend.entry.published_on) == ("Defend without Being Defensive", date(2014, 7, 8))
    assert set(defend.entry.topics) == {
        Topic(slug="business-advice", title="Business Advice", kind=TopicKind.CATEGORY),
        Topic(slug="education", title="Education", kind=TopicKind.CATEGORY),
        Topic(slug="upset", title="upset"),
        Topic(slug="service-recovery", title="service recovery"),
    }
    assert (defend.author, defend.entry.published_on) == ("Robin Reader", date(2014, 7, 8))
    assert defend.text == "Some customers attack.\nListen.\nRepeat.\nDefend the rule, not yourself."
    value = page_of(unit, "highlight-the-hidden-value")
    assert value.entry.topics == ()
    assert f'href="{BASE}/tips/defend-without-being-defensive"' in value.html
    drafts = stored(unit)
    assert {slug: (tip.status, tip.first_published) for slug, tip in drafts.items()} == dict.fromkeys(
        ("not-yet", "secret", "soon"), (TipStatus.DRAFT, None)
    )


def test_old_addresses_lead_to_the_pages(unit: Unit) -> None:
    """Permalinks and `?p=`, also those of a post that repeats another; a draft has none."""
    run_import(unit, SEEDS)
    with unit.read() as tx:
        assert dict(redirects.all_redirects(tx)) == {
            "/2014/07/defend-without-being-defensive": "defend-without-being-defensive",
            "/?p=11": "defend-without-being-defensive",
            "/2014/07/highlight-the-hidden-value": "highlight-the-hidden-value",
            "/?p=12": "highlight-the-hidden-value",
            "/2014/07/a-holiday-poem": "a-holiday-poem",
            "/?p=13": "a-holiday-poem",
            "/2014/07/poem-again": "a-holiday-poem",
            "/?p=19": "a-holiday-poem",
        }


def test_the_report_names_what_a_person_should_look_at(unit: Unit) -> None:
    """Words of time, links that lead nowhere, what was not public, and the lines that went."""
    report = run_import(unit, SEEDS)
    texts = {kind: summary.examples for kind, summary in report.remarks.items()}
    assert texts == {
        RemarkKind.NOT_PUBLISHED: (
            "“Title of not-yet”: draft there",
            "“Title of secret”: private there",
            "“Title of soon”: scheduled there, for 2027-01-05",
        ),
        RemarkKind.TIME_WORDS: ("“A Holiday Poem”: “Last week”, “Christmas”",),
        RemarkKind.DEAD_LINK: ("“Highlight the Hidden Value”: /gone",),
    }
    assert report.dropped_lines == {"Signup for FREE Tips!": 1, "Contact Us | More Resources | Home": 1}


@pytest.mark.parametrize("mode", list(ImportMode))
@pytest.mark.parametrize("update", [False, True])
def test_a_second_import_changes_nothing(unit: Unit, mode: ImportMode, *, update: bool) -> None:
    """Not a row, whatever was asked for; all is known already."""
    run_import(unit, SEEDS, mode)
    before = rows(unit)
    report = run_import(unit, SEEDS, mode, update=update)
    assert report.outcomes[PostOutcome.KNOWN] == 6
    assert rows(unit) == before


def test_a_dry_run_says_what_would_happen_and_writes_nothing(unit: Unit) -> None:
    """The same counts and remarks as the import itself."""
    before = rows(unit)
    tried = run_import(unit, SEEDS, dry_run=True)
    assert rows(unit) == before
    report = run_import(unit, SEEDS)
    assert (tried.outcomes, tried.remarks) == (report.outcomes, report.remarks)


def test_drafts_are_for_the_queue(unit: Unit) -> None:
    """Every post that has a text, with its categories and tags, its day, and the links of the old site."""
    report = run_import(unit, SEEDS, ImportMode.DRAFT)
    assert counts(report) == {"added": 6, "duplicate": 1, "other_kind": 2, "deleted": 1}
    tip = stored(unit)["defend-without-being-defensive"]
    assert (tip.status, tip.evergreen, tip.first_published) == (TipStatus.DRAFT, False, date(2014, 7, 8))
    assert tip.tags == ("Business Advice", "Education", "upset", "service recovery")
    assert tip.body == "Some customers attack.\n\n- Listen.\n- Repeat.\n\n**Defend the rule, not yourself.**"
    assert f"{SITE}/2014/07/Defend-without-being-defensive" in stored(unit)["highlight-the-hidden-value"].body
    assert ("tip add", "defend-without-being-defensive") in logged(unit)
    assert logged(unit)[-1] == ("archive import", "export.xml")


def test_evergreens_are_approved_unless_they_speak_of_their_own_time(unit: Unit) -> None:
    """“Last week” would be wrong whenever it is sent again, so a person reads that tip first."""
    report = run_import(unit, SEEDS, ImportMode.EVERGREEN)
    assert counts(report) == {"added": 2, "added_draft": 4, "duplicate": 1, "other_kind": 2, "deleted": 1}
    states = {slug: (tip.status.value, tip.evergreen) for slug, tip in stored(unit).items()}
    assert states["highlight-the-hidden-value"] == ("approved", True)
    assert states["a-holiday-poem"] == ("draft", True)
    assert states["not-yet"] == ("draft", False)


def test_an_evergreen_that_cannot_be_mailed_becomes_a_draft(unit: Unit) -> None:
    """A text too long for a mail holds up no other tip of its file."""
    long = "\n\n".join(f"Line {number} with a few more words." for number in range(1_600))
    report = run_import(unit, export(item("long", long), item("short")), ImportMode.EVERGREEN)
    assert counts(report) == {"added": 1, "added_draft": 1}
    assert {slug: tip.status.value for slug, tip in stored(unit).items()} == {"long": "draft", "short": "approved"}


@pytest.mark.parametrize("mode", list(ImportMode))
def test_one_post_that_cannot_be_used_is_refused_alone(unit: Unit, mode: ImportMode) -> None:
    """With its title and the reason; the others come along."""
    data = export(item("big", "word " * 20_000), item("good"), item("long-title", "Text.", title="T" * 300))
    report = run_import(unit, data, mode)
    assert counts(report) == {"added": 1, "refused": 2}
    assert "60" in report.refusals[0] or "61,440" in report.refusals[0]
    assert "300 characters" in report.refusals[1]


def test_what_an_admin_wrote_is_left_alone_unless_asked(unit: Unit) -> None:
    """A tip of that name stays as it is, and `update` writes it anew."""
    queue(unit, tip_file("ask-first", body="My own words."))
    data = export(item("ask-first", "The old words."))
    assert counts(run_import(unit, data, ImportMode.DRAFT)) == {"known": 1}
    assert stored(unit)["ask-first"].body == "My own words."
    assert counts(run_import(unit, data, ImportMode.DRAFT, update=True)) == {"updated": 1}
    assert stored(unit)["ask-first"].body == "The old words."


def test_a_page_is_written_anew_when_asked(unit: Unit) -> None:
    """After a change of the settings, say; its day and its address stay."""
    run_import(unit, export(item("ask-first", "The old words.")))
    data = export(item("ask-first", "Other words."))
    assert counts(run_import(unit, data)) == {"known": 1}
    assert counts(run_import(unit, data, update=True)) == {"updated": 1}
    assert page_of(unit, "ask-first").text == "Other words."


def test_a_line_that_ends_many_posts_is_named(unit: Unit) -> None:
    """So that a footer which no pattern names yet is found."""
    texts = [f"Text {number}.\n\nVisit our shop!" for number in range(12)]
    report = run_import(unit, export(*(item(f"tip-{n}", text) for n, text in enumerate(texts))), dry_run=True)
    assert report.repeated_lines == {"Visit our shop!": 12}


def test_hostile_html_is_harmless_as_page_and_as_mail(unit: Unit) -> None:
    """In the archive, in the feed that is made of it, and in a mail: no script, no handler, no merge field."""
    data = export(
        *(
            item(f"a-{number}", f"A text. {html}", title="T &lt;script&gt;alert(1)&lt;/script&gt;", number=number)
            for number, html in enumerate(HOSTILE)
        )
    )
    assert counts(run_import(unit, data)) == {"added": len(HOSTILE)}
    for number in range(len(HOSTILE)):
        page = page_of(unit, f"a-{number}")
        html = page.html.lower().replace("[x](javascript:alert(1))", "")
        assert not re.search(r"<(?:script|svg|iframe|form|style|input|math)|<[^>]*(?:onerror=|javascript:|data:)", html)
    run_import(unit, data, ImportMode.EVERGREEN)
    for tip in stored(unit).values():
        html = compile_tip(RENDER_CONTEXT, tip, on=TUESDAYS[0]).content.html.lower()
        assert not re.search(r"<(?:script|svg|iframe|form|input|math)|<[^>]*(?:onerror=|javascript:)", html)


def test_a_broken_file_changes_nothing(unit: Unit) -> None:
    """A hundred posts, and the last is not whole: none comes in."""
    data = export(*(item(f"tip-{number}", f"Text {number}.") for number in range(100)))
    before = rows(unit)
    with pytest.raises(InputError, match="not whole"):
        run_import(unit, data[:-500])
    assert rows(unit) == before


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.flows.archive_fixtures import NOW, file_of, rules
from tests.flows.tip_fixtures import review
from newsletter.flows.import_archive import import_archive
from newsletter.store.database import connect, open_unit

def die(posts, of):
    if posts >= 100:
        os.kill(os.getpid(), signal.SIGKILL)

unit = open_unit(connect(sys.argv[1]))
import_archive(unit, file_of(Path(sys.argv[2]).read_bytes()), rules(), review(NOW), who="x", progress=die)
"""


def test_an_import_that_was_killed_goes_on_where_it_ended(unit: Unit, tmp_path: Path) -> None:
    """SIGKILL in the middle: what was written stays, the next run adds the rest, and no post is there twice."""
    data = export(*(item(f"tip-{number}", f"Text {number}.", number=number) for number in range(230)))
    path = tmp_path / "export.xml"
    path.write_bytes(data)
    with unit.read() as tx:
        url = tx.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", KILLED, url, str(path)]
    killed = subprocess.run(command, cwd=Path(__file__).parents[2], check=False, timeout=120)
    assert killed.returncode == -9
    report = run_import(unit, data)
    assert counts(report) == {"added": 130, "known": 100}
    assert counts(run_import(unit, data)) == {"known": 230}
    with unit.read() as tx:
        assert len(redirects.all_redirects(tx)) == 2 * 230
