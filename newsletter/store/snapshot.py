"""The state of an installation at one moment, read once for every view of it.

In: a transaction and the time. Out: how each part of the service stands, the senders, the open alerts, and each edition
with its receipt. `status`, `doctor`, `/healthz`, `/metrics` and `edition watch` show these values and count nothing by
themselves, so that no two of them disagree. Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from newsletter.core.edition import Edition, EditionStatus
from newsletter.core.liveness import Liveness, judge_heartbeat
from newsletter.core.monitor import ServicePart
from newsletter.core.receipt import Receipt
from newsletter.core.wave import WaveStanding, next_wave
from newsletter.core.worker_view import RelayView, together
from newsletter.store import alert as alerts
from newsletter.store import block as blocks
from newsletter.store import edition as editions
from newsletter.store import heartbeat as heartbeats
from newsletter.store import jobs, live, report
from newsletter.store import worker as workers
from newsletter.store.alert import Alert
from newsletter.store.unit import Tx

_EDITIONS_READ_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PartState:
    """The scheduler or the sender."""

    seen_at: datetime | None = None
    """Its last heartbeat; None when it never gave one."""
    process: str = ""
    stopped: bool = False
    """Whether it was stopped on purpose."""
    liveness: Liveness = Liveness.NOT_RUNNING

    @property
    def alive(self) -> bool:
        """Tell whether its heartbeat is fresh."""
        return self.liveness is Liveness.ALIVE

    @property
    def runs(self) -> bool:
        """Tell whether it is taken to run, though its heartbeat may be late."""
        return self.liveness is not Liveness.NOT_RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderState:
    """One sending process among several, and its work."""

    name: str
    machine: str
    since: datetime
    silent_for: timedelta
    """Since its last heartbeat, by the clock of the database."""
    alive: bool
    blocks: int
    """Blocks of an edition that are reserved for it."""
    connections: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EditionSnapshot:
    """An edition with its receipt, and what holds it up."""

    receipt: Receipt
    sender_alive: bool = True
    away: RelayView | None = None
    """The mail server for which it waits; None while any accepts mail."""

    @property
    def edition(self) -> Edition:
        """Return the edition."""
        return self.receipt.edition

    def next_wave(self, now: datetime) -> WaveStanding | None:
        """Return the wave for whose hour it waits, if it does."""
        return next_wave(self.receipt.waves, now) if self.edition.status is EditionStatus.SENDING else None

    def left(self, now: datetime) -> timedelta | None:
        """Return how long it will take at its own rate; None when it does not move, or waits for something."""
        if self.next_wave(now) is not None or self.away is not None or not self.sender_alive:
            return None
        return self.receipt.time_left(now) if self.edition.status is EditionStatus.SENDING else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that the views share."""

    at: datetime
    parts: Mapping[ServicePart, PartState]
    senders: Sequence[SenderState]
    """On PostgreSQL every process that sends, or fell silent without an end within the hour; on SQLite there is one."""
    sender_counts: Mapping[str, int]
    """How many sending processes are `alive`, and how many `silent` without having ended, on either database."""
    jobs: int | None
    """How many jobs wait or run; None where there is no job queue."""
    alerts: Sequence[Alert]
    """The open ones, oldest first."""
    editions: Sequence[EditionSnapshot]
    """The newest ones and every older one that is not closed, newest first."""

    def without_service(self) -> Snapshot:
        """Return it without heartbeats: those in a copy are the original's."""
        parts = dict.fromkeys(ServicePart, PartState())
        return replace(self, parts=parts, senders=[], sender_counts={"alive": 0, "silent": 0})

    @property
    def running(self) -> Sequence[EditionSnapshot]:
        """Return the editions that are not over, by their hour."""
        open_editions = [known for known in self.editions if known.edition.finished_at is None]
        return sorted(open_editions, key=lambda known: known.edition.sends_at)

    @property
    def last(self) -> EditionSnapshot | None:
        """Return the newest edition that is over."""
        return next((known for known in self.editions if known.edition.finished_at is not None), None)


def read_snapshot(tx: Tx, *, now: datetime) -> Snapshot:
    """Read the state of the installation."""
    parts = part_states(tx, now)
    return Snapshot(
        at=now,
        parts=parts,
        senders=sender_states(tx, now),
        sender_counts={"alive": len(workers.alive(tx, now=now)), "silent": len(workers.silent(tx, now=now))},
        jobs=jobs.waiting(tx),
        alerts=alerts.open_alerts(tx),
        editions=_editions(tx, parts[ServicePart.SENDER], now),
    )


def part_states(tx: Tx, now: datetime) -> Mapping[ServicePart, PartState]:
    """Return how each part of the service stands."""
    beats = heartbeats.heartbeats(tx)
    states = dict.fromkeys(ServicePart, PartState())
    for part, beat in beats.items():
        stopped = beat.stopped_at is not None
        liveness = judge_heartbeat(beat.at, now, stopped=stopped)
        states[part] = PartState(seen_at=beat.at, process=beat.process, stopped=stopped, liveness=liveness)
    return states


def sender_states(tx: Tx, now: datetime) -> Sequence[SenderState]:
    """Return the sending processes of a database that many may share, the longest there first."""
    if tx.dialect.name == "sqlite":
        return []
    at, held = workers.moment(tx, now), blocks.held(tx)
    living = {worker.id for worker in workers.alive(tx, now=now)}
    return [
        SenderState(
            name=worker.name,
            machine=worker.machine,
            since=worker.started_at,
            silent_for=at - worker.seen_at,
            alive=worker.id in living,
            blocks=held.get(worker.id, 0),
            connections=int(worker.report.get("connections") or 0),
        )
        for worker in (*workers.alive(tx, now=now), *workers.silent(tx, now=now))
    ]


def _editions(tx: Tx, sender: PartState, now: datetime) -> Sequence[EditionSnapshot]:
    away = _relay_away(tx, now)
    newest, unclosed = editions.latest(tx, count=_EDITIONS_READ_MAX), editions.unclosed(tx)
    known = {edition.id: edition for edition in (*newest, *unclosed)}
    return [
        EditionSnapshot(
            receipt=report.receipt(tx, edition),
            sender_alive=sender.runs,
            away=away if edition.status is EditionStatus.SENDING else None,
        )
        for edition in known.values()
    ]


def _relay_away(tx: Tx, now: datetime) -> RelayView | None:
    """Return the mail server that is tried first, when none accepts anything, by the reports of the living workers."""
    at = workers.moment(tx, now)
    views = [relay for worker in live.workers(tx, now=at) if not worker.silent(at) for relay in worker.relays]
    relays = together(views)
    return relays[0] if relays and all(relay.away for relay in relays) else None
