"""The overview: how things stand, and what needs a person, as `newsletter status` tells it in the morning.

In: the database, the plan's rules, the time. Out: an `Overview`. It reads in one transaction and changes nothing; what
has an open alert is not said a second time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from newsletter.core.alert import EVENT_STANDS, AlertKind
from newsletter.core.breaker import resume_advice
from newsletter.core.cadence import describe_date, describe_span
from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionStatus
from newsletter.core.lineup import Choice, Source
from newsletter.core.monitor import ServicePart
from newsletter.core.receipt import uncertain_sentence
from newsletter.core.tip import TipStatus
from newsletter.flows.plan import Outlook, PlanRules, look_ahead
from newsletter.store import installation as installations
from newsletter.store import tip as tips
from newsletter.store.people_changes import PeopleChanges, changes_since
from newsletter.store.snapshot import EditionSnapshot, Snapshot, read_snapshot
from newsletter.store.unit import Tx
from newsletter.wording import plural

FORECAST_WEEKS_MIN = 12
"""Weeks to look beyond the ones that the operator wants stock for."""

UNCERTAIN_STANDS = EVENT_STANDS
"""For so long a person is asked about the uncertain: after it the next tip is out, and doing nothing was the answer."""

SOON = timedelta(days=1)
"""So long before a date the service should be there."""

_STOCK_ALERTS = {AlertKind.LOW_STOCK, AlertKind.EMPTY_AHEAD, AlertKind.EMPTY_SLOT}


CHANGES_SPAN = timedelta(days=7)
"""How far back people who came and left are counted."""


class NextState(StrEnum):
    """How the next date stands."""

    HELD = "held"
    """Nothing is sent from this database until a person adopts it."""
    SENDING = "sending"
    """An edition goes out now."""
    NO_DATE = "no date"
    NO_AUDIENCE = "no audience"
    """No subscriber is active."""
    NEEDS_APPROVAL = "needs approval"
    """No approved tip is there for it, and drafts are."""
    EMPTY = "empty"
    """There is nothing to send."""
    LATE = "late"
    """Its hour has passed, and it still goes out within its grace."""
    FIRST_START = "first start"
    """The service has never run; no date before its first start ever counts."""
    PLANNED = "planned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """How things stand."""

    now: datetime
    snapshot: Snapshot
    """Parts of the service, senders, editions and open alerts."""
    outlook: Outlook
    next: Choice | None
    """The next date on which something should go out; the one that is due, if one is."""
    skipped: Sequence[Choice]
    """The dates before it that are skipped on purpose."""
    drafts: int
    stock_is_more: bool
    """True when the stock did not end as far as was looked."""
    needs: Sequence[str]
    """What a person must do something about, in sentences, the open alerts first."""
    changes: PeopleChanges
    """Who came and left in the last seven days."""
    held: str
    """Why nothing may be sent at all; empty when all is well."""
    beside: bool = False
    """This is a copy whose original is running: its dates, heartbeats and alerts are the original's."""
    started: bool
    """The service has run at least once."""

    @property
    def next_state(self) -> NextState:
        """Return how the next date stands: the gravest thing that is so."""
        if self.held:
            return NextState.HELD
        if any(
            known.edition.status is EditionStatus.SENDING and known.receipt.counts.open
            for known in self.snapshot.running
        ):
            return NextState.SENDING
        if self.next is None:
            return NextState.NO_DATE
        return self._state_of(self.next)

    def _state_of(self, coming: Choice) -> NextState:
        due = self.outlook.due
        if not self.outlook.audience:
            return NextState.NO_AUDIENCE
        if coming.tip is None:
            return NextState.NEEDS_APPROVAL if self.drafts else NextState.EMPTY
        if due is not None and due.date == coming.slot.date:
            return NextState.LATE
        return NextState.PLANNED if self.started else NextState.FIRST_START

    def of_copy(self) -> Overview:
        """Return what is true of a copy whose original is running."""
        return replace(self, needs=[self.held], snapshot=self.snapshot.without_service(), beside=True)


def overview(tx: Tx, rules: PlanRules, *, now: datetime, held: str = "") -> Overview:
    """Look at everything; `held` says why nothing may be sent at all, when that is so."""
    ahead = look_ahead(tx, rules, weeks=rules.lineup.low_stock_weeks + FORECAST_WEEKS_MIN, now=now)
    coming = next((choice for choice in ahead.choices if choice.source is not Source.SKIPPED), None)
    before = coming.slot.sends_at if coming else None
    snapshot = read_snapshot(tx, now=now)
    return Overview(
        now=now,
        snapshot=snapshot,
        outlook=ahead,
        next=coming,
        skipped=[
            choice
            for choice in ahead.choices
            if choice.source is Source.SKIPPED and (before is None or choice.slot.sends_at < before)
        ],
        drafts=tips.count_by_status(tx, TipStatus.DRAFT),
        stock_is_more=all(choice.tip is not None for choice in ahead.choices if choice.source is not Source.SKIPPED),
        needs=list(_needs(snapshot, ahead, coming, held=held)),
        changes=changes_since(tx, now - CHANGES_SPAN),
        held=held,
        started=installations.get(tx).first_tick_at is not None,
    )


def _needs(snapshot: Snapshot, ahead: Outlook, coming: Choice | None, *, held: str) -> Iterator[str]:
    alerted = {(alert.kind, alert.about) for alert in snapshot.alerts}
    kinds = {alert.kind for alert in snapshot.alerts}
    yield from (alert.message for alert in snapshot.alerts)
    if held and AlertKind.HELD not in kinds:
        yield held
    for known in snapshot.editions:
        yield from _about_edition(known, alerted, snapshot.at)
    yield from _about_silence(snapshot, coming, ahead, kinds)
    if (coming is None or coming.tip is None) and not kinds & _STOCK_ALERTS:
        noun = f"{describe_date(coming.slot.date)}: {coming.why}" if coming else "any date that is near"
        yield f"There is no tip for {noun}. `newsletter tip approve` or `newsletter tip add` gives it one."
    if not ahead.audience:
        yield "No subscriber is active, so nothing would go out. `newsletter subscriber import` brings people in."


def _about_edition(summary: EditionSnapshot, alerted: set[tuple[AlertKind, str]], now: datetime) -> Iterator[str]:
    name, receipt = summary.edition.name, summary.receipt
    if not receipt.balances:
        yield f"The report of {name} does not add up: the gap is {receipt.gap:,}. Run `newsletter db check`."
    if summary.edition.status is EditionStatus.PAUSED and (AlertKind.EDITION_PAUSED, name) not in alerted:
        people = plural(receipt.counts.open, "person waits", "people wait")
        state = summary.edition.standing
        advice = resume_advice(name, rejected=receipt.counts[DeliveryState.REJECTED] > 0)
        yield f"The edition of {name} is {state}, and {people}. {advice}"
    if receipt.counts.uncertain and now - summary.edition.started_at < UNCERTAIN_STANDS:
        cancelled = summary.edition.status is EditionStatus.CANCELLED
        yield f"In the edition of {name}: {uncertain_sentence(receipt.counts.uncertain, name, cancelled=cancelled)}"


def _about_silence(snapshot: Snapshot, coming: Choice | None, ahead: Outlook, kinds: set[AlertKind]) -> Iterator[str]:
    """Tell of a part that does not run while there is work for it, or will be within a day; else it may rest."""
    parts = snapshot.parts
    stopped = {part for part in ServicePart if not parts[part].runs}
    waits = any(
        known.edition.status is EditionStatus.SENDING and known.receipt.counts.open for known in snapshot.editions
    )
    if coming is not None and ServicePart.SCHEDULER in stopped and AlertKind.SCHEDULER_SILENT not in kinds:
        day, left = describe_date(coming.slot.date), coming.slot.sends_at - snapshot.at
        if ahead.due is not None:
            yield f"{day} is due, and the scheduler is not running. `newsletter run` starts the service."
        elif left < SOON:
            span = describe_span(left)
            yield f"{day} is {span} away, and the scheduler is not running. `newsletter run` starts the service."
    if waits and ServicePart.SENDER in stopped and AlertKind.SENDER_SILENT not in kinds:
        yield "An edition waits to be sent, and the sender is not running. `newsletter run` goes on with it."
