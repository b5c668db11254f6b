"""The ramp of a fresh list: it begins small, doubles while all is well, and is gone when it has no more to say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.ramp import Sent, cap, day_cap, smaller


@pytest.mark.parametrize(
    ("editions", "reached"),
    [
        ([], 500),
        ([Sent(accepted=500)], 1_000),
        ([Sent(accepted=500), Sent(accepted=1_000), Sent(accepted=2_000)], 4_000),
        ([Sent(accepted=250)], 1_000),
        ([Sent(accepted=249)], 500),
        ([Sent(accepted=20)] * 50, 500),
        ([Sent(accepted=500)] * 50, 2_000),
        ([Sent(accepted=500, paused=True)], 500),
        ([Sent(accepted=500, refused=10, hard=10)], 1_000),
        ([Sent(accepted=500, refused=11, hard=11)], 500),
        ([Sent(accepted=500), Sent(accepted=900, hard=90), Sent(accepted=900)], 2_000),
    ],
)
def test_the_cap(editions: list[Sent], reached: int) -> None:
    """A clean edition that filled half of it doubles it; nothing ever lowers it."""
    assert cap(500, editions, hard_percent=2) == reached


def test_it_is_gone_when_it_outgrows_the_audience() -> None:
    """With room for everybody in a day there is nothing to keep."""
    editions = [Sent(accepted=500), Sent(accepted=1_000)]
    assert day_cap(500, editions, audience=2_001, hard_percent=2) == 2_000
    assert day_cap(500, editions, audience=2_000, hard_percent=2) is None
    assert day_cap(0, editions, audience=1_000_000, hard_percent=2) is None
    assert day_cap(500, [Sent(accepted=500, hard=400)], audience=1_000, hard_percent=0) is None


@given(
    st.lists(
        st.builds(Sent, accepted=st.integers(0, 10**6), hard=st.integers(0, 10**6), paused=st.booleans()), max_size=20
    ),
    st.integers(1, 5_000),
)
def test_it_never_falls(editions: list[Sent], start: int) -> None:
    """One more edition changes the cap by nothing or doubles it."""
    before, after = (cap(start, one, hard_percent=2) for one in (editions[:-1], editions))
    assert after in {before, before * 2}
    assert before >= start


@pytest.mark.parametrize(
    ("first", "other", "binds"), [(None, None, None), (5, None, 5), (None, 7, 7), (5, 7, 5), (9, 7, 7)]
)
def test_the_smaller_limit_binds(first: int | None, other: int | None, binds: int | None) -> None:
    """The provider's quota and the ramp both hold."""
    assert smaller(first, other) == binds
