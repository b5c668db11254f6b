"""The gates: each refuses its own fault, seeded here, and says what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from newsletter.core.message import Publication, Recipient
from newsletter.errors import InputError
from newsletter.render.environment import packaged_templates
from newsletter.render.mime import CompiledMessage
from newsletter.render.splice import Sentinels

Edit = Callable[..., CompiledMessage]
Override = Callable[[str, str], Path]


def packaged(name: str) -> str:
    """Return the packaged template, to be spoiled."""
    return (packaged_templates() / "email" / "edition" / name).read_text(encoding="utf-8")


def spoil(name: str, *changes: tuple[str, str]) -> str:
    """Return a packaged template with some of it replaced."""
    text = packaged(name)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


HEAD_END = "</style>\n</head>"
FAULTS = {
    "a condition on a subscriber": (
        "body.html",
        [("<h1", "{% if recipient.email %}x{% endif %}<h1")],
        "it asks about recipient.email",
    ),
    "a comparison": (
        "body.txt",
        [("{{ tip.title }}", "{{ recipient.email == 'x' }}")],
        "it asks about recipient.email",
    ),
    "a loop over a value": (
        "body.txt",
        [("{{ tip.title }}", "{% for c in recipient.email %}{{ c }}{% endfor %}")],
        "it asks about recipient.email",
    ),
    "a method of a value": ("body.txt", [("{{ tip.title }}", "{{ recipient.email.upper() }}")], "it asks about"),
    "a filter that changes a value": (
        "body.html",
        [("{{ words.reason }}", "{{ recipient.email|upper }}")],
        "through a filter that changes it",
    ),
    "a filter that cuts a value": (
        "body.txt",
        [("{{ words.reason }}", "{{ (recipient.email ~ '')[:5] }}")],
        "through a filter that changes it",
    ),
    "a filter over the whole tip": ("body.txt", [("{{ tip.text }}", "{{ tip.text|upper }}")], "through a filter that"),
    "a value made plain in HTML": (
        "body.html",
        [("{{ words.reason }}", "{{ '%s'|format(recipient.email)|safe }}")],
        "through a filter that changes it",
    ),
    "a value in the style sheet": (
        "body.html",
        [(HEAD_END, ".x { color: {{ recipient.email }} }" + HEAD_END)],
        "inside <style>",
    ),
    "a value as an attribute": ("body.html", [("<h1", "<h1 {{ recipient.email }}")], "outside quotes"),
    "a value as a tag": (
        "body.html",
        [("<h1", "<{{ recipient.email }}>x</{{ recipient.email }}><h1")],
        "outside quotes",
    ),
    "a value lost while inlining": (
        "body.html",
        [("<h1", '<h1 title="x" title="{{ recipient.email }}"')],
        "lost while the CSS was inlined",
    ),
    "no unsubscribe link in HTML": (
        "body.html",
        [('<a href="{{ recipient.unsubscribe_url }}">', "<a>")],
        "body.html has no unsubscribe link",
    ),
    "no unsubscribe link in the text": ("body.txt", [("{{ recipient.unsubscribe_url }}", "")], "body.txt has no unsub"),
    "no postal address in HTML": ("body.html", [("{{ line }}", "")], "body.html lacks the postal address"),
    "no postal address in the text": ("body.txt", [("{{ line }}", "")], "body.txt lacks the postal address"),
    "too much CSS": ("body.html", [(HEAD_END, ".x { color: red }\n" * 700 + HEAD_END)], "over the limit of 12,000"),
    "a nested at-rule": (
        "body.html",
        [(HEAD_END, "@media screen { @media (max-width: 9px) { p { margin: 0 } } }" + HEAD_END)],
        "@media inside another rule",
    ),
    "an import": ("body.html", [(HEAD_END, "@import 'x.css';" + HEAD_END)], "has an @import"),
    "leftover braces": ("body.txt", [("{{ tip.title }}", "{% raw %}{{ titel }}{% endraw %}")], "'{{ titel }}"),
    "a missing name": ("body.html", [("{{ tip.title }}", "{{ tip.titel }}")], "has no attribute 'titel'"),
    "None": ("body.txt", [("{{ tip.title }}", "{{ none }}")], "missing (None)"),
    "a syntax error": ("body.html", [("{{ tip.title }}", "{{ tip.title ")], "template email/edition/body.html, line"),
    "a way out of the sandbox": ("body.txt", [("{{ tip.title }}", "{{ tip.tags.__class__.__mro__ }}")], "unsafe"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_spoilt_template_is_refused(edit: Edit, override: Override, fault: str) -> None:
    """An operator's template with this fault cannot be frozen, and the message tells the fault."""
    name, changes, message = FAULTS[fault]
    with pytest.raises(InputError) as caught:
        edit(overrides=override(name, spoil(name, *changes)))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_template_fault_names_its_line(edit: Edit, override: Override) -> None:
    """The line is that of the operator's file."""
    folder = override("body.txt", "one\ntwo\n{{ tip.titel }}\n")
    with pytest.raises(InputError, match=r"email/edition/body\.txt, line 3"):
        edit(overrides=folder)


def test_html_that_gmail_would_cut_is_refused(edit: Edit) -> None:
    """The encoded part is measured, and the message names its size and the limit."""
    with pytest.raises(InputError, match=r"the HTML part is 1\d\d,\d\d\d bytes, over the limit of 100,000"):
        edit("Many words in a row. " * 5_000)


def test_long_html_is_a_warning_first(edit: Edit) -> None:
    """Between 80,000 and 100,000 bytes the edition can go out, and the editor hears of it."""
    assert any("Gmail cuts" in warning for warning in edit("Many words in a row. " * 3_900).warnings)
    assert edit().warnings == ()


def test_a_publication_without_postal_address_sends_nothing(edit: Edit, publication: Publication) -> None:
    """The law asks for the address, so the setting is named."""
    with pytest.raises(InputError, match="NEWSLETTER_POSTAL_ADDRESS"):
        edit(about=replace(publication, postal_address=" \n"))


@pytest.mark.parametrize("place", ["title", "subject", "preheader"])
def test_an_unknown_merge_field_is_refused_in_each_place(edit: Edit, place: str) -> None:
    """Wherever it stands, the message names the place."""
    with pytest.raises(InputError, match=f"{place}, line 1: unknown merge field"):
        edit(**{place: "{{ nickname|you }}"})


@pytest.mark.parametrize(
    "link",
    [
        "[x]({{ field.site|x }})",
        "[x](https://{{ field.host|example.com }}/)",
        "[x](https://example.com{{ field.host|x }}/)",
    ],
)
def test_a_merge_field_cannot_decide_where_a_link_leads(edit: Edit, link: str) -> None:
    """A value from the list may fill a path or a query, never a scheme or a host."""
    with pytest.raises(InputError, match="only after the host"):
        edit(link)


def test_an_image_must_come_over_https(edit: Edit) -> None:
    """What no mail program would show is refused by name."""
    with pytest.raises(InputError, match="https://"):
        edit("![A picture](http://example.com/x.png)")


@pytest.mark.parametrize("link", ["[x](/guide)", "[x](#top)", "[x](sms:123)", "[x]()"])
def test_a_link_must_lead_somewhere(edit: Edit, link: str) -> None:
    """A mail has no site of its own, so a link that names none is refused."""
    with pytest.raises(InputError, match="must begin with https://"):
        edit(link)


def test_a_template_that_cannot_be_read_is_an_input_error(edit: Edit, override: Override) -> None:
    """A file in another encoding is named instead of ending in a traceback."""
    folder = override("body.txt", "")
    (folder / "email" / "edition" / "body.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="codec can't decode"):
        edit(overrides=folder)


def test_a_text_that_holds_its_own_mark_is_refused(edit: Edit) -> None:
    """By chance or by guessing, a tip cannot fill the places of its own edition."""
    with pytest.raises(InputError, match="use another nonce"):
        edit(f"Hello {Sentinels('n0nce').prefix}h000z")


def test_an_empty_subject_is_refused(edit: Edit, override: Override) -> None:
    """Nobody opens a mail without a subject."""
    with pytest.raises(InputError, match="subject is empty"):
        edit(overrides=override("subject.txt", "\n"))


def test_an_endless_subject_is_refused(edit: Edit) -> None:
    """The message names length and limit."""
    with pytest.raises(InputError, match="201 characters, over the limit of 200"):
        edit(subject="x" * 201)


def test_braces_written_on_purpose_are_sent(edit: Edit, recipient: Recipient) -> None:
    """A tip about templates may show two braces; they are no leftover."""
    compiled = edit(r"Write `\{{ user }}` and \{% if %} there.")
    recipient = replace(recipient, fields={"": "a column without a heading"})
    assert "{{ user }}</code> and {% if %} there." in compiled.html(recipient)
    assert "`{{ user }}` and {% if %} there." in compiled.text(recipient)
