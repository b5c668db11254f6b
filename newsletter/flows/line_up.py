"""The lineup of some slots, from the tips that can still go out.

In: slots, the rules. Out: one `Choice` each. As many tips are read as the lineup needs, however long the queue and the
archive are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from newsletter.core.cadence import Cadence, Slot
from newsletter.core.forecast import Stranded, stranded
from newsletter.core.lineup import Candidates, Choice, LineupRules, MoreCandidatesNeeded, lineup_of
from newsletter.core.tip import TipId, TipStatus
from newsletter.store import edition as editions
from newsletter.store import slot as slots
from newsletter.store.candidates import pinned, read_candidates, sent_before
from newsletter.store.unit import Tx

_SPARE_TIPS_COUNT = 16
"""Tips to read beyond one for each slot: some wait for an earlier part of a series, or for their season."""
_LIMIT_GROWTH_FACTOR = 8
"""How many times as many are read when they did not suffice."""
_NEIGHBOUR_DISTANCE_MAX = timedelta(days=7)
"""The lineup warns of editions that lie closer together."""


def line_up(tx: Tx, ahead: Sequence[Slot], rules: LineupRules, *, held_back: TipId | None = None) -> list[Choice]:
    """Return what goes to each slot; `held_back` is a tip that is taken for a draft without a pin."""
    if not ahead:
        return []
    since = min(slot.date for slot in ahead) - _NEIGHBOUR_DISTANCE_MAX
    limit = len(ahead) + _SPARE_TIPS_COUNT
    while True:
        candidates = read_candidates(tx, limit=limit, since=since)
        try:
            return lineup_of(ahead, _without(candidates, held_back), rules)
        except MoreCandidatesNeeded:
            limit *= _LIMIT_GROWTH_FACTOR


def find_stranded(tx: Tx, due: Slot | None, cadence: Cadence, *, now: datetime) -> list[Stranded]:
    """Return the tips that no date will take; `due` is the slot that goes out in a moment and may have no row yet."""
    candidates = {tip.id: tip for tip in (*pinned(tx), *sent_before(tx))}
    pins = [tip.pin for tip in candidates.values() if tip.pin is not None]
    known = [*slots.on(tx, pins), *([due] if due is not None else [])]
    history = editions.history_of(tx, candidates.keys(), dates=pins)
    return stranded(candidates.values(), known, history, cadence=cadence, now=now)


def _without(candidates: Candidates, held_back: TipId | None) -> Candidates:
    tips = [replace(tip, status=TipStatus.DRAFT, pin=None) if tip.id == held_back else tip for tip in candidates.tips]
    return replace(candidates, tips=tips)
