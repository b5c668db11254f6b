"""The pages of the archive: what they show, what they never show, and what a cache is told."""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from newsletter.core.old_path import old_path
from newsletter.errors import InputError
from newsletter.render.article import clean_article
from newsletter.render.environment import make_environment
from newsletter.store import page as pages
from newsletter.store.schema import metadata
from newsletter.testing.clocks import START, FixedClock
from newsletter.web.app import create_app
from newsletter.web.public.archive import picture_hosts
from tests.store.page_fixtures import add_pages, new_page
from tests.web.archive_fixtures import archive_parts, ask_archive
from tests.web.conftest import Ask, Stage, WebParts, asking
from tests.web.signup_fixtures import stamp_of
from tests.web.test_feeds import DOCUMENTS

__all__ = ["archive_parts", "ask_archive"]

LISTS = (
    "/page/1",
    "/page/2",
    "/2020/",
    "/2019",
    "/topics/",
    "/topics/upset/",
    "/topics/upset/page/2",
    "/series/three-steps/",
)
PATHS = ("/", *LISTS, "/tips/tip-3", "/tips/hidden", "/tips/second-step", "/search", "/search?q=tip", "/search?q=xyz")
MISSING = ("/page/0", "/page/99", "/1999/", "/topics/none/", "/topics/upset/page/9", "/series/none/", "/tips/none")


def titles(html: str) -> list[str]:
    """Return the titles of a list, in order."""
    return re.findall(r'<h2><a href="[^"]*">([^<]+)</a></h2>', html)


@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_there_and_may_be_cached(ask_archive: Ask, path: str) -> None:
    """It answers 200 with a policy, a validator and the time for which a cache may keep it; the same again is a 304."""
    response = ask_archive("GET", path)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "public, max-age=300, stale-while-revalidate=86400"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "Set-Cookie" not in response.headers
    again = ask_archive("GET", path, headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", response.headers["ETag"])


def test_a_change_of_any_page_ends_every_copy(ask_archive: Ask, archive_parts: WebParts) -> None:
    """A validator from before the change is of no use on any page."""
    tags = {path: ask_archive("GET", path).headers["ETag"] for path in PATHS}
    add_pages(archive_parts.unit, new_page("one-more"))
    fresh = {path: ask_archive("GET", path, headers={"If-None-Match": tag}).status_code for path, tag in tags.items()}
    assert set(fresh.values()) == {200}


@pytest.mark.parametrize("path", MISSING)
def test_what_is_not_there_answers_with_the_search(ask_archive: Ask, path: str) -> None:
    """An unknown page, year, topic or number is a 404 that helps, and that no cache keeps."""
    response = ask_archive("GET", path)
    assert (response.status_code, response.headers["Cache-Control"]) == (404, "no-store")
    assert 'action="/search"' in response.text


def test_the_home_page_has_all_that_a_visitor_needs(ask_archive: Ask) -> None:
    """The promise, the form, the next date, the tip that went out last whole, and the newest ones with ten in all."""
    html = ask_archive("GET", "/").text
    assert "The next one: Tuesday 3 November 2026" in html
    assert stamp_of(html)
    assert "<p>Text of first-step.</p>" in html
    assert "First sent on January 1, 2019, last on October 27, 2026" in html
    assert titles(html) == [f"Tip {n}" for n in range(24, 14, -1)]
    assert 'href="/page/2"' in html


def test_the_form_of_the_home_page_subscribes(ask_archive: Ask, clock: FixedClock) -> None:
    """What is typed there goes the way of every sign-up."""
    stamp = stamp_of(ask_archive("GET", "/").text)
    clock.turn(seconds=10)
    answer = ask_archive("POST", "/subscribe", data={"email": "ada@example.org", "shown": stamp})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/subscribe/sent")


def test_before_the_first_tip_there_is_the_form(stage: tuple[Stage, str], parts: WebParts) -> None:
    """A fresh installation promises and asks, and every list is empty or missing."""
    for ask in asking(stage, replace(parts, web_options=replace(parts.web_options, archive=True))):
        html = ask("GET", "/").text
        assert "No tip has gone out yet." in html
        assert stamp_of(html)
        assert [ask("GET", path).status_code for path in ("/page/1", "/topics/", "/search?q=a", "/2026/")] == [
            200,
            200,
            200,
            404,
        ]


def test_an_archive_elsewhere_leaves_the_form_alone(ask: Ask) -> None:
    """Without an archive of ours `/` is the form, and no page of a tip is there."""
    assert "first_name" in ask("GET", "/").text
    assert [ask("GET", path).status_code for path in ("/page/1", "/tips/tip-1", "/search", "/topics/")] == [404] * 4


def test_a_wrong_template_is_told_at_the_start(archive_parts: WebParts, tmp_path: Path) -> None:
    """The operator hears of a template that is none with its file and line, before a reader meets it."""
    (tmp_path / "web" / "feed").mkdir(parents=True)
    (tmp_path / "web" / "feed" / "rss.xml").write_text("<rss>\n{% if %}")
    with pytest.raises(InputError, match=r"feed/rss\.xml, line 2"):
        create_app(replace(archive_parts, templates=make_environment(tmp_path)))


def test_numbered_pages_have_ten_each(ask_archive: Ask) -> None:
    """No page is left out and none is shown twice, and each names the pages beside it."""
    html = [ask_archive("GET", f"/page/{number}").text for number in (1, 2, 3)]
    assert [len(titles(text)) for text in html] == [10, 10, 8]
    assert len({title for text in html for title in titles(text)}) == 28
    assert 'rel="prev" href="/"' in html[1]
    assert 'rel="next" href="/page/3"' in html[1]
    assert 'rel="next"' not in html[2]
    assert "Text of tip-24. <a" in html[0]


def test_years_topics_and_series_have_their_lists(ask_archive: Ask) -> None:
    """Each list has what belongs to it, and the index names every topic and year with its number."""
    index = ask_archive("GET", "/topics/").text
    assert re.findall(r'href="(/(?:topics/[^"]+|\d{4})/)">([^<]+)</a> <span class="meta">(\d+)', index) == [
        ("/topics/co-worker/", "Co-Worker", "25"),
        ("/topics/upset/", "upset", "25"),
        ("/2020/", "2020", "25"),
        ("/2019/", "2019", "2"),
        ("/2018/", "2018", "1"),
    ]
    assert titles(ask_archive("GET", "/2019/").text) == ["Second step", "First step"]
    assert len(titles(ask_archive("GET", "/topics/upset/page/3").text)) == 5
    assert titles(ask_archive("GET", "/series/three-steps/").text) == ["First step", "Second step"]


def test_a_tip_names_its_neighbours_and_its_series(ask_archive: Ask) -> None:
    """The tip before and after, part two of two, and the address that search engines shall keep."""
    html = ask_archive("GET", "/tips/second-step").text
    assert re.findall(r'rel="(prev|next)" href="([^"]+)"', html) == [
        ("prev", "/tips/first-step"),
        ("next", "/tips/tip-0"),
    ]
    assert "Part 2 of 2 of “Three steps”" in html
    assert '<link rel="canonical" href="https://news.example.com/tips/second-step">' in html
    assert '<meta property="og:title" content="Second step">' in html
    assert "noindex" not in html


def test_an_unlisted_tip_has_its_address_alone(ask_archive: Ask) -> None:
    """Search engines are asked to leave it out, and no list, topic or search has it."""
    html = ask_archive("GET", "/tips/hidden").text
    assert "Hidden branches." in html
    assert '<meta name="robots" content="noindex">' in html
    everything = "".join(ask_archive("GET", path).text for path in (*LISTS, "/", "/search?q=branches"))
    assert "/tips/hidden" not in everything
    assert "secret" not in everything


def test_a_page_lets_in_the_hosts_of_its_pictures_alone(ask_archive: Ask) -> None:
    """Its policy names them, and another page's does not."""
    policy = ask_archive("GET", "/tips/pictures").headers["Content-Security-Policy"]
    assert "img-src https://pictures.example.net;" in f"{policy};"
    assert "img-src" not in ask_archive("GET", "/tips/tip-1").headers["Content-Security-Policy"]
    assert picture_hosts('<img src="https://a;b.example/x"><img src="https://a.example:8443/x">') == (
        "https://a.example:8443",
    )


def test_search_marks_the_words(ask_archive: Ask) -> None:
    """The words of a hit are marked; no hit is an answer too, with the topics to look through."""
    html = ask_archive("GET", "/search?q=branch").text
    assert titles(html) == ["Pictures"]
    assert "A lamp and more <mark>branches</mark>." in html
    nothing = ask_archive("GET", "/search?q=xyz&page=3")
    assert (nothing.status_code, "No tip has all of these words" in nothing.text) == (200, True)
    assert 'href="/topics/upset/"' in nothing.text


def test_search_has_pages(ask_archive: Ask) -> None:
    """Ten hits a page, and each page names the one before and after."""
    first, last = (ask_archive("GET", f"/search?q=text&page={number}").text for number in (1, 3))
    assert (len(titles(first)), len(titles(last))) == (10, 7)
    assert 'href="/search?q=text&amp;page=2"' in first
    assert 'rel="next"' not in last


def test_an_old_address_leads_to_its_page(ask_archive: Ask, archive_parts: WebParts) -> None:
    """Addresses of the archive before this one answer 301, also those of WordPress without names."""
    with archive_parts.unit.write() as tx:
        paths = [old_path("/2014/07/Defend-Without/"), old_path("/?p=123"), old_path("/tips/old-name")]
        pages.add_page(tx, new_page("defend"), now=START, old_paths=paths)
    for path in ("/2014/07/defend-without/", "/2014/07/Defend-Without", "/?p=123", "/tips/old-name"):
        answer = ask_archive("GET", path)
        assert (answer.status_code, answer.headers["Location"]) == (301, "/tips/defend")
    assert ask_archive("GET", "/?p=124").status_code == 404
    assert ask_archive("POST", "/2014/07/defend-without/").status_code in {404, 405}


def test_everything_hangs_below_the_public_path(stage: tuple[Stage, str], archive_parts: WebParts) -> None:
    """Where the newsletter lives at a path, every link of every page has it."""
    below = replace(archive_parts.publication, base_url="https://example.com/news")
    with archive_parts.unit.write() as tx:
        pages.add_page(tx, new_page("defend"), now=START, old_paths=["/old"])
    for ask in asking(stage, replace(archive_parts, publication=below)):
        for path in (*PATHS, "/nowhere"):
            links = re.findall(r'(?:href|action)="(/[^"]*)"', ask("GET", f"/news{path}").text)
            assert [link for link in links if not link.startswith("/news/")] == []
        assert ask("GET", "/news/old").headers["Location"] == "/news/tips/defend"


def rows_of(parts: WebParts) -> str:
    """Return a digest of every row of the database."""
    with parts.unit.read() as tx:
        tables = [sorted(map(repr, tx.execute(select(table)))) for table in metadata.sorted_tables]
    return hashlib.sha256(repr(tables).encode()).hexdigest()


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_changes_no_row(ask_archive: Ask, archive_parts: WebParts, method: str) -> None:
    """Whatever is looked at, the database is the same afterwards."""
    before = rows_of(archive_parts)
    for path in (*PATHS, *MISSING, *DOCUMENTS, "/robots.txt"):
        answer = ask_archive(method, path)
        assert answer.status_code < 500
        if method != "GET":
            assert answer.content == b""
    assert rows_of(archive_parts) == before


HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}{% raw %}"


def test_pages_are_light(ask_archive: Ask) -> None:
    """As a proxy sends it, a page has at most 15 KB and the style 5 KB; a page without the form has no script."""
    for path in PATHS:
        html = ask_archive("GET", path).text
        assert len(gzip.compress(html.encode())) <= 15_000
        assert html.count("<script") == (path == "/")
    [style] = set(re.findall(r'href="(/static/[^"]+)"', ask_archive("GET", "/").text))
    assert len(gzip.compress(ask_archive("GET", style).content)) <= 5_000


def test_hostile_text_is_text(ask_archive: Ask, archive_parts: WebParts) -> None:
    """A title, a topic, an author and a query of markup are shown as their letters, on every page that has them."""
    add_pages(
        archive_parts.unit,
        new_page(
            "hostile",
            title=HOSTILE,
            author=HOSTILE,
            html=clean_article(f"<p>{HOSTILE} unheard</p>"),
            text=f"{HOSTILE} unheard",
            tags=(HOSTILE,),
            series="x",
            part=1,
        ),
    )
    topic = re.findall(r'href="(/topics/script[^"]*)"', ask_archive("GET", "/topics/").text) or ["/topics/"]
    paths = (
        "/",
        "/page/1",
        "/page/3",
        "/tips/hostile",
        "/topics/",
        topic[0],
        "/search?q=unheard",
        f"/search?q={quote(HOSTILE)}",
    )
    for path in paths:
        html = ask_archive("GET", path).text
        assert "<script>alert" not in html
        assert "<img src=x" not in html


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    part=st.text(max_size=40),
    where=st.sampled_from(["/tips/{}", "/topics/{}/", "/series/{}/", "/search?q={}", "/{}", "/?p={}"]),
)
def test_any_address_is_a_page_or_none(ask_archive: Ask, part: str, where: str) -> None:
    """Whatever is asked for, the answer is a page, a redirect to one, or 404; never a fault."""
    answer = ask_archive("GET", where.format(quote(part, safe="")))
    assert answer.status_code in {200, 404, 405}
    assert "<script>alert" not in answer.text
