"""The rows of a subscriber file: which column is what, and what one row says about one person.

In: the cells of the header and of each row, as text. Out: a `Layout` or an `InputError` for the whole file; for each
row a `GoodRow`, or a `BadRow` with its reason. It never opens a file (`flows/read_csv.py`) and never asks who is known.
A cell that could run as a formula in a spreadsheet is made harmless on the way out, and restored in our own files only.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from newsletter.core.address import Address, parse_address
from newsletter.core.subscriber import SubscriberState, stronger
from newsletter.errors import InputError

TARGETS = ("email", "name", "first_name", "last_name", "time_zone", "tags")
"""What `--map TARGET=HEADING` may name."""
EXPORT_HEADINGS = (*TARGETS, "state", "state_since", "state_why", "created_at")
"""The first headings of our own export, by which its files are known; a subscriber's own fields follow."""

_SYNONYMS = {
    **{target: target for target in TARGETS},
    "email_address": "email",
    "e_mail": "email",
    "e_mail_address": "email",
    "full_name": "name",
    "timezone": "time_zone",
}
_MAILCHIMP_EVIDENCE = frozenset(
    {
        *("optin_time", "optin_ip", "confirm_time", "confirm_ip"),
        *("clean_time", "clean_campaign_title", "clean_campaign_id"),
        *("unsub_time", "unsub_campaign_title", "unsub_campaign_id", "unsub_reason", "unsub_reason_other"),
    }
)
_OUR_EVIDENCE = frozenset({"state_since", "state_why", "created_at"})
_STATES = frozenset(SubscriberState)
_TEXTS = frozenset({"name", "first_name", "last_name", "time_zone"})
_MOST_COLUMNS = 200
_LONGEST_TEXT, _LONGEST_FIELD, _LONGEST_TAG, _MOST_TAGS = 200, 2000, 100, 100

_FORMULA = re.compile("'*[=+@\t\r\n\0\uff1d\uff0b\uff0d\uff20-]")
_DISGUISES = re.compile("[\ufeff\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069]")
_CONTROLS = re.compile("[\\x00-\\x1f\\x7f-\\x9f\u2028\u2029]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the columns of one file are."""

    headings: tuple[str, ...]
    columns: Mapping[str, int]
    """Index by target; `email` is always there."""
    evidence: tuple[tuple[int, str], ...]
    """Columns that tell when and how somebody agreed or left."""
    fields: tuple[tuple[int, str], ...]
    """Columns kept as fields of the subscriber, by heading."""
    state: SubscriberState
    """What the people of this file are whose row does not tell."""
    state_column: int | None = None
    """A column named `state`, in any file: a row that has one of our words in it has told its state."""
    least: SubscriberState = SubscriberState.PENDING
    """What such a row is at least: the stronger of the two wins, so `--as` and Mailchimp's columns only strengthen."""
    ours: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodRow:
    """One person."""

    line: int
    address: Address
    state: SubscriberState
    name: str = ""
    first_name: str = ""
    last_name: str = ""
    time_zone: str = ""
    tags: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What was left out though the row was taken, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row that says nothing we can use."""

    line: int
    cells: tuple[str, ...]
    """As they stand in the file."""
    reason: str


def neutralise(cell: str) -> str:
    """Make a cell harmless for spreadsheets, which run what begins with `=`, `+`, `-`, `@` or a control character.

    A cell that begins with apostrophes and then such a character gets one more, so that `restore` is exact.
    Source: OWASP ASVS 5.0, 1.2.10; with the full-width forms, which some spreadsheets take for the narrow ones.
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell


def restore(cell: str) -> str:
    """Undo `neutralise`. Only for files of our own: elsewhere the apostrophe belongs to the text."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def read_headings(
    cells: Sequence[str], *, file_name: str, mapping: Mapping[str, str], as_state: SubscriberState | None = None
) -> Layout:
    """Find out what the columns are: by `mapping` (target to heading), else by the headings we know.

    The columns of a Mailchimp file say what its people are: UNSUB_TIME they left, CLEAN_TIME they bounced; `as_state`
    overrules that.
    """
    ours = tuple(_key(cell) for cell in cells[: len(EXPORT_HEADINGS)]) == EXPORT_HEADINGS
    headings = tuple(clean(restore(cell) if ours else cell) for cell in cells)
    keys = [_key(heading) for heading in headings]
    _refuse_odd_headings(keys, headings, file_name)
    columns = _mapped(keys, headings, mapping, file_name)
    columns = {**_recognised(keys, headings, columns, file_name), **columns}
    if "email" not in columns:
        raise InputError(
            f"{file_name} has no column `email`; its first line has: {_listed(headings)}. "
            "Say which one it is: --map email=HEADING"
        )
    evidence = _MAILCHIMP_EVIDENCE | (_OUR_EVIDENCE if ours else frozenset())
    used = {*columns.values()} | ({EXPORT_HEADINGS.index("state")} if ours else set())
    rest = [index for index in range(len(keys)) if index not in used]
    state_columns = [EXPORT_HEADINGS.index("state")] if ours else [index for index in rest if keys[index] == "state"]
    state = as_state or (SubscriberState.PENDING if ours else _kind(keys))
    return Layout(
        headings=headings,
        columns=columns,
        evidence=tuple((index, keys[index]) for index in rest if keys[index] in evidence),
        fields=tuple(
            (index, headings[index] or f"column {index + 1}") for index in rest if keys[index] not in evidence
        ),
        state=state,
        state_column=next(iter(state_columns), None),
        # That a file is taken for one of active people is a guess, which what a row says may weaken.
        least=as_state or (SubscriberState.PENDING if state is SubscriberState.ACTIVE else state),
        ours=ours,
    )


def read_row(layout: Layout, line: int, cells: Sequence[str], zones: Mapping[str, str]) -> GoodRow | BadRow | None:
    """Read one row; None for an empty one. `zones` are the known time zones by their case-folded names.

    An unknown time zone is left out with a note: the person then gets mail at the publication's hour, which is better
    than none. All else that is wrong refuses the row.
    """
    if not any(cells):
        return None
    try:
        return _good_row(layout, line, cells, zones)
    except InputError as fault:
        return BadRow(line=line, cells=tuple(cells), reason=str(fault))


def clean(text: str) -> str:
    """Return text fit for a header: NFC, trimmed, controls as blanks, without what turns or hides letters."""
    if text.isascii() and text.isprintable():
        return text.strip()
    text = _CONTROLS.sub(" ", _DISGUISES.sub("", unicodedata.normalize("NFC", text)))
    return text.strip()


def _good_row(layout: Layout, line: int, cells: Sequence[str], zones: Mapping[str, str]) -> GoodRow:
    cells = _fitted(layout, cells)
    columns = layout.columns
    address = parse_address(cells[columns["email"]])
    texts = {
        target: _bounded(cells[index], target, _LONGEST_TEXT) for target, index in columns.items() if target in _TEXTS
    }
    notes: tuple[str, ...] = ()
    if zone := texts.get("time_zone"):
        texts["time_zone"] = zones.get(zone.casefold(), "")
        if not texts["time_zone"]:
            notes = (f"the time zone {zone!r} is not known and was left out",)
    state = _row_state(layout, cells)
    fields = layout.fields
    if state is not None:
        fields = tuple(column for column in fields if column[0] != layout.state_column)
    return GoodRow(
        line=line,
        address=address,
        state=layout.state if state is None else stronger(state, layout.least),
        tags=_tags(cells[columns["tags"]]) if "tags" in columns else (),
        fields=_values(fields, cells),
        evidence=_values(layout.evidence, cells),
        notes=notes,
        **texts,
    )


def _fitted(layout: Layout, cells: Sequence[str]) -> Sequence[str]:
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
    return [restore(cell) for cell in cells[:width]] if layout.ours else cells


def _row_state(layout: Layout, cells: Sequence[str]) -> SubscriberState | None:
    """Return the state that a row tells; None if it tells none, as where `state` is a part of a postal address.

    Whatever became of the columns of our export on the way, nobody who left may come back by it.
    """
    if layout.state_column is None:
        return None
    word = clean(cells[layout.state_column]).casefold()
    if word in _STATES:
        return SubscriberState(word)
    if layout.ours:
        raise InputError(f"the state {word!r} is not one of {', '.join(SubscriberState)}")
    return None


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


def _key(heading: str) -> str:
    return re.sub(r"[\s_-]+", "_", clean(heading).casefold())


def _kind(keys: Iterable[str]) -> SubscriberState:
    if "unsub_time" in keys:
        return SubscriberState.UNSUBSCRIBED
    return SubscriberState.BOUNCED if "clean_time" in keys else SubscriberState.ACTIVE


def _refuse_odd_headings(keys: Sequence[str], headings: Sequence[str], file_name: str) -> None:
    if len(keys) > _MOST_COLUMNS:
        raise InputError(f"{file_name} has {len(keys)} columns, more than {_MOST_COLUMNS}; is it the right file?")
    twice = [heading for key, heading in zip(keys, headings, strict=True) if key and Counter(keys)[key] > 1]
    if twice:
        raise InputError(f"{file_name} has the same heading twice: {_listed(twice)}. Rename or remove one of them")


def _mapped(keys: Sequence[str], headings: Sequence[str], mapping: Mapping[str, str], file_name: str) -> dict[str, int]:
    columns: dict[str, int] = {}
    for target, heading in mapping.items():
        if target not in TARGETS:
            raise InputError(f"--map {target}={heading}: {target!r} is not one of {', '.join(TARGETS)}")
        if not heading.strip() or _key(heading) not in keys:
            raise InputError(f"--map {target}={heading}: {file_name} has no such heading; it has: {_listed(headings)}")
        columns[target] = keys.index(_key(heading))
    if len(set(columns.values())) < len(columns):
        raise InputError("--map names the same heading for two things; give each its own")
    return columns


def _recognised(
    keys: Sequence[str], headings: Sequence[str], mapped: Mapping[str, int], file_name: str
) -> dict[str, int]:
    rows: dict[str, int] = {}
    for index, key in enumerate(keys):
        target = _SYNONYMS.get(key)
        if target is None or target in mapped or index in mapped.values():
            continue
        if target in rows:
            both = _listed((headings[rows[target]], headings[index]))
            raise InputError(f"{file_name} has two columns for {target}: {both}. Choose one: --map {target}=HEADING")
        rows[target] = index
    return rows


def _listed(headings: Iterable[str]) -> str:
    return ", ".join(f"`{heading[:60]}`" for heading in headings if heading) or "nothing"
