"""How many connections a relay may have, and when it is tried again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from newsletter.core import throttle
from newsletter.core.throttle import (
    CLEAN_SPAN_SECONDS,
    GROWTH_ROUND_SECONDS,
    PAUSE_MIN_SECONDS,
    PAUSES,
    QUOTA_PAUSE_SECONDS,
    REPUTATION_PAUSE_SECONDS,
    Complaint,
    Throttle,
    cap_connections,
    fail,
    grow,
    new_throttle,
    recover,
    slow_down,
)

LATEST = 1.0
"""The jitter that takes nothing away from a pause."""


def slower(state: Throttle, now: float, strain: Complaint = Complaint.RATE, jitter: float = LATEST) -> Throttle:
    """Hear a complaint."""
    return slow_down(state, strain, now=now, jitter=jitter, plain="Slow down.")


def failed(state: Throttle, now: float, jitter: float = LATEST, *, needs_person: bool = False) -> Throttle:
    """Fail to connect."""
    return fail(state, now=now, jitter=jitter, plain="Nobody there.", needs_person=needs_person)


def test_a_new_relay_may_have_all_its_connections() -> None:
    """Until a relay complains it gets what the operator allows, and never less than one."""
    state = new_throttle(10, now=0.0)
    assert (state.allowed, state.open, state.well) == (10, False, True)
    assert new_throttle(0, now=0.0).allowed == 1


def test_one_round_of_replies_halves_once() -> None:
    """Ten connections that hear the same complaint halve their number once, and rest until the round is over."""
    state = new_throttle(10, now=0.0)
    for heard in range(10):
        state = slower(state, now=100.0 + heard / 100)
    assert (state.allowed, state.open) == (5, False)
    assert state.retry_at == 100.0 + GROWTH_ROUND_SECONDS


def test_each_further_round_halves_again() -> None:
    """A relay that goes on complaining comes down to one connection, and then gets a pause."""
    state = new_throttle(10, now=0.0)
    seen = []
    for turn in range(4):
        state = slower(state, now=turn * 10.0)
        seen.append((state.allowed, state.open))
    assert seen == [(5, False), (2, False), (1, False), (1, True)]
    assert state.retry_at == 30.0 + PAUSES[0]


def test_a_clean_minute_earns_one_connection() -> None:
    """The number grows by one for each minute without a complaint, up to the most, and then all is forgotten."""
    state = slower(new_throttle(4, now=0.0), now=0.0)
    clean = GROWTH_ROUND_SECONDS
    assert grow(state, now=clean + CLEAN_SPAN_SECONDS - 0.1).allowed == 2
    assert grow(state, now=clean + CLEAN_SPAN_SECONDS).allowed == 3
    once = grow(state, now=clean + 1.5 * CLEAN_SPAN_SECONDS)
    assert grow(once, now=clean + 2 * CLEAN_SPAN_SECONDS) == grow(state, now=clean + 2 * CLEAN_SPAN_SECONDS)
    whole = grow(state, now=clean + 100 * CLEAN_SPAN_SECONDS)
    assert (whole.allowed, whole.well, whole.plain) == (4, True, "")


def test_failures_in_a_row_wait_longer_each_time() -> None:
    """The pauses are 5, 10, 30, 60, 120 and then always 300 seconds."""
    state, now, waits = new_throttle(3, now=0.0), 0.0, []
    for _ in range(8):
        state = failed(state, now)
        waits.append(state.retry_at - now)
        now = state.retry_at
    assert waits == pytest.approx([5, 10, 30, 60, 120, 300, 300, 300])
    assert state.allowed == 3


def test_what_a_person_must_cure_is_tried_seldom() -> None:
    """A login that is refused over and over may lock the account, so its first pause is the longest."""
    state = failed(new_throttle(3, now=0.0), 0.0, needs_person=True)
    assert (state.retry_at, state.needs_person) == (PAUSES[-1], True)
    assert not recover(state, opened_at=300.0).needs_person


@pytest.mark.parametrize(
    ("strain", "pause"), [(Complaint.REPUTATION, REPUTATION_PAUSE_SECONDS), (Complaint.QUOTA, QUOTA_PAUSE_SECONDS)]
)
def test_a_lasting_strain_stops_everything_for_long(strain: Complaint, pause: float) -> None:
    """After 4.7.28 or a spent quota nothing goes for long, then one connection, then one more each clean minute."""
    state = slower(new_throttle(10, now=0.0), now=50.0, strain=strain)
    assert (state.allowed, state.open, state.retry_at) == (1, True, 50.0 + pause)
    back = recover(state, opened_at=state.retry_at + 7)
    assert (back.open, back.allowed, back.recovering) == (False, 1, True)
    assert grow(back, now=state.retry_at + 7 + CLEAN_SPAN_SECONDS).allowed == 2
    assert not grow(back, now=state.retry_at + 7 + 9 * CLEAN_SPAN_SECONDS).recovering


def test_a_spent_quota_is_tried_every_hour() -> None:
    """When the quota is still spent after the first pause, it is asked for once an hour; taken mail forgets that."""
    state = slower(new_throttle(10, now=0.0), now=0.0, strain=Complaint.QUOTA)
    assert slower(state, now=1.0, strain=Complaint.QUOTA).retry_at == QUOTA_PAUSE_SECONDS
    again = slower(state, now=QUOTA_PAUSE_SECONDS, strain=Complaint.QUOTA)
    assert again.retry_at == QUOTA_PAUSE_SECONDS + 3600
    fresh = recover(again, opened_at=again.retry_at)
    assert slower(fresh, now=10_000.0, strain=Complaint.QUOTA).retry_at == 10_000 + QUOTA_PAUSE_SECONDS


def test_a_lasting_strain_is_heeded_within_a_round() -> None:
    """A halving a moment ago does not hide that the relay has stopped us for long."""
    state = slower(slower(new_throttle(10, now=0.0), now=1.0), now=1.5, strain=Complaint.REPUTATION)
    assert state.retry_at == 1.5 + REPUTATION_PAUSE_SECONDS


def test_a_connection_from_before_the_trouble_proves_nothing() -> None:
    """Only mail that is taken on a connection that was opened as a trial closes the breaker."""
    state = failed(new_throttle(3, now=0.0), 10.0)
    assert recover(state, opened_at=14.9) == state
    well = recover(state, opened_at=15.0)
    assert (well.well, well.strikes, well.plain) == (True, 0, "")


def test_a_crowded_relay_tells_how_many_it_takes() -> None:
    """When one more connection is refused beside three that stand, three it is, and the fourth waits a minute."""
    state = cap_connections(new_throttle(10, now=0.0), 3, now=5.0, jitter=LATEST, plain="Too many connections.")
    assert (state.allowed, state.open, state.plain) == (3, False, "Too many connections.")
    assert grow(state, now=5.0 + GROWTH_ROUND_SECONDS + CLEAN_SPAN_SECONDS).allowed == 4


@given(jitter=st.floats(-1, 1), strikes=st.integers(0, 20))
def test_jitter_only_shortens_a_pause(jitter: float, strikes: int) -> None:
    """Whatever the jitter, a pause is at least a second and at most its step."""
    state = replace(new_throttle(3, now=0.0), strikes=min(strikes, len(PAUSES)))
    wait = failed(state, 0.0, jitter).retry_at
    assert PAUSE_MIN_SECONDS <= wait <= PAUSES[min(strikes, len(PAUSES) - 1)]


class AnyHistory(RuleBasedStateMachine):
    """A relay that complains, fails and works in any order."""

    def __init__(self) -> None:
        """Begin with ten connections."""
        super().__init__()
        self.now = 0.0
        self.state = new_throttle(10, now=0.0)
        self.before = self.state

    def becomes(self, state: Throttle) -> None:
        """Take the next state and keep the one before."""
        self.before, self.state = self.state, state

    @rule(seconds=st.floats(0.0, 400.0))
    def time_passes(self, seconds: float) -> None:
        """Let time pass and look again: each connection more was earned by a whole minute."""
        self.now += seconds
        self.becomes(grow(self.state, now=self.now))
        assert (
            self.state.allowed - self.before.allowed
            <= max(0.0, self.now - self.before.clean_since) / CLEAN_SPAN_SECONDS
        )

    @rule(strain=st.sampled_from(Complaint), jitter=st.floats(-1, 1))
    def complains(self, strain: Complaint, jitter: float) -> None:
        """Hear a complaint: never more connections than before, never a shorter wait, and no try at once."""
        self.becomes(slower(self.state, self.now, strain, jitter))
        assert self.state.allowed <= self.before.allowed
        assert self.state.retry_at >= max(self.before.retry_at, self.now)
        if strain is Complaint.RATE and not self.before.open:
            assert self.state.allowed >= self.before.allowed // 2

    @rule(jitter=st.floats(-1, 1), person=st.booleans())
    def cannot_be_reached(self, jitter: float, person: bool) -> None:  # noqa: FBT001 - drawn by hypothesis.
        """Fail to connect."""
        self.becomes(failed(self.state, self.now, jitter, needs_person=person))
        assert self.state.open
        assert self.state.retry_at >= self.now + PAUSE_MIN_SECONDS

    @rule(age=st.floats(0.0, 400.0))
    def takes_mail(self, age: float) -> None:
        """Take mail on a connection of some age."""
        self.becomes(recover(self.state, opened_at=self.now - age))
        assert self.state.allowed == self.before.allowed

    @rule(connections=st.integers(0, 10))
    def is_crowded(self, connections: int) -> None:
        """Refuse one more connection."""
        self.becomes(cap_connections(self.state, connections, now=self.now, jitter=0.0, plain="Full."))

    @invariant()
    def is_sane(self) -> None:
        """At least one connection, at most all; a reason while something is wrong, and none once all is well."""
        state = self.state
        assert 1 <= state.allowed <= state.most
        assert bool(state.plain) is not state.well
        assert state.recovering or not state.open
        assert not (state.well and (state.recovering or state.strikes or state.needs_person))

    def teardown(self) -> None:
        """Whatever happened, the relay has all its connections again in the end."""
        self.state = recover(self.state, opened_at=self.state.retry_at + self.now + 1)
        later = max(self.now, self.state.clean_since) + 10 * CLEAN_SPAN_SECONDS
        assert throttle.grow(self.state, now=later).well


TestAnyHistory = AnyHistory.TestCase
