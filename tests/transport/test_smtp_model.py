"""Whatever a server says, in whatever pieces: each message gets its own reply, and nothing is written unasked."""

from __future__ import annotations

import time
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.reply import Phase, Reply
from newsletter.transport.base import ConnectFailure, Connection, Envelope, Relay, Security
from newsletter.transport.smtp import connect
from tests.transport.model_server import CLOSE, HANG, Attempt, ModelServer, Shape, Turn

PATIENCE = 0.3
"""Seconds until a reply counts as missing; a busy machine may be slower, which is one more kind of trouble."""


def often(usual: int, *others: int) -> st.SearchStrategy[int]:
    """Say the usual in half of the cases."""
    return st.one_of(st.just(usual), st.sampled_from((usual, *others)))


TURNS = st.builds(
    Turn,
    mail=often(250, 450, 552, 421, CLOSE),
    rcpt=often(250, 251, 450, 550, 421, CLOSE),
    data=often(354, 451, 554, 421, CLOSE),
    dot=often(250, 452, 554, 421, CLOSE, 354),
    insists=st.booleans(),
    lines=st.integers(1, 3),
)
SILENCE = st.builds(Turn, mail=often(250, HANG), rcpt=often(250, HANG), data=often(354, HANG), dot=often(250, HANG))
SHAPES = st.sampled_from(Shape)
OFFERS = st.sampled_from([("PIPELINING",), ("SIZE",)])


def letter(number: int) -> Envelope:
    """Write to one person."""
    content = f"Subject: Tip {number}\r\n\r\nHello {number}\r\n".encode()
    return Envelope(mail_from=f"b+{number}@example.org", rcpt_to=f"reader{number}@example.org", content=content)


def deliver(server: ModelServer, letters: list[Envelope], ahead: list[bool], most: int) -> Iterator[tuple[int, Reply]]:
    """Send all, announcing the next where `ahead` says so, and yield what came of each."""
    relay = Relay(
        host="127.0.0.1",
        port=server.port,
        security=Security.NONE,
        timeout=PATIENCE,
        dot_timeout=PATIENCE,
        max_messages=most,
    )
    connection: Connection | None = None
    for number, envelope in enumerate(letters):
        if connection is None or connection.needs_recycling:
            if connection is not None:
                connection.close()
            opened = connect(relay, monotonic=time.monotonic)
            while isinstance(opened, ConnectFailure):
                opened = connect(relay, monotonic=time.monotonic)
            connection = opened
        following = letters[number + 1] if number + 1 < len(letters) and ahead[number] else None
        reply = connection.hand_over(envelope, following=following)
        yield number, reply or connection.answer()
    if connection is not None:
        connection.close()


def check(server: ModelServer, outcomes: dict[int, Reply]) -> None:
    """Compare what each sender was told with what the server did."""
    assert server.faults == []
    last: dict[int, Attempt] = {attempt.number: attempt for attempt in server.attempts}
    for attempt in server.attempts:
        if attempt.content is not None:
            assert attempt.content == letter(attempt.number).content
            assert attempt.to == letter(attempt.number).rcpt_to
            assert attempt.reply_codes[:3] != []
    whole = [attempt.number for attempt in server.attempts if attempt.content is not None]
    assert len(whole) == len(set(whole)), "somebody's content was written twice"
    for number, reply in outcomes.items():
        if reply.may_be_delivered:
            assert reply.phase is Phase.DOT
            assert reply.code // 100 not in {2, 4, 5}
        elif reply.code:
            assert reply.phase is not Phase.DOT or reply.code // 100 in {2, 4, 5}
            assert last[number].decided in reply.text.split()
        else:
            assert number not in whole
    answered = {number for number, reply in outcomes.items() if reply.phase is Phase.DOT}
    assert set(whole) <= answered, "a message that arrived was called unsent"


@given(
    turns=st.lists(TURNS, min_size=1, max_size=8),
    ahead=st.lists(st.booleans(), min_size=8, max_size=8),
    shape=SHAPES,
    offer=OFFERS,
    most=st.integers(1, 5),
)
def test_each_message_gets_exactly_its_own_reply(
    turns: list[Turn], ahead: list[bool], shape: Shape, offer: tuple[str, ...], most: int
) -> None:
    """Random replies, ends and packets; in step and ahead; no reply is lost, doubled or given to another."""
    with ModelServer(dict(enumerate(turns)), shape=shape, offer=offer) as server:
        outcomes = dict(deliver(server, [letter(number) for number in range(len(turns))], ahead, most))
    assert len(outcomes) == len(turns)
    check(server, outcomes)


@given(turns=st.lists(SILENCE, min_size=2, max_size=4), offer=OFFERS)
def test_silence_costs_only_whom_it_meets(turns: list[Turn], offer: tuple[str, ...]) -> None:
    """After a time-out the session ends; those who were only announced get their mail over the next one."""
    with ModelServer(dict(enumerate(turns)), offer=offer) as server:
        outcomes = dict(deliver(server, [letter(number) for number in range(len(turns))], [True] * 4, 100))
    check(server, outcomes)


def test_the_model_server_takes_ordinary_mail() -> None:
    """The judge itself: all is accepted, several commands come at a time, and nobody is at fault."""
    with ModelServer() as server:
        outcomes = dict(deliver(server, [letter(number) for number in range(5)], [True] * 5, 100))
    check(server, outcomes)
    assert [reply.code for reply in outcomes.values()] == [250] * 5
    assert server.most_ahead == 3
    assert len(server.attempts) == 5
