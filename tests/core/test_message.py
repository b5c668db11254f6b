"""Merge fields: which there are, what is refused, and how values are cleaned."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.message import VALUE_LENGTH_MAX, MergeField, Recipient, plain_value, split_merge_fields
from newsletter.errors import InputError


def someone(**fields: str) -> Recipient:
    """Make a recipient with these fields."""
    return Recipient(
        email="ann@example.org",
        name="Ann Example",
        fields=fields,
        unsubscribe_url="https://example.com/u/x",
        message_id="x@example.com",
        date=datetime(2026, 11, 24, tzinfo=UTC),
    )


def test_a_text_is_split_at_its_merge_fields() -> None:
    """Text and fields come out in order, with the fallback of each field."""
    parts = split_merge_fields("Hi {{ first_name | there }}, {{email}}!")
    assert parts == (
        "Hi ",
        MergeField(name="first_name", fallback="there"),
        ", ",
        MergeField(name="email"),
        "!",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ 7*7 }}", 'unknown merge field "7*7"'),
        ("{{ firstname|you }}", "did you mean first_name?"),
        ("{{ first_name }}", "{{ first_name| }} if nothing may stand there"),
        ("{{ field.company }}", "no fallback"),
        ("{{ field. |x }}", "unknown merge field"),
        ("{{ unsubscribe_url|x }}", "unknown merge field"),
        ("{{ name.__class__|x }}", "unknown merge field"),
        ("{{ first_name|x", "never closed"),
        ("{{ first_name|\nx }}", "never closed"),
        ("{% if name %}", "template tag"),
        ("*|FNAME|*", "merge tag of another service"),
    ],
)
def test_what_is_no_merge_field_is_refused_with_its_line(text: str, message: str) -> None:
    """An unknown field, a missing fallback and leftovers of other template languages are errors with their line."""
    with pytest.raises(InputError) as caught:
        split_merge_fields(f"one\ntwo\n{text}", place="body", line=5)
    assert str(caught.value).startswith("body, line 7: ")
    assert message in str(caught.value)


def test_every_fault_is_reported_at_once() -> None:
    """All faults of a text are in the details, so that one look mends them all."""
    with pytest.raises(InputError) as caught:
        split_merge_fields("{{ a|x }}\n{{ b|x }}")
    assert [detail.split(":")[0] for detail in caught.value.details] == ["body, line 1", "body, line 2"]


def test_two_braces_can_be_written() -> None:
    """A backslash before two braces makes them text, also for a tip about template languages."""
    assert split_merge_fields(r"\{{ x }}") == (MergeField(name="", fallback="{{"), " x }}")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("first_name", "Ann"),
        ("name", "Ann Example"),
        ("email", "ann@example.org"),
        ("field.company-name", "Harbour"),
        ("field.Company Name", "Harbour"),
        ("field.nothing", "nobody"),
        ("last_name", "nobody"),
    ],
)
def test_a_field_takes_its_value_or_its_fallback(field: str, value: str) -> None:
    """Own fields are found whatever their capitals, blanks and hyphens; an absent one gives the fallback."""
    recipient = someone(first_name=" Ann ", company_name="Harbour")
    assert MergeField(name=field, fallback="nobody").value(recipient) == value


def test_a_value_of_nothing_but_control_characters_gives_the_fallback() -> None:
    """A field that looks empty is empty."""
    assert MergeField(name="first_name", fallback="there").value(someone(first_name="\x00\u202e \u2028")) == "there"


@given(st.text(st.characters(), max_size=60))
def test_a_cleaned_value_is_one_harmless_line(value: str) -> None:
    """Whatever a field holds, what is used has no control character, separator, surrogate or override, and is NFC."""
    clean = plain_value(value)
    assert not {unicodedata.category(sign) for sign in clean} & {"Cc", "Cs", "Zl", "Zp"}
    assert not set(clean) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
    assert clean == unicodedata.normalize("NFC", clean) == plain_value(clean)


def test_a_value_is_composed() -> None:
    """An accent typed as a sign of its own is joined to its letter, also when a control character stood between."""
    assert plain_value("Zoe\u0308") == plain_value("Zoe\x00\u0308") == "Zoë"


def test_a_value_has_a_longest_length() -> None:
    """A novel in a field does not fill the mail."""
    assert len(plain_value("ü" * 5_000)) == len(plain_value("u" * 5_000)) == VALUE_LENGTH_MAX
