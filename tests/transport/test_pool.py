"""Several relays, some of them in trouble: who gets the connections."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.reply import Reply, judge
from newsletter.core.throttle import (
    CLEAN_SPAN_SECONDS,
    PAUSES,
    QUOTA_PAUSE_SECONDS,
    QUOTA_PAUSES,
    REPUTATION_PAUSE_SECONDS,
)
from newsletter.transport.base import ConnectFailure, Connection, Relay
from newsletter.transport.pool import EMPTY_CONNECTIONS_MAX, Pool, PoolBusy
from newsletter.transport.pooled import PooledConnection
from tests.transport.pool_fixtures import (
    ABSENT,
    FULL,
    LOGIN_WANTED,
    LOST,
    MAILBOX_BUSY,
    MESSAGE,
    NO_SUCH_USER,
    QUOTA,
    REPUTATION,
    TAKEN,
    TOO_FAST,
    WRONG_LOGIN,
    World,
)


def test_the_first_relay_gets_all_while_it_is_well() -> None:
    """The second relay hears nothing while the first one works, not even when all its connections are in use."""
    world = World("first", "second")
    lent = [world.get() for _ in range(4)]
    assert {one.relay for one in lent} == {"first"}
    wait = world.later()
    assert (wait.trouble, wait.plain) == (False, "All 4 connections to first are in use.")
    lent[0].close()
    assert world.get().relay == "first"
    assert world.dialled == {"first": 5}


def test_a_relay_that_is_away_is_replaced_and_comes_back() -> None:
    """The second relay takes over, the first one is tried again after its pause, and gets everything back."""
    world = World("first", "second")
    world.trouble["first"] = ABSENT
    away = [world.get() for _ in range(4)]
    assert {one.relay for one in away} == {"second"}
    assert world.dialled["first"] == 1
    world.clock.turn(seconds=PAUSES[0])
    del world.trouble["first"]
    away.pop().close()
    trial = world.get()
    assert trial.relay == "first"
    # While one is being tried out the others stay where they are.
    assert world.get().relay == "second"
    assert not any(one.needs_recycling for one in away)
    world.hear(trial, TAKEN)
    assert all(one.needs_recycling for one in away)
    away.pop().close()
    assert world.get().relay == "first"
    assert world.pool.states()[0].trouble == ""


def test_a_connection_that_is_called_home_finishes_what_it_announced() -> None:
    """What is announced to a relay still goes there; then nothing more is announced, and the connection is done."""
    world = World("first", "second")
    lent = world.get()
    lent.hand_over(MESSAGE, following=MESSAGE)
    lent.recall()
    assert not lent.needs_recycling
    lent.answer()
    lent.hand_over(MESSAGE, following=MESSAGE)
    lent.answer()
    assert lent.needs_recycling
    assert world.wires[0].announced == [MESSAGE, None]


def test_failures_in_a_row_are_tried_more_and_more_seldom() -> None:
    """A relay that stays away for an hour is tried about fifteen times, not thousands of times."""
    world = World("only")
    world.trouble["only"] = ABSENT
    assert isinstance(world.pool.connect(), ConnectFailure)
    for _ in range(3600):
        wait = world.pool.connect()
        if isinstance(wait, PoolBusy):
            assert (wait.trouble, wait.plain) == (True, "Nobody is there.")
        world.clock.turn(seconds=1)
    assert world.dialled["only"] <= len(PAUSES) + 3600 / PAUSES[-1]


def test_a_failure_is_reported_only_when_all_fail() -> None:
    """The words of every relay are in it, and waiting helps as long as one of them is no matter for a person."""
    world = World("first", "second")
    world.trouble = {"first": WRONG_LOGIN, "second": ABSENT}
    failure = world.pool.connect()
    assert isinstance(failure, ConnectFailure)
    assert failure.plain == "It refuses the login. Nobody is there."
    assert judge(failure.reply).relay == "back-off"
    wait = world.later()
    assert (wait.trouble, wait.needs_person, wait.seconds) == (True, False, PAUSES[0])


def test_those_who_have_a_connection_go_on() -> None:
    """That one more cannot be opened is no failure while others work, nor while one is being tried out."""
    world = World("only")
    lent = world.get()
    world.trouble["only"] = ABSENT
    assert world.later() == PoolBusy(seconds=PAUSES[0], plain="Nobody is there.")
    lent.close()
    assert world.later().trouble
    world.trouble.clear()
    world.clock.turn(seconds=PAUSES[0])
    trial = world.get()
    assert not world.later().trouble
    world.hear(trial, TOO_FAST)
    assert world.later().trouble


def test_a_person_is_asked_for_when_nothing_else_helps() -> None:
    """When every relay refuses our login the failure says so, and so does everything until it is tried again."""
    world = World("first", "second")
    world.trouble = {"first": WRONG_LOGIN, "second": WRONG_LOGIN}
    failure = world.pool.connect()
    assert isinstance(failure, ConnectFailure)
    assert judge(failure.reply).relay == "stop"
    wait = world.later()
    assert (wait.trouble, wait.needs_person, wait.seconds) == (True, True, PAUSES[-1])
    assert [state.needs_person for state in world.pool.states()] == [True, True]


def test_one_complaint_on_ten_connections_halves_once() -> None:
    """Ten connections that hear 421 in the same moment come back as five, after a short rest."""
    world = World("only", "spare", connections=10)
    for connection in [world.get() for _ in range(10)]:
        world.hear(connection, TOO_FAST)
    wait = world.later()
    assert (wait.trouble, wait.seconds) == (False, 2.0)
    world.clock.turn(seconds=wait.seconds)
    assert [world.get().relay for _ in range(5)] == ["only"] * 5
    wait = world.later()
    assert wait.seconds == CLEAN_SPAN_SECONDS
    assert "Maximum sending rate" in wait.plain
    world.clock.turn(seconds=CLEAN_SPAN_SECONDS)
    assert world.get().relay == "only"
    assert isinstance(world.pool.connect(), PoolBusy)
    assert world.dialled["spare"] == 0


def test_each_relay_has_a_number_of_its_own() -> None:
    """The most connections may differ from relay to relay."""
    world = World("first", "second", connections=[2, 1])
    world.trouble["first"] = ABSENT
    assert world.get().relay == "second"
    assert world.later().trouble is False
    assert [state.most for state in world.pool.states()] == [2, 1]


def test_the_newest_connections_make_room() -> None:
    """When the number is halved by a complaint that one of them heard, those too many finish and come home."""
    world = World("only", connections=4)
    lent = [world.get() for _ in range(4)]
    world.hear(lent[3], TOO_FAST)
    assert [one.needs_recycling for one in lent[:3]] == [False, False, True]


def test_a_relay_that_throttles_a_single_connection_gets_a_pause() -> None:
    """With one connection left the next relay helps out until all of the first one's are back."""
    world = World("first", "second", connections=2)
    for _ in range(2):
        lent = world.get()
        world.hear(lent, TOO_FAST)
        world.clock.turn(seconds=2)
    assert (world.pool.states()[0].allowed, world.get().relay) == (1, "second")
    world.clock.turn(seconds=PAUSES[0])
    trial = world.get()
    assert trial.relay == "first"
    world.hear(trial, TAKEN)
    assert world.get().relay == "second"
    world.clock.turn(seconds=2 * CLEAN_SPAN_SECONDS)
    assert world.get().relay == "first"


@pytest.mark.parametrize(("reply", "pause"), [(REPUTATION, REPUTATION_PAUSE_SECONDS), (QUOTA, QUOTA_PAUSE_SECONDS)])
def test_what_takes_long_to_pass_stops_every_connection(reply: Reply, pause: float) -> None:
    """All of them finish what they hold; then one tries, after ten minutes or twenty."""
    world = World("only", connections=4)
    lent = [world.get() for _ in range(4)]
    world.hear(lent[0], reply)
    assert all(connection.needs_recycling for connection in lent[1:])
    for connection in lent[1:]:
        connection.close()
    wait = world.later()
    assert (wait.trouble, wait.seconds) == (True, pause)
    world.clock.turn(seconds=pause)
    world.hear(world.get(), TAKEN)
    assert isinstance(world.pool.connect(), PoolBusy)


def test_a_crowded_relay_keeps_those_it_has() -> None:
    """A relay that takes three connections and refuses the fourth has three, and is asked for more once a minute."""
    world = World("only", "spare", connections=10)
    world.most["only"] = 3
    for _ in range(3):
        world.hear(world.get(), TAKEN)
    assert not world.later().trouble
    for _ in range(600):
        assert isinstance(world.pool.connect(), PoolBusy)
        world.clock.turn(seconds=1)
    assert 3 + 8 <= world.dialled["only"] <= 3 + 11
    assert world.dialled["spare"] == 0


def test_refusals_of_a_person_say_nothing_of_the_relay() -> None:
    """Unknown addresses and busy mailboxes change nothing."""
    world = World("only")
    lent = world.get()
    before = world.pool.states()
    for reply in (NO_SUCH_USER, MAILBOX_BUSY):
        world.hear(lent, reply)
    assert world.pool.states() == before


def test_a_login_refused_late_shuts_the_relay() -> None:
    """When a relay wants another login in the middle of it all, the next one takes over."""
    world = World("first", "second")
    connection, other = world.get(), world.get()
    world.hear(connection, LOGIN_WANTED)
    assert other.needs_recycling
    assert world.get().relay == "second"
    assert world.pool.states()[0].needs_person


def test_connections_lost_before_their_first_message_are_trouble() -> None:
    """A relay that greets us and then always hangs up is away; one that hangs up after some messages is not."""
    world = World("first", "second")
    for _ in range(10):
        lent = world.get()
        world.hear(lent, TAKEN)
        world.hear(lent, LOST)
    assert world.pool.states()[0].trouble == ""
    for _ in range(EMPTY_CONNECTIONS_MAX):
        lent = world.get()
        assert lent.relay == "first"
        world.hear(lent, LOST)
    assert world.get().relay == "second"


def test_people_see_how_the_relays_stand() -> None:
    """Each relay is shown with its connections, its last complaint, since when, and when it is tried again."""
    world = World("first", "second", connections=4)
    world.trouble["first"] = ABSENT
    world.get()
    now = world.clock.now()
    world.clock.turn(seconds=2)
    first, second = world.pool.states()
    assert (first.name, first.connections, first.allowed, first.trouble) == ("first", 0, 4, "Nobody is there.")
    assert first.since == now
    assert first.again_at is not None
    assert (first.again_at - now).total_seconds() == PAUSES[0]
    assert (second.connections, second.trouble, second.since, second.again_at) == (1, "", None, None)


def test_one_login_is_tried_before_the_others() -> None:
    """While the very first connection is being opened nobody else dials, so a wrong password is sent once."""
    world = World("only", connections=8)
    dialling, go_on = threading.Event(), threading.Event()
    answers: list[object] = []

    def dial(relay: Relay) -> Connection | ConnectFailure:
        world.dialled[relay.name] += 1
        dialling.set()
        assert go_on.wait(10)
        return WRONG_LOGIN

    pool = Pool([Relay(host="h", port=25, name="only")], connections=8, clock=world.clock, jitter=float, dial=dial)
    threads = [threading.Thread(target=lambda: answers.append(pool.connect())) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert dialling.wait(10)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert world.dialled["only"] == 1
    assert Counter(map(type, answers)) == {ConnectFailure: 1, PoolBusy: 7}


def test_a_fault_while_dialling_frees_the_place() -> None:
    """When the program itself is at fault, the next one who asks gets a connection."""
    world = World("only", connections=1)
    faults = [ZeroDivisionError()]

    def dial(relay: Relay) -> Connection | ConnectFailure:
        if faults:
            raise faults.pop()
        return world.dial(relay)

    pool = Pool([Relay(host="h", port=25)], connections=1, clock=world.clock, jitter=float, dial=dial)
    with pytest.raises(ZeroDivisionError):
        pool.connect()
    assert isinstance(pool.connect(), PooledConnection)
    assert pool.states()[0].name == "h:25"


REPLIES = st.sampled_from([TAKEN, TAKEN, NO_SUCH_USER, TOO_FAST, REPUTATION, QUOTA, LOGIN_WANTED, LOST])
TROUBLES = st.sampled_from([None, None, ABSENT, FULL, WRONG_LOGIN])
RELAYS = st.sampled_from(["first", "second"])
SPANS = st.sampled_from([0.0, 0.1, 3.0, 61.0, 301.0])


def ask(world: World, held: list[PooledConnection]) -> None:
    """Ask for one more connection: never more than allowed, never before its time."""
    states = {state.name: state for state in world.pool.states()}
    answer = world.pool.connect()
    if isinstance(answer, PooledConnection):
        again_at = states[answer.relay].again_at
        assert again_at is None or again_at <= world.clock.now()
        assert states[answer.relay].connections < states[answer.relay].most
        held.append(answer)
    elif isinstance(answer, PoolBusy):
        assert answer.seconds > 0


def bring_back(held: list[PooledConnection]) -> None:
    """Close what is to be closed."""
    for connection in [connection for connection in held if connection.needs_recycling]:
        connection.close()
        held.remove(connection)


@given(data=st.data())
def test_any_history_keeps_the_limits_and_ends_well(data: st.DataObject) -> None:
    """Whatever the relays do, the limits hold, no place is lost, and once all is well the first relay has it all."""
    world = World("first", "second", connections=3)
    held: list[PooledConnection] = []
    for _ in range(data.draw(st.integers(0, 40))):
        world.suffer(data.draw(RELAYS), data.draw(TROUBLES))
        ask(world, held)
        if held and data.draw(st.booleans()):
            world.hear(data.draw(st.sampled_from(held)), data.draw(REPLIES))
        bring_back(held)
        world.clock.turn(seconds=data.draw(SPANS))
    assert sum(state.connections for state in world.pool.states()) == len(held)
    world.trouble.clear()
    for _ in range(20):
        world.clock.turn(seconds=max(QUOTA_PAUSES))
        ask(world, held)
        for connection in held:
            world.hear(connection, TAKEN)
        # No connection lives for ever.
        held[0].close()
        bring_back(held)
    for _ in range(3):
        ask(world, held)
    assert [connection.relay for connection in held] == ["first"] * 3
    assert world.pool.states()[0].trouble == ""
