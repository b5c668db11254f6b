"""Feeds, sitemap and robots: whole text, pages, and well-formed whatever an author or an import wrote."""

from __future__ import annotations

import json
import re

import pytest
from lxml import etree
from sqlalchemy import update

from newsletter.core.feed import xml_text
from newsletter.store.schema import page
from tests.store.page_fixtures import add_pages, new_page
from tests.web.archive_fixtures import archive_parts, ask_archive
from tests.web.conftest import Ask, WebParts

__all__ = ["archive_parts", "ask_archive"]

ATOM = {"a": "http://www.w3.org/2005/Atom", "c": "http://purl.org/rss/1.0/modules/content/"}
SITEMAP = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9"}
FEEDS = (
    "/feed.xml",
    "/atom.xml",
    "/feed.json",
    "/topics/upset/feed.xml",
    "/topics/upset/atom.xml",
    "/topics/upset/feed.json",
)
DOCUMENTS = (*FEEDS, "/feed.xml?page=2", "/sitemap.xml", "/sitemap/1.xml")
TYPES = {"feed.xml": "application/rss+xml", "atom.xml": "application/atom+xml", "feed.json": "application/feed+json"}


def tree(text: str) -> etree._Element:
    """Parse a document as strictly as XML asks."""
    return etree.fromstring(text.encode(), parser=etree.XMLParser(recover=False, resolve_entities=False))


def titles(path: str, text: str) -> list[str]:
    """Return the titles of the items of a feed."""
    if path.partition("?")[0].endswith("json"):
        return [item["title"] for item in json.loads(text)["items"]]
    parsed = tree(text).xpath("//item/title/text() | //a:entry/a:title/text()", namespaces=ATOM)
    return [str(title) for title in parsed]


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_document_may_be_cached(ask_archive: Ask, path: str) -> None:
    """It has its type, a validator and the policy of a page that loads nothing; the same again is a 304."""
    response = ask_archive("GET", path)
    assert response.status_code == 200
    name = path.partition("?")[0].rpartition("/")[2]
    assert response.headers["Content-Type"] == f"{TYPES.get(name, 'application/xml')}; charset=utf-8"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    again = ask_archive("GET", path, headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert ask_archive("OPTIONS", path).status_code == 204


@pytest.mark.parametrize("path", FEEDS)
def test_a_feed_has_every_tip_on_its_pages(ask_archive: Ask, path: str) -> None:
    """Twenty tips a page, the newest first, none twice, and nothing that is not listed."""
    first, second = ask_archive("GET", path).text, ask_archive("GET", f"{path}?page=2").text
    assert titles(path, first) == [f"Tip {n}" for n in range(24, 4, -1)]
    untagged = [] if "topics" in path else ["Second step", "First step", "Pictures"]
    assert titles(path, second) == [f"Tip {n}" for n in range(4, -1, -1)] + untagged
    assert ask_archive("GET", f"{path}?page=3").status_code == 404
    assert "Hidden" not in first + second


def test_an_item_has_the_whole_text(ask_archive: Ask) -> None:
    """Text, address, date and author are those of the page, in all three formats."""
    html = '<p>A <img src="https://pictures.example.net/a.png" alt="lamp"> and <em>more</em> branches.</p>'
    url = "https://news.example.com/tips/pictures"
    rss = tree(ask_archive("GET", "/feed.xml?page=2").text)
    [item] = rss.xpath(f"//item[link='{url}']")
    assert item.xpath("c:encoded/text()", namespaces=ATOM) == [html]
    assert item.xpath("pubDate/text()") == ["Tue, 02 Jan 2018 14:00:00 +0000"]
    atom = tree(ask_archive("GET", "/atom.xml?page=2").text)
    [entry] = atom.xpath(f"//a:entry[a:link/@href='{url}']", namespaces=ATOM)
    assert entry.xpath("a:content/text()", namespaces=ATOM) == [html]
    assert entry.xpath("a:published/text()", namespaces=ATOM) == ["2018-01-02T14:00:00+00:00"]
    [stored] = [
        entry for entry in json.loads(ask_archive("GET", "/feed.json?page=2").text)["items"] if entry["url"] == url
    ]
    assert (stored["content_html"], stored["authors"]) == (html, [{"name": "The desk"}])
    assert {item.findtext("guid"), entry.findtext("a:id", namespaces=ATOM), stored["id"]} == {stored["id"]}
    assert stored["id"].startswith("tag:news.example.com,2018-01-02:page/")


def test_pages_of_a_feed_name_each_other(ask_archive: Ask) -> None:
    """A program that keeps everything walks from page to page (RFC 5005)."""
    rss = tree(ask_archive("GET", "/feed.xml?page=2").text)
    links = {link.get("rel"): link.get("href") for link in rss.xpath("//a:link", namespaces=ATOM)}
    base = "https://news.example.com/feed.xml"
    assert links == {"self": f"{base}?page=2", "first": base, "last": f"{base}?page=2", "previous": base}
    assert json.loads(ask_archive("GET", "/feed.json").text)["next_url"] == "https://news.example.com/feed.json?page=2"


def test_no_text_breaks_a_feed(ask_archive: Ask, archive_parts: WebParts) -> None:
    """Every character that XML forbids, and every sign of its own, in each text of a page: the feed parses."""
    nasty = "".join(chr(code) for code in [*range(0x20), 0x7F, 0x85, 0xFFFE, 0xFFFF, 0x1F600]) + "]]> &amp; <x> \"'"
    texts = {"title": nasty, "author": nasty, "html": f"<p>{nasty}</p>", "text": nasty}
    add_pages(archive_parts.unit, new_page("nasty", tags=(f"a{nasty}",), **texts))
    stored = {name: text.replace("\0", "") for name, text in texts.items()}
    with archive_parts.unit.write() as tx:
        # Past the cleaning of the store, as another program might write it.
        tx.execute(update(page).where(page.c.slug == "nasty").values(**stored))
    for path in ("/feed.xml?page=2", "/atom.xml?page=2"):
        [title] = [title for title in titles(path, ask_archive("GET", path).text) if "]]>" in title]
        assert title.endswith("\U0001f600]]> &amp; <x> \"'")
    assert any("]]>" in title for title in titles("/feed.json", ask_archive("GET", "/feed.json?page=2").text))


def test_what_xml_forbids_is_known() -> None:
    """What is left of all characters is what a strict parser takes."""
    kept = xml_text("".join(chr(code) for code in range(0x3000)) + "\ud800\udfff\ufffe\uffff\ufffd\U0010ffff")
    assert tree(f"<a>{kept.replace('&', '').replace('<', '').replace('>', '')}</a>").text is not None
    assert xml_text("a\tb\nc\rd é 😀") == "a\tb\nc\rd é 😀"


def test_a_page_leads_to_its_feeds(ask_archive: Ask) -> None:
    """A feed reader finds the feed of the whole on every page, and that of a topic on its list."""
    for path in ("/", "/tips/tip-1", "/topics/upset/"):
        html = ask_archive("GET", path).text
        assert '<link rel="alternate" type="application/rss+xml" title="Tip of the Week" href="/feed.xml">' in html
    assert 'href="/topics/upset/feed.xml"' in ask_archive("GET", "/topics/upset/").text


def test_the_sitemap_has_every_listed_page(ask_archive: Ask) -> None:
    """Its index names the parts, and these name each tip, topic and year once, and no page that is not listed."""
    index = tree(ask_archive("GET", "/sitemap.xml").text)
    assert index.xpath("//s:loc/text()", namespaces=SITEMAP) == ["https://news.example.com/sitemap/1.xml"]
    urls = [
        str(url) for url in tree(ask_archive("GET", "/sitemap/1.xml").text).xpath("//s:loc/text()", namespaces=SITEMAP)
    ]
    assert len(urls) == len(set(urls)) == 28 + 2 + 2 + 3
    assert "https://news.example.com/tips/tip-24" in urls
    assert "https://news.example.com/tips/hidden" not in urls
    assert [ask_archive("GET", f"/sitemap/{number}.xml").status_code for number in (0, 2)] == [404, 404]


def test_robots_are_kept_from_the_links_of_people(ask_archive: Ask) -> None:
    """Addresses with a token are nobody's but the reader's; the sitemap is named."""
    robots = ask_archive("GET", "/robots.txt").text
    assert {"/u/", "/c/", "/me/", "/admin/"} <= set(re.findall(r"^Disallow: (\S+)$", robots, re.MULTILINE))
    assert robots.endswith("Sitemap: https://news.example.com/sitemap.xml\n")
