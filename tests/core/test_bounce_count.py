"""Who is refused so often that the subscription ends: by the numbers of docs/bounces.md."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.bounce_count import COUNTED, Past, counts, verdict
from newsletter.core.delivery import DeliveryState
from newsletter.core.reply import ReplyClass

NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)
ACCEPTED, REJECTED, EXPIRED = DeliveryState.ACCEPTED, DeliveryState.REJECTED, DeliveryState.EXPIRED


def story(*expected: str, days: float = 7) -> list[Past]:
    """Tell a history, newest first: a class for a refusal, `ok`, `skipped`, or `back:CLASS` for a later bounce."""
    sightings = []
    for number, word in enumerate(expected):
        bounced = word.startswith("back:")
        kind = word.removeprefix("back:")
        state = ACCEPTED if bounced or word == "ok" else DeliveryState.SKIPPED if word == "skipped" else REJECTED
        sightings.append(Past(at=NOW - number * timedelta(days=days), state=state, kind=kind, bounced=bounced))
    return sightings


@pytest.mark.parametrize(
    ("history", "ends"),
    [
        (["soft"], False),
        (["soft", "soft"], False),
        (["soft", "soft", "soft"], True),
        (["soft", "ok", "soft", "soft"], False),
        (["soft", "skipped", "soft", "soft"], True),
        (["soft", "policy", "soft", "rate", "soft"], True),
        (["mailbox-full"] * 3, False),
        (["mailbox-full"] * 4, True),
        (["mailbox-full", "ok", "mailbox-full", "mailbox-full", "mailbox-full"], False),
        (["mailbox-full", "soft", "mailbox-full"], False),
        (["mailbox-full", "soft", "mailbox-full", "soft"], True),
        (["system"] * 20, False),
        (["back:system"] * 20, False),
        (["soft", "system", "system", "soft"], False),
        (["provisional"], False),
        (["provisional", "provisional"], True),
        (["provisional", "ok", "provisional"], False),
        (["hard-domain", "hard-domain"], True),
        (["back:soft", "back:soft", "back:soft"], True),
        (["back:provisional", "provisional"], True),
        (["policy"] * 20, False),
        (["authentication"] * 20, False),
        (["content"] * 20, False),
        (["rate"] * 20, False),
        (["greylisted"] * 20, False),
        (["relay"] * 20, False),
        (["configuration"] * 20, False),
        ([""] * 20, False),
        (["a class of a later version"] * 20, False),
        ([], False),
    ],
)
def test_weekly_histories(history: list[str], *, ends: bool) -> None:
    """Only what is the person's counts, an arrival wipes the slate, and what says nothing is stepped over."""
    assert bool(verdict(story(*history), now=NOW)) is ends


@pytest.mark.parametrize(
    ("history", "days", "ends"),
    [
        (["soft"] * 3, 6, False),
        (["mailbox-full"] * 4, 6, False),
        (["provisional"] * 2, 5, False),
        (["provisional"] * 2, 6, True),
        (["hard-domain"] * 2, 0.5, False),
        (["hard-domain"] * 2, 1, True),
        (["soft"] * 3, 36, False),
        (["soft"] * 3, 35, True),
    ],
)
def test_how_far_apart(history: list[str], days: float, *, ends: bool) -> None:
    """Several failures of one bad week are one failure, and those of last year are none."""
    assert bool(verdict(story(*history, days=days), now=NOW)) is ends


def test_a_fresh_acceptance_wipes_nothing_yet() -> None:
    """A mail that was taken an hour ago may still come back."""
    fresh = Past(at=NOW - timedelta(hours=1), state=ACCEPTED, kind="ok")
    assert verdict([*story("soft"), fresh, *story("soft", "soft", "soft")[1:]], now=NOW)
    settled = Past(at=NOW - timedelta(hours=73), state=ACCEPTED, kind="ok")
    assert not verdict([*story("soft"), settled, *story("soft", "soft", "soft")[1:]], now=NOW)


def test_the_reason_is_a_sentence() -> None:
    """It is kept as the evidence of why a subscription ended."""
    assert verdict(story("mailbox-full", "mailbox-full", "mailbox-full", "mailbox-full"), now=NOW) == (
        "The mailbox was full for 4 editions over 21 days in a row."
    )


@pytest.mark.parametrize(
    ("state", "kind", "worth"),
    [(REJECTED, "soft", True), (EXPIRED, "mailbox-full", True), (ACCEPTED, "ok", False), (EXPIRED, "rate", False)],
)
def test_what_is_worth_reading_the_history(state: DeliveryState, kind: str, *, worth: bool) -> None:
    """The usual outcome asks the database nothing."""
    assert counts(state, kind) is worth


@given(
    st.lists(
        st.builds(
            Past,
            at=st.integers(0, 300).map(lambda days: NOW - timedelta(days=days)),
            state=st.sampled_from(DeliveryState),
            kind=st.sampled_from(["", *ReplyClass]),
            bounced=st.booleans(),
        ),
        max_size=12,
    )
)
def test_nobody_goes_for_what_is_not_theirs(history: list[Past]) -> None:
    """Whatever the order: without two failures that count there is none, and the rest changes nothing."""
    reason = verdict(history, now=NOW)
    counted = [past for past in history if past.is_counted]
    assert all(ReplyClass(past.kind) in COUNTED for past in counted)
    if len(counted) < 2:
        assert reason == ""
    assert reason == verdict([past for past in history if past.is_counted or past.arrived], now=NOW)
