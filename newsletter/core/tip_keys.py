"""The keys of a tip file: the values that each allows, and the rules between them.

In: front matter that was read. Out: a `TipDraft` without its body, and faults, each with its line. It never stops at
the first fault, so a draft it returns counts only when there are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from difflib import get_close_matches

from newsletter.core.front_matter import NOT_IN_A_LINE, Entry, Fault, FrontMatter, quoted
from newsletter.core.tip import SLUG_LIMIT, Season, TipDraft, TipPart, TipStatus, slug_from
from newsletter.core.tip_body import merge_field_faults

TITLE_LIMIT = 200
SUBJECT_LIMIT = 200
PREHEADER_LIMIT = 150
NAME_LIMIT = 80
"""Characters of an author, a tag or a series."""
TAGS_LIMIT = 20
PART_LIMIT = 999

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SEASON = re.compile(r"([0-9]{2})-([0-9]{2})\s*\.\.\s*([0-9]{2})-([0-9]{2})")
_TRUTHS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_LEAP_DAY = date(2024, 2, 29)
_FIRST_MAIL = date(1971, 1, 1)
"""No mail is older than this year."""
_INSTANT = re.compile(r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ][0-9:.]{4,15} ?(?:Z|UTC|[+-][0-9]{2}:?[0-9]{2})?)?")
"""A date as other programs write it into `date`, with or without a time and an offset."""
_KEYS = (
    "title",
    "slug",
    "subject",
    "preheader",
    "author",
    "tags",
    "evergreen",
    "season",
    "pin",
    "series",
    "part",
    "first_published",
    "listed",
    "status",
)
_OTHER_WORDS = {
    "description": "preheader",
    "draft": "status: draft",
    "excerpt": "preheader",
    "published": "status: approved",
    "summary": "preheader",
}
"""Keys of other programs' files that are not understood, and what to write instead."""
_ALIASES = {"date": "first_published", "categories": "tags"}
"""Keys of other programs' files, and what they are called here."""


class Reading:
    """One file's keys on their way to a draft; collects faults instead of stopping at the first."""

    def __init__(self, front: FrontMatter) -> None:
        """Take the keys as they were read."""
        self.faults: list[Fault] = []
        self._first_line = front.first_line
        self._unreadable = front.unreadable
        self._entries = {entry.key: entry for entry in front.entries}
        self._take_aliases()

    def draft(self) -> TipDraft:
        """Read every key; the result counts only if there are no faults."""
        self._unknown_keys()
        title = self._title()
        subject = self._line("subject", SUBJECT_LIMIT, merge=True)
        draft = TipDraft(
            slug=self._slug(title),
            title=title,
            subject=subject or title,
            preheader=self._line("preheader", PREHEADER_LIMIT, merge=True),
            author=self._line("author", NAME_LIMIT),
            tags=self._tags(),
            evergreen=self._truth("evergreen", default=False),
            season=self._season(),
            pin=self._date("pin", self._text("pin")),
            part=self._part(),
            first_published=self._first_published(),
            listed=self._truth("listed", default=True),
            status=self._status(),
            body="",
        )
        self._pairs(draft)
        return draft

    def _fault(self, key: str, text: str) -> None:
        entry = self._entries.get(key)
        name = (entry.alias if entry else "") or key
        self.faults.append(Fault(entry.line if entry else self._first_line, f"{name}: {text}"))

    def _take_aliases(self) -> None:
        """Read `date` and `categories` under the names that they have here; a file may say each thing once."""
        for alias, key in _ALIASES.items():
            entry = self._entries.pop(alias, None)
            if entry is None:
                continue
            if key in self._entries:
                line = self._entries[key].line
                self.faults.append(Fault(entry.line, f"{alias}: line {line} says it already as “{key}”; keep one"))
            else:
                self._entries[key] = replace(entry, alias=alias)

    def _unknown_keys(self) -> None:
        known = [*_KEYS, *_ALIASES]
        for entry in self._entries.values():
            if entry.key not in known:
                other = _OTHER_WORDS.get(entry.key.lower())
                alike = (
                    [other] if other else get_close_matches(entry.key.lower().replace("-", "_"), known, n=1, cutoff=0.6)
                )
                hint = f"did you mean “{alike[0]}”?" if alike else f"the keys are {', '.join(known)}"
                self.faults.append(Fault(entry.line, f"{quoted(entry.key)} is not a key of a tip; {hint}"))

    def _text(self, key: str) -> str:
        """Return a value that must be one, not a list; empty when the key is missing or says nothing."""
        entry = self._entries.get(key, Entry(key=key, line=1, text=""))
        if entry.text is None:
            self._fault(key, "write one value here, not a list")
        return entry.text or ""

    def _line(self, key: str, limit: int, *, merge: bool = False) -> str:
        value = self._text(key)
        for problem in _line_problems(value, limit):
            self._fault(key, problem)
        if "{{" in value and not merge:
            self._fault(key, "merge fields belong in the text, the subject or the preheader")
        else:
            for fault in merge_field_faults(value, 1):
                self._fault(key, fault.text)
        return value

    def _title(self) -> str:
        title = self._line("title", TITLE_LIMIT)
        if not self._says("title"):
            self._fault("title", "missing; every tip needs one, such as “title: Answer with a date”")
        return title

    def _slug(self, title: str) -> str:
        slug = self._text("slug")
        if slug:
            self._as_name("slug", slug, SLUG_LIMIT)
        elif title:
            slug = slug_from(title)
            if not slug:
                self._fault(
                    "slug", "missing, and the title has no letters from a to z to make one of; write “slug: some-words”"
                )
        return slug

    def _as_name(self, key: str, value: str, limit: int) -> None:
        if len(value) > limit:
            self._fault(key, f"{len(value)} characters long; {limit} are the limit")
        elif not _SLUG.fullmatch(value):
            better = slug_from(value)
            hint = f", such as {better}" if better else ""
            self._fault(key, f"{quoted(value)} may hold only a to z, 0 to 9 and single hyphens{hint}")

    def _tags(self) -> tuple[str, ...]:
        entry = self._entries.get("tags")
        if entry is None:
            return ()
        parts = entry.items if entry.items is not None else tuple((entry.text or "").split(","))
        tags: dict[str, str] = {}
        for part in parts:
            tag = part.strip()
            for problem in _line_problems(tag, NAME_LIMIT):
                self._fault("tags", problem)
            if "," in tag:
                self._fault("tags", f"{quoted(tag)} holds a comma; write two tags")
            if tag:
                tags.setdefault(tag.casefold(), tag)
        if len(tags) > TAGS_LIMIT:
            self._fault("tags", f"{len(tags)} of them; {TAGS_LIMIT} are the limit")
        return tuple(tags.values())

    def _truth(self, key: str, *, default: bool) -> bool:
        value = self._text(key)
        if value and value.lower() not in _TRUTHS:
            self._fault(key, f"{quoted(value)} is neither true nor false")
        return _TRUTHS.get(value.lower(), default)

    def _season(self) -> Season | None:
        value = self._text("season")
        if not value:
            return None
        match = _SEASON.fullmatch(value)
        if match is None:
            self._fault(
                "season", f"{quoted(value)} is not a part of the year; write month and day twice, such as 11-15..12-31"
            )
            return None
        first, last = (int(match[1]), int(match[2])), (int(match[3]), int(match[4]))
        for month, day in (first, last):
            if _day(_LEAP_DAY.year, month, day) is None:
                self._fault("season", f"there is no day {month:02}-{day:02} (month, then day)")
                return None
        return Season(first=first, last=last)

    def _first_published(self) -> date | None:
        """Read `first_published`, or `date`, which other programs write with a time."""
        key = "first_published"
        value = self._text(key)
        instant = _INSTANT.fullmatch(value)
        entry = self._entries.get(key)
        if instant is not None and entry is not None and entry.alias:
            value = instant["day"]
        day = self._date(key, value)
        if day is not None and day < _FIRST_MAIL:
            self._fault(key, f"{day} is before the first mail was sent; write the year with its century")
        return day

    def _date(self, key: str, value: str) -> date | None:
        if not value:
            return None
        if not _DATE.fullmatch(value):
            alone = _DATE.match(value)
            example = alone[0] if alone else "2026-12-22"
            hint = (
                f"; a date stands alone, without a time: {example}"
                if alone
                else f"; write year, month and day like {example}"
            )
            self._fault(key, f"{quoted(value)} is not a date I understand{hint}")
            return None
        day = _day(int(value[:4]), int(value[5:7]), int(value[8:]))
        if day is None:
            self._fault(key, f"there is no day {value} (year, month, day)")
        return day

    def _part(self) -> TipPart | None:
        series, number = self._text("series"), self._text("part")
        if series:
            self._as_name("series", series, NAME_LIMIT)
        valid = re.fullmatch(r"[0-9]{1,4}", number) is not None and 1 <= int(number) <= PART_LIMIT
        if number and not valid:
            self._fault("part", f"{quoted(number)} is not a number from 1 to {PART_LIMIT}")
        return TipPart(series=series, number=int(number)) if series and valid else None

    def _status(self) -> TipStatus:
        value = self._text("status").lower()
        if value in {"", TipStatus.DRAFT}:
            return TipStatus.DRAFT
        if value != TipStatus.APPROVED:
            reason = "that is decided by sending and retiring, not by the file; " if value in set(TipStatus) else ""
            self._fault("status", f"{quoted(value)} cannot be set; {reason}write draft or approved")
        return TipStatus.APPROVED

    def _pairs(self, draft: TipDraft) -> None:
        """Check the keys that need or exclude each other."""
        if self._says("series") and not self._says("part"):
            self._fault("series", "without “part”; say which part this is, such as “part: 1”")
        if self._says("part") and not self._says("series"):
            self._fault("part", "without “series”; say of which series this is a part")
        if self._says("season") and not draft.evergreen and "evergreen" not in self._unreadable:
            self._fault("season", "only an evergreen tip has one; add “evergreen: true”, or use “pin” for one date")

    def _says(self, key: str) -> bool:
        """Tell whether a key has any value, valid or not."""
        entry = self._entries.get(key)
        return key in self._unreadable or (entry is not None and (bool(entry.text) or entry.items is not None))


def _line_problems(value: str, limit: int) -> Iterator[str]:
    """Yield what keeps a value from being one line of a mail."""
    bad = NOT_IN_A_LINE.search(value)
    if bad and bad[0] == "\n":
        yield "must be on one line"
    elif bad:
        yield f"U+{ord(bad[0]):04X} is an invisible character that does not belong there; delete it"
    if len(value) > limit:
        yield f"{len(value)} characters long; {limit} are the limit"


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
