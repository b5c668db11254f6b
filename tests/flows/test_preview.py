"""A preview: the mail of a tip before it is frozen, with real values or with sample ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from newsletter.errors import InputError
from newsletter.flows.freeze import series_of
from newsletter.flows.preview import compile_tip, find_reader, recipient_of
from newsletter.store import edition as editions
from newsletter.store import tip as tips
from newsletter.store.unit import Unit
from tests.flows.tip_fixtures import NOW, RENDER_CONTEXT, TUESDAYS, freeze_on, queue, stored, subscribe, tip_file

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


def test_a_frozen_part_names_the_parts_before_it(unit: Unit) -> None:
    """The edition of part 2 says so, and a proof changes with the number of parts."""
    subscribe(unit, "ada")
    for number, slug in enumerate(("one", "two"), start=1):
        queue(unit, tip_file(slug, "series: talks", f"part: {number}"))
    first, second = (freeze_on(unit, day) for day in TUESDAYS[:2])
    with unit.read() as tx:
        alone, with_earlier = (editions.content(tx, edition.id) for edition in (first, second))
        place = series_of(tx, tips.by_slug(tx, "two"))
    assert "Part 1 of 2" in alone
    assert "Earlier in this series" not in alone
    assert "Part 2 of 2" in with_earlier
    assert "1. Title of one" in with_earlier
    queue(unit, tip_file("three", "series: talks", "part: 3", status="draft"))
    with unit.read() as tx:
        longer = series_of(tx, tips.by_slug(tx, "two"))
    assert place is not None
    assert longer == replace(place, parts=3)
