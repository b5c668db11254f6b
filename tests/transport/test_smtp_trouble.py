"""What comes back when a server, or the wire, misbehaves: always a value, and always the right one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from newsletter.core.reply import Effect, Phase, RelayAction, Reply, judge
from newsletter.transport.base import DOT_TIMEOUT_SECONDS, ConnectFailure, Connection, Envelope, Relay, Security
from newsletter.transport.smtp import connect
from tests.transport.scripted_server import EHLO, GO_ON, GREETING, MESSAGE, OK, OPENING, Act, ScriptedServer

LETTER = Envelope(mail_from="b+1@example.org", rcpt_to="reader@example.org", content=b"Subject: A tip\r\n\r\nHello\r\n")
LARGE = Envelope(mail_from="b+1@example.org", rcpt_to="reader@example.org", content=b"x" * 78 + b"\r\n")
SHORT = 0.2


def dial(server: ScriptedServer, **changes: object) -> Connection | ConnectFailure:
    """Connect with short time-outs and a clock that stands still."""
    settings = {"security": Security.NONE, "timeout": SHORT, "dot_timeout": SHORT} | changes
    relay = Relay(host="127.0.0.1", port=server.port, **settings)  # type: ignore[arg-type]
    return connect(relay, monotonic=lambda: 0.0)


OPENED: list[Connection] = []


@pytest.fixture(autouse=True)
def _hang_up() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def opened(server: ScriptedServer, **changes: object) -> Connection:
    """Connect where that works."""
    connection = dial(server, **changes)
    assert not isinstance(connection, ConnectFailure), connection
    OPENED.append(connection)
    return connection


def refused(server: ScriptedServer, **changes: object) -> ConnectFailure:
    """Connect where that does not work."""
    failure = dial(server, **changes)
    assert isinstance(failure, ConnectFailure), failure
    return failure


@pytest.mark.parametrize("act", [Act.CLOSE, Act.SILENCE])
@pytest.mark.parametrize(
    ("before", "phase"),
    [((OK,), Phase.RCPT), ((), Phase.MAIL), ((OK, OK), Phase.DATA)],
)
def test_a_loss_before_the_content_was_not_delivered(before: tuple[bytes, ...], phase: Phase, act: Act) -> None:
    """A drop or a silence at MAIL, RCPT or DATA goes back to the queue, over a new connection."""
    with ScriptedServer(*OPENING, *before, act) as server:
        connection = opened(server)
        reply = connection.send(LETTER)
    assert (reply.phase, reply.code, reply.may_be_delivered) == (phase, 0, False)
    assert (judge(reply).effect, judge(reply).relay) == (Effect.REQUEUE, RelayAction.RECONNECT)
    assert connection.needs_recycling


@pytest.mark.parametrize(
    "answer",
    [Act.CLOSE, Act.SILENCE, b"250", b"250 2.0.0 Ok", b"garbage\r\n", b"25\xff ok\r\n", b"250-first\r\n"],
    ids=repr,
)
def test_without_a_readable_reply_to_the_dot_the_outcome_is_unknown(answer: bytes | Act) -> None:
    """The server has the whole message; half a reply proves nothing."""
    with ScriptedServer(*OPENING, OK, OK, GO_ON, answer) as server:
        connection = opened(server)
        reply = connection.send(LETTER)
    assert server.lines[-1] == LETTER.content + b".\r\n"
    assert (reply.phase, reply.code, reply.may_be_delivered) == (Phase.DOT, 0, True)
    assert judge(reply).effect is Effect.UNKNOWN
    assert connection.needs_recycling


@pytest.mark.parametrize("act", [Act.RESET, Act.DEAF])
def test_content_that_could_not_be_written_was_not_delivered(act: Act) -> None:
    """As long as the dot is not with the socket the server cannot have the whole message."""
    large = Envelope(mail_from="b+1@example.org", rcpt_to="reader@example.org", content=LARGE.content * 200_000)
    with ScriptedServer(GREETING, b"250 relay.example.org\r\n", OK, OK, GO_ON, act) as server:
        connection = opened(server)
        reply = connection.send(large)
    assert (reply.phase, reply.code, reply.may_be_delivered) == (Phase.DATA, 0, False)
    assert judge(reply).effect is Effect.REQUEUE
    assert "[Errno" not in reply.text
    assert connection.needs_recycling


def test_a_refusal_in_the_middle_of_the_content_is_read() -> None:
    """A server that says "too large" and stops reading is not asked the same again for ever."""
    large = Envelope(mail_from="b+1@example.org", rcpt_to="reader@example.org", content=LARGE.content * 200_000)
    ehlo, refusal = b"250 relay.example.org\r\n", b"552 5.3.4 Too large\r\n"
    with ScriptedServer(GREETING, ehlo, OK, OK, GO_ON + refusal, Act.DEAF) as server:
        connection = opened(server)
        reply = connection.send(large)
    assert (reply.phase, reply.code, reply.enhanced) == (Phase.DATA, 552, "5.3.4")
    assert judge(reply).effect is Effect.REJECT
    assert connection.needs_recycling


def test_a_session_that_the_server_ended_while_idle_defers_nobody() -> None:
    """The 421 that waits there answers nothing of ours: the message goes back to the queue, over a new connection."""
    with ScriptedServer(*OPENING, OK, OK, GO_ON, OK + b"421 4.4.2 Idle for too long\r\n") as server:
        connection = opened(server)
        assert connection.send(LETTER).code == 250
        reply = connection.send(LETTER)
    assert (reply.phase, reply.code) == (Phase.MAIL, 0)
    assert "421 Idle for too long" in reply.text
    assert judge(reply).effect is Effect.REQUEUE
    assert connection.needs_recycling
    assert server.lines.count(b"DATA\r\n") == 1


@pytest.mark.parametrize("code", [b"250 2.0.0 Ok", b"451 4.3.0 Later", b"554 5.6.0 Never"])
def test_the_reply_to_the_dot_decides_and_the_session_goes_on(code: bytes) -> None:
    """After any ordinary reply to the dot the next message may follow at once, without RSET."""
    with ScriptedServer(*OPENING, OK, OK, GO_ON, code + b"\r\n", *MESSAGE) as server:
        connection = opened(server)
        reply = connection.send(LETTER)
        assert (reply.phase, reply.code) == (Phase.DOT, int(code[:3]))
        assert not connection.needs_recycling
        assert connection.send(LETTER).code == 250
    assert b"RSET\r\n" not in server.lines


@pytest.mark.parametrize(
    ("before", "refusal", "phase"),
    [
        ((), b"450 4.1.8 Sender?\r\n", Phase.MAIL),
        ((OK,), b"550 5.1.1 User unknown\r\n", Phase.RCPT),
        ((OK, OK), b"451 4.3.0 Later\r\n", Phase.DATA),
    ],
)
def test_a_refusal_is_reset_and_the_next_person_gets_the_mail(
    before: tuple[bytes, ...], refusal: bytes, phase: Phase
) -> None:
    """One bad address neither stops nor repeats the rest."""
    with ScriptedServer(*OPENING, *before, refusal, OK, *MESSAGE) as server:
        connection = opened(server)
        reply = connection.send(LETTER)
        assert (reply.phase, reply.code) == (phase, int(refusal[:3]))
        assert not connection.needs_recycling
        assert connection.send(LETTER).code == 250
    assert server.lines.count(b"RSET\r\n") == 1


def test_a_session_that_cannot_be_reset_is_ended() -> None:
    """Without its RSET the server would count the next recipient to the refused transaction."""
    with ScriptedServer(*OPENING, OK, b"550 5.1.1 User unknown\r\n", b"500 What?\r\n") as server:
        connection = opened(server)
        assert connection.send(LETTER).enhanced == "5.1.1"
        assert connection.needs_recycling


@pytest.mark.parametrize("before", [(), (OK,), (OK, OK), (OK, OK, GO_ON)])
def test_421_ends_the_session_at_any_point(before: tuple[bytes, ...]) -> None:
    """It defers this one message, and the relay gets a rest."""
    with ScriptedServer(*OPENING, *before, b"421 4.3.2 Shutting down\r\n") as server:
        connection = opened(server)
        reply = connection.send(LETTER)
        assert (reply.code, connection.needs_recycling) == (421, True)
        assert connection.send(LETTER) == Reply(phase=Phase.MAIL, text="the connection is closed")
    assert b"RSET\r\n" not in server.lines
    assert (judge(reply).effect, judge(reply).relay) == (Effect.DEFER, RelayAction.BACK_OFF)


@pytest.mark.parametrize("before", [(b"354 What?\r\n",), (OK, b"354 What?\r\n"), (OK, OK, b"250 Done\r\n")])
def test_an_answer_that_does_not_fit_ends_the_session_before_any_content(before: tuple[bytes, ...]) -> None:
    """Content goes out only after a 354 to DATA; a session out of step is not used again."""
    with ScriptedServer(*OPENING, *before, OK, OK, OK) as server:
        connection = opened(server)
        reply = connection.send(LETTER)
    assert connection.needs_recycling
    assert not reply.may_be_delivered
    assert judge(reply).effect is Effect.DEFER
    assert not any(b"Subject" in line for line in server.lines)


def test_a_reply_of_several_lines_is_one_reply() -> None:
    """Its enhanced code is taken once, and its text is joined."""
    lines = b"550-5.1.1 The account\r\n550-5.1.1 does not exist.\r\n550 5.1.1 Look again \x1b[31m\r\n"
    with ScriptedServer(*OPENING, OK, lines, OK, *MESSAGE) as server:
        connection = opened(server)
        reply = connection.send(LETTER)
        assert (reply.code, reply.enhanced) == (550, "5.1.1")
        assert reply.text == "The account does not exist. Look again  [31m"
        assert connection.send(LETTER).code == 250


def test_a_reply_without_an_end_is_given_up() -> None:
    """A server cannot keep us reading, or fill our memory, for ever."""
    with ScriptedServer(*OPENING, b"250-and so on\r\n" * 1000) as server:
        reply = opened(server).send(LETTER)
    assert (reply.code, reply.text) == (0, "the reply has no end")


def test_what_we_refuse_ourselves_never_reaches_the_wire() -> None:
    """Malformed addresses, content that is not dot-safe, too large a message, and SMTPUTF8 where it is not offered."""
    cases = {
        ("b+1@example.org\r\nRCPT TO:<x@example.net>", "reader@example.org", b"a\r\n"): "own:5.1.7",
        ("", "reader@example.org", b"a\r\n"): "own:5.1.7",
        ("b+1@example.org", "rea der@example.org", b"a\r\n"): "own:5.1.3",
        ("b+1@example.org", "reader@example.org>", b"a\r\n"): "own:5.1.3",
        ("b+1@example.org", "reader\x00@example.org", b"a\r\n"): "own:5.1.3",
        ("b+1@example.org", "reader\ud800@example.org", b"a\r\n"): "own:5.1.3",
        ("b+1@example.org", "läser@example.org", b"a\r\n"): "own:5.6.7",
        ("b+1@example.org", "reader@example.org", b"no end"): "own:5.6.0",
        ("b+1@example.org", "reader@example.org", b"a\r\n.\r\nMAIL\r\n"): "own:5.6.0",
        ("b+1@example.org", "reader@example.org", b".a\r\n"): "own:5.6.0",
        ("b+1@example.org", "reader@example.org", b"a\r\n" * 40_000): "own:5.3.4",
    }
    with ScriptedServer(*OPENING, *MESSAGE) as server:
        connection = opened(server)
        for (mail_from, rcpt_to, content), rule in cases.items():
            reply = connection.send(Envelope(mail_from=mail_from, rcpt_to=rcpt_to, content=content))
            assert (reply.code, judge(reply).rule) == (0, rule)
        assert len(server.lines) == 1
        assert connection.send(LETTER).code == 250
    assert server.lines[1] == f"MAIL FROM:<b+1@example.org> SIZE={len(LETTER.content)}\r\n".encode()


def test_smtputf8_is_asked_for_only_where_it_is_needed_and_offered() -> None:
    """An address that needs it goes out in UTF-8; an ordinary one does not mention it."""
    ehlo = b"250-relay.example.org\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
    foreign = Envelope(
        mail_from="b+1@example.org",
        rcpt_to="läser@example.org",
        content="Subject: Tipp für dich\r\n\r\nHej\r\n".encode(),
        smtputf8=True,
    )
    with ScriptedServer(GREETING, ehlo, *MESSAGE, *MESSAGE) as server:
        connection = opened(server)
        assert connection.send(foreign).code == 250
        assert connection.send(LETTER).code == 250
    assert server.lines[1] == b"MAIL FROM:<b+1@example.org> BODY=8BITMIME SMTPUTF8\r\n"
    assert server.lines[2] == "RCPT TO:<läser@example.org>\r\n".encode()
    assert server.lines[5] == b"MAIL FROM:<b+1@example.org>\r\n"


def test_the_reply_to_the_dot_has_a_time_out_of_its_own() -> None:
    """By default it is far longer than that of a command, since giving up too soon makes duplicates."""
    started = time.monotonic()
    with ScriptedServer(*OPENING, OK, OK, GO_ON, Act.SILENCE) as server:
        reply = opened(server, timeout=20.0, dot_timeout=SHORT).send(LETTER)
        assert time.monotonic() - started < 10
    assert (reply.text, reply.may_be_delivered) == ("time-out during read", True)
    assert DOT_TIMEOUT_SECONDS >= 600


def test_before_data_runs_once_between_354_and_the_content() -> None:
    """It is where the engine writes down that the message may be going out."""
    seen: list[list[bytes]] = []
    with ScriptedServer(*OPENING, *MESSAGE) as server:
        opened(server).send(LETTER, before_data=lambda: seen.append(list(server.lines)))
    assert [lines[-1] for lines in seen] == [b"DATA\r\n"]


def test_before_data_does_not_run_for_a_refused_message() -> None:
    """Nothing may be marked as going out that was never asked for."""
    ran = []
    with ScriptedServer(*OPENING, OK, b"550 5.1.1 User unknown\r\n", OK) as server:
        opened(server).send(LETTER, before_data=lambda: ran.append(1))
    assert not ran


def test_when_before_data_fails_no_content_is_written() -> None:
    """If the mark cannot be made the message must not go, and the half-open transaction is dropped."""

    def full_disk() -> None:
        raise OSError("no space left")

    with ScriptedServer(*OPENING, *MESSAGE) as server:
        connection = opened(server)
        with pytest.raises(OSError, match="no space left"):
            connection.send(LETTER, before_data=full_disk)
        assert connection.needs_recycling
    assert server.lines[-1] == b"DATA\r\n"


def test_abort_wakes_a_send_that_waits_for_its_reply() -> None:
    """A service that must stop learns at once that this message's outcome is unknown."""
    replies: list[Reply] = []
    with ScriptedServer(*OPENING, OK, OK, GO_ON, Act.SILENCE) as server:
        connection = opened(server, dot_timeout=60.0)
        thread = threading.Thread(target=lambda: replies.append(connection.send(LETTER)))
        thread.start()
        for _ in range(5):
            assert server.heard.acquire(timeout=5)
        connection.abort()
        thread.join(timeout=5)
        assert not thread.is_alive()
    assert [reply.may_be_delivered for reply in replies] == [True]
    connection.close()


def test_a_connection_is_recycled_after_so_many_messages_or_seconds() -> None:
    """Relays limit both, and a balancer behind one name gets its chance."""
    now = [100.0]
    with ScriptedServer(*OPENING, *MESSAGE, *MESSAGE) as server:
        relay = Relay(host="127.0.0.1", port=server.port, security=Security.NONE, max_messages=2, idle_seconds=600)
        connection = connect(relay, monotonic=lambda: now[0])
        assert not isinstance(connection, ConnectFailure)
        connection.send(LETTER)
        assert not connection.needs_recycling
        now[0] = 160.0
        assert connection.needs_recycling
        now[0] = 159.0
        assert not connection.needs_recycling
        connection.send(LETTER)
        assert connection.needs_recycling
        connection.abort()
        connection.close()


def test_close_says_goodbye_once() -> None:
    """A polite end, and a second close that does nothing."""
    with ScriptedServer(*OPENING, b"221 Bye\r\n") as server:
        connection = opened(server)
        connection.close()
        connection.close()
        assert connection.needs_recycling
    assert server.lines[1:] == [b"QUIT\r\n"]


@pytest.mark.parametrize(
    ("script", "phase", "code"),
    [
        ((Act.CLOSE,), Phase.CONNECT, 0),
        ((Act.SILENCE,), Phase.CONNECT, 0),
        ((b"HTTP/1.1 400 Bad Request\r\n",), Phase.CONNECT, 0),
        ((b"\xff\xfe\x00 nonsense\r\n",), Phase.CONNECT, 0),
        ((b"554 No service here\r\n",), Phase.CONNECT, 554),
        ((b"421 4.3.2 Try later\r\n",), Phase.CONNECT, 421),
        ((GREETING, Act.CLOSE), Phase.EHLO, 0),
        ((GREETING, Act.SILENCE), Phase.EHLO, 0),
        ((GREETING, b"garbage\r\n"), Phase.EHLO, 0),
        ((GREETING, b"550 Access denied\r\n"), Phase.EHLO, 550),
    ],
)
def test_a_session_that_does_not_open_is_a_value(script: tuple[bytes | Act, ...], phase: Phase, code: int) -> None:
    """It names the phase, blames no subscriber, and says in one sentence what is wrong."""
    with ScriptedServer(*script) as server:
        failure = refused(server)
    assert (failure.reply.phase, failure.reply.code) == (phase, code)
    assert (judge(failure.reply).effect, judge(failure.reply).relay) == (Effect.REQUEUE, RelayAction.BACK_OFF)
    assert failure.plain.startswith(f"The mail server 127.0.0.1:{server.port} ")
    assert "\n" not in failure.plain


@pytest.mark.parametrize(
    ("answer", "relay", "code"),
    [
        (b"454 4.7.0 TLS not available\r\n", RelayAction.BACK_OFF, 454),
        (b"501 5.5.4 No\r\n", RelayAction.STOP, 501),
        (Act.CLOSE, RelayAction.BACK_OFF, 0),
        (b"220 Go ahead\r\n", RelayAction.BACK_OFF, 0),
    ],
)
def test_starttls_that_fails_never_falls_back_to_clear_text(answer: bytes | Act, relay: RelayAction, code: int) -> None:
    """After a refused or broken STARTTLS nothing more is said on that connection."""
    ehlo = b"250-relay.example.org\r\n250 STARTTLS\r\n"
    with ScriptedServer(GREETING, ehlo, answer, b"250 not TLS\r\n") as server:
        failure = refused(server, security=Security.STARTTLS, username="u", password="p")
    assert (failure.reply.phase, failure.reply.code, judge(failure.reply).relay) == (Phase.STARTTLS, code, relay)
    assert server.lines[1] == b"STARTTLS\r\n"
    assert not any(line.startswith((b"EHLO", b"MAIL", b"AUTH")) for line in server.lines[2:])


def test_starttls_that_is_not_offered_stops_everything() -> None:
    """Somebody in the middle may have taken the offer away: the password and the mail stay here."""
    with ScriptedServer(GREETING, EHLO) as server:
        failure = refused(server, security=Security.STARTTLS, username="u", password="p")
    assert (judge(failure.reply).rule, judge(failure.reply).relay) == ("own:tls", RelayAction.STOP)
    assert "does not offer STARTTLS" in failure.plain
    assert len(server.lines) == 1


@pytest.mark.parametrize(
    ("answer", "relay", "code"),
    [
        (b"454 4.7.0 Temporary authentication failure\r\n", RelayAction.BACK_OFF, 454),
        (b"535 5.7.8 Credentials invalid\r\n", RelayAction.STOP, 535),
        (b"534 5.7.9 Mechanism too weak\r\n", RelayAction.STOP, 534),
        (b"garbage\r\n", RelayAction.BACK_OFF, 0),
        (b"334 !!!not base64\r\n", RelayAction.STOP, 0),
        (Act.CLOSE, RelayAction.BACK_OFF, 0),
        (Act.SILENCE, RelayAction.BACK_OFF, 0),
    ],
)
def test_a_login_that_fails_is_a_value(answer: bytes | Act, relay: RelayAction, code: int) -> None:
    """A refused login stops everything, a passing trouble does not, and the password is never told."""
    ehlo = b"250-relay.example.org\r\n250 AUTH PLAIN\r\n"
    with ScriptedServer(GREETING, ehlo, answer, b"535 5.7.8 No\r\n") as server:
        failure = refused(server, username="postman", password="open-sesame")
    assert (failure.reply.phase, judge(failure.reply).effect) == (Phase.AUTH, Effect.REQUEUE)
    assert (failure.reply.code, judge(failure.reply).relay) == (code, relay)
    assert "open-sesame" not in f"{failure}"


def test_a_refused_password_is_not_tried_again_by_other_means() -> None:
    """Relays lock accounts that repeat a wrong password; only "not this mechanism" leads to the next one."""
    ehlo = b"250-relay.example.org\r\n250 AUTH CRAM-MD5 LOGIN PLAIN\r\n"
    with ScriptedServer(GREETING, ehlo, b"504 5.7.4 Not that one\r\n", b"535 5.7.8 No\r\n", Act.CLOSE) as server:
        failure = refused(server, username="postman", password="open-sesame")
    assert (failure.reply.code, failure.reply.enhanced) == (535, "5.7.8")
    assert [line.split()[:2] for line in server.lines[1:]] == [[b"AUTH", b"CRAM-MD5"], [b"AUTH", b"PLAIN"]]


def test_a_login_where_none_is_offered_stops_everything() -> None:
    """The settings and the relay contradict each other: a person must look."""
    with ScriptedServer(*OPENING) as server:
        failure = refused(server, username="postman", password="open-sesame")
    assert (judge(failure.reply).rule, judge(failure.reply).relay) == ("own:login", RelayAction.STOP)


def test_a_password_that_the_protocol_cannot_carry_is_a_value() -> None:
    """It is named as the settings' fault."""
    with ScriptedServer(GREETING, b"250-relay.example.org\r\n250 AUTH PLAIN\r\n") as server:
        failure = refused(server, username="postman", password="sésame")
    assert judge(failure.reply).relay is RelayAction.STOP
    assert "ASCII" in failure.plain


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("127.0.0.1", None, "nothing listens there"),
        ("relay..example.org", 25, "the host name does not resolve"),
        ("x" * 64 + ".example.org", 25, "the host name does not resolve"),
        ("127.0.0.1", 99_999, "cannot be reached"),
        ("255.255.255.255", 25, "cannot be reached: Network is unreachable."),
    ],
)
@pytest.mark.parametrize("security", list(Security))
def test_a_server_that_is_not_there_is_a_value(host: str, port: int | None, words: str, security: Security) -> None:
    """Nobody at that address: back off, and say so."""
    with ScriptedServer() as gone:
        free = gone.port
    relay = Relay(host=host, port=port or free, security=security, timeout=SHORT)
    failure = connect(relay, monotonic=lambda: 0.0)
    assert isinstance(failure, ConnectFailure)
    assert words in failure.plain
    assert judge(failure.reply).relay is RelayAction.BACK_OFF


def test_a_certificate_file_that_cannot_be_used_is_named_in_words(tmp_path: Path) -> None:
    """What the system says of it is told without the number of its error."""
    file = tmp_path / "ca.pem"
    relay = Relay(host="127.0.0.1", port=25, security=Security.TLS, ca_file=str(file))
    failure = connect(relay, monotonic=lambda: 0.0)
    assert isinstance(failure, ConnectFailure)
    assert failure.plain == f"The certificate file {file} cannot be used: No such file or directory."


def test_the_password_does_not_print() -> None:
    """Settings end up in logs and tracebacks."""
    assert "open-sesame" not in repr(Relay(host="mail.example.org", port=587, password="open-sesame"))
