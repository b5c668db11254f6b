"""Pace: never above the quota, whatever the clock does, and never stuck."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.pace import Limits, Window, next_send_at, reserve
from newsletter.errors import InputError, Stop

START = datetime(2026, 11, 24, 9, 0, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
HOURLY = Limits(per_hour=1000)

asks = st.lists(st.tuples(st.integers(0, 7200), st.integers(1, 40), st.booleans()), min_size=1, max_size=60)
"""Seconds since the ask before, how many, whether it is a notice."""


def most_in(grants: list[tuple[datetime, int]], span: timedelta) -> int:
    """Return the most that was granted in any window of this length; the fullest one starts at a grant."""
    return max((sum(n for at, n in grants if start <= at < start + span) for start, _ in grants), default=0)


@given(asks, st.integers(1, 60), st.integers(1, 200))
def test_no_window_exceeds_its_quota(steps: list[tuple[int, int, bool]], hourly: int, daily: int) -> None:
    """In no sliding hour and no sliding day is more granted than the quota, also over restarts."""
    window, now, grants = Window(), START, []
    for seconds, n, notice in steps:
        now += timedelta(seconds=seconds)
        window, granted, wait = reserve(
            Window.from_json(window.to_json()), n, now, limits=Limits(per_hour=hourly, per_day=daily), notice=notice
        )
        grants.append((now, granted))
        assert 0 <= granted <= n
        assert (wait == timedelta()) == (granted == n)
    assert most_in(grants, HOUR) <= hourly
    assert most_in(grants, DAY) <= daily


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 90_000), st.integers(1, 40)), max_size=60))
def test_a_clock_that_steps_back_never_grants_more(steps: list[tuple[int, int, int]]) -> None:
    """Measured by true time, no hour gets more than the quota when the wall clock is set back again and again."""
    window, true, offset, grants = Window(), START, timedelta(), []
    for seconds, back, n in steps:
        true += timedelta(seconds=seconds)
        offset -= timedelta(seconds=back if back % 3 == 0 else 0)
        window, granted, _ = reserve(window, n, true + offset, limits=Limits(per_hour=50))
        grants.append((true, granted))
    assert most_in(grants, HOUR) <= 50


def test_a_clock_that_steps_back_and_forth_grants_nothing() -> None:
    """A clock that is wrong by half an hour for a moment does not make what was granted look older."""
    window = reserve(Window(), 2000, START, limits=HOURLY).window
    window, granted, _ = reserve(window, 1, START - timedelta(minutes=30), limits=HOURLY)
    assert granted == 0
    assert reserve(window, 1, START + timedelta(minutes=59), limits=HOURLY).granted == 0


@given(st.integers(0, 10 * 365 * 86_400))
def test_a_clock_that_steps_back_never_blocks_for_ever(back: int) -> None:
    """However far the clock is set back, a used-up quota is free again within two windows."""
    window, _, _ = reserve(Window(), 2000, START, limits=HOURLY)
    now = START - timedelta(seconds=back)
    window, granted, wait = reserve(window, 1, now, limits=HOURLY)
    assert granted == 0
    assert timedelta() < wait <= 2 * HOUR + timedelta(minutes=1)
    assert reserve(window, 1, now + wait, limits=HOURLY).granted == 1


@given(asks)
def test_the_wait_is_exact(steps: list[tuple[int, int, bool]]) -> None:
    """Nothing is granted just before the wait is over, and at least one message at its end."""
    limits = Limits(per_hour=30, per_day=90)
    window, now = Window(), START
    for seconds, n, _ in steps:
        now += timedelta(seconds=seconds)
        window, granted, wait = reserve(window, n, now, limits=limits)
        if granted < n:
            assert reserve(window, 1, now + wait - timedelta(milliseconds=1), limits=limits).granted == 0
            assert reserve(window, 1, now + wait, limits=limits).granted == 1


def test_a_part_is_granted() -> None:
    """When fewer are left than asked for, those are granted and the wait for the next is told."""
    window, granted, wait = reserve(Window(), 950, START, limits=HOURLY)
    assert (granted, wait) == (950, timedelta())
    window, granted, wait = reserve(window, 10, START, limits=HOURLY)
    assert granted == 0
    assert wait == timedelta(minutes=60, seconds=30)


def test_editions_leave_a_share_to_notices() -> None:
    """An edition stops at 95 % of the quota; a notice still goes; both count."""
    window, granted, _ = reserve(Window(), 5000, START, limits=HOURLY)
    assert granted == 950
    window, granted, _ = reserve(window, 5000, START, limits=HOURLY, notice=True)
    assert granted == 50
    assert reserve(window, 1, START, limits=HOURLY, notice=True).granted == 0


@pytest.mark.parametrize(("quota", "edition"), [(1, 1), (2, 1), (19, 18), (20, 19), (21, 19), (100, 95)])
def test_a_tiny_quota_still_moves(quota: int, edition: int) -> None:
    """The share of the notices is rounded up, but an edition always gets at least one."""
    assert reserve(Window(), 100, START, limits=Limits(per_day=quota)).granted == edition


def test_no_quota_no_window() -> None:
    """Without a quota all is granted and nothing need be stored."""
    assert reserve(Window(), 7000, START, limits=Limits()) == (Window(), 7000, timedelta())


def test_a_window_stays_small() -> None:
    """A week of steady sending stores no more than some kilobytes."""
    window = Window()
    for minute in range(7 * 24 * 60):
        window = reserve(window, 60, START + timedelta(minutes=minute), limits=Limits(per_day=10**6)).window
    assert len(window.to_json()) < 4000


@pytest.mark.parametrize(
    "text", ["{}", "[]", "no json", '{"minutes": 1, "quarters": []}', '{"minutes": [[1, -5]], "quarters": []}']
)
def test_a_damaged_window_stops(text: str) -> None:
    """A stored window that cannot be read never counts as an unused quota."""
    with pytest.raises(Stop):
        Window.from_json(text)
    assert Window.from_json("") == Window()


@pytest.mark.parametrize("limit", [0, -1])
def test_a_quota_of_nothing_is_refused(limit: int) -> None:
    """A quota under which nothing could ever be sent is wrong input."""
    with pytest.raises(InputError):
        Limits(per_hour=limit)


@given(st.lists(st.floats(0, 5), min_size=2, max_size=50), st.floats(0.1, 500))
def test_the_pacer_never_bursts(gaps: list[float], rate: float) -> None:
    """Two messages are never closer than the rate allows, also after a long pause."""
    free_at, now, sent = 0.0, 100.0, []
    for gap in gaps:
        now += gap
        send_at, free_at = next_send_at(free_at, rate, now)
        assert send_at >= now
        sent.append(send_at)
    assert all(later - earlier >= 1 / rate - 1e-9 for earlier, later in pairwise(sent))


def test_the_pacer_reserves_runs_and_knows_no_limit() -> None:
    """A run of messages takes its length; without a rate a message goes at once."""
    assert next_send_at(10.0, 5, 3.0, n=10) == (10.0, 12.0)
    assert next_send_at(10.0, None, 3.0) == (3.0, 3.0)
