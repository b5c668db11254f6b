"""TLS and login against a real server: only the right certificate opens the door."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from newsletter.core.reply import Phase, RelayAction, judge
from newsletter.testing.catcher import Catcher
from newsletter.transport.base import ConnectFailure, Connection, Envelope, Relay, Security
from newsletter.transport.smtp import connect

LETTER = Envelope(mail_from="b+1@example.org", rcpt_to="reader@example.org", content=b"Subject: A tip\r\n\r\nHello\r\n")
ENCRYPTED = [Security.STARTTLS, Security.TLS]


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


def server_side(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """Return what a server needs to show this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def dial(catcher: Catcher, security: Security, **changes: object) -> Connection | ConnectFailure:
    """Connect as an operator would have set it."""
    relay = Relay(host="127.0.0.1", port=catcher.port, security=security, timeout=5, **changes)  # type: ignore[arg-type]
    return connect(relay, monotonic=lambda: 0.0)


@pytest.mark.parametrize("security", ENCRYPTED)
def test_mail_goes_out_over_tls_to_a_server_that_proves_its_name(
    authority: trustme.CA, ca_file: Path, security: Security
) -> None:
    """The private authority's file is all an operator has to name."""
    tls = server_side(authority.issue_cert("127.0.0.1"))
    with Catcher(tls=tls, implicit_tls=security is Security.TLS) as catcher:
        connection = dial(catcher, security, ca_file=str(ca_file))
        assert not isinstance(connection, ConnectFailure), connection.plain
        assert connection.send(LETTER).code == 250
        assert connection.send(LETTER).code == 250
        connection.close()
    assert catcher.accepted == {"reader@example.org": 2}
    assert catcher.caught[0].content == LETTER.content


@pytest.mark.parametrize("security", ENCRYPTED)
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("expired", "has expired"),
        ("early", "not valid yet"),
        ("other name", "is for another address"),
        ("stranger", "from an authority this machine does not know"),
    ],
)
def test_a_faulty_certificate_is_named_and_nothing_is_sent(
    authority: trustme.CA, ca_file: Path, security: Security, fault: str, words: str
) -> None:
    """The operator reads which fault it is; neither the password nor a mail crosses the wire."""
    certificate = {
        "expired": lambda: authority.issue_cert("127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC)),
        "early": lambda: authority.issue_cert("127.0.0.1", not_before=datetime(2999, 1, 1, tzinfo=UTC)),
        "other name": lambda: authority.issue_cert("mail.example.net"),
        "stranger": lambda: trustme.CA().issue_cert("127.0.0.1"),
    }[fault]()
    login = ("postman", "open-sesame")
    with Catcher(tls=server_side(certificate), implicit_tls=security is Security.TLS, login=login) as catcher:
        failure = dial(catcher, security, ca_file=str(ca_file), username=login[0], password=login[1])
    assert isinstance(failure, ConnectFailure)
    assert words in failure.plain
    assert (failure.reply.phase, judge(failure.reply).relay) == (Phase.STARTTLS, RelayAction.STOP)
    assert not catcher.caught


@pytest.mark.parametrize("security", ENCRYPTED)
def test_the_system_does_not_trust_a_private_authority(authority: trustme.CA, security: Security) -> None:
    """Without the file the certificate is checked against the system's store, not waved through."""
    tls = server_side(authority.issue_cert("127.0.0.1"))
    with Catcher(tls=tls, implicit_tls=security is Security.TLS) as catcher:
        failure = dial(catcher, security)
    assert isinstance(failure, ConnectFailure)
    assert judge(failure.reply).rule == "own:tls"


def test_a_certificate_for_another_host_name_is_refused(authority: trustme.CA, ca_file: Path) -> None:
    """A valid certificate of somebody else is no proof."""
    with Catcher(tls=server_side(authority.issue_cert("mail.example.net"))) as catcher:
        relay = Relay(host="localhost", port=catcher.port, ca_file=str(ca_file))
        failure = connect(relay, monotonic=lambda: 0.0)
    assert isinstance(failure, ConnectFailure)
    assert "its certificate is for another host name" in failure.plain


def test_clear_text_is_not_tls() -> None:
    """TLS from the first byte against a server that greets in clear text fails as a value."""
    with Catcher() as catcher:
        failure = dial(catcher, Security.TLS)
    assert isinstance(failure, ConnectFailure)
    assert "TLS" in failure.plain


def test_a_missing_authority_file_is_named(tmp_path: Path) -> None:
    """The fault is in the settings, and the sentence says which file."""
    missing = tmp_path / "nothing.pem"
    with Catcher() as catcher:
        failure = dial(catcher, Security.STARTTLS, ca_file=str(missing))
    assert isinstance(failure, ConnectFailure)
    assert str(missing) in failure.plain
    assert judge(failure.reply).relay is RelayAction.STOP


@pytest.mark.parametrize("security", list(Security))
def test_the_right_login_opens_and_the_wrong_one_stops(
    authority: trustme.CA, ca_file: Path, security: Security
) -> None:
    """A wrong password can only be put right by a person; the words name the user, never the password."""
    tls = None if security is Security.NONE else server_side(authority.issue_cert("127.0.0.1"))
    with Catcher(tls=tls, implicit_tls=security is Security.TLS, login=("postman", "open-sesame")) as catcher:
        right = dial(catcher, security, ca_file=str(ca_file), username="postman", password="open-sesame")
        assert not isinstance(right, ConnectFailure), right.plain
        assert right.send(LETTER).code == 250
        right.close()
        wrong = dial(catcher, security, ca_file=str(ca_file), username="postman", password="guess")
    assert isinstance(wrong, ConnectFailure)
    assert (wrong.reply.phase, wrong.reply.code, judge(wrong.reply).relay) == (Phase.AUTH, 535, RelayAction.STOP)
    assert "postman" in wrong.plain
    assert "guess" not in f"{wrong}"


def test_a_relay_that_wants_a_login_and_gets_none_stops_everything() -> None:
    """530 to MAIL is about our login, not about the first person of the list."""
    with Catcher(login=("postman", "open-sesame")) as catcher:
        connection = dial(catcher, Security.NONE)
        assert not isinstance(connection, ConnectFailure)
        reply = connection.send(LETTER)
        connection.close()
    assert (reply.phase, reply.code, judge(reply).relay) == (Phase.MAIL, 530, RelayAction.STOP)
