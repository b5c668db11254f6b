"""From a host name to a session that is greeted, secured and logged in; `smtplib` does the talking.

In: a `Relay`. Out: the open wire with what the server offers, or a `ConnectFailure` that says why not. It never falls
back to clear text, never skips the check of a certificate, and never sends a password to a server it has not verified.
"""

from __future__ import annotations

import contextlib
import functools
import hmac
import io
import ipaddress
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from newsletter.clock import SystemClock
from newsletter.core.reply import Phase, Reply, parse_reply
from newsletter.errors import words_of
from newsletter.transport.base import ConnectFailure, Relay, Security
from newsletter.transport.token_command import TokenFailure
from newsletter.transport.wire import Wire

_READY_CODE = 220
_AUTHENTICATED_CODE = 250
_WRONG_CREDENTIALS_CODE = 535
REPLY_LINES_MAX = 128
REPLY_LINE_BYTES_MAX = 8192
"""Far above the 512 octets of RFC 5321 §4.5.3.1.5, which real servers exceed."""
_MECHANISM_REFUSED_CODE = 504
_LONGEST_NUMBER = 20
"""Digits of a SIZE (RFC 1870 §5)."""

_CERTIFICATE_FAULTS = {
    9: "its certificate is not valid yet (or this machine's clock is wrong)",
    10: "its certificate has expired",
    18: "its certificate is self-signed",
    19: "its certificate comes from an authority this machine does not know",
    20: "its certificate comes from an authority this machine does not know",
    21: "its certificate comes from an authority this machine does not know",
    23: "its certificate was revoked",
    62: "its certificate is for another host name",
    64: "its certificate is for another address",
}
"""By OpenSSL's X509_V_ERR number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What the EHLO in force offers, as far as we use it."""

    size: bool
    size_limit: int
    """0: no limit known."""
    smtputf8: bool
    eight_bit: bool
    pipelining: bool = False
    """RFC 2920."""
    dsn: bool = False
    """RFC 3461."""
    mail_max: int = 0
    """Transactions that the server takes in this session (RFC 9422 §4.1); 0: no limit known."""
    domain_max: int = 0
    """Recipient domains that it takes in this session (RFC 9422 §4.3); 0: no limit known."""


_monotonic = SystemClock().monotonic
"""Real seconds, also where the clock of a test stands still: a socket waits in them."""


class _Refused(Exception):  # noqa: N818 - it carries a value to `open_session`, and ends there.
    """A step of the opening did not work."""

    def __init__(self, reply: Reply, plain: str) -> None:
        super().__init__(plain)
        self.failure = ConnectFailure(reply=reply, plain=plain)


class Opening:
    """The sockets on which sessions are being opened, so that a stop can close them from any thread."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()

    def abort(self) -> None:
        """Hang up on each of these servers: to open a session fails at once, and no message is concerned."""
        with self._lock:
            for sock in self._sockets:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def watching(self, sock: socket.socket) -> Iterator[None]:
        """Let an abort close this connection until its session is open."""
        # A duplicate: TLS takes the socket itself over, and may close it while another thread wants to shut it down.
        with sock.dup() as duplicate:
            with self._lock:
                self._sockets.add(duplicate)
            try:
                yield
            finally:
                with self._lock:
                    self._sockets.discard(duplicate)


def open_session(relay: Relay, *, opening: Opening | None = None) -> tuple[Wire, Features] | ConnectFailure:
    """Connect, greet, secure and log in: all of it within `relay.timeout` seconds from the connection on."""
    opening = opening or Opening()
    opened = _open(relay, opening)
    if isinstance(opened, ConnectFailure) and relay.tokens is not None:
        refused = opened.reply.phase is Phase.AUTH and opened.reply.code // 100 == 5  # noqa: PLR2004 - 5yz, permanent.
        # A token may have ended within the minute in which it is used again.
        if refused and relay.tokens.forget():
            return _open(relay, opening)
    return opened


def _open(relay: Relay, opening: Opening) -> tuple[Wire, Features] | ConnectFailure:
    with ExitStack() as stack:
        smtp: _Dialogue | None = None
        try:
            # Before the server waits for us: it may take longer than a server's patience.
            token = _token(relay)
            context = None if relay.security is Security.NONE else _context(relay)
            sock = _connected(relay)
            deadline = _monotonic() + relay.timeout
            smtp = _Dialogue(sock, lambda: deadline - _monotonic())
            stack.enter_context(opening.watching(sock))
            _greeting(smtp, relay, context)
            _ehlo(smtp, relay)
            if relay.security is Security.STARTTLS and context is not None:
                _starttls(smtp, relay, context)
                # What was offered before TLS may have been put there by somebody in the middle (RFC 3207 §4.2).
                _ehlo(smtp, relay)
            if relay.username:
                _login(smtp, relay, token)
        except _Refused as refused:
            if smtp is not None:
                smtp.close()
            return refused.failure
        if smtp.sock is None or smtp.file is None:
            reply = Reply(phase=Phase.EHLO, text="the connection is closed")
            return ConnectFailure(reply=reply, plain=f"{_where(relay)} hung up.")
        return Wire(smtp.sock, smtp.file), _features(smtp.esmtp_features)


class _Dialogue(smtplib.SMTP):
    """The dialogue of `smtplib` on a connected socket, bounded: replies have an end, and all have one deadline."""

    def __init__(self, sock: socket.socket, remaining: Callable[[], float]) -> None:
        # The name is replaced in `_ehlo`; without one smtplib asks the DNS for ours, which may take seconds.
        super().__init__(local_hostname="localhost")
        self.sock: socket.socket | None = sock
        self.file: io.BufferedReader | None = None
        self._remaining = remaining

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Wrap the socket in TLS; what was read or offered before is forgotten (RFC 3207 §4.2)."""
        assert self.sock is not None  # noqa: S101 - it is secured while it is connected.
        self._set_timeout(self.sock)
        self.sock = context.wrap_socket(self.sock, server_hostname=host)
        self.file = None
        self.esmtp_features = {}
        self.does_esmtp = False

    def getreply(self) -> tuple[int, bytes]:
        """Return the next reply; one without an end is given up."""
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection is closed")
        if self.file is None:
            self.file = io.BufferedReader(_BoundedReader(self.sock, self._set_timeout))
        lines: list[bytes] = []
        while len(lines) < REPLY_LINES_MAX:
            line = self._line(self.file)
            lines.append(line[4:].strip(b" \t\r\n"))
            if not (line[:3].isdigit() and line[3:4] == b"-"):
                return (int(line[:3]) if line[:3].isdigit() else -1), b"\n".join(lines)
        self.close()
        raise smtplib.SMTPServerDisconnected("the reply has no end")

    def send(self, s: str | bytes) -> None:  # type: ignore[override]  # the stubs name a buffer, too
        """Write a command within the time that is left."""
        if self.sock is not None:
            self._set_timeout(self.sock)
        super().send(s)

    def _line(self, file: io.BufferedReader) -> bytes:
        try:
            line = file.readline(REPLY_LINE_BYTES_MAX)
        except OSError as trouble:
            self.close()
            raise smtplib.SMTPServerDisconnected(words_of(trouble) or "timed out") from trouble
        if not line.endswith(b"\n"):
            self.close()
            raise smtplib.SMTPServerDisconnected("line too long" if line else "the server closed the connection")
        return line

    def _set_timeout(self, sock: socket.socket) -> None:
        remaining = self._remaining()
        if remaining <= 0:
            raise TimeoutError("timed out")
        sock.settimeout(remaining)


class _BoundedReader(io.RawIOBase):
    """Reads a socket, each time for no longer than what is left of the deadline."""

    def __init__(self, sock: socket.socket, set_timeout: Callable[[socket.socket], None]) -> None:
        super().__init__()
        self._sock = sock
        self._set_timeout = set_timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 any writable buffer
        # `Wire` looks what is left in the buffer, without waiting.
        if self._sock.gettimeout() != 0:
            self._set_timeout(self._sock)
        try:
            return self._sock.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None


def _token(relay: Relay) -> str:
    """Fetch the token for the login, where one takes the place of a password."""
    if relay.tokens is None:
        return ""
    try:
        return relay.tokens.fetch()
    except TokenFailure as failure:
        reply = Reply(phase=Phase.AUTH, enhanced="5.7.8" if failure.lasting else "", text=f"token command: {failure}")
        plain = f"The command that prints the token for {_where(relay, begin=False)} does not work: {failure}."
        raise _Refused(reply, plain) from failure


def _context(relay: Relay) -> ssl.SSLContext:
    try:
        return _trust(relay.ca_file)
    except (OSError, ssl.SSLError) as trouble:
        reply = Reply(phase=Phase.STARTTLS, enhanced="5.7.5", text=f"CA file: {words_of(trouble)}")
        raise _Refused(reply, f"The certificate file {relay.ca_file} cannot be used: {words_of(trouble)}.") from trouble


@functools.lru_cache(maxsize=4)
def _trust(ca_file: str) -> ssl.SSLContext:
    """Load what we trust once: reading the system's store takes longer than sending a message."""
    context = ssl.create_default_context(cafile=ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _connected(relay: Relay) -> socket.socket:
    try:
        return socket.create_connection((relay.host, relay.port), relay.timeout)
    except (OSError, UnicodeError, OverflowError) as trouble:
        reply = Reply(phase=Phase.CONNECT, text=str(trouble)[:1000])
        raise _Refused(reply, _absent(relay, _reason(trouble))) from trouble


def _greeting(smtp: _Dialogue, relay: Relay, context: ssl.SSLContext | None) -> None:
    try:
        if relay.security is Security.TLS and context is not None:
            smtp.secure(context, relay.host)
        code, text = smtp.getreply()
    except ssl.SSLError as trouble:
        raise _tls_fault(relay, trouble) from trouble
    except (OSError, ValueError, smtplib.SMTPException) as trouble:
        reply = Reply(phase=Phase.CONNECT, text=str(trouble)[:1000])
        raise _Refused(reply, _absent(relay, _reason(trouble))) from trouble
    if code != _READY_CODE:
        reply = _reply(Phase.CONNECT, code, text)
        raise _Refused(reply, f"{_where(relay)} does not take our connection: {reply.code} {reply.text}.")


def _ehlo(smtp: _Dialogue, relay: Relay) -> None:
    try:
        smtp.local_hostname = relay.ehlo_name or _own_name(smtp.sock)
        code, text = smtp.ehlo()
    except (OSError, ValueError, smtplib.SMTPException) as trouble:
        reply = Reply(phase=Phase.EHLO, text=str(trouble)[:1000])
        raise _Refused(reply, f"{_where(relay)} answered, but hung up at our EHLO: {trouble}.") from trouble
    if code != _AUTHENTICATED_CODE:
        reply = _reply(Phase.EHLO, code, text)
        raise _Refused(reply, f"{_where(relay)} refuses our EHLO: {reply.code} {reply.text}.")


def _starttls(smtp: _Dialogue, relay: Relay, context: ssl.SSLContext) -> None:
    if not smtp.has_extn("starttls"):
        reply = Reply(phase=Phase.STARTTLS, enhanced="5.7.10", text="STARTTLS is not offered")
        raise _Refused(reply, f"{_where(relay)} does not offer STARTTLS, and we never send in clear text instead.")
    try:
        code, text = smtp.docmd("STARTTLS")
        if code != _READY_CODE:
            reply = _reply(Phase.STARTTLS, code, text)
            raise _Refused(reply, f"{_where(relay)} refuses STARTTLS: {reply.code} {reply.text}.")
        smtp.secure(context, relay.host)
    except ssl.SSLError as trouble:
        raise _tls_fault(relay, trouble) from trouble
    except (OSError, ValueError, smtplib.SMTPException) as trouble:
        reply = Reply(phase=Phase.STARTTLS, text=str(trouble)[:1000])
        raise _Refused(reply, f"{_where(relay)} hung up while TLS was being set up: {trouble}.") from trouble


def _login(smtp: _Dialogue, relay: Relay, token: str) -> None:
    try:
        _authenticate(smtp, relay, token)
    except smtplib.SMTPAuthenticationError as refused:
        reply = _reply(Phase.AUTH, refused.smtp_code, refused.smtp_error)
        raise _Refused(reply, _login_words(relay, reply)) from refused
    except smtplib.SMTPServerDisconnected as trouble:
        reply = Reply(phase=Phase.AUTH, text=str(trouble)[:1000])
        raise _Refused(reply, f"{_where(relay)} hung up during the login.") from trouble
    except UnicodeEncodeError as trouble:
        reply = Reply(phase=Phase.AUTH, enhanced="5.7.8", text="user name or password is not ASCII")
        raise _Refused(reply, "The SMTP user name and password must be plain ASCII.") from trouble
    except (OSError, ValueError, smtplib.SMTPException) as trouble:
        reply = Reply(phase=Phase.AUTH, enhanced="5.7.4", text=str(trouble)[:1000])
        raise _Refused(reply, f"{_where(relay)} offers no login that we can use: {trouble}.") from trouble


def _authenticate(smtp: _Dialogue, relay: Relay, token: str) -> None:
    """Log in with the first mechanism that both sides know.

    `smtplib.SMTP.login` tries the others too after a refusal. A wrong password is wrong in each of them, and relays
    answer the repetition by hanging up or locking the account; so only "not this mechanism" leads to the next one. But
    a server that checks passwords elsewhere (saslauthd, LDAP) offers CRAM-MD5 and cannot check it: PLAIN follows once,
    where the connection is private.
    """
    offered = smtp.esmtp_features.get("auth", "").upper().split()
    mechanisms: dict[str, Any] = {"CRAM-MD5": smtp.auth_cram_md5, "PLAIN": smtp.auth_plain, "LOGIN": smtp.auth_login}
    if not _has_md5():
        del mechanisms["CRAM-MD5"]
    if token:
        mechanisms = {"XOAUTH2": _xoauth2(relay.username, token)}
    common = [name for name in mechanisms if name in offered]
    if not common:
        raise smtplib.SMTPNotSupportedError("AUTH offers " + (" ".join(offered) or "nothing"))
    smtp.user, smtp.password = relay.username, relay.password
    for name in common:
        try:
            smtp.auth(name, mechanisms[name])
        except smtplib.SMTPAuthenticationError as refused:
            plain_may_work = name == "CRAM-MD5" and refused.smtp_code == _WRONG_CREDENTIALS_CODE and "PLAIN" in common
            if plain_may_work and is_private(smtp.sock):
                _try_plain(smtp, refused)
                return
            if refused.smtp_code != _MECHANISM_REFUSED_CODE or name == common[-1]:
                raise
        else:
            return


def _try_plain(smtp: _Dialogue, refused: smtplib.SMTPAuthenticationError) -> None:
    try:
        smtp.auth("PLAIN", smtp.auth_plain)
    except smtplib.SMTPServerDisconnected:
        # It hung up at the second try: the first refusal is the reason.
        raise refused from None


def _has_md5() -> bool:
    """Tell whether this Python computes MD5; one that is built for FIPS refuses."""
    try:
        hmac.new(b"", b"", "md5")
    except ValueError:
        return False
    return True


def is_private(sock: socket.socket | None) -> bool:
    """Tell whether the connection is private: TLS, or a server on this machine."""
    if isinstance(sock, ssl.SSLSocket):
        return True
    try:
        address = str(sock.getpeername()[0]) if sock is not None else ""
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except (OSError, ValueError):
        return False


def _xoauth2(username: str, token: str) -> Callable[[bytes | None], str]:
    """Return what `smtplib` asks for each line of the dialogue, as Google and Microsoft describe it.

    To a refusal they send a challenge with the reason, and want an empty line before they say 535.
    """

    def respond(challenge: bytes | None = None) -> str:
        return f"user={username}\x01auth=Bearer {token}\x01\x01" if challenge is None else ""

    return respond


def _login_words(relay: Relay, reply: Reply) -> str:
    if reply.code // 100 == 4:  # noqa: PLR2004 - first digit of a transient reply.
        return f"{_where(relay)} cannot check logins at the moment: {reply.code} {reply.text}."
    return f"{_where(relay)} refuses the login of {relay.username}: {reply.code} {reply.text}."


def _tls_fault(relay: Relay, trouble: ssl.SSLError) -> _Refused:
    """Tell a certificate that is wrong, which only a person can put right, from a handshake that went wrong."""
    if isinstance(trouble, ssl.SSLCertVerificationError):
        fault = _CERTIFICATE_FAULTS.get(trouble.verify_code, f"its certificate is not valid: {trouble.verify_message}")
        reply = Reply(phase=Phase.STARTTLS, enhanced="5.7.5", text=trouble.verify_message[:1000])
        return _Refused(reply, f"{_where(relay)} cannot be trusted: {fault}.")
    words = trouble.reason or str(trouble)
    reply = Reply(phase=Phase.STARTTLS, text=f"TLS: {words}"[:1000])
    return _Refused(reply, f"{_where(relay)} and we could not agree on TLS 1.2 or later: {words}.")


def _own_name(sock: socket.socket | None) -> str:
    """Name this machine in EHLO: its full host name, else its address as a literal (RFC 5321 §4.1.3)."""
    name = socket.gethostname()
    if sock is None or ("." in name.strip(".") and name.isascii()):
        return name
    address = str(sock.getsockname()[0])
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _features(offered: Mapping[str, str]) -> Features:
    limits = dict(word.upper().partition("=")[::2] for word in offered.get("limits", "").split())
    return Features(
        size="size" in offered,
        size_limit=_number(offered.get("size", "").split(" ")[0]),
        smtputf8="smtputf8" in offered,
        eight_bit="8bitmime" in offered,
        pipelining="pipelining" in offered,
        dsn="dsn" in offered,
        # RCPTMAX is at least one, and one is all that we ever name.
        mail_max=_number(limits.get("MAILMAX", "")),
        domain_max=_number(limits.get("RCPTDOMAINMAX", "")),
    )


def _number(digits: str) -> int:
    return int(digits) if digits.isdecimal() and digits.isascii() and len(digits) <= _LONGEST_NUMBER else 0


def _reply(phase: Phase, code: int, text: bytes | str) -> Reply:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    # smtplib says -1 when it could not read the code.
    return parse_reply(max(code, 0), words.splitlines(), phase=phase)


def _where(relay: Relay, *, begin: bool = True) -> str:
    return f"{'The' if begin else 'the'} mail server {relay.host}:{relay.port}"


def _absent(relay: Relay, why: str) -> str:
    return f"{_where(relay)} cannot be reached: {why}."


def _reason(trouble: Exception) -> str:
    if isinstance(trouble, socket.gaierror | UnicodeError):
        return "the host name does not resolve"
    if isinstance(trouble, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(trouble, TimeoutError) or "timed out" in str(trouble):
        return "it does not answer"
    if isinstance(trouble, smtplib.SMTPServerDisconnected):
        return "it hung up without a greeting"
    return words_of(trouble)
