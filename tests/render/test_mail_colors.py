# ruff: noqa: RUF001 - typographic signs are what is tested.
"""Colours, logo, words and series in the mail itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.color import MAIL_BACKGROUND, TEXT_CONTRAST_MIN, contrast
from newsletter.core.mail_words import LANGUAGES, mail_words
from newsletter.core.message import Publication, Recipient
from newsletter.core.series import SeriesPart, SeriesPlace
from newsletter.core.tip import TipDraft, TipPart
from newsletter.render.edition import render_edition
from newsletter.render.environment import make_environment, packaged_templates
from newsletter.render.mail_colors import DARK_CARD, DARK_CONTRAST_MIN, MailColors
from newsletter.render.mime import CompiledMessage, compile_message

Edit = Callable[..., CompiledMessage]


def test_the_contrast_is_that_of_wcag() -> None:
    """Black on white is 21, a colour on itself 1, and a known grey just passes."""
    assert round(contrast("#000000", "#ffffff"), 1) == 21
    assert contrast("#17604f", "#17604f") == 1
    assert 4.5 <= contrast("#767676", "#ffffff") < 4.6


@given(st.integers(0, 0xFFFFFF))
def test_any_accent_that_is_allowed_can_be_read(number: int) -> None:
    """White on it, and its light form in the dark, have the contrast that text needs."""
    accent = f"#{number:06x}"
    look = MailColors.of(accent)
    assert contrast(look.dark_accent, DARK_CARD) >= DARK_CONTRAST_MIN
    if contrast(accent, MAIL_BACKGROUND) >= TEXT_CONTRAST_MIN:
        assert contrast(accent, "#ffffff") >= TEXT_CONTRAST_MIN


def test_the_template_has_the_backgrounds_that_are_checked_against() -> None:
    """A changed background must change the check as well."""
    html = (packaged_templates() / "email/edition/body.html").read_text(encoding="utf-8")
    assert f".page {{ width: 100%; background-color: {MAIL_BACKGROUND}" in html
    assert f".card {{ background-color: {DARK_CARD} !important" in html


def test_the_accent_colour_is_everywhere(edit: Edit, publication: Publication, recipient: Recipient) -> None:
    """Links, name and button have it, and nothing of the usual green is left."""
    red = replace(publication, accent_color="#8a1c2b")
    html = edit("[a](https://example.com/)\n\n[Go](https://example.com/)", about=red).html(recipient)
    assert html.count("#8a1c2b") >= 5
    assert "#17604f" not in html


def test_a_logo_takes_the_place_of_the_name(edit: Edit, publication: Publication, recipient: Recipient) -> None:
    """It has a height in numbers and the name as its description."""
    html = edit(about=replace(publication, logo_url="https://example.com/logo.png")).html(recipient)
    (logo,) = re.findall(r'<img class="logo"[^>]*>', html)
    assert 'height="40"' in logo
    assert 'alt="Tip of the Week"' in logo
    assert '<img class="logo"' not in edit().html(recipient)


@pytest.mark.parametrize(
    "postal", ["12 Harbour Lane", "Tip of the Week\n12 Harbour Lane", "c/o Tip of the Week, Box 1"]
)
def test_the_footer_names_the_publication_once(
    edit: Edit, publication: Publication, recipient: Recipient, postal: str
) -> None:
    """Above the address, or in it."""
    compiled = edit(about=replace(publication, postal_address=postal))
    html = compiled.html(recipient)
    assert html[html.index('class="footer"') :].count("Tip of the Week") == 1
    assert compiled.text(recipient).rpartition("-----")[2].count("Tip of the Week") == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_frame_speaks_the_language(
    edit: Edit, publication: Publication, recipient: Recipient, language: str
) -> None:
    """Both parts have the words of the language, and only those."""
    words = mail_words(language)
    compiled = edit(about=replace(publication, language=language))
    html, text = compiled.html(recipient), compiled.text(recipient)
    for own in (words.reason.format(email="ann@example.org"), words.unsubscribe, words.earlier_tips, words.forwarded):
        assert own in html
        assert own in text.replace("\n", " ")
    if language != "en":
        assert "Unsubscribe" not in html + text
        assert "subscribed" not in html + text


def test_a_part_of_a_series_says_so(publication: Publication, recipient: Recipient) -> None:
    """Its number stands above the title and the earlier parts below the text, in both parts."""
    draft = TipDraft(slug="a", title="Two", subject="Two", body="Hello.", part=TipPart(series="talks", number=2))
    place = SeriesPlace(part=2, parts=3, earlier=(SeriesPart(part=1, title="<One> & 'all'"),))
    rendered = render_edition(
        draft, publication, make_environment(), nonce="n0nce", date=date(2026, 11, 24), series=place
    )
    compiled = compile_message(rendered, publication)
    html, text = compiled.html(recipient), compiled.text(recipient)
    assert html.index("Part 2 of 3") < html.index("<h1") < html.index("Earlier in this series")
    assert "1. &lt;One&gt; &amp;" in html
    assert "Part 2 of 3\n\nTwo\n===\n\nHello.\n\nEarlier in this series:\n1. <One>" in text


def test_no_line_of_a_title_begins_with_a_dash(edit: Edit, recipient: Recipient) -> None:
    """The blank before a dash does not break."""
    html = edit(title="A long day -- and a short answer").html(recipient)
    assert ">A long day\u00a0– and a short answer</h1>" in html


def test_typographic_signs_are_set_everywhere_but_in_code_and_addresses(
    edit: Edit, publication: Publication, recipient: Recipient
) -> None:
    """Title, subject, preheader and text have them; a setting turns them off."""
    body = (
        '"Don\'t" -- {{ first_name|it\'s "me" }}... `"a" -- \'b\'...` <https://example.com/a--b\'c> '
        "https://example.com/d--e...f [it's](https://example.com/g--h'i)\n\n```\n\"c\" -- d\n```\n\n"
        '[Let\'s "go"](https://example.com/)'
    )
    keys = {"title": 'It\'s "so"', "subject": '"So"... {{ first_name|don\'t }}', "preheader": 'A -- "b"'}
    nobody = replace(recipient, fields={}, name="")
    compiled = edit(body, **keys)
    text, html = compiled.text(nobody), compiled.html(nobody)
    assert text.startswith('Tip of the Week | November 24, 2026\n\nIt’s “so”\n=========\n\n“Don’t” – it\'s "me"…')
    for kept in ("`\"a\" -- 'b'...`", "https://example.com/a--b'c", "https://example.com/d--e...f", '    "c" -- d'):
        assert kept in text
    assert "g--h'i" in html.replace("%27", "'").replace("&#x27;", "'").replace("&#39;", "'")
    assert "Let’s “go”" in html
    assert "A – “b”" in html
    assert compiled.subject(nobody) == "“So”… don't"
    plain = edit(body, about=replace(publication, typography=False), **keys)
    assert plain.subject(nobody) == '"So"... don\'t'
    assert "\"Don't\" -- it's" in plain.text(nobody)
