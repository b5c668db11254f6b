"""A series: which part of how many a tip is, and which parts came before it.

In: a tip and all tips. Out: its place in the series. The order in which parts go out is decided in `core/lineup.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from newsletter.core.tip import Tip, TipStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPart:
    """An earlier part of a series."""

    part: int
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPlace:
    """Where a tip stands in its series."""

    part: int
    parts: int
    """The number of the last part that is planned; a retired one is not."""
    earlier: tuple[SeriesPart, ...] = ()
    """Those that go out before it: drafts and retired parts do not."""


def series_place(tip: Tip, tips: Iterable[Tip]) -> SeriesPlace | None:
    """Return the place of a tip among all tips; None for a tip of no series and for a single part."""
    part = tip.part
    if part is None:
        return None
    others = [
        (other.part.number, other)
        for other in tips
        if other.part is not None
        and other.part.series == part.series
        and other.id != tip.id
        and other.status is not TipStatus.RETIRED
    ]
    parts = max([part.number, *(number for number, _ in others)])
    if parts == 1:
        return None
    earlier = sorted(
        (number, other.title)
        for number, other in others
        if number < part.number and other.status is not TipStatus.DRAFT
    )
    return SeriesPlace(
        part=part.number,
        parts=parts,
        earlier=tuple(SeriesPart(part=number, title=title) for number, title in earlier),
    )
