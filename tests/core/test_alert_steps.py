"""What is done about an alert, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.alert import EVENTS, HEADLINES, AlertKind, AlertState, AlertStep, next_steps
from newsletter.core.notice import NoticeState

RAISED = datetime(2026, 11, 24, 14, tzinfo=UTC)
MAIL, COMMAND, WITHDRAW, PASS, CLOSE = AlertStep
QUEUED, DEFERRED, ACCEPTED = NoticeState.QUEUED, NoticeState.DEFERRED, NoticeState.ACCEPTED


def steps(
    minutes: float,
    *mails: NoticeState,
    kind: AlertKind = AlertKind.DISK,
    cleared: float | None = None,
    command: float | None = None,
    can: tuple[bool, bool] = (True, True),
) -> tuple[AlertStep, ...]:
    """Return what is to be done so many minutes after the alert was raised."""

    def at(after: float | None) -> datetime | None:
        return None if after is None else RAISED + timedelta(minutes=after)

    alert_state = AlertState(kind=kind, raised_at=RAISED, cleared_at=at(cleared), command_at=at(command), mails=mails)
    now = RAISED + timedelta(minutes=minutes)
    return next_steps(alert_state, now=now, can_mail=can[0], can_command=can[1])


def test_a_new_alert_is_mailed_at_once_and_once() -> None:
    """The mail is written at the first look, and not again while it waits or after it was taken."""
    assert steps(0) == (MAIL,)
    assert steps(1, QUEUED) == steps(1, ACCEPTED, DEFERRED) == ()


def test_the_command_waits_a_quarter_of_an_hour_for_the_mail() -> None:
    """What no server took within 15 minutes is told by the command, once."""
    assert steps(14, QUEUED, DEFERRED) == ()
    assert steps(15, QUEUED, DEFERRED) == (COMMAND,)
    assert steps(15, QUEUED, ACCEPTED) == ()
    assert steps(500, QUEUED, command=15) == ()


def test_without_admins_or_command_the_other_remains() -> None:
    """Nobody to write to leaves the command; no command leaves the mail."""
    assert steps(0, can=(False, True)) == ()
    assert steps(15, can=(False, True)) == (COMMAND,)
    assert steps(20, can=(True, False)) == (MAIL,)
    assert steps(20, QUEUED, can=(True, False)) == ()


def test_a_relay_in_trouble_is_given_some_minutes() -> None:
    """A mail about the relay could not go out anyway; the command is not later for it."""
    assert steps(4, kind=AlertKind.RELAY) == ()
    assert steps(5, kind=AlertKind.RELAY) == (MAIL,)
    assert steps(15, QUEUED, kind=AlertKind.RELAY) == (COMMAND,)


def test_passed_goes_to_those_who_got_the_alert() -> None:
    """Ten minutes after it ended, a mail that was taken or a command that ran is answered by one that it has passed."""
    assert steps(29, ACCEPTED, cleared=20) == ()
    assert steps(30, ACCEPTED, cleared=20) == (PASS, CLOSE)
    assert steps(30, QUEUED, cleared=20, command=15) == (WITHDRAW, PASS, CLOSE)


def test_an_alert_without_a_mail_is_dropped() -> None:
    """Trouble that was over before its mail went out leaves no trace in anybody's mailbox."""
    assert steps(12, QUEUED, cleared=2) == (WITHDRAW, CLOSE)
    assert steps(12, cleared=2) == (CLOSE,)


def test_a_mail_under_way_is_waited_for() -> None:
    """Whether it has to be said that it passed is known only when the mail was taken or not."""
    assert steps(60, NoticeState.SENDING, cleared=2) == ()


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_an_event_is_laid_aside_after_a_week(kind: AlertKind) -> None:
    """What happened cannot pass, so it is closed in silence."""
    assert steps(7 * 24 * 60 - 1, ACCEPTED, kind=kind) == ()
    assert steps(7 * 24 * 60, ACCEPTED, kind=kind) == (CLOSE,)


def test_every_kind_has_a_headline() -> None:
    """The subject of an alert says what it is about, whatever its kind."""
    assert HEADLINES.keys() == set(AlertKind)


@given(
    st.floats(0, 20_000),
    st.lists(st.sampled_from(NoticeState), max_size=3),
    st.sampled_from(AlertKind),
    st.none() | st.floats(0, 20_000),
)
def test_nothing_is_done_twice(
    minutes: float, mails: list[NoticeState], kind: AlertKind, cleared: float | None
) -> None:
    """No look asks for a second mail, and nothing is said to have passed before it has."""
    alert_steps = steps(minutes, *mails, kind=kind, cleared=cleared)
    assert MAIL not in alert_steps or (not mails and cleared is None)
    assert PASS not in alert_steps or (cleared is not None and minutes >= cleared)
    assert len(alert_steps) == len(set(alert_steps))
