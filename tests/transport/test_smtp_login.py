"""Logging in with a token that a command prints, against a real server in process."""

from __future__ import annotations

import base64
import json
import shlex
import sys
from pathlib import Path

import pytest

from newsletter.core.reply import Phase, RelayAction, judge
from newsletter.transport.base import ConnectFailure, Connection, Relay, Security
from newsletter.transport.smtp import connect
from newsletter.transport.token_command import TokenCommand, TokenFailure
from tests.transport.scripted_server import GREETING, Act, ScriptedServer

EHLO = b"250-relay.example.org\r\n250 AUTH PLAIN LOGIN XOAUTH2\r\n"
TOKEN = "ya29.secret-token"
AUTH = b"AUTH XOAUTH2 " + base64.b64encode(f"user=postman@example.org\1auth=Bearer {TOKEN}\1\1".encode()) + b"\r\n"


def python(code: str) -> str:
    """Return a command line that runs this code."""
    return shlex.join([sys.executable, "-S", "-c", code])


def command(line: str, **changes: float) -> TokenCommand:
    """Return the command with a clock that stands still."""
    return TokenCommand(line, monotonic=lambda: 0.0, **changes)


def dial(server: ScriptedServer, line: str) -> Connection | ConnectFailure:
    """Connect with a token in the place of a password."""
    relay = Relay(
        host="127.0.0.1",
        port=server.port,
        security=Security.NONE,
        timeout=2.0,
        username="postman@example.org",
        tokens=command(line),
    )
    return connect(relay, monotonic=lambda: 0.0)


def test_the_token_logs_in() -> None:
    """It is sent in the first line, as both large providers want it."""
    with ScriptedServer(GREETING, EHLO, b"235 2.7.0 Accepted\r\n", b"221 Bye\r\n") as server:
        connection = dial(server, python(f"print('{TOKEN}')"))
        assert not isinstance(connection, ConnectFailure), connection.plain
        connection.close()
    assert server.lines[1] == AUTH


def test_a_refused_token_is_explained_and_then_refused() -> None:
    """The challenge with the reason gets an empty line; nothing else is tried, and the token is never told."""
    challenge = b"334 " + base64.b64encode(json.dumps({"status": "400"}).encode()) + b"\r\n"
    with ScriptedServer(GREETING, EHLO, challenge, b"535 5.7.8 Token expired\r\n", Act.CLOSE) as server:
        failure = dial(server, python(f"print('{TOKEN}')"))
    assert isinstance(failure, ConnectFailure)
    assert server.lines[1:] == [AUTH, b"\r\n"]
    assert (failure.reply.phase, failure.reply.code, judge(failure.reply).relay) == (Phase.AUTH, 535, RelayAction.STOP)
    assert "Token expired" in failure.plain
    assert TOKEN not in f"{failure}"


def test_a_server_without_xoauth2_gets_no_token() -> None:
    """It would not know what to do with it, and others might read it."""
    with ScriptedServer(GREETING, b"250-relay.example.org\r\n250 AUTH PLAIN LOGIN\r\n") as server:
        failure = dial(server, python(f"print('{TOKEN}')"))
    assert isinstance(failure, ConnectFailure)
    assert judge(failure.reply).rule == "own:login"
    assert len(server.lines) == 1


@pytest.mark.parametrize(
    ("line", "words", "relay"),
    [
        ("no-such-command-anywhere", "(no-such-command-anywhere: No such file or directory)", RelayAction.STOP),
        ("'unbalanced", "cannot be run", RelayAction.STOP),
        (python("print()"), "printed no token", RelayAction.STOP),
        (python("print('two words')"), "not a token", RelayAction.STOP),
        (python("import sys; print('ya29.x'); sys.exit('invalid_grant')"), "invalid_grant", RelayAction.BACK_OFF),
    ],
)
def test_a_command_that_gives_no_token_is_named(line: str, words: str, relay: RelayAction) -> None:
    """Nobody is called before there is a token, and what was printed stays secret."""
    with ScriptedServer(GREETING, EHLO) as server:
        failure = dial(server, line)
    assert isinstance(failure, ConnectFailure)
    assert failure.plain.startswith(f"The command that prints the token for the mail server 127.0.0.1:{server.port} ")
    assert words in failure.plain
    assert (failure.reply.phase, judge(failure.reply).relay) == (Phase.AUTH, relay)
    assert "ya29" not in f"{failure}"
    assert not server.lines


def test_a_token_is_used_for_a_minute(tmp_path: Path) -> None:
    """Connections come and go in fractions of a second; whoever issues tokens is asked once."""
    now = [0.0]
    count = tmp_path / "count"
    code = f"f = open({str(count)!r}, 'a'); f.write('x'); print('token', f.tell(), sep='')"
    tokens = TokenCommand(python(code), monotonic=lambda: now[0])
    assert [tokens.fetch(), tokens.fetch()] == ["token1", "token1"]
    now[0] = 61.0
    assert tokens.fetch() == "token2"


def test_a_token_that_ended_within_that_minute_is_replaced(tmp_path: Path) -> None:
    """Its refusal stops nobody: a new one is fetched, once, and only if the old one was not new itself."""
    count = tmp_path / "count"
    code = f"f = open({str(count)!r}, 'a'); f.write('x'); print('token', f.tell(), sep='')"
    tokens = command(python(code))
    with ScriptedServer(GREETING, EHLO, b"535 5.7.8 Token expired\r\n") as server:
        relay = Relay(host="127.0.0.1", port=server.port, security=Security.NONE, username="me", tokens=tokens)
        assert isinstance(connect(relay, monotonic=lambda: 0.0), ConnectFailure)
        assert count.read_text() == "x"
        tokens.fetch()
        assert isinstance(connect(relay, monotonic=lambda: 0.0), ConnectFailure)
        assert count.read_text() == "xxx"


def test_a_command_that_hangs_is_ended() -> None:
    """A login may not hang for ever, and what the command had printed by then stays secret."""
    with pytest.raises(TokenFailure, match="took longer than") as caught:
        command(python("import signal; print('ya29.x', flush=True); signal.pause()"), timeout=0.5).fetch()
    assert caught.value.__cause__ is None


def test_the_command_sees_no_secret_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It gets the environment without anything of the newsletter."""
    monkeypatch.setenv("NEWSLETTER_SMTP_PASSWORD", "open-sesame")
    monkeypatch.setenv("WHERE_TO_LOOK", str(tmp_path))
    code = "import os; print(os.environ['WHERE_TO_LOOK'], *(n for n in os.environ if n.startswith('NEWS')), sep='')"
    assert command(python(code)).fetch() == str(tmp_path)
