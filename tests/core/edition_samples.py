"""An edition for tests that need no database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

from newsletter.core.edition import Edition, EditionId, EditionStatus, EditionTip
from newsletter.core.lineup import Source
from newsletter.core.tip import TipId

STARTED = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)

EDITION = Edition(
    id=EditionId(1),
    date=date(2026, 11, 24),
    tip=EditionTip(
        id=TipId(1),
        slug="name-your-branches",
        title="Name your branches",
        source=Source.QUEUE,
        why="next in the queue (1st of 3)",
    ),
    status=EditionStatus.SENDING,
    audience=1204,
    nonce="n",
    sends_at=STARTED,
    started_at=STARTED,
)


def edition_of(audience: int, **changes: object) -> Edition:
    """Return the edition for this audience, with changes."""
    return replace(EDITION, audience=audience, **changes)  # type: ignore[arg-type]
