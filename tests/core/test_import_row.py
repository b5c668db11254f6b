"""What one row of a file does to the list, without a list."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.address import parse_address
from newsletter.core.csv_row import GoodRow
from newsletter.core.import_row import LEFT_STATES, RowResult, enter, imported_person
from newsletter.core.subscriber import Subscriber, SubscriberId, SubscriberState, stronger

NOW = datetime(2026, 11, 1, tzinfo=UTC)
STATES = st.sampled_from(SubscriberState)
TEXTS = st.sampled_from(["", "Ada", "Eve"])
ROWS = st.builds(
    GoodRow,
    line=st.just(2),
    address=st.just(parse_address("ada@example.org")),
    state=STATES,
    name=TEXTS,
    first_name=TEXTS,
    time_zone=st.sampled_from(["", "Europe/Paris"]),
    tags=st.sampled_from([(), ("vip",), ("a", "b")]),
    fields=st.dictionaries(st.sampled_from("ab"), st.sampled_from("12")),
)


def added(row: GoodRow, now: datetime, why: str) -> Subscriber:
    """Return the person whom an import adds for a row, as stored."""
    values = imported_person(row, {})._asdict()
    del values["evidence"]
    kept = {"state_since": now, "state_why": why, "created_at": now, "names_imported": True}
    return Subscriber(id=SubscriberId(1), **values, **kept)


def play(rows: list[GoodRow], known: Subscriber | None = None) -> Subscriber | None:
    """Let rows come one after the other, a day apart."""
    for day, row in enumerate(rows):
        now, why = NOW + timedelta(days=day), f"day {day}"
        # Rows of one file: only the first one of an address may correct a name.
        known = enter(known, row, now=now, why=why, correct=day == 0).person if known else added(row, now, why)
    return known


def person(rows: list[GoodRow]) -> Subscriber:
    """Return who comes of some rows, at least one."""
    outcome = play(rows)
    assert outcome is not None
    return outcome


@given(st.lists(ROWS, min_size=1, max_size=4))
def test_the_state_does_not_depend_on_the_order(rows: list[GoodRow]) -> None:
    """In whatever order rows of one person come, the strongest state is what she ends in."""
    strongest = rows[0].state
    for row in rows:
        strongest = stronger(strongest, row.state)
    assert {person(list(order)).state for order in permutations(rows)} == {strongest}


@given(st.lists(ROWS, min_size=1, max_size=4))
def test_a_second_reading_changes_nothing(rows: list[GoodRow]) -> None:
    """The same rows again leave her as she is, in every field, date and reason."""
    once = person(rows)
    assert play(rows, once) == once


@given(st.lists(ROWS, min_size=1, max_size=3), ROWS)
def test_nothing_known_is_overwritten(rows: list[GoodRow], last: GoodRow) -> None:
    """Whatever a further row says, what a person gave stays, and so do the address and the day of the beginning."""
    before = replace(person(rows), names_imported=False)
    after = play([last], before)
    assert after is not None
    for name in ("name", "first_name", "time_zone", "tags"):
        assert not getattr(before, name) or getattr(after, name) == getattr(before, name)
    assert before.fields.items() <= after.fields.items()
    assert (after.email, after.created_at) == (before.email, before.created_at)


@given(STATES, ROWS)
def test_nobody_who_left_is_brought_back(state: SubscriberState, row: GoodRow) -> None:
    """One who left is in one of the states of leaving for ever, and a row of one who stays touches nothing."""
    known = replace(person([row._replace(name="", state=SubscriberState.ACTIVE)]), state=state)
    entry = enter(known, row, now=NOW, why="again")
    assert entry.person is not None
    if state in LEFT_STATES:
        assert entry.person.state in LEFT_STATES
    if state in LEFT_STATES and row.state not in LEFT_STATES:
        assert (entry.fate, entry.person) == (RowResult.LEFT, known)


@given(ROWS, ROWS)
def test_the_fate_tells_what_changed(first: GoodRow, second: GoodRow) -> None:
    """`stronger` means another state, `filled` the same with more known, and anything else the very same person."""
    before = person([first])
    entry = enter(before, second, now=NOW + timedelta(days=1), why="second")
    after = entry.person
    assert after is not None
    if entry.fate is RowResult.STRONGER:
        assert after.state is second.state is not before.state
        assert (after.state_since, after.state_why) == (NOW + timedelta(days=1), "second")
    elif entry.fate in {RowResult.FILLED, RowResult.CORRECTED}:
        assert after != before
        assert (after.state, after.state_since) == (before.state, before.state_since)
    else:
        assert after is before


@pytest.mark.parametrize("state", SubscriberState)
def test_a_newcomer(state: SubscriberState) -> None:
    """A person who was not known comes with everything the row says, its state and its evidence."""
    row = GoodRow(line=2, address=parse_address("Ada@example.org"), state=state, name="Ada", fields={"a": "1"})
    new = imported_person(row, {"line": "2"})
    assert (new.email, new.canonical) == ("Ada@example.org", "ada@example.org")
    assert (new.name, new.fields, new.state, new.evidence) == ("Ada", {"a": "1"}, state, {"line": "2"})


def test_a_corrected_file_corrects_names_that_an_import_wrote() -> None:
    """A name of an import is replaced by a later one, but not by an empty one nor after an edit."""
    row = GoodRow(line=2, address=parse_address("ada@example.org"), state=SubscriberState.ACTIVE, first_name="Zo\u2018")
    known = added(row, NOW, "imported")
    entry = enter(known, row._replace(first_name="Zoë"), now=NOW, why="again")
    assert entry.person is not None
    assert (entry.fate, entry.person.first_name) == (RowResult.CORRECTED, "Zoë")
    assert enter(entry.person, row._replace(first_name=""), now=NOW, why="").fate is RowResult.UNCHANGED
    edited = replace(entry.person, names_imported=False)
    assert enter(edited, row, now=NOW, why="").fate is RowResult.UNCHANGED
