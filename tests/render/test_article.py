"""The article of a page: a tip without a reader, and foreign HTML without what could do harm."""

from __future__ import annotations

import html5lib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.message import Publication
from newsletter.core.tip import TipDraft
from newsletter.render.article import article_text, clean_article, render_article
from newsletter.render.splice import Sentinels
from tests.edition_fixtures import PUBLICATION


def article(body: str, title: str = "Say no", publication: Publication = PUBLICATION) -> str:
    """Return the HTML of a tip's article."""
    return render_article(TipDraft(slug="a", title=title, subject=title, body=body), publication).html


def test_a_page_has_no_reader() -> None:
    """Each merge field is its fallback, in the text and in an address; nothing of a sentinel is left."""
    html = article(
        "Hello {{ first_name|there & then }}, of {{ field.company| }}{{ email }}.\n\n"
        "[Look](https://example.com/?u={{ first_name|a b }})\n\nEnd."
    )
    assert html == (
        '<p>Hello there &amp; then, of .</p>\n<p><a href="https://example.com/?u=a%20b">Look</a></p>\n<p>End.</p>'
    )


def test_headings_begin_below_the_title() -> None:
    """The title of the page is its only heading of the first level."""
    assert article("# One\n\nText.\n\n## Two\n\nText.") == "<h2>One</h2>\n<p>Text.</p>\n<h3>Two</h3>\n<p>Text.</p>"


def test_what_mail_programs_need_is_left_out() -> None:
    """The policy of a page forbids styles: columns keep their side by a class, and a picture its own size."""
    html = article("| a | b |\n|---|--:|\n| 1 | 2 |\n\n![A lamp](https://example.com/l.png)\n\nText.\n\n---\n\nEnd.")
    assert "style=" not in html
    assert '<td class="right">2</td>' in html
    assert '<img src="https://example.com/l.png" alt="A lamp">' in html
    sized = article("![A lamp|300x200](https://example.com/l.png)\n\nText.")
    assert 'width="300"' in sized
    assert 'height="200"' in sized


def test_the_button_of_a_mail_is_a_link() -> None:
    """What the reader should do next stays at the end of the article."""
    html = article("Text.\n\nMore.\n\n[Sign up & go](https://example.com/?a=1&b=2)")
    assert html.endswith('<p><a class="button" href="https://example.com/?a=1&amp;b=2">Sign up &amp; go</a></p>')


def test_title_and_text_are_typographic() -> None:
    """A page has the signs of its language, as its mail has."""
    tip = TipDraft(slug="a", title='Say "no"', subject="a", body="It's *so* -- done.\n\n- One\n- Two")
    rendered = render_article(tip, PUBLICATION)
    assert rendered.title == "Say “no”"
    assert rendered.text == "It\N{RIGHT SINGLE QUOTATION MARK}s so \N{EN DASH} done.\nOne\nTwo"


def test_a_text_that_has_a_sentinel_by_chance_stays_as_it_is() -> None:
    """Another nonce is taken for it."""
    word = Sentinels("article 0").prefix
    assert article(f"{word}h000z and {{{{ first_name|you }}}}") == f"<p>{word}h000z and you</p>"


HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href=' java\tscript:alert(1)'>x</a>",
    "<style>*{color:red}</style>",
    "<iframe src='https://example.com'></iframe>",
    "<form action='/u'><button>x</button></form>",
    "<svg><script>alert(1)</script></svg>",
    "<math><mtext><style><img src=x onerror=alert(1)></style></mtext></math>",
    "<p style='position:fixed' class='links' id='main'>x</p>",
    "<meta http-equiv=refresh content='0;url=https://example.com'>",
    "<base href='https://example.com'>",
    "<!-- <script>alert(1)</script> -->",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<h1>a</h1></main></body></html><script>alert(1)</script>",
    "<img src='data:image/svg+xml,<svg onload=alert(1)>'>",
)


@pytest.mark.parametrize("html", HOSTILE)
def test_foreign_html_does_no_harm(html: str) -> None:
    """No script, style, form, frame or class of the page gets through, whatever an export holds."""
    cleaned = clean_article(html)
    tree = html5lib.parse(f"<!DOCTYPE html><title>x</title>{cleaned}", namespaceHTMLElements=False)
    body = tree.find("body")
    assert {element.tag for element in body.iter()} <= {"body", "p", "a", "img", "h2"}
    names = {name for element in body.iter() for name in element.attrib}
    assert names <= {"href", "src", "alt", "title"}
    links = [element.get("href") or element.get("src") or "" for element in body.iter()]
    assert [link for link in links if link.strip() and not link.startswith(("x", "https:"))] == []


@given(st.text(alphabet="<>/h12pabc \"'=&;!-", max_size=60))
def test_cleaning_is_done_once_and_for_all(html: str) -> None:
    """Whatever comes in, what comes out stays as it is when it is cleaned again."""
    cleaned = clean_article(html)
    assert clean_article(cleaned) == cleaned


def test_the_words_of_an_article_have_lines() -> None:
    """Items, rows and paragraphs are parted, entities are letters again, and pictures have no words."""
    html = "<p>A &amp; b<br>c</p><ul><li>d</li><li>e</li></ul><table><tr><td>f</td><td>g</td></tr></table><img src='x'>"
    assert article_text(html) == "A & b\nc\nd\ne\nf g"
