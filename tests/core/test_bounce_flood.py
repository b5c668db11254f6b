"""Very many bounces at once: from which one on nobody's subscription ends before a person has looked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.evidence import HOLD_BOUNCES_MIN, HOLD_PERCENT, HOLD_WINDOW, may_suppress
from newsletter.testing.clocks import START

SECONDS = st.lists(st.integers(0, 2_400), max_size=120).map(sorted)


@given(SECONDS, st.sampled_from([1, 399, 400, 800]))
def test_as_many_as_may_and_no_more(seconds: list[int], audience: int) -> None:
    """Whatever exceeds the limit within ten minutes is held, and nothing that does not within eleven."""
    most = max(HOLD_BOUNCES_MIN, audience * HOLD_PERCENT // 100)
    recent: Mapping[int, int] = {}
    for index, second in enumerate(seconds):
        now = START + timedelta(seconds=second)
        recent, may = may_suppress(recent, now=now, audience=audience)
        before = [now - START - timedelta(seconds=one) for one in seconds[: index + 1]]
        if sum(age < HOLD_WINDOW for age in before) > most:
            assert not may
        if sum(age < HOLD_WINDOW + timedelta(minutes=1) for age in before) <= most:
            assert may


@given(st.lists(st.integers(-3_600, 3_600), max_size=200))
def test_little_is_remembered(seconds: list[int]) -> None:
    """A number for each minute around now, however much comes back and wherever the clock jumps."""
    recent: Mapping[int, int] = {}
    for second in seconds:
        recent, _ = may_suppress(recent, now=START + timedelta(seconds=second), audience=1_000_000)
        assert len(recent) <= 2 * HOLD_WINDOW // timedelta(minutes=1) + 1
