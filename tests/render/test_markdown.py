"""A tip's Markdown as HTML and as text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.core.tip_markdown import tip_parser
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
    "numbers from zero": ("0. zero\n1. one", "0. zero\n1. one"),
    "numbers from zero in a list": ("- a\n\n  0) zero\n  1) one", "- a\n\n  0. zero\n  1. one"),
    "struck out": ("It costs ~~20~~ 10 euros.", "It costs ~20~ 10 euros."),
    "struck out in bold": ("**~~20~~**", "*~20~*"),
    "table": ("|a|b|\n|-|-|\n|1|2|", "a | b\n--+--\n1 | 2"),
    "table with a column to the right": (
        "|sum|n|\n|-|-:|\n|all|100|\n|no|5|",
        "sum |   n\n----+----\nall | 100\nno  |   5",
    ),
    "table in a list": ("- |a|b|\n  |-|-|\n  |1|2|", "- a | b\n  --+--\n  1 | 2"),
    "table wider than the text": (
        "|a|b|\n|-|-|\n|" + "word " * 10 + "|" + "name " * 10 + "|",
        (
            "a                                  | b\n"
            "-----------------------------------+------------------------------------\n"
            "word word word word word word word | name name name name name name name\n"
            "word word word                     | name name name"
        ),
    ),
    "table too wide for lines": (
        f"|{'a' * 40}|{'b' * 40}|\n|-|-|\n|1|2|\n|3||",
        f"{'a' * 40}: 1\n{'b' * 40}: 2\n\n{'a' * 40}: 3",
    ),
    "table of wide signs": ("|日本|b|\n|-|-|\n|a|2|", "日本 | b\n-----+--\na    | 2"),
    "telephone": ("[Call us](tel:+1-555-0100) <tel:+15550100>", "Call us [1] tel:+15550100\n\n[1] tel:+1-555-0100"),
    "links": (
        "[one](https://example.com/1), [two](https://example.com/2), [one](https://example.com/1)",
        "one [1], two [2], one [1]\n\n[1] https://example.com/1\n[2] https://example.com/2",
    ),
    "bare link": ("See https://example.com/x now", "See https://example.com/x now"),
    "mail link": ("<help@example.com>", "help@example.com"),
}


@pytest.mark.parametrize("description", TEXTS)
def test_text_part(description: str) -> None:
    """The text part reads as if somebody had typed it."""
    markdown, text = TEXTS[description]
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


@pytest.mark.parametrize(
    "text",
    [
        "Write //cdn.example.com/lib.js into the page.",
        "Fetch ftp://ftp.example.com/pub/file.txt now.",
        "Write mailto:ann@example.com, tel:+15550100, javascript:alert(1) or file:///etc/hosts.",
        "See www.example.com, example.com/page and 192.0.2.1/x.",
        "A path such as //server/share or C://x stays one.",
    ],
)
def test_other_addresses_stay_text(text: str) -> None:
    """Only a written-out http:// or https:// becomes a link by itself, in both parts."""
    tip = rendered(text)
    assert tip.html == f"<p>{text}</p>\n"
    assert tip.links == ()


EVERY_RULE = {
    "core": {
        "normalize": "",
        "block": "",
        "inline": "",
        "linkify": "https://example.com/LINKIFY",
        "text_join": "a\\*ESCAPED\\*b",
    },
    "block": {
        "table": "|HEAD|b|\n|-|-|\n|CELL|d|",
        "code": "    INDENTED",
        "fence": "```\nFENCED\n```",
        "blockquote": "> QUOTED",
        "hr": "a\n\n***",
        "list": "- BULLET\n\n3. NUMBERED",
        "reference": "[REFERENCE]\n\n[REFERENCE]: https://example.com/r",
        "html_block": "<div>BLOCK</div>",
        "heading": "## HEADING",
        "lheading": "UNDERLINED\n---",
        "paragraph": "PARAGRAPH",
    },
    "inline": {
        "text": "WORDS",
        "linkify": "x https://example.com/LINKIFY",
        "newline": "SOFT\nBREAK\\\nHARD",
        "escape": "\\[ESCAPE\\]",
        "backticks": "`CODE`",
        "strikethrough": "~~STRUCK~~",
        "emphasis": "*EMPHASIS* __STRONG__",
        "link": "[LINK](https://example.com/)",
        "image": "![IMAGE](https://example.com/a.png)",
        "autolink": "<https://example.com/AUTOLINK>",
        "html_inline": "a <b>INLINE</b>",
        "entity": "&copy; &amp; ENTITY",
    },
    "inline2": {
        "balance_pairs": "**BALANCE *PAIRS***",
        "strikethrough": "~~STRUCK~~",
        "emphasis": "***BOTH***",
        "fragments_join": "a*b*FRAGMENTS",
    },
}
"""Markdown for every rule of the parser, with the words that must be readable in both parts in capitals."""


def test_every_rule_of_the_parser_is_tried() -> None:
    """A rule that is added to the dialect needs an example here."""
    assert {chain: set(rules) for chain, rules in EVERY_RULE.items()} == {
        chain: set(rules) for chain, rules in tip_parser().get_active_rules().items()
    }


@pytest.mark.parametrize(
    "markdown", sorted({markdown for rules in EVERY_RULE.values() for markdown in rules.values() if markdown})
)
def test_no_word_is_lost_and_no_markup_is_silent(markdown: str) -> None:
    """Each block and each inline token keeps its words in both parts, and its mark in the text part."""
    tip = rendered(f"Before.\n\n{markdown}\n\nAfter.")
    words = re.findall(r"[A-Z]{4,}", markdown)
    for word in words:
        assert word in tip.text
        assert word in tip.html
    plain = "Before.\n\n" + " ".join(words) + "\n\nAfter."
    silent = re.fullmatch(r"[A-Z]+", markdown) or "![" in markdown
    assert (tip.text == plain) == bool(silent)


def test_all_tokens_together_can_be_rendered() -> None:
    """One tip with every token, and every pair of them within a list and a quote."""
    for markdown in (markdown for rules in EVERY_RULE.values() for markdown in rules.values()):
        for first, rest in (("- ", "  "), ("> ", "> "), ("0. > ", "   > ")):
            lines = markdown.split("\n")
            tip = rendered(first + f"\n{rest}".join(lines))
            assert all(word in tip.text for word in re.findall(r"[A-Z]{4,}", markdown))


@pytest.mark.parametrize(
    ("markdown", "sizes"),
    [
        ("![A](https://example.com/a.png)", 'width="528"'),
        ("- ![A](https://example.com/a.png)", 'width="502"'),
        ("> 1. ![A](https://example.com/a.png)", 'width="477"'),
        ("|a|b|\n|-|-|\n|![A](https://example.com/a.png)|x|", 'width="248"'),
        ("![A|300](https://example.com/a.png)", 'width="300" style="width:300px"'),
        ("![A|300x200](https://example.com/a.png)", 'width="300" height="200" style="width:300px"'),
        ("![A|1056x200](https://example.com/a.png)", 'width="528" height="100" style="width:528px"'),
        ("![A|0](https://example.com/a.png)", 'width="528"'),
    ],
)
def test_a_picture_has_its_size_in_numbers(markdown: str, sizes: str) -> None:
    """Outlook shows it no wider than its place; a size that the author wrote is kept in proportion."""
    (image,) = re.findall(r"<img[^>]*>", rendered(markdown).html)
    attributes = re.findall(r'(?:width|height|style)="[^"]*"', image)
    assert " ".join(attributes) == sizes
    if "|0" not in markdown:
        assert 'alt="A"' in image


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
