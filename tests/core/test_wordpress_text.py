"""The text of WordPress posts: paragraphs from blank lines, shortcodes and block comments out."""

from __future__ import annotations

import pytest

from newsletter.core.wordpress_text import site_html


@pytest.mark.parametrize(
    ("content", "html"),
    [
        ("One\nline\n\nTwo", "<p>One<br>\nline</p>\n<p>Two</p>"),
        ("One\r\n\r\nTwo", "<p>One</p>\n<p>Two</p>"),
        (
            "Text\n<ul>\n\t<li>a</li>\n\t<li>b</li>\n</ul>\nMore",
            "<p>Text</p>\n<ul>\n<li>\na\n</li>\n<li>\nb\n</li>\n</ul>\n<p>More</p>",
        ),
        ("<blockquote>Said</blockquote>", "<blockquote>\n<p>Said</p>\n</blockquote>"),
        ("<pre>a\n\nb</pre>", "<pre>a\n\nb</pre>"),
        ("<!-- wp:paragraph -->\n<p>One</p>\n<!-- /wp:paragraph -->", "\n<p>One</p>\n"),
        ("Before<!--more-->After", "<p>Before</p>\n<p>After</p>"),
    ],
)
def test_paragraphs_are_those_of_the_site(content: str, html: str) -> None:
    """Blank lines part paragraphs, single ones break lines; a text of blocks has its paragraphs already."""
    assert site_html(content).html == html


@pytest.mark.parametrize(
    ("content", "html", "names"),
    [
        ('[caption id="a" width="9"]<img src="x"> Words[/caption]', '<p><img src="x"> Words</p>', ()),
        ('A[gallery ids="1,2"]B', "<p>AB</p>", ("gallery",)),
        ("[box]Words[/box]", "<p>Words</p>", ("box",)),
        ('[button link="https://x.example"]Go[/button]', "<p>Go</p>", ("button",)),
        ("He said [sic] and [1]", "<p>He said [sic] and [1]</p>", ()),
        ("[[box]] is how it is written", "<p>[box] is how it is written</p>", ()),
        (
            "[youtube https://x.example/?a=1&b=2]",
            '<p><a href="https://x.example/?a=1&amp;b=2">https://x.example/?a=1&amp;b=2</a></p>',
            ("youtube",),
        ),
    ],
)
def test_shortcodes_go_and_their_words_stay(content: str, html: str, names: tuple[str, ...]) -> None:
    """What shows a film becomes a link to it, and brackets around words are no shortcode."""
    site = site_html(content)
    assert (site.html, site.shortcodes) == (html, names)
