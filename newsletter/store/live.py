"""What an edition on its way looks like, read cheaply: it is asked twice a second while a million rows move.

In: an edition. Out: counts, waits and workers. All rows of the edition are counted now and then, the less often the
longer it takes; in between the tallies of the workers, a few rows, say how far it is. Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, func, select

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import Edition, EditionId, EditionStatus
from newsletter.core.live import Cause, Look, Waiting
from newsletter.core.worker_view import WorkerView, read_rate, read_relays
from newsletter.store import edition as editions
from newsletter.store import report
from newsletter.store.audience import awaiting
from newsletter.store.schema import TALLIED, block, delivery, quota, worker
from newsletter.store.tally import of_edition
from newsletter.store.unit import Tx
from newsletter.store.worker import moment

SILENT_SHOWN = timedelta(minutes=10)
"""A worker that fell silent without an end is shown so long: it may be the reason why nothing moves."""

_REFUSED = ("hard", "policy", "content", "refused")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """All rows of an edition, counted at one moment, and what the workers had tallied then."""

    states: Mapping[DeliveryState, int]
    waiting: Sequence[Waiting]
    tallied: Mapping[str, int]


def count(tx: Tx, edition: Edition, *, now: datetime) -> Counted:
    """Count every row; the more there are, the longer it takes."""
    if edition.finished_at is not None:
        # Its rows may be deleted by now; its totals are stored.
        receipt = report.receipt(tx, edition)
        return Counted(states={state: receipt.count(state) for state in DeliveryState}, waiting=(), tallied={})
    # The tallies first: what is settled between the two reads is then counted twice rather than not at all.
    tallied = tallies(tx, edition.id)
    later = block.c.not_before > now
    held = case((later & (block.c.wave != ""), Cause.WAVE.value), (later, Cause.QUOTA.value), else_="")
    blocks = select(block.c.number, block.c.not_before, block.c.wave, held.label("held")).where(
        block.c.edition_id == edition.id, later
    )
    put_off = {row.number: row for row in tx.execute(blocks)}
    again_at = func.min(delivery.c.next_attempt_at).filter(delivery.c.attempts > 0)
    query = select(delivery.c.state, func.count(), again_at).where(delivery.c.edition_id == edition.id)
    states = dict.fromkeys(DeliveryState, 0)
    waiting = []
    for state, people, due in tx.execute(query.group_by(delivery.c.state)):
        states[DeliveryState(state)] = people
        if state == DeliveryState.DEFERRED.value:
            waiting += _deferred(tx, edition, people, due)
    for cause in (Cause.WAVE, Cause.QUOTA):
        numbers = [number for number, row in put_off.items() if row.held == cause.value]
        if numbers and (people := _queued(tx, edition.id, numbers)):
            first = min((put_off[number] for number in numbers), key=lambda row: row.not_before)
            waiting.append(Waiting(cause=cause, people=people, until=first.not_before, label=first.wave))
    return Counted(states=states, waiting=waiting, tallied=tallied)


def _deferred(tx: Tx, edition: Edition, people: int, due: datetime | None) -> list[Waiting]:
    """Tell those who were tried and wait for another try from those who wait for the outcome of an earlier edition."""
    untried = min(people, awaiting(tx, edition.id)) if edition.of_edition is not None else 0
    rows = [
        Waiting(cause=Cause.RETRY, people=people - untried, until=due),
        Waiting(cause=Cause.OUTCOME, people=untried),
    ]
    return [one for one in rows if one.people]


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
    since = tallies(tx, edition_id)
    moved = {name: max(0, since.get(name, 0) - counted.tallied.get(name, 0)) for name in TALLIED}
    states = counted.states
    left = states[DeliveryState.QUEUED] + states[DeliveryState.SENDING]
    # What was tried again is tallied once more and no further person; nobody is settled whom the count did not know.
    settled = min(left, sum(moved.values()))
    waiting = list(counted.waiting)
    if edition.status is EditionStatus.PAUSED and left - settled:
        waiting.append(Waiting(cause=Cause.PAUSED, people=left - settled))
    return Look(
        at=now,
        name=edition.name,
        title=edition.title,
        status=edition.status,
        status_why=edition.status_why,
        ended=edition.finished_at is not None,
        audience=edition.audience,
        accepted=states[DeliveryState.ACCEPTED] + min(settled, moved["accepted"]),
        refused=states[DeliveryState.REJECTED] + sum(moved[name] for name in _REFUSED),
        uncertain=states[DeliveryState.UNCERTAIN] + moved["uncertain"],
        skipped=states[DeliveryState.SKIPPED] + states[DeliveryState.EXPIRED],
        deferred=states[DeliveryState.DEFERRED] + min(settled, moved["deferred"]),
        left=left - settled,
        waiting=tuple(waiting),
        workers=() if edition.finished_at is not None else workers(tx, now=now),
    )


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
                else sum(one.connections for one in relays),
                per_second=read_rate(row.report),
                relays=relays,
            )
        )
    return tuple(rows)
