"""The rows of a subscriber file: the meaning of each column, and the person that one row describes.

In: the cells of the header and of each row, as text. Out: a `Layout` or an `InputError` for the whole file; for each
row a `GoodRow`, or a `BadRow` with its reason. It opens no file (`flows/read_csv.py`) and never reads the database.
Columns about consent are found in `core/consent_columns.py`; a value there that is not understood stops the import.
A cell that could run as a formula in a spreadsheet is made harmless on the way out, and restored in our own files only.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from newsletter.core.address import parse_address
from newsletter.core.consent_columns import (
    EMPTY,
    UNKNOWN_VALUES_SHOWN_MAX,
    ConsentReader,
    ConsentSurvey,
    consent_key,
    find_consent_columns,
    start_survey,
)
from newsletter.core.subscriber import SubscriberState
from newsletter.errors import InputError
from newsletter.wording import plural

TARGETS = ("email", "name", "first_name", "last_name", "time_zone", "tags")
"""Values of a person that `--map TARGET=HEADING` may name."""
EXPORT_HEADINGS = (*TARGETS, "state", "state_since", "state_why", "created_at")
"""The first headings of our own export, by which its files are known; a subscriber's own fields follow."""

_SYNONYMS = {
    **{target: target for target in TARGETS},
    "email_address": "email",
    "e_mail": "email",
    "e_mail_address": "email",
    "full_name": "name",
    "timezone": "time_zone",
    "fname": "first_name",
    "firstname": "first_name",
    "lname": "last_name",
    "lastname": "last_name",
}
_MAILCHIMP_EVIDENCE = frozenset(
    {
        *("optin_time", "optin_ip", "confirm_time", "confirm_ip"),
        *("clean_time", "clean_campaign_title", "clean_campaign_id"),
        *("unsub_time", "unsub_campaign_title", "unsub_campaign_id", "unsub_reason", "unsub_reason_other"),
    }
)
_OUR_EVIDENCE = frozenset({"state_since", "state_why", "created_at"})
_MAILCHIMP_HEADINGS = frozenset({"leid", "euid"})
"""Columns of every file of Mailchimp's export; its non-subscribed contacts have no column that tells them apart."""
_NAMES_OF_LEFT = re.compile(
    r"non.?subscri|not.?subscri|unsub|opt.?out|clean(ed)?[_. -]|bounce|complain|suppress|block.?list|black.?list|"
    r"abgemeldet|abmeldung|austragung|d.sabonn|d.sinscri|de.baja|uitgeschreven|disiscritt|descadastrad",
    re.IGNORECASE,
)
"""File names of lists of people who left."""
_NAMES_OF_SUBSCRIBED = re.compile(r"(?<![a-z])subscribed", re.IGNORECASE)
_MOST_COLUMNS = 200

_FORMULA = re.compile("'*[=+@\t\r\n\0\uff1d\uff0b\uff0d\uff20-]")
_DISGUISES = re.compile("[\ufeff\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069]")
_CONTROLS = re.compile("[\\x00-\\x1f\\x7f-\\x9f\u2028\u2029]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnChoices:
    """What the operator says about the columns with `--map`."""

    targets: Mapping[str, str] = field(default_factory=dict)
    """Heading by target, such as `email`."""
    state_headings: tuple[str, ...] = ()
    """Columns whose words are states."""
    field_headings: tuple[str, ...] = ()
    """Columns that are not about consent, whatever they look like."""
    words: Mapping[str, SubscriberState] = field(default_factory=dict)
    """The state that a word of the file means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The meaning of the columns of one file."""

    file_name: str
    headings: tuple[str, ...]
    columns: Mapping[str, int]
    """Index by target; `email` is always there."""
    evidence: tuple[tuple[int, str], ...]
    """Columns with the time and the way somebody agreed or left."""
    fields: tuple[tuple[int, str], ...]
    """Columns kept as fields of the subscriber, by heading."""
    as_state: SubscriberState | None
    """The operator's answer for rows that name no state."""
    kind: SubscriberState
    """The state of such rows where the operator gives none."""
    consent: ConsentReader
    choices: ColumnChoices
    mailchimp: bool = False
    ours: bool = False

    @property
    def least(self) -> SubscriberState:
        """The state that every row has at least: `--as` and Mailchimp's file only strengthen what a row says."""
        if self.ours:
            return self.as_state or SubscriberState.ACTIVE
        return self.as_state or self.kind


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
    cells: Sequence[str],
    *,
    file_name: str,
    choices: ColumnChoices | None = None,
    as_state: SubscriberState | None = None,
) -> Layout:
    """Find the meaning of the columns: by `choices`, else by the headings that are known.

    Mailchimp's columns give the state of a whole file: UNSUB_TIME unsubscribed, CLEAN_TIME bounced.
    """
    choices = choices or ColumnChoices()
    ours = tuple(_key(cell) for cell in cells[: len(EXPORT_HEADINGS)]) == EXPORT_HEADINGS
    headings = tuple(clean(restore(cell) if ours else cell) for cell in cells)
    _refuse_missing_headings(headings, file_name)
    keys = [_key(heading) for heading in headings]
    _refuse_odd_headings(keys, headings, file_name)
    columns = _mapped(keys, headings, choices.targets, file_name)
    columns = {**_recognised(keys, headings, columns, file_name), **columns}
    if "email" not in columns:
        raise InputError(
            f"the file {file_name} has no column `email`; its first line has: {_listed(headings)}. "
            "Say which one it is: --map email=HEADING"
        )
    evidence = _MAILCHIMP_EVIDENCE | (_OUR_EVIDENCE if ours else frozenset())
    used = {*columns.values()} | ({EXPORT_HEADINGS.index("state")} if ours else set())
    rest = [index for index in range(len(keys)) if index not in used]
    kind = SubscriberState.PENDING if ours else _kind(keys)
    return Layout(
        file_name=file_name,
        headings=headings,
        columns=columns,
        evidence=tuple((index, keys[index]) for index in rest if keys[index] in evidence),
        fields=tuple(
            (index, headings[index] or f"column {index + 1}") for index in rest if keys[index] not in evidence
        ),
        as_state=as_state,
        kind=kind,
        consent=_consent_reader(keys, headings, columns, choices, file_name=file_name, ours=ours),
        choices=choices,
        mailchimp=not ours and set(keys) >= _MAILCHIMP_HEADINGS and kind is SubscriberState.ACTIVE,
        ours=ours,
    )


def survey(layout: Layout) -> ConsentSurvey | None:
    """Return the survey that reads every row once before the import; None where no column can speak of consent."""
    if layout.ours:
        return None
    skip = {index for target, index in layout.columns.items() if target != "tags"}
    skip |= {
        index
        for index, heading in enumerate(layout.headings)
        if _key(heading) in map(_key, layout.choices.field_headings)
    }
    started = start_survey([consent_key(heading) for heading in layout.headings], layout.consent, skip=skip)
    return started if started.candidates or layout.consent.topics else None


def settle_layout(layout: Layout, seen: ConsentSurvey | None) -> Layout:
    """Return the layout with every consent column known; raise `InputError` with the values that are not understood."""
    if layout.ours:
        return layout
    if seen is not None:
        seen.finish()
        if seen.unknown and layout.as_state is None:
            raise _unknown_values(layout, seen.unknown)
    _refuse_file_of_left(layout, seen)
    consent = set(layout.consent.topics)
    known = {index for index, _ in layout.evidence}
    new = tuple((index, _key(layout.headings[index])) for index in sorted(consent - known))
    return replace(
        layout,
        evidence=(*layout.evidence, *new),
        fields=tuple(column for column in layout.fields if column[0] not in consent),
    )


def describe_consent(layout: Layout) -> str:
    """Return the headings from which states are read, for the report; empty where there are none."""
    indexes = sorted({*layout.consent.topics, *layout.consent.free_text})
    return _listed(layout.headings[index] for index in indexes) if indexes else ""


def clean(text: str) -> str:
    """Return text fit for a header: NFC, trimmed, controls as blanks, without what turns or hides letters."""
    if text.isascii() and text.isprintable():
        return text.strip()
    text = _CONTROLS.sub(" ", _DISGUISES.sub("", unicodedata.normalize("NFC", text)))
    return text.strip()


def _key(heading: str) -> str:
    return re.sub(r"[\s_-]+", "_", clean(heading).casefold())


def _kind(keys: Iterable[str]) -> SubscriberState:
    if "unsub_time" in keys:
        return SubscriberState.UNSUBSCRIBED
    return SubscriberState.BOUNCED if "clean_time" in keys else SubscriberState.ACTIVE


def _refuse_odd_headings(keys: Sequence[str], headings: Sequence[str], file_name: str) -> None:
    if len(keys) > _MOST_COLUMNS:
        raise InputError(
            f"the file {file_name} has {len(keys)} columns, more than {_MOST_COLUMNS}; is it the right file?"
        )
    twice = [heading for key, heading in zip(keys, headings, strict=True) if key and Counter(keys)[key] > 1]
    if twice:
        raise InputError(
            f"the file {file_name} has the same heading twice: {_listed(twice)}. Rename or remove one of them"
        )


def _refuse_missing_headings(headings: Sequence[str], file_name: str) -> None:
    for heading in headings:
        if "@" in heading and _is_address(heading):
            raise InputError(
                f"the file {file_name} has no headings: its first line holds the address `{heading[:60]}`. "
                "Write a first line such as `email,first_name` above it"
            )


def _is_address(text: str) -> bool:
    try:
        parse_address(text)
    except InputError:
        return False
    return True


def _consent_reader(
    keys: Sequence[str],
    headings: Sequence[str],
    columns: Mapping[str, int],
    choices: ColumnChoices,
    *,
    file_name: str,
    ours: bool,
) -> ConsentReader:
    """Find the consent columns by their headings; our own export has only its `state`, which is read by itself."""
    states = [_index(keys, headings, "state", heading, file_name) for heading in choices.state_headings]
    plain = [_index(keys, headings, "field", heading, file_name) for heading in choices.field_headings]
    skip = range(len(keys)) if ours else (*columns.values(), *plain)
    return find_consent_columns(
        [consent_key(heading) for heading in headings], skip=skip, state_columns=states, words=choices.words
    )


def _unknown_values(layout: Layout, unknown: Counter[tuple[int, str]]) -> InputError:
    """Return the question about values that are not understood, with the options that answer it."""
    shown = unknown.most_common(UNKNOWN_VALUES_SHOWN_MAX)
    columns = dict.fromkeys(layout.headings[index] for (index, _), _ in shown)
    values = [
        f"`{layout.headings[index]}`: `{clean(value) or EMPTY}` in {plural(count, 'row')}"
        for (index, value), count in shown
    ]
    if len(unknown) > len(shown):
        values.append(f"and {len(unknown) - len(shown):,} more values")
    states = [f"--map {shlex.quote(f'state={heading}')}" for heading in columns]
    words = [
        f"--map {shlex.quote(f'unsubscribed={value}')}" for value in dict.fromkeys(value for (_, value), _ in shown)
    ]
    fields = " ".join(f"--map {shlex.quote(f'field={heading}')}" for heading in columns)
    return InputError(
        f"the file {layout.file_name} speaks of consent with values that are not understood; nothing was imported",
        details=(
            *values,
            f"say what each value means: {' '.join((*states, *words))}",
            "(write active=, pending=, paused=, bounced= or complained= in place of unsubscribed= where that is true)",
            f"if this is not about consent: {fields}",
            "one answer for all these rows: --as unsubscribed, or --as active if you know that they agreed",
        ),
    )


def _refuse_file_of_left(layout: Layout, seen: ConsentSurvey | None) -> None:
    """Stop where the name of the file, or its kind, speaks against consent and no column of it speaks of consent."""
    if layout.as_state is not None or layout.kind is not SubscriberState.ACTIVE:
        return
    if layout.consent.topics or layout.consent.free_text:
        return
    left = _NAMES_OF_LEFT.search(layout.file_name)
    if left:
        reason = f"its name says `{left[0]}`"
    elif layout.mailchimp and not _NAMES_OF_SUBSCRIBED.search(layout.file_name) and _without_optin(layout, seen):
        reason = "it may be Mailchimp's file of non-subscribed contacts, who never agreed"
    else:
        return
    raise InputError(
        f"the file {layout.file_name} does not say who of these people agreed, and {reason}; nothing was imported. "
        "Say what they are: --as unsubscribed (or bounced, complained), or --as active if you know that they agreed"
    )


def _without_optin(layout: Layout, seen: ConsentSurvey | None) -> bool:
    """Return whether some row of a Mailchimp file has no OPTIN_TIME."""
    keys = [_key(heading) for heading in layout.headings]
    if seen is None or "optin_time" not in keys:
        return True
    return seen.empty_optin > 0


def _mapped(keys: Sequence[str], headings: Sequence[str], mapping: Mapping[str, str], file_name: str) -> dict[str, int]:
    columns = {target: _index(keys, headings, target, heading, file_name) for target, heading in mapping.items()}
    if len(set(columns.values())) < len(columns):
        raise InputError("--map names the same heading for two things; give each its own")
    return columns


def _index(keys: Sequence[str], headings: Sequence[str], target: str, heading: str, file_name: str) -> int:
    if not heading.strip() or _key(heading) not in keys:
        raise InputError(f"--map {target}={heading}: {file_name} has no such heading; it has: {_listed(headings)}")
    return keys.index(_key(heading))


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
            raise InputError(
                f"the file {file_name} has two columns for {target}: {both}. Choose one: --map {target}=HEADING"
            )
        rows[target] = index
    return rows


def _listed(headings: Iterable[str]) -> str:
    return ", ".join(f"`{heading[:60]}`" for heading in headings if heading) or "nothing"
