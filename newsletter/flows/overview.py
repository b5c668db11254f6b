"""The overview: how things stand, and what needs a person, as `newsletter status` tells it in the morning.

In: the database, the plan's rules, the time. Out: an `Overview`. It reads in one transaction and changes nothing; what
has an open alert is not said a second time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from newsletter.core.alert import EVENT_STANDS, AlertKind
from newsletter.core.breaker import resume_advice
from newsletter.core.cadence import describe_date, describe_span
from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import Edition, EditionStatus
from newsletter.core.lineup import Choice, Source
from newsletter.core.monitor import ServicePart
from newsletter.core.receipt import Receipt, uncertain_sentence
from newsletter.core.tip import TipStatus
from newsletter.core.wave import WaveStanding, next_wave
from newsletter.core.worker_view import RelayView, together
from newsletter.flows.plan import Outlook, PlanRules, look_ahead
from newsletter.store import alert as alerts
from newsletter.store import block as blocks
from newsletter.store import edition as editions
from newsletter.store import heartbeat as heartbeats
from newsletter.store import jobs, live, report
from newsletter.store import tip as tips
from newsletter.store import worker as workers
from newsletter.store.alert import Alert
from newsletter.store.heartbeat import Heartbeat
from newsletter.store.unit import Tx

FORECAST_WEEKS_MIN = 12
"""Weeks to look beyond the ones that the operator wants stock for."""

UNCERTAIN_STANDS = EVENT_STANDS
"""For so long a person is asked about the uncertain: after it the next tip is out, and doing nothing was the answer."""

SOON = timedelta(days=1)
"""So long before a date the service should be there."""

_STOCK_ALERTS = {AlertKind.LOW_STOCK, AlertKind.EMPTY_AHEAD, AlertKind.EMPTY_SLOT}
_EDITIONS_READ_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The scheduler or the sender."""

    seen_at: datetime | None
    """Its last sign of life; None when it never gave one."""
    process: str
    alive: bool
    stopped: bool
    """Whether it was stopped on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWork:
    """One sending process among several, and what it has in hand."""

    name: str
    machine: str
    since: datetime
    silent_for: timedelta
    """Since its last sign of life, by the clock of the database."""
    alive: bool
    blocks: int
    """Parts of an edition that are reserved for it."""
    connections: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EditionSummary:
    """An edition and its account."""

    edition: Edition
    receipt: Receipt
    sender_alive: bool = True
    away: RelayView | None = None
    """The mail server for which it waits; None while any takes mail."""

    @property
    def settled(self) -> int:
        """Return for how many people the outcome is known."""
        return self.receipt.audience - self.receipt.open

    @property
    def reached(self) -> int:
        """Return how far it got: of a cancelled edition, those whom the cancel left out count for nothing."""
        cancelled = self.edition.status is EditionStatus.CANCELLED
        return self.settled - self.receipt.skipped if cancelled else self.settled

    def next_wave(self, now: datetime) -> WaveStanding | None:
        """Return the wave for whose hour it waits, if it does."""
        return next_wave(self.receipt.waves, now) if self.edition.status is EditionStatus.SENDING else None

    def left(self, now: datetime) -> timedelta | None:
        """Return how long it will take at its own pace; None when it does not move, or waits for something."""
        if self.next_wave(now) is not None or self.away is not None or not self.sender_alive:
            return None
        moving = self.receipt.queued + self.receipt.sending
        took = (now - self.receipt.started_at).total_seconds()
        if self.edition.status is not EditionStatus.SENDING or not (self.settled and moving and took > 0):
            return None
        return timedelta(seconds=moving * took / self.settled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """How things stand."""

    now: datetime
    alerts: Sequence[Alert]
    """What is open, oldest first."""
    outlook: Outlook
    next: Choice | None
    """The next date on which something should go out; the one that is due, if one is."""
    skipped: Sequence[Choice]
    """The dates before it that are skipped on purpose."""
    running: Sequence[EditionSummary]
    """Editions that are not over."""
    last: EditionSummary | None
    """The newest edition that is over."""
    parts: Mapping[ServicePart, Part]
    senders: Sequence[AtWork]
    """On PostgreSQL every process that sends, or fell silent without an end within the hour; on SQLite there is one."""
    jobs: int | None
    """How many jobs wait or are worked on; None where there is no job queue."""
    drafts: int
    stock_is_more: bool
    """True when the stock did not end as far as was looked."""
    needs: Sequence[str]
    """What a person must do something about, in sentences, the open alerts first."""


def overview(tx: Tx, rules: PlanRules, *, now: datetime, alive_within: timedelta, held: str = "") -> Overview:
    """Look at everything; `held` says why nothing may be sent at all, when that is so."""
    ahead = look_ahead(tx, rules, weeks=rules.lineup.low_stock_weeks + FORECAST_WEEKS_MIN, now=now)
    coming = next((worker for worker in ahead.choices if worker.source is not Source.SKIPPED), None)
    before = coming.slot.sends_at if coming else None
    parts = _parts(tx, now, alive_within)
    away = _away(tx, now)
    known = [
        EditionSummary(
            edition=worker,
            receipt=report.receipt(tx, worker),
            sender_alive=parts[ServicePart.SENDER].alive,
            away=away if worker.status is EditionStatus.SENDING else None,
        )
        for worker in {
            worker.id: worker for worker in (*editions.latest(tx, count=_EDITIONS_READ_MAX), *editions.unclosed(tx))
        }.values()
    ]
    running = sorted(
        (worker for worker in known if worker.edition.finished_at is None), key=lambda worker: worker.edition.sends_at
    )
    open_alerts = alerts.open_alerts(tx)
    return Overview(
        now=now,
        alerts=open_alerts,
        outlook=ahead,
        next=coming,
        skipped=[
            worker
            for worker in ahead.choices
            if worker.source is Source.SKIPPED and (before is None or worker.slot.sends_at < before)
        ],
        running=running,
        last=next((worker for worker in known if worker.edition.finished_at is not None), None),
        parts=parts,
        senders=at_work(tx, now),
        jobs=jobs.waiting(tx),
        drafts=tips.count_by_status(tx, TipStatus.DRAFT),
        stock_is_more=all(worker.tip is not None for worker in ahead.choices if worker.source is not Source.SKIPPED),
        needs=list(_needs(open_alerts, ahead, coming, known, parts, now=now, held=held)),
    )


def _parts(tx: Tx, now: datetime, alive_within: timedelta) -> dict[ServicePart, Part]:
    beats = heartbeats.heartbeats(tx)
    return {part: _part(beats.get(part), now, alive_within) for part in ServicePart}


def _part(beat: Heartbeat | None, now: datetime, alive_within: timedelta) -> Part:
    if beat is None:
        return Part(seen_at=None, process="", alive=False, stopped=False)
    stopped = beat.stopped_at is not None
    # A heartbeat from the future comes from a clock that was wrong, and proves nothing.
    alive = not stopped and abs(now - beat.at) <= alive_within
    return Part(seen_at=beat.at, process=beat.process, alive=alive, stopped=stopped)


def _away(tx: Tx, now: datetime) -> RelayView | None:
    """Return the mail server that is tried first, when none takes anything, by what the living workers say."""
    at = workers.moment(tx, now)
    parts = [one for worker in live.workers(tx, now=at) if not worker.silent(at) for one in worker.relays]
    relays = together(parts)
    return relays[0] if relays and all(one.away for one in relays) else None


def at_work(tx: Tx, now: datetime) -> Sequence[AtWork]:
    """Return the sending processes of a database that many may share, the longest there first."""
    if tx.dialect.name == "sqlite":
        return []
    at, held = workers.moment(tx, now), blocks.held(tx)
    living = {one.id for one in workers.alive(tx, now=now)}
    return [
        AtWork(
            name=one.name,
            machine=one.machine,
            since=one.started_at,
            silent_for=at - one.seen_at,
            alive=one.id in living,
            blocks=held.get(one.id, 0),
            connections=int(one.report.get("connections") or 0),
        )
        for one in (*workers.alive(tx, now=now), *workers.silent(tx, now=now))
    ]


def _needs(
    open_alerts: Sequence[Alert],
    ahead: Outlook,
    coming: Choice | None,
    known: Sequence[EditionSummary],
    parts: Mapping[ServicePart, Part],
    *,
    now: datetime,
    held: str,
) -> Iterator[str]:
    alerted = {(summary.kind, summary.about) for summary in open_alerts}
    kinds = {summary.kind for summary in open_alerts}
    yield from (summary.message for summary in open_alerts)
    if held and AlertKind.HELD not in kinds:
        yield held
    for summary in known:
        yield from _about_edition(summary, alerted, now)
    yield from _about_silence(coming, ahead, known, parts, kinds, now=now)
    if (coming is None or coming.tip is None) and not kinds & _STOCK_ALERTS:
        noun = f"{describe_date(coming.slot.date)}: {coming.why}" if coming else "any date that is near"
        yield f"There is no tip for {noun}. `newsletter tip approve` or `newsletter tip add` gives it one."
    if not ahead.audience:
        yield "Nobody is subscribed, so nothing would go out. `newsletter subscriber import` brings people in."


def _about_edition(summary: EditionSummary, alerted: set[tuple[AlertKind, str]], now: datetime) -> Iterator[str]:
    name, receipt = summary.edition.name, summary.receipt
    if not receipt.balances:
        yield f"The report of {name} does not add up: the gap is {receipt.gap:,}. Run `newsletter db check`."
    if summary.edition.status is EditionStatus.PAUSED and (AlertKind.EDITION_PAUSED, name) not in alerted:
        who = "1 person waits" if receipt.open == 1 else f"{receipt.open:,} people wait"
        state = summary.edition.standing
        advice = resume_advice(name, rejected=receipt.count(DeliveryState.REJECTED) > 0)
        yield f"The edition of {name} is {state}, and {who}. {advice}"
    if receipt.uncertain and now - summary.edition.started_at < UNCERTAIN_STANDS:
        cancelled = summary.edition.status is EditionStatus.CANCELLED
        yield f"In the edition of {name}: {uncertain_sentence(receipt.uncertain, name, cancelled=cancelled)}"


def _about_silence(
    coming: Choice | None,
    ahead: Outlook,
    known: Sequence[EditionSummary],
    parts: Mapping[ServicePart, Part],
    kinds: set[AlertKind],
    *,
    now: datetime,
) -> Iterator[str]:
    """Tell of a part that is silent while there is work for it, or will be within a day; else it may rest."""
    waits = any(one.edition.status is EditionStatus.SENDING and one.receipt.open for one in known)
    if coming is not None and not parts[ServicePart.SCHEDULER].alive and AlertKind.SCHEDULER_SILENT not in kinds:
        day, left = describe_date(coming.slot.date), coming.slot.sends_at - now
        if ahead.due is not None:
            yield f"{day} is due, and the scheduler is not running. `newsletter run` starts the service."
        elif left < SOON:
            span = describe_span(left)
            yield f"{day} is {span} away, and the scheduler is not running. `newsletter run` starts the service."
    if waits and not parts[ServicePart.SENDER].alive and AlertKind.SENDER_SILENT not in kinds:
        yield "An edition waits to be sent, and the sender is not running. `newsletter run` goes on with it."
