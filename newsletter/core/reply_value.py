"""The values around a reply of an SMTP server: the reply, what a rule says of it, and the verdict.

In: nothing. Out: the types that `core/reply.py` judges with and `core/reply_rules.py` is written in.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """The step of an SMTP session that a reply answers (RFC 5321 §3)."""

    CONNECT = "connect"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"
    """After the final dot: the reply that decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back for one transaction: the deciding reply, or the lack of one."""

    phase: Phase
    code: int = 0
    """Three-digit reply code; 0 when the connection ended, or timed out, without a reply."""
    enhanced: str = ""
    """Enhanced status code such as `5.1.1` (RFC 3463), empty when there was none.

    With code 0 it is ours: we refused to put this on the wire, and the code says why.
    """
    text: str = ""
    """The server's words, lines joined by a blank, at most 1,000 characters; or ours when there was no reply."""
    may_be_delivered: bool = False
    """True when content and final dot may have reached the server and no reply was read: the unknown outcome."""


class Effect(StrEnum):
    """What a verdict does to a delivery."""

    ACCEPT = "accept"
    REJECT = "reject"
    DEFER = "defer"
    UNKNOWN = "unknown"
    """The message may or may not have been taken: `uncertain`."""
    REQUEUE = "requeue"
    """The relay's trouble, not this person's: back to the queue without a penalty."""


class ReplyClass(StrEnum):
    """Whose fault it is, and so who hears of it (table in `docs/replies.md`)."""

    OK = "ok"
    HARD = "hard"
    HARD_DOMAIN = "hard-domain"
    PROVISIONAL = "provisional"
    SOFT = "soft"
    MAILBOX_FULL = "mailbox-full"
    GREYLISTED = "greylisted"
    RATE = "rate"
    POLICY = "policy"
    AUTHENTICATION = "authentication"
    CONTENT = "content"
    CONFIGURATION = "configuration"
    CAPABILITY = "capability"
    SYSTEM = "system"
    RELAY = "relay"
    UNKNOWN = "unknown"


class RelayAction(StrEnum):
    """What the sender does with the relay or the edition after this reply."""

    GO_ON = "go-on"
    RECONNECT = "reconnect"
    """Close this connection and open another."""
    BACK_OFF = "back-off"
    """Close, and wait before the next connection."""
    PAUSE_EDITION = "pause-edition"
    """Our sender, content or permission is refused: go no further, tell a person."""
    STOP = "stop"
    """The relay refuses our login: nothing can be sent until an operator acts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a reply means."""

    effect: Effect
    kind: ReplyClass
    relay: RelayAction = RelayAction.GO_ON
    rule: str
    """Id of the rule that decided, such as `5.1.1` or `phase:dot-4yz`."""
    plain: str
    """The same in plain language, for people: `The mailbox does not exist.`"""
    suppress: bool = False
    """True when the address must not be mailed again (the subscriber becomes `bounced`)."""


SESSION = frozenset({Phase.CONNECT, Phase.EHLO, Phase.STARTTLS, Phase.AUTH})
MESSAGE = frozenset({Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.DOT})
PERSON = frozenset({Phase.RCPT, Phase.DATA, Phase.DOT})
ALL = SESSION | MESSAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of the table: every condition that is given must hold."""

    name: str
    phases: frozenset[Phase] = PERSON
    codes: str = ".*"
    """Pattern for the whole reply code; `000` is no reply."""
    enhanced: str = ""
    """Enhanced codes, separated by blanks; `x` stands for any number, `none` for no enhanced code."""
    text: str = ""
    """Pattern searched in the text, in any case of letters."""
    may_be_delivered: bool | None = None
    kind: ReplyClass
    effect: Effect | None = None
    """None: 4yz defers, anything else rejects."""
    relay: RelayAction = RelayAction.GO_ON
    plain: str
    suppress: bool = False

    def fits(self, reply: Reply) -> bool:
        """Tell whether the rest holds too: what is known of the dot, the enhanced code and the text."""
        return (
            (self.may_be_delivered is None or self.may_be_delivered == reply.may_be_delivered)
            and (not self.enhanced or _listed(reply.enhanced or "none", self.enhanced))
            and (not self.text or re.search(self.text, reply.text, re.IGNORECASE) is not None)
        )


@functools.lru_cache(maxsize=4096)
def _listed(code: str, expected: str) -> bool:
    parts = code.split(".")
    return any(
        len(parts) == len(want) and all(b in ("x", a) for a, b in zip(parts, want, strict=True))
        for want in (entry.split(".") for entry in expected.split())
    )
