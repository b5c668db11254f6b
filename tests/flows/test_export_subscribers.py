"""Exporting subscribers, on both kinds of database."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.address import parse_address
from newsletter.core.csv_import import EXPORT_HEADINGS, clean, read_headings
from newsletter.core.subscriber import Subscriber, SubscriberState
from newsletter.flows.export_subscribers import STAYING, export_csv, export_json, field_headings
from newsletter.flows.import_subscribers import ImportFile, import_subscribers
from newsletter.store import subscriber_list as lists
from newsletter.store.subscriber_list import Wanted
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.flows.people_fixtures import KEYRING, put

ODD = {
    "email": "ada@bücher.example.org",
    "canonical": parse_address("ada@bücher.example.org").canonical,
    "name": "=HYPERLINK(1)",
    "first_name": "'+1",
    "last_name": 'O\'Nell, "Ada"',
    "time_zone": "Europe/Paris",
    "tags": ("VIP", "Paris, north", 'the "old"; ones', "-1"),
    "fields": {"company": "@SUM(1)", "state": "Ohio", "Company": "two", "+x": "y"},
}


def exported(unit: Unit, filters: Wanted) -> str:
    """Return the CSV of these people."""
    out = io.StringIO(newline="")
    count = export_csv(unit, filters, out)
    assert count == len(list(csv.reader(io.StringIO(out.getvalue())))) - 1
    return out.getvalue()


def everybody(unit: Unit) -> list[Subscriber]:
    """Return everybody on the list, without ids and dates."""
    with unit.read() as tx:
        people = lists.find(tx, Wanted())
    return [replace(one, id=0, state_since=START, state_why="", created_at=START) for one in people]


def test_an_export_reads_back(unit: Unit) -> None:
    """What was exported and imported again is the same, formulas, quotation marks and all; odd headings get a word."""
    put(unit, **ODD)
    put(unit, "ben@example.org", state=SubscriberState.PAUSED)
    put(unit, "eve@example.org", state=SubscriberState.COMPLAINED, fields={"floor": "3"})
    text = exported(unit, Wanted())
    before = everybody(unit)
    with unit.write() as tx:
        for table in ("consent", "subscriber"):
            tx.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 two names written above
    file = ImportFile(stream=io.BytesIO(text.encode()), name="export.csv")
    report = import_subscribers(unit, KEYRING, file, who="pat", now=START)
    assert report.rejected == 0
    expected = {"company (field)": "@SUM(1)", "state (field)": "Ohio", "Company": "two", "+x": "y"}
    assert sorted(everybody(unit), key=lambda row: row.email) == sorted(
        (replace(row, fields=expected) if "state" in row.fields else row for row in before), key=lambda row: row.email
    )


def test_no_cell_runs(unit: Unit) -> None:
    """No cell of the file begins with what a spreadsheet takes for a formula."""
    put(unit, **ODD)
    cells = [cell for row in csv.reader(io.StringIO(exported(unit, Wanted()))) for cell in row]
    assert [cell for cell in cells if cell[:1] in set("=+-@\t\r")] == []
    assert "'=HYPERLINK(1)" in cells


def test_an_export_of_those_who_stay(unit: Unit) -> None:
    """Unless more are asked for, only active and paused people leave the house."""
    for state in SubscriberState:
        put(unit, f"{state}@example.org", state=state)
    rows = csv.DictReader(io.StringIO(exported(unit, Wanted(states=STAYING))))
    assert [row["email"] for row in rows] == ["active@example.org", "paused@example.org"]


def test_json_lines(unit: Unit) -> None:
    """As JSON each line is one person with the values as they are."""
    put(unit, **ODD)
    put(unit, "ben@example.org")
    out = io.StringIO()
    assert export_json(unit, Wanted(), out) == 2
    first, second = map(json.loads, out.getvalue().splitlines())
    assert (first["name"], first["fields"], first["tags"]) == (ODD["name"], ODD["fields"], list(ODD["tags"]))
    assert (second["email"], second["state"], second["created_at"]) == (
        "ben@example.org",
        "active",
        "2026-11-01T12:00:00+00:00",
    )


@given(st.lists(st.text(min_size=1, max_size=12).map(clean).filter(bool), max_size=6, unique=True))
def test_headings_read_back_as_fields(names: list[str]) -> None:
    """Whatever fields are called, the header of an export is accepted, and each stands for a field."""
    headings = field_headings(names)
    layout = read_headings((*EXPORT_HEADINGS, *headings), file_name="")
    assert len(layout.fields) == len(headings) == len(names)


@pytest.mark.parametrize("name", ["state", "Email Address", "time zone", "OPTIN_TIME", "tags"])
def test_headings_that_mean_something_else(name: str) -> None:
    """A field called like a column of ours gets a word more."""
    assert field_headings([name, "plain"]) == [f"{name} (field)", "plain"]
