"""The short way to the message of an ordinary person gives the bytes of the general way, and leaves others to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.message import Publication, PublicationLinks, Recipient, full_name, merge_fields, plain_value
from newsletter.render.mime import CompiledMessage
from newsletter.render.ordinary import is_ordinary

Edit = Callable[..., CompiledMessage]
BODY = "Dear {{ first_name|friend }} {{ last_name| }} ({{ name|you }}, {{ email }}), read [this](https://example.com/)."
LINK = "https://news.example.com/u/AbCd-EfGh_123"

nearly_ordinary = st.text("aFz09 -", max_size=40) | st.text("aF.-@ '=<ü", max_size=12)
near_address = st.from_regex(r"[aF.9_+-]{1,8}@[a9.-]{1,60}", fullmatch=True) | st.emails()


@dataclass(frozen=True, kw_only=True)
class Row:
    """A person as a claim has them."""

    email: str = "ann@example.org"
    name: str = ""
    first_name: str = ""
    last_name: str = ""
    fields: dict[str, str] = field(default_factory=dict)


def both_ways(compiled: CompiledMessage, person: Row, link: str = LINK) -> tuple[bytes, bytes]:
    """Return a person's message as a million people get it, and as a preview makes it."""
    date = datetime(2026, 11, 24, 14, 0, 3, tzinfo=UTC)
    address = plain_value(person.email)
    spliced = compiled.personal(person, address=address, unsubscribe_url=link, message_id="1.x@example.com", date=date)
    recipient = Recipient(
        email=address,
        name=full_name(person),
        fields=merge_fields(person),
        unsubscribe_url=link,
        message_id="1.x@example.com",
        date=date,
    )
    return spliced.content, compiled.splice(recipient)


@given(
    person=st.builds(
        Row, email=near_address, name=nearly_ordinary, first_name=nearly_ordinary, last_name=nearly_ordinary
    ),
    link=st.just(LINK) | st.text("a,: =/.", max_size=90),
    fallback=st.sampled_from(["friend", "", "Freund", "Zoë"]),
)
def test_both_ways_give_the_same_bytes(edit: Edit, person: Row, link: str, fallback: str) -> None:
    """Whatever the regular expression lets pass makes the message that the general way makes."""
    short, general = both_ways(edit(BODY.replace("friend", fallback), subject="A tip"), person, link)
    assert short == general


def test_the_link_to_the_settings_goes_the_short_way(edit: Edit, publication: Publication) -> None:
    """A message with it is made of the same bytes both ways, and names the token of the opt-out link."""
    compiled = edit(about=replace(publication, links=PublicationLinks(own_settings=True)))
    short, general = both_ways(compiled, Row(name="Ann Example"))
    assert short == general
    text = message_from_bytes(short, policy=policy.SMTP).get_body(("plain",))
    assert text is not None
    assert LINK.replace("/u/", "/p/") in text.get_content()


@pytest.mark.parametrize("subject", ["A tip", "{{ first_name|friend }}, a tip"])
def test_one_field_with_two_fallbacks(edit: Edit, subject: str) -> None:
    """A message with a place that the layout cannot express goes the general way for everybody."""
    compiled = edit("Dear {{ first_name|friend }}, {{ first_name|reader }}", subject=subject)
    short, general = both_ways(compiled, Row(name="Ann Example"))
    assert short == general
    assert b"friend" in short
    assert b"reader" in short


@pytest.mark.parametrize(
    ("name", "first_name", "address", "ordinary"),
    [
        ("Ann Example", "Ann", "ann.example@example.org", True),
        ("Anne-Marie 2", "", "a@example.org", True),
        ("", "", "ann@example.org", False),
        ("Frank Example", "", "ann@example.org", False),
        ("Ann", "Frank", "ann@example.org", False),
        ("Ann  Example", "", "ann@example.org", False),
        ("Ann ", "", "ann@example.org", False),
        ("O'Brien", "", "ann@example.org", False),
        ("Zoë", "", "ann@example.org", False),
        ("Ann", "", "ann+tips@example.org", False),
        ("Ann\nBcc: b@example.org", "", "ann@example.org", False),
        ("Ann", "", "ann@example.org\n", False),
        ("A" * 60, "", "ann@example.org", False),
        ("Ann", "A" * 61, "ann@example.org", False),
    ],
)
def test_who_is_ordinary(name: str, first_name: str, address: str, *, ordinary: bool) -> None:
    """Letters, digits, single blanks and hyphens, short enough for a line, and a plain address."""
    assert is_ordinary(name, first_name, "", address) is ordinary
