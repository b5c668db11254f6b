"""The tokens of links that do something: genuine, bound to one thing, and worthless in other hands."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.subscriber import SubscriberId
from newsletter.core.token import (
    ActionKind,
    ActionToken,
    Keyring,
    make_action_token,
    make_unsubscribe_token,
    read_action_token,
    read_unsubscribe_token,
)

RING = Keyring(current="a secret of thirty-two characters")
OTHER = Keyring(current="the secret of thirty-two letters", old=("a secret of thirty-two characters",))
ACTION = ActionToken(
    kind=ActionKind.SKIP, target=739_579, guard=12, expires_at=datetime(2026, 11, 24, 14, 1, tzinfo=UTC)
)


@given(
    st.sampled_from(ActionKind),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**40 - 1),
    st.datetimes(datetime(2020, 1, 1), datetime(2105, 1, 1)),  # noqa: DTZ001 - made aware below
)
def test_a_token_says_what_was_put_in(kind: ActionKind, target: int, guard: int, at: datetime) -> None:
    """Kind, target, guard and expiry come back, to the second."""
    ends = at.replace(tzinfo=UTC, microsecond=0)
    action = ActionToken(kind=kind, target=target, guard=guard, expires_at=ends)
    token = make_action_token(RING, action)
    assert len(token) == 44
    assert read_action_token(RING, token) == action


@given(st.integers(0, 32), st.integers(1, 255))
def test_a_changed_token_is_none(place: int, change: int) -> None:
    """No byte can be changed: not the date, not the kind, not the expiry."""
    raw = bytearray(base64.urlsafe_b64decode(make_action_token(RING, ACTION)))
    raw[place] ^= change
    assert read_action_token(RING, base64.urlsafe_b64encode(bytes(raw)).decode()) is None


@given(st.text())
def test_whatever_a_stranger_sends_is_none(text: str) -> None:
    """Any text is read without an exception."""
    assert read_action_token(RING, text) is None


@pytest.mark.parametrize("edit", [lambda t: t + "=", lambda t: t[:-1], lambda t: " " + t, lambda t: t[:-1] + "\u00e4"])
def test_a_token_has_one_spelling(edit: object) -> None:
    """Padding, blanks and foreign letters make it another text, and no token."""
    assert read_action_token(RING, edit(make_action_token(RING, ACTION))) is None  # type: ignore[operator]


def test_a_token_of_another_purpose_is_none() -> None:
    """An opt-out link does nothing here, and the link of a proof unsubscribes nobody."""
    assert read_action_token(RING, make_unsubscribe_token(RING, SubscriberId(1))) is None
    assert read_unsubscribe_token(RING, make_action_token(RING, ACTION)) is None


def test_an_old_key_opens_nothing() -> None:
    """After the secret was changed, the links of before do nothing: somebody may know the old one."""
    assert read_action_token(OTHER, make_action_token(RING, ACTION)) is None
