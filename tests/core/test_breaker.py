"""The circuit breaker: what pauses an edition, what does not, and what is said about it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.breaker import NO_STREAK, BreakerLimits, Streak, end_streak, extend_streak, identity, judge_edition
from newsletter.core.tally import Tally

LIMITS = BreakerLimits()
OFF = BreakerLimits(hard_percent=0, policy_percent=0, content_percent=0, refusals=0)


def tally(answered: int, *, hard: int = 0, policy: int = 0, content: int = 0) -> Tally:
    """Return a count of so many answers, of which so many were refusals."""
    gone = hard + policy + content
    return Tally(accepted=answered - gone, hard=hard, policy=policy, content=content)


@pytest.mark.parametrize(
    ("counted", "trips"),
    [
        (tally(40, hard=1), False),
        (tally(40, hard=24), False),
        (tally(40, hard=25), True),
        (tally(1_000, hard=50), False),
        (tally(1_000, hard=51), True),
        (tally(1_001, hard=21), False),
        (tally(1_001, hard=25), True),
        (tally(100_000, hard=2_000), False),
        (tally(100_000, hard=2_001), True),
        (tally(1_000, policy=24), False),
        (tally(1_000, policy=25), True),
        (tally(10_000, policy=200), False),
        (tally(10_000, policy=201), True),
        (tally(10_000, content=100), False),
        (tally(10_000, content=101), True),
        (tally(100_000), False),
        (Tally(), False),
    ],
)
def test_shares(counted: Tally, *, trips: bool) -> None:
    """Above the limit and at least 25: neither one bad address of 40 nor an honest two per cent pause an edition."""
    assert bool(judge_edition(counted, LIMITS)) is trips
    assert judge_edition(counted, OFF) is None


def test_the_reason_says_how_many() -> None:
    """The alert bears the numbers and what they mean."""
    trip = judge_edition(tally(900, policy=31), LIMITS)
    assert trip is not None
    assert trip.why.startswith("31 of 900 people (3.4 %) were refused because of us, not of them:")


def test_a_resumed_edition_is_not_paused_by_old_numbers() -> None:
    """Only what came after the resume counts."""
    then = tally(1_000, hard=60)
    assert judge_edition(then, LIMITS) is not None
    assert judge_edition(then, LIMITS, resumed_at=then) is None
    assert judge_edition(tally(2_000, hard=75), LIMITS, resumed_at=then) is None


def test_a_resumed_edition_bears_the_share_that_was_accepted() -> None:
    """A person who resumed at three per cent is not asked every thousand people, but is when it doubles."""
    then = tally(2_000, hard=60)
    assert judge_edition(tally(10_000, hard=60 + 240), LIMITS, resumed_at=then) is None
    trip = judge_edition(tally(10_000, hard=60 + 480), LIMITS, resumed_at=then)
    assert trip is not None
    assert "480 of 8,000 people (6.0 %) since it was resumed have an address that does not exist" in trip.why


def streak(*texts: str) -> Streak:
    """Fold refusals; `ok` is an accepted one."""
    streak_state = NO_STREAK
    for text in texts:
        streak_state = (
            end_streak(streak_state)
            if text == "ok"
            else extend_streak(streak_state, code=550, enhanced="5.7.1", text=text)
        )
    return streak_state


def test_alike_refusals_in_a_row_pause() -> None:
    """Twenty-five of a kind, whoever's turn and whatever the queue id; the words name nobody."""
    texts = [f"<p{n}@example.com>: Relay denied for 4F2A{n} (host mx{n}.example.net)" for n in range(25)]
    assert judge_edition(Tally(), LIMITS, streak=streak(*texts[:24])) is None
    trip = judge_edition(Tally(), LIMITS, streak=streak(*texts))
    assert trip is not None
    assert trip.why == (
        "25 people in a row were refused in the same words, and none was accepted: "
        'the mail server said "550 5.7.1 <…>: Relay denied for 4F2A24 (host mx24.example.net)".'
    )


def test_different_refusals_or_one_acceptance_begin_anew() -> None:
    """A block says the same to everybody."""
    assert streak(*["no"] * 24, "ok", *["no"] * 24).count == 24
    assert streak(*["no", "never"] * 25).count == 1
    assert streak("ok") == NO_STREAK


def test_refusals_of_our_own_have_no_code() -> None:
    """What we could not even build counts like what a server refuses."""
    streak_state = NO_STREAK
    for _ in range(25):
        streak_state = extend_streak(streak_state, code=0, enhanced="", text="the message cannot be made")
    trip = judge_edition(Tally(), LIMITS, streak=streak_state)
    assert trip is not None
    assert '"the message cannot be made"' in trip.why


@pytest.mark.parametrize(
    ("first", "other", "same"),
    [
        ("<a@example.com> unknown", "<b.c+d@example.org> unknown", True),
        ("queued as 4AF39", "queued as 99B01", True),
        ("User  Unknown", "user unknown", True),
        ("mailbox full", "user unknown", False),
    ],
)
def test_what_is_alike(first: str, other: str, *, same: bool) -> None:
    """Addresses, queue ids, numbers, case and blanks make no difference; words do."""
    assert (identity(550, "5.1.1", first) == identity(550, "5.1.1", other)) is same
    assert identity(550, "5.1.1", first) != identity(554, "5.1.1", first)
    assert identity(550, "5.1.1", first) != identity(550, "5.7.1", first)


@given(st.text(max_size=300), st.integers(0, 999))
def test_any_words_can_be_compared(text: str, code: int) -> None:
    """No server's words make us stumble; the same words are alike, and the address between them is not repeated."""
    first = extend_streak(NO_STREAK, code=code, enhanced="", text=f"{text} <one@example.com> no")
    again = extend_streak(first, code=code, enhanced="", text=f"{text} <two@example.com> no")
    assert (first.count, again.count) == (1, 2)
    assert "two@example.com" not in again.words
