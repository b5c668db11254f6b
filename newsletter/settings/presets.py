"""What well-known mail servers bear: connections at a time, and messages and seconds a connection.

In: the name an operator wrote. Out: a `Preset`. It names no host and decides nothing: a setting of the operator's own
wins, and no server is guessed from its name or its greeting.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """How much of one kind of server may be used."""

    connections: int = 4
    messages: int = 100
    """A connection is recycled after so many, well before the server would end it."""
    seconds: int = 60
    """A connection is recycled at this age, so that a balancer behind one name gets its chance."""


PRESETS: dict[str, Preset] = {
    "none": Preset(),
    # smtpd_client_connection_count_limit 50, no limit on the messages of a connection (postconf(5)).
    "postfix": Preset(connections=10, messages=1000, seconds=300),
    # smtp_accept_max 20 in all, smtp_accept_max_per_connection 1000 (Exim specification, main options).
    "exim": Preset(connections=8, messages=900, seconds=300),
    # No PIPELINING: round trips are what takes the time, so it needs more connections. AWS asks to renew them now and
    # then, caps their number by account (421), and hangs up after 10 s without a word.
    "ses": Preset(connections=10, messages=500),
    # At most 5,000 messages a connection and 10,000 connections (SendGrid, "Integrating with the SMTP API").
    "sendgrid": Preset(connections=10, messages=5000, seconds=300),
    # Mailgun's own advice, as KumoMTA's shaping file carries it: many connections of 3 messages.
    "mailgun": Preset(connections=20, messages=3),
    # 10 connections, 50 messages each; beyond that 421 4.4.5 (SocketLabs, "SMTP sending limits").
    "socketlabs": Preset(connections=10, messages=50),
    # smtp-relay.gmail.com limits recipients a day and in ten minutes, not connections: a modest number.
    "gmail": Preset(connections=5),
    # Client submission: 3 connections, 30 messages a minute, 10,000 recipients a day (Exchange Online limits).
    "office365": Preset(connections=3, messages=30),
}
"""By the name in NEWSLETTER_SMTP_PRESET. Sources as of 2026; each figure stays below the limit it rests on."""
