"""An alert: trouble that needs, or needed, a person, and the mails about it.

In: the state of an alert and its mails so far. Out: the steps to take now. It sends nothing and writes no
row; `operations/notice_writer.py` takes the steps. Repeated trouble is one alert: one mail when it begins, and one when
it has passed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from newsletter.core.notice import NoticeState


class AlertKind(StrEnum):
    """What can be wrong."""

    MISSED_SLOT = "missed-slot"
    EMPTY_AHEAD = "empty-ahead"
    EMPTY_SLOT = "empty-slot"
    LOW_STOCK = "low-stock"
    STRANDED_PIN = "stranded-pin"
    CANNOT_FREEZE = "cannot-freeze"
    PROOF = "proof"
    EXPIRED_PEOPLE = "expired-people"
    REFUSED_PEOPLE = "refused-people"
    EDITION_PAUSED = "edition-paused"
    BOUNCES_HELD = "bounces-held"
    COMPLAINTS = "complaints"
    BOUNCE_MAILBOX = "bounce-mailbox"
    RELAY = "relay"
    SENDER_SILENT = "sender-silent"
    SCHEDULER_SILENT = "scheduler-silent"
    DISK = "disk"
    DATABASE = "database"
    HELD = "held"
    SIGNUP_FLOOD = "signup-flood"


HEADLINES = {
    AlertKind.MISSED_SLOT: "a date went by without a mail",
    AlertKind.EMPTY_AHEAD: "there is no tip for a date that comes soon",
    AlertKind.EMPTY_SLOT: "it is time, and there is nothing to send",
    AlertKind.LOW_STOCK: "the tips are running low",
    AlertKind.STRANDED_PIN: "a pinned tip will not go out",
    AlertKind.CANNOT_FREEZE: "the tip cannot be sent",
    AlertKind.PROOF: "the proof could not be sent",
    AlertKind.EXPIRED_PEOPLE: "people did not get their mail",
    AlertKind.REFUSED_PEOPLE: "most people were refused by the mail server",
    AlertKind.EDITION_PAUSED: "an edition is paused",
    AlertKind.BOUNCES_HELD: "too many mails came back at once",
    AlertKind.COMPLAINTS: "readers call an edition spam",
    AlertKind.BOUNCE_MAILBOX: "bounces cannot be fetched",
    AlertKind.RELAY: "mail cannot be sent",
    AlertKind.SENDER_SILENT: "the sender is not running",
    AlertKind.SCHEDULER_SILENT: "the scheduler is not running",
    AlertKind.DISK: "the disk is nearly full",
    AlertKind.DATABASE: "the database is in trouble",
    AlertKind.HELD: "sending is held until somebody adopts the database",
    AlertKind.SIGNUP_FLOOD: "many more sign-ups than usual",
}
"""What the subject of the mail says, for a person who reads no further."""

EVENTS = frozenset({AlertKind.MISSED_SLOT, AlertKind.EXPIRED_PEOPLE, AlertKind.REFUSED_PEOPLE, AlertKind.COMPLAINTS})
"""What happened and cannot un-happen: it never passes, it is only told, and after a week laid aside."""

FOR_INFORMATION = frozenset({AlertKind.LOW_STOCK, AlertKind.EXPIRED_PEOPLE, AlertKind.COMPLAINTS})
"""What a person should know and need not act on today: a warning in the log, where the other kinds are errors."""

EVENT_STANDS = timedelta(days=7)
PASSED_AFTER = timedelta(minutes=10)
"""Trouble that comes back within this time has not passed: a relay that is there and gone would fill the mailbox."""

COMMAND_AFTER = timedelta(minutes=15)
"""The operator's command reports an alert that the relay has not taken by then (the relay may be the trouble)."""

COMMAND_GRACE = {
    AlertKind.RELAY: timedelta(minutes=5),
    AlertKind.SENDER_SILENT: timedelta(minutes=1),
    AlertKind.SCHEDULER_SILENT: timedelta(minutes=1),
}
"""A relay that is away for a moment is no news; nor are parts that wake one after the other on a machine that slept."""


class AlertStep(StrEnum):
    """What is to be done about an alert now."""

    MAIL = "mail"
    """Write the mail to the admins."""
    COMMAND = "command"
    """Run the operator's command."""
    WITHDRAW = "withdraw"
    """Take back the mail that did not go out: it would tell of what is over."""
    PASS = "pass"  # noqa: S105 - a word, no password
    """Write the mail that says it has passed."""
    CLOSE = "close"
    """Nothing is left to report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertState:
    """One alert, and what was done about it."""

    kind: AlertKind
    raised_at: datetime
    cleared_at: datetime | None = None
    command_at: datetime | None = None
    """When the command was run for it."""
    mails: Collection[NoticeState] = ()
    """The states of the mails about it, one per admin; empty until they are written."""


def next_steps(alert: AlertState, *, now: datetime, can_mail: bool, can_command: bool) -> tuple[AlertStep, ...]:
    """Tell what is to be done now; nothing, when all was done or it is too soon."""
    if alert.cleared_at is not None:
        return _after(alert, alert.cleared_at, now)
    age = now - alert.raised_at
    if alert.kind in EVENTS and age >= EVENT_STANDS:
        return (AlertStep.CLOSE,)
    steps = []
    if can_mail and not alert.mails and age >= COMMAND_GRACE.get(alert.kind, timedelta()):
        steps.append(AlertStep.MAIL)
    mailed = NoticeState.ACCEPTED in alert.mails
    if can_command and alert.command_at is None and not mailed and age >= COMMAND_AFTER:
        steps.append(AlertStep.COMMAND)
    return tuple(steps)


def _after(alert: AlertState, cleared_at: datetime, now: datetime) -> tuple[AlertStep, ...]:
    """Return the mail that it has passed, for those alone who had a mail about it."""
    if now - cleared_at < PASSED_AFTER or NoticeState.SENDING in alert.mails:
        return ()
    steps = []
    if {NoticeState.QUEUED, NoticeState.DEFERRED} & set(alert.mails):
        steps.append(AlertStep.WITHDRAW)
    # A mail about the relay itself is withdrawn as soon as it could go out; one mail reports it when it is over.
    late = alert.kind is AlertKind.RELAY and NoticeState.WITHDRAWN in alert.mails
    if NoticeState.ACCEPTED in alert.mails or alert.command_at is not None or late:
        steps.append(AlertStep.PASS)
    return (*steps, AlertStep.CLOSE)
