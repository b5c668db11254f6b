"""Subscribers by the thousand, for an import: looked up, written and suppressed in sets, never one by one.

In: people as `core/import_row.py` decided about them. Out: ids, and what stood there before. Row by row, a list of a
million people would take an hour.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
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

from newsletter.core.import_row import ImportedPerson
from newsletter.core.subscriber import Subscriber, SubscriberId
from newsletter.store.in_ids import in_ids
from newsletter.store.schema import consent, subscriber, suppression
from newsletter.store.subscriber import Consent, from_row
from newsletter.store.unit import Tx
from newsletter.store.upsert import upsert

_T = TypeVar("_T")

_Rows = list[ColumnElement[Any]]
"""The cells of rows that were handed over to the database, as columns there."""

_KNOWN = (
    select(subscriber)
    .where(in_ids(subscriber.c.canonical, "wanted"))
    # In order of the id, so that two imports at the same time cannot lock each other out.
    .order_by(subscriber.c.id)
)
_CHANGED = (
    *("name", "first_name", "last_name", "time_zone", "tags", "fields"),
    *("state", "state_since", "state_why", "names_imported"),
)
_TEXTS = ("email", "canonical", "name", "first_name", "last_name", "time_zone", "state")
_SAME = ("state_since", "state_why", "created_at", "names_imported")
"""What people who are added together have in common."""
_NEW = (*_TEXTS, "tags", "fields", *_SAME)
_CANONICAL, _EVIDENCE = ImportedPerson._fields.index("canonical"), ImportedPerson._fields.index("evidence")
"""Where they stand in a row that is handed over; the evidence comes last."""
_ALIKE = ("at", "action", "channel", "source", "edition_id")
"""What pieces of evidence that are added together have in common."""
_texts_of, _same_of = attrgetter(*_TEXTS), attrgetter(*_SAME)
_SAVE = (
    update(subscriber)
    .where(subscriber.c.id == bindparam("row"))
    .values({name: bindparam(f"new_{name}", type_=subscriber.c[name].type) for name in _CHANGED})
)


def by_canonicals(tx: Tx, canonicals: Iterable[str], *, lock: bool) -> dict[str, Subscriber]:
    """Return the people with these canonical addresses; `lock` keeps them as they are until the transaction ends."""
    query = _KNOWN.with_for_update() if lock else _KNOWN
    return {row.canonical: from_row(row) for row in tx.execute(query, {"wanted": list(canonicals)})}


def add_new(tx: Tx, people: Sequence[Subscriber]) -> dict[str, SubscriberId]:
    """Write people who are not on the list; return their ids by canonical address.

    An address that another process added in the meantime is not returned: nothing was written for it.
    """
    ids: dict[str, SubscriberId] = {}
    for same, some in _grouped(people, key=attrgetter(*_SAME)).items():
        rows = _unfold(tx, [_cells(item) for item in some], texts=len(_TEXTS))
        result = tx.execute(
            upsert(subscriber, tx.dialect.name)
            .from_select(_NEW, _select(*_new_person(rows, same)))
            .on_conflict_do_nothing()
            .returning(subscriber.c.id, subscriber.c.canonical),
        )
        ids |= {canonical: SubscriberId(row) for row, canonical in result}
    return ids


def add_with_evidence(tx: Tx, people: Sequence[ImportedPerson], consent: Consent, *, why: str) -> set[str]:
    """Write people whom `by_canonicals` did not find just now, each with their own evidence; `consent` has the rest.

    Returns the canonical addresses that another process added in the meantime: nothing was written for them. The ids
    never leave the database: *measured*, to fetch them and to send them back costs a fifth of our own time.
    """
    add = _add_on_sqlite if tx.dialect.name == "sqlite" else _add_on_postgresql
    return add(tx, people, (consent.at, why, consent.at, True), consent)


def _add_on_sqlite(tx: Tx, people: Sequence[ImportedPerson], same: tuple[Any, ...], evidence: Consent) -> set[str]:
    # No other transaction writes as long as this one does, so a person who was not found is not there, and the ids of
    # one statement follow each other in the order of its rows.
    rows = _unfold(tx, [person[:_EVIDENCE] for person in people], texts=len(_TEXTS))
    tx.execute(insert(subscriber).from_select(_NEW, _select(*_new_person(rows, same))))
    first_id = tx.execute(select(func.max(subscriber.c.id))).scalar_one() - len(people) + 1
    evidence_list = func.json_each(_dumped([person.evidence for person in people])).table_valued("key", "value")
    evidence_rows = _select(literal(first_id) + evidence_list.c.key, evidence_list.c.value, *_alike(evidence))
    tx.execute(insert(consent).from_select(["subscriber_id", "evidence", *_ALIKE], evidence_rows))
    return set()


def _add_on_postgresql(tx: Tx, people: Sequence[ImportedPerson], same: tuple[Any, ...], evidence: Consent) -> set[str]:
    rows = _unfold(tx, people, texts=len(_TEXTS))
    canonical = rows[_CANONICAL]
    new = upsert(subscriber, tx.dialect.name).from_select(_NEW, _select(*_new_person(rows, same)))
    inserted = new.on_conflict_do_nothing().returning(subscriber.c.id, subscriber.c.canonical).cte("made")
    evidence_rows = _select(inserted.c.id, rows[_EVIDENCE], *_alike(evidence)).where(inserted.c.canonical == canonical)
    noted = insert(consent).from_select(["subscriber_id", "evidence", *_ALIKE], evidence_rows).cte("noted")
    return set(
        tx.execute(select(canonical).where(canonical.not_in(select(inserted.c.canonical))).add_cte(noted)).scalars()
    )


def _cells(person: Subscriber) -> list[object]:
    return [*_texts_of(person), person.tags, person.fields]


def _new_person(rows: _Rows, same: tuple[Any, ...]) -> Sequence[ColumnElement[Any]]:
    """Return the columns of `_NEW`, from what `_cells` gave and what people have in common."""
    common = (literal(value, subscriber.c[name].type) for name, value in zip(_SAME, same, strict=True))
    return [*rows[:_EVIDENCE], *common]


def _alike(evidence: Consent) -> Sequence[ColumnElement[Any]]:
    return [literal(getattr(evidence, name), consent.c[name].type) for name in _ALIKE]


def save(tx: Tx, people: Sequence[Subscriber]) -> None:
    """Write what changed about people, but for the address."""
    if people:
        tx.execute(_SAVE, [{"row": person.id, **_new_values(person)} for person in people])


def _new_values(person: Subscriber) -> Mapping[str, object]:
    values = {f"new_{name}": getattr(person, name) for name in _CHANGED}
    return values | {
        "new_tags": list(person.tags),
        "new_fields": dict(person.fields),
        "new_state": person.state.value,
    }


def add_consents(tx: Tx, consents: Sequence[tuple[SubscriberId, Consent]]) -> None:
    """Append evidence, one piece for each person."""
    same_of = attrgetter(*_ALIKE)
    for some in _grouped(consents, key=lambda item: same_of(item[1])).values():
        rows = _unfold(tx, [[of, dict(item.evidence)] for of, item in some], texts=1)
        query = _select(cast(rows[0], consent.c.subscriber_id.type), rows[1], *_alike(some[0][1]))
        tx.execute(insert(consent).from_select(["subscriber_id", "evidence", *_ALIKE], query))


def anybody_suppressed(tx: Tx) -> bool:
    """Tell whether the suppression list holds anything; without it no address needs to be hashed."""
    return tx.execute(select(suppression.c.hash).limit(1)).first() is not None


def _unfold(tx: Tx, rows: Sequence[Sequence[object]], *, texts: int) -> _Rows:
    """Hand rows over as JSON, which the database unfolds; the first so many cells of each are texts, the others JSON.

    *Measured*: a third of the time of a statement with a parameter for each cell. SQLite takes the rows as they are,
    and gives an array or an object back as its text, which is how it stores JSON. PostgreSQL takes column by column:
    its `->>` reads a whole row anew for each cell, which is a third of the statement.
    """
    if tx.dialect.name == "sqlite":
        value = func.json_each(_dumped(rows)).table_valued("value").c.value
        return [func.json_extract(value, f"$[{place}]") for place in range(len(rows[0]))]
    columns = [cast(_dumped(column), JSON) for column in zip(*rows, strict=True)]
    # Functions that return sets stand side by side here: they go on together (postgresql.org, "SQL Functions
    # Returning Sets"), and all are of the same length.
    unfolded = select(
        *(func.json_array_elements_text(one).label(f"cell_{place}") for place, one in enumerate(columns[:texts])),
        *(func.json_array_elements(one).label(f"cell_{place}") for place, one in enumerate(columns[texts:], texts)),
    ).cte("given")
    return list(unfolded.c)


def _dumped(values: Sequence[object]) -> ColumnElement[str]:
    return literal(json.dumps(values, ensure_ascii=False, default=dict), Text)


def _select(*columns: ColumnElement[Any]) -> Select[Any]:
    # Without a WHERE, SQLite takes the ON of an ON CONFLICT for that of a join (sqlite.org/lang_upsert.html, 2.2).
    return select(*columns).where(true())


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
