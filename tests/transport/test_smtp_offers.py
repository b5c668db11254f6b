"""What the EHLO in force offers, and what is made of it: PIPELINING before and after TLS, SIZE, DSN, LIMITS, idling."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from newsletter.core.reply import Effect, Phase, RelayAction, judge
from newsletter.transport.base import ConnectFailure, Connection, Envelope, Relay, Security
from newsletter.transport.smtp import connect
from tests.transport.model_server import ModelServer, Shape

SCOLDINGS = {
    "OpenSMTPD": b"500 5.5.1 Invalid command: Pipelining not supported\r\n",
    "Postfix 3.9": b"554 5.5.0 Error: SMTP protocol synchronization\r\n",
}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Return an authority that only these tests know."""
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return its certificate as a file."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """Return what a server needs to prove that it is this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        """Start somewhere."""
        self.now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def opened(server: ModelServer, *, clock: Clock | None = None, **changes: object) -> Connection:
    """Connect, in clear text unless asked otherwise."""
    settings = {"security": Security.NONE, "timeout": 5.0, "dot_timeout": 5.0} | changes
    relay = Relay(host="127.0.0.1", port=server.port, **settings)  # type: ignore[arg-type]
    connection = connect(relay, monotonic=clock or Clock())
    assert not isinstance(connection, ConnectFailure), connection.plain
    return connection


def letter(number: int, **changes: object) -> Envelope:
    """Write to one person."""
    content = f"Subject: Tip {number}\r\n\r\nHello\r\n".encode()
    values = {"mail_from": f"b+{number}@example.org", "rcpt_to": f"reader{number}@example.org", "content": content}
    return Envelope(**(values | changes))  # type: ignore[arg-type]


def send(connection: Connection, *letters: Envelope) -> list[int]:
    """Send all, each announced with the one before it, and return the codes."""
    codes = []
    for number, envelope in enumerate(letters):
        following = letters[number + 1] if number + 1 < len(letters) else None
        codes.append((connection.hand_over(envelope, following=following) or connection.answer()).code)
    return codes


@pytest.mark.parametrize("scolding", SCOLDINGS.values(), ids=SCOLDINGS)
def test_nobody_sends_ahead_uninvited(scolding: bytes) -> None:
    """A server that hangs up on whoever pipelines gets one command at a time, and takes all the mail."""
    with ModelServer(offer=["SIZE"], scolding=scolding) as server:
        connection = opened(server)
        assert send(connection, letter(1), letter(2), letter(3)) == [250, 250, 250]
        connection.close()
    assert (server.faults, server.most_ahead) == ([], 1)


def test_pipelining_that_is_forgotten_after_tls_is_not_used(tls: ssl.SSLContext, ca_file: Path) -> None:
    """What the clear text offered counts for nothing once TLS is there (RFC 3207 §4.2)."""
    with ModelServer(offer=["PIPELINING"], offer_tls=["SIZE"], tls=tls) as server:
        connection = opened(server, security=Security.STARTTLS, ca_file=str(ca_file))
        assert send(connection, letter(1), letter(2), letter(3)) == [250, 250, 250]
        connection.close()
    assert (server.faults, server.most_ahead) == ([], 1)


@pytest.mark.parametrize("shape", Shape)
def test_pipelining_that_is_offered_only_in_tls_is_used(tls: ssl.SSLContext, ca_file: Path, shape: Shape) -> None:
    """The EHLO in force decides, and TLS cuts its records as it likes."""
    with ModelServer(offer=["SIZE"], offer_tls=["PIPELINING"], tls=tls, shape=shape) as server:
        connection = opened(server, security=Security.STARTTLS, ca_file=str(ca_file))
        assert send(connection, letter(1), letter(2), letter(3)) == [250, 250, 250]
        connection.close()
    assert (server.faults, server.most_ahead) == ([], 3)


def test_a_message_of_many_records_arrives_whole(tls: ssl.SSLContext, ca_file: Path) -> None:
    """Over TLS the content is cut into records, and the next envelope rides in the last one or behind it."""
    sizes = (16_383, 16_384, 16_385, 100_000)
    letters = [letter(number, content=b"x" * (size - 2) + b"\r\n") for number, size in enumerate(sizes)]
    with ModelServer(tls=tls) as server:
        connection = opened(server, security=Security.STARTTLS, ca_file=str(ca_file))
        assert send(connection, *letters) == [250] * 4
        connection.close()
    assert [len(attempt.content or b"") for attempt in server.attempts] == list(sizes)


def test_mailmax_ends_a_connection_in_time() -> None:
    """LIMITS says how many transactions a session may have (RFC 9422): no more are begun, announced ones included."""
    with ModelServer(offer=["PIPELINING", "LIMITS RCPTMAX=1000 mailmax=2"]) as server:
        connection = opened(server)
        assert connection.hand_over(letter(1), following=(two := letter(2))) is None
        connection.answer()
        assert not connection.needs_recycling
        assert connection.hand_over(two, following=letter(3)) is None
        connection.answer()
        assert connection.needs_recycling
        connection.close()
    assert [attempt.number for attempt in server.attempts] == [1, 2]


def test_limits_that_make_no_sense_are_no_limits() -> None:
    """A word without a number, or with an odd one, changes nothing."""
    with ModelServer(offer=["PIPELINING", "LIMITS MAILMAX RCPTDOMAINMAX=many MAILMAX=²"]) as server:
        connection = opened(server)
        assert send(connection, letter(1), letter(2), letter(3)) == [250, 250, 250]
        assert not connection.needs_recycling
        connection.close()


def test_rcptdomainmax_keeps_a_connection_to_its_domains() -> None:
    """One more message to a domain that was named already may follow; one to another goes over a new connection."""
    other = letter(3, rcpt_to="reader3@example.net")
    with ModelServer(offer=["PIPELINING", "LIMITS RCPTDOMAINMAX=1"]) as server:
        connection = opened(server)
        assert connection.hand_over(letter(1), following=(two := letter(2))) is None
        connection.answer()
        assert connection.hand_over(two, following=other) is None
        connection.answer()
        assert connection.needs_recycling
        connection.close()
    assert [attempt.number for attempt in server.attempts] == [1, 2]


def test_the_size_is_declared_and_compared() -> None:
    """A message above the limit is refused here, as a matter of the edition and not of the person."""
    with ModelServer(offer=["PIPELINING", "SIZE 50"]) as server:
        connection = opened(server)
        assert connection.send(letter(1)).code == 250
        refusal = connection.hand_over(letter(2, content=b"x" * 60 + b"\r\n"))
        connection.close()
    assert refusal is not None
    assert (judge(refusal).rule, judge(refusal).relay) == ("own:5.3.4", RelayAction.PAUSE_EDITION)
    assert [line for line in server.commands if line.startswith(b"MAIL")] == [
        f"MAIL FROM:<b+1@example.org> SIZE={len(letter(1).content)}".encode()
    ]


def test_reports_are_asked_for_where_the_server_makes_them() -> None:
    """DSN parameters name the message and the reader, in xtext (RFC 3461), and ask for failures only."""
    envelope = letter(1, rcpt_to="read+er=x@example.org", envelope_id="01J=Z+9 ü")
    with ModelServer(offer=["PIPELINING", "DSN"]) as server:
        connection = opened(server)
        assert send(connection, envelope, letter(2), letter(3, envelope_id="x" * 101)) == [250, 250, 250]
        connection.close()
    assert [line for line in server.commands if line[:4] in {b"MAIL", b"RCPT"}] == [
        b"MAIL FROM:<b+1@example.org> RET=HDRS ENVID=01J+3DZ+2B9+20+C3+BC",
        b"RCPT TO:<read+er=x@example.org> NOTIFY=FAILURE ORCPT=rfc822;read+2Ber+3Dx@example.org",
        b"MAIL FROM:<b+2@example.org>",
        b"RCPT TO:<reader2@example.org>",
        b"MAIL FROM:<b+3@example.org> RET=HDRS",
        b"RCPT TO:<reader3@example.org> NOTIFY=FAILURE ORCPT=rfc822;reader3@example.org",
    ]


def test_nothing_is_asked_of_a_server_that_makes_no_reports() -> None:
    """It would refuse the unknown parameter, and with it the mail."""
    with ModelServer(offer=["PIPELINING"]) as server:
        connection = opened(server)
        assert send(connection, letter(1, envelope_id="01J")) == [250]
        connection.close()
    assert b"MAIL FROM:<b+1@example.org>" in server.commands


def test_an_idle_connection_is_not_used_again() -> None:
    """Some servers hang up after ten seconds, and a message into a dead line is one more in doubt."""
    clock = Clock()
    with ModelServer() as server:
        connection = opened(server, clock=clock)
        assert send(connection, letter(1)) == [250]
        clock.now += 4.9
        assert not connection.needs_recycling
        clock.now += 0.2
        assert connection.needs_recycling
        connection.close()


def test_age_does_not_part_a_connection_from_what_it_announced() -> None:
    """The server waits for that content already; only then the connection is replaced."""
    clock = Clock()
    with ModelServer() as server:
        connection = opened(server, clock=clock)
        two = letter(2)
        assert connection.hand_over(letter(1), following=two) is None
        connection.answer()
        clock.now += 3600
        assert not connection.needs_recycling
        assert send(connection, two) == [250]
        assert connection.needs_recycling
        connection.close()


def test_a_server_that_left_while_we_paused_gets_no_content() -> None:
    """Before content goes out after a pause we look: nothing is in doubt that need not be."""
    clock = Clock()
    ran: list[int] = []
    with ModelServer() as server:
        connection = opened(server, clock=clock)
        two = letter(2)
        assert connection.hand_over(letter(1), following=two) is None
        assert connection.answer().code == 250
        clock.now += 2
        server.hang_up()
        reply = connection.hand_over(two, before_data=lambda: ran.append(2))
    assert reply is not None
    assert (reply.phase, reply.code, reply.may_be_delivered, ran) == (Phase.MAIL, 0, False, [])
    assert judge(reply).effect is Effect.REQUEUE
    assert connection.needs_recycling
