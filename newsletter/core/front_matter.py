"""The front matter of a file: YAML keys between two lines of three hyphens, each key with its line.

In: the text of a file. Out: its entries and where the rest begins, and faults, each with its line. Values stay
text: `yes`, `2026` and `1e3` are what the author typed. It reads the event stream and builds no objects, so no alias,
tag or nesting can make it work hard.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import yaml

FENCE = "---"
FRONT_MATTER_LIMIT = 16 * 1024
"""Characters; the scanner's work grows faster than its input."""
UNREADABLE = "this is not a “key: value” line that can be read, such as “title: Answer with a date”; quotes may help"
SHOWN_LENGTH_MAX = 60
"""Characters of a value that a fault repeats."""

NOT_IN_A_LINE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""What no line of a header may hold: category Cc, what breaks a line, and the marks that reverse its direction."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong with a file, on one line of it."""

    line: int
    text: str

    def __str__(self) -> str:
        """Return `line 4: pin: …`."""
        return f"line {self.line}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One key with its value; exactly one of `text` and `items` is set."""

    key: str
    line: int
    text: str | None = None
    items: tuple[str, ...] | None = None
    alias: str = ""
    """The key as the file has it, where it is another program's name for `key`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontMatter:
    """What stands above the body."""

    entries: tuple[Entry, ...]
    unreadable: frozenset[str]
    """Keys whose value cannot be read; each has a fault."""
    first_line: int
    """The line of the opening fence."""
    end_line: int
    """The line of the closing fence."""


def quoted(value: str) -> str:
    """Return a value as a fault shows it: on one line, shortened, nothing invisible."""
    visible = NOT_IN_A_LINE.sub(lambda match: f"<U+{ord(match[0]):04X}>", value)
    return f"“{visible if len(visible) <= SHOWN_LENGTH_MAX else visible[: SHOWN_LENGTH_MAX - 1] + '…'}”"


def has_front_matter(text: str) -> bool:
    """Tell whether the first line that is not blank is a fence."""
    first = next((line for line in text.split("\n") if line.strip()), "")
    return first.rstrip() == FENCE


def read_front_matter(text: str) -> tuple[FrontMatter | None, list[Fault]]:
    """Find the front matter and read its keys; None when there is none or it does not end.

    Line ends are single line feeds, and there is no byte order mark.
    """
    lines = text.split("\n")
    start = next((n for n, line in enumerate(lines) if line.strip()), None)
    if start is None:
        return None, [
            Fault(
                1,
                "the file is empty; a tip begins with its title: “# Title”, or a key between two lines of ---",
            )
        ]
    if lines[start].rstrip() != FENCE:
        text = (
            "a tip begins with its title: a line such as “# Answer with a date”, or “title: …” between two lines of ---"
        )
        return None, [Fault(start + 1, text)]
    end = next((n for n in range(start + 1, len(lines)) if lines[n].rstrip() == FENCE), None)
    if end is None:
        return None, [
            Fault(
                start + 1, "the front matter that begins here has no end; close it with a line of three hyphens (---)"
            )
        ]
    source = lines[start + 1 : end]
    if sum(map(len, source)) > FRONT_MATTER_LIMIT:
        problem = (
            f"the front matter is longer than {FRONT_MATTER_LIMIT:,} characters; does it end where you meant it to?"
        )
        return None, [Fault(start + 1, problem)]
    entries, unreadable, faults = _read_keys(source, start + 2)
    front = FrontMatter(entries=entries, unreadable=unreadable, first_line=start + 1, end_line=end + 1)
    return front, faults


def _read_keys(source: list[str], first_line: int) -> tuple[tuple[Entry, ...], frozenset[str], list[Fault]]:
    """Read the YAML key by key, so that one broken line does not hide the faults of all others."""
    entries: list[Entry] = []
    unreadable: set[str] = set()
    faults: list[Fault] = []
    for start, chunk in _chunks(source):
        before = len(entries)
        _read_chunk(chunk, first_line + start, entries, faults)
        if len(entries) == before:
            unreadable.add(chunk[0].partition(":")[0].strip())
    return _without_doubles(entries, faults), frozenset(unreadable), faults


def _chunks(source: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield each key with the lines that belong to it: blank or indented ones, comments and list items."""
    starts = [n for n, line in enumerate(source) if line.strip() and not re.match(r"[ \t#\]}]|- |-$", line)]
    lead = next((n for n, line in enumerate(source) if line.strip() and not line.lstrip().startswith("#")), None)
    if lead is not None and lead not in starts:
        starts.insert(0, lead)
    for start, end in pairwise([*starts, len(source)]):
        yield start, source[start:end]


def _read_chunk(chunk: list[str], first_line: int, entries: list[Entry], faults: list[Fault]) -> None:
    events = _Events("\n".join(chunk), first_line)
    try:
        events.read(entries, faults)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        offset = min(mark.line if mark else 0, len(chunk) - 1)
        faults.append(Fault(first_line + offset, _explain(error, chunk[offset])))
    except (yaml.YAMLError, ValueError, OverflowError):
        # PyYAML lets the last two through for an escape beyond Unicode and for a %YAML number that is too long.
        faults.append(Fault(first_line, UNREADABLE))


class _Events:
    """Walks the YAML events of one key with its value."""

    def __init__(self, source: str, first_line: int) -> None:
        self._events: Iterator[yaml.Event] = iter(yaml.parse(source, Loader=yaml.SafeLoader))
        self._first_line = first_line
        self.line = first_line

    def read(self, entries: list[Entry], faults: list[Fault]) -> None:
        """Append the entries; stop where the rest of the key cannot be trusted."""
        event = self._next()
        while isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
            event = self._next()
        if not isinstance(event, yaml.MappingStartEvent):
            faults.append(Fault(self.line, UNREADABLE))
            return
        self._forbid(event, faults)
        event = self._next()
        while not isinstance(event, yaml.MappingEndEvent):
            if not self._read_pair(event, entries, faults):
                return
            event = self._next()

    def _read_pair(self, event: yaml.Event, entries: list[Entry], faults: list[Fault]) -> bool:
        line = self.line
        self._forbid(event, faults)
        if not isinstance(event, yaml.ScalarEvent):
            faults.append(Fault(line, "a key must be a plain word, such as “title”"))
            return False
        key = event.value.strip()
        value = self._next()
        self._forbid(value, faults)
        if isinstance(value, yaml.ScalarEvent):
            entries.append(Entry(key=key, line=line, text=_scalar(value)))
            return True
        if isinstance(value, yaml.SequenceStartEvent):
            items = self._read_list(key, faults)
            if items is not None:
                entries.append(Entry(key=key, line=line, items=items))
            return items is not None
        if not isinstance(value, yaml.AliasEvent):
            faults.append(Fault(self.line, f"{quoted(key)} has keys of its own below it; write one value or a list"))
        return False

    def _read_list(self, key: str, faults: list[Fault]) -> tuple[str, ...] | None:
        items: list[str] = []
        event = self._next()
        while not isinstance(event, yaml.SequenceEndEvent):
            self._forbid(event, faults)
            if not isinstance(event, yaml.ScalarEvent):
                faults.append(Fault(self.line, f"the list of {quoted(key)} may hold plain words only"))
                return None
            items.append(_scalar(event))
            event = self._next()
        return tuple(items)

    def _next(self) -> yaml.Event:
        event = next(self._events)
        if event.start_mark is not None:
            self.line = self._first_line + event.start_mark.line
        return event

    def _forbid(self, event: yaml.Event, faults: list[Fault]) -> None:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            faults.append(
                Fault(self.line, "YAML anchors (&) and aliases (*) are not used here; put the value in quotes")
            )
        if getattr(event, "tag", None):
            faults.append(Fault(self.line, "YAML tags (!) are not used here; put the value in quotes"))


def _scalar(event: yaml.ScalarEvent) -> str:
    """Return the text as typed; `~` and `null` without quotes mean nothing at all."""
    if event.style is None and event.value in {"~", "null", "Null", "NULL"}:
        return ""
    return str(event.value).strip()


def _explain(error: yaml.MarkedYAMLError, line: str) -> str:
    """Return the error of the scanner in plain language."""
    problem = str(error.problem or "")
    if "\\t" in problem or line.startswith("\t"):
        return "a tab cannot stand at the beginning of a line or a value; use blanks"
    if "mapping values are not allowed" in problem and line.count(":") > 1:
        return "there is a second “:” on this line; put the value in quotes"
    return UNREADABLE


def _without_doubles(entries: list[Entry], faults: list[Fault]) -> tuple[Entry, ...]:
    """Keep the first of each key; a second one is a fault: either may be meant."""
    first: dict[str, Entry] = {}
    for entry in entries:
        if entry.key in first:
            faults.append(
                Fault(
                    entry.line,
                    f"{quoted(entry.key)} appears twice; it is on line {first[entry.key].line} already",
                )
            )
        else:
            first[entry.key] = entry
    return tuple(first.values())
