"""One transaction as bytes: what is said about an envelope, and whether it may be said at all.

In: an `Envelope` and what the relay offers. Out: the commands MAIL and RCPT, or our own refusal as a `Reply`. It never
touches a socket.
"""

from __future__ import annotations

import re

from newsletter.core.reply import Phase, Reply
from newsletter.transport.base import Envelope
from newsletter.transport.session import Features

_UNFIT = re.compile(r"[\x00-\x20\x7f-\xa0<>\u2028\u2029\ud800-\udfff]").search
"""What would end an address, a parameter or the command line early."""

_NOT_XTEXT = re.compile(r"[^!-~]|[+=]")
"""What RFC 3461 §4 wants written as `+` and two hexadecimal digits."""

_LONGEST_ID = 100
"""RFC 3461 §4.4."""


def unfit(envelope: Envelope, features: Features) -> Reply | None:
    """Refuse what must not or cannot go over this wire. Code 0 with an enhanced code marks the refusal as our own."""
    if not envelope.mail_from or _UNFIT(envelope.mail_from):
        return _refusal(Phase.MAIL, "5.1.7", "the envelope sender is malformed")
    if not envelope.rcpt_to or _UNFIT(envelope.rcpt_to):
        return _refusal(Phase.RCPT, "5.1.3", "the address is malformed")
    if not features.smtputf8 and _needs_smtputf8(envelope):
        return _refusal(Phase.RCPT, "5.6.7", "the relay does not offer SMTPUTF8, which this address needs")
    if not envelope.fit and not _is_fit(envelope.content):
        return _refusal(Phase.DATA, "5.6.0", "the content is not ready for the wire")
    content = envelope.content
    if features.size_limit and len(content) > features.size_limit:
        text = f"the message has {len(content):,} bytes, the relay takes {features.size_limit:,}"
        return _refusal(Phase.MAIL, "5.3.4", text)
    return None


def _is_fit(content: bytes) -> bool:
    """Tell whether content can go over the wire as it is.

    A line that begins with a dot would lose it, and a lone dot would end the message there; the rest of the content
    would then be read as commands. It is searched from the end, since CPython's loop for that is the faster one, and
    costs some microseconds all the same; hence `Envelope.fit`.
    """
    return content.endswith(b"\r\n") and not content.startswith(b".") and content.rfind(b"\n.") < 0


def mail(envelope: Envelope, features: Features) -> str:
    """Return the command that opens the transaction, without its line end."""
    line = f"MAIL FROM:<{envelope.mail_from}>"
    if features.size:
        line += f" SIZE={len(envelope.content)}"
    if features.eight_bit and not (_is_known_ascii(envelope) or envelope.content.isascii()):
        line += " BODY=8BITMIME"
    if features.smtputf8 and _needs_smtputf8(envelope):
        line += " SMTPUTF8"
    if features.dsn and envelope.envelope_id:
        # A report needs no more of the message than its header: ours is known by the id.
        line += " RET=HDRS"
        if len(name := _xtext(envelope.envelope_id)) <= _LONGEST_ID:
            line += f" ENVID={name}"
    return line


def rcpt(envelope: Envelope, features: Features) -> str:
    """Return the command that names the recipient, without its line end."""
    line = f"RCPT TO:<{envelope.rcpt_to}>"
    if features.dsn and envelope.envelope_id:
        # Delays are not asked for: a relay that keeps trying is doing what it should.
        line += " NOTIFY=FAILURE"
        if envelope.rcpt_to.isascii():
            line += f" ORCPT=rfc822;{_xtext(envelope.rcpt_to)}"
    return line


def group(envelope: Envelope, features: Features) -> bytes:
    """Return the commands up to DATA as one piece, for a relay that takes them so (RFC 2920 §3.1)."""
    return f"{mail(envelope, features)}\r\n{rcpt(envelope, features)}\r\nDATA\r\n".encode()


def domain(envelope: Envelope) -> str:
    """Return the domain of the recipient."""
    return envelope.rcpt_to.rpartition("@")[2].lower()


def _refusal(phase: Phase, enhanced: str, text: str) -> Reply:
    return Reply(phase=phase, enhanced=enhanced, text=f"not sent: {text}")


def _needs_smtputf8(envelope: Envelope) -> bool:
    return envelope.smtputf8 or not (envelope.mail_from.isascii() and envelope.rcpt_to.isascii())


def _is_known_ascii(envelope: Envelope) -> bool:
    """Tell whether the content is ASCII without reading 20 KB of it: a fit one is, but for headers in UTF-8."""
    return envelope.fit and not envelope.smtputf8


def _xtext(text: str) -> str:
    if _NOT_XTEXT.search(text) is None:
        return text
    return _NOT_XTEXT.sub(lambda match: "".join(f"+{byte:02X}" for byte in match[0].encode()), text)
