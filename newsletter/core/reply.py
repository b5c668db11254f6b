"""What an SMTP server said, as a value, and what it means.

In: a `Reply` and the phase in which it came. Out: a `Verdict`. Nothing here raises for a bad reply: a refusal is data.
Sources: RFC 5321 §4.2, RFC 3463 and the IANA registry of enhanced codes (RFC 5248), RFC 7372, RFC 7505.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

TEXT_LIMIT = 1000


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


_ENHANCED = re.compile(r"\A([245]\.\d{1,3}\.\d{1,3})(?:\s+|\Z)")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def parse_reply(code: int, lines: Sequence[str], *, phase: Phase) -> Reply:
    """Make a value of a reply: split off the enhanced code of its lines (RFC 2034 §4), join and tame the text."""
    enhanced = ""
    texts = []
    for line in lines:
        found = _ENHANCED.match(line.strip())
        if found:
            enhanced = enhanced or found[1]
        texts.append(line.strip()[found.end() :] if found else line.strip())
    # The text goes into logs and onto terminals: a server must not be able to draw there.
    text = _CONTROLS.sub(" ", " ".join(texts)).strip()
    return Reply(phase=phase, code=code, enhanced=enhanced, text=text[:TEXT_LIMIT])


def judge(reply: Reply) -> Verdict:
    """Tell what a reply means: the first rule of `RULES` that fits decides. Total: it never raises."""
    rule = next(rule for rule in _rules_for(reply.phase, reply.code) if rule.fits(reply))
    effect = rule.effect or (Effect.DEFER if 400 <= reply.code < 500 else Effect.REJECT)  # noqa: PLR2004 - RFC 5321 §4.2.1
    return Verdict(
        effect=effect,
        kind=rule.kind,
        relay=_at_least(rule.relay, reply),
        rule=rule.name,
        plain=rule.plain,
        suppress=rule.suppress,
    )


def _at_least(relay: RelayAction, reply: Reply) -> RelayAction:
    """Back off when the relay itself is in trouble: it closes the channel (421), or takes no sender (4yz to MAIL)."""
    closing = reply.code == 421 or (reply.phase is Phase.MAIL and 400 <= reply.code < 500)  # noqa: PLR2004 - RFC 5321 §4.2.3
    return RelayAction.BACK_OFF if closing and relay is RelayAction.GO_ON else relay


_SESSION = frozenset({Phase.CONNECT, Phase.EHLO, Phase.STARTTLS, Phase.AUTH})
_MESSAGE = frozenset({Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.DOT})
_PERSON = frozenset({Phase.RCPT, Phase.DATA, Phase.DOT})
_ALL = _SESSION | _MESSAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of the table: every condition that is given must hold."""

    name: str
    phases: frozenset[Phase] = _PERSON
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


@functools.lru_cache(maxsize=256)
def _rules_for(phase: Phase, code: int) -> tuple[Rule, ...]:
    """Return the rules about this step and code, in order; the same few of these come a million times an edition."""
    return tuple(rule for rule in RULES if phase in rule.phases and re.fullmatch(rule.codes, f"{code:03d}"))


def _listed(code: str, wanted: str) -> bool:
    parts = code.split(".")
    return any(
        len(parts) == len(want) and all(b in ("x", a) for a, b in zip(parts, want, strict=True))
        for want in (entry.split(".") for entry in wanted.split())
    )


# A table is read by its lines.
# fmt: off
_NO_ONE = Effect.REQUEUE
_STOP, _PAUSE, _BACK_OFF, _RECONNECT = (
    RelayAction.STOP, RelayAction.PAUSE_EDITION, RelayAction.BACK_OFF, RelayAction.RECONNECT,
)
_MAIL, _RCPT = frozenset({Phase.MAIL}), frozenset({Phase.RCPT})
_CONTENT = frozenset({Phase.DATA, Phase.DOT})

RULES: tuple[Rule, ...] = (
    # The usual case first. Only a 2yz after the final dot means that the server has taken responsibility (§4.1.1.4).
    Rule(name="phase:dot-2yz", phases=frozenset({Phase.DOT}), codes="2..", may_be_delivered=False,
         kind=ReplyClass.OK, effect=Effect.ACCEPT, plain="Handed to the mail provider."),

    # No reply: what is unknown, and what is certainly not delivered.
    Rule(name="lost:after-dot", phases=_ALL, may_be_delivered=True,
         kind=ReplyClass.UNKNOWN, effect=Effect.UNKNOWN, relay=_RECONNECT,
         plain="The connection was lost after the whole message was written: it may or may not have arrived."),

    # Our own refusals: code 0 with an enhanced code; nothing was put on the wire.
    Rule(name="own:5.1.7", codes="000", enhanced="5.1.7", phases=_MAIL,
         kind=ReplyClass.CONFIGURATION, effect=_NO_ONE, relay=_PAUSE, plain="Our sender address is malformed."),
    Rule(name="own:5.3.4", codes="000", enhanced="5.3.4", phases=_MAIL,
         kind=ReplyClass.CONTENT, effect=_NO_ONE, relay=_PAUSE, plain="The message is larger than the relay takes."),
    Rule(name="own:5.1.3", codes="000", enhanced="5.1.3", phases=_RCPT, suppress=True,
         kind=ReplyClass.HARD, effect=Effect.REJECT, plain="The address is malformed."),
    Rule(name="own:5.6.7", codes="000", enhanced="5.6.7", phases=_RCPT,
         kind=ReplyClass.CAPABILITY, effect=Effect.REJECT,
         plain="The address needs international mail (SMTPUTF8), which the relay does not offer."),
    Rule(name="own:5.6.0", codes="000", enhanced="5.6.0", phases=_CONTENT,
         kind=ReplyClass.CONTENT, effect=Effect.REJECT, plain="The message was not built correctly."),
    Rule(name="own:tls", codes="000", enhanced="5.7.5 5.7.10", phases=frozenset({Phase.STARTTLS}),
         kind=ReplyClass.CONFIGURATION, effect=_NO_ONE, relay=_STOP,
         plain="The relay offers no encryption that we can trust."),
    Rule(name="own:login", codes="000", enhanced="5.7.4 5.7.8", phases=frozenset({Phase.AUTH}),
         kind=ReplyClass.CONFIGURATION, effect=_NO_ONE, relay=_STOP,
         plain="The relay offers no login that we can use."),
    Rule(name="lost:session", codes="000", phases=_SESSION,
         kind=ReplyClass.SYSTEM, effect=_NO_ONE, relay=_BACK_OFF, plain="The relay cannot be reached."),
    Rule(name="lost:before-dot", codes="000", phases=_MESSAGE - {Phase.DOT},
         kind=ReplyClass.SYSTEM, effect=_NO_ONE, relay=_RECONNECT,
         plain="The connection was lost before the message was complete: it was not delivered."),

    # Opening a session: no person is concerned, whatever the server says.
    Rule(name="phase:auth-5yz", codes="5..", phases=frozenset({Phase.AUTH}),
         kind=ReplyClass.CONFIGURATION, effect=_NO_ONE, relay=_STOP, plain="The relay refuses our login."),
    Rule(name="phase:starttls-5yz", codes="5..", phases=frozenset({Phase.STARTTLS}),
         kind=ReplyClass.CONFIGURATION, effect=_NO_ONE, relay=_STOP, plain="The relay refuses encryption."),
    Rule(name="phase:session", phases=_SESSION,
         kind=ReplyClass.SYSTEM, effect=_NO_ONE, relay=_BACK_OFF, plain="The relay does not take our connection now."),

    # Quotas and rates: ours with the relay, then the mailbox's. They defer, even where a server says 5yz.
    Rule(name="text:quota-day", codes="[45]..", phases=_MESSAGE,
         text=r"daily (message|user|sending)\b.*(quota|limit)|\b(quota|limit) for the day|per.day (quota|limit)",
         kind=ReplyClass.RATE, effect=Effect.DEFER, relay=_BACK_OFF, plain="The day's quota at the relay is used up."),
    Rule(name="text:quota-rate", codes="[45]..", phases=_MESSAGE,
         text=r"maximum sending rate|throttling failure",
         kind=ReplyClass.RATE, effect=Effect.DEFER, relay=_BACK_OFF, plain="We send faster than the relay allows."),
    Rule(name="text:messages-per-connection", codes="4..", phases=_MESSAGE,
         text=r"(messages|transactions|mails|e-?mails) (in|on|over|per|for) (this |one |a |each |the )?(smtp )?"
              r"(connection|session)",
         kind=ReplyClass.RATE, relay=_RECONNECT, plain="The relay wants a new connection after so many messages."),
    Rule(name="text:mailbox-rate", codes="[45]..",
         text=r"receiving (e?-?mails?|messages?) (at a rate|too (quickly|fast))",
         kind=ReplyClass.RATE, effect=Effect.DEFER, plain="The mailbox is getting too much mail at the moment."),
    Rule(name="x.5.3", codes="[45]..", enhanced="4.5.3 5.5.3",
         kind=ReplyClass.RATE, effect=Effect.DEFER, relay=_RECONNECT,
         plain="Too many recipients at once for this server."),
    Rule(name="text:too-many-recipients", codes="4..|55.", text=r"too many recipients",
         kind=ReplyClass.RATE, effect=Effect.DEFER, relay=_RECONNECT,
         plain="Too many recipients at once for this server."),

    # Our login or sender, said late: no recipient is to blame.
    Rule(name="530", codes="53[058]", phases=_MESSAGE,
         kind=ReplyClass.CONFIGURATION, effect=_NO_ONE, relay=_STOP, plain="The relay wants another login or TLS."),
    Rule(name="5.7.8", codes="5..", enhanced="5.7.8", phases=_MESSAGE,
         kind=ReplyClass.CONFIGURATION, effect=_NO_ONE, relay=_STOP, plain="The relay refuses our login."),
    Rule(name="phase:mail-5yz", codes="5..", phases=_MAIL,
         kind=ReplyClass.CONFIGURATION, effect=_NO_ONE, relay=_PAUSE,
         plain="The relay refuses our sender, the size, or our permission to send."),
    Rule(name="5.1.7", codes="5..", enhanced="5.1.7 5.1.8 5.7.27",
         kind=ReplyClass.CONFIGURATION, effect=_NO_ONE, relay=_PAUSE, plain="Our sender address is refused."),
    Rule(name="text:identity-not-verified", codes="5..", text=r"email address is not verified",
         kind=ReplyClass.CONFIGURATION, effect=_NO_ONE, relay=_PAUSE,
         plain="The relay has not verified our sender address yet."),

    # Full mailboxes defer until they expire; one that nobody empties is given up.
    Rule(name="text:full-and-inactive", codes="5..", suppress=True,
         text=r"(full|over.?quota|out of storage).{0,60}inactive|inactive.{0,60}(full|over.?quota|out of storage)",
         kind=ReplyClass.HARD, plain="The mailbox is full and no longer used."),
    Rule(name="x.2.2", codes="[45]..", enhanced="4.2.2 5.2.2",
         kind=ReplyClass.MAILBOX_FULL, effect=Effect.DEFER, plain="The mailbox is full."),
    Rule(name="x.3.4", codes="[45]..", enhanced="4.2.3 5.2.3 4.3.4 5.3.4 4.7.16 5.7.16",
         kind=ReplyClass.CONTENT, plain="The message is too large for this mailbox."),
    Rule(name="text:too-large", codes="[45]..", enhanced="none x.0.0",
         text=r"\b(message|mail|data|content)\b.{0,30}(too (large|big|much|long)|size|exceeds fixed)"
              r"|too much mail data",
         kind=ReplyClass.CONTENT, plain="The message is too large for this mailbox."),
    Rule(name="text:mailbox-full", codes="4..|55[0-5]",
         text=r"(mail ?box|in-?box|account) (is |has )?(full|over)|over.?quota|quota.{0,20}exceed|exceed.{0,30}quota"
              r"|storage (limit|allocation)|out of storage|not enough (disk )?space",
         kind=ReplyClass.MAILBOX_FULL, effect=Effect.DEFER, plain="The mailbox is full."),
    Rule(name="552", codes="552", enhanced="none", phases=_RCPT,
         kind=ReplyClass.MAILBOX_FULL, effect=Effect.DEFER, plain="The mailbox is full."),

    # Transient replies: greylisting, throttling, and servers in trouble. All defer; the class says why.
    Rule(name="text:greylisted", codes="4..", text=r"gr[ae]y.?list", phases=_MESSAGE,
         kind=ReplyClass.GREYLISTED, plain="The server asks unknown senders to come again later (greylisting)."),
    Rule(name="text:rate", codes="4..", phases=_MESSAGE,
         text=r"\brate\b|rate.?limit|throttl|too (fast|many (connections|messages|e?-?mails|concurrent))|concurrent"
              r"|\[?\bTSS?\d\d\b|\bRP-00\d|unusual (rate|amount)",
         kind=ReplyClass.RATE, relay=_BACK_OFF, plain="The server wants our mail more slowly."),
    Rule(name="4.7.28", codes="4..", enhanced="4.7.28", phases=_MESSAGE,
         kind=ReplyClass.RATE, relay=_BACK_OFF, plain="The server wants our mail more slowly."),
    Rule(name="4.7.23-32", codes="4..", phases=_MESSAGE,
         enhanced="4.7.9 4.7.20 4.7.21 4.7.22 4.7.23 4.7.24 4.7.25 4.7.26 4.7.27 4.7.29 4.7.30 4.7.31 4.7.32 4.7.40",
         kind=ReplyClass.AUTHENTICATION,
         plain="The server could not confirm who we are (SPF, DKIM, DMARC, PTR or TLS)."),
    Rule(name="4.3.1", codes="4..", enhanced="4.3.1", phases=_MAIL | _CONTENT,
         kind=ReplyClass.SYSTEM, relay=_BACK_OFF, plain="The server has no room at the moment."),
    Rule(name="text:no-storage", codes="4..", phases=_MAIL | _CONTENT,
         text=r"insufficient (system )?(storage|resources)",
         kind=ReplyClass.SYSTEM, relay=_BACK_OFF, plain="The server has no room at the moment."),
    Rule(name="4.3.x", codes="4..", enhanced="4.3.x 4.4.x", phases=_MESSAGE,
         kind=ReplyClass.SYSTEM, plain="The server is busy or cannot be reached at the moment."),
    Rule(name="4.7.0", codes="4..", enhanced="4.7.0 4.7.1",
         kind=ReplyClass.GREYLISTED, plain="The server asks us to come again later."),
    Rule(name="421", codes="421", phases=_MESSAGE,
         kind=ReplyClass.SYSTEM, relay=_BACK_OFF, plain="The server is closing the connection."),
    Rule(name="454", codes="454", phases=_MESSAGE,
         kind=ReplyClass.SYSTEM, relay=_BACK_OFF, plain="The relay cannot take mail at the moment."),
    Rule(name="phase:rcpt-450", codes="45[01]", enhanced="none", phases=_RCPT,
         kind=ReplyClass.GREYLISTED, plain="The server asks us to come again later."),
    Rule(name="phase:any-4yz", codes="4..", phases=_MESSAGE,
         kind=ReplyClass.SOFT, plain="The server cannot take the message at the moment."),

    # Blocks, before anything that ends a subscription: nobody loses it because we, or our relay, are on a list.
    Rule(name="text:blocked", codes="5..",
         text=r"\bspam|spamhaus|block.?list|black.?list|deny.?list|\bblocked\b|\blisted\b|reputation"
              r"|\b(SC|OU|DY)-\d{3}",
         kind=ReplyClass.POLICY, plain="The server blocks our mail."),
    Rule(name="5.7.26", codes="5..",
         enhanced="5.7.9 5.7.20 5.7.21 5.7.22 5.7.23 5.7.24 5.7.25 5.7.26 5.7.29 5.7.30 5.7.31 5.7.32 5.7.40 5.7.515",
         kind=ReplyClass.AUTHENTICATION,
         plain="The server could not confirm who we are (SPF, DKIM, DMARC, PTR or TLS)."),

    # The mailbox is gone: the only rules that end a subscription.
    Rule(name="5.1.1", codes="5..", enhanced="5.1.1", suppress=True,
         kind=ReplyClass.HARD, plain="The mailbox does not exist."),
    Rule(name="5.1.3", codes="5..", enhanced="5.1.3", suppress=True,
         kind=ReplyClass.HARD, plain="The address is malformed."),
    Rule(name="5.1.10", codes="5..", enhanced="5.1.10", suppress=True,
         kind=ReplyClass.HARD, plain="The domain takes no mail at all (null MX)."),
    Rule(name="556", codes="556", suppress=True,
         kind=ReplyClass.HARD, plain="The domain takes no mail at all (null MX)."),
    Rule(name="5.1.6", codes="5..", enhanced="5.1.6 5.7.17 5.7.18", suppress=True,
         kind=ReplyClass.HARD, plain="The mailbox has moved or belongs to somebody else now."),
    Rule(name="5.7.13", codes="5..", enhanced="5.7.13", suppress=True,
         kind=ReplyClass.HARD, plain="The account is disabled."),
    Rule(name="525", codes="525", suppress=True,
         kind=ReplyClass.HARD, plain="The account is disabled."),
    Rule(name="5.2.1-disabled", codes="5..", enhanced="5.2.0 5.2.1", text=r"disabled|inactive|deactivated",
         suppress=True,
         kind=ReplyClass.HARD, plain="The mailbox is disabled."),
    Rule(name="text:user-unknown", codes="55[0134]", enhanced="none 5.0.0 5.1.0 5.5.0", suppress=True,
         text=r"^(?!.*\b(sender|helo)\b).*"
              r"((user|mail ?box|recipient|account|addressee)\b.{0,30}"
              r"(unknown|not found|(does not|doesn'?t) exist|no longer)"
              r"|(unknown|no such) (user|mail ?box|recipient|address|account|person))",
         kind=ReplyClass.HARD, plain="The mailbox does not exist."),
    Rule(name="5.1.2", codes="5..", enhanced="5.1.2 5.4.4",
         kind=ReplyClass.HARD_DOMAIN, plain="The domain does not exist or takes no mail."),

    # Refused for good, this time: nobody is suppressed.
    Rule(name="5.2.1", codes="5..", enhanced="5.2.0 5.2.1", kind=ReplyClass.SOFT, plain="The mailbox takes no mail."),
    Rule(name="5.1.4", codes="5..", enhanced="5.1.4 5.2.4 5.7.2",
         kind=ReplyClass.SOFT, plain="The address is ambiguous, or a list that we may not write to."),
    Rule(name="5.3.2", codes="5..", enhanced="5.3.2 5.4.7",
         kind=ReplyClass.SYSTEM, effect=Effect.DEFER, plain="The receiving system takes no mail at the moment."),
    Rule(name="5.6.7", codes="5..", enhanced="5.6.7 5.6.8 5.6.9",
         kind=ReplyClass.CAPABILITY, plain="The address needs international mail (SMTPUTF8), which a server lacks."),
    Rule(name="5.6.x", codes="5..", enhanced="5.6.x",
         kind=ReplyClass.CONTENT, plain="The server objects to how the message is built."),
    Rule(name="5.7.x", codes="5..", enhanced="5.7.x",
         kind=ReplyClass.POLICY, plain="The server's rules refuse our mail."),
    Rule(name="5.x.x", codes="5..", enhanced="5.1.9 5.3.x 5.4.x 5.5.x",
         kind=ReplyClass.SYSTEM, plain="The receiving system made a mistake or could not deliver."),
    Rule(name="503", codes="50.", kind=ReplyClass.SYSTEM, plain="The server did not understand us."),
    Rule(name="phase:content-5yz", codes="5..", phases=_CONTENT,
         kind=ReplyClass.POLICY, plain="The server refuses this message."),
    Rule(name="phase:rcpt-5yz", codes="5..", phases=_RCPT,
         kind=ReplyClass.UNKNOWN, plain="The server refuses this address without a reason that we know."),

    # Nonsense: after the dot the outcome is unknown; before it nothing was delivered. The session is out of step.
    Rule(name="phase:dot-nonsense", phases=frozenset({Phase.DOT}),
         kind=ReplyClass.UNKNOWN, effect=Effect.UNKNOWN, relay=_BACK_OFF,
         plain="The server's answer to the whole message makes no sense: it may or may not have arrived."),
    Rule(name="phase:nonsense", phases=_MESSAGE,
         kind=ReplyClass.SYSTEM, effect=Effect.DEFER, relay=_RECONNECT,
         plain="The server's answer makes no sense: the message was not delivered."),
)
"""In order of evidence: phase and loss, the provider's own words, enhanced code, reply code, at last the unknown."""
# fmt: on
