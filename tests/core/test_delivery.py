"""What an attempt makes of a delivery."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.delivery import (
    OPEN_STATES,
    Delivery,
    DeliveryId,
    DeliveryState,
    Outcome,
    Resolution,
    UncertainPolicy,
    resolve,
    settle,
)
from newsletter.core.edition import EditionId
from newsletter.core.reply import Phase, Reply, judge
from newsletter.core.retry import RETRY_DELAYS
from newsletter.core.subscriber import SubscriberId
from newsletter.errors import InputError

NOW = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
THREE_DAYS = timedelta(hours=72)
ACCEPTED = Reply(phase=Phase.DOT, code=250, enhanced="2.0.0", text="Ok: queued")
GREYLISTED = Reply(phase=Phase.RCPT, code=450, enhanced="4.7.1", text="Greylisted")
NO_MAILBOX = Reply(phase=Phase.RCPT, code=550, enhanced="5.1.1", text="User unknown")
LOST = Reply(phase=Phase.RCPT, text="the server closed the connection")
UNKNOWN = Reply(phase=Phase.DOT, text="time-out", may_be_delivered=True)

SENDING = Delivery(
    id=DeliveryId(1), edition_id=EditionId(1), subscriber_id=SubscriberId(1), state=DeliveryState.SENDING
)

moments = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
jitters = st.floats(min_value=-1, max_value=1)


def attempt(
    delivery: Delivery,
    reply: Reply,
    *,
    now: datetime = NOW,
    jitter: float = 0.0,
    expire_after: timedelta = THREE_DAYS,
    policy: UncertainPolicy = UncertainPolicy.HOLD,
) -> Outcome:
    """Settle one attempt at noon of a Tuesday, unless said otherwise."""
    return settle(
        delivery,
        judge(reply),
        reply=reply,
        now=now,
        jitter=jitter,
        expire_after=expire_after,
        uncertain_policy=policy,
    )


def after(delivery: Delivery, outcome: Outcome) -> Delivery:
    """Return the row as `store/` would write it, taken up again for the next attempt."""
    return replace(
        delivery,
        attempts=outcome.attempts,
        first_attempt_at=outcome.first_attempt_at,
        last_attempt_at=outcome.last_attempt_at,
        next_attempt_at=outcome.next_attempt_at,
    )


def test_an_accepted_message_keeps_the_words_of_the_server() -> None:
    """The queue id in the 250 is what an operator asks the relay about."""
    outcome = attempt(SENDING, ACCEPTED)
    assert (outcome.state, outcome.attempts, outcome.suppress) == (DeliveryState.ACCEPTED, 1, False)
    assert (outcome.reply_code, outcome.reply_enhanced, outcome.reply_text) == (250, "2.0.0", "Ok: queued")
    assert (outcome.first_attempt_at, outcome.last_attempt_at, outcome.next_attempt_at) == (NOW, NOW, None)


def test_a_dead_mailbox_is_rejected_and_suppressed_with_a_plain_reason() -> None:
    """The report says it in words that an admin understands."""
    outcome = attempt(SENDING, NO_MAILBOX)
    assert (outcome.state, outcome.suppress, outcome.reason) == (
        DeliveryState.REJECTED,
        True,
        "The mailbox does not exist.",
    )


def test_a_greylisted_message_waits_by_the_schedule() -> None:
    """Each deferral waits longer than the one before, and the last wait repeats."""
    delivery, now, waits = SENDING, NOW, []
    for _ in range(10):
        outcome = attempt(delivery, GREYLISTED, now=now, expire_after=timedelta(days=30))
        assert outcome.state is DeliveryState.DEFERRED
        assert outcome.next_attempt_at is not None
        waits.append(outcome.next_attempt_at - now)
        delivery, now = after(delivery, outcome), outcome.next_attempt_at
    assert waits == [*RETRY_DELAYS, RETRY_DELAYS[-1], RETRY_DELAYS[-1]]


@given(attempts=st.integers(min_value=0, max_value=50), jitter=jitters)
def test_jitter_moves_a_wait_by_at_most_a_fifth(attempts: int, jitter: float) -> None:
    """What was deferred together comes back spread out, but not out of order."""
    delivery = replace(SENDING, attempts=attempts, first_attempt_at=NOW)
    outcome = attempt(delivery, GREYLISTED, jitter=jitter, expire_after=timedelta(days=30))
    assert outcome.next_attempt_at is not None
    step = RETRY_DELAYS[min(attempts, len(RETRY_DELAYS) - 1)]
    assert step * 0.8 - timedelta(seconds=1) <= outcome.next_attempt_at - NOW <= step * 1.2 + timedelta(seconds=1)


@given(jitter=jitters, hours=st.integers(min_value=0, max_value=200), start=moments)
def test_every_deferral_ends_in_expired_at_the_end_and_never_before(jitter: float, hours: int, start: datetime) -> None:
    """A server that always says "later" is asked until the time is over, once more at its end, and no longer."""
    expire_after = timedelta(hours=hours)
    delivery, now = SENDING, start
    for _ in range(40):
        outcome = attempt(delivery, GREYLISTED, now=now, jitter=jitter, expire_after=expire_after)
        assert outcome.first_attempt_at == start
        if outcome.state is DeliveryState.EXPIRED:
            break
        assert outcome.next_attempt_at is not None
        assert now < outcome.next_attempt_at <= start + expire_after
        delivery, now = after(delivery, outcome), outcome.next_attempt_at
    assert outcome.state is DeliveryState.EXPIRED
    assert now == start + expire_after
    assert outcome.next_attempt_at is None


def test_an_expired_delivery_says_how_often_it_was_tried_and_what_was_the_matter() -> None:
    """Expired people are named in an alert: the reason must stand on its own."""
    old = replace(SENDING, attempts=11, first_attempt_at=NOW - THREE_DAYS)
    outcome = attempt(old, Reply(phase=Phase.RCPT, code=552, enhanced="5.2.2", text="over quota"))
    assert (outcome.state, outcome.reason) == (
        DeliveryState.EXPIRED,
        "Given up after 12 attempts: The mailbox is full.",
    )


def test_the_relays_trouble_costs_the_person_nothing() -> None:
    """A connection lost before the dot leaves no trace: no attempt, no clock started."""
    outcome = attempt(SENDING, LOST)
    assert (outcome.state, outcome.attempts, outcome.first_attempt_at, outcome.next_attempt_at) == (
        DeliveryState.QUEUED,
        0,
        None,
        None,
    )


def test_the_relays_trouble_does_not_turn_the_clock_back() -> None:
    """A first attempt made earlier still counts towards expiry."""
    earlier = replace(SENDING, attempts=2, first_attempt_at=NOW - timedelta(hours=1))
    outcome = attempt(earlier, LOST)
    assert (outcome.attempts, outcome.first_attempt_at) == (2, NOW - timedelta(hours=1))


def test_an_unknown_outcome_is_held_for_a_person() -> None:
    """Under `hold` nobody gets a second copy by the machine's own decision."""
    outcome = attempt(SENDING, UNKNOWN)
    assert (outcome.state, outcome.next_attempt_at, outcome.reply_code) == (DeliveryState.UNCERTAIN, None, None)


def test_an_unknown_outcome_is_tried_again_under_retry() -> None:
    """Under `retry` it waits like any deferral; the Message-ID is made of ids, so it stays the same."""
    outcome = attempt(SENDING, UNKNOWN, policy=UncertainPolicy.RETRY)
    assert (outcome.state, outcome.next_attempt_at) == (DeliveryState.DEFERRED, NOW + RETRY_DELAYS[0])


def test_an_unknown_outcome_never_becomes_expired() -> None:
    """`Expired` would claim that the message did not arrive, which nobody knows."""
    old = replace(SENDING, attempts=3, first_attempt_at=NOW - THREE_DAYS)
    assert attempt(old, UNKNOWN, policy=UncertainPolicy.RETRY).state is DeliveryState.UNCERTAIN


@pytest.mark.parametrize("state", [state for state in DeliveryState if state not in OPEN_STATES])
def test_a_final_state_is_not_settled_again(state: DeliveryState) -> None:
    """A late reply cannot change what is already in the books."""
    with pytest.raises(ValueError, match="nothing to settle"):
        attempt(replace(SENDING, state=state), ACCEPTED)


@given(
    phase=st.sampled_from(Phase),
    code=st.integers(min_value=0, max_value=599),
    attempts=st.integers(min_value=0, max_value=20),
    age=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=5)),
    policy=st.sampled_from(UncertainPolicy),
)
def test_an_outcome_is_consistent(
    phase: Phase,
    code: int,
    attempts: int,
    age: timedelta,
    policy: UncertainPolicy,
) -> None:
    """Whatever was said: never `sending` or `skipped`; a next attempt only while deferred; accepted only by a 2yz."""
    reply = Reply(phase=phase, code=code, may_be_delivered=code == 0 and phase is Phase.DOT)
    delivery = replace(SENDING, attempts=attempts, first_attempt_at=NOW - age if attempts else None)
    outcome = attempt(delivery, reply, policy=policy)
    assert outcome.state not in {DeliveryState.SENDING, DeliveryState.SKIPPED}
    assert (outcome.next_attempt_at is not None) == (outcome.state is DeliveryState.DEFERRED)
    assert outcome.state is not DeliveryState.ACCEPTED or (phase is Phase.DOT and code // 100 == 2)
    assert not outcome.suppress or outcome.state is DeliveryState.REJECTED
    assert outcome.reason.endswith(".")
    if code // 100 == 4:
        assert outcome.state is not DeliveryState.REJECTED


@pytest.mark.parametrize(("arrived", "state"), [(True, DeliveryState.ACCEPTED), (False, DeliveryState.REJECTED)])
def test_evidence_resolves_an_uncertain_delivery(arrived: bool, state: DeliveryState) -> None:  # noqa: FBT001
    """What came to light decides, and its source is kept as the reason."""
    uncertain = replace(SENDING, state=DeliveryState.UNCERTAIN, attempts=1, first_attempt_at=NOW)
    outcome = resolve(uncertain, Resolution(arrived=arrived, source="the relay's log"))
    assert (outcome.state, outcome.attempts, outcome.first_attempt_at) == (state, 1, NOW)
    assert outcome.reason.endswith("the relay's log")


@pytest.mark.parametrize("state", [state for state in DeliveryState if state is not DeliveryState.UNCERTAIN])
def test_only_the_uncertain_can_be_resolved(state: DeliveryState) -> None:
    """Nothing that is known becomes something else by a later word."""
    with pytest.raises(InputError, match="not uncertain"):
        resolve(replace(SENDING, state=state), Resolution(arrived=True, source="a hunch"))
