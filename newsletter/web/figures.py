"""The figures behind `/metrics`: one look at the database, as a value.

In: the door to the database and the time. Out: `Figures`. It changes nothing, and it reads no address.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from newsletter.core.alert import AlertKind
from newsletter.core.cadence import SlotState
from newsletter.core.receipt import Receipt
from newsletter.flows.plan import PlanRules, look_ahead
from newsletter.store.snapshot import read_snapshot
from newsletter.store.unit import Unit

PENDING_PROOF_WEEKS = 26
"""How far the stock is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was seen."""

    at: datetime
    next_slot: datetime | None
    """When the next open slot sends; in the past while one is due and has nothing to send."""
    fresh: int
    evergreen: int
    low_stock: int
    audience: int
    beats: Mapping[str, datetime]
    """The last sign of life of each part; one that never ran is not there."""
    senders: Mapping[str, int]
    """How many sending processes are `alive`, and how many `silent` without having ended."""
    alerts: Mapping[AlertKind, int]
    editions: Sequence[Receipt]
    """Those that are not closed, and the last one."""


def read_figures(unit: Unit, rules: PlanRules, *, now: datetime) -> Figures:
    """Look at the database once."""
    with unit.read() as tx:
        outlook = look_ahead(tx, rules, weeks=PENDING_PROOF_WEEKS, now=now)
        ahead = [choice.slot.sends_at for choice in outlook.choices if choice.slot.state is SlotState.OPEN]
        snapshot = read_snapshot(tx, now=now)
        shown = {known.edition.id: known.receipt for known in (*snapshot.editions[:1], *snapshot.running)}
        return Figures(
            at=now,
            next_slot=min(ahead, default=None),
            fresh=outlook.stock.fresh,
            evergreen=outlook.stock.evergreen,
            low_stock=rules.lineup.low_stock_weeks,
            audience=outlook.audience,
            beats={part.value: state.seen_at for part, state in snapshot.parts.items() if state.seen_at is not None},
            senders=snapshot.sender_counts,
            alerts=Counter(alert.kind for alert in snapshot.alerts),
            editions=list(shown.values()),
        )
