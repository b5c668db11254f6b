"""Exporting subscribers: a CSV file that no spreadsheet runs and that `import` reads back, or JSON lines.

In: whom, and a text stream. Out: how many were written. Memory holds one page of the list, whatever its size.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TextIO

from newsletter.core.csv_import import EXPORT_HEADINGS, clean, neutralise, read_headings
from newsletter.core.subscriber import Subscriber, SubscriberState
from newsletter.errors import InputError
from newsletter.store import subscriber_list as lists
from newsletter.store.subscriber_list import Wanted
from newsletter.store.unit import Unit

STAYING = (SubscriberState.ACTIVE, SubscriberState.PAUSED)
"""States exported by default: a file that is imported elsewhere must not hold people who left."""

_PROGRESS_ROWS = 10_000
_COLUMNS_MAX = 200
"""An import takes no more; beyond that no other heading would help."""
_ALIKE_MAX = 100


def export_csv(
    unit: Unit, filters: Wanted, out: TextIO, *, progress: Callable[[int], None] = lambda _rows: None
) -> int:
    """Write subscribers as CSV with our own headings, one column for each of their fields."""
    with unit.read() as tx:
        names = lists.field_names(tx, filters)
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow([neutralise(heading) for heading in (*EXPORT_HEADINGS, *field_headings(names))])
        count = 0
        for count, person in enumerate(lists.pages(tx, filters), start=1):
            writer.writerow([neutralise(cell) for cell in _cells(person, names)])
            if count % _PROGRESS_ROWS == 0:
                progress(count)
        return count


def export_json(
    unit: Unit, filters: Wanted, out: TextIO, *, progress: Callable[[int], None] = lambda _rows: None
) -> int:
    """Write subscribers as JSON, one object a line, with their values as they are."""
    with unit.read() as tx:
        count = 0
        for count, person in enumerate(lists.pages(tx, filters), start=1):
            out.write(json.dumps(as_json(person), ensure_ascii=False) + "\n")
            if count % _PROGRESS_ROWS == 0:
                progress(count)
        return count


def as_json(person: Subscriber) -> dict[str, Any]:
    """Return a subscriber as JSON; times are ISO 8601 in UTC."""
    return {
        "id": person.id,
        "email": person.email,
        "canonical": person.canonical,
        "name": person.name,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "time_zone": person.time_zone,
        "tags": list(person.tags),
        "fields": dict(person.fields),
        "state": person.state.value,
        "state_since": person.state_since.isoformat(),
        "state_why": person.state_why,
        "created_at": person.created_at.isoformat(),
    }


def field_headings(names: Iterable[str]) -> list[str]:
    """Return a heading for each field under which `import` reads it back as a field.

    A field may bear a name that means something else in the header, such as a `state` of a country, or differ from
    another only in its case: it gets a word more.
    """
    columns: list[str] = []
    for name in names:
        plain = clean(name) or "field"
        others = (f"{plain} (field)", *(f"{plain} (field {number})" for number in range(2, _ALIKE_MAX)))
        columns.append(next((heading for heading in (plain, *others) if _reads_back((*columns, heading))), plain))
    return columns


def _reads_back(headings: Sequence[str]) -> bool:
    try:
        layout = read_headings((*EXPORT_HEADINGS, *map(neutralise, headings)), file_name="")
    except InputError:
        return len(headings) + len(EXPORT_HEADINGS) > _COLUMNS_MAX
    return [name for _, name in layout.fields] == list(headings)


def _cells(person: Subscriber, names: Sequence[str]) -> list[str]:
    return [
        person.email,
        person.name,
        person.first_name,
        person.last_name,
        person.time_zone,
        _tags(person.tags),
        person.state.value,
        person.state_since.isoformat(timespec="seconds"),
        person.state_why,
        person.created_at.isoformat(timespec="seconds"),
        *(person.fields.get(name, "") for name in names),
    ]


def _tags(tags: Sequence[str]) -> str:
    """Join tags with commas; in quotation marks when one of them holds what would split it."""
    if not any(mark in tag for tag in tags for mark in ',;"'):
        return ", ".join(tags)
    cell = io.StringIO()
    csv.writer(cell, quoting=csv.QUOTE_ALL, lineterminator="").writerow(tags)
    return cell.getvalue()
