"""An edition: a slot with its tip, its frozen content and its frozen audience."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NewType

from newsletter.core.lineup import Source
from newsletter.core.tip import TipId

EditionId = NewType("EditionId", int)


class EditionStatus(StrEnum):
    """`sending / paused → finished / cancelled`."""

    SENDING = "sending"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


def edition_name(day: date, number: int) -> str:
    """Return `2026-11-24`, or `2026-11-24.2` for the second edition of that date."""
    return day.isoformat() if number == 1 else f"{day.isoformat()}.{number}"


def standing(status: EditionStatus, why: str) -> str:
    """Say how an edition stands, and why, as part of a sentence: `paused: a typo`, `paused by ann`."""
    why = why.rstrip(". ")
    if why.casefold().startswith(status.value) and not why[len(status.value) : len(status.value) + 1].isalnum():
        # People write "paused for a typo" of what they paused.
        return status.value + why[len(status.value) :]
    return f"{status.value}{' ' if why.startswith(_BY) else ': ' if why else ''}{why}"


_BY = "by "
"""How the reason begins when none was given: it names the person, or the way."""


class EditionKind(StrEnum):
    """What an edition is to the other ones of its date."""

    REGULAR = "regular"
    REPLACEMENT = "replacement"
    """For those whom a wrong one, stopped on its way, did not reach."""
    CORRECTION = "correction"
    """For those whom an earlier one did reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditionTip:
    """The tip of an edition, as it was when it was frozen, and why the lineup chose it."""

    id: TipId
    slug: str
    title: str
    source: Source
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One mailing, named by its date; a second one on that date is `DATE.2`."""

    id: EditionId
    date: date
    number: int = 1
    tip: EditionTip
    status: EditionStatus
    status_why: str = ""
    """Why it is paused or was cancelled, in words."""
    audience: int
    """People in the frozen audience; never recomputed."""
    nonce: str
    """Part of every Message-ID of this edition; frozen so that a retry bears the same one."""
    sends_at: datetime
    """The slot's instant."""
    started_at: datetime
    tried_at: datetime | None = None
    """When everybody had had a first try; None before."""
    finished_at: datetime | None = None
    kind: EditionKind = EditionKind.REGULAR
    of_edition: EditionId | None = None
    """The edition that it replaces or corrects."""
    local: bool = False
    """Whether it goes out in waves, by each reader's own clock."""

    @property
    def title(self) -> str:
        """Return the title of its tip, which readers see as the title of the mail."""
        return self.tip.title

    @property
    def standing(self) -> str:
        """Return the status with its reason, as part of a sentence."""
        return standing(self.status, self.status_why)

    @property
    def by_somebody(self) -> bool:
        """Tell whether the reason only says who, or by which way."""
        return self.status_why.startswith(_BY)

    @property
    def name(self) -> str:
        """Return `2026-11-24`, or `2026-11-24.2` for a second edition of that date."""
        return edition_name(self.date, self.number)
