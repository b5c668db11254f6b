"""The log page: the entries of `newsletter log`, page by page, with a search."""

from __future__ import annotations

import html
import re

import pytest

from newsletter.store import log as logs
from newsletter.store.log import LogEntry
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from tests.flows.people_fixtures import put
from tests.flows.sign_in_fixtures import ADMIN
from tests.web.admin.conftest import AskAs


def note(unit: Unit, clock: FixedClock, about: str, *, why: str = "") -> None:
    """Write an entry."""
    with unit.write() as tx:
        logs.add(tx, LogEntry(at=clock.now(), who="pat", what="tip approve", about=about, why=why))


def test_an_entry_says_who_what_when_and_why(ask_as: AskAs, unit: Unit, clock: FixedClock) -> None:
    """Whatever a person typed as a reason is text; a subscriber is shown with the address of today."""
    person = put(unit, "ann@example.com")
    note(unit, clock, "a-tip", why="<b>at last</b>")
    note(unit, clock, f"subscriber {person.id}")
    page = ask_as(ADMIN)("GET", "/admin/log").text
    assert "<strong>tip approve</strong> a-tip" in page
    assert "Sunday 1 November 2026, 07:00 EST (UTC\N{MINUS SIGN}5) · pat · &lt;b&gt;at last&lt;/b&gt;" in page
    assert "<strong>tip approve</strong> ann@example.com" in page


def test_older_entries_are_pages_further_on(ask_as: AskAs, unit: Unit, clock: FixedClock) -> None:
    """Fifty a page, each entry once, and the search goes along."""
    for number in range(120):
        note(unit, clock, f"tip-{number:03}")
    admin, path, seen = ask_as(ADMIN), "/admin/log?about=TIP-", []
    for count in (50, 50, 20):
        page = admin("GET", path).text
        tips = re.findall(r"</strong> (tip-\d+)", page)
        assert len(tips) == count
        seen += tips
        path = html.unescape("".join(re.findall(r'href="(/admin/log\?[^"]*)"', page)))
    assert path == ""
    assert seen == [f"tip-{number:03}" for number in reversed(range(120))]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("about=ann@example.com", 1),
        ("about=Ann%40Example.com", 1),
        ("about=ben@example.com", 0),
        ("about=@", 0),
        ("about=last", 1),
        ("about=%25", 0),
        ("about=" + "x" * 5000, 0),
        ("before=1", 0),
        ("before=2", 1),
        ("before=-1", 2),
        ("before=" + "9" * 40, 2),
        ("before=%C2%B2", 2),
    ],
)
def test_any_search_is_answered(ask_as: AskAs, unit: Unit, clock: FixedClock, query: str, count: int) -> None:
    """An address means the person, a word any part of an entry; nonsense finds nothing or is left out."""
    person = put(unit, "ann@example.com")
    note(unit, clock, f"subscriber {person.id}")
    note(unit, clock, "a-tip", why="at last")
    answer = ask_as(ADMIN)("GET", f"/admin/log?{query}")
    assert (answer.status_code, answer.text.count("<strong>tip approve</strong>")) == (200, count)
