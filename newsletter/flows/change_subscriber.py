"""Changing one person: names and address, pause, resume, unsubscribe, reactivate.

What a state may become is decided in `core/subscriber.py`. When a person stops getting mail, the waiting deliveries
are taken out of every open edition in the same transaction. Asking twice changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import available_timezones

from newsletter.core.address import Address
from newsletter.core.cadence import parse_zone
from newsletter.core.csv_import import clean
from newsletter.core.subscriber import (
    Subscriber,
    SubscriberId,
    SubscriberState,
    eligible,
    pause,
    reactivate,
    resume,
    unsubscribe,
)
from newsletter.core.token import Keyring
from newsletter.errors import InputError
from newsletter.flows.add_subscriber import refuse_erased
from newsletter.store import backlog as backlogs
from newsletter.store import delivery as deliveries
from newsletter.store import ledger
from newsletter.store import log as logs
from newsletter.store import subscriber as subscribers
from newsletter.store.ledger import LedgerKind
from newsletter.store.subscriber import Consent
from newsletter.store.unit import Tx, Unit

_CHANNEL = "command line"
BACKLOG_BEGINS_AFTER = timedelta(days=3, hours=9)
"""A pause ends with a day, and the first missed tip comes on a morning between two regular ones."""
_PAUSES_PER_PASS_MAX = 500
SAID_NO = {SubscriberState.UNSUBSCRIBED, SubscriberState.COMPLAINED}
"""States of people who said no themselves; the ledger remembers them, whatever becomes of the database."""

_LONGEST_TEXT, _LONGEST_FIELD, _LONGEST_TAG = 200, 2000, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What to change; None and empty leave things as they are."""

    address: Address | None = None
    name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    time_zone: str | None = None
    """An IANA name; an empty text means the hour of the publication."""
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    """An empty value removes the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriberChange:
    """A person before and after, and how many waiting mails will not go out."""

    before: Subscriber
    after: Subscriber
    skipped: int = 0


def changed(person: Subscriber, changes: Changes) -> Subscriber:
    """Return the person with the changes; raises `InputError` for an unknown time zone or a text without end."""
    texts: dict[str, Any] = {
        name: _bounded(new, name, _LONGEST_TEXT)
        for name in ("name", "first_name", "last_name")
        if (new := getattr(changes, name)) is not None
    }
    if changes.time_zone is not None:
        texts["time_zone"] = _zone(changes.time_zone.strip())
    if changes.address is not None:
        texts |= {"email": changes.address.email, "canonical": changes.address.canonical}
    new_tags = (_bounded(tag, "a tag", _LONGEST_TAG) for tag in changes.add_tags)
    gone = {tag.casefold() for tag in changes.remove_tags}
    tags = tuple(tag for tag in dict.fromkeys((*person.tags, *new_tags)) if tag and tag.casefold() not in gone)
    values = {
        _bounded(name, "the name of a field", _LONGEST_TEXT): _bounded(value, name, _LONGEST_FIELD)
        for name, value in changes.fields.items()
    }
    fields = {name: value for name, value in {**person.fields, **values}.items() if value or name not in values}
    imported = person.names_imported and not any(name in texts for name in ("name", "first_name", "last_name"))
    return replace(person, tags=tags, fields=fields, names_imported=imported, **texts)


def edit_subscriber(
    unit: Unit, keyring: Keyring, subscriber_id: SubscriberId, changes: Changes, *, who: str, now: datetime
) -> SubscriberChange:
    """Change what is known of a person; with another address they stay the same person.

    Raises `InputError` when the address belongs to somebody else, or to one who was erased.
    """
    with unit.write() as tx:
        before = _present(tx, subscriber_id)
        after = changed(before, changes)
        if after == before:
            return SubscriberChange(before=before, after=after)
        if after.canonical != before.canonical:
            _refuse_taken(tx, keyring, after)
            # The old address stays with the evidence, so that an erasure later covers it too.
            consent = Consent(
                at=now, action="address changed", channel=_CHANNEL, evidence={"from": before.email, "to": after.email}
            )
            subscribers.add_consent(tx, before.id, consent)
        subscribers.save(tx, after)
        names = [name for name in _LOGGED if getattr(before, name) != getattr(after, name)]
        _log(tx, before, "edit", who=who, why=f"changed {', '.join(names)}", now=now)
        return SubscriberChange(before=before, after=after)


_LOGGED = ("email", "name", "first_name", "last_name", "time_zone", "tags", "fields")


def pause_subscriber(unit: Unit, subscriber_id: SubscriberId, *, who: str, why: str, now: datetime) -> SubscriberChange:
    """Hold mail back until it is resumed."""
    return _move(
        unit,
        subscriber_id,
        lambda person: pause(person, now=now, why=why),
        verb="pause",
        action="paused",
        who=who,
        why=why,
        now=now,
    )


def resume_subscriber(
    unit: Unit, subscriber_id: SubscriberId, *, who: str, why: str, now: datetime
) -> SubscriberChange:
    """End a pause."""
    return _move(
        unit,
        subscriber_id,
        lambda person: resume(person, now=now, why=why),
        verb="resume",
        action="resumed",
        who=who,
        why=why,
        now=now,
    )


def unsubscribe_subscriber(
    unit: Unit, subscriber_id: SubscriberId, *, who: str, why: str, now: datetime
) -> SubscriberChange:
    """Let somebody go who asked for it by another way than the link."""
    return _move(
        unit,
        subscriber_id,
        lambda person: unsubscribe(person, now=now, why=why),
        verb="unsubscribe",
        action="unsubscribed",
        who=who,
        why=why,
        now=now,
    )


def reactivate_subscriber(
    unit: Unit, subscriber_id: SubscriberId, *, who: str, because: str, now: datetime
) -> SubscriberChange:
    """Bring somebody back who left or bounced, for a reason that is kept."""
    return _move(
        unit,
        subscriber_id,
        lambda person: reactivate(person, now=now, because=because),
        verb="reactivate",
        action="reactivated",
        who=who,
        why=because,
        now=now,
    )


def end_pauses(unit: Unit, *, now: datetime) -> int:
    """Resume the people whose pause is over; return how many."""
    with unit.read() as tx:
        over = subscribers.pause_over(tx, now=now, limit=_PAUSES_PER_PASS_MAX)
    for subscriber_id in over:
        with unit.write() as tx:
            person = subscribers.locked(tx, subscriber_id)
            if person is not None and person.state is SubscriberState.PAUSED:
                after = resume(person, now=now, why="the pause is over")
                consent = Consent(at=now, action="resumed", channel="scheduler", source="the pause is over")
                move_on(tx, person, after, consent, reason="resumed")
    return len(over)


def move_on(tx: Tx, before: Subscriber, after: Subscriber, consent: Consent, *, reason: str) -> int:
    """Write a new state with its evidence; return how many waiting mails of open editions that takes back."""
    if after == before:
        return 0
    subscribers.save_state(tx, after)
    subscribers.add_consent(tx, before.id, consent)
    if before.state is SubscriberState.PAUSED and eligible(after.state):
        backlogs.end_pause(tx, after.id, now=consent.at, next_at=consent.at + BACKLOG_BEGINS_AFTER)
    elif not eligible(after.state):
        backlogs.drop(tx, after.id)
    if after.state in SAID_NO:
        ledger.note(tx, LedgerKind.LEFT, str(after.id), now=consent.at, canonical=after.canonical)
    return 0 if eligible(after.state) else deliveries.skip_person(tx, before.id, reason)


def _move(
    unit: Unit,
    subscriber_id: SubscriberId,
    decide: Callable[[Subscriber], Subscriber],
    *,
    verb: str,
    action: str,
    who: str,
    why: str,
    now: datetime,
) -> SubscriberChange:
    with unit.write() as tx:
        before = _present(tx, subscriber_id)
        after = decide(before)
        consent = Consent(at=now, action=action, channel=_CHANNEL, source=why)
        skipped = move_on(tx, before, after, consent, reason=action)
        if after != before:
            _log(tx, before, verb, who=who, why=why, now=now)
        return SubscriberChange(before=before, after=after, skipped=skipped)


def _present(tx: Tx, subscriber_id: SubscriberId) -> Subscriber:
    person = subscribers.locked(tx, subscriber_id)
    if person is None:
        raise InputError("This person was erased at this moment; nothing was changed.")
    return person


def _refuse_taken(tx: Tx, keyring: Keyring, after: Subscriber) -> None:
    other = subscribers.by_canonical(tx, after.canonical)
    if other is not None:
        raise InputError(
            f"{after.email} belongs to another subscriber ({other.state.value} since {other.state_since:%Y-%m-%d}); "
            "nothing was changed."
        )
    refuse_erased(tx, keyring, email=after.email, canonical=after.canonical)


def _log(tx: Tx, person: Subscriber, verb: str, *, who: str, why: str, now: datetime) -> None:
    logs.add(tx, logs.LogEntry(at=now, who=who, what=f"subscriber {verb}", about=f"subscriber {person.id}", why=why))


def _zone(text: str) -> str:
    """Return the name as the zone database spells it; an import is as lenient."""
    if not text:
        return ""
    known = {zone.casefold(): zone for zone in available_timezones()}
    try:
        return parse_zone(known.get(text.casefold(), text))
    except ValueError as error:
        raise InputError(str(error)) from error


def _bounded(text: str, name: str, longest: int) -> str:
    text = clean(text)
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        # So Python marks bytes of a command line that are no UTF-8; no database takes them.
        raise InputError(f"{name} is not valid UTF-8; check the encoding of the terminal")
    if len(text) > longest:
        raise InputError(f"{name} is longer than {longest} characters")
    return text
