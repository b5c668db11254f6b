"""Open an old archive: find out what kind of file it is, and read a JSON Feed; the XML kinds are in `read_wxr`.

In: a binary stream that can be read twice. Out: its posts in the order of the file, or an `InputError` for a file that
is none of the kinds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from newsletter.core.archive_post import ArchivedPost, ArchiveKind, PostTopic
from newsletter.errors import InputError
from newsletter.flows.read_wxr import XmlArchive, day_of, iso_moment

JSON_FEED_BYTES_MAX = 32 * 1024 * 1024
"""A JSON file is read as a whole; a feed that is larger than this comes in pages."""
_HEAD_BYTES = 512
_NO_FEED = {
    b"PK\x03\x04": "is a zip file; unpack it and import the .xml file inside",
    b"\x1f\x8b": "is compressed; unpack it first (gunzip)",
    b"%PDF": "is a PDF; an export of the site is needed",
}


class JsonArchive:
    """One reading of a JSON Feed; iterate over it once."""

    kind = ArchiveKind.JSON
    removed_count = 0

    def __init__(self, stream: BinaryIO, *, file_name: str, zone: str) -> None:
        """Take the stream, and the zone in which a moment has its date."""
        self._stream = stream
        self._file_name = file_name
        self._zone = zone
        self.site = ""

    def __iter__(self) -> Iterator[ArchivedPost]:
        """Yield the posts; raise `InputError` for a file that is no JSON Feed."""
        self._stream.seek(0)
        data = self._stream.read(JSON_FEED_BYTES_MAX + 1)
        if len(data) > JSON_FEED_BYTES_MAX:
            raise InputError(f"{self._file_name} is over {JSON_FEED_BYTES_MAX:,} bytes long, which no JSON Feed is")
        try:
            feed = json.loads(data.decode("utf-8-sig", "replace"))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self._file_name} is not JSON that can be read ({error})") from error
        items = feed.get("items") if isinstance(feed, dict) else None
        if not isinstance(items, list) or not items:
            raise InputError(f"{self._file_name} holds no post: it is no JSON Feed with “items”")
        self.site = _words(feed.get("home_page_url"))
        for number, item in enumerate(items, start=1):
            yield self._post(item if isinstance(item, dict) else {}, number)

    def _post(self, item: dict[str, Any], number: int) -> ArchivedPost:
        url = _words(item.get("url"))
        content = _words(item.get("content_html"))
        if not content:
            plain = _words(item.get("content_text")) or _words(item.get("summary"))
            paragraphs = _escaped(plain).replace("\r\n", "\n").split("\n\n")
            content = "".join(f"<p>{text.strip().replace(chr(10), '<br>')}</p>" for text in paragraphs if text.strip())
        authors = item.get("authors") or [item.get("author")]
        names = (
            [author.get("name") for author in authors if isinstance(author, dict)] if isinstance(authors, list) else []
        )
        tags = item.get("tags")
        return ArchivedPost(
            number=number,
            title=_escaped(_words(item.get("title"))),
            addresses=(url,) if url.startswith(("http://", "https://")) else (),
            published_on=day_of(iso_moment(_words(item.get("date_published"))), self._zone),
            content=content,
            author=_words(names[0]) if names else "",
            topics=tuple(PostTopic(name=tag) for tag in map(_words, tags if isinstance(tags, list) else ()) if tag),
        )


Archive = XmlArchive | JsonArchive


def open_archive(stream: BinaryIO, *, file_name: str, zone: str) -> Archive:
    """Begin a reading of the file; raise `InputError` for what is none of the kinds."""
    stream.seek(0)
    head = stream.read(_HEAD_BYTES)
    for magic, fault in _NO_FEED.items():
        if head.startswith(magic):
            raise InputError(f"{file_name} {fault}")
    plain = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if not plain:
        raise InputError(f"{file_name} is empty")
    if plain.startswith((b"{", b"[")):
        return JsonArchive(stream, file_name=file_name, zone=zone)
    if plain.startswith(b"<"):
        return XmlArchive(stream, file_name=file_name, zone=zone)
    raise InputError(f"{file_name} is no WordPress export and no RSS, Atom or JSON feed; a tip file ends in .md")


def _words(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
