"""A subscriber: the states, and the changes between them.

In: a subscriber and an event. Out: the subscriber after it, or an `InputError` with the reason against it.
Addresses are read in `core/address.py`. Only `reactivate` brings back a person who left, and it needs a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import NewType

from newsletter.errors import InputError

SubscriberId = NewType("SubscriberId", int)


class SubscriberState(StrEnum):
    """State of a subscriber; only `active` gets editions."""

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
    names_imported: bool = field(default=False, compare=False)
    """The names come from an import and were not edited since: a corrected file may replace them."""


_STRENGTH = {
    state: strength
    for strength, state in enumerate(
        (
            SubscriberState.PENDING,
            SubscriberState.ACTIVE,
            SubscriberState.PAUSED,
            # The refusal of a person is stronger than that of a server: a mailbox that bounced may work again, and to
            # reactivate it must not reactivate a person who had also left.
            SubscriberState.BOUNCED,
            SubscriberState.UNSUBSCRIBED,
            SubscriberState.COMPLAINED,
        )
    )
}


def stronger(first: SubscriberState, other: SubscriberState) -> SubscriberState:
    """Return the state that wins when two sources disagree, in whatever order they are read."""
    return max(first, other, key=_STRENGTH.__getitem__)


_RESTRICTIONS = (
    SubscriberState.ACTIVE,
    SubscriberState.PENDING,
    SubscriberState.PAUSED,
    SubscriberState.BOUNCED,
    SubscriberState.UNSUBSCRIBED,
    SubscriberState.COMPLAINED,
)


def most_restrictive(states: Iterable[SubscriberState]) -> SubscriberState:
    """Return the state to take when one source names several: no other column makes an unconfirmed person active."""
    return max(states, key=_RESTRICTIONS.index)


def eligible(state: SubscriberState) -> bool:
    """Tell whether a subscriber in this state gets editions."""
    return state is SubscriberState.ACTIVE


def pause(subscriber: Subscriber, *, now: datetime, why: str = "") -> Subscriber:
    """Hold editions back until `resume`."""
    if subscriber.state not in {SubscriberState.ACTIVE, SubscriberState.PAUSED}:
        raise InputError(_cannot(subscriber, "paused", "only an active subscriber can be"))
    return _moved(subscriber, SubscriberState.PAUSED, now, why)


def resume(subscriber: Subscriber, *, now: datetime, why: str = "") -> Subscriber:
    """End a pause, and nothing but a pause."""
    if subscriber.state not in {SubscriberState.ACTIVE, SubscriberState.PAUSED}:
        hint = "only a paused subscriber can be; see `newsletter subscriber reactivate`"
        raise InputError(_cannot(subscriber, "resumed", hint))
    return _moved(subscriber, SubscriberState.ACTIVE, now, why)


def unsubscribe(subscriber: Subscriber, *, now: datetime, why: str = "") -> Subscriber:
    """End the subscription. Possible in every state, any number of times; a complaint stays a complaint."""
    return _moved(subscriber, stronger(subscriber.state, SubscriberState.UNSUBSCRIBED), now, why)


def bounce(subscriber: Subscriber, *, now: datetime, why: str) -> Subscriber:
    """Record that the mailbox does not exist, or refuses this sender for good."""
    return _moved(subscriber, stronger(subscriber.state, SubscriberState.BOUNCED), now, why)


def complain(subscriber: Subscriber, *, now: datetime, why: str) -> Subscriber:
    """Record that the person marked a mail as unwanted."""
    return _moved(subscriber, SubscriberState.COMPLAINED, now, why)


def reactivate(subscriber: Subscriber, *, now: datetime, because: str) -> Subscriber:
    """Bring a person back who left, bounced or complained; the reason is kept as evidence of the wish."""
    if not because.strip():
        raise InputError('say why with --because, such as "asked for it again by mail on 3 March"')
    if subscriber.state is SubscriberState.PENDING:
        raise InputError(_cannot(subscriber, "reactivated", "the confirmation is still awaited"))
    if subscriber.state is SubscriberState.PAUSED:
        raise InputError(_cannot(subscriber, "reactivated", "end the pause with `newsletter subscriber resume`"))
    return _moved(subscriber, SubscriberState.ACTIVE, now, because.strip())


def _moved(subscriber: Subscriber, state: SubscriberState, now: datetime, why: str) -> Subscriber:
    """Return the subscriber in the new state; the same value, with its date and reason, when there already."""
    if subscriber.state is state:
        return subscriber
    return replace(subscriber, state=state, state_since=now, state_why=why)


def _cannot(subscriber: Subscriber, verb: str, hint: str) -> str:
    return f"{subscriber.email} cannot be {verb}, the state is {subscriber.state.value}: {hint}"
