"""The event loop: many greenlets in one thread, and the same calls outside a loop."""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import structlog

from newsletter.event_loop import (
    IDLE_WATCHERS_MAX,
    current,
    in_loop,
    new_event,
    run_greenlets,
    run_in_thread,
    wait_for_io,
    yield_now,
)

SOON = 10.0
Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Return two ends of a connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0)
        yield ours, theirs


def run(work: Callable[[], None], *, shared: bool) -> None:
    """Run a function in an event loop, or without one."""
    if shared:
        run_greenlets([work])
    else:
        work()


def test_greenlets_share_a_thread(pair: Pair) -> None:
    """Two greenlets that wait for each other's bytes get them, in one thread."""
    heard: list[tuple[str, bytes, int]] = []

    def talk(name: str, own: socket.socket, word: bytes) -> None:
        own.send(word)
        assert wait_for_io(own.fileno(), select.POLLIN, SOON)
        heard.append((name, own.recv(9), threading.get_ident()))

    run_greenlets([lambda: talk("ann", pair[0], b"hello"), lambda: talk("bob", pair[1], b"hi")])
    thread = threading.get_ident()
    assert sorted(heard) == [("ann", b"hi", thread), ("bob", b"hello", thread)]


@pytest.mark.parametrize("shared", [True, False])
def test_a_wait_for_io_ends(pair: Pair, *, shared: bool) -> None:
    """A wait ends in time where nothing happens, and at once where a socket takes bytes."""
    results: list[bool] = []

    def ask() -> None:
        results.append(wait_for_io(pair[0].fileno(), select.POLLIN, 0.01))
        results.append(wait_for_io(pair[0].fileno(), select.POLLIN | select.POLLOUT, SOON))

    run(ask, shared=shared)
    assert results == [False, True]


def test_a_closed_socket_leaves_its_number_to_the_next(pair: Pair) -> None:
    """A wait on a new socket that has the number of a closed one ends with the bytes of the new one."""
    ours, theirs = pair
    results: list[bytes] = []

    def read() -> None:
        for word in (b"one", b"two", b"three"):
            mine, peer = socket.socketpair()
            with mine, peer:
                mine.settimeout(0)
                handles.append(mine.fileno())
                peer.send(word)
                assert wait_for_io(mine.fileno(), select.POLLIN, SOON)
                results.append(mine.recv(9))

    def wait_for_nothing() -> None:
        # With many time-outs no more watchers are kept than the limit.
        for count in range(2 * IDLE_WATCHERS_MAX):
            assert wait_for_io(theirs.fileno(), select.POLLOUT, SOON + count)
        assert not wait_for_io(ours.fileno(), select.POLLIN, 0.01)

    handles: list[int] = []
    run_greenlets([read, wait_for_nothing])
    assert results == [b"one", b"two", b"three"]
    assert len(set(handles)) < len(handles)


def test_waits_end_in_the_order_of_their_deadlines() -> None:
    """Of several waits that are over when the loop comes back, the one with the earliest deadline goes on first."""
    order: list[float] = []
    busy = threading.Event()

    def wait(seconds: float) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            assert not wait_for_io(ours.fileno(), select.POLLIN, seconds)
        order.append(seconds)

    # The last one blocks the whole loop until all of the deadlines have passed.
    run_greenlets([lambda: wait(0.06), lambda: wait(0.02), lambda: wait(0.04), lambda: busy.wait(0.2) and None])
    assert order == [0.02, 0.04, 0.06]


def test_an_event_wakes_a_greenlet() -> None:
    """A greenlet that waits for an event goes on once another one sets it, and not at all before."""
    order: list[str] = []

    def wait() -> None:
        event.wait()
        order.append("woken")

    def set_later() -> None:
        yield_now()
        order.append("set")
        event.set()

    event = new_event()
    run_greenlets([wait, set_later])
    assert order == ["set", "woken"]


def test_yielding_serves_what_is_ready(pair: Pair) -> None:
    """Between two yields of a greenlet that computes, another one reads what came."""
    order: list[str] = []

    def compute() -> None:
        pair[1].send(b"x")
        for _ in range(3):
            yield_now()
        order.append("computed")

    def read() -> None:
        assert wait_for_io(pair[0].fileno(), select.POLLIN, SOON)
        order.append("read")

    run_greenlets([read, compute])
    assert order == ["read", "computed"]


def test_a_thread_task_lets_the_others_go_on() -> None:
    """A greenlet gets the result of its thread task, which ends only because another greenlet went on meanwhile."""
    other = threading.Event()
    results: list[object] = []

    def wait() -> None:
        results.append(run_in_thread(lambda: other.wait(SOON)))
        results.append(run_in_thread(threading.get_ident) != threading.get_ident())

    run_greenlets([wait, other.set])
    assert results == [True, True]
    assert run_in_thread(threading.get_ident) == threading.get_ident()


def test_every_greenlet_has_a_thread() -> None:
    """As many thread tasks run at once as there are greenlets: one that waits for another's does not keep it out."""
    meeting = threading.Barrier(20)
    run_greenlets([lambda: run_in_thread(lambda: meeting.wait(SOON)) and None] * 20)
    assert not meeting.broken


def test_an_error_of_a_thread_task_is_raised(capfd: pytest.CaptureFixture[str]) -> None:
    """An exception of a thread task is raised where the task was started, and printed nowhere."""
    caught: list[str] = []

    def work() -> None:
        for value in ("1", "no number", "2"):
            try:
                run_in_thread(lambda value=value: int(value))  # type: ignore[misc]
            except ValueError as error:
                caught.append(str(error))

    run_greenlets([work, work])
    assert len(caught) == 2
    assert "no number" in caught[0]
    assert capfd.readouterr().err == ""


def test_an_exception_ends_all(pair: Pair, capfd: pytest.CaptureFixture[str]) -> None:
    """An exception that a greenlet does not catch is raised by the loop, and afterwards the thread has none."""

    def fail() -> None:
        message = "a fault"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="a fault"):
        run_greenlets([lambda: wait_for_io(pair[0].fileno(), select.POLLIN, SOON) and None, fail])
    assert not in_loop()
    assert current() == threading.get_ident()
    assert capfd.readouterr().err == ""


def test_an_ended_greenlet_waits_for_its_thread_task(pair: Pair) -> None:
    """After an exception the others run their `finally`, each after its thread task has ended."""
    begun, fault, order = threading.Event(), threading.Event(), []

    def task() -> None:
        begun.set()
        # It is not set before the exception ends the greenlets.
        fault.wait(SOON)
        order.append("task ended")

    def hold() -> None:
        try:
            run_in_thread(task)
        finally:
            order.append("released")

    def listen() -> None:
        try:
            wait_for_io(pair[0].fileno(), select.POLLIN, SOON)
        finally:
            order.append("hung up")
            fault.set()

    def fail() -> None:
        run_in_thread(lambda: begun.wait(SOON))
        message = "a fault"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="a fault"):
        run_greenlets([listen, hold, fail])
    assert order == ["hung up", "task ended", "released"]


def test_each_greenlet_keeps_its_log_context(caplog: pytest.LogCaptureFixture) -> None:
    """The context variables of a greenlet go with it into its thread tasks, and into no other greenlet."""
    words: dict[str, set[str]] = {"ann": set(), "bob": set()}

    def work(name: str) -> None:
        structlog.contextvars.bind_contextvars(who=name)
        for _ in range(3):
            words[name].add(structlog.contextvars.get_contextvars()["who"])
            words[name].add(run_in_thread(lambda: structlog.contextvars.get_contextvars()["who"]))

    with caplog.at_level(logging.INFO):
        run_greenlets([lambda: work("ann"), lambda: work("bob")])
    assert words == {"ann": {"ann"}, "bob": {"bob"}}


def test_a_socket_number_is_used_again(pair: Pair) -> None:
    """A connection that is closed and one that is opened under the same number are told apart."""
    heard: list[bytes] = []

    def work() -> None:
        for word in (b"one", b"two", b"three"):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                theirs.send(word)
                assert wait_for_io(ours.fileno(), select.POLLIN, SOON)
                heard.append(ours.recv(9))
                # The peer hangs up while nothing waits for this socket.
                theirs.close()
                assert not wait_for_io(pair[0].fileno(), select.POLLIN, 0.01)

    run_greenlets([work])
    assert heard == [b"one", b"two", b"three"]


def test_a_loop_leaves_nothing_open() -> None:
    """Any number of loops in one thread use no more file handles than one."""
    numbers = []
    for _ in range(3):
        run_greenlets([yield_now, lambda: run_in_thread(yield_now)])
        ours, theirs = socket.socketpair()
        with ours, theirs:
            numbers.append(ours.fileno())
    assert len(set(numbers)) == 1
