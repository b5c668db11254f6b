"""Subscribers by the thousand, for an import: looked up, written and suppressed in sets, never one by one.

In: people as `core/import_row.py` decided about them. Out: ids, and what stood there before. Row by row, a list of a
million people would take an hour.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeVar

from sqlalchemy import (
    JSON,
    ColumnElement,
    Select,
    Text,
    bindparam,
    cast,
    func,
    insert,
    literal,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from newsletter.core.subscriber import Subscriber, SubscriberId
from newsletter.store.schema import consent, subscriber, suppression
from newsletter.store.subscriber import Consent, from_row
from newsletter.store.unit import Tx

_T = TypeVar("_T")

_KNOWN = (
    select(subscriber)
    .where(subscriber.c.canonical.in_(bindparam("wanted", expanding=True)))
    # In order of the id, so that two imports at the same time cannot lock each other out.
    .order_by(subscriber.c.id)
)
_CHANGED = ("name", "first_name", "last_name", "time_zone", "tags", "fields", "state", "state_since", "state_why")
_TEXTS = ("email", "canonical", "name", "first_name", "last_name", "time_zone", "state")
_SAME = ("state_since", "state_why", "created_at")
"""What people who are added together have in common."""
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
    make = sqlite_insert if tx.dialect.name == "sqlite" else postgresql_insert
    texts = attrgetter(*_TEXTS)
    ids: dict[str, SubscriberId] = {}
    for same, some in _grouped(people, key=attrgetter(*_SAME)).items():
        rows = _unfold(tx, [[*texts(one), one.tags, dict(one.fields)] for one in some])
        query = rows.select(
            *(rows.text(place) for place in range(len(_TEXTS))),
            *(rows.json(place) for place in range(len(_TEXTS), len(_TEXTS) + 2)),
            *(literal(value, subscriber.c[name].type) for name, value in zip(_SAME, same, strict=True)),
        )
        made = tx.execute(
            make(subscriber)
            .from_select([*_TEXTS, "tags", "fields", *_SAME], query)
            .on_conflict_do_nothing()
            .returning(subscriber.c.id, subscriber.c.canonical),
        )
        ids |= {canonical: SubscriberId(row) for row, canonical in made}
    return ids


def save(tx: Tx, people: Sequence[Subscriber]) -> None:
    """Write what changed about people, but for the address."""
    if people:
        tx.execute(_SAVE, [{"row": one.id, **_new_values(one)} for one in people])


def _new_values(person: Subscriber) -> Mapping[str, object]:
    values = {f"new_{name}": getattr(person, name) for name in _CHANGED}
    return values | {
        "new_tags": list(person.tags),
        "new_fields": dict(person.fields),
        "new_state": person.state.value,
    }


def add_consents(tx: Tx, said: Sequence[tuple[SubscriberId, Consent]]) -> None:
    """Append evidence, one piece for each person."""
    names = ("at", "action", "channel", "source", "edition_id")
    same_of = attrgetter(*names)
    for same, some in _grouped(said, key=lambda one: same_of(one[1])).items():
        rows = _unfold(tx, [[who, dict(one.evidence)] for who, one in some])
        query = rows.select(
            cast(rows.text(0), consent.c.subscriber_id.type),
            rows.json(1),
            *(literal(value, consent.c[name].type) for name, value in zip(names, same, strict=True)),
        )
        tx.execute(insert(consent).from_select(["subscriber_id", "evidence", *names], query))


def anybody_suppressed(tx: Tx) -> bool:
    """Tell whether the suppression list holds anything; without it no address needs to be hashed."""
    return tx.execute(select(suppression.c.hash).limit(1)).first() is not None


@dataclass(frozen=True, slots=True)
class _Rows:
    """A JSON array of arrays, unfolded by the database: one parameter, where each cell of each row would be one.

    *Measured*: a third of the time of a statement with a parameter for each cell.
    """

    value: ColumnElement[Any]
    sqlite: bool

    def text(self, place: int) -> ColumnElement[Any]:
        return func.json_extract(self.value, f"$[{place}]") if self.sqlite else self.value.op("->>")(place)

    def json(self, place: int) -> ColumnElement[Any]:
        # SQLite gives an array or an object back as its text, which is how it stores JSON.
        return func.json_extract(self.value, f"$[{place}]") if self.sqlite else self.value.op("->")(place)

    def select(self, *columns: ColumnElement[Any]) -> Select[Any]:
        # Without a WHERE, SQLite takes the ON of an ON CONFLICT for that of a join (sqlite.org/lang_upsert.html, 2.2).
        return select(*columns).where(true())


def _unfold(tx: Tx, rows: Sequence[Sequence[object]]) -> _Rows:
    sqlite = tx.dialect.name == "sqlite"
    given = literal(json.dumps(rows, ensure_ascii=False), Text)
    if sqlite:
        return _Rows(func.json_each(given).table_valued("value").c.value, sqlite)
    return _Rows(func.json_array_elements(cast(given, JSON)).column_valued("value"), sqlite)


def _grouped(values: Iterable[_T], *, key: Callable[[_T], tuple[Any, ...]]) -> dict[tuple[Any, ...], list[_T]]:
    """Collect values with the same key; in an import that is all of them."""
    groups: dict[tuple[Any, ...], list[_T]] = {}
    last: tuple[Any, ...] | None = None
    for value in values:
        # Most have the key of the one before, and to compare is cheaper than to hash.
        this = key(value)
        if this != last:
            group = groups.setdefault(this, [])
            last = this
        group.append(value)
    return groups
