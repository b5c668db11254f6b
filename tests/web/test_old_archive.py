"""An imported archive on the web: pages, old addresses, and hostile posts that are harmless there."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import quote

from lxml import etree

from tests.flows.archive_fixtures import export, item, run_import
from tests.render.test_from_html import HOSTILE
from tests.web.archive_fixtures import ARCHIVE, ARCHIVE_PUBLICATION
from tests.web.conftest import Stage, WebParts, asking

HANDLERS = re.compile(r"<(?:svg|iframe|math|style|meta)\b|<[^>]*(?:\son\w+\s*=|javascript:|data:)", re.IGNORECASE)


def test_an_old_link_leads_to_the_page_of_its_post(stage: tuple[Stage, str], parts: WebParts) -> None:
    """By its permalink in any spelling and by its number; a draft and a private post answer nothing."""
    data = export(
        item("défendre", "One idea.", title="Defend without Being Defensive \N{EN DASH} 7/8/14 TOW", number=11),
        item("secret", "Between us.", status="private", number=12),
    )
    run_import(parts.unit, data)
    for ask in asking(stage, replace(parts, web_options=ARCHIVE, publication=ARCHIVE_PUBLICATION)):
        for path in (quote("/2014/07/défendre/"), quote("/2014/07/Défendre"), "/?p=11"):
            answer = ask("GET", path)
            assert (answer.status_code, answer.headers["Location"]) == (301, "/tips/defendre")
        page = ask("GET", "/tips/defendre")
        assert page.status_code == 200
        assert "Defend without Being Defensive" in page.text
        assert "TOW" not in page.text
        for path in ("/2014/07/secret/", "/?p=12", "/tips/secret"):
            assert "Between us" not in ask("GET", path).text


def test_hostile_posts_are_harmless_pages_and_feeds(stage: tuple[Stage, str], parts: WebParts) -> None:
    """Whatever an export holds: every page answers, every feed is XML, and no browser would run a line of it."""
    run_import(parts.unit, export(*(item(f"a-{number}", f"A text. {html}") for number, html in enumerate(HOSTILE))))
    for ask in asking(stage, replace(parts, web_options=ARCHIVE, publication=ARCHIVE_PUBLICATION)):
        for number in range(len(HOSTILE)):
            page = ask("GET", f"/tips/a-{number}")
            assert page.status_code == 200
            assert "<script>alert(1)" not in page.text
            main = page.text.partition("<main")[2].partition("</main")[0]
            assert "A text." in main
            assert HANDLERS.search(main) is None
        for path, name in (("/feed.xml", "description"), ("/feed.xml", "encoded"), ("/atom.xml", "content")):
            # The summary of Atom is plain text, the description of RSS is HTML.
            elements = etree.fromstring(ask("GET", path).content).iter(f"{{*}}{name}")
            texts = [element.text or "" for element in elements]
            assert len(texts) >= len(HOSTILE)
            assert not [text for text in texts if "<script" in text or HANDLERS.search(text)]
