"""Which part of a series a tip is."""

from __future__ import annotations

from dataclasses import replace

from newsletter.core.series import SeriesPart, SeriesPlace, series_place
from newsletter.core.tip import Tip, TipId, TipPart, TipStatus


def part(number: int, *, status: TipStatus = TipStatus.SENT, series: str = "talks") -> Tip:
    """Return one part of a series."""
    return Tip(
        id=TipId(number if series == "talks" else 100 + number),
        slug=f"{series}-{number}",
        title=f"Part {number}",
        subject="s",
        part=TipPart(series=series, number=number),
        status=status,
        body="b",
        position=number,
    )


def test_a_part_knows_the_last_number_and_the_parts_before_it() -> None:
    """Later parts count whether they are approved or not; other series do not."""
    tips = [part(1), part(2, status=TipStatus.APPROVED), part(3, status=TipStatus.DRAFT), part(9, series="other")]
    assert series_place(tips[1], tips) == SeriesPlace(part=2, parts=3, earlier=(SeriesPart(part=1, title="Part 1"),))
    assert series_place(tips[0], tips) == SeriesPlace(part=1, parts=3)


def test_retired_parts_and_drafts_are_not_shown_as_earlier() -> None:
    """Readers never had them."""
    tips = [part(1, status=TipStatus.RETIRED), part(2, status=TipStatus.DRAFT), part(3)]
    assert series_place(tips[2], tips) == SeriesPlace(part=3, parts=3)
    assert series_place(part(1), [part(1), part(2, status=TipStatus.RETIRED)]) is None


def test_a_single_tip_has_no_place() -> None:
    """Neither a tip of no series nor the only part of one is part of something."""
    alone = replace(part(1), part=None)
    assert series_place(alone, [alone, part(2)]) is None
    assert series_place(part(1), [part(1)]) is None
