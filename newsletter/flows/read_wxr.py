"""Read a WordPress export (WXR), an RSS or an Atom feed, post by post, in memory that does not grow with the file.

In: a binary stream that can be read twice. Out: posts in the order of the file. Strict: the tags that the stream counts
and the posts that the parser gives must agree, or the file is refused; no entity is expanded and no address opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from typing import BinaryIO

from lxml import etree

from newsletter.core.archive_post import ArchivedPost, ArchiveKind, PostStatus, PostTopic
from newsletter.core.cadence import local
from newsletter.errors import InputError
from newsletter.flows.clean_xml import CleanXml

_WORDPRESS = re.compile(r"\{http://wordpress\.org/export/[\d.]+/(?P<excerpt>excerpt/)?\}(?P<name>\w+)")
_LOCAL = re.compile(r"\{[^}]*\}")
_PREFIXES = {
    "http://purl.org/rss/1.0/modules/content/": "content:",
    "http://purl.org/dc/elements/1.1/": "dc:",
}
_ATOM = "http://www.w3.org/2005/Atom"
_STATUSES = {
    "publish": PostStatus.PUBLISHED,
    "inherit": PostStatus.PUBLISHED,
    "draft": PostStatus.DRAFT,
    "pending": PostStatus.DRAFT,
    "future": PostStatus.SCHEDULED,
    "private": PostStatus.PRIVATE,
    "trash": PostStatus.DELETED,
    "auto-draft": PostStatus.DELETED,
}
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}")


class XmlArchive:
    """One reading of an XML file; iterate over it once. What it tells of the file is complete at the end."""

    def __init__(self, stream: BinaryIO, *, file_name: str, zone: str) -> None:
        """Take the stream, and the zone in which a moment of a feed has its date."""
        self._clean = CleanXml(stream, file_name)
        self._file_name = file_name
        self._zone = zone
        self._authors: dict[str, str] = {}
        self.kind = ArchiveKind.RSS
        self.site = ""

    @property
    def removed_count(self) -> int:
        """Characters that XML forbids, so far."""
        return self._clean.removed_count

    def __iter__(self) -> Iterator[ArchivedPost]:
        """Yield the posts; raise `InputError` for a file that is not whole."""
        number = 0
        events = etree.iterparse(
            self._clean,
            events=("end",),
            tag=["{*}item", "{*}entry"],
            encoding="utf-8",
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        try:
            for _, element in events:
                number += 1
                if number == 1:
                    self._read_head(element)
                yield self._post(element, number)
                _forget(element)
        except etree.XMLSyntaxError as error:
            raise self._broken(error, number) from error
        if number != self._clean.post_count:
            raise InputError(
                f"{self._file_name} has {self._clean.post_count:,} posts by its tags, and {number:,} could be read; "
                "nothing more is imported from a file that loses posts"
            )
        if not number:
            raise InputError(f"{self._file_name} holds no post: it is no WordPress export and no RSS or Atom feed")

    def _broken(self, error: etree.XMLSyntaxError, number: int) -> InputError:
        line = error.position[0] or 0
        words = str(error.msg or "").partition(", line")[0].strip()
        ended = "Premature end" in words or "Document is empty" in words or "no element" in words
        why = "it ends in the midst of a post: it was not downloaded whole" if ended else f"“{words}”"
        return InputError(
            f"{self._file_name} is not whole: {why} (line {line:,}, after {number:,} posts); export it again"
        )

    def _read_head(self, first: etree._Element) -> None:
        """Read what stands before the first post: the kind of file, the site, the names of the authors."""
        root = first.getroottree().getroot()
        parent = first.getparent()
        self.kind = ArchiveKind.ATOM if first.tag == f"{{{_ATOM}}}entry" else ArchiveKind.RSS
        for element in [*root, *(parent if parent is not None else ())]:
            name = _name(element)
            if name.startswith("wp:"):
                self.kind = ArchiveKind.WORDPRESS
            if name == "wp:author":
                parts = {_name(child): (child.text or "").strip() for child in element}
                self._authors[parts.get("wp:author_login", "")] = parts.get("wp:author_display_name", "")
            elif name in {"wp:base_blog_url", "link"} and not (self.site and name == "link"):
                self.site = _link_of(element) or self.site

    def _post(self, element: etree._Element, number: int) -> ArchivedPost:
        if self.kind is ArchiveKind.ATOM:
            return self._atom_entry(element, number)
        return self._item(element, number)

    def _item(self, element: etree._Element, number: int) -> ArchivedPost:
        texts: dict[str, str] = {}
        topics: dict[PostTopic, None] = {}
        comments = 0
        for child in element:
            name = _name(child)
            if name == "category" and child.get("domain", "category") in {"category", "post_tag"}:
                topics.setdefault(PostTopic(name=_text(child), is_category=child.get("domain") == "category"))
            elif name == "wp:comment":
                comments += 1
            elif name == "guid":
                texts[name] = _text(child)
            else:
                texts.setdefault(name, _text(child))
        status = _STATUSES.get(texts.get("wp:status", "publish"), PostStatus.DELETED)
        if texts.get("wp:post_password") and status is PostStatus.PUBLISHED:
            status = PostStatus.PRIVATE
        author = texts.get("dc:creator") or texts.get("author", "")
        return ArchivedPost(
            number=number,
            kind=texts.get("wp:post_type") or "post",
            status=status,
            title=texts.get("title", ""),
            slug=texts.get("wp:post_name", ""),
            addresses=_addresses(texts.get("link"), texts.get("guid"), texts.get("wp:attachment_url")),
            published_on=_wordpress_day(texts.get("wp:post_date", "")) or self._day(_rss_moment(texts)),
            content=texts.get("content:encoded") or texts.get("description", ""),
            excerpt=texts.get("excerpt:encoded", ""),
            author=self._authors.get(author) or author,
            topics=tuple(topics),
            comment_count=comments,
        )

    def _atom_entry(self, element: etree._Element, number: int) -> ArchivedPost:
        texts: dict[str, str] = {}
        links: list[str] = []
        topics: dict[PostTopic, None] = {}
        for child in element:
            name = _name(child)
            if name == "link" and child.get("rel", "alternate") == "alternate":
                links.append(child.get("href", ""))
            elif name == "category":
                topics.setdefault(PostTopic(name=child.get("label") or child.get("term") or ""))
            elif name == "author":
                texts.setdefault(name, next((_text(part) for part in child if _name(part) == "name"), ""))
            elif name in {"content", "summary", "title"}:
                texts.setdefault(name, _atom_text(child))
            else:
                texts.setdefault(name, _text(child))
        moment = texts.get("published") or texts.get("issued") or texts.get("updated", "")
        return ArchivedPost(
            number=number,
            title=texts.get("title", ""),
            addresses=_addresses(*links[:1]),
            published_on=self._day(iso_moment(moment)),
            content=texts.get("content") or texts.get("summary", ""),
            author=texts.get("author", ""),
            topics=tuple(topic for topic in topics if topic.name),
        )

    def _day(self, moment: datetime | None) -> date | None:
        return day_of(moment, self._zone)


def iso_moment(text: str) -> datetime | None:
    """Return a moment as Atom and JSON feeds write it (RFC 3339); without an offset it is a local one."""
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        return None


def day_of(moment: datetime | None, zone: str) -> date | None:
    """Return the date of a moment in a zone; a moment without an offset has its date already."""
    if moment is None:
        return None
    return moment.date() if moment.tzinfo is None else local(moment, zone).date()


def _rss_moment(texts: dict[str, str]) -> datetime | None:
    if not (text := texts.get("pubDate", "")):
        return iso_moment(texts.get("dc:date", ""))
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return iso_moment(text)


def _wordpress_day(text: str) -> date | None:
    """Return the date of `2014-07-08 09:00:00`, which is in the old site's own zone; drafts have zeros."""
    try:
        return date.fromisoformat(text[:10]) if _INSTANT.match(text) else None
    except ValueError:
        return None


def _name(element: etree._Element) -> str:
    """Return the name of an element with a fixed prefix, whatever prefix and version the file uses."""
    tag = str(element.tag)
    if match := _WORDPRESS.fullmatch(tag):
        return ("excerpt:" if match["excerpt"] else "wp:") + match["name"]
    namespace = tag[1:].partition("}")[0] if tag.startswith("{") else ""
    return _PREFIXES.get(namespace, "") + _LOCAL.sub("", tag)


def _text(element: etree._Element) -> str:
    return "".join(map(str, element.itertext())).strip() if len(element) else (element.text or "").strip()


def _atom_text(element: etree._Element) -> str:
    """Return a text of Atom as HTML: plain text escaped, XHTML written out (RFC 4287, section 3.1)."""
    kind = (element.get("type") or "text").lower()
    if kind in {"xhtml", "application/xhtml+xml"}:
        html = "".join(str(etree.tostring(child, encoding="unicode", with_tail=False)) for child in element)
        return re.sub(r"(</?)\w+:", r"\1", html)
    text = _text(element)
    return text if "html" in kind else text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _link_of(element: etree._Element) -> str:
    if href := element.get("href"):
        return href if element.get("rel", "alternate") == "alternate" else ""
    return (element.text or "").strip()


def _addresses(*urls: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(url for url in urls if url and url.startswith(("http://", "https://"))))


def _forget(element: etree._Element) -> None:
    """Free a post that was read, and what stands before it: the tree would grow to the size of the file."""
    element.clear()
    parent = element.getparent()
    while parent is not None and (before := element.getprevious()) is not None:
        parent.remove(before)
