"""Editions: made once by the freeze, moved on by guarded updates, closed with their totals."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, FromClause, Row, func, insert, literal, select, update

from newsletter.core.delivery import DeliveryCounts
from newsletter.core.edition import Edition, EditionId, EditionKind, EditionStatus, EditionTip
from newsletter.core.lineup import Sending, Source
from newsletter.core.tip import TipId
from newsletter.core.wave import Wave
from newsletter.store import jobs
from newsletter.store import tip as tips
from newsletter.store import wave as wave_rows
from newsletter.store.audience import audience
from newsletter.store.block import BLOCK_SIZE
from newsletter.store.in_ids import in_ids
from newsletter.store.schema import block, delivery, edition, subscriber
from newsletter.store.unit import Tx

# The content is tens of kilobytes and read once per run, so the other queries leave it out.
_COLUMNS = [column for column in edition.c if column.name not in {"content", "totals", "tip_used", "archived"}]
_SENDINGS = select(edition.c.tip_id, edition.c.date).where(edition.c.tip_used)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEdition:
    """What the freeze decided."""

    date: date
    tip: EditionTip
    content: str
    """The compiled message with its format version, as `render` writes it."""
    nonce: str
    sends_at: datetime
    kind: EditionKind = EditionKind.REGULAR
    of_edition: EditionId | None = None
    """The edition that it replaces or corrects; its rows decide who gets this one."""


def _from_row(row: Row) -> Edition:  # type: ignore[type-arg]
    return Edition(
        id=EditionId(row.id),
        date=row.date,
        number=row.number,
        tip=EditionTip(
            id=TipId(row.tip_id), slug=row.tip_slug, title=row.title, source=Source(row.source), why=row.why
        ),
        status=EditionStatus(row.status),
        status_why=row.status_why,
        audience=row.audience,
        nonce=row.nonce,
        sends_at=row.sends_at,
        started_at=row.started_at,
        tried_at=row.tried_at,
        finished_at=row.finished_at,
        kind=EditionKind(row.kind),
        of_edition=None if row.of_edition is None else EditionId(row.of_edition),
        local=row.local,
    )


def create(tx: Tx, new: NewEdition, *, waves: Sequence[Wave] = (), now: datetime) -> Edition:
    """Write the edition with one delivery per active subscriber whom it is for, in blocks, and return it.

    The rows are made inside the database: a million people never pass through this process. With `waves`, each
    person's block waits for the hour of their zone.
    """
    result = tx.execute(
        insert(edition)
        .values(
            date=new.date,
            number=next_number(tx, new.date),
            tip_id=new.tip.id,
            tip_slug=new.tip.slug,
            title=new.tip.title,
            source=new.tip.source.value,
            why=new.tip.why,
            status=EditionStatus.SENDING.value,
            audience=0,
            content=new.content,
            nonce=new.nonce,
            sends_at=new.sends_at,
            started_at=now,
            tip_used=True,
            kind=new.kind.value,
            of_edition=new.of_edition,
            local=bool(waves),
        )
        .returning(edition.c.id),
    ).scalar_one()
    tips.update_last_sent(tx, new.tip.id)
    people = _fill(tx, EditionId(result), new, waves, now=now)
    tx.execute(update(edition).where(edition.c.id == result).values(audience=people))
    return by_id(tx, EditionId(result))


def _fill(tx: Tx, edition_id: EditionId, new: NewEdition, waves: Sequence[Wave], *, now: datetime) -> int:
    place: ColumnElement[int] = (func.row_number().over(order_by=subscriber.c.id) - 1) // BLOCK_SIZE
    tables: FromClause = subscriber
    if waves:
        place, tables = wave_rows.place(waves, BLOCK_SIZE)
    chosen = audience(tx, new.kind, new.of_edition, now=now)
    people = (
        select(literal(int(edition_id)), subscriber.c.id, place, chosen.state, chosen.reason, chosen.due)
        .select_from(tables)
        .where(*chosen.who)
    )
    if not waves:
        # With waves the rows come out of the window in order, and to sort a million once more takes seconds.
        people = people.order_by(subscriber.c.id)
    columns = ["edition_id", "subscriber_id", "block", "state", "reason", "next_attempt_at"]
    fill = insert(delivery).from_select(columns, people)
    # Without the option SQLAlchemy does not keep the count of an INSERT on PostgreSQL.
    result = tx.execute(fill, execution_options={"preserve_rowcount": True})
    count = result.rowcount
    block_rows: list[dict[str, object]] = [
        {"edition_id": edition_id, "number": number, "state": "open"} for number in range(-(-count // BLOCK_SIZE))
    ]
    if waves:
        block_rows, count = wave_rows.blocks(tx, edition_id, waves)
    if block_rows:
        tx.execute(insert(block), block_rows)
        jobs.put_up(tx, edition_id, [(row["number"], row.get("not_before")) for row in block_rows])  # type: ignore[misc]
    return count


def next_number(tx: Tx, on: date) -> int:
    """Return the number that the next edition of a date bears."""
    return tx.execute(select(func.count()).where(edition.c.date == on)).scalar_one() + 1


def by_id(tx: Tx, edition_id: EditionId) -> Edition:
    """Return an edition."""
    return _from_row(tx.execute(select(*_COLUMNS).where(edition.c.id == edition_id)).one())


def by_date(tx: Tx, on: date, number: int = 1) -> Edition | None:
    """Return the edition of a date."""
    row = tx.execute(select(*_COLUMNS).where(edition.c.date == on, edition.c.number == number)).first()
    return None if row is None else _from_row(row)


def by_name(tx: Tx, name: str) -> Edition | None:
    """Return the edition of a name such as `2026-11-03` or `2026-11-03.2`; None when there is none of this name."""
    day, _, number = name.partition(".")
    try:
        return by_date(tx, date.fromisoformat(day), int(number or 1))
    except ValueError:
        return None


def find(tx: Tx, edition_id: EditionId) -> Edition | None:
    """Return an edition, None when there is none of this id."""
    row = tx.execute(select(*_COLUMNS).where(edition.c.id == edition_id)).first()
    return None if row is None else _from_row(row)


def latest(tx: Tx, *, count: int = 20) -> Sequence[Edition]:
    """Return the editions that began last, newest first; a correction may be for a date of months ago."""
    rows = tx.execute(select(*_COLUMNS).order_by(edition.c.started_at.desc(), edition.c.id.desc()).limit(count))
    return [_from_row(row) for row in rows]


def about(tx: Tx, edition_id: EditionId) -> Sequence[Edition]:
    """Return the editions that replace or correct this one, in order."""
    earlier = edition.alias()
    # They have its date, which has an index.
    of_date = edition.c.date == select(earlier.c.date).where(earlier.c.id == edition_id).scalar_subquery()
    query = select(*_COLUMNS).where(of_date, edition.c.of_edition == edition_id)
    return [_from_row(row) for row in tx.execute(query.order_by(edition.c.number))]


def begun_after(tx: Tx, on: date) -> Edition | None:
    """Return the first edition of a later date's own, None when there is none yet."""
    query = select(*_COLUMNS).where(edition.c.date > on, edition.c.kind == EditionKind.REGULAR.value)
    row = tx.execute(query.order_by(edition.c.date).limit(1)).first()
    return None if row is None else _from_row(row)


def unfinished(tx: Tx) -> Sequence[Edition]:
    """Return the editions that are sending or paused, oldest first."""
    query = select(*_COLUMNS).where(
        # An edition that is sending or paused is open; the index of the open ones is small.
        edition.c.finished_at.is_(None),
        edition.c.status.in_([EditionStatus.SENDING.value, EditionStatus.PAUSED.value]),
    )
    return [_from_row(row) for row in tx.execute(query.order_by(edition.c.sends_at, edition.c.id))]


def has_unfinished(tx: Tx) -> bool:
    """Tell whether an edition is not finished yet; its index is empty between two editions."""
    return tx.execute(select(edition.c.id).where(edition.c.finished_at.is_(None)).limit(1)).first() is not None


def unclosed(tx: Tx) -> Sequence[Edition]:
    """Return every edition whose totals are not stored yet, cancelled ones too."""
    query = select(*_COLUMNS).where(edition.c.finished_at.is_(None)).order_by(edition.c.id)
    return [_from_row(row) for row in tx.execute(query)]


def history(tx: Tx) -> Sequence[Sending]:
    """Return what went out when, all of it, in order of time."""
    return [Sending(tip=TipId(row.tip_id), date=row.date) for row in tx.execute(_SENDINGS.order_by(edition.c.date))]


def history_of(
    tx: Tx, tip_ids: Collection[TipId], *, since: date | None = None, dates: Collection[date] = ()
) -> Sequence[Sending]:
    """Return when these tips went out, with what else went out since a date or on some dates, in order of time."""
    conditions: list[ColumnElement[bool]] = []
    if since is not None:
        conditions.append(edition.c.date >= since)
    if dates:
        conditions.append(edition.c.date.in_(sorted(dates)))
    # One query by each index: with an OR between them SQLite would read every edition.
    rows = list(tx.execute(_SENDINGS.where(in_ids(edition.c.tip_id, "tips")), {"tips": sorted(tip_ids)}))
    for condition in conditions:
        rows += tx.execute(_SENDINGS.where(condition))
    sendings = {Sending(tip=TipId(row.tip_id), date=row.date) for row in rows}
    return sorted(sendings, key=lambda sending: (sending.date, sending.tip))


def was_sent(tx: Tx, tip_id: TipId) -> bool:
    """Tell whether an edition of a tip went out, or is on its way."""
    query = select(edition.c.id).where(edition.c.tip_id == tip_id, edition.c.tip_used).limit(1)
    return tx.execute(query).first() is not None


def unarchived(tx: Tx, *, limit: int) -> Sequence[tuple[Edition, bool]]:
    """Return the oldest editions that the archive has not decided about, each with whether its tip counts as used."""
    query = select(*_COLUMNS, edition.c.tip_used).where(~edition.c.archived).order_by(edition.c.id).limit(limit)
    return [(_from_row(row), row.tip_used) for row in tx.execute(query)]


def awaits_archive(tx: Tx, tip_id: TipId) -> bool:
    """Tell whether the archive has still to decide about an edition of a tip."""
    query = select(edition.c.id).where(edition.c.tip_id == tip_id, ~edition.c.archived).limit(1)
    return tx.execute(query).first() is not None


def mark_archived(tx: Tx, edition_id: EditionId) -> bool:
    """Record that the archive shows what is to be shown of an edition; tell whether this transaction was the first."""
    query = update(edition).where(edition.c.id == edition_id, ~edition.c.archived).values(archived=True)
    return tx.execute(query).rowcount == 1


def content(tx: Tx, edition_id: EditionId) -> str:
    """Return the frozen content."""
    value: str = tx.execute(select(edition.c.content).where(edition.c.id == edition_id)).scalar_one()
    return value


def status(tx: Tx, edition_id: EditionId) -> EditionStatus:
    """Return where an edition stands at this moment."""
    return EditionStatus(tx.execute(select(edition.c.status).where(edition.c.id == edition_id)).scalar_one())


def move(
    tx: Tx,
    edition_id: EditionId,
    *,
    was: Sequence[EditionStatus],
    to: EditionStatus,
    why: str = "",
) -> bool:
    """Move an edition on if it still stands where it was read; tell whether it did."""
    result = tx.execute(
        update(edition)
        .where(edition.c.id == edition_id, edition.c.status.in_([item.value for item in was]))
        .values(status=to.value, status_why=why),
    )
    return result.rowcount == 1


def set_tried(tx: Tx, edition_id: EditionId, *, now: datetime) -> bool:
    """Store that everybody had a first try; tell whether this is news."""
    query = update(edition).where(edition.c.id == edition_id, edition.c.tried_at.is_(None))
    return tx.execute(query.values(tried_at=now)).rowcount == 1


def close(tx: Tx, edition_id: EditionId, *, totals: DeliveryCounts, now: datetime) -> None:
    """Store the totals and the end; a cancelled edition stays cancelled, another becomes finished."""
    tx.execute(update(edition).where(edition.c.id == edition_id).values(totals=totals.to_dict(), finished_at=now))
    # No delivery is on the way any more, whatever became of the blocks: those of a cancelled edition stay open.
    tx.execute(update(block).where(block.c.edition_id == edition_id, block.c.begun).values(begun=False))
    move(tx, edition_id, was=[EditionStatus.SENDING], to=EditionStatus.FINISHED)


def store_totals(tx: Tx, edition_id: EditionId, *, totals: DeliveryCounts) -> None:
    """Store the totals of a closed edition anew, after a person settled what was uncertain."""
    tx.execute(update(edition).where(edition.c.id == edition_id).values(totals=totals.to_dict()))


def reopen(tx: Tx, edition_id: EditionId) -> None:
    """Send again on what a person asked for: the totals are open once more."""
    tx.execute(
        update(edition)
        .where(edition.c.id == edition_id, edition.c.status == EditionStatus.FINISHED.value)
        .values(status=EditionStatus.SENDING.value, status_why="", totals=None, finished_at=None),
    )


def totals(tx: Tx, edition_id: EditionId) -> DeliveryCounts | None:
    """Return the totals stored at the close, None while it is open."""
    stored = tx.execute(select(edition.c.totals).where(edition.c.id == edition_id)).scalar_one()
    return None if stored is None else DeliveryCounts(**stored)


def reached_anybody(tx: Tx, on: date) -> bool:
    """Tell whether anything of a date was handed to a server."""
    return tx.execute(select(edition.c.id).where(edition.c.date == on, edition.c.tip_used).limit(1)).first() is not None


def give_tip_back(tx: Tx, edition_id: EditionId) -> None:
    """Let the lineup forget that this edition used its tip: nothing of it was handed to a server."""
    tip_id = tx.execute(
        update(edition).where(edition.c.id == edition_id).values(tip_used=False).returning(edition.c.tip_id)
    ).scalar_one()
    tips.update_last_sent(tx, TipId(tip_id))
