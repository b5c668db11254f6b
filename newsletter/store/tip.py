"""Tips: reading and writing them. Which tip goes where is decided in `core/lineup.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from sqlalchemy import Row, func, insert, select, update

from newsletter.core.tip import Season, Tip, TipDraft, TipId, TipStatus
from newsletter.store.schema import tip
from newsletter.store.unit import Tx

_POSITION_STEP_SIZE = 1024
"""Room between two places of the queue, so that moving a tip changes one row."""


def _season_text(season: Season | None) -> str | None:
    if season is None:
        return None
    return f"{season.first[0]:02d}-{season.first[1]:02d}..{season.last[0]:02d}-{season.last[1]:02d}"


def _season(text: str | None) -> Season | None:
    if text is None:
        return None
    first, last = (tuple(int(part) for part in day.split("-")) for day in text.split(".."))
    return Season(first=(first[0], first[1]), last=(last[0], last[1]))


def _from_row(row: Row) -> Tip:  # type: ignore[type-arg]
    return Tip(
        id=TipId(row.id),
        slug=row.slug,
        title=row.title,
        subject=row.subject,
        preheader=row.preheader,
        author=row.author,
        tags=tuple(row.tags),
        evergreen=row.evergreen,
        season=_season(row.season),
        pin=row.pin,
        series=row.series,
        part=row.part,
        first_published=row.first_published,
        status=TipStatus(row.status),
        body=row.body,
        position=row.position,
    )


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
        "series": draft.series,
        "part": draft.part,
        "first_published": draft.first_published,
        "status": draft.status.value,
        "body": draft.body,
    }


def add(tx: Tx, draft: TipDraft, *, now: datetime) -> Tip:
    """Write a new tip at the end of the queue."""
    last = tx.execute(select(func.max(tip.c.position))).scalar() or 0
    values = _to_row(draft) | {"position": last + _POSITION_STEP_SIZE, "changed_at": now}
    result = tx.execute(insert(tip).values(**values).returning(tip.c.id))
    saved = by_id(tx, TipId(result.scalar_one()))
    assert saved is not None  # noqa: S101 it was written two lines above, in this transaction
    return saved


def save(tx: Tx, known: Tip, draft: TipDraft | Tip, *, now: datetime) -> Tip:
    """Write what a draft says over a known tip; its place in the queue stays."""
    values = _to_row(draft) | {"changed_at": now}
    tx.execute(update(tip).where(tip.c.id == known.id).values(**values))
    saved = by_id(tx, known.id)
    assert saved is not None  # noqa: S101 tips are never deleted
    return saved


def set_status(tx: Tx, known: Tip, status: TipStatus, *, now: datetime) -> Tip:
    """Move a tip to another status."""
    tx.execute(update(tip).where(tip.c.id == known.id).values(status=status.value, changed_at=now))
    return replace(known, status=status)


def set_pin(tx: Tx, known: Tip, pin: date | None, *, now: datetime) -> Tip:
    """Pin a tip to a date, or unpin it."""
    tx.execute(update(tip).where(tip.c.id == known.id).values(pin=pin, changed_at=now))
    return replace(known, pin=pin)


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


def all_tips(tx: Tx) -> Sequence[Tip]:
    """Return every tip in queue order."""
    return [_from_row(row) for row in tx.execute(select(tip).order_by(tip.c.position, tip.c.id))]


def place(tx: Tx, known: Tip, *, before: Tip | None, now: datetime) -> None:
    """Put a tip directly before another one, or at the end of the queue."""
    order = [other for other in all_tips(tx) if other.id != known.id]
    at = len(order) if before is None else next(i for i, other in enumerate(order) if other.id == before.id)
    low = order[at - 1].position if at else 0
    high = order[at].position if at < len(order) else low + 2 * _POSITION_STEP_SIZE
    if high - low < 2:  # noqa: PLR2004 no room between two neighbours: number the whole queue anew
        for number, other in enumerate([*order[:at], known, *order[at:]], start=1):
            tx.execute(update(tip).where(tip.c.id == other.id).values(position=number * _POSITION_STEP_SIZE))
        return
    tx.execute(update(tip).where(tip.c.id == known.id).values(position=(low + high) // 2, changed_at=now))
