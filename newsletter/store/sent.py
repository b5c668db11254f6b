"""What the editions so far say about how well our mail is taken: the growth of a fresh list rests on it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select

from newsletter.core.alert import AlertKind
from newsletter.core.edition import EditionStatus, edition_name
from newsletter.core.ramp import Sent
from newsletter.store.schema import alert, edition, tally
from newsletter.store.unit import Tx


def finished(tx: Tx) -> Sequence[Sent]:
    """Return the finished editions, oldest first."""
    # What came back by mail has its row in the tally as well (`store/evidence.py`).
    refused = select(tally.c.edition_id, func.sum(tally.c.hard).label("people")).group_by(tally.c.edition_id)
    hard = {row.edition_id: int(row.people) for row in tx.execute(refused)}
    paused = set(tx.execute(select(alert.c.about).where(alert.c.kind == AlertKind.EDITION_PAUSED.value)).scalars())
    query = select(edition.c.id, edition.c.date, edition.c.number, edition.c.totals)
    rows = []
    for row in tx.execute(query.where(edition.c.status == EditionStatus.FINISHED.value).order_by(edition.c.id)):
        name = edition_name(row.date, row.number)
        totals = row.totals or {}
        rows.append(
            Sent(
                accepted=totals.get("accepted", 0),
                refused=totals.get("rejected", 0),
                hard=hard.get(row.id, 0),
                paused=name in paused,
            )
        )
    return rows
