"""One row of a subscriber file: the person whom its cells describe.

In: the `Layout` of the file, and the cells of a row as text. Out: a `GoodRow`, a `BadRow` with its reason, or nothing
for a row without content. `read_row` is the general way. `RowParser` reads the ordinary row of a large file, short and
in printable ASCII, in a third of the time, and leaves every other row to `read_row`; a property holds both to the same
result.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from operator import itemgetter
from types import MappingProxyType
from typing import Any, NamedTuple

from newsletter.core.address import Address, domain_hint, parse_address
from newsletter.core.consent_columns import EMPTY, ConsentSurvey
from newsletter.core.csv_import import EXPORT_HEADINGS, Layout, clean, restore
from newsletter.core.subscriber import SubscriberState, most_restrictive
from newsletter.errors import InputError

_STATES = frozenset(SubscriberState)
_NULLS = frozenset({"NULL", r"\N"})
"""What databases write for an empty value."""
_NO_NAMES = _NULLS | {
    *("null", "None", "none", "N/A", "n/a", "#N/A", "NaN", "nan", "undefined", "(null)", "[null]", "<null>", "(blank)"),
    *("[blank]", "(none)", "-", "--", "---", "\N{EN DASH}", "\N{EM DASH}", "?", "#REF!", "#VALUE!", "#NAME?", "#NULL!"),
}
"""What programs and spreadsheets write for a name that they do not have; `Null` is a name."""
_BLANK = " \t\r\n\f\v\xa0\ufeff\u200b\x1a"
"""Characters of a row without content; the last one is the end-of-file mark of DOS."""
_TEXTS = ("name", "first_name", "last_name", "time_zone")
_LONGEST_TEXT, _LONGEST_FIELD, _LONGEST_TAG, _MOST_TAGS = 200, 2000, 100, 100
_ORDINARY_LENGTH_MAX = _LONGEST_TEXT
"""Characters of an ordinary row: no cell of it can be too long."""
_KEPT_STATES_MAX = 10_000


class GoodRow(NamedTuple):
    """One person; a million of them are made in an import, and a tuple is made in a third of a dataclass's time."""

    line: int
    address: Address
    state: SubscriberState
    name: str = ""
    first_name: str = ""
    last_name: str = ""
    time_zone: str = ""
    tags: tuple[str, ...] = ()
    fields: Mapping[str, str] = MappingProxyType({})
    evidence: Mapping[str, str] = MappingProxyType({})
    notes: tuple[str, ...] = ()
    """Parts of the row that were left out or look wrong, in words."""


class BadRow(NamedTuple):
    """A row that is rejected."""

    line: int
    cells: tuple[str, ...]
    """As they stand in the file."""
    reason: str


def read_row(layout: Layout, line: int, cells: Sequence[str], zones: Mapping[str, str]) -> GoodRow | BadRow | None:
    """Read one row; None for one without content. `zones` are the known time zones by their case-folded names.

    An unknown time zone is left out with a note: the person then gets mail at the publication's hour, which is better
    than none. All else that is wrong refuses the row.
    """
    if is_blank(cells):
        return None
    try:
        return _good_row(layout, line, cells, zones)
    except InputError as fault:
        return BadRow(line=line, cells=tuple(cells), reason=str(fault))


class RowParser:
    """Reads the rows of one file, whose columns are looked up once."""

    def __init__(self, layout: Layout, zones: Mapping[str, str]) -> None:
        """Take the layout of the file, and the known time zones by their case-folded names."""
        self._layout = layout
        self._zones = zones
        self._least = layout.least
        self._width = -1 if layout.ours else len(layout.headings)
        """Cells of an ordinary row; a file of our own has none, since its cells have to be restored."""
        self._email = layout.columns["email"]
        self._tags = layout.columns.get("tags")
        self._texts = [layout.columns.get(target) for target in _TEXTS]
        consent = sorted({*layout.consent.topics, *layout.consent.free_text})
        self._consent_cells: Callable[[Sequence[str]], Any] | None = itemgetter(*consent) if consent else None
        self._states: dict[Any, SubscriberState] = {}
        """The state by the cells that speak of consent; a large file has few combinations."""

    def read(self, line: int, cells: Sequence[str]) -> GoodRow | BadRow | None:
        """Read one row as `read_row` does."""
        text = "".join(cells)
        if (
            len(cells) == self._width
            and len(text) <= _ORDINARY_LENGTH_MAX
            and text.isascii()
            and text.isprintable()
            and _NO_NAMES.isdisjoint(cells)
        ):
            with suppress(InputError):
                return self._read_ordinary(line, cells)
        return read_row(self._layout, line, cells, self._zones)

    def _read_ordinary(self, line: int, cells: Sequence[str]) -> GoodRow:
        """Read a row that needs no cleaning; it raises `InputError` where the general way finds a fault too."""
        address = parse_address(cells[self._email])
        hint = domain_hint(address.canonical)
        name, first_name, last_name, zone = ["" if index is None else cells[index].strip() for index in self._texts]
        notes: tuple[str, ...] = (_domain_note(address, hint),) if hint else ()
        time_zone = ""
        if zone:
            time_zone = self._zones.get(zone.casefold(), "")
            if not time_zone:
                notes = (*notes, _zone_note(zone))
        return GoodRow(
            line,
            address,
            self._least if self._consent_cells is None else self._state(self._consent_cells, cells),
            name,
            first_name,
            last_name,
            time_zone,
            () if self._tags is None else _tags(cells[self._tags]),
            {heading: value for index, heading in self._layout.fields if (value := cells[index].strip())},
            {heading: value for index, heading in self._layout.evidence if (value := cells[index].strip())},
            notes,
        )

    def _state(self, consent_cells: Callable[[Sequence[str]], Any], cells: Sequence[str]) -> SubscriberState:
        key = consent_cells(cells)
        state = self._states.get(key)
        if state is None:
            state = _row_state(self._layout, cells)
            if len(self._states) < _KEPT_STATES_MAX:
                self._states[key] = state
        return state


def survey_records(layout: Layout, seen: ConsentSurvey, records: Sequence[Sequence[str]]) -> None:
    """Take records of the file into account, but for those without content and those whose columns have shifted."""
    if set(map(len, records)) == {len(layout.headings)}:
        email = layout.columns["email"]
        seen.add_rows([cells for cells in records if cells[email].strip(_BLANK) or not is_blank(cells)])
        return
    for cells in records:
        if not is_blank(cells):
            with suppress(InputError):
                seen.add(fitted(layout, cells))


def is_blank(cells: Sequence[str]) -> bool:
    """Return whether a row holds blanks only, or the end-of-file mark of DOS."""
    return not any(cell.strip(_BLANK) for cell in cells)


def _good_row(layout: Layout, line: int, cells: Sequence[str], zones: Mapping[str, str]) -> GoodRow:
    cells = fitted(layout, cells)
    columns = layout.columns
    notes: list[str] = []
    if not layout.ours and not _NO_NAMES.isdisjoint(cells):
        placeholders = {
            index: target for target, index in columns.items() if target in _TEXTS and cells[index] in _NO_NAMES
        }
        notes += [
            f"{target} `{cells[index]}` was read as empty"
            for index, target in placeholders.items()
            if cells[index] != r"\N"
        ]
        cells = ["" if cell in _NULLS or index in placeholders else cell for index, cell in enumerate(cells)]
    address = parse_address(cells[columns["email"]])
    if hint := domain_hint(address.canonical):
        notes.append(_domain_note(address, hint))
    texts = {
        target: _bounded(cells[index], target, _LONGEST_TEXT) for target, index in columns.items() if target in _TEXTS
    }
    if zone := texts.get("time_zone"):
        texts["time_zone"] = zones.get(zone.casefold(), "")
        if not texts["time_zone"]:
            notes.append(_zone_note(zone))
    return GoodRow(
        line=line,
        address=address,
        state=_row_state(layout, cells),
        tags=_tags(cells[columns["tags"]]) if "tags" in columns else (),
        fields=_values(layout.fields, cells),
        evidence=_values(layout.evidence, cells),
        notes=tuple(notes),
        **texts,
    )


def _domain_note(address: Address, hint: str) -> str:
    return f"{address.email}: did you mean {hint}?"


def _zone_note(zone: str) -> str:
    return f"the time zone {zone!r} is not known and was left out"


def fitted(layout: Layout, cells: Sequence[str]) -> Sequence[str]:
    """Return as many cells as there are headings; raise `InputError` where the columns have shifted."""
    width = len(layout.headings)
    if len(cells) == width and not layout.ours:
        return cells
    if len(cells) < width:
        raise InputError(f"{len(cells)} cells instead of {width}; is a delimiter missing, or a quotation mark?")
    # Spreadsheets add empty cells at the end; anything else there means that the columns have shifted.
    if any(cells[width:]):
        raise InputError(
            f"{len(cells)} cells instead of {width}; a cell with the delimiter in it needs quotation marks"
        )
    return [restore(cell) for cell in cells[:width]] if layout.ours else cells[:width]


def _row_state(layout: Layout, cells: Sequence[str]) -> SubscriberState:
    if layout.ours:
        word = clean(cells[EXPORT_HEADINGS.index("state")]).casefold()
        if word not in _STATES:
            raise InputError(f"the state {word!r} is not one of {', '.join(SubscriberState)}")
        return most_restrictive((SubscriberState(word), layout.least))
    if not layout.consent.topics and not layout.consent.free_text:
        return layout.least
    row = layout.consent.read(cells)
    if row.unknown and layout.as_state is None:
        index, value = row.unknown[0]
        raise InputError(f"{layout.headings[index]} {value or EMPTY!r} is not understood as a state")
    return layout.least if row.state is None else most_restrictive((row.state, layout.least))


def _values(columns: Sequence[tuple[int, str]], cells: Sequence[str]) -> dict[str, str]:
    if not columns:
        return {}
    return {name: _bounded(cells[index], name, _LONGEST_FIELD) for index, name in columns if cells[index].strip()}


@lru_cache(maxsize=1_024)
def _tags(cell: str) -> tuple[str, ...]:
    """Split `a, b; c`, or Mailchimp's `"a","b, too"`, in which each tag has quotation marks of its own.

    A list of a million people has few sets of tags.
    """
    if not cell:
        return ()
    quoted = '"' in cell
    parts = next(csv.reader([cell], skipinitialspace=True), []) if quoted else re.split("[,;]", cell)
    tags = tuple(dict.fromkeys(filter(None, (_bounded(part, "tags", _LONGEST_TAG) for part in parts))))
    if len(tags) > _MOST_TAGS:
        raise InputError(f"more than {_MOST_TAGS} tags")
    return tags


def _bounded(cell: str, name: str, longest: int) -> str:
    text = cell.strip() if cell.isascii() and cell.isprintable() else clean(cell)
    if len(text) > longest:
        raise InputError(f"{name} is longer than {longest} characters")
    return text
