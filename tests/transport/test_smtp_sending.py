"""Messages over a real connection to the catcher."""

from __future__ import annotations

import time

from newsletter.core.reply import Effect, Phase, judge
from newsletter.testing.catcher import DROP, Catcher, Step
from newsletter.transport.base import ConnectFailure, Connection, Envelope, Relay, Security
from newsletter.transport.smtp import connect

CONTENT = b"Subject: A tip\r\n\r\nName your branches.\r\n"


def open_connection(catcher: Catcher, **settings: object) -> Connection:
    """Connect in clear text over loopback."""
    relay = Relay(host=catcher.host, port=catcher.port, security=Security.NONE, **settings)  # type: ignore[arg-type]
    connection = connect(relay, monotonic=time.monotonic)
    assert not isinstance(connection, ConnectFailure), connection.plain
    return connection


def envelope(rcpt_to: str = "reader@example.org", **changes: object) -> Envelope:
    """Write to one person."""
    values = {"mail_from": "b+1@example.org", "rcpt_to": rcpt_to, "content": CONTENT} | changes
    return Envelope(**values)  # type: ignore[arg-type]


def test_a_message_arrives_byte_for_byte() -> None:
    """What the server keeps is exactly what was handed over, and its 250 is the reply that decides."""
    with Catcher() as catcher:
        connection = open_connection(catcher)
        reply = connection.send(envelope())
        connection.close()
    assert (reply.phase, reply.code, reply.enhanced) == (Phase.DOT, 250, "2.0.0")
    assert judge(reply).effect is Effect.ACCEPT
    (caught,) = catcher.caught
    assert (caught.mail_from, caught.rcpt_to, caught.content, caught.accepted) == (
        "b+1@example.org",
        "reader@example.org",
        CONTENT,
        True,
    )


def test_a_drop_after_the_final_dot_is_the_unknown_outcome() -> None:
    """The server has the message and we have no reply: nobody may call it sent or not sent."""
    with Catcher(script=lambda step, _address, _nth: DROP if step is Step.DOT else None) as catcher:
        connection = open_connection(catcher)
        reply = connection.send(envelope())
        assert (reply.phase, reply.code, reply.may_be_delivered) == (Phase.DOT, 0, True)
        assert connection.needs_recycling
    assert judge(reply).effect is Effect.UNKNOWN
    assert catcher.accepted == {"reader@example.org": 1}
