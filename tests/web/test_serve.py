"""The server: what it refuses before it claims to run, how it ends, and how little of a body it takes in."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from typing import Any

import httpx
import pytest
from jinja2 import Environment
from starlette.types import Message, Receive, Scope, Send

from newsletter.core.subscriber import SubscriberState
from newsletter.errors import Stop
from newsletter.store.database import IDLE_CONNECTIONS_MAX, OVERFLOW_CONNECTIONS_MAX
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from newsletter.web import one_click
from newsletter.web.app import create_app
from newsletter.web.serve import _advice, serve
from newsletter.web.site import AREA_PLACES, Area, Busy, Site
from tests.web.conftest import Reader, WebParts

LONG = 20.0


async def empty(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 204."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def test_it_answers_as_soon_as_it_claims_to_run() -> None:
    """A request right after the start is answered, and the server says that it lives."""
    with serve(empty, "127.0.0.1", 0, stop=threading.Event()) as server:
        assert server.alive
        assert httpx.get(f"http://127.0.0.1:{server.port}/", trust_env=False).status_code == 204
    assert not server.alive


def test_a_port_in_use_is_reported_with_what_to_do() -> None:
    """The second service on one port does not start."""
    with serve(empty, "127.0.0.1", 0, stop=threading.Event()) as server:
        with pytest.raises(Stop, match=rf"listens on 127\.0\.0\.1:{server.port}\..*NEWSLETTER_WEB_PORT"):
            serve(empty, "127.0.0.1", server.port, stop=threading.Event())
        assert server.alive


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1", "a" * 300])
def test_a_host_that_is_not_ours_is_reported(host: str) -> None:
    """An address of another machine, or none, is a mistake of the settings."""
    with pytest.raises(Stop, match="NEWSLETTER_WEB_HOST"):
        serve(empty, host, 0, stop=threading.Event())


@pytest.mark.parametrize(
    ("number", "word"), [(errno.EACCES, "above 1023"), (errno.EADDRNOTAVAIL, "WEB_HOST"), (errno.ENOBUFS, "cannot")]
)
def test_other_refusals_say_what_to_do(number: int, word: str) -> None:
    """What the system says is put into words."""
    assert word in _advice("127.0.0.1", 80, OSError(number, "No buffer space available"))


def test_the_stop_of_the_service_ends_it() -> None:
    """When the event is set the server ends by itself, and its port is free."""
    stop = threading.Event()
    server = serve(empty, "127.0.0.1", 0, stop=stop)
    stop.set()
    server._thread.join(LONG)
    assert not server.alive
    server.close()
    with serve(empty, "127.0.0.1", server.port, stop=threading.Event()) as again:
        assert again.alive


def test_a_request_under_way_is_finished() -> None:
    """An opt-out that is being written when the service stops gets its answer."""
    stop, inside = threading.Event(), threading.Event()
    let_go = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        loops.append(asyncio.get_running_loop())
        inside.set()
        await let_go.wait()
        await empty(scope, receive, send)

    answers: list[int] = []
    with serve(slow, "127.0.0.1", 0, stop=stop) as server:
        url = f"http://127.0.0.1:{server.port}/"
        asker = threading.Thread(
            target=lambda: answers.append(httpx.get(url, trust_env=False, timeout=LONG).status_code)
        )
        asker.start()
        assert inside.wait(LONG)
        stop.set()
        loops[0].call_soon_threadsafe(let_go.set)
        asker.join(LONG)
    assert answers == [204]


def test_it_takes_no_signals() -> None:
    """SIGTERM belongs to the service, which has mail in flight."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with serve(empty, "127.0.0.1", 0, stop=threading.Event()) as server:
        assert server.alive
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def post(parts: WebParts, token: str, receive: Callable[[], Awaitable[dict[str, Any]]]) -> int:
    """Ask the application directly, with a body that a test controls; return the status."""
    statuses: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": f"/u/{token}",
        "raw_path": f"/u/{token}".encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/x-www-form-urlencoded")],
    }
    asyncio.run(create_app(parts)(scope, receive, send))
    return statuses[0]


def test_a_huge_body_is_left_unread(parts: WebParts, reader: Reader) -> None:
    """Of a body without end 64 KB are taken in, and the opt-out counts."""
    bytes_read = 0

    async def receive() -> dict[str, Any]:
        nonlocal bytes_read
        bytes_read += 16_384
        return {"type": "http.request", "body": b"x" * 16_384, "more_body": True}

    assert post(parts, reader.token, receive) == 200
    assert bytes_read == 65_536
    assert reader.state is SubscriberState.UNSUBSCRIBED


def test_a_body_that_breaks_off_counts(parts: WebParts, reader: Reader) -> None:
    """Who goes away in the middle of the request has asked to leave."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    assert post(parts, reader.token, receive) == 200
    assert reader.state is SubscriberState.UNSUBSCRIBED


def test_a_body_that_never_comes_counts(parts: WebParts, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that was announced and does not come is waited for a few seconds, and not longer."""
    monkeypatch.setattr(one_click, "BODY_SECONDS", 0.05)

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    assert post(parts, reader.token, receive) == 200
    assert reader.state is SubscriberState.UNSUBSCRIBED


def test_rubbish_on_the_wire_is_refused_and_survived() -> None:
    """What is no HTTP gets a 400, and the next request is answered."""
    with serve(empty, "127.0.0.1", 0, stop=threading.Event()) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=LONG) as wire:
            wire.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
            assert wire.recv(100).startswith(b"HTTP/1.1 400")
        assert httpx.get(f"http://127.0.0.1:{server.port}/", trust_env=False).status_code == 204


def silent(port: int) -> socket.socket:
    """Connect and say nothing."""
    return socket.create_connection(("127.0.0.1", port), timeout=LONG)


def test_silent_connections_leave_room_for_a_request() -> None:
    """Beyond the limit the connection that waited longest is closed, and a request is answered all the while."""
    with ExitStack() as stack:
        server = stack.enter_context(serve(empty, "127.0.0.1", 0, stop=threading.Event(), incomplete_max=50))
        waiting = [stack.enter_context(silent(server.port)) for _ in range(120)]
        assert httpx.get(f"http://127.0.0.1:{server.port}/", trust_env=False).status_code == 204
        # Closed by the server, and not by its deadline, which is ten seconds.
        waiting[0].settimeout(LONG)
        with suppress(ConnectionResetError):
            assert waiting[0].recv(1) == b""
        waiting[-1].sendall(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
        assert waiting[-1].recv(12) == b"HTTP/1.1 204"


@pytest.mark.parametrize(
    "beginning",
    [b"", b"GET / HTTP/1.1\r\nHost: ", b"POST / HTTP/1.1\r\nContent-Length: 9\r\nHost: a\r\n\r\nhalf"],
)
def test_a_request_that_stays_incomplete_is_closed(beginning: bytes) -> None:
    """Whether nothing was sent, half a head or half a body: after the deadline the connection is closed."""

    async def read_all(_scope: Scope, receive: Receive, _send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    with (
        serve(read_all, "127.0.0.1", 0, stop=threading.Event(), request_seconds=0.1) as server,
        silent(server.port) as connection,
        suppress(ConnectionResetError),
    ):
        connection.sendall(beginning)
        assert connection.recv(1) == b""


def test_a_slow_answer_is_not_closed() -> None:
    """The deadline is one for the request: a complete one is answered, though one that came later was closed."""
    ready = threading.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.to_thread(ready.wait, LONG)
        await empty(scope, receive, send)

    with (
        serve(slow, "127.0.0.1", 0, stop=threading.Event(), request_seconds=0.1) as server,
        silent(server.port) as complete,
        silent(server.port) as incomplete,
    ):
        complete.sendall(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
        with suppress(ConnectionResetError):
            assert incomplete.recv(1) == b""
        ready.set()
        assert complete.recv(12) == b"HTTP/1.1 204"


@pytest.mark.parametrize("area", [Area.PUBLIC, Area.WEBHOOK, Area.SERVICE])
def test_an_opt_out_has_places_of_its_own(unit: Unit, clock: FixedClock, templates: Environment, area: Area) -> None:
    """While another area holds all its places at the database, and many wait, an opt-out is answered at once."""
    places = AREA_PLACES[area]
    assert places.waiting is not None
    requests = places.transactions + places.waiting + 3

    async def crowd() -> tuple[str, int]:
        site, release = Site(WebParts(unit=unit, clock=clock, templates=templates)), threading.Event()
        refused = 0

        async def other() -> None:
            nonlocal refused
            try:
                await site.ask(lambda: release.wait(LONG), about="a page", area=area)
            except Busy:
                refused += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(requests):
                group.create_task(other())
            answer = await site.ask(lambda: "left", about="opt-out", area=Area.OPT_OUT)
            release.set()
        return answer, refused

    assert asyncio.run(crowd()) == ("left", 3)


def test_the_areas_fit_into_the_connections_of_the_database() -> None:
    """All areas together take at most half of the connections, the rest belongs to the sender of the process."""
    held = sum(places.transactions for places in AREA_PLACES.values())
    assert 2 * held <= IDLE_CONNECTIONS_MAX + OVERFLOW_CONNECTIONS_MAX + 1
