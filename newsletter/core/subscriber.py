"""A subscriber: who may get mail, and why or why not.

In: an address as somebody typed it. Out: frozen values. It never looks an address up in the DNS or probes a server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

SubscriberId = NewType("SubscriberId", int)


class SubscriberState(StrEnum):
    """Where a subscriber stands; only `active` gets editions."""

    PENDING = "pending"
    ACTIVE = "active"
    PAUSED = "paused"
    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """One person of the list."""

    id: SubscriberId
    email: str
    """The address as typed, trimmed."""
    canonical: str
    """The form that is unique: local part case-folded, domain as lower-case A-label."""
    name: str = ""
    first_name: str = ""
    last_name: str = ""
    time_zone: str = ""
    tags: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    """Further columns of an import, by heading."""
    state: SubscriberState = SubscriberState.ACTIVE
    state_since: datetime
    state_why: str = ""
    created_at: datetime
