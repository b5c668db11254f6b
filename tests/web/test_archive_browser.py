"""The archive in a real browser: valid HTML, no barrier, no sideways scrolling, and nothing that its policy refuses."""

from __future__ import annotations

import html5lib
import pytest
from axe_playwright_python.sync_playwright import Axe

from newsletter.testing.clocks import FixedClock
from tests.store.page_fixtures import add_pages, new_page
from tests.web.archive_fixtures import archive_parts, ask_archive
from tests.web.conftest import Ask, Visit, WebParts
from tests.web.test_archive import MISSING, PATHS

__all__ = ["archive_parts", "ask_archive"]

LONG = "Donaudampfschifffahrtsgesellschaftskapitän" * 3


@pytest.fixture
def ask(ask_archive: Ask) -> Ask:
    """Let a visit meet the web part with an archive."""
    return ask_archive


@pytest.mark.parametrize("path", [*PATHS, MISSING[0]])
def test_a_page_is_valid_html(ask_archive: Ask, path: str) -> None:
    """The strict parser of the HTML standard has no complaint."""
    html5lib.HTMLParser(strict=True).parse(ask_archive("GET", path).text)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_barrier(visit: Visit, scheme: str) -> None:
    """Names, roles, contrast, order of headings, size of targets: axe finds no violation of its rules."""
    axe = Axe()
    for path in ("/", "/page/2", "/topics/", "/tips/second-step", "/search?q=text", "/search?q=xyz", MISSING[0]):
        violations = axe.run(visit(path, scheme=scheme)).response["violations"]
        assert [(path, rule["id"], [node["html"] for node in rule["nodes"]]) for rule in violations] == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 1100])
def test_nothing_scrolls_sideways(visit: Visit, archive_parts: WebParts, width: int) -> None:
    """Long words, wide tables and code stay within the page, on a phone and on a desk."""
    wide = (
        "<table><tr>" + f"<td>{LONG}</td>" * 6 + "</tr></table>"
        f"<pre><code>{'x' * 300}</code></pre><p>{LONG}</p><ul><li>a<ol><li>b</li></ol></li></ul>"
        "<blockquote><p>c</p></blockquote>"
    )
    add_pages(archive_parts.unit, new_page("wide", title=LONG, html=wide, text=LONG, tags=(LONG, "upset")))
    for path in ("/tips/wide", "/", "/topics/", "/search?q=text"):
        page = visit(path, width=width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


@pytest.mark.browser
def test_a_visitor_walks_through_the_archive(visit: Visit, clock: FixedClock) -> None:
    """From the home page to a tip, to the one before, to its topic, and by the search to another; without scripts."""
    page = visit("/", javascript=False)
    page.get_by_role("link", name="Tip 24", exact=True).click()
    assert page.get_by_role("heading", level=1).inner_text() == "Tip 24"
    page.get_by_role("link", name="The tip before").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Tip 23"
    page.get_by_role("link", name="upset").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Tips on “upset”"
    page.get_by_role("link", name="Search", exact=True).click()
    page.get_by_role("searchbox").fill("second text")
    page.get_by_role("button", name="Search").click()
    assert page.locator("mark").all_inner_texts() == ["Text", "second"]
    page.get_by_role("link", name="Second step").click()
    assert page.url.endswith("/tips/second-step")
