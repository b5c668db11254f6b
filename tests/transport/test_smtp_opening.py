"""Opening a session is bounded: in lines, in bytes, in time, and by a stop."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from newsletter.core.reply import Effect, Phase, judge
from newsletter.transport import session
from newsletter.transport.base import ConnectFailure, Relay, Security
from newsletter.transport.session import REPLY_LINE_BYTES_MAX, REPLY_LINES_MAX, Opening
from newsletter.transport.smtp import connect
from tests.transport.scripted_server import GREETING, ScriptedServer

TIMEOUT_SECONDS = 0.5
DRIP_SECONDS = 0.02
CRAM = b"250-relay.example.org\r\n250 AUTH CRAM-MD5 PLAIN LOGIN\r\n"
CHALLENGE = b"334 PDFAcmVsYXk+\r\n"
NO = b"535 5.7.8 Authentication failed\r\n"
YES = b"235 2.7.0 Accepted\r\n"


def relay_at(port: int, **settings: object) -> Relay:
    """Return a relay on this machine."""
    values = {"security": Security.NONE, "timeout": TIMEOUT_SECONDS} | settings
    return Relay(host="127.0.0.1", port=port, **values)  # type: ignore[arg-type]


def dial(port: int, *, opening: Opening | None = None, **settings: object) -> object:
    """Open a session."""
    return connect(relay_at(port, **settings), monotonic=lambda: 0.0, opening=opening)


@contextmanager
def endless(greeting: bytes, chunk: bytes, *, pause_seconds: float = 0.0) -> Iterator[tuple[int, Callable[[], int]]]:
    """Serve one connection that gets a greeting and then the same bytes for ever; return the port and a counter."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()
    sent = [0]

    def serve() -> None:
        with contextlib.suppress(OSError):
            peer, _ = listener.accept()
            with peer:
                peer.sendall(greeting)
                while not over.wait(pause_seconds):
                    peer.sendall(chunk)
                    sent[0] += len(chunk)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], lambda: sent[0]
    finally:
        over.set()
        listener.close()
        thread.join()


LINE = b"250-X-OFFER and so on\r\n"


@pytest.mark.parametrize("chunk", [LINE * 100, b"x" * 65536], ids=["lines without end", "a line without end"])
@pytest.mark.parametrize("greeting", [b"", GREETING], ids=["greeting", "EHLO"])
def test_a_reply_without_end_is_given_up(greeting: bytes, chunk: bytes) -> None:
    """Little is read before the connection is closed; what a server offers cannot fill the memory."""
    with endless(greeting, chunk.replace(b"250-", b"220-") if not greeting else chunk) as (port, sent):
        failure = dial(port, timeout=10.0)
    assert isinstance(failure, ConnectFailure)
    assert failure.reply.phase is (Phase.EHLO if greeting else Phase.CONNECT)
    assert judge(failure.reply).effect is Effect.REQUEUE
    assert any(words in failure.reply.text for words in ("no end", "too long"))
    # What the buffers of two sockets hold, and what was read.
    assert sent() < REPLY_LINES_MAX * REPLY_LINE_BYTES_MAX + 16_000_000


@pytest.mark.parametrize("greeting", [b"220-", GREETING + b"250-"], ids=["greeting", "EHLO"])
def test_a_reply_that_drips_has_one_deadline(greeting: bytes) -> None:
    """Every byte comes in time, the reply never: one deadline holds for the whole opening."""
    with endless(greeting, b"x", pause_seconds=DRIP_SECONDS) as (port, sent):
        failure = dial(port)
    assert isinstance(failure, ConnectFailure)
    assert sent() <= TIMEOUT_SECONDS / DRIP_SECONDS + 1
    assert "timed out" in failure.reply.text


def test_a_stop_closes_a_session_that_is_being_opened() -> None:
    """A greeting that drips for a minute delays no stop."""
    opening = Opening()
    results: list[object] = []
    with endless(b"220-", b"x", pause_seconds=DRIP_SECONDS) as (port, sent):
        thread = threading.Thread(target=lambda: results.append(dial(port, opening=opening, timeout=60.0)))
        thread.start()
        while not sent():
            pass
        opening.abort()
        thread.join(10.0)
        assert not thread.is_alive()
    assert isinstance(results[0], ConnectFailure)


def test_plain_follows_a_refused_cram_md5_on_this_machine() -> None:
    """A server that cannot check CRAM-MD5 offers it all the same; PLAIN is tried once."""
    with ScriptedServer(GREETING, CRAM, CHALLENGE, NO, YES, b"221 Bye\r\n") as server:
        connection = dial(server.port, username="postman", password="open-sesame")
        assert not isinstance(connection, ConnectFailure)
        connection.close()  # type: ignore[attr-defined]
    assert [line.split()[:2] for line in server.lines[1::2]][:2] == [[b"AUTH", b"CRAM-MD5"], [b"AUTH", b"PLAIN"]]


def test_a_wrong_password_is_tried_twice_at_most() -> None:
    """After CRAM-MD5 and PLAIN there is no LOGIN: relays lock accounts that repeat a wrong password."""
    with ScriptedServer(GREETING, CRAM, CHALLENGE, NO, NO, NO) as server:
        failure = dial(server.port, username="postman", password="open-sesame")
    assert isinstance(failure, ConnectFailure)
    assert failure.reply.code == 535
    assert sum(line.startswith(b"AUTH") for line in server.lines) == 2


def test_a_password_never_goes_in_clear_text_to_another_machine() -> None:
    """PLAIN after CRAM-MD5 needs TLS or a server on this machine."""
    with socket.socket() as unconnected:
        assert not session.is_private(unconnected)


def test_a_python_without_md5_logs_in_with_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python built for FIPS refuses MD5: CRAM-MD5 is left out, and nothing fails for it."""

    def refuse(*_: object, **__: object) -> None:
        raise ValueError("unsupported hash type md5")

    monkeypatch.setattr("newsletter.transport.session.hmac.new", refuse)
    with ScriptedServer(GREETING, CRAM, YES, b"221 Bye\r\n") as server:
        connection = dial(server.port, username="postman", password="open-sesame")
        assert not isinstance(connection, ConnectFailure)
        connection.close()  # type: ignore[attr-defined]
    assert server.lines[1].startswith(b"AUTH PLAIN")
