"""A tip: one piece of content, with the states it goes through and the names it answers to.

In: tips, and what a person asks of one. Out: the next value, or why it cannot be. Tip files are read in
`core/tip_file.py`. It never renders and never reads a file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from difflib import get_close_matches
from enum import StrEnum
from typing import NewType

from newsletter.errors import InputError

SLUG_LIMIT = 80
CANDIDATES_SHOWN_MAX = 5

TipId = NewType("TipId", int)


class TipStatus(StrEnum):
    """`draft → approved → sent`, or `retired`; an evergreen stays `approved` after it was sent."""

    DRAFT = "draft"
    APPROVED = "approved"
    SENT = "sent"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """A part of the year, both ends included; it may run over the new year (`11-15..01-06`)."""

    first: tuple[int, int]
    """Month and day."""
    last: tuple[int, int]

    def __str__(self) -> str:
        """Return `11-15..12-31`, as a tip file says it."""
        return f"{self.first[0]:02}-{self.first[1]:02}..{self.last[0]:02}-{self.last[1]:02}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TipPart:
    """The place of a tip in a series: part 2 waits for part 1."""

    series: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TipContent:
    """What a tip says, and how it may be sent: the part that its file has."""

    slug: str
    title: str
    subject: str
    """Equal to the title unless the file says otherwise."""
    preheader: str = ""
    author: str = ""
    tags: tuple[str, ...] = ()
    evergreen: bool = False
    season: Season | None = None
    pin: date | None = None
    part: TipPart | None = None
    first_published: date | None = None
    """When the tip was sent before this software; it counts as sent."""
    listed: bool = True
    """False: its page in the public archive is found by its address alone."""
    body: str
    """Markdown, without the front matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TipDraft(TipContent):
    """What a tip file says, checked; not yet in the store."""

    status: TipStatus = TipStatus.DRAFT
    body_line: int = field(default=1, compare=False)
    """The line of the file on which the body begins, so that later faults can name theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip(TipContent):
    """A tip of the store."""

    id: TipId
    status: TipStatus
    position: int
    """Place in the queue: lower goes first; unique."""


def approve(tip: Tip, *, was_sent: bool = False) -> Tip:
    """Return the tip approved; one that is approved already comes back unchanged.

    `was_sent` tells of a retired tip whether an edition of it went out. Raises `InputError` for one that had its turn.
    """
    had_its_turn = tip.status is TipStatus.SENT or (tip.status is TipStatus.RETIRED and was_sent)
    if had_its_turn and not tip.evergreen:
        message = f"{tip.slug} was sent already; set “evergreen: true” in it to send it again, or copy it to a new tip"
        raise InputError(message)
    return replace(tip, status=TipStatus.APPROVED)


def retire(tip: Tip) -> Tip:
    """Return the tip retired, and unpinned so that its date is free; one that is retired already comes back unchanged.

    Raises `InputError` for a tip that was sent and is not evergreen: it will not be sent again anyway.
    """
    if tip.status is TipStatus.RETIRED:
        return tip
    if tip.status is TipStatus.SENT and not tip.evergreen:
        message = f"{tip.slug} was sent already and will not be sent again; there is nothing to retire"
        raise InputError(message)
    return replace(tip, status=TipStatus.RETIRED, pin=None)


def draft_of(tip: Tip) -> TipDraft:
    """Return what the file of a stored tip would say.

    A file knows drafts and approved tips only: a sent tip reads as approved, a retired one as a draft, and the store
    keeps what really became of it.
    """
    approved = tip.status in {TipStatus.APPROVED, TipStatus.SENT}
    return TipDraft(
        slug=tip.slug,
        title=tip.title,
        subject=tip.subject,
        preheader=tip.preheader,
        author=tip.author,
        tags=tip.tags,
        evergreen=tip.evergreen,
        season=tip.season,
        pin=tip.pin,
        part=tip.part,
        first_published=tip.first_published,
        listed=tip.listed,
        status=TipStatus.APPROVED if approved else TipStatus.DRAFT,
        body=tip.body,
    )


_UNFOLDED = str.maketrans(
    {
        "ß": "ss",
        "æ": "ae",
        "Æ": "ae",
        "œ": "oe",
        "Œ": "oe",
        "ø": "o",
        "Ø": "o",
        "ł": "l",
        "Ł": "l",
        "đ": "d",
        "Đ": "d",
        "\u0131": "i",
        "&": " and ",
    }
)
_APOSTROPHES = re.compile("['\u2019\u02bc]")


def slug_from(text: str) -> str:
    """Return the slug that a title suggests: ASCII, lower case, hyphens, at most 80 characters; may be empty."""
    without_accents = unicodedata.normalize("NFKD", _APOSTROPHES.sub("", text).translate(_UNFOLDED))
    ascii_only = "".join(mark for mark in without_accents if not unicodedata.combining(mark))
    words = re.findall(r"[a-z0-9]+", ascii_only.lower())
    slug = "-".join(words)
    if len(slug) <= SLUG_LIMIT:
        return slug
    whole_words = slug[: SLUG_LIMIT + 1].rpartition("-")[0]
    return whole_words or slug[:SLUG_LIMIT]


def resolve_slug(slugs: Iterable[str], text: str) -> str:
    """Return the one slug that a person means: the slug itself, or an unambiguous beginning of it.

    Raises `InputError` whose details are the candidates, or names that look alike.
    """
    known = sorted(set(slugs))
    beginning = text.strip().lower()
    if beginning in known:
        return beginning
    matches = [slug for slug in known if beginning and slug.startswith(beginning)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        message = f"{text.strip()!r} begins the name of {len(matches)} tips; write more of the one you mean"
        raise InputError(message, details=_shown(matches))
    alike = get_close_matches(beginning, known, n=CANDIDATES_SHOWN_MAX, cutoff=0.6)
    hint = "did you mean one of these?" if alike else "`newsletter tip list` shows all names"
    message = f"there is no tip {text.strip()!r}; {hint}"
    raise InputError(message, details=_shown(alike))


def _shown(slugs: list[str]) -> tuple[str, ...]:
    """Return the first few, and how many more there are."""
    more = len(slugs) - CANDIDATES_SHOWN_MAX
    return (*slugs[:CANDIDATES_SHOWN_MAX], *([f"and {more} more"] if more > 0 else []))
