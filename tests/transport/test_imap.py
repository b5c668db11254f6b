"""A mailbox by IMAP: a real Dovecot, and a scripted server for what no Dovecot says."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from newsletter.errors import NotNow, Stop
from newsletter.transport.imap import ImapAccount, ImapMailbox, StoredMail
from newsletter.transport.token_command import TokenCommand
from tests.transport.dovecot import Dovecot, needs_dovecot, running

RAW = b"Subject: a mail\r\n\r\n" + b"x" * 50 + b"\r\n"


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    """Run one server for the tests of this file."""
    with running() as server:
        yield server


@needs_dovecot
@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_mails_are_read_and_moved(dovecot: Dovecot, security: str) -> None:
    """The oldest come first, nothing is marked as read, and a folder is made once."""
    port = dovecot.tls_port if security == "tls" else dovecot.port
    for name in ("1.a", "2.b"):
        dovecot.put(name, RAW)
    with ImapMailbox(dovecot.account(security=security, port=port)) as mailbox:
        first, second = mailbox.first(10)
        assert (first.uid < second.uid, first.size, mailbox.count) == (True, len(RAW), 2)
        assert mailbox.first(1) == [first]
        assert mailbox.read(first.uid) == RAW
        assert mailbox.read(999) is None
        for _ in range(2):
            mailbox.make_folder("kept here")
        mailbox.move([first.uid, 999], "kept here")
        assert mailbox.first(10) == [second]
        mailbox.move([], "kept here")
        mailbox.move([second.uid], "kept here")
        assert mailbox.first(10) == []
    assert not any(name.endswith("S") for name in dovecot.names("kept here"))


@needs_dovecot
def test_a_server_without_move_copies_and_expunges(dovecot: Dovecot) -> None:
    """The mail is in one folder and not in the other; a server that can do neither is refused before anything."""
    with running(capability="IMAP4rev1 UIDPLUS") as older:
        older.put("1.a", RAW)
        older.put("2.b", RAW)
        with ImapMailbox(older.account()) as mailbox:
            mailbox.make_folder("kept")
            mailbox.move([mailbox.first(1)[0].uid], "kept")
            assert mailbox.count == 1
        assert (len(older.names()), len(older.names("kept"))) == (1, 1)
    with running(capability="IMAP4rev1") as oldest, pytest.raises(Stop, match="neither MOVE"):
        ImapMailbox(oldest.account())


@needs_dovecot
def test_only_a_valid_certificate_and_login_will_do(dovecot: Dovecot) -> None:
    """Each is a matter for the operator; a server that is away is not."""
    with pytest.raises(Stop, match="certificate of localhost is not valid"):
        ImapMailbox(dovecot.account(ca_file=""))
    with pytest.raises(Stop, match="refuses the login of bounces"):
        ImapMailbox(dovecot.account(password="wrong"))
    with pytest.raises(Stop, match="no folder Elsewhere"):
        ImapMailbox(dovecot.account(folder="Elsewhere"))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(NotNow, match="does not answer"):
            ImapMailbox(dovecot.account(port=closed.getsockname()[1]))


Script = Callable[[str, str], str]


@contextmanager
def scripted(answer: Script) -> Iterator[ImapAccount]:
    """Run a server that answers each command, by its tag and its words, with what a script says."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            wire, _ = listener.accept()
            with wire, wire.makefile("rwb") as file:
                file.write(b"* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2] ready\r\n")
                file.flush()
                for line in file:
                    tag, _, words = line.decode().rstrip().partition(" ")
                    file.write(answer(tag, words).encode())
                    file.flush()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield ImapAccount(
            host="127.0.0.1", port=listener.getsockname()[1], security="none", username="me", password="p", timeout=10
        )
        thread.join(10)


def usual(tag: str, words: str) -> str:
    """Answer as a server does that has one folder with one mail."""
    if words.startswith("CAPABILITY"):
        return f"* CAPABILITY IMAP4rev1 MOVE\r\n{tag} OK done\r\n"
    if words.startswith("SELECT"):
        return f"* 1 EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\n{tag} OK [READ-WRITE]\r\n"
    if words.startswith("LOGOUT"):
        return f"* BYE bye\r\n{tag} OK done\r\n"
    return f"{tag} OK done\r\n"


def test_a_token_takes_the_place_of_the_password() -> None:
    """XOAUTH2 as Google and Microsoft document it, with the token that the command prints."""
    seen: list[str] = []

    def answer(tag: str, words: str) -> str:
        if words.startswith("AUTHENTICATE"):
            seen.append(tag)
            return "+ \r\n"
        if not words:
            seen.append(base64.b64decode(tag).decode())
            return f"{seen[0]} OK done\r\n"
        return usual(tag, words)

    with scripted(answer) as account:
        tokens = TokenCommand("printf a.token", monotonic=lambda: 0.0)
        with ImapMailbox(replace(account, tokens=tokens, password="")) as mailbox:
            assert (mailbox.validity, mailbox.count) == (7, 1)
    assert seen[1] == "user=me\x01auth=Bearer a.token\x01\x01"


def test_a_refused_token_is_told() -> None:
    """The error of the server comes as a challenge; the words of the operator name no token."""
    state = {"tag": "", "answers": 0}

    def answer(tag: str, words: str) -> str:
        if words.startswith("AUTHENTICATE"):
            state["tag"] = tag
            return "+ \r\n"
        if not words:
            state["answers"] = int(state["answers"]) + 1
            return (
                f"+ {base64.b64encode(b'error').decode()}\r\n"
                if state["answers"] == 1
                else f"{state['tag']} NO refused\r\n"
            )
        return usual(tag, words)

    with scripted(answer) as account, pytest.raises(Stop, match="refuses the login of me") as caught:
        ImapMailbox(replace(account, tokens=TokenCommand("printf a.token", monotonic=lambda: 0.0)))
    assert "a.token" not in str(caught.value)


@pytest.mark.parametrize("broken", ["FETCH", "UID FETCH", "UID MOVE"])
def test_a_server_that_fails_in_the_middle_is_tried_again(broken: str) -> None:
    """A refused command and a lost connection both mean: not now."""

    def answer(tag: str, words: str) -> str:
        return f"{tag} NO [SERVERBUG] sorry\r\n" if words.startswith(broken) else usual(tag, words)

    with scripted(answer) as account, ImapMailbox(account) as mailbox:
        step = {"FETCH": lambda: mailbox.first(5), "UID FETCH": lambda: mailbox.read(1)}
        with pytest.raises(NotNow):
            step.get(broken, lambda: mailbox.move([1], "kept"))()


def test_strange_answers_are_left_out() -> None:
    """Lines that say nothing of a mail do not end the reading."""

    def answer(tag: str, words: str) -> str:
        if words.startswith("FETCH"):
            return f"* 1 FETCH (FLAGS ())\r\n* 1 FETCH (UID 4 RFC822.SIZE 9)\r\n{tag} OK done\r\n"
        return usual(tag, words)

    with scripted(answer) as account, ImapMailbox(account) as mailbox:
        assert mailbox.first(5) == [StoredMail(uid=4, size=9)]
