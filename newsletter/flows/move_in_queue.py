"""Move a tip within the queue, as the person who saw its order wants it.

In: the tip, where it goes, and the digest of the order that was shown. Out: the tip that stood behind it, so that the
move can be taken back. Where somebody else changed the queue meanwhile, nothing is moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from newsletter.core.queue_order import order_digest, queued_tips
from newsletter.core.tip import Tip, TipStatus
from newsletter.errors import InputError, NotNow
from newsletter.flows.plan import Outlook, PlanRules, look_ahead
from newsletter.store import installation as installations
from newsletter.store import log as logs
from newsletter.store import tip as tips
from newsletter.store.unit import Tx, Unit

QUEUE_CHANGED = "Somebody else changed the queue meanwhile. Nothing was moved; this is how it is now."


class QueueMove(StrEnum):
    """Where a tip goes."""

    UP = "up"
    DOWN = "down"
    TOP = "top"
    END = "end"
    BEFORE = "before"
    """Before a tip that is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedTip:
    """A tip at its new place."""

    tip: Tip
    follower: str
    """The slug of the tip that stood behind it before; empty when it was the last."""


def move_in_queue(
    unit: Unit,
    rules: PlanRules,
    slug: str,
    to: QueueMove,
    *,
    before: str = "",
    weeks: int,
    seen: str,
    who: str,
    now: datetime,
) -> MovedTip:
    """Move a tip; `seen` is the digest of the lineup of `weeks` that the person saw, empty for any.

    Raises `InputError` where the tip cannot go there, and `NotNow` where the lineup is another one by now.
    """
    with unit.write() as tx:
        installations.lock(tx)
        ahead = look_ahead(tx, rules, weeks=weeks, now=now)
        if seen and order_digest(ahead.choices) != seen:
            raise NotNow(QUEUE_CHANGED)
        tip = _queued(tx, slug)
        follower = tips.follower(tx, tip)
        target = _target(tx, ahead, tip, to, before)
        tips.place(tx, tip, before=target, now=now)
        place = f"before {target.slug}" if target is not None else "last"
        logs.add(tx, logs.LogEntry(at=now, who=who, what="tip move", about=tip.slug, why=place))
        return MovedTip(tip=tip, follower=follower.slug if follower is not None else "")


def _target(tx: Tx, ahead: Outlook, tip: Tip, to: QueueMove, before: str) -> Tip | None:
    """Return the tip to place it before; None for the end of the queue."""
    if to is QueueMove.END:
        return None
    if to is QueueMove.TOP:
        return tips.first_in_order(tx, other_than=tip.id)
    if to is QueueMove.BEFORE:
        if before == tip.slug:
            raise InputError(f"“{tip.title}” cannot go before itself")
        return _queued(tx, before)
    row = queued_tips(ahead.choices)
    places = [place for place, queued in enumerate(row) if queued.id == tip.id]
    if not places:
        raise InputError(f"“{tip.title}” has no date among those shown; move it to the top or before another tip")
    place = places[0]
    if to is QueueMove.UP:
        if place == 0:
            raise InputError(f"“{tip.title}” is the first already")
        return row[place - 1]
    if place + 1 == len(row):
        raise InputError(f"“{tip.title}” is the last of those shown; move it to the end")
    return row[place + 2] if place + 2 < len(row) else tips.follower(tx, row[place + 1])


def _queued(tx: Tx, slug: str) -> Tip:
    tip = tips.by_slug(tx, slug)
    if tip is None:
        raise InputError("this tip is not there any more; look at the queue again")
    if tip.status in {TipStatus.SENT, TipStatus.RETIRED}:
        raise InputError(f"“{tip.title}” is not in the queue: it was {tip.status}")
    return tip
