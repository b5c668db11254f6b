"""Subscribers: who gets mail, and how states meet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.subscriber import (
    Subscriber,
    SubscriberId,
    SubscriberState,
    bounce,
    complain,
    eligible,
    pause,
    reactivate,
    resume,
    stronger,
    unsubscribe,
)
from newsletter.errors import InputError

THEN = datetime(2026, 11, 1, tzinfo=UTC)
NOW = THEN + timedelta(days=3)
ADA = Subscriber(
    id=SubscriberId(1), email="ada@example.org", canonical="ada@example.org", state_since=THEN, created_at=THEN
)
PENDING, ACTIVE, PAUSED, UNSUBSCRIBED, BOUNCED, COMPLAINED = SubscriberState
states = st.sampled_from(list(SubscriberState))


def ada(state: SubscriberState) -> Subscriber:
    """Return a subscriber in this state, since `THEN`."""
    return replace(ADA, state=state, state_why="before")


@given(st.lists(states, min_size=1), st.randoms())
def test_the_stronger_state_wins_in_any_order(findings: list[SubscriberState], random: object) -> None:
    """The same sources give the same state, however they are ordered or repeated."""
    shuffled = sorted(findings, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert reduce(stronger, findings) is reduce(stronger, shuffled + findings)


def test_the_order_of_strength() -> None:
    """A person's no outranks a dead mailbox, which outranks a pause; a complaint outranks all."""
    for weak, strong in pairwise([PENDING, ACTIVE, PAUSED, BOUNCED, UNSUBSCRIBED, COMPLAINED]):
        assert stronger(weak, strong) is stronger(strong, weak) is strong


def test_only_active_gets_editions() -> None:
    """Nobody but an active subscriber is eligible."""
    assert [state for state in SubscriberState if eligible(state)] == [ACTIVE]


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        (lambda who: pause(who, now=NOW, why="w"), {ACTIVE: PAUSED, PAUSED: None}),
        (lambda who: resume(who, now=NOW, why="w"), {PAUSED: ACTIVE, ACTIVE: None}),
        (
            lambda who: unsubscribe(who, now=NOW, why="w"),
            dict.fromkeys(SubscriberState, UNSUBSCRIBED) | {UNSUBSCRIBED: None, COMPLAINED: None},
        ),
        (
            lambda who: bounce(who, now=NOW, why="w"),
            {**dict.fromkeys((PENDING, ACTIVE, PAUSED), BOUNCED), BOUNCED: None, UNSUBSCRIBED: None, COMPLAINED: None},
        ),
        (lambda who: complain(who, now=NOW, why="w"), dict.fromkeys(SubscriberState, COMPLAINED) | {COMPLAINED: None}),
        (
            lambda who: reactivate(who, now=NOW, because=" w "),
            {UNSUBSCRIBED: ACTIVE, BOUNCED: ACTIVE, COMPLAINED: ACTIVE, ACTIVE: None},
        ),
    ],
    ids=["pause", "resume", "unsubscribe", "bounce", "complain", "reactivate"],
)
def test_transitions(
    change: Callable[[Subscriber], Subscriber], allowed: dict[SubscriberState, SubscriberState | None]
) -> None:
    """Each change leads where it should, leaves alone who is there already, and refuses the rest."""
    for state in SubscriberState:
        if state not in allowed:
            with pytest.raises(InputError, match=f"ada@example.org cannot be .*{state.value}"):
                change(ada(state))
        elif (target := allowed[state]) is None:
            assert change(ada(state)) == ada(state)
        else:
            assert change(ada(state)) == replace(ada(state), state=target, state_since=NOW, state_why="w")


def test_nobody_is_brought_back_without_a_reason() -> None:
    """Reactivating needs words, not blanks."""
    with pytest.raises(InputError, match="--because"):
        reactivate(ada(UNSUBSCRIBED), now=NOW, because="  ")
