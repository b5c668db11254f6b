"""A preview: the mail of a tip before it is frozen, with real values or with sample ones."""

from __future__ import annotations

import pytest

from newsletter.errors import InputError
from newsletter.flows.preview import compile_tip, find_reader, recipient_of
from newsletter.store.unit import Unit
from tests.flows.tip_fixtures import NOW, RENDER_CONTEXT, TUESDAYS, queue, stored, subscribe, tip_file

BODY = "Hello {{ first_name|there }} of {{ field.company|nowhere }}, is {{ email }} right?"


def test_a_draft_is_shown_with_sample_values(unit: Unit) -> None:
    """Nobody has to be subscribed to look at a mail."""
    queue(unit, tip_file("a", status="draft", body=BODY))
    compiled = compile_tip(RENDER_CONTEXT, stored(unit)["a"], on=TUESDAYS[0])
    text = compiled.text(recipient_of(RENDER_CONTEXT, None, now=NOW))
    assert "Hello Robin of nowhere, is reader@example.com" in text


def test_a_subscriber_sees_her_own_values(unit: Unit) -> None:
    """Columns of an import count, however they are capitalised; the address may be typed in any case."""
    subscribe(unit, "ada")
    queue(unit, tip_file("a", body=BODY))
    compiled = compile_tip(RENDER_CONTEXT, stored(unit)["a"], on=TUESDAYS[0])
    recipient = recipient_of(RENDER_CONTEXT, find_reader(unit, "ADA@Example.org"), now=NOW)
    assert "Hello Ada of Example, is ada@example.org" in compiled.text(recipient)


def test_a_preview_unsubscribes_nobody(unit: Unit) -> None:
    """The link in it is a sample, whoever it is shown to: a reviewer clicks on what she sees."""
    subscribe(unit, "ada")
    recipient = recipient_of(RENDER_CONTEXT, find_reader(unit, "ada@example.org"), now=NOW)
    assert recipient.unsubscribe_url == "https://news.example.com/u/preview"


def test_an_unknown_reader_is_named(unit: Unit) -> None:
    """The message says how to go on without one."""
    with pytest.raises(InputError, match=r"there is no subscriber eve@example\.org; leave --as out"):
        find_reader(unit, "eve@example.org")
