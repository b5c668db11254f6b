"""The monitor's rules: trouble, present or near, that would go unnoticed without an alert.

In: one look at everything, as values. Out: the troubles of this moment. `operations/monitor.py` compares them with the
open alerts, raises new ones and clears old ones; this module reads no clock, disk or database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from newsletter.core.alert import AlertKind
from newsletter.core.cadence import SlotState, describe_instant
from newsletter.core.edition import Edition, EditionStatus
from newsletter.core.forecast import Stock
from newsletter.core.lineup import Choice
from newsletter.core.liveness import ALERT_AFTER

EMPTY_AHEAD = timedelta(days=2)
SETTLING_IN = timedelta(hours=1)
"""After the first tick a short queue raises no alert: it is about to be filled."""

LEAST_FREE_BYTES = 500 * 1024 * 1024
LEAST_FREE_SHARE = 0.05

SENDING_AFTER = timedelta(minutes=5)
"""A quick edition has one mail, its report; a slow one has another while it goes out: a person may stop it."""

REPORT_AFTER = timedelta(hours=6)
"""A full mailbox may hold an edition open for three days; the report of a Tuesday comes on that Tuesday."""

OLD_NEWS = timedelta(days=8)
"""An edition that ended earlier is reported no more, so that the first admin gets no mails about the past."""

LATE_REPORT = timedelta(days=80)
"""The last edition that ended is reported within this time, since the service may have been down from then on.

Less than the 90 days for which every notice is kept: a report that was mailed is still known as mailed.
"""


class ServicePart(StrEnum):
    """The parts of the service that give signs of life in the database."""

    SCHEDULER = "scheduler"
    SENDER = "sender"


STOCK = "stock"
DISK = "disk"

WATCHED = frozenset(
    {
        AlertKind.LOW_STOCK,
        AlertKind.EMPTY_AHEAD,
        AlertKind.SENDER_SILENT,
        AlertKind.SCHEDULER_SILENT,
        AlertKind.DISK,
    }
)
"""The kinds this module judges anew at every look: one that it no longer finds has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Room beside the database, in bytes."""

    free: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One look."""

    now: datetime
    zone: str
    first_tick_at: datetime
    watching_since: datetime
    """When this process began to look; how long a part was dead before that is not reported."""
    choices: Sequence[Choice] = ()
    """The lineup of the coming slots, a week further than the stock is judged."""
    stock: Stock = field(default_factory=Stock)
    low_stock_weeks: int = 0
    stock_is_low: bool = False
    """Whether there is an alert already."""
    audience: int = 0
    beats: Mapping[AlertKind, datetime | None] | None = None
    """The last sign of life of the parts that this one watches, by what their silence is called."""
    space: Space | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What an alert will say."""

    kind: AlertKind
    about: str
    message: str


def troubles(view: View) -> list[Trouble]:
    """Return everything that is wrong at this moment."""
    items = [*_silences(view), *_disk(view)]
    if view.now - view.first_tick_at >= SETTLING_IN:
        items += [*_stock(view), *_empty_ahead(view)]
    return items


def _stock(view: View) -> list[Trouble]:
    # One week more is asked before it has passed: a tip a week would otherwise cross the line every week.
    enough = view.low_stock_weeks + (1 if view.stock_is_low else 0)
    if not view.low_stock_weeks or view.stock.fresh >= enough:
        return []
    message = (
        f"The coming weeks have {view.stock.describe()}; NEWSLETTER_LOW_STOCK_WEEKS asks for {view.low_stock_weeks}. "
        "`newsletter tip new` begins another, and `newsletter queue` shows what goes out when. "
        "From now on only the weekly proof says so."
    )
    return [Trouble(kind=AlertKind.LOW_STOCK, about=STOCK, message=message)]


def _empty_ahead(view: View) -> list[Trouble]:
    rows = []
    for choice in view.choices:
        slot = choice.slot
        if slot.state is not SlotState.OPEN or not view.now < slot.sends_at <= view.now + EMPTY_AHEAD:
            continue
        if choice.tip is not None and view.audience:
            continue
        why = choice.why if choice.tip is None else "no subscriber is active"
        advice = "Approve or pin a tip, or skip the date: `newsletter queue`." if choice.tip is None else ""
        when = describe_instant(slot.sends_at, view.zone)
        message = f"Nothing would go out on {when}: {why}. {advice}".strip()
        rows.append(Trouble(kind=AlertKind.EMPTY_AHEAD, about=slot.date.isoformat(), message=message))
    return rows


_SILENT_PARTS = {
    AlertKind.SENDER_SILENT: (ServicePart.SENDER, "Nothing is sent meanwhile; what is queued waits."),
    AlertKind.SCHEDULER_SILENT: (
        ServicePart.SCHEDULER,
        "Nothing new becomes due meanwhile, and no proof is made.",
    ),
}


def _silences(view: View) -> list[Trouble]:
    rows = []
    for kind, last in (view.beats or {}).items():
        # A sign of life from the future is one of a clock that was wrong, and says nothing.
        heard = max(view.watching_since, last) if last and last <= view.now + ALERT_AFTER else view.watching_since
        if view.now - heard < ALERT_AFTER:
            continue
        part, meaning = _SILENT_PARTS[kind]
        since = f"its last heartbeat was on {describe_instant(last, view.zone)}" if last else "it has not started yet"
        message = f"The {part} is not running: {since}. {meaning} Start `newsletter run`, or look into its log."
        rows.append(
            Trouble(kind=kind, about="sender" if kind is AlertKind.SENDER_SILENT else "scheduler", message=message)
        )
    return rows


def _disk(view: View) -> list[Trouble]:
    space = view.space
    if space is None or not space.total:
        return []
    if space.free >= LEAST_FREE_BYTES and space.free >= space.total * LEAST_FREE_SHARE:
        return []
    share = 100 * space.free / space.total
    # The text of an alert is that of its beginning, however much less is free by the time it is read.
    free = f"{space.free / 1024**2:,.0f} MB were free, {share:.1f} % of it, when this was noticed"
    message = (
        f"The disk that holds the database is nearly full: {free}. "
        "When it is full, nothing can be recorded and nothing is sent. Make room."
    )
    return [Trouble(kind=AlertKind.DISK, about=DISK, message=message)]


def says_sending(edition: Edition, *, waiting: bool, now: datetime) -> bool:
    """Tell whether it is worth a mail that an edition is going out: it takes its time, and could still be stopped.

    `waiting` is whether anybody still waits for a first try.
    """
    return edition.status is EditionStatus.SENDING and waiting and now - edition.started_at >= SENDING_AFTER


def is_old_news(edition: Edition, *, last_ended: bool, now: datetime) -> bool:
    """Tell whether an edition ended too long ago for a mail about it; `last_ended` is whether none ended after it.

    Counted from its end: an edition that outlived a long stop of the service is reported when it closes.
    """
    age = now - (edition.finished_at or edition.started_at)
    return age >= (LATE_REPORT if last_ended and edition.finished_at is not None else OLD_NEWS)


def says_report(edition: Edition, *, waiting: bool, now: datetime) -> bool:
    """Tell whether it is time for the delivery report: the edition is closed, or only stragglers are left of it."""
    stragglers = not waiting and now - edition.started_at >= REPORT_AFTER
    return edition.finished_at is not None or stragglers
