"""Turns: many conversations in one thread, and the same waits in a thread of its own."""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import structlog

from newsletter.greenlet_loop import GreenletLoop, OneShotEvent, apart, comes

SOON = 10.0


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return two ends of a connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0)
        yield ours, theirs


def test_each_goes_on_until_it_must_wait(pair: tuple[socket.socket, socket.socket]) -> None:
    """Two who wait for one another's words get them, in one thread."""
    said: list[tuple[str, bytes, int]] = []

    def talk(name: str, own: socket.socket, word: bytes) -> None:
        own.send(word)
        assert comes(own.fileno(), select.POLLIN, SOON)
        said.append((name, own.recv(9), threading.get_ident()))

    GreenletLoop().run([lambda: talk("ann", pair[0], b"hello"), lambda: talk("bob", pair[1], b"hi")])
    here = threading.get_ident()
    assert sorted(said) == [("ann", b"hi", here), ("bob", b"hello", here)]


@pytest.mark.parametrize("shared", [True, False])
def test_nobody_waits_for_ever(pair: tuple[socket.socket, socket.socket], *, shared: bool) -> None:
    """Where nothing comes in time, that is told; and where something may be written, at once."""
    told: list[int] = []

    def ask() -> None:
        told.append(comes(pair[0].fileno(), select.POLLIN, 0.01))
        told.append(comes(pair[0].fileno(), select.POLLIN | select.POLLOUT, SOON))

    go(ask, shared=shared)
    assert told == [0, select.POLLOUT]


def go(work: Callable[[], None], *, shared: bool) -> None:
    """Do something where others share the thread, or alone."""
    if shared:
        GreenletLoop().run([work])
    else:
        work()


def test_who_waits_long_is_not_forgotten(pair: tuple[socket.socket, socket.socket]) -> None:
    """Of several waits each ends at its own time, the shortest first, whichever began first."""
    order: list[float] = []

    def wait(seconds: float) -> None:
        one, other = socket.socketpair()
        with one, other:
            assert not comes(one.fileno(), select.POLLIN, seconds)
        order.append(seconds)

    GreenletLoop().run([lambda: wait(0.06), lambda: wait(0.02), lambda: wait(0.04)])
    assert order == [0.02, 0.04, 0.06]
    assert pair


@pytest.mark.parametrize("shared", [True, False])
def test_a_bell_is_heard_from_any_thread(*, shared: bool) -> None:
    """Who waits for a bell goes on when it is rung elsewhere, and who comes later does not wait at all."""
    ticker = OneShotEvent()
    ready, heard = threading.Event(), []

    def ring() -> None:
        ready.wait(SOON)
        ticker.ring()

    def listen() -> None:
        ready.set()
        ticker.wait()
        ticker.wait()
        heard.append(ticker.rung)

    thread = threading.Thread(target=ring)
    thread.start()
    go(listen, shared=shared)
    thread.join(SOON)
    assert heard == [True]


def test_what_is_done_apart_keeps_nobody_waiting() -> None:
    """While one does something in another thread the others go on, and it gets what came of it."""
    other = threading.Event()
    got: list[object] = []

    def long() -> None:
        # It ends only because the second has its turn meanwhile.
        got.append(apart(lambda: other.wait(SOON)))
        got.append(apart(threading.get_ident) != threading.get_ident())

    GreenletLoop().run([long, other.set])
    assert got == [True, True]
    assert apart(threading.get_ident) == threading.get_ident()


def test_what_fails_apart_fails_here() -> None:
    """An exception of what is done apart is raised where it was asked for, and the line goes on."""
    caught: list[str] = []

    def work() -> None:
        for value in ("1", "no number", "2"):
            try:
                apart(lambda value=value: int(value))  # type: ignore[misc]
            except ValueError as error:
                caught.append(str(error))

    GreenletLoop().run([work, work])
    assert len(caught) == 2
    assert "no number" in caught[0]


def test_a_fault_ends_all(pair: tuple[socket.socket, socket.socket]) -> None:
    """What nobody catches is raised by `run`, and the thread serves nobody any more."""

    def fail() -> None:
        message = "a fault"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="a fault"):
        GreenletLoop().run([lambda: comes(pair[0].fileno(), select.POLLIN, SOON) and None, fail])
    assert apart(threading.get_ident) == threading.get_ident()


def test_after_a_fault_nothing_is_left_open(pair: tuple[socket.socket, socket.socket]) -> None:
    """Who is in the midst of something when another fails lets go of it, after what it does apart is over."""
    begun, order = threading.Event(), []

    def apart_long() -> None:
        begun.set()
        # The fault comes meanwhile; nobody waits for this event but in vain.
        fault.wait(SOON)
        order.append("done")

    def hold() -> None:
        try:
            apart(apart_long)
        finally:
            order.append("let go")

    def listen() -> None:
        try:
            comes(pair[0].fileno(), select.POLLIN, SOON)
        finally:
            order.append("hung up")

    def fail() -> None:
        apart(lambda: begun.wait(SOON))
        threading.Timer(0.05, fault.set).start()
        message = "a fault"
        raise RuntimeError(message)

    fault = threading.Event()
    with pytest.raises(RuntimeError, match="a fault"):
        GreenletLoop().run([listen, hold, fail])
    assert sorted(order) == ["done", "hung up", "let go"]
    assert order.index("done") < order.index("let go")


def test_nobody_knocks_at_a_door_that_is_gone() -> None:
    """A bell may be rung after all is over: no byte goes astray into what has that number now."""
    ticker = OneShotEvent()

    def fail() -> None:
        message = "a fault"
        raise RuntimeError(message)

    turns = GreenletLoop()
    with pytest.raises(RuntimeError, match="a fault"):
        turns.run([ticker.wait, fail])
    # As a thread saw it that was held up since.
    turns._asleep = True
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ticker.ring()
        ours.settimeout(0)
        theirs.settimeout(0)
        for end in (ours, theirs):
            with pytest.raises(BlockingIOError):
                end.recv(1)


def test_each_line_keeps_its_own_words(caplog: pytest.LogCaptureFixture) -> None:
    """What the log knows of a conversation goes with it, also when it is done apart, and not with another."""
    words: dict[str, set[str]] = {"ann": set(), "bob": set()}

    def work(name: str) -> None:
        structlog.contextvars.bind_contextvars(who=name)
        for _ in range(3):
            words[name].add(structlog.contextvars.get_contextvars()["who"])
            words[name].add(apart(lambda: structlog.contextvars.get_contextvars()["who"]))

    with caplog.at_level(logging.INFO):
        GreenletLoop().run([lambda: work("ann"), lambda: work("bob")])
    assert words == {"ann": {"ann"}, "bob": {"bob"}}


def test_a_place_that_is_used_again(pair: tuple[socket.socket, socket.socket]) -> None:
    """A connection that is closed and one that is opened in its place, under the same number, are told apart."""
    heard: list[bytes] = []

    def work() -> None:
        for word in (b"one", b"two", b"three"):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                theirs.send(word)
                assert comes(ours.fileno(), select.POLLIN, SOON)
                heard.append(ours.recv(9))
                # It hangs up while nobody listens; that is for nobody.
                theirs.close()
                assert not comes(pair[0].fileno(), select.POLLIN, 0.01)

    GreenletLoop().run([work])
    assert heard == [b"one", b"two", b"three"]
