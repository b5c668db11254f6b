"""After leaving: taking it back within half an hour, pausing instead, and saying why.

In: a token that is made only in the answer of a press that changed something, so that an old or forwarded mail brings
no person back. Out: what came of it. The state before is part of the token, and a person who did something else since
stays as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from newsletter.core.csv_import import clean
from newsletter.core.subscriber import Subscriber, SubscriberId, SubscriberState
from newsletter.core.token import Keyring, LinkPurpose, LinkToken, make_link_token
from newsletter.flows.change_subscriber import move_on
from newsletter.store import subscriber as subscribers
from newsletter.store.subscriber import Consent
from newsletter.store.unit import Tx, Unit

UNDO_WITHIN = timedelta(minutes=30)
PAUSE_SPAN = timedelta(weeks=4)
REASON_LENGTH_MAX = 500
REASON_ACTION = "reason for leaving"
_WEB_PAGE = "page"

_STATES = (SubscriberState.ACTIVE, SubscriberState.PAUSED, SubscriberState.PENDING)
"""States that can be taken up again, in the order of the byte of the token, which is final."""


class AfterLeaving(Enum):
    """What a person may do on the page after leaving."""

    UNDO = "undo"
    PAUSE = "pause"
    REASON = "reason"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeavingChange:
    """What came of it."""

    changed: bool
    """False for a person who is not the one that left half an hour ago."""
    paused_until: datetime | None = None


def make_undo_token(keyring: Keyring, before: Subscriber, *, left_at: datetime) -> str:
    """Make the token for a person who has just left; empty when there is nothing to take back."""
    if before.state not in _STATES:
        return ""
    link = LinkToken(
        purpose=LinkPurpose.UNDO, id=before.id, detail=_STATES.index(before.state), expires_at=left_at + UNDO_WITHIN
    )
    return make_link_token(keyring, link)


def change_after_leaving(
    unit: Unit, link: LinkToken, act: AfterLeaving, *, reason: str = "", now: datetime
) -> LeavingChange:
    """Do what a person asked for on the page after leaving; twice changes nothing the second time."""
    with unit.write() as tx:
        person = subscribers.locked(tx, SubscriberId(link.id))
        left_at = link.expires_at - UNDO_WITHIN
        # The token bears whole seconds.
        since = person.state_since.replace(microsecond=0) if person else None
        if person is None or person.state is not SubscriberState.UNSUBSCRIBED or since != left_at:
            return LeavingChange(changed=False)
        match act:
            case AfterLeaving.UNDO:
                return _undo(tx, person, _STATES[link.detail], now)
            case AfterLeaving.PAUSE:
                return _pause(tx, person, now)
            case AfterLeaving.REASON:
                return _keep_reason(tx, person, reason, now)


def _undo(tx: Tx, person: Subscriber, state: SubscriberState, now: datetime) -> LeavingChange:
    after = replace(person, state=state, state_since=now, state_why="took the leaving back")
    consent = Consent(at=now, action="unsubscribed taken back", channel=_WEB_PAGE)
    move_on(tx, person, after, consent, reason="")
    return LeavingChange(changed=True)


def _pause(tx: Tx, person: Subscriber, now: datetime) -> LeavingChange:
    until = now + PAUSE_SPAN
    why = f"paused instead of leaving, until {until:%Y-%m-%d}"
    after = replace(person, state=SubscriberState.PAUSED, state_since=now, state_why=why)
    move_on(tx, person, after, Consent(at=now, action="paused", channel=_WEB_PAGE, source=why), reason="paused")
    subscribers.set_pause_end(tx, person.id, until)
    return LeavingChange(changed=True, paused_until=until)


def _keep_reason(tx: Tx, person: Subscriber, reason: str, now: datetime) -> LeavingChange:
    words = clean(reason)[:REASON_LENGTH_MAX]
    before = subscribers.consents(tx, person.id)
    if not words or any(item.action == REASON_ACTION and item.at >= person.state_since for item in before):
        return LeavingChange(changed=False)
    subscribers.add_consent(tx, person.id, Consent(at=now, action=REASON_ACTION, channel=_WEB_PAGE, source=words))
    return LeavingChange(changed=True)
