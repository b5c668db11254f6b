"""Claims: deliveries marked as going out just ahead of a connection, and their outcomes.

Every statement is guarded by the state it expects, so that a row which another process moved (an opt-out, a cancel)
stays where that process put it. The statements are made once: to build one costs more than to run it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import (
    JSON,
    BigInteger,
    Select,
    TableValuedAlias,
    Text,
    Update,
    bindparam,
    case,
    cast,
    exists,
    func,
    or_,
    select,
    tuple_,
    update,
)

from newsletter.core.delivery import Delivery, DeliveryId, DeliveryState, Outcome
from newsletter.core.edition import EditionId, EditionStatus
from newsletter.core.reply import ReplyClass
from newsletter.core.subscriber import SubscriberId, SubscriberState
from newsletter.store.block import BlockId
from newsletter.store.delivery import from_row
from newsletter.store.in_ids import in_ids
from newsletter.store.ledger import count_claim
from newsletter.store.schema import block, delivery, edition, subscriber
from newsletter.store.unit import Tx
from newsletter.store.worker import WorkerId

LEFT_REASON = "left before the mail went out"


class ClaimedDelivery(NamedTuple):
    """A delivery that may be going out from now on, with the person as the database knows them at this moment."""

    id: DeliveryId
    edition: EditionId
    subscriber_id: SubscriberId
    attempts: int
    """This one included."""
    first_attempt_at: datetime
    email: str
    name: str
    first_name: str
    last_name: str
    fields: Mapping[str, str]


_NO_FIELDS: Mapping[str, str] = MappingProxyType({})


def queued(tx: Tx, block_id: BlockId) -> Sequence[DeliveryId]:
    """Return the deliveries of a block that wait, in order; at most one block of ids."""
    return [
        DeliveryId(row) for row in tx.execute(_QUEUED, {"of": block_id.edition, "block": block_id.number}).scalars()
    ]


_IS_QUEUED = delivery.c.state == DeliveryState.QUEUED.value
_QUEUED = (
    select(delivery.c.id)
    .where(delivery.c.edition_id == bindparam("of"), delivery.c.block == bindparam("block"), _IS_QUEUED)
    .order_by(delivery.c.id)
)
_IS_ACTIVE = subscriber.c.state == SubscriberState.ACTIVE.value
_NOW = bindparam("now", type_=delivery.c.last_attempt_at.type)
_WHO = bindparam("who", type_=delivery.c.worker.type)

_WHO_AND_WHAT = (
    delivery.c.id,
    delivery.c.edition_id,
    delivery.c.subscriber_id,
    delivery.c.attempts,
    delivery.c.first_attempt_at,
    subscriber.c.email,
    subscriber.c.name,
    subscriber.c.first_name,
    subscriber.c.last_name,
    # As its text: most people have none, and to parse nothing costs as much as to read the rest of the row.
    cast(subscriber.c.fields, Text),
)
_MAY_GO = (
    subscriber.c.id == delivery.c.subscriber_id,
    _IS_ACTIVE,
    edition.c.id == delivery.c.edition_id,
    edition.c.status == EditionStatus.SENDING.value,
)

_MARK = (
    update(delivery)
    .where(in_ids(delivery.c.id, "ids"), _IS_QUEUED)
    .values(
        state=DeliveryState.SENDING.value,
        reason="",
        worker=_WHO,
        attempts=delivery.c.attempts + 1,
        first_attempt_at=func.coalesce(delivery.c.first_attempt_at, _NOW),
        last_attempt_at=_NOW,
        next_attempt_at=None,
    )
)

# PostgreSQL tells in one statement whom it marked. SQLite's RETURNING knows only the row itself, so there one reads
# first; it has one writer at a time, so that nothing comes between the two.
_MARK_AND_TELL = _MARK.where(*_MAY_GO).returning(*_WHO_AND_WHAT)
_READ = select(*_WHO_AND_WHAT).where(in_ids(delivery.c.id, "ids"), _IS_QUEUED, *_MAY_GO)

_SKIP_WHO_LEFT = (
    update(delivery)
    .where(
        in_ids(delivery.c.id, "ids"),
        _IS_QUEUED,
        ~exists().where(subscriber.c.id == delivery.c.subscriber_id, _IS_ACTIVE),
    )
    .values(state=DeliveryState.SKIPPED.value, reason=LEFT_REASON)
)


def claim(tx: Tx, ids: Sequence[DeliveryId], *, who: WorkerId, now: datetime) -> Sequence[ClaimedDelivery]:
    """Mark waiting deliveries as going out; return those that really may, in the order of their ids.

    Left out are rows that moved in the meantime, those of an edition that is not sending any more, and people who
    left: an opt-out, a pause or an erasure that was committed before this is honoured.
    """
    values = {"ids": ids, "now": now, "who": who}
    if tx.dialect.name == "sqlite":
        rows = tx.execute(_READ, values).all()
        tx.execute(_MARK, values | {"ids": [row[0] for row in rows]})
        once = 1
    else:
        rows = tx.execute(_MARK_AND_TELL, values).all()
        once = 0  # What is told there is the row after the mark.
    if rows:
        count_claim(tx)
    if len(rows) < len(ids):
        tx.execute(_SKIP_WHO_LEFT, {"ids": ids})
    return sorted(
        (
            ClaimedDelivery(one, of, whose, tried + once, first or now, email, name, given, family, _fields(fields))
            for one, of, whose, tried, first, email, name, given, family, fields in rows
        ),
        key=attrgetter("id"),
    )


def _fields(text: str) -> Mapping[str, str]:
    if text == "{}":
        return _NO_FIELDS
    fields: Mapping[str, str] = json.loads(text)
    return fields


_GIVE_BACK = (
    update(delivery)
    .where(
        in_ids(delivery.c.id, "ids"),
        delivery.c.state == DeliveryState.SENDING.value,
        delivery.c.worker == _WHO,
    )
    .values(
        state=DeliveryState.QUEUED.value,
        worker=None,
        attempts=delivery.c.attempts - 1,
        first_attempt_at=case((delivery.c.attempts <= 1, None), else_=delivery.c.first_attempt_at),
    )
)


def give_back(tx: Tx, ids: Sequence[DeliveryId], *, who: WorkerId) -> None:
    """Undo the mark of what was never handed to a server; who left meanwhile is skipped."""
    if not ids:
        return
    tx.execute(_GIVE_BACK, {"ids": ids, "who": who})
    tx.execute(_SKIP_WHO_LEFT, {"ids": ids})


_STILL_GOOD = (
    select(delivery.c.id)
    .join(subscriber, subscriber.c.id == delivery.c.subscriber_id)
    .join(edition, edition.c.id == delivery.c.edition_id)
    .where(
        in_ids(delivery.c.id, "ids"),
        delivery.c.state == DeliveryState.SENDING.value,
        delivery.c.worker == _WHO,
        _IS_ACTIVE,
        edition.c.status == EditionStatus.SENDING.value,
    )
)


def still_good(tx: Tx, ids: Sequence[DeliveryId], *, who: WorkerId) -> set[DeliveryId]:
    """Return which of a worker's marked deliveries may go out all the same at this moment."""
    return {DeliveryId(row) for row in tx.execute(_STILL_GOOD, {"ids": ids, "who": who}).scalars()}


_RECORDED = (
    "state",
    "reason",
    "attempts",
    "first_attempt_at",
    "next_attempt_at",
    "reply_code",
    "reply_enhanced",
    "reply_text",
)

_IS_OPEN = or_(
    delivery.c.state == DeliveryState.SENDING.value,
    # Should another process have given this one up, the reply that did come is evidence.
    delivery.c.state == DeliveryState.UNCERTAIN.value,
)

# An answer that comes after the person was erased may name the address.
_TEXT = {
    "reply_text": case((delivery.c.subscriber_id.is_(None), ""), else_=bindparam("new_reply_text", type_=Text)),
    "kind": bindparam("new_kind", type_=Text),
}

_RECORD = (
    update(delivery)
    # A row that another worker has by now stays with it; an acceptance is recorded whichever worker has the row.
    .where(delivery.c.id == bindparam("row"), _IS_OPEN, or_(_WHO.is_(None), delivery.c.worker == _WHO))
    # The block of what was given up may be closed by now: put back there, it would never be found.
    .where(
        or_(
            delivery.c.state == DeliveryState.SENDING.value,
            bindparam("new_state", type_=Text) != DeliveryState.QUEUED.value,
        )
    )
    .values({name: bindparam(f"new_{name}", type_=delivery.c[name].type) for name in _RECORDED} | _TEXT)
)


# The usual outcome, and with it most of the work: all else was written by the claim. Rows with the same reply but for
# its text are one value that the database unfolds: a statement for each row costs ten times as much.
@cache
def _record_accepted(dialect: str) -> Update:
    rows_param = bindparam("rows", type_=Text)
    table: TableValuedAlias
    if dialect == "sqlite":
        table = func.json_each(rows_param).table_valued("key", "value")
    else:
        table = func.json_each_text(cast(rows_param, JSON)).table_valued("key", "value")
    columns = {name: bindparam(f"new_{name}", type_=delivery.c[name].type) for name in _ALIKE}
    text = case((delivery.c.subscriber_id.is_(None), ""), else_=table.c.value)
    return (
        update(delivery)
        .where(delivery.c.id == cast(table.c.key, BigInteger), _IS_OPEN)
        .values(columns | {"state": DeliveryState.ACCEPTED.value, "reply_text": text})
    )


_ALIKE = ("reply_code", "reply_enhanced", "reason", "kind")


def record_accepted(
    tx: Tx, texts: Mapping[DeliveryId, str], *, code: int | None, enhanced: str, reason: str, kind: ReplyClass
) -> None:
    """Write that a server took these deliveries, with one reply but for its text."""
    values = {"new_reply_code": code, "new_reply_enhanced": enhanced, "new_reason": reason, "new_kind": kind.value}
    tx.execute(_record_accepted(tx.dialect.name), values | {"rows": json.dumps(texts, ensure_ascii=False)})


def record(tx: Tx, outcomes: Sequence[tuple[DeliveryId, Outcome, ReplyClass]], *, who: WorkerId | None = None) -> None:
    """Write what became of deliveries that were marked, by a certain worker if one is named."""
    others = [item for item in outcomes if item[1].state is not DeliveryState.ACCEPTED]
    alike: defaultdict[tuple[int | None, str, str, ReplyClass], dict[DeliveryId, str]] = defaultdict(dict)
    for row, outcome, kind in outcomes:
        if outcome.state is DeliveryState.ACCEPTED:
            alike[outcome.reply_code, outcome.reply_enhanced, outcome.reason, kind][row] = outcome.reply_text
    for (code, enhanced, reason, kind), texts in alike.items():
        record_accepted(tx, texts, code=code, enhanced=enhanced, reason=reason, kind=kind)
    if others:
        tx.execute(
            _RECORD,
            [
                {"row": row, "who": who, **{f"new_{name}": getattr(outcome, name) for name in _RECORDED}}
                | {"new_state": outcome.state.value, "new_kind": kind.value}
                for row, outcome, kind in others
            ],
        )


# Found by way of the few blocks in which anything can be marked: an index of the marked would cost more at every mark.
# In two steps, as PostgreSQL cannot know how few they are, and would rather read the whole table.
_BEGUN = select(block.c.edition_id, block.c.number).where(block.c.begun)
_MARKED = select(delivery).where(
    tuple_(delivery.c.edition_id, delivery.c.block).in_(bindparam("blocks", expanding=True)),
    delivery.c.state == DeliveryState.SENDING.value,
)
_BLOCKS_MAX = 100


def marked_by(tx: Tx, who: WorkerId) -> Sequence[Delivery]:
    """Return what a worker had marked and what was not settled."""
    return _in_begun(tx, _MARKED.where(delivery.c.worker == who))


def marked_by_none_of(tx: Tx, living: Sequence[WorkerId], *, before: datetime | None = None) -> Sequence[Delivery]:
    """Return what is marked and belongs to none of the workers given; those marked before a time, if one is given."""
    query = _MARKED
    if living:
        query = query.where(or_(delivery.c.worker.is_(None), delivery.c.worker.not_in(living)))
    if before is not None:
        query = query.where(delivery.c.last_attempt_at < before)
    return _in_begun(tx, query)


def _in_begun(tx: Tx, query: Select[Any]) -> Sequence[Delivery]:
    begun = [tuple(row) for row in tx.execute(_BEGUN)]
    deliveries = [
        from_row(row)
        for item in range(0, len(begun), _BLOCKS_MAX)
        for row in tx.execute(query, {"blocks": begun[item : item + _BLOCKS_MAX]})
    ]
    return sorted(deliveries, key=attrgetter("id"))
