"""The diary of a simulation: what happened when, and what became of each date.

In: entries as they happen, slots and editions at the end. Out: lines for people, values for programs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from itertools import takewhile
from textwrap import wrap

from newsletter.core.cadence import local
from newsletter.simulation.script import DeliveredMail
from newsletter.wording import MONTHS, people_words, plural, weekday_name


class EntryKind(StrEnum):
    """Who or what an entry is about."""

    MAIL = "mail"
    """A mail to the people who run the newsletter."""
    COMMAND = "command"
    """The command of NEWSLETTER_ALERT_COMMAND was run."""
    EDITION = "edition"
    """An edition went out."""
    NOTHING = "nothing"
    """A date went by without one."""
    PERSON = "person"
    """Somebody did something."""
    WORLD = "trouble"
    """Something happened to the machine or to the mail server."""


DIARY_WIDTH = 120
_BENEATH = " " * 35


FOLDED = ("Alert:", "Passed:")
"""How mails begin that a long trouble repeats; a proof or a report is never left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiaryEntry:
    """One line of the diary, and what it says beneath."""

    at: datetime
    kind: EntryKind
    words: str
    details: tuple[str, ...] = ()
    folded: bool = False
    """Left out of the text, as many like it stand there already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiaryDay:
    """What became of one date."""

    date: date
    extra: bool
    outcome: str
    """`sent`, `early`, `late`, `skipped`, `missed`, `empty`, or `open` when it was still to come."""
    tip: str | None
    audience: int
    counts: dict[str, int]
    """What became of the audience; the values add up to it."""
    why: str


@dataclass(kw_only=True)
class Diary:
    """Everything that one simulation came to."""

    zone: str
    entries: list[DiaryEntry] = field(default_factory=list)
    days: list[DiaryDay] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    folding: bool = False
    """While it is set, alerts are folded."""

    def add(self, at: datetime, kind: EntryKind, words: str, *details: str) -> None:
        """Write an entry."""
        folded = self.folding and (kind is EntryKind.COMMAND or (kind is EntryKind.MAIL and words.startswith(FOLDED)))
        self.entries.append(DiaryEntry(at=at, kind=kind, words=words, details=details, folded=folded))

    def lines(self) -> Iterator[str]:
        """Yield the diary as text, month by month."""
        month = ""
        for entry in self.entries:
            if entry.folded:
                continue
            there = local(entry.at, self.zone)
            if month and month != f"{there:%Y-%m}":
                yield ""
            month = f"{there:%Y-%m}"
            yield f"{_day(there)} {there:%H:%M}  {entry.kind.value:<8} {entry.words}"
            for detail in entry.details:
                yield from wrap(detail, DIARY_WIDTH, initial_indent=_BENEATH, subsequent_indent=_BENEATH)

    def summary(self) -> Iterator[str]:
        """Yield what it came to, in a few lines."""
        weekly = Counter(day.outcome for day in self.days if not day.extra)
        extra = Counter(day.outcome for day in self.days if day.extra)
        yield f"{_many(sum(weekly.values()), 'weekly date')}: {_named(weekly) or 'none'}."
        if extra:
            yield f"{_many(sum(extra.values()), 'extra date')}: {_named(extra)}."
        kinds = Counter(entry.kind for entry in self.entries)
        mails, runs = _many(kinds[EntryKind.MAIL], "mail"), _many(kinds[EntryKind.COMMAND], "time")
        yield f"{mails} to the people who run it; the alert command was run {runs}."
        yield from (f"Warning: {warning}" for warning in self.warnings)


OUTCOMES = {
    "sent": "sent on time",
    "early": "sent early",
    "late": "sent late",
    "skipped": "skipped on purpose",
    "missed": "missed",
    "empty": "with nothing to send",
    "open": "still to come",
}
"""What becomes of a date, in words."""


def _many(count: int, singular: str) -> str:
    return plural(count, singular)


def _named(outcomes: Counter[str]) -> str:
    return ", ".join(f"{outcomes[one]} {words}" for one, words in OUTCOMES.items() if outcomes[one])


def _day(there: datetime) -> str:
    """Return `Tue  5 Jan 2027`, in English whatever the locale."""
    return f"{weekday_name(there.weekday())[:3]} {there.day:>2} {MONTHS[there.month - 1][:3]} {there.year}"


def diary_entries(diary: Diary, mails: Sequence[DeliveredMail], *, prefix: str) -> None:
    """Write mails into the diary; one that several people get is one entry."""
    people: dict[tuple[datetime, str, tuple[str, ...]], set[str]] = {}
    for mail in mails:
        people.setdefault((mail.at, mail.subject.removeprefix(prefix), _gist(mail.text)), set()).add(mail.to)
    for (at, subject, text), to in people.items():
        many = f" (to {people_words(len(to))})" if len(to) > 1 else ""
        quiet = subject.startswith(_PLAIN) or _REACHED_ALL.match(subject)
        diary.add(at, EntryKind.MAIL, subject + many, *(() if quiet else text))


_PLAIN = "Proof for "
_REACHED_ALL = re.compile(r"([\d,]+) of \1: ")
"""The subjects of the two mails of a week in which all is well; they say enough."""


def _gist(text: str) -> tuple[str, ...]:
    """Return what a notice says first: what changed, or the paragraphs between its heading and its facts."""
    if changed := re.search(r"^Changed: .+", text, re.MULTILINE):
        return (changed[0].strip(),)
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text)]
    return tuple(takewhile(lambda part: not part.startswith(_AFTER_LEAD), paragraphs[1:]))


_AFTER_LEAD = ("When: ", "Since: ", "Tip: ", "So far: ", "With a link (", "At a terminal:", "-- ")
"""How the paragraph after the lead begins: with facts, or with what can be done."""
