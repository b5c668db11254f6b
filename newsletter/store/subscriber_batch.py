"""Subscribers by the thousand, for an import: looked up, written and suppressed in sets, never one by one.

In: people as `core/import_row.py` decided about them. Out: ids, and what stood there before. Row by row, a list of a
million people would take an hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from newsletter.core.subscriber import Subscriber, SubscriberId
from newsletter.store.schema import consent, subscriber, suppression
from newsletter.store.subscriber import Consent, from_row
from newsletter.store.unit import Tx

_KNOWN = (
    select(subscriber)
    .where(subscriber.c.canonical.in_(bindparam("wanted", expanding=True)))
    # In order of the id, so that two imports at the same time cannot lock each other out.
    .order_by(subscriber.c.id)
)
_CHANGED = ("name", "first_name", "last_name", "time_zone", "tags", "fields", "state", "state_since", "state_why")
_SAVE = (
    update(subscriber)
    .where(subscriber.c.id == bindparam("row"))
    .values({name: bindparam(f"new_{name}", type_=subscriber.c[name].type) for name in _CHANGED})
)


def by_canonicals(tx: Tx, wanted: Iterable[str], *, lock: bool) -> dict[str, Subscriber]:
    """Return the people with these canonical addresses; `lock` keeps them as they are until the transaction ends."""
    query = _KNOWN.with_for_update() if lock else _KNOWN
    return {row.canonical: from_row(row) for row in tx.execute(query, {"wanted": list(wanted)})}


def add_new(tx: Tx, people: Sequence[Subscriber]) -> dict[str, SubscriberId]:
    """Write people who are not on the list; return their ids by canonical address.

    An address that another process added in the meantime is not returned: nothing was written for it.
    """
    if not people:
        return {}
    make = sqlite_insert if tx.dialect.name == "sqlite" else postgresql_insert
    made = tx.execute(
        make(subscriber).on_conflict_do_nothing().returning(subscriber.c.id, subscriber.c.canonical),
        [_values(person) for person in people],
    )
    return {canonical: SubscriberId(row) for row, canonical in made}


def save(tx: Tx, people: Sequence[Subscriber]) -> None:
    """Write what changed about people, but for the address."""
    if people:
        rows = [(person.id, _values(person)) for person in people]
        tx.execute(_SAVE, [{"row": row, **{f"new_{name}": values[name] for name in _CHANGED}} for row, values in rows])


def add_consents(tx: Tx, said: Sequence[tuple[SubscriberId, Consent]]) -> None:
    """Append evidence, one piece for each person."""
    if said:
        tx.execute(
            insert(consent),
            [
                {
                    "subscriber_id": who,
                    "at": one.at,
                    "action": one.action,
                    "channel": one.channel,
                    "source": one.source,
                    "edition_id": one.edition_id,
                    "evidence": dict(one.evidence),
                }
                for who, one in said
            ],
        )


def anybody_suppressed(tx: Tx) -> bool:
    """Tell whether the suppression list holds anything; without it no address needs to be hashed."""
    return tx.execute(select(suppression.c.hash).limit(1)).first() is not None


def _values(person: Subscriber) -> Mapping[str, object]:
    return {
        "email": person.email,
        "canonical": person.canonical,
        "name": person.name,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "time_zone": person.time_zone,
        "tags": list(person.tags),
        "fields": dict(person.fields),
        "state": person.state.value,
        "state_since": person.state_since,
        "state_why": person.state_why,
        "created_at": person.created_at,
    }
