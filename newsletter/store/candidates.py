"""The tips that can still go out, read without the archive of those that went out.

In: how many slots are to be filled. Out: `Candidates` for `core/lineup.py`, and the tips that may be stranded. The
queue and the evergreens are read up to a limit, each by its order in a partial index; pins and series are read whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import pairwise
from operator import itemgetter

from sqlalchemy import ColumnElement, func, literal_column, null, select

from newsletter.core.lineup import Candidates, Omitted, Sending
from newsletter.core.tip import Tip, TipId, TipStatus
from newsletter.store import edition as editions
from newsletter.store import tip as tips
from newsletter.store.schema import tip
from newsletter.store.unit import Tx

# Literal, since a partial index serves a query only when its condition stands in it; a bound value might be another.
_APPROVED = tip.c.status == literal_column(f"'{TipStatus.APPROVED.value}'")
# An expression, since SQLite takes a unique index for one that holds few NULLs, and would read every tip by it.
_UNPINNED = func.coalesce(tip.c.pin, null()).is_(None)
_QUEUED = (_APPROVED, tip.c.evergreen.is_(False), tip.c.last_sent_on.is_(None), _UNPINNED)
_EVERGREEN = (_APPROVED, tip.c.evergreen.is_(True), _UNPINNED)
_OPEN = (TipStatus.APPROVED, TipStatus.DRAFT)


def read_candidates(tx: Tx, *, limit: int, since: date) -> Candidates:
    """Return what a lineup chooses from: of the queue and of the evergreens the first `limit` each.

    `since` is a day before which no edition matters for the distance between two of them.
    """
    queue = tips.by_condition(tx, *_QUEUED, limit=limit)
    # Two queries, as the databases do not agree whether a missing date comes first.
    evergreens = list(tips.by_condition(tx, *_EVERGREEN, tip.c.last_sent_on.is_(None), limit=limit))
    if len(evergreens) < limit:
        rest = limit - len(evergreens)
        evergreens += tips.by_condition(tx, *_EVERGREEN, tip.c.last_sent_on.is_not(None), limit=rest)
    chosen = {known.id: known for known in (*queue, *evergreens, *pinned(tx))}
    chosen |= {known.id: known for known in _series(tx, chosen.values())}
    history = editions.history_of(tx, chosen.keys())
    history = editions.history_of(tx, chosen.keys(), since=_series_since(chosen.values(), history, since))
    loaded = sum(
        known.evergreen and known.pin is None and known.status is TipStatus.APPROVED for known in chosen.values()
    )
    return Candidates(
        tips=sorted(chosen.values(), key=lambda known: known.position),
        history=history,
        omitted=Omitted(
            queue_length=_count(tx, *_QUEUED),
            queue_limit=queue[-1].position if len(queue) == limit else None,
            evergreens=_count(tx, *_EVERGREEN) - loaded,
            evergreen_limit=_key(evergreens[-1], history) if len(evergreens) == limit else None,
        ),
    )


def pinned(tx: Tx) -> Sequence[Tip]:
    """Return the approved tips and drafts that have a pin."""
    every = tips.by_condition(tx, tip.c.pin.is_not(None), tip.c.status.in_([status.value for status in _OPEN]))
    return sorted(every, key=lambda known: known.position)


def sent_before(tx: Tx) -> Sequence[Tip]:
    """Return the approved tips that were sent already and are no evergreens: they do not go out again."""
    return tips.by_condition(tx, _APPROVED, tip.c.evergreen.is_(False), tip.c.last_sent_on.is_not(None))


def _series(tx: Tx, known: Iterable[Tip]) -> Sequence[Tip]:
    names = sorted({candidate.part.series for candidate in known if candidate.part is not None})
    return tips.by_condition(tx, tip.c.series.is_not(None), tip.c.series.in_(names)) if names else []


def _series_since(known: Iterable[Tip], history: Sequence[Sending], since: date) -> date:
    """Return the day from which the order of editions matters, since a series under way counts what lies between."""
    last: dict[TipId, date] = {sending.tip: sending.date for sending in history}
    days = [since]
    series: dict[str, list[tuple[int, Tip]]] = {}
    for candidate in known:
        if candidate.part is not None:
            series.setdefault(candidate.part.series, []).append((candidate.part.number, candidate))
    for parts in series.values():
        days += [
            last[before.id]
            for (_, before), (_, part) in pairwise(sorted(parts, key=itemgetter(0)))
            if before.id in last and part.id not in last and part.status in _OPEN
        ]
    return min(days)


def _key(known: Tip, history: Sequence[Sending]) -> tuple[date, int]:
    days = [sending.date for sending in history if sending.tip == known.id]
    return max([*days, *([known.first_published] if known.first_published else [])], default=date.min), known.position


def _count(tx: Tx, *conditions: ColumnElement[bool]) -> int:
    return tx.execute(select(func.count()).select_from(tip).where(*conditions)).scalar_one()
