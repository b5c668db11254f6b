"""One message ahead: what is written together, how replies are counted, and when nothing is announced."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import pytest

from newsletter.core.reply import Effect, Phase, Reply, judge
from newsletter.transport.base import ConnectFailure, Connection, Envelope, Relay, Security
from newsletter.transport.smtp import connect
from tests.transport.scripted_server import GO_ON, GREETING, OK

EHLO = b"250-relay.example.org\r\n250 PIPELINING\r\n"
GROUP = OK + OK + GO_ON
TAKEN = b"250 2.0.0 Queued\r\n"


class WholeWrites:
    """A server that reads until what it waits for is there, keeps each such piece, and answers with one packet."""

    def __init__(self, *script: tuple[bytes, bytes]) -> None:
        """Take pairs: the end of what to wait for, and what to say then; the greeting and EHLO are its own."""
        self.script = ((b"\r\n", EHLO), *script)
        self.pieces: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        peer, _ = self._listener.accept()
        with peer:
            peer.settimeout(5)
            peer.sendall(GREETING)
            for ending, answer in self.script:
                piece = b""
                while not piece.endswith(ending):
                    data = peer.recv(65536)
                    if not data:
                        self.pieces.append(piece)
                        return
                    piece += data
                self.pieces.append(piece)
                peer.sendall(answer)
            # What is said after the script is kept too, up to the end.
            rest = b""
            try:
                while data := peer.recv(65536):
                    rest += data
            except OSError:
                pass
            self.pieces.append(rest)


OPENED: list[Connection] = []


@pytest.fixture(autouse=True)
def _hang_up() -> Iterator[None]:
    yield
    while OPENED:
        connection = OPENED.pop()
        connection.abort()
        connection.close()


def opened(server: WholeWrites, **changes: object) -> Connection:
    """Connect in clear text."""
    settings = {"security": Security.NONE, "timeout": 2.0, "dot_timeout": 2.0} | changes
    connection = connect(Relay(host="127.0.0.1", port=server.port, **settings), monotonic=lambda: 0.0)  # type: ignore[arg-type]
    assert not isinstance(connection, ConnectFailure), connection
    OPENED.append(connection)
    return connection


def letter(number: int) -> Envelope:
    """Write to one person."""
    content = f"Subject: Tip {number}\r\n\r\nHello\r\n".encode()
    return Envelope(mail_from=f"b+{number}@example.org", rcpt_to=f"reader{number}@example.org", content=content)


def commands(number: int) -> bytes:
    """Return what announces that letter."""
    return (f"MAIL FROM:<b+{number}@example.org>\r\nRCPT TO:<reader{number}@example.org>\r\nDATA\r\n").encode()


ONE, TWO, THREE = letter(1), letter(2), letter(3)
DATA, DOT = b"DATA\r\n", b"\r\n.\r\n"


def test_the_next_envelope_rides_with_the_content() -> None:
    """One write carries content, dot, MAIL, RCPT and DATA; one round trip a message."""
    with WholeWrites((DATA, GROUP), (DATA, TAKEN + GROUP), (DATA, TAKEN + GROUP), (DOT, TAKEN)) as server:
        connection = opened(server)
        for envelope, following in ((ONE, TWO), (TWO, THREE), (THREE, None)):
            assert connection.hand_over(envelope, following=following) is None
            assert connection.answer().code == 250
        connection.abort()
    assert server.pieces[1:5] == [
        commands(1),
        ONE.content + b".\r\n" + commands(2),
        TWO.content + b".\r\n" + commands(3),
        THREE.content + b".\r\n",
    ]


def test_before_data_of_the_next_runs_after_the_answer_to_the_last() -> None:
    """A mark is made when content is about to go, not when it is announced."""
    ran: list[str] = []
    with WholeWrites((DATA, GROUP), (DATA, TAKEN + OK + b"550 5.1.1 Unknown\r\n503 5.5.1 No\r\n")) as server:
        connection = opened(server)
        assert connection.hand_over(ONE, following=TWO, before_data=lambda: ran.append("one")) is None
        connection.answer()
        refusal = connection.hand_over(TWO, before_data=lambda: ran.append("two"))
        connection.abort()
    assert refusal is not None
    assert (refusal.phase, refusal.code, ran) == (Phase.RCPT, 550, ["one"])


@pytest.mark.parametrize(
    ("replies", "phase", "code"),
    [
        (b"450 4.1.8 Sender?\r\n503 5.5.1 MAIL first\r\n503 5.5.1 RCPT first\r\n", Phase.MAIL, 450),
        (OK + b"550-5.1.1 No such\r\n550 5.1.1 person\r\n554 5.5.1 No valid recipients\r\n", Phase.RCPT, 550),
        (OK + OK + b"451 4.3.0 Later\r\n", Phase.DATA, 451),
    ],
)
def test_a_refused_announcement_costs_nobody_else_anything(replies: bytes, phase: Phase, code: int) -> None:
    """All replies of its group are read, the RSET rides with the next group, and no content was written."""
    with WholeWrites(
        (DATA, GROUP), (DATA, TAKEN + replies), (DATA, b"250 2.0.0 Reset\r\n" + GROUP), (DOT, TAKEN)
    ) as server:
        connection = opened(server)
        assert connection.hand_over(ONE, following=TWO) is None
        assert connection.answer().code == 250
        refusal = connection.hand_over(TWO, following=THREE)
        assert refusal is not None
        assert (refusal.phase, refusal.code) == (phase, code)
        assert not connection.needs_recycling
        assert connection.hand_over(THREE) is None
        assert connection.answer().code == 250
        connection.abort()
    assert server.pieces[3] == b"RSET\r\n" + commands(3)
    assert not any(b"Tip 2" in piece for piece in server.pieces)


def test_content_is_asked_for_after_a_refused_recipient() -> None:
    """The answer is a lone dot, and what the server says to it is no outcome of anybody's (RFC 2920 §3.1)."""
    with WholeWrites(
        (DATA, OK + b"550 5.1.1 Unknown\r\n" + GO_ON),
        (b".\r\n", b"554 5.5.1 No valid recipients\r\n"),
        (DATA, OK + GROUP),
        (DOT, TAKEN),
    ) as server:
        connection = opened(server)
        refusal = connection.hand_over(ONE)
        assert refusal is not None
        assert (refusal.phase, refusal.code) == (Phase.RCPT, 550)
        assert connection.send(TWO).code == 250
        connection.abort()
    assert server.pieces[2] == b".\r\n"


@pytest.mark.parametrize(
    ("replies", "phase"),
    [
        (b"354 What?\r\n" + OK + GO_ON, Phase.MAIL),
        (OK + b"354 What?\r\n" + GO_ON, Phase.RCPT),
        (OK + OK + OK, Phase.DATA),
    ],
)
def test_a_server_out_of_step_gets_no_content(replies: bytes, phase: Phase) -> None:
    """What its next reply would answer is anybody's guess, so the session ends there."""
    with WholeWrites((DATA, replies)) as server:
        connection = opened(server)
        refusal = connection.hand_over(ONE)
        assert refusal is not None
        assert (refusal.phase, connection.needs_recycling) == (phase, True)
    assert server.pieces[2:] == [b""]


def test_an_answer_to_the_dot_that_is_none_leaves_the_outcome_unknown() -> None:
    """A second 354 says nothing about the message: it may have been taken."""
    with WholeWrites((DATA, GROUP), (DATA, GO_ON + GROUP)) as server:
        connection = opened(server)
        assert connection.hand_over(ONE, following=TWO) is None
        reply = connection.answer()
        assert (reply.code, reply.may_be_delivered, connection.needs_recycling) == (354, True, True)
    assert judge(reply).effect is Effect.UNKNOWN


def test_an_empty_mail_is_never_sent_to_somebody_whom_the_server_took() -> None:
    """It refused the sender, took the recipient and asks for content: even a lone dot might be delivered."""
    with WholeWrites((DATA, b"550 5.1.8 Sender?\r\n" + OK + GO_ON)) as server:
        connection = opened(server)
        refusal = connection.hand_over(ONE)
        assert refusal is not None
        assert (refusal.phase, refusal.code, connection.needs_recycling) == (Phase.MAIL, 550, True)
    assert server.pieces[2:] == [b""]


@pytest.mark.parametrize("answer", [b"421 4.3.2 Shutting down\r\n", TAKEN + b"421 4.3.2 Shutting down\r\n"])
def test_421_leaves_what_was_announced_unsent(answer: bytes) -> None:
    """To the dot it decides about that message; to the announcement about no content at all."""
    with WholeWrites((DATA, GROUP), (DATA, answer)) as server:
        connection = opened(server)
        assert connection.hand_over(ONE, following=TWO) is None
        first = connection.answer()
        second = connection.hand_over(TWO)
        assert second is not None
        assert connection.needs_recycling
    assert first.code == int(answer[:3])
    assert not second.may_be_delivered
    assert judge(second).effect in {Effect.REQUEUE, Effect.DEFER}
    assert not any(b"Tip 2" in piece for piece in server.pieces)


def test_a_loss_leaves_one_in_doubt_and_the_announced_one_for_another_connection() -> None:
    """Only the message whose dot went out may have arrived."""
    with WholeWrites((DATA, GROUP), (DATA, b"")) as server, WholeWrites((DATA, GROUP), (DOT, TAKEN)) as other:
        connection = opened(server, dot_timeout=0.2)
        assert connection.hand_over(ONE, following=TWO) is None
        assert connection.answer().may_be_delivered
        assert connection.hand_over(TWO) == Reply(phase=Phase.MAIL, text="the connection is closed")
        elsewhere = opened(other)
        assert elsewhere.hand_over(TWO) is None
        assert elsewhere.answer().code == 250
        elsewhere.abort()


def test_another_message_than_the_announced_one_ends_the_session() -> None:
    """The server waits for the content of one person: nobody else's may be written there."""
    with WholeWrites((DATA, GROUP), (DATA, TAKEN + GROUP)) as server:
        connection = opened(server)
        assert connection.hand_over(ONE, following=TWO) is None
        connection.answer()
        assert connection.hand_over(THREE) == Reply(phase=Phase.MAIL, text="the connection is closed")
    assert server.pieces[3:] == [b""]


def test_close_says_no_word_into_an_announced_transaction() -> None:
    """QUIT would be content there; hanging up is understood."""
    with WholeWrites((DATA, GROUP), (DATA, TAKEN + GROUP)) as server:
        connection = opened(server)
        assert connection.hand_over(ONE, following=TWO) is None
        connection.answer()
        connection.close()
    assert server.pieces[3:] == [b""]


def test_the_last_message_of_a_connection_announces_nobody() -> None:
    """The count includes what was announced, and what was announced still goes this way."""
    with WholeWrites((DATA, GROUP), (DATA, TAKEN + GROUP), (DOT, TAKEN)) as server:
        connection = opened(server, max_messages=2)
        assert connection.hand_over(ONE, following=TWO) is None
        connection.answer()
        assert not connection.needs_recycling
        assert connection.hand_over(TWO, following=THREE) is None
        connection.answer()
        assert connection.needs_recycling
        connection.abort()
    assert server.pieces[3] == TWO.content + b".\r\n"


def test_a_message_that_may_not_be_sent_is_not_announced() -> None:
    """It is refused when its turn comes, without the server's help."""
    unfit = Envelope(mail_from="b+9@example.org", rcpt_to="rea der@example.org", content=b"a\r\n")
    with WholeWrites((DATA, GROUP), (DOT, TAKEN)) as server:
        connection = opened(server)
        assert connection.hand_over(ONE, following=unfit) is None
        connection.answer()
        refusal = connection.hand_over(unfit)
        connection.abort()
    assert refusal is not None
    assert judge(refusal).rule == "own:5.1.3"


def test_an_answer_is_asked_for_once() -> None:
    """Calling out of turn is a bug of the caller, not an outcome."""
    with WholeWrites((DATA, GROUP), (DOT, TAKEN)) as server:
        connection = opened(server)
        with pytest.raises(RuntimeError, match="nothing was handed over"):
            connection.answer()
        assert connection.hand_over(ONE) is None
        with pytest.raises(RuntimeError, match="was not asked for"):
            connection.hand_over(TWO)
        assert connection.answer().code == 250
        connection.abort()


def test_a_group_is_written_only_where_it_is_offered() -> None:
    """Lock-step otherwise: whoever was told nothing of PIPELINING hangs up on it."""
    with WholeWrites((b"\r\n", OK), (b"\r\n", OK), (b"\r\n", GO_ON), (DOT, TAKEN)) as server:
        server.script = ((b"\r\n", b"250 relay.example.org\r\n"), *server.script[1:])
        connection = opened(server)
        assert connection.hand_over(ONE, following=TWO) is None
        assert connection.answer().code == 250
        connection.abort()
    assert [re.sub(rb"\r\n\Z", b"", piece) for piece in server.pieces[1:4]] == commands(1).split(b"\r\n")[:3]
    assert server.pieces[4] == ONE.content + b".\r\n"
