"""Reading the archive of another program: every post or none, whatever stands in the file."""

from __future__ import annotations

import io
import re
import tracemalloc
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.archive_post import ArchivedPost, PostStatus, PostTopic
from newsletter.errors import InputError
from newsletter.flows.clean_xml import CleanXml
from newsletter.flows.read_feed import open_archive
from newsletter.flows.read_wxr import XmlArchive
from tests.flows.archive_fixtures import HEAD, SITE, TAIL, export, item

FORBIDDEN = [*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF]


def read(data: bytes) -> list[ArchivedPost]:
    """Return the posts of a file."""
    return list(open_archive(io.BytesIO(data), file_name="export.xml", zone="America/New_York"))


class Dripping(io.BytesIO):
    """A file that gives a few bytes at a time."""

    piece = 1

    def read(self, size: int | None = -1, /) -> bytes:
        """Return at most one piece, whatever is asked for."""
        return super().read(self.piece if size is None or size < 0 else min(size, self.piece))


def cleaned(stream: io.BytesIO) -> tuple[bytes, int]:
    """Return a file as the parser gets it, and the posts by their tags."""
    clean = CleanXml(stream, "export.xml")
    pieces = []
    while piece := clean.read(5):
        pieces.append(piece)
    return b"".join(pieces), clean.post_count


def test_a_post_of_an_export_has_all_its_fields() -> None:
    """Title, addresses, day, author by name, several categories and tags, state, kind and comments."""
    more = "<wp:comment><wp:comment_id>1</wp:comment_id></wp:comment>" * 2
    [post] = read(
        export(item("ask-first", "<b>Hi</b>", categories=["Business Advice", "Education"], tags=["upset"], more=more))
    )
    assert post == ArchivedPost(
        number=1,
        kind="post",
        status=PostStatus.PUBLISHED,
        title="Title of ask-first",
        slug="ask-first",
        addresses=(f"{SITE}/2014/07/ask-first/", f"{SITE}/?p=7"),
        published_on=date(2014, 7, 8),
        content="<b>Hi</b>",
        author="Robin Reader",
        topics=(
            PostTopic(name="Business Advice", is_category=True),
            PostTopic(name="Education", is_category=True),
            PostTopic(name="upset"),
        ),
        comment_count=2,
    )


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("publish", PostStatus.PUBLISHED),
        ("draft", PostStatus.DRAFT),
        ("pending", PostStatus.DRAFT),
        ("future", PostStatus.SCHEDULED),
        ("private", PostStatus.PRIVATE),
        ("trash", PostStatus.DELETED),
        ("auto-draft", PostStatus.DELETED),
        ("made-up", PostStatus.DELETED),
    ],
)
def test_the_states_of_posts_are_told_apart(status: str, state: PostStatus) -> None:
    """A state that nobody knows is never taken for published."""
    assert read(export(item("a", status=status)))[0].status is state


def test_a_post_with_a_password_is_private() -> None:
    """Its state says published, and yet not everybody could read it."""
    data = export(item("a")).replace(b"<wp:post_password></", b"<wp:post_password>secret</")
    assert read(data)[0].status is PostStatus.PRIVATE


@pytest.mark.parametrize("code", FORBIDDEN)
def test_forbidden_characters_lose_no_post(code: int) -> None:
    """As bytes and as references of both kinds, in CDATA and outside it: all three posts are read, without them."""
    sign = chr(code)
    data = export(item("a", f"one{sign}two"), item("b", title=f"T&#{code};&#x{code:X};{sign}"), item("c"))
    posts = read(data)
    assert [post.slug for post in posts] == ["a", "b", "c"]
    assert (posts[0].content, posts[1].title) == ("onetwo", "T")


def test_a_reference_within_a_text_is_taken_out_too() -> None:
    """In CDATA `&#11;` is text, which the HTML of the post would make a control character of."""
    assert read(export(item("a", "one&#11;two &#65; &amp;#11;")))[0].content == "onetwo &#65; &amp;#11;"


def test_names_of_html_that_xml_does_not_know_are_read() -> None:
    """`&nbsp;` in a title stops no parser."""
    assert read(export(item("a", title="A&nbsp;B &eacute; &amp; C")))[0].title == "A\N{NO-BREAK SPACE}B é & C"


@given(
    st.lists(st.sampled_from(["<item>", "<![CDATA[", "]]>", "&#11;", "&amp;", "&", "\x0b", "é", "ab", "<!--", "-->"])),
    st.integers(min_value=1, max_value=7),
)
def test_the_pieces_in_which_a_file_is_read_make_no_difference(parts: list[str], size: int) -> None:
    """What stands across the end of a piece is cleaned and counted all the same."""
    data = "".join(parts).encode()
    dripping = Dripping(data)
    dripping.piece = size
    text, count = cleaned(dripping)
    assert (text, count) == cleaned(io.BytesIO(data))
    assert text == re.sub("\x0b|&#11;", "", data.decode()).encode()


def test_words_of_a_text_are_not_counted_as_posts() -> None:
    """`<item>` in CDATA is what a tip about XML says."""
    assert len(read(export(item("a", "write <item> and <item> and <!-- <item> -->"), item("b")))) == 2


@pytest.mark.parametrize("cut", [200, 900, 1500, 2300])
def test_a_truncated_file_is_refused(cut: int) -> None:
    """The message says after how many posts it ends, and what to do."""
    data = export(*(item(f"tip-{number}") for number in range(5)))
    with pytest.raises(InputError, match=r"not whole.*export it again"):
        read(data[: len(data) - cut])


def test_a_reader_that_loses_posts_is_noticed() -> None:
    """More posts by their tags than the parser gives: the import stops instead of going on with some."""
    archive = open_archive(io.BytesIO(export(item("a"))), file_name="export.xml", zone="UTC")
    assert isinstance(archive, XmlArchive)
    archive._clean.post_count += 29_899
    with pytest.raises(InputError, match="29,900 posts by its tags, and 1 could be read"):
        list(archive)


BOMB = '<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
)


@pytest.mark.parametrize(
    "prolog",
    [
        BOMB + "]>",
        '<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY j SYSTEM "file:///etc/passwd">]>',
        '<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY % j SYSTEM "http://127.0.0.1:1/x.dtd"> %j;]>',
    ],
)
def test_declared_entities_are_refused(prolog: str) -> None:
    """Bombs and files of this machine: nothing is read, nothing grows."""
    data = (prolog + HEAD.partition("?>")[2] + item("a", title="&j;") + TAIL).encode()
    with pytest.raises(InputError, match="declares entities"):
        read(data)


def test_an_outer_document_type_is_not_fetched(tmp_path: Path) -> None:
    """RSS 0.91 names one; it is neither read nor needed."""
    dtd = tmp_path / "rss.dtd"
    dtd.write_text('<!ENTITY j "from the file">')
    prolog = f'<?xml version="1.0"?><!DOCTYPE rss SYSTEM "file://{dtd}">'
    posts = read((prolog + HEAD.partition("?>")[2] + item("a") + TAIL).encode())
    assert posts[0].title == "Title of a"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_a_file_in_another_encoding_is_read(encoding: str) -> None:
    """As its mark or its first line says."""
    declared = {"utf-8-sig": "UTF-8"}.get(encoding, encoding)
    text = export(item("a", title="Café")).decode().replace('encoding="UTF-8"', f'encoding="{declared}"')
    assert read(text.encode(encoding))[0].title == "Café"


def test_bytes_that_are_no_text_lose_no_post() -> None:
    """A stray byte of another encoding becomes the sign for an unknown one."""
    data = export(item("a", "caf\xe9"), item("b")).replace("é".encode(), b"\xe9")
    posts = read(data)
    assert (posts[0].content, len(posts)) == ("caf\N{REPLACEMENT CHARACTER}", 2)


def test_memory_does_not_grow_with_the_file() -> None:
    """Ten times the posts, the same memory: what was read is forgotten."""

    def peak(count: int) -> int:
        data = export(*(item(f"tip-{number}", "word " * 2_000) for number in range(count)))
        archive = open_archive(io.BytesIO(data), file_name="a.xml", zone="UTC")
        tracemalloc.start()
        assert sum(1 for _ in archive) == count
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(400) < peak(40) * 1.5


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"PK\x03\x04rest", "is a zip file; unpack it"),
        (b"\x1f\x8brest", "is compressed"),
        (b"hello", "no WordPress export"),
        (b"<html><body>Not found</body></html>", "holds no post"),
        (b'<rss version="2.0"><channel><title>Empty</title></channel></rss>', "holds no post"),
        (b"<rss><channel><item></channel></rss>", "not whole"),
        (b'{"version": "x"}', "holds no post"),
        (b'{"items": [', "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_archive_is_refused_in_one_line(data: bytes, message: str) -> None:
    """Each with what it is, or what to do."""
    with pytest.raises(InputError, match=message):
        read(data)
