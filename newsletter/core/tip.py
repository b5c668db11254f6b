"""A tip: one piece of content, Markdown with front matter.

In: the text of a tip file. Out: a `TipDraft`, or every fault of the file with its line. It never renders and never reads a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import NewType

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


@dataclass(frozen=True, slots=True, kw_only=True)
class TipDraft:
    """What a tip file says, checked; not yet in the store."""

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
    series: str | None = None
    part: int | None = None
    first_published: date | None = None
    """When the tip was sent before this software; it counts as sent."""
    status: TipStatus = TipStatus.DRAFT
    body: str
    """Markdown, without the front matter."""
    body_line: int = 1
    """The line of the file on which the body begins, so that later faults can name their line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """A tip of the store."""

    id: TipId
    slug: str
    title: str
    subject: str
    preheader: str = ""
    author: str = ""
    tags: tuple[str, ...] = ()
    evergreen: bool = False
    season: Season | None = None
    pin: date | None = None
    series: str | None = None
    part: int | None = None
    first_published: date | None = None
    status: TipStatus
    body: str
    position: int
    """Place in the queue: lower goes first; unique."""
