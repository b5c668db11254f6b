"""The order of the queue as a person saw it, so that a change made meanwhile by somebody else is noticed.

In: the lineup that was shown. Out: a digest, which a form of that page sends back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from newsletter.core.lineup import Choice, Source
from newsletter.core.tip import Tip

_DIGEST_LENGTH = 16


def order_digest(choices: Iterable[Choice]) -> str:
    """Return the same text for the same tips on the same dates for the same reasons, and another one else."""
    lines = (f"{choice.slot.date} {choice.source.value} {choice.tip.id if choice.tip else ''}" for choice in choices)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:_DIGEST_LENGTH]


def queued_tips(choices: Iterable[Choice]) -> Sequence[Tip]:
    """Return the tips that their place in the queue gives a date, in the order of the dates."""
    return [choice.tip for choice in choices if choice.tip is not None and choice.source is Source.QUEUE]
