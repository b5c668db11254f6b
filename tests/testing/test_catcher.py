"""The catcher: what it logs is exactly what it took, whatever its script makes it do."""

from __future__ import annotations

import email
import threading
import time
from pathlib import Path

import pytest

from newsletter.core.reply import Effect, Phase, judge
from newsletter.testing.catcher import DROP, HANG, Catcher, Keep, Script, Step
from newsletter.transport.base import ConnectFailure, Connection, Envelope, Relay, Security
from newsletter.transport.smtp import connect

CONTENT = b"Subject: A tip\r\n\r\nName your branches.\r\n"


def dial(catcher: Catcher, timeout: float = 5.0) -> Connection:
    """Connect in clear text over loopback."""
    relay = Relay(host=catcher.host, port=catcher.port, security=Security.NONE, timeout=timeout, dot_timeout=timeout)
    connection = connect(relay, monotonic=time.monotonic)
    assert not isinstance(connection, ConnectFailure), connection.plain
    return connection


def letter(rcpt_to: str = "reader@example.org", content: bytes = CONTENT) -> Envelope:
    """Write to one person."""
    return Envelope(mail_from="b+1@example.org", rcpt_to=rcpt_to, content=content)


def always(step: Step, act: str) -> Script:
    """Do one thing at one step, each time."""
    return lambda at, _address, _nth: act if at is step else None


def test_messages_arrive_in_order_and_byte_for_byte() -> None:
    """Sender, recipient and every byte are as handed over."""
    with Catcher() as catcher:
        connection = dial(catcher)
        for number in range(3):
            reply = connection.send(letter(f"reader{number}@example.org"))
            assert (reply.code, reply.text) == (250, f"Ok: queued as {number + 1:06d}")
        connection.close()
    assert [caught.rcpt_to for caught in catcher.caught] == [f"reader{number}@example.org" for number in range(3)]
    assert {(caught.mail_from, caught.content, caught.accepted) for caught in catcher.caught} == {
        ("b+1@example.org", CONTENT, True)
    }


@pytest.mark.parametrize(
    ("step", "phase"),
    [(Step.MAIL, Phase.MAIL), (Step.RCPT, Phase.RCPT), (Step.DATA, Phase.DATA), (Step.DOT, Phase.DOT)],
)
@pytest.mark.parametrize("act", ["550 5.1.1 No", "451 4.7.1 Later", "421 4.3.2 Bye"])
def test_a_scripted_refusal_is_not_accepted(step: Step, phase: Phase, act: str) -> None:
    """A refusal after the dot is in the log as received and not accepted; an earlier one left nothing to log."""
    with Catcher(script=always(step, act)) as catcher:
        connection = dial(catcher)
        reply = connection.send(letter())
        connection.close()
    assert (reply.phase, f"{reply.code} {reply.enhanced} {reply.text}") == (phase, act)
    assert not catcher.accepted
    assert [caught.accepted for caught in catcher.caught] == ([False] if step is Step.DOT else [])


@pytest.mark.parametrize("act", [DROP, HANG])
@pytest.mark.parametrize("step", list(Step))
def test_a_drop_or_hang_after_the_dot_counts_as_accepted_and_an_earlier_one_does_not(step: Step, act: str) -> None:
    """The message that nobody heard about is there: the case that makes duplicates elsewhere."""
    with Catcher(script=always(step, act)) as catcher:
        connection = dial(catcher, timeout=0.2 if act == HANG else 5.0)
        reply = connection.send(letter())
        connection.close()
    assert reply.code == 0
    assert reply.may_be_delivered == (step is Step.DOT)
    assert (judge(reply).effect is Effect.UNKNOWN) == (step is Step.DOT)
    assert catcher.accepted == ({"reader@example.org": 1} if step is Step.DOT else {})


def test_the_script_counts_each_step_and_address() -> None:
    """Greylisting in one line: the first try is put off, the second goes through."""

    def greylist(step: Step, _address: str, nth: int) -> str | None:
        return "450 4.7.1 Greylisted" if step is Step.RCPT and nth == 1 else None

    with Catcher(script=greylist) as catcher:
        connection = dial(catcher)
        codes = [connection.send(letter(f"{name}@example.org")).code for name in ("ada", "bo", "ada", "bo")]
        connection.close()
    assert codes == [450, 450, 250, 250]
    assert catcher.accepted == {"ada@example.org": 1, "bo@example.org": 1}


def test_many_connections_at_once_lose_no_entry() -> None:
    """The log is exact also when several threads send."""

    def send(catcher: Catcher, sender: int) -> None:
        connection = dial(catcher, timeout=30)
        for number in range(25):
            connection.send(letter(f"reader{sender}.{number}@example.org"))
        connection.close()

    with Catcher(keep=Keep.ENVELOPES) as catcher:
        threads = [threading.Thread(target=send, args=(catcher, sender)) for sender in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert catcher.accepted == {f"reader{sender}.{n}@example.org": 1 for sender in range(4) for n in range(25)}
    assert len(catcher.caught) == 100
    assert not any(caught.content for caught in catcher.caught)


def test_counts_alone_keep_no_messages() -> None:
    """A very large run costs one number per address."""
    with Catcher(keep=Keep.COUNTS) as catcher:
        connection = dial(catcher)
        connection.send(letter())
        connection.send(letter())
        connection.close()
    assert catcher.caught == []
    assert catcher.accepted == {"reader@example.org": 2}


def test_messages_are_stored_as_files_that_mail_programs_open(tmp_path: Path) -> None:
    """One .eml for each accepted message, named by number and recipient, whatever the recipient is called."""
    with Catcher(folder=tmp_path / "mail", keep=Keep.ENVELOPES) as catcher:
        connection = dial(catcher)
        connection.send(letter("reader@example.org"))
        connection.send(letter("../../up@example.org"))
        connection.close()
    assert sorted(path.name for path in (tmp_path / "mail").iterdir()) == [
        "000001-reader@example.org.eml",
        "000002-.._.._up@example.org.eml",
    ]
    first = catcher.caught[0].path
    assert first is not None
    assert email.message_from_bytes(first.read_bytes())["Subject"] == "A tip"


def test_a_message_above_the_limit_is_refused_before_it_is_sent() -> None:
    """The limit stands in the EHLO, and the sender heeds it."""
    with Catcher(size_limit=100) as catcher:
        connection = dial(catcher)
        reply = connection.send(letter(content=b"x\r\n" * 50))
        connection.close()
    assert judge(reply).rule == "own:5.3.4"
    assert not catcher.caught


@pytest.mark.parametrize("offered", [True, False])
def test_smtputf8_is_offered_on_demand(offered: bool) -> None:  # noqa: FBT001
    """With it an address beyond ASCII gets its mail, without it the sender says why not."""
    with Catcher(smtputf8=offered) as catcher:
        connection = dial(catcher)
        reply = connection.send(letter("läser@example.org"))
        connection.close()
    assert judge(reply).effect is (Effect.ACCEPT if offered else Effect.REJECT)
    assert catcher.accepted == ({"läser@example.org": 1} if offered else {})


def test_leaving_the_block_ends_open_connections() -> None:
    """Nothing of the catcher outlives its block, also with a client still connected."""
    with Catcher() as catcher:
        connection = dial(catcher)
    assert connection.send(letter()).code == 0
    connection.close()
