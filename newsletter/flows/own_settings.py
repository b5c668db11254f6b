"""What a person sees and changes of themselves by their private link.

In: the id of a genuine link. Out: what the machine knows of them, and changes with evidence. The link came by mail to
their own address, so it is proof enough; it works for a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum

from newsletter.core.cadence import instant, local
from newsletter.core.delivery import DeliveryState
from newsletter.core.subscriber import Subscriber, SubscriberId, SubscriberState, pause, resume, unsubscribe
from newsletter.core.token import Keyring
from newsletter.errors import InputError
from newsletter.flows.change_subscriber import Changes, edit_subscriber, move_on
from newsletter.flows.erase_subscriber import erase_subscriber
from newsletter.flows.export_person import export_person
from newsletter.flows.undo_leaving import PAUSE_SPAN
from newsletter.store import backlog as backlogs
from newsletter.store import link_request as link_requests
from newsletter.store import report
from newsletter.store import subscriber as subscribers
from newsletter.store.report import DeliveryRow
from newsletter.store.subscriber import Consent
from newsletter.store.unit import Tx, Unit

PRIVATE_LINK_LASTS = timedelta(days=1)
PAUSE_MAX = timedelta(days=366)
OWN_WISH = "the person, by private link"
_CHANNEL = "private link"
_HISTORY_ROWS = 12


class OwnChange(Enum):
    """What a person may change."""

    NAME = "name"
    ZONE = "zone"
    PAUSE = "pause"
    RESUME = "resume"
    SKIP = "skip"
    """Do without the tips that were missed during a pause."""
    LEAVE = "leave"
    ERASE = "erase"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentIssue:
    """One edition, and what became of it for this person."""

    date: date
    state: DeliveryState
    title: str
    bounced: bool
    """The mail came back after a server had taken it."""
    reason: str
    """Why it did not go out, in the word of the change that held it back."""
    server_said: str
    """What the server of the person said against it, with its codes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSettings:
    """What a person sees."""

    email: str
    first_name: str
    time_zone: str
    state: SubscriberState
    state_why: str
    since: datetime
    paused_until: datetime | None
    catches_up: bool
    """The tips of a pause come afterwards, one a week, or come at present."""
    history: Sequence[SentIssue]


def ask_for_link(unit: Unit, subscriber_id: SubscriberId, *, now: datetime) -> None:
    """Write the wish for a private link; the mail goes to the address of the person and to no other."""
    with unit.write() as tx:
        link_requests.add(tx, subscriber_id, now=now)


def own_settings(unit: Unit, subscriber_id: SubscriberId) -> OwnSettings | None:
    """Return what a person sees of themselves; None for one who was erased."""
    with unit.read() as tx:
        person = subscribers.by_id(tx, subscriber_id)
        if person is None:
            return None
        rows = list(report.rows(tx, who=subscriber_id, limit=_HISTORY_ROWS))
        return OwnSettings(
            email=person.email,
            first_name=person.first_name,
            time_zone=person.time_zone,
            state=person.state,
            state_why=person.state_why,
            since=person.created_at,
            paused_until=subscribers.pause_end(tx, subscriber_id),
            catches_up=backlogs.of_person(tx, subscriber_id) is not None,
            history=[_sent_issue(row) for row in rows],
        )


def _sent_issue(row: DeliveryRow) -> SentIssue:
    is_bounced = row.later == "bounced"
    against = row.state in {DeliveryState.REJECTED, DeliveryState.EXPIRED, DeliveryState.DEFERRED}
    return SentIssue(
        date=date.fromisoformat(row.edition[:10]),
        title=row.title,
        state=row.state,
        bounced=is_bounced,
        reason=row.reason if row.state is DeliveryState.SKIPPED else "",
        server_said=row.later_text if is_bounced else row.reply if against else "",
    )


def pause_end(value: str, zone: str, *, now: datetime) -> datetime:
    """Return when a pause ends that a person gave a date for: as that day begins where they are; four weeks without.

    Raises `InputError` for a date that is none, that is not ahead, or more than a year away.
    """
    if not value:
        return now + PAUSE_SPAN
    today = local(now, zone).date()
    try:
        day = date.fromisoformat(value)
    except ValueError as error:
        raise InputError("Please choose a date, such as 2026-12-24.") from error
    if not today < day <= today + PAUSE_MAX:
        raise InputError("Please choose a date from tomorrow on, and at most a year away.")
    return instant(day, time(), zone)


def pause_oneself(unit: Unit, subscriber_id: SubscriberId, *, until: datetime, catch_up: bool, now: datetime) -> None:
    """Pause until then; with `catch_up` the tips that are missed come afterwards, one a week."""
    with unit.write() as tx:
        person = _present(tx, subscriber_id)
        after = pause(person, now=now, why="paused by private link")
        if after == person:
            raise InputError("Your subscription is paused already; nothing was changed.")
        choice = "missed tips follow, one a week" if catch_up else "missed tips are skipped"
        why = f"until {until:%Y-%m-%d}; {choice}"
        move_on(tx, person, after, Consent(at=now, action="paused", channel=_CHANNEL, source=why), reason="paused")
        subscribers.set_pause_end(tx, subscriber_id, until)
        if catch_up:
            backlogs.begin(tx, subscriber_id, now=now)


def change_own_settings(
    unit: Unit, keyring: Keyring, subscriber_id: SubscriberId, change: OwnChange, value: str, *, now: datetime
) -> None:
    """Change one thing; raises `InputError` with a sentence for what cannot be."""
    match change:
        case OwnChange.NAME:
            edit_subscriber(unit, keyring, subscriber_id, Changes(first_name=value), who=OWN_WISH, now=now)
        case OwnChange.ZONE:
            edit_subscriber(unit, keyring, subscriber_id, Changes(time_zone=value), who=OWN_WISH, now=now)
        case OwnChange.ERASE:
            erase_subscriber(unit, keyring, subscriber_id, who=OWN_WISH, now=now)
        case OwnChange.PAUSE:
            pause_oneself(unit, subscriber_id, until=now + PAUSE_SPAN, catch_up=False, now=now)
        case OwnChange.SKIP:
            with unit.write() as tx:
                backlogs.drop(tx, _present(tx, subscriber_id).id)
        case OwnChange.RESUME | OwnChange.LEAVE:
            _change_state(unit, subscriber_id, change, now=now)


def own_data(unit: Unit, keyring: Keyring, subscriber_id: SubscriberId, *, now: datetime) -> dict[str, object] | None:
    """Return everything that is known of a person; None for one who was erased."""
    with unit.read() as tx:
        person = subscribers.by_id(tx, subscriber_id)
    return None if person is None else export_person(unit, keyring, person.email, now=now)


def _change_state(unit: Unit, subscriber_id: SubscriberId, change: OwnChange, *, now: datetime) -> None:
    with unit.write() as tx:
        person = _present(tx, subscriber_id)
        if change is OwnChange.RESUME:
            after, action = resume(person, now=now, why="resumed by private link"), "resumed"
        else:
            after, action = unsubscribe(person, now=now, why="left by private link"), "unsubscribed"
        move_on(tx, person, after, Consent(at=now, action=action, channel=_CHANNEL), reason=action)


def _present(tx: Tx, subscriber_id: SubscriberId) -> Subscriber:
    person = subscribers.locked(tx, subscriber_id)
    if person is None:
        raise InputError("This person was erased; nothing was changed.")
    return person
