"""What the manual says of merge fields and of HTML, tried in every place that it names."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from newsletter.core.message import Recipient
from newsletter.core.tip_file import parse_tip_file
from newsletter.errors import InputError
from newsletter.render.mime import CompiledMessage

Edit = Callable[..., CompiledMessage]

FIELDS = {
    "{{ first_name|there }}": ("Ann", "there"),
    "{{ last_name|reader }}": ("Example", "reader"),
    "{{ name|reader }}": ("Ann Example", "reader"),
    "{{ email }}": ("ann@example.org", "ann@example.org"),
    "{{ field.company|your company }}": ("Harbour Ltd", "your company"),
    "{{ field.Company Name|your company }}": ("Harbour Ltd", "your company"),
    "{{ first_name| }}": ("Ann", ""),
    "\\{{": ("{{", "{{"),
}
"""Each merge field of the manual, what a reader with all values gets, and what one without them."""


def known(recipient: Recipient) -> Recipient:
    """Return a reader of whom everything is known."""
    fields = {
        "first_name": "Ann",
        "last_name": "Example",
        "name": "Ann Example",
        "company": "Harbour Ltd",
        "company name": "Harbour Ltd",
    }
    return Recipient(
        email=recipient.email,
        name="Ann Example",
        fields=fields,
        unsubscribe_url=recipient.unsubscribe_url,
        message_id=recipient.message_id,
        date=recipient.date,
    )


def unknown(recipient: Recipient) -> Recipient:
    """Return a reader of whom only the address is known."""
    return Recipient(
        email=recipient.email,
        unsubscribe_url=recipient.unsubscribe_url,
        message_id=recipient.message_id,
        date=recipient.date,
    )


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("place", ["subject", "preheader", "body"])
def test_a_merge_field_is_filled_where_the_manual_allows_it(
    edit: Edit, recipient: Recipient, place: str, field: str
) -> None:
    """In the subject, the preheader and the text, for a reader with values and for one without."""
    compiled = edit(**{place: f"For «{field}» only"})
    for reader, value in zip((known(recipient), unknown(recipient)), FIELDS[field], strict=True):
        expected = f"For «{value}» only"
        if place == "subject":
            assert compiled.subject(reader) == expected
        else:
            assert expected in compiled.html(reader)
        if place == "body":
            assert expected in compiled.text(reader)


@pytest.mark.parametrize("key", ["title", "author"])
def test_a_merge_field_is_refused_where_the_manual_says_so(key: str) -> None:
    """A title is the name of a tip in lists and archives, which have no reader."""
    text = f"---\n{key}: For {{{{ first_name|you }}}}\n{'title: A' if key != 'title' else 'slug: a'}\n---\nHello."
    with pytest.raises(InputError) as caught:
        parse_tip_file(text, file_name="tip.md")
    assert "merge fields belong in the text, the subject or the preheader" in caught.value.details[0]


def test_a_merge_field_in_a_link_stands_after_its_host(edit: Edit, recipient: Recipient) -> None:
    """Its value is percent-encoded, in both parts."""
    compiled = edit("[You](https://example.com/?u={{ email }}) and more.")
    assert 'href="https://example.com/?u=ann%40example.org"' in compiled.html(recipient)
    assert "https://example.com/?u=ann%40example.org" in compiled.text(recipient)


def test_raw_html_is_refused_with_its_line() -> None:
    """The file shows what readers get, so HTML is neither stripped nor shown."""
    with pytest.raises(InputError) as caught:
        parse_tip_file("---\ntitle: A\n---\nHello <b>you</b>.", file_name="tip.md")
    assert caught.value.details == (
        "line 4: HTML (“<b>”) cannot stand in a tip; write it in Markdown, or in `backquotes` to show it as it is",
    )
