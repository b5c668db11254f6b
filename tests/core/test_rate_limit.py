"""Limits on how often something happens."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.rate_limit import RateRule, Window, add_event, at_limit, take
from newsletter.testing.clocks import START

DAY = RateRule(count=1, span=timedelta(days=1))
MONTH = RateRule(count=3, span=timedelta(days=30))


def test_every_rule_counts() -> None:
    """One a day and three a month: the fourth day is refused, and the answer names the day on which it is allowed."""
    window: Window = ()
    for day in range(3):
        result = take(window, (DAY, MONTH), now=START + timedelta(days=day, minutes=day))
        assert result.allowed
        window = result.window
    result = take(window, (DAY, MONTH), now=START + timedelta(days=4))
    assert (result.allowed, result.again_at) == (False, START + timedelta(days=30))
    assert take(window, (DAY, MONTH), now=START + timedelta(days=30)).allowed


def test_a_refused_event_is_not_counted() -> None:
    """A person who asks many times waits no longer than one who asked once."""
    window = take((), (DAY,), now=START).window
    for minute in range(1, 100):
        result = take(window, (DAY,), now=START + timedelta(minutes=minute))
        window = result.window
    assert result.again_at == START + timedelta(days=1)


def test_a_clock_that_was_ahead_locks_nobody_out_for_long() -> None:
    """An event of next year counts as one of this moment."""
    ahead = int((START + timedelta(days=365)).timestamp())
    assert take((ahead,), (DAY,), now=START).again_at == START + timedelta(days=1)


@given(st.lists(st.integers(0, 10_000), max_size=60))
def test_never_more_than_the_rule_within_any_span(moments: list[int]) -> None:
    """However the requests come, no stretch of the length of the span holds more allowed ones than the rule says."""
    rule = RateRule(count=5, span=timedelta(seconds=1000))
    window: Window = ()
    allowed: list[int] = []
    for second in sorted(moments):
        result = take(window, (rule,), now=START + timedelta(seconds=second))
        window = result.window
        allowed += [second] if result.allowed else []
    assert all(later - earlier >= 1000 for earlier, later in zip(allowed, allowed[5:], strict=False))


def test_a_flood_is_seen_while_it_lasts() -> None:
    """Every request counts, taken or not; an hour after the last one the limit is not reached any more."""
    rule = RateRule(count=3, span=timedelta(hours=1))
    window: Window = ()
    for minute in range(10):
        window = add_event(window, rule, now=START + timedelta(minutes=minute))
    assert len(window) == 3
    assert at_limit(window, rule, now=START + timedelta(minutes=10))
    assert not at_limit(window, rule, now=START + timedelta(minutes=70))
