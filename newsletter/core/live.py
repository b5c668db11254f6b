"""An edition on its way, as people watch it: its progress, its rate, and the waits of its people.

In: the counts of one moment, and the reports of the workers. Out: a rate, the time left, and sentences.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from newsletter.core.delivery import DeliveryCounts
from newsletter.core.edition import EditionStatus
from newsletter.core.receipt import Receipt
from newsletter.core.worker_view import RelayView, WorkerView, clock_words, rate_words, span_words, together
from newsletter.wording import plural

RATE_SPAN_SECONDS = 10.0
"""Seconds over which the rate is taken: less would dance with each commit, more would hide a throttling."""


class Cause(StrEnum):
    """What people of an edition wait for."""

    PAUSED = "paused"
    RETRY = "retry"
    OUTCOME = "outcome"
    """They may have the edition before, and are sent this one, or not, once that is known."""
    WAVE = "wave"
    QUOTA = "quota"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """People who are not being sent to at this moment, and until when."""

    cause: Cause
    people: int
    until: datetime | None = None
    label: str = ""
    """The zone of a wave."""

    def words(self, zone: str, now: datetime) -> str:
        """Say it in a sentence; times are of the publication's zone."""
        people = plural(self.people, "person waits", "people wait")
        at = f" {clock_words(self.until, zone, now)}" if self.until else ""
        match self.cause:
            case Cause.PAUSED:
                return f"{people} until it is resumed."
            case Cause.RETRY:
                return f"{people} for another try" + (f", the next at{at}." if at else ".")
            case Cause.OUTCOME:
                return f"{people} for the outcome of the edition before."
            case Cause.WAVE:
                label = f" ({self.label})" if self.label else ""
                return f"{people} for the hour of their own zone" + (f", the next at{at}{label}." if at else ".")
        return f"{people} for a quota" + (f" until{at}." if at else ".")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """An edition at one moment."""

    at: datetime
    receipt: Receipt
    waiting: tuple[Waiting, ...] = ()
    workers: tuple[WorkerView, ...] = ()

    @property
    def ended(self) -> bool:
        """Tell whether its totals are stored."""
        return self.receipt.edition.finished_at is not None

    @property
    def going(self) -> int:
        """Return how many are to be sent to as fast as it goes: neither a wave nor a quota holds them."""
        held = sum(item.people for item in self.waiting if item.cause in {Cause.WAVE, Cause.QUOTA, Cause.PAUSED})
        return max(0, self.receipt.counts.left - held)

    @property
    def relays(self) -> tuple[RelayView, ...]:
        """Return each mail server once, all workers taken together."""
        return together(relay for worker in self.workers if not worker.silent(self.at) for relay in worker.relays)


@dataclass(slots=True)
class Speed:
    """How fast it goes, by what was settled over the last seconds."""

    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def note(self, monotonic: float, settled: int) -> None:
        """Take one look into account."""
        self._seen.append((monotonic, settled))
        while len(self._seen) > 2 and monotonic - self._seen[1][0] >= RATE_SPAN_SECONDS:  # noqa: PLR2004 a rate needs two looks
            self._seen.popleft()

    @property
    def per_second(self) -> float | None:
        """Return messages a second; None before there were two looks."""
        if len(self._seen) < 2:  # noqa: PLR2004 a rate needs two looks
            return None
        (began, before), (ended, after) = self._seen[0], self._seen[-1]
        # People who are put back to the queue make it go backwards for a while.
        return max(0, after - before) / (ended - began) if ended > began else None

    def seconds_left(self, look: Look) -> float | None:
        """Return how long it takes at this rate for those who wait for nothing; None when it is unknown."""
        rate = self.per_second
        return look.going / rate if rate and look.going else None


def progress_words(look: Look, speed: Speed, *, why: bool = False) -> str:
    """Return one line: how far, how fast, how long yet; where it stands still, that it does, and `why` if wanted."""
    edition, reached = look.receipt.edition, look.receipt.reached
    share = f" ({reached * 100 // edition.audience} %)" if edition.audience else ""
    parts = [f"{reached:,} of {edition.audience:,}{share}"]
    if edition.status is not EditionStatus.SENDING:
        parts.append(edition.standing if why else edition.status.value)
    elif (rate := speed.per_second) is not None and look.receipt.counts.left:
        parts.append(rate_words(rate))
        left = speed.seconds_left(look)
        if left is not None:
            parts.append(f"{span_words(left)} left")
    return ", ".join(parts)


def counts_words(counts: DeliveryCounts) -> str:
    """Return how many have which outcome, the accepted always; `waits` has those who wait."""
    named = (
        ("refused", counts.rejected),
        ("uncertain", counts.uncertain),
        ("given up", counts.expired),
        ("left out", counts.skipped),
        ("to go", counts.left),
    )
    return ", ".join([f"{counts.accepted:,} accepted", *(f"{count:,} {name}" for name, count in named if count)])


def edition_troubles(look: Look, zone: str) -> tuple[str, ...]:
    """Say what is wrong: why it stands still, what mail servers complain of, and who has fallen silent."""
    edition = look.receipt.edition
    parts = [edition.standing] if edition.status_why else []
    return (*parts, *_complaints(look, zone))


def _complaints(look: Look, zone: str) -> tuple[str, ...]:
    text = [f"{relay.name}: {relay.words(zone, look.at)}" for relay in look.relays if relay.trouble]
    text += [f"{worker.name}: {worker.words(look.at)}" for worker in look.workers if worker.silent(look.at)]
    return tuple(text)


def waits(look: Look, zone: str) -> tuple[str, ...]:
    """Say who waits for what, and until when."""
    return tuple(item.words(zone, look.at) for item in look.waiting)


def in_a_line(look: Look, speed: Speed, zone: str) -> str:
    """Say all of it on one line: how far it is, and what is to be known beside that."""
    beside = (complaint.rstrip(".") for complaint in (*_complaints(look, zone), *waits(look, zone)))
    return "; ".join([progress_words(look, speed, why=True), *beside])


_COUNTS = ("accepted", "rejected", "uncertain", "expired", "skipped", "deferred", "left")


def to_dict(look: Look, speed: Speed) -> dict[str, object]:
    """Return one line of `edition watch --json`; times are ISO 8601 in UTC."""
    edition = look.receipt.edition
    return {
        "at": look.at.isoformat(timespec="milliseconds"),
        "date": edition.name,
        "status": edition.status.value,
        "why": edition.status_why,
        "audience": edition.audience,
        "settled": look.receipt.settled,
        **{name: getattr(look.receipt.counts, name) for name in _COUNTS},
        "per_second": None if speed.per_second is None else round(speed.per_second, 2),
        "seconds_left": None if (left := speed.seconds_left(look)) is None else round(left, 1),
        "waiting": [
            {"cause": item.cause.value, "people": item.people, "until": _iso(item.until), "label": item.label}
            for item in look.waiting
        ],
        "relays": [_relay_dict(relay) for relay in look.relays],
        "workers": [
            {
                "name": worker.name,
                "machine": worker.machine,
                "seen_at": _iso(worker.seen_at),
                "silent": worker.silent(look.at),
                "connections": worker.connections,
                "per_second": worker.per_second,
            }
            for worker in look.workers
        ],
    }


def _relay_dict(relay: RelayView) -> dict[str, object]:
    return {
        "name": relay.name,
        "connections": relay.connections,
        "allowed": relay.allowed,
        "most": relay.most,
        "trouble": relay.trouble,
        "again_at": _iso(relay.again_at),
    }


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat(timespec="milliseconds")
