"""Templates and CSS: overrides file by file, dark mode intact, what every mail program needs in its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from newsletter.core.message import Publication, PublicationLinks, Recipient
from newsletter.render.inline import inline_css
from newsletter.render.mime import CompiledMessage

Edit = Callable[..., CompiledMessage]
Override = Callable[[str, str], Path]


def test_dark_mode_rules_keep_their_importance() -> None:
    """Without `!important` the inlined light colours would win in the dark."""
    html = inline_css(
        "<!DOCTYPE html><html><head><style>p { color: black }</style>"
        '<style data-premailer="ignore">@media (prefers-color-scheme: dark) { p { color: white !important; } }\n'
        "[data-ogsc] p { color: white !important; }</style></head><body><p>x</p></body></html>"
    )
    assert '<p style="color:black">' in html
    assert "@media (prefers-color-scheme: dark) { p { color: white !important; } }" in html
    assert "[data-ogsc] p { color: white !important; }" in html
    assert html.startswith("<!DOCTYPE html>")


def test_importance_survives_in_the_first_block_too() -> None:
    """What is inlined, and what cannot be (`:hover`), both keep it."""
    html = inline_css(
        "<!DOCTYPE html><html><head><style>p { color: black !important } a:hover { color: red !important }</style>"
        "</head><body><p>x</p></body></html>"
    )
    assert '<p style="color:black !important">' in html
    assert "a:hover {color:red !important}" in html


def test_no_style_sheet_is_fetched() -> None:
    """A link to a style sheet stays a link: rendering never touches the network."""
    link = '<link rel="stylesheet" href="https://css.example.com/x.css">'
    assert link in inline_css(f"<!DOCTYPE html><html><head>{link}</head><body><p>x</p></body></html>")


def test_an_edition_keeps_what_mail_programs_need(edit: Edit, recipient: Recipient) -> None:
    """Doctype, language, colour schemes, the Outlook table, one heading and presentation roles survive the inliner."""
    html = edit(preheader="Shown beside the subject").html(recipient)
    assert html.startswith("<!DOCTYPE html>")
    assert '<html lang="en" dir="ltr"' in html
    assert '<meta name="color-scheme" content="light dark">' in html
    assert '<!--[if mso]><table role="presentation" width="600"' in html
    assert html.count("<h1") == 1
    tables = re.findall(r"<table[^>]*>", html)
    assert tables
    assert all('role="presentation"' in table and 'cellpadding="0"' in table for table in tables)
    assert html.count("!important") > 30
    assert "@media (prefers-color-scheme: dark)" in html
    assert "[data-ogsc] .title" in html
    assert html.index("Shown beside the subject") < html.index("Tip of the Week", html.index("<body"))
    assert "<title>A tip</title>" in html


def test_links_that_are_not_set_are_left_out(edit: Edit, publication: Publication, recipient: Recipient) -> None:
    """A footer has no link to nowhere, in neither part."""
    bare = replace(publication, links=PublicationLinks())
    compiled = edit("Hello.", about=bare)
    assert re.findall(r'href="([^"]*)"', compiled.html(recipient)) == [recipient.unsubscribe_url]
    assert re.findall(r"https?://\S+", compiled.text(recipient)) == [recipient.unsubscribe_url]


def test_a_reader_finds_the_way_to_her_settings(edit: Edit, publication: Publication, recipient: Recipient) -> None:
    """Both parts link to the page that mails the private link, with the token of the opt-out link."""
    compiled = edit("Hello.", about=replace(publication, links=PublicationLinks(own_settings=True)))
    links = [recipient.unsubscribe_url, recipient.unsubscribe_url.replace("/u/", "/p/")]
    assert re.findall(r'href="([^"]*)"', compiled.html(recipient)) == links
    assert re.findall(r"https?://\S+", compiled.text(recipient)) == links


def test_a_reader_learns_why_she_gets_this(edit: Edit, recipient: Recipient) -> None:
    """Both parts name the address, the reason, the way out and the sender's place."""
    compiled = edit()
    for words in (compiled.html(recipient), compiled.text(recipient)):
        assert "Sent to ann@example.org, because" in words
        assert recipient.unsubscribe_url in words
        assert "12 Harbour Lane" in words


def test_an_own_template_replaces_one_file(edit: Edit, override: Override, recipient: Recipient) -> None:
    """The operator's subject is used, and the packaged bodies with it."""
    compiled = edit(overrides=override("subject.txt", "[Tips] {{ tip.subject }}\n"))
    assert compiled.subject(recipient) == "[Tips] A tip"
    assert "Sent to ann@example.org" in compiled.text(recipient)


def test_a_template_can_put_a_value_into_a_link(edit: Edit, override: Override, recipient: Recipient) -> None:
    """`urlencode` makes a place whose value is percent-encoded, in both parts."""
    link = "https://example.com/?u={{ recipient.email|urlencode }}"
    text = "{{ recipient.unsubscribe_url }}\n{{ publication.postal_address }}\n" + link
    html = (
        '<!DOCTYPE html><html><body><a href="{{ recipient.unsubscribe_url }}">Unsubscribe</a> '
        f'{{{{ publication.postal_address }}}} <a href="{link}">Yours</a></body></html>'
    )
    override("body.txt", text)
    compiled = edit(overrides=override("body.html", html))
    assert 'href="https://example.com/?u=ann%40example.org"' in compiled.html(recipient)
    assert "https://example.com/?u=ann%40example.org" in compiled.text(recipient)


def test_the_text_part_has_no_gaps(edit: Edit, publication: Publication, recipient: Recipient) -> None:
    """Links left out leave no run of empty lines behind."""
    bare = replace(publication, links=PublicationLinks())
    text = edit("Hello.", about=bare).text(recipient)
    assert "\n\n\n" not in text
    assert text.endswith("ZZ 00000\n")


def test_author_text_in_templates_is_escaped(edit: Edit, recipient: Recipient) -> None:
    """A title is text, not markup."""
    html = edit(title='5 < 6 & "so"', preheader="<b>", author="<i>").html(recipient)
    assert "5 &lt; 6 &amp;" in html
    assert "<b>" not in html
    assert "<i>" not in html


def test_an_edition_in_arabic_runs_from_right_to_left(edit: Edit, publication: Publication) -> None:
    """Direction follows the language, and the date is in digits where we have no words for it."""
    compiled = edit(about=replace(publication, language="ar"))
    assert '<html lang="ar" dir="rtl"' in compiled.content.html
    assert "2026-11-24" in compiled.content.text


def test_outlook_gets_sides_that_it_knows(edit: Edit, publication: Publication) -> None:
    """The inliner writes `align` attributes, for which `start` and `end` are no values."""
    table = "| a | b |\n|---|--:|\n| c | d |"
    html = edit(table).content.html
    assert set(re.findall(r' align="([^"]*)"', html)) <= {"left", "right", "center"}
    assert '<th scope="col" align="left"' in re.sub(r' style="[^"]*"', "", html)
    assert 'class="masthead-date" style="' in html
    arabic = edit(table, about=replace(publication, language="ar")).content.html
    assert '<th scope="col" align="right"' in re.sub(r' style="[^"]*"', "", arabic)
