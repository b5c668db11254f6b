"""When the next tip comes, for a person in a zone, and what the last one was: for the public pages.

In: a transaction. Out: an instant, and the title of what everybody has already. A draft, or the tip of a coming date,
is never read here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from newsletter.core.cadence import Cadence, instant, is_zone, local, wall_time
from newsletter.core.edition import EditionKind, EditionStatus
from newsletter.flows.send_now import early_slot_in
from newsletter.store import edition as editions
from newsletter.store.unit import Tx

_EDITIONS_READ_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class LastIssue:
    """The tip that went out last."""

    title: str
    date: date


def next_issue_at(tx: Tx, cadence: Cadence, time_zone: str, *, now: datetime) -> datetime:
    """Return when the next tip reaches a person in a zone; '' is the zone of the newsletter."""
    slot = early_slot_in(tx, cadence, None, now=now)
    if not cadence.locally or not is_zone(time_zone):
        return slot.at_home
    return instant(slot.date, wall_time(cadence, slot), time_zone)


def last_issue(tx: Tx, zone: str) -> LastIssue | None:
    """Return the newest edition that is through, corrections aside; None before the first.

    Its date is the day on which readers got it: of an edition that was sent early, the date itself is still to come.
    """
    for edition in editions.latest(tx, count=_EDITIONS_READ_MAX):
        if edition.status is not EditionStatus.FINISHED or edition.kind is EditionKind.CORRECTION:
            continue
        ended = edition.date if edition.finished_at is None else local(edition.finished_at, zone).date()
        return LastIssue(title=edition.title, date=min(edition.date, ended))
    return None
