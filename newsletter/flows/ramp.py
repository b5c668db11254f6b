"""The ramp of a fresh list, as the database knows it: how many mails may go within 24 hours."""

from __future__ import annotations

from dataclasses import dataclass

from newsletter.core.ramp import day_cap
from newsletter.store import sent, subscriber_count
from newsletter.store.unit import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class RampRules:
    """What the operator decided."""

    start: int = 0
    """Mails in 24 hours at the beginning; 0 is no ramp."""
    hard_percent: float = 2.0
    """Addresses that do not exist beyond which an edition proves nothing good."""


def day_limit(tx: Tx, rules: RampRules) -> int | None:
    """Return how many mails may go in any 24 hours, None for no limit; the provider's quota holds besides it.

    It changes only when an edition is finished, so asking once for each pass of the sender is enough.
    """
    if not rules.start:
        return None
    audience = subscriber_count.active(tx)
    return day_cap(rules.start, sent.finished(tx), audience=audience, hard_percent=rules.hard_percent)
