"""Foreign HTML on its way to Markdown: the same words and markup come out, and nothing hostile does."""

from __future__ import annotations

import re

import nh3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.tip_body import body_faults
from newsletter.core.tip_markdown import tip_parser
from newsletter.render.from_html import markdown_from_html, words_from_html

WORDS = st.text("abc dé1.)-+*_`~#>[]()!\\|&;=\"':{}\N{EN DASH}", min_size=1, max_size=14).map(
    lambda text: text.strip() or "x"
)


def escaped(text: str) -> str:
    """Return a text as HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


TEXT = WORDS.map(escaped)
LINKS = st.tuples(TEXT, st.sampled_from(["https://example.com/", "https://example.org/a_b?c=1&amp;d=(2)"])).map(
    lambda pair: f'<a href="{pair[1]}">{pair[0]}</a>'
)
PHRASES = st.one_of(
    TEXT,
    TEXT.map(lambda text: f"<strong>{text}</strong>"),
    TEXT.map(lambda text: f"<em>{text}</em>"),
    st.text("ab`*_<", min_size=1, max_size=6).map(lambda text: f"<code>{escaped(text)}</code>"),
    LINKS,
)
LINES = st.lists(PHRASES, min_size=1, max_size=4).map(" ".join)
PARAGRAPHS = st.lists(LINES, min_size=1, max_size=3).map("<br>".join)


def listing(items: list[str]) -> str:
    """Return a list of HTML."""
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


BLOCKS = st.one_of(
    PARAGRAPHS.map(lambda text: f"<p>{text}</p>"),
    LINES.map(lambda text: f"<h2>{text}</h2>"),
    st.lists(LINES, min_size=1, max_size=3).map(listing),
    st.tuples(LINES, st.lists(LINES, min_size=1, max_size=2)).map(lambda pair: listing([pair[0] + listing(pair[1])])),
    PARAGRAPHS.map(lambda text: f"<blockquote><p>{text}</p></blockquote>"),
    st.just("<hr>"),
    st.text("ab `*\n<", min_size=1, max_size=12).map(lambda text: f"<pre><code>x{escaped(text)}x</code></pre>"),
)
DOCUMENTS = st.lists(BLOCKS, min_size=1, max_size=4).map("".join)


def shown(html: str) -> str:
    """Return HTML in one form, whatever its blanks and ways of writing."""
    clean = nh3.clean(html, link_rel=None).replace("\N{NO-BREAK SPACE}", " ")
    clean = re.sub(r"\s+", " ", clean)
    return re.sub(r" ?(</?(?:p|h\d|ul|ol|li|blockquote|pre|hr|br)\b[^>]*>) ?", r"\1", clean).replace(
        " </code>", "</code>"
    )


def plain(html: str) -> str:
    """Return the words of HTML without blanks."""
    return re.sub(r"\s", "", nh3.clean(html, tags=set()))


@given(DOCUMENTS)
def test_what_markdown_can_say_comes_out_as_it_went_in(html: str) -> None:
    """Rendering the Markdown gives the HTML again; where emphasis cannot be said, at least every word is there."""
    converted = markdown_from_html(html)
    again = tip_parser().render(converted.markdown)
    if converted.emphasis_lost:
        assert plain(again) == plain(html)
    else:
        assert shown(again) == shown(html)


@given(st.lists(PHRASES, min_size=1, max_size=5).map("".join))
def test_no_word_is_lost_or_added_where_markup_touches_words(html: str) -> None:
    """Bold signs beside letters, emphasis within a word: the words that a reader sees are those of the site."""
    converted = markdown_from_html(f"<p>{html}</p>")
    assert plain(tip_parser().render(converted.markdown)) == plain(html)


@pytest.mark.parametrize(
    ("html", "markdown"),
    [
        ("<p><strong>Note:</strong>listen</p>", "**Note**:listen"),
        ("<b>One</b><b>two</b>", "**Onetwo**"),
        ("<b>Bold <b>within</b> bold</b>", "**Bold within bold**"),
        ("<p>Look!<a href='https://example.com/'>here</a></p>", "Look\\![here](https://example.com/)"),
        ("<p>See https://example.com/a_b_c.</p>", "See <https://example.com/a_b_c>."),
        ("<p>Dear {{ first_name }}</p>", "Dear \\{{ first\\_name }}"),
        ("<code>{{ x }}</code>", "`{ { x }}`"),
        ("<p># no heading<br>1. no list</p>", "\\# no heading\\\n1\\. no list"),
        ("<table><tr><td>only</td></tr><tr><td>column</td></tr></table>", "only\n\ncolumn"),
        (
            "<table><tr><th>a</th><th>b</th></tr><tr><td>1|2</td><td>3</td></tr></table>",
            "| a | b |\n| --- | --- |\n| 1\\|2 | 3 |",
        ),
        (
            '<iframe src="//www.example.com/embed/1"></iframe>',
            "[https://www.example.com/embed/1](https://www.example.com/embed/1)",
        ),
        ('<img src="https://example.com/a.png" alt="A [red] lamp">', "![A \\[red\\] lamp](https://example.com/a.png)"),
        ("<p>one<br></p><p>two</p>", "one\n\ntwo"),
        ("", ""),
    ],
)
def test_html_becomes_the_markdown_that_a_person_would_write(html: str, markdown: str) -> None:
    """Each with what has to be escaped, and nothing more."""
    assert markdown_from_html(html).markdown == markdown


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '<a href="javascript:alert(1)">x</a>',
    '<a href="JaVaScRiPt&colon;alert(1)">x</a>',
    '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    '<a href="https://example.com/\n)<script>alert(1)</script>">x</a>',
    "<svg><script>alert(1)</script></svg>",
    "<style>@import 'https://example.com/x.css'</style>",
    '<iframe src="javascript:alert(1)"></iframe>',
    '<iframe src="https://example.com/&quot;><script>alert(1)</script>"></iframe>',
    '<form action="https://example.com/"><input name=a><button>Go</button></form>',
    "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>",
    "<p>[x](javascript:alert(1))</p>",
    "<p>`</p><script>alert(1)</script><p>`</p>",
    "<textarea></p><script>alert(1)</script>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    '<img src="https://example.com/x.png" alt="](https://example.com) <script>alert(1)</script>">',
    '<a href="https://example.com/" title="&quot;><script>alert(1)</script>">x</a>',
    "<p>{{ field.password }} {% for x in y %}</p>",
]


@pytest.mark.parametrize("html", HOSTILE)
def test_hostile_html_is_harmless_as_markdown(html: str) -> None:
    """No script, no handler, no address that runs one; and what is left is a tip without a fault of its markup."""
    markdown = markdown_from_html(
        f"<p>A text.</p>{html}", lambda _, url: url if url.startswith("https://") else ""
    ).markdown
    shown = tip_parser().render(markdown)
    assert not re.search(r"<(?!/?(?:p|a|img|code|br|pre|table|thead|tbody|tr|th|td)\b)", shown)
    assert not re.search(r"<[^>]*\bon\w+\s*=|<[^>]*(?:href|src)=\"(?!https://)", shown)
    assert body_faults(markdown, 1) == []


@given(st.text(alphabet="<>/abip=\"' &;#{}[]()!*_`\\\n-|~:", max_size=80))
def test_any_html_gives_markdown_without_markup_of_its_own(html: str) -> None:
    """Whatever a file holds, nothing raises, and no tag gets through."""
    markdown = markdown_from_html(html, lambda _, url: url if url.startswith("https://") else "").markdown
    assert not [fault for fault in body_faults(markdown, 1) if "no text" not in fault.text]


@pytest.mark.parametrize("opening", ["<div>", "<b>", "<ul><li>", "<blockquote>", "<table><tr><td>"])
def test_a_thousand_elements_within_each_other_end_as_words(opening: str) -> None:
    """No file makes the converter go down until it breaks."""
    assert markdown_from_html(opening * 2_000 + "A text.").markdown.strip("- >*|\n").startswith("A text")


@pytest.mark.parametrize(
    ("text", "words"),
    [("A &amp; B", "A & B"), ("<b>A</b> &lt; B", "A < B"), ("  A\n B ", "A B"), ("<script>x</script>A", "A"), ("", "")],
)
def test_titles_are_words(text: str, words: str) -> None:
    """Entities and markup of a title, on one line."""
    assert words_from_html(text) == words
