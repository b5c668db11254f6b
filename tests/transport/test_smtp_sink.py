"""Postfix's own test server with each of its ways to misbehave, at each step: reject, hang up, 421, be slow."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from newsletter.core.reply import Phase, Reply
from newsletter.transport.base import ConnectFailure, Connection, Envelope, Relay, Security
from newsletter.transport.smtp import connect

PROGRAM = shutil.which("smtp-sink") or shutil.which("smtp-sink", path="/usr/sbin")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="smtp-sink is not installed (Debian package postfix)")

PATIENCE = 5.0
SHORT = 0.2
"""Time-outs where the server is to be too slow: it answers after a whole second."""

AHEAD, IN_STEP = (), ("-p",)
OPENING = {"CONNECT": Phase.CONNECT, "EHLO": Phase.EHLO}
MESSAGE = {"MAIL": Phase.MAIL, "RCPT": Phase.RCPT, "DATA": Phase.DATA, ".": Phase.DOT}
ORDER = (Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.DOT)
FLAGS = {"-f": 500, "-r": 450, "-q": 0, "-Q": 421}
"""Each flag, and the code of what it makes the server say."""


@contextmanager
def sink(*flags: str, home: Path) -> Iterator[int]:
    """Run the server, which keeps each message as a file in `home`, and return its port."""
    assert PROGRAM is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    user = ("-u", "nobody") if os.geteuid() == 0 else ()
    if user:
        home.chmod(0o777)
    command = [PROGRAM, *user, *flags, "-d", "mail.", f"127.0.0.1:{port}", "100"]
    process = subprocess.Popen(command, cwd=home, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int) -> None:
    """Connect without a word until somebody listens."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise AssertionError("smtp-sink does not start")


@pytest.fixture
def home() -> Iterator[Path]:
    """Return a folder that also the user of the server may write to."""
    # Not pytest's own, which are closed to others.
    with TemporaryDirectory() as folder:
        yield Path(folder)


def dial(port: int, **changes: object) -> Connection | ConnectFailure:
    """Connect in clear text."""
    settings = {"security": Security.NONE, "timeout": PATIENCE, "dot_timeout": PATIENCE} | changes
    relay = Relay(host="127.0.0.1", port=port, **settings)  # type: ignore[arg-type]
    return connect(relay, monotonic=time.monotonic)


def letter(number: int) -> Envelope:
    """Write to one person."""
    content = f"Subject: Tip {number}\r\n\r\nHello\r\n".encode()
    return Envelope(mail_from="b+1@example.org", rcpt_to=f"reader{number}@example.org", content=content)


def send_two(connection: Connection) -> list[Reply]:
    """Send two messages, the second announced with the first, over this connection only."""
    envelope, two = letter(1), letter(2)
    replies = [connection.hand_over(envelope, following=two) or connection.answer()]
    if not connection.needs_recycling:
        replies.append(connection.hand_over(two) or connection.answer())
    connection.close()
    return replies


def kept(home: Path) -> int:
    """Return how many messages the server kept."""
    return sum(b"Hello" in path.read_bytes() for path in home.iterdir())


@pytest.mark.parametrize("step", OPENING)
@pytest.mark.parametrize("flag", FLAGS)
def test_a_session_that_does_not_open(home: Path, flag: str, step: str) -> None:
    """Each misbehaviour at the greeting and at EHLO is a value that names the step and the server's words."""
    with sink(flag, step, home=home) as port:
        failure = dial(port)
    assert isinstance(failure, ConnectFailure)
    assert (failure.reply.phase, failure.reply.code) == (OPENING[step], FLAGS[flag])


@pytest.mark.parametrize("step", OPENING)
def test_a_session_that_opens_too_slowly(home: Path, step: str) -> None:
    """The time-out ends it."""
    with sink("-W", f"{step}:1", home=home) as port:
        failure = dial(port, timeout=SHORT)
    assert isinstance(failure, ConnectFailure)
    assert (failure.reply.phase, failure.reply.code) == (OPENING[step], 0)


@pytest.mark.parametrize("flag", FLAGS)
def test_helo_is_never_sent(home: Path, flag: str) -> None:
    """A server that only dislikes HELO gets its mail."""
    with sink(flag, "HELO", home=home) as port:
        connection = dial(port)
        assert not isinstance(connection, ConnectFailure)
        assert [reply.code for reply in send_two(connection)] == [250, 250]
    assert kept(home) == 2


@pytest.mark.parametrize("step", MESSAGE)
@pytest.mark.parametrize("flag", ["-f", "-r"])
def test_a_refusal_is_reported_and_the_next_is_tried(home: Path, flag: str, step: str) -> None:
    """Both messages get the refusal of that step over the same connection, and none of them is kept."""
    with sink(flag, step, home=home) as port:
        connection = dial(port)
        assert not isinstance(connection, ConnectFailure)
        replies = send_two(connection)
    assert [(reply.phase, reply.code) for reply in replies] == [(MESSAGE[step], FLAGS[flag])] * 2
    assert not any(reply.may_be_delivered for reply in replies)


@pytest.mark.parametrize("way", [AHEAD, IN_STEP], ids=["ahead", "in step"])
@pytest.mark.parametrize("step", MESSAGE)
def test_a_server_that_hangs_up(home: Path, step: str, way: tuple[str, ...]) -> None:
    """Only behind the dot the outcome is unknown; the announced message was not sent."""
    with sink(*way, "-q", step, home=home) as port:
        connection = dial(port)
        assert not isinstance(connection, ConnectFailure)
        (reply,) = send_two(connection)
    # Replies that the server still held when it hung up are lost with it.
    assert ORDER.index(reply.phase) <= ORDER.index(MESSAGE[step])
    assert (reply.code, reply.may_be_delivered) == (0, step == ".")
    if way is IN_STEP:
        assert reply.phase is MESSAGE[step]


@pytest.mark.parametrize("way", [AHEAD, IN_STEP], ids=["ahead", "in step"])
@pytest.mark.parametrize("step", MESSAGE)
def test_a_server_that_says_421(home: Path, step: str, way: tuple[str, ...]) -> None:
    """It decides about the message it answers, and ends the session."""
    with sink(*way, "-Q", step, home=home) as port:
        connection = dial(port)
        assert not isinstance(connection, ConnectFailure)
        replies = send_two(connection)
    assert [(reply.phase, reply.code) for reply in replies] == [(MESSAGE[step], 421)]


@pytest.mark.parametrize("step", MESSAGE)
def test_a_server_that_is_too_slow(home: Path, step: str) -> None:
    """The session ends with the time-out, so that what comes late answers nobody.

    In step only: while it delays one command of a group, smtp-sink answers the next ones, which RFC 2920 §3.2 forbids.
    """
    with sink("-p", "-W", f"{step}:1", home=home) as port:
        connection = dial(port, timeout=PATIENCE if step == "." else SHORT, dot_timeout=SHORT)
        assert not isinstance(connection, ConnectFailure)
        (reply,) = send_two(connection)
    assert (reply.phase, reply.code, reply.may_be_delivered) == (MESSAGE[step], 0, step == ".")
    assert reply.text == "time-out during read"


def test_a_server_that_breaks_off_in_the_content(home: Path) -> None:
    """With -A it says 550 at once after its 354, and reads no further."""
    large = Envelope(mail_from="b+1@example.org", rcpt_to="r@example.org", content=(b"x" * 78 + b"\r\n") * 200_000)
    with sink("-A", "0", home=home) as port:
        connection = dial(port)
        assert not isinstance(connection, ConnectFailure)
        reply = connection.send(large)
        connection.close()
    # Its words may be lost with the connection; what is certain is that the message did not get there.
    assert reply.code in {0, 550}
    assert not reply.may_be_delivered


@pytest.mark.parametrize("way", [AHEAD, IN_STEP, ("-N",), ("-8",), ("-E",)], ids=" ".join)
def test_a_hundred_messages_arrive(home: Path, way: tuple[str, ...]) -> None:
    """Whatever is offered or not, each is accepted once and kept as it was written."""
    letters = [letter(number) for number in range(100)]
    with sink(*way, home=home) as port:
        connection = dial(port)
        assert not isinstance(connection, ConnectFailure)
        for number, envelope in enumerate(letters):
            following = letters[number + 1] if number < 99 else None
            assert connection.hand_over(envelope, following=following) is None
            assert connection.answer().code == 250
        connection.close()
    texts = b"".join(path.read_bytes() for path in home.iterdir())
    assert all(texts.count(f"Subject: Tip {number}\n".encode()) == 1 for number in range(100))
