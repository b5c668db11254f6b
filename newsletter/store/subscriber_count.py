"""How many people are in each state, and in which time zones: kept by triggers (`store/count_triggers.py`).

In: a transaction. Out: the counts as of that transaction, without reading the people. `faults` compares them with the
people, and `recount` makes them anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import delete, func, insert, select, text

from newsletter.core.subscriber import SubscriberState
from newsletter.store.schema import subscriber, subscriber_count
from newsletter.store.unit import Tx
from newsletter.wording import plural

_PEOPLE = func.coalesce(func.sum(subscriber_count.c.people), 0)
_BY_GROUP = (
    select(subscriber.c.state, subscriber.c.time_zone, func.count().label("people"))
    .group_by(subscriber.c.state, subscriber.c.time_zone)
    .order_by(subscriber.c.state, subscriber.c.time_zone)
)


def active(tx: Tx) -> int:
    """Return how many people an edition frozen now would go to."""
    return people(tx, [SubscriberState.ACTIVE])


def people(tx: Tx, states: Collection[SubscriberState] = ()) -> int:
    """Return how many people are in any of these states; without states, everybody."""
    query = select(_PEOPLE)
    if states:
        query = query.where(subscriber_count.c.state.in_([state.value for state in states]))
    return int(tx.execute(query).scalar_one())


def faults(tx: Tx) -> Sequence[str]:
    """Return which counts differ from the number of people, in words."""
    kept, counted = _kept(tx), {(row.state, row.time_zone): row.people for row in tx.execute(_BY_GROUP)}
    return [
        plural(kept.get(group, 0), "person is", "people are")
        + f" counted as {_name(*group)}, not {counted.get(group, 0):,}"
        for group in sorted(kept.keys() | counted.keys())
        if kept.get(group, 0) != counted.get(group, 0)
    ]


def recount(tx: Tx) -> None:
    """Count the people anew; no other transaction changes people meanwhile."""
    if tx.dialect.name == "postgresql":
        tx.execute(text("LOCK TABLE subscriber IN SHARE ROW EXCLUSIVE MODE"))
    tx.execute(delete(subscriber_count))
    tx.execute(insert(subscriber_count).from_select(["state", "time_zone", "people"], _BY_GROUP))


def _kept(tx: Tx) -> Mapping[tuple[str, str], int]:
    group = (subscriber_count.c.state, subscriber_count.c.time_zone)
    rows = tx.execute(select(*group, _PEOPLE.label("people")).group_by(*group))
    return {(row.state, row.time_zone): int(row.people) for row in rows}


def _name(state: str, time_zone: str) -> str:
    return f"{state} in {time_zone}" if time_zone else f"{state} without a time zone"
