"""What an edition on its way looks like, read cheaply: it is asked twice a second while a million rows move.

In: an edition. Out: counts, waits and workers. All rows of the edition are counted now and then, the less often the
longer it takes; in between the tallies of the workers, a few rows, say how far it is. Nothing is written here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import case, func, select

from newsletter.core.delivery import DeliveryCounts, DeliveryState
from newsletter.core.edition import Edition, EditionId, EditionStatus
from newsletter.core.live import Cause, Look, Waiting
from newsletter.core.receipt import Receipt
from newsletter.core.worker_view import WorkerView, read_rate, read_relays
from newsletter.store import edition as editions
from newsletter.store import report
from newsletter.store.schema import TALLIED, block, delivery, quota, worker
from newsletter.store.tally import of_edition
from newsletter.store.unit import Tx
from newsletter.store.worker import moment

SILENT_SHOWN = timedelta(minutes=10)
"""A worker that fell silent without an end is shown so long: it may be the reason why nothing moves."""

_STATE_OF_TALLY = {
    "accepted": DeliveryState.ACCEPTED,
    "deferred": DeliveryState.DEFERRED,
    "uncertain": DeliveryState.UNCERTAIN,
}
"""The others are reasons of a refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """All rows of an edition, counted at one moment, and what the workers had tallied then."""

    receipt: Receipt
    waiting: Sequence[Waiting]
    tallied: Mapping[str, int]


def count(tx: Tx, edition: Edition, *, now: datetime) -> Counted:
    """Return the receipt of an edition with the waits of its people; of an open one every row is counted."""
    # The tallies first: what is settled between the two reads is then counted twice rather than not at all.
    tallied = tallies(tx, edition.id)
    later = block.c.not_before > now
    held = case((later & (block.c.wave != ""), Cause.WAVE.value), (later, Cause.QUOTA.value), else_="")
    blocks = select(block.c.number, block.c.not_before, block.c.wave, held.label("held")).where(
        block.c.edition_id == edition.id, later
    )
    put_off = {row.number: row for row in tx.execute(blocks)}
    receipt = report.receipt(tx, edition)
    rows = [
        Waiting(cause=Cause.RETRY, people=receipt.again, until=receipt.next_attempt_at),
        Waiting(cause=Cause.OUTCOME, people=receipt.awaiting),
    ]
    waiting = [row for row in rows if row.people and receipt.counts.open]
    for cause in (Cause.WAVE, Cause.QUOTA):
        numbers = [number for number, row in put_off.items() if row.held == cause.value]
        if numbers and (people := _queued(tx, edition.id, numbers)):
            first = min((put_off[number] for number in numbers), key=lambda row: row.not_before)
            waiting.append(Waiting(cause=cause, people=people, until=first.not_before, label=first.wave))
    return Counted(receipt=receipt, waiting=waiting, tallied=tallied)


def _queued(tx: Tx, edition_id: EditionId, numbers: Sequence[int]) -> int:
    """Count who is queued in these blocks; by a range, as there may be thousands of them."""
    number_set = set(numbers)
    per_block = (
        select(delivery.c.block, func.count())
        .where(
            delivery.c.edition_id == edition_id,
            delivery.c.block >= min(number_set),
            delivery.c.block <= max(number_set),
            delivery.c.state == DeliveryState.QUEUED.value,
        )
        .group_by(delivery.c.block)
    )
    return sum(people for number, people in tx.execute(per_block) if number in number_set)


def look(tx: Tx, edition_id: EditionId, counted: Counted, *, now: datetime) -> Look:
    """Return the edition as it is now: what was counted last, moved on by what the workers tallied since."""
    edition = editions.by_id(tx, edition_id)
    # The clock that dates the workers' signs of life: ours may be another.
    now = moment(tx, now)
    ended = edition.finished_at is not None
    counts = counted.receipt.counts if ended else _moved_on(counted, tallies(tx, edition_id))
    waiting = list(counted.waiting)
    if edition.status is EditionStatus.PAUSED and counts.left:
        waiting.append(Waiting(cause=Cause.PAUSED, people=counts.left))
    return Look(
        at=now,
        receipt=replace(counted.receipt, edition=edition, counts=counts),
        waiting=tuple(waiting),
        workers=() if ended else workers(tx, now=now),
    )


def _moved_on(counted: Counted, tallied: Mapping[str, int]) -> DeliveryCounts:
    """Return the counts as the tallies since the count let them be: the sum over all states stays the audience.

    A retry is tallied once more and is no further person, so no more people move than were queued or being sent to.
    """
    counts = counted.receipt.counts
    left, moved = counts.left, Counter[DeliveryState]()
    for name in TALLIED:
        people = min(left, max(0, tallied.get(name, 0) - counted.tallied.get(name, 0)))
        moved[_STATE_OF_TALLY.get(name, DeliveryState.REJECTED)] += people
        left -= people
    settled = {state.value: counts[state] + people for state, people in moved.items()}
    sending = min(counts.sending, left)
    return replace(counts, **settled, sending=sending, queued=left - sending)


def tallies(tx: Tx, edition_id: EditionId) -> Mapping[str, int]:
    """Return what the workers have tallied of an edition, all together."""
    return asdict(of_edition(tx, edition_id, bounces=False))


def used(tx: Tx, name: str) -> str | None:
    """Return what was sent lately under a quota, as it is stored; nothing is held up by the look."""
    value: str | None = tx.execute(select(quota.c.window).where(quota.c.name == name)).scalar()
    return value


def workers(tx: Tx, *, now: datetime) -> tuple[WorkerView, ...]:
    """Return the processes that send, and those that fell silent a while ago."""
    query = select(worker).where(worker.c.ended_at.is_(None), worker.c.seen_at > now - SILENT_SHOWN)
    rows = []
    for row in tx.execute(query.order_by(worker.c.id)):
        relays = read_relays(row.report)
        connections = row.report.get("connections")
        rows.append(
            WorkerView(
                name=row.name,
                machine=row.machine,
                seen_at=row.seen_at,
                connections=int(connections)
                if isinstance(connections, int)
                else sum(relay.connections for relay in relays),
                per_second=read_rate(row.report),
                relays=relays,
            )
        )
    return tuple(rows)
