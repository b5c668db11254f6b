"""A tip's Markdown as HTML and as text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.render.markdown import Button, RenderedTip, render_markdown
from newsletter.render.splice import Sentinels


def rendered(markdown: str) -> RenderedTip:
    """Render without merge fields."""
    return render_markdown(markdown, Sentinels("n0nce"))


TEXTS = {
    "wrapped": ("word " * 30, ("word " * 14).strip() + "\n" + ("word " * 14).strip() + "\nword word"),
    "heading": ("## Why not", "Why not\n-------"),
    "list": ("- one\n- two\n  - deep\n- three", "- one\n- two\n  - deep\n- three"),
    "numbers from seven": ("7. one\n8. two", "7. one\n8. two"),
    "loose list": ("- one\n\n- two", "- one\n\n- two"),
    "list item of two paragraphs": ("1. one\n\n   more", "1. one\n\n   more"),
    "quote": ("> said\n> so", "> said so"),
    "list in a quote": ("> - one\n> - two", "> - one\n> - two"),
    "code": ("```\na  b\n\nc\n```", "    a  b\n\n    c"),
    "rule": ("a\n\n---\n\nb", "a\n\n* * *\n\nb"),
    "hard break": ("a  \nb", "a\nb"),
    "emphasis": ("**a** _b_ `c`", "*a* _b_ `c`"),
    "entities": ("Tom &amp; Jerry &copy; &lt;b&gt;", "Tom & Jerry © <b>"),
    "typographic quotes": ("“so” – it’s", "“so” – it’s"),  # noqa: RUF001 - the point.
    "image": ("![A chart](https://example.com/c.png)", "A chart"),
    "table": ("|a|b|\n|-|-|\n|1|2|", "a | b\n1 | 2"),
    "links": (
        "[one](https://example.com/1), [two](https://example.com/2), [one](https://example.com/1)",
        "one [1], two [2], one [1]\n\n[1] https://example.com/1\n[2] https://example.com/2",
    ),
    "bare link": ("See https://example.com/x now", "See https://example.com/x now"),
    "mail link": ("<help@example.com>", "help@example.com"),
}


@pytest.mark.parametrize("what", TEXTS)
def test_text_part(what: str) -> None:
    """The text part reads as if somebody had typed it."""
    markdown, text = TEXTS[what]
    assert rendered(markdown).text == text


@settings(deadline=None)
@given(st.text(st.sampled_from("ab *_`>#-1.|[]()!\\<&\n "), max_size=80))
def test_any_markdown_can_be_rendered(markdown: str) -> None:
    """No tip, however odd, crashes the renderer; its text has no blanks at line ends and its HTML no strange tag."""
    tip = rendered(markdown)
    assert all(line == line.rstrip() for line in tip.text.split("\n"))
    assert not re.search(
        r"<(?!/?(?:p|h[2-6]|strong|em|s|a|ul|ol|li|blockquote|code|pre|br|hr|img|table|t[hrd]|t(?:head|body))\b)",
        tip.html,
    )


@pytest.mark.parametrize(
    ("markdown", "forbidden"),
    [
        ("<script>alert(1)</script>", "<script"),
        ('<img src=x onerror="alert(1)">', "<img"),
        ("[x](javascript:alert(1))", "href"),
        ("[x](data:text/html,x)", "href"),
        ("<!--[if mso]>x<![endif]-->", "<!--"),
        ("<p style='position:fixed'>x</p>", "<p style"),
    ],
)
def test_what_could_do_harm_is_shown_as_text(markdown: str, forbidden: str) -> None:
    """Raw HTML and dangerous links never become markup."""
    assert forbidden not in rendered(markdown).html


def test_only_written_out_links_become_links() -> None:
    """A file name is no link to a country, and an address in a sentence no mail link."""
    html = rendered("Edit main.py, ask ann@example.org, or see www.example.com or https://example.com/a.").html
    assert re.findall(r'href="([^"]*)"', html) == ["https://example.com/a"]


def test_there_is_one_h1_and_it_is_not_the_tips() -> None:
    """A tip that begins at `#` has its headings moved down by one, since the title is the `<h1>`."""
    html = rendered("# One\n\n## Two").html
    assert "<h2>One</h2>" in html
    assert "<h3>Two</h3>" in html


def test_a_link_of_its_own_at_the_end_is_the_button() -> None:
    """It leaves the text of the HTML part and stays in the text part."""
    tip = rendered("Read this.\n\n[Open the guide](https://example.com/guide)")
    assert tip.button == Button(url="https://example.com/guide", label="Open the guide")
    assert "guide" not in tip.html
    assert "Open the guide [1]" in tip.text


@pytest.mark.parametrize(
    "markdown",
    [
        "[All of it](https://example.com/)",
        "Read.\n\nSee [this](https://example.com/)",
        "Read.\n\nhttps://example.com/",
        "Read.\n\n- [this](https://example.com/)",
        "Read.\n\n[this](mailto:a@example.com)",
    ],
)
def test_other_links_are_no_button(markdown: str) -> None:
    """A sentence, a bare address, a list item or a mail link stays where it is."""
    assert rendered(markdown).button is None


def test_table_heads_have_a_scope_and_columns_keep_their_side() -> None:
    """A data table is one for a screen reader too."""
    html = rendered("|a|b|\n|-|-:|\n|1|2|").html
    assert '<th scope="col">a</th>' in html
    assert 'style="text-align:right"' in html.replace("text-align: right", "text-align:right")


def test_warnings_name_what_readers_dislike() -> None:
    """Plain http, an image without a description, and very many links are told, not refused."""
    tip = rendered("![](https://example.com/a.png) [x](http://example.com/) " + "[y](https://example.com/) " * 30)
    assert len(tip.warnings) == 3
