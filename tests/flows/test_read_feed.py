"""Feeds as an archive: RSS, Atom and JSON Feed give the same posts."""

from __future__ import annotations

import io
import json
from datetime import date

import pytest

from newsletter.core.archive_post import ArchivedPost, ArchiveKind, PostTopic
from newsletter.flows.read_feed import open_archive

RSS = """<?xml version="1.0"?><rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
 xmlns:atom="http://www.w3.org/2005/Atom" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>T</title>
<atom:link href="https://old.example.com/feed" rel="self"/><link>https://old.example.com/</link>
<item><title>Ask &amp; wait</title><link>https://old.example.com/ask/</link><dc:creator>Robin</dc:creator>
<pubDate>Wed, 09 Jul 2014 02:00:00 +0000</pubDate><category>upset</category><description>Short</description>
<content:encoded><![CDATA[<p>Long</p>]]></content:encoded></item></channel></rss>"""
ATOM = """<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>T</title>
<link rel="self" href="https://old.example.com/atom.xml"/><link href="https://old.example.com/"/>
<entry><title type="html">Ask &amp;amp; wait</title><link rel="edit" href="https://old.example.com/edit"/>
<link href="https://old.example.com/ask/"/><author><name>Robin</name></author>
<published>2014-07-09T02:00:00Z</published><updated>2020-01-01T00:00:00Z</updated><category term="upset"/>
<content type="html">&lt;p&gt;Long&lt;/p&gt;</content></entry></feed>"""
JSON = json.dumps(
    {
        "version": "https://jsonfeed.org/version/1.1",
        "home_page_url": "https://old.example.com/",
        "items": [
            {
                "id": "1",
                "url": "https://old.example.com/ask/",
                "title": "Ask & wait",
                "content_html": "<p>Long</p>",
                "date_published": "2014-07-09T02:00:00Z",
                "authors": [{"name": "Robin"}],
                "tags": ["upset"],
            }
        ],
    }
)


@pytest.mark.parametrize(
    ("text", "kind", "title"),
    [
        (RSS, ArchiveKind.RSS, "Ask & wait"),
        (ATOM, ArchiveKind.ATOM, "Ask &amp; wait"),
        (JSON, ArchiveKind.JSON, "Ask &amp; wait"),
    ],
)
def test_feeds_of_every_kind_give_the_same_post(text: str, kind: ArchiveKind, title: str) -> None:
    """The date is that of the newsletter's own zone: two o'clock in UTC is the evening before in New York."""
    archive = open_archive(io.BytesIO(text.encode()), file_name="feed", zone="America/New_York")
    assert list(archive) == [
        ArchivedPost(
            number=1,
            title=title,
            addresses=("https://old.example.com/ask/",),
            published_on=date(2014, 7, 8),
            content="<p>Long</p>",
            author="Robin",
            topics=(PostTopic(name="upset"),),
        )
    ]
    assert (archive.kind, archive.site) == (kind, "https://old.example.com/")


def test_texts_of_atom_are_read_by_their_kind() -> None:
    """Plain text is escaped, and XHTML is written out."""
    plain = ATOM.replace('content type="html"', "content")
    xhtml = ATOM.replace(
        'type="html">&lt;p&gt;Long&lt;/p&gt;<',
        ' type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><b>Hi</b></div><',
    )
    [first] = open_archive(io.BytesIO(plain.encode()), file_name="feed", zone="UTC")
    [second] = open_archive(io.BytesIO(xhtml.encode()), file_name="feed", zone="UTC")
    assert first.content == "&lt;p&gt;Long&lt;/p&gt;"
    assert "<b>Hi</b>" in second.content


@pytest.mark.parametrize(
    "entry", ["x", 1, None, {}, {"title": 1, "tags": 2, "authors": "x", "content_text": "a\n\nb<c", "url": "ftp://x"}]
)
def test_odd_entries_of_json_are_taken_as_far_as_they_go(entry: object) -> None:
    """Whatever the types of their fields."""
    text = json.dumps({"items": [entry]})
    [post] = open_archive(io.BytesIO(text.encode()), file_name="feed", zone="UTC")
    assert post.content in {"", "<p>a</p><p>b&lt;c</p>"}
