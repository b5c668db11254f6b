"""Tips: reading and writing them. Which tip goes where is decided in `core/lineup.py`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, exists, func, insert, literal_column, select, update
from sqlalchemy import delete as sql_delete

from newsletter.core.tip import Season, Tip, TipDraft, TipId, TipPart, TipStatus
from newsletter.store.in_ids import in_ids
from newsletter.store.schema import edition, tip
from newsletter.store.unit import Tx

_POSITION_STEP_SIZE = 1024
"""Room between two places of the queue, so that moving a tip changes one row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TipEntry:
    """A tip in a list: all of it but its text, of which 20,000 take 80 MB."""

    id: TipId
    slug: str
    title: str
    subject: str
    author: str
    tags: tuple[str, ...]
    evergreen: bool
    season: Season | None
    pin: date | None
    part: TipPart | None
    first_published: date | None
    status: TipStatus


_ENTRY_COLUMNS = [*(tip.c[field.name] for field in fields(TipEntry)), tip.c.series]


def _season_text(season: Season | None) -> str | None:
    if season is None:
        return None
    return f"{season.first[0]:02d}-{season.first[1]:02d}..{season.last[0]:02d}-{season.last[1]:02d}"


def _season(text: str | None) -> Season | None:
    if text is None:
        return None
    first, last = (tuple(int(part) for part in day.split("-")) for day in text.split(".."))
    return Season(first=(first[0], first[1]), last=(last[0], last[1]))


def _part(row: Row) -> TipPart | None:  # type: ignore[type-arg]
    return None if row.series is None else TipPart(series=row.series, number=row.part)


def _from_row(row: Row) -> Tip:  # type: ignore[type-arg]
    return Tip(
        **_shared(row),
        preheader=row.preheader,
        body=row.body,
        listed=row.listed,
        position=row.position,
    )


def _entry(row: Row) -> TipEntry:  # type: ignore[type-arg]
    return TipEntry(**_shared(row))


def _shared(row: Row) -> dict[str, Any]:  # type: ignore[type-arg]
    """Return the fields of a tip and of its entry in a list."""
    return {
        "id": TipId(row.id),
        "slug": row.slug,
        "title": row.title,
        "subject": row.subject,
        "author": row.author,
        "tags": tuple(row.tags),
        "evergreen": row.evergreen,
        "season": _season(row.season),
        "pin": row.pin,
        "part": _part(row),
        "first_published": row.first_published,
        "status": TipStatus(row.status),
    }


def _to_row(draft: TipDraft | Tip) -> dict[str, object]:
    return {
        "slug": draft.slug,
        "title": draft.title,
        "subject": draft.subject,
        "preheader": draft.preheader,
        "author": draft.author,
        "tags": list(draft.tags),
        "evergreen": draft.evergreen,
        "season": _season_text(draft.season),
        "pin": draft.pin,
        "series": draft.part and draft.part.series,
        "part": draft.part and draft.part.number,
        "first_published": draft.first_published,
        "listed": draft.listed,
        "status": draft.status.value,
        "body": draft.body,
    }


def add(tx: Tx, draft: TipDraft, *, now: datetime) -> Tip:
    """Write a new tip at the end of the queue."""
    last = tx.execute(select(func.max(tip.c.position))).scalar() or 0
    values = _to_row(draft) | {
        "position": last + _POSITION_STEP_SIZE,
        "changed_at": now,
        "last_sent_on": draft.first_published,
    }
    result = tx.execute(insert(tip).values(**values).returning(tip.c.id))
    saved = by_id(tx, TipId(result.scalar_one()))
    assert saved is not None  # noqa: S101 it was written two lines above, in this transaction
    return saved


def save(tx: Tx, known: Tip, draft: TipDraft | Tip, *, now: datetime) -> Tip:
    """Write what a draft says over a known tip; its place in the queue stays."""
    values = _to_row(draft) | {"changed_at": now}
    tx.execute(update(tip).where(tip.c.id == known.id).values(**values))
    if draft.first_published != known.first_published:
        update_last_sent(tx, known.id)
    saved = by_id(tx, known.id)
    assert saved is not None  # noqa: S101 it was updated above, in this transaction
    return saved


def set_status(tx: Tx, known: Tip, status: TipStatus, *, now: datetime) -> Tip:
    """Move a tip to another status."""
    tx.execute(update(tip).where(tip.c.id == known.id).values(status=status.value, changed_at=now))
    return replace(known, status=status)


def set_pin(tx: Tx, known: Tip, pin: date | None, *, now: datetime) -> Tip:
    """Pin a tip to a date, or unpin it."""
    tx.execute(update(tip).where(tip.c.id == known.id).values(pin=pin, changed_at=now))
    return replace(known, pin=pin)


def has_edition(tx: Tx, tip_id: TipId) -> bool:
    """Tell whether an edition was ever made of a tip, a cancelled one included."""
    return bool(tx.execute(select(exists().where(edition.c.tip_id == tip_id))).scalar_one())


def delete(tx: Tx, tip_id: TipId) -> None:
    """Delete a tip; the database refuses it while an edition names the tip."""
    tx.execute(sql_delete(tip).where(tip.c.id == tip_id))


def by_id(tx: Tx, tip_id: TipId) -> Tip | None:
    """Return a tip by its id."""
    row = tx.execute(select(tip).where(tip.c.id == tip_id)).first()
    return None if row is None else _from_row(row)


def by_slug(tx: Tx, slug: str) -> Tip | None:
    """Return a tip by its whole slug."""
    row = tx.execute(select(tip).where(tip.c.slug == slug)).first()
    return None if row is None else _from_row(row)


def pinned_to(tx: Tx, on: date) -> Tip | None:
    """Return the tip that is pinned to a date."""
    row = tx.execute(select(tip).where(tip.c.pin == on)).first()
    return None if row is None else _from_row(row)


def by_slugs(tx: Tx, slugs: Iterable[str]) -> Sequence[Tip]:
    """Return the tips with these slugs."""
    query = select(tip).where(in_ids(tip.c.slug, "slugs"))
    return [_from_row(row) for row in tx.execute(query, {"slugs": list(slugs)})]


def all_tips(tx: Tx, *, statuses: Collection[TipStatus] = tuple(TipStatus)) -> Sequence[Tip]:
    """Return every tip of these states in queue order, with its body: only for a caller that writes all of them."""
    query = select(tip).where(tip.c.status.in_([status.value for status in statuses]))
    return [_from_row(row) for row in tx.execute(query.order_by(tip.c.position, tip.c.id))]


def entries(tx: Tx, *, statuses: Collection[TipStatus] = tuple(TipStatus)) -> Sequence[TipEntry]:
    """Return every tip of these states in queue order, without its body."""
    query = select(*_ENTRY_COLUMNS).where(tip.c.status.in_([status.value for status in statuses]))
    return [_entry(row) for row in tx.execute(query.order_by(tip.c.position, tip.c.id))]


def pins(tx: Tx) -> Mapping[TipId, tuple[date, str]]:
    """Return the date and the slug of each tip that has a pin."""
    query = select(tip.c.id, tip.c.pin, tip.c.slug).where(tip.c.pin.is_not(None))
    return {TipId(row.id): (row.pin, row.slug) for row in tx.execute(query)}


def of_series(tx: Tx, series: str) -> Sequence[Tip]:
    """Return the parts of a series, in any state."""
    return by_condition(tx, tip.c.series == series)


def by_condition(tx: Tx, *conditions: ColumnElement[bool], limit: int | None = None) -> Sequence[Tip]:
    """Return the tips that fit, those first that were sent longest ago."""
    query = select(tip).where(*conditions).order_by(tip.c.last_sent_on, tip.c.position).limit(limit)
    return [_from_row(row) for row in tx.execute(query)]


def count_by_status(tx: Tx, status: TipStatus) -> int:
    """Return how many tips are drafts, or approved: by a partial index, whose condition takes no bound value."""
    condition = tip.c.status == literal_column(f"'{status.value}'")
    return tx.execute(select(func.count()).select_from(tip).where(condition)).scalar_one()


def drafts(tx: Tx, *, limit: int) -> Sequence[Tip]:
    """Return the first drafts in the order of the queue."""
    condition = tip.c.status == literal_column(f"'{TipStatus.DRAFT.value}'")
    query = select(tip).where(condition).order_by(tip.c.position, tip.c.id).limit(limit)
    return [_from_row(row) for row in tx.execute(query)]


def slugs_beginning(tx: Tx, text: str) -> Sequence[str]:
    """Return the slugs that begin so, in alphabetical order."""
    query = select(tip.c.slug).where(tip.c.slug.startswith(text, autoescape=True))
    return list(tx.execute(query.order_by(tip.c.slug)).scalars())


def update_last_sent(tx: Tx, tip_id: TipId) -> None:
    """Store anew when a tip was last sent: the day of its first publication, or that of its newest edition."""
    first = tx.execute(select(tip.c.first_published).where(tip.c.id == tip_id)).scalar()
    sent = select(func.max(edition.c.date)).where(edition.c.tip_id == tip_id, edition.c.tip_used)
    last = max((day for day in (first, tx.execute(sent).scalar()) if day is not None), default=None)
    tx.execute(update(tip).where(tip.c.id == tip_id).values(last_sent_on=last))


def place(tx: Tx, known: Tip, *, before: Tip | None, now: datetime) -> None:
    """Put a tip directly before another one, or at the end of the queue."""
    others = select(func.max(tip.c.position)).where(tip.c.id != known.id)
    if before is None:
        position = (tx.execute(others).scalar() or 0) + _POSITION_STEP_SIZE
    else:
        low = tx.execute(others.where(tip.c.position < before.position)).scalar()
        high = before.position
        if low is not None and high - low < 2:  # noqa: PLR2004 no room between two neighbours: move the rest on
            tx.execute(update(tip).where(tip.c.position >= high).values(position=tip.c.position + _POSITION_STEP_SIZE))
            high += _POSITION_STEP_SIZE
        position = high - _POSITION_STEP_SIZE if low is None else (low + high) // 2
    tx.execute(update(tip).where(tip.c.id == known.id).values(position=position, changed_at=now))


def first_in_order(tx: Tx, *, other_than: TipId) -> Tip | None:
    """Return the tip that stands first, another one aside."""
    query = select(tip).where(tip.c.id != other_than).order_by(tip.c.position, tip.c.id).limit(1)
    row = tx.execute(query).first()
    return None if row is None else _from_row(row)


def follower(tx: Tx, known: Tip) -> Tip | None:
    """Return the tip that stands directly behind another one in the queue; None for the last."""
    behind = select(tip).where(tip.c.position > known.position)
    row = tx.execute(behind.order_by(tip.c.position, tip.c.id).limit(1)).first()
    return None if row is None else _from_row(row)
