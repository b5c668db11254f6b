"""A delivery: one person of one edition, and what became of it.

In: the state of a delivery and a verdict. Out: the next state. It never reads the clock: `now` and `jitter` are arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from newsletter.core.edition import EditionId
from newsletter.core.subscriber import SubscriberId

DeliveryId = NewType("DeliveryId", int)


class DeliveryState(StrEnum):
    """The eight states; at every moment their counts add up to the audience of the edition."""

    QUEUED = "queued"
    SENDING = "sending"
    DEFERRED = "deferred"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNCERTAIN = "uncertain"
    EXPIRED = "expired"
    SKIPPED = "skipped"


OPEN_STATES = (DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.DEFERRED)
"""While any delivery is in one of these, its edition is not finished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One row of the log."""

    id: DeliveryId
    edition_id: EditionId
    subscriber_id: SubscriberId | None
    """None once the person was erased."""
    state: DeliveryState
    reason: str = ""
    """Why it is in this state, in plain language."""
    attempts: int = 0
    first_attempt_at: datetime | None = None
    last_attempt_at: datetime | None = None
    next_attempt_at: datetime | None = None
    reply_code: int | None = None
    reply_enhanced: str = ""
    reply_text: str = ""
    """The server's words."""
