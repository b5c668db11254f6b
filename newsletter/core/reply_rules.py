"""The table that says what an SMTP reply means: the first rule that fits decides.

In: nothing. Out: `RULES`, which `core/reply.py` reads and `docs/replies.md` shows. Order of evidence: the step and a
lost connection, the words of providers we know, enhanced codes, reply codes with their step, common words, the unknown.
Sources: RFC 5321 §4.2 and §4.5.3, RFC 3463 and the IANA registry of enhanced codes (RFC 5248), RFC 7372, RFC 7505, and
the pages of Gmail, Yahoo, Microsoft and Amazon about the codes they send.
"""

from __future__ import annotations

from newsletter.core.reply_patterns import (
    ACCOUNT_REFUSED,
    BLOCKED,
    GAVE_UP,
    GAVE_UP_FOR_NOW,
    MAILBOX_FULL,
    NOT_THE_MAILBOX,
    OUR_QUOTA,
    POLICY_REFUSED,
    RECIPIENT_RESTRICTS,
    SENDER_REFUSED,
    SERVER_FAULT,
    USER_UNKNOWN,
)
from newsletter.core.reply_value import ALL, MESSAGE, SESSION, Effect, Phase, RelayAction, ReplyClass, Rule

# A table is read by its lines.
# fmt: off
_REQUEUE = Effect.REQUEUE
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
    Rule(name="lost:after-dot", phases=ALL, may_be_delivered=True,
         kind=ReplyClass.UNKNOWN, effect=Effect.UNKNOWN, relay=_RECONNECT,
         plain="The connection was lost after the whole message was written: it may or may not have arrived."),

    # Our own refusals: code 0 with an enhanced code; nothing was put on the wire.
    Rule(name="own:5.1.7", codes="000", enhanced="5.1.7", phases=_MAIL,
         kind=ReplyClass.CONFIGURATION, effect=_REQUEUE, relay=_PAUSE, plain="Our sender address is malformed."),
    Rule(name="own:5.3.4", codes="000", enhanced="5.3.4", phases=_MAIL,
         kind=ReplyClass.CONTENT, effect=_REQUEUE, relay=_PAUSE,
         plain="The message is larger than the relay takes."),
    Rule(name="own:5.1.3", codes="000", enhanced="5.1.3", phases=_RCPT, suppress=True,
         kind=ReplyClass.HARD, effect=Effect.REJECT, plain="The address is malformed."),
    Rule(name="own:5.6.7", codes="000", enhanced="5.6.7", phases=_RCPT,
         kind=ReplyClass.CAPABILITY, effect=Effect.REJECT,
         plain="The address needs international mail (SMTPUTF8), which the relay does not offer."),
    Rule(name="own:5.6.0", codes="000", enhanced="5.6.0", phases=_CONTENT,
         kind=ReplyClass.CONTENT, effect=Effect.REJECT, plain="The message was not built correctly."),
    Rule(name="own:tls", codes="000", enhanced="5.7.5 5.7.10", phases=frozenset({Phase.STARTTLS}),
         kind=ReplyClass.CONFIGURATION, effect=_REQUEUE, relay=_STOP,
         plain="The relay offers no encryption that we can trust."),
    Rule(name="own:login", codes="000", enhanced="5.7.4 5.7.8", phases=frozenset({Phase.AUTH}),
         kind=ReplyClass.CONFIGURATION, effect=_REQUEUE, relay=_STOP,
         plain="The relay offers no login that we can use."),
    Rule(name="lost:session", codes="000", phases=SESSION,
         kind=ReplyClass.RELAY, effect=_REQUEUE, relay=_BACK_OFF, plain="The relay cannot be reached."),
    Rule(name="lost:before-dot", codes="000", phases=MESSAGE - {Phase.DOT},
         kind=ReplyClass.RELAY, effect=_REQUEUE, relay=_RECONNECT,
         plain="The connection was lost before the message was complete: it was not delivered."),

    # Opening a session: no person is concerned, whatever the server says.
    Rule(name="phase:auth-5yz", codes="5..", phases=frozenset({Phase.AUTH}),
         kind=ReplyClass.CONFIGURATION, effect=_REQUEUE, relay=_STOP, plain="The relay refuses our login."),
    Rule(name="phase:starttls-5yz", codes="5..", phases=frozenset({Phase.STARTTLS}),
         kind=ReplyClass.CONFIGURATION, effect=_REQUEUE, relay=_STOP, plain="The relay refuses encryption."),
    Rule(name="phase:session", phases=SESSION,
         kind=ReplyClass.RELAY, effect=_REQUEUE, relay=_BACK_OFF, plain="The relay does not take our connection now."),

    # Quotas and rates: ours with the relay, then the mailbox's. They defer, even where a server says 5yz.
    Rule(name="text:mailbox-rate", codes="[45]..",
         text=r"receiving (e?-?mails?|messages?) (at a rate|too (quickly|fast))"
              r"|\b(recipient|mail ?box|user|account)\b.{0,40}\b(receiv\w+|incoming)\b.{0,40}\b(rate|limit|quota)",
         kind=ReplyClass.RATE, effect=Effect.DEFER, plain="The mailbox is getting too much mail at the moment."),
    Rule(name="text:thread-limit", codes="4..", phases=MESSAGE, text=r"thread limit",
         kind=ReplyClass.RATE, effect=Effect.DEFER, relay=_BACK_OFF,
         plain="The relay takes fewer connections at once."),
    Rule(name="text:quota", codes="[45]..", phases=MESSAGE, text=OUR_QUOTA,
         kind=ReplyClass.RATE, effect=Effect.DEFER, relay=_BACK_OFF,
         plain="Our sending quota at the relay is used up."),
    Rule(name="text:quota-rate", codes="[45]..", phases=MESSAGE,
         text=r"maximum sending rate|throttl|(rate|frequency).?limit|(sending|message|submission|relay|outbound) rate",
         kind=ReplyClass.RATE, effect=Effect.DEFER, relay=_BACK_OFF, plain="We send faster than the relay allows."),
    Rule(name="text:messages-per-connection", codes="4..", phases=MESSAGE,
         text=r"(messages|transactions|mails|e-?mails) (in|on|over|per|for) (this |one |a |each |the )?(smtp )?"
              r"(connection|session)",
         kind=ReplyClass.RATE, relay=_RECONNECT, plain="The relay wants a new connection after so many messages."),
    Rule(name="text:idle", codes="4..", phases=MESSAGE, text=r"timeout waiting for (data|client)|idle time-?out",
         kind=ReplyClass.RELAY, relay=_RECONNECT, plain="The relay tired of an idle connection."),
    # One recipient a transaction: what is too many is what came before on this session, so a new one is opened.
    Rule(name="x.5.3", codes="[45]..", enhanced="4.5.3 5.5.3",
         kind=ReplyClass.RATE, effect=Effect.DEFER, relay=_RECONNECT,
         plain="Too many recipients at once for this server."),
    Rule(name="text:too-many-recipients", codes="4..|55.", text=r"too many recipients",
         kind=ReplyClass.RATE, effect=Effect.DEFER, relay=_RECONNECT,
         plain="Too many recipients at once for this server."),

    # Our login or sender, said late: no recipient is to blame. Gmail says 5.7.27 when SPF fails, RFC 7505 when our
    # domain takes no mail, so its words come before the code.
    Rule(name="text:gmail-spf", codes="5..", enhanced="5.7.27", text=r"\bSPF\b|not passed|authenticat",
         kind=ReplyClass.AUTHENTICATION,
         plain="The server could not confirm who we are (SPF, DKIM, DMARC, PTR or TLS)."),
    Rule(name="530", codes="53[058]", phases=MESSAGE,
         kind=ReplyClass.CONFIGURATION, effect=_REQUEUE, relay=_STOP, plain="The relay wants another login or TLS."),
    Rule(name="5.7.8", codes="5..", enhanced="5.7.8", phases=MESSAGE,
         kind=ReplyClass.CONFIGURATION, effect=_REQUEUE, relay=_STOP, plain="The relay refuses our login."),
    Rule(name="phase:mail-5yz", codes="5..", phases=_MAIL,
         kind=ReplyClass.CONFIGURATION, effect=_REQUEUE, relay=_PAUSE,
         plain="The relay refuses our sender, the size, or our permission to send."),
    Rule(name="5.1.7", codes="5..", enhanced="5.1.7 5.1.8 5.7.27",
         kind=ReplyClass.CONFIGURATION, effect=_REQUEUE, relay=_PAUSE, plain="Our sender address is refused."),
    Rule(name="text:account", codes="5..",
         text=ACCOUNT_REFUSED,
         kind=ReplyClass.CONFIGURATION, effect=_REQUEUE, relay=_PAUSE,
         plain="The relay has suspended our account."),
    Rule(name="text:account-5.7", codes="5..", enhanced="5.7.0 5.7.1",
         text=r"^(?!.*\b(recipient|mail ?box|user)\b).*\b(account (is |was |has been )?(suspended|disabled"
              r"|blocked|locked)"
              r"|unauthori[sz]ed account)",
         kind=ReplyClass.CONFIGURATION, effect=_REQUEUE, relay=_PAUSE, plain="The relay has suspended our account."),
    Rule(name="text:login-required", codes="5..", enhanced="none x.0.0 5.1.0 5.5.0 5.5.1 5.7.0 5.7.1 5.7.3 5.7.57",
         text=r"authentication (is )?required|(please|must|need to|turn on|use) (\w+ ){0,2}(authenticat\w+|log ?in)"
              r"|not (authenticated|logged in)\b.{0,20}(to send|to relay|anonymous)|unauthenticated (senders?|client)"
              r"|client was not authenticated",
         kind=ReplyClass.CONFIGURATION, effect=_REQUEUE, relay=_PAUSE,
         plain="The relay wants a login before it takes mail."),
    Rule(name="text:recipient-restricts", codes="5..",
         text=RECIPIENT_RESTRICTS,
         enhanced="5.7.x 5.2.1 5.1.0 5.0.0 none",
         kind=ReplyClass.POLICY, plain="The recipient takes mail from certain senders only."),
    Rule(name="text:sender-refused", codes="5..", text=SENDER_REFUSED,
         kind=ReplyClass.CONFIGURATION, effect=_REQUEUE, relay=_PAUSE, plain="The server refuses our sender address."),
    Rule(name="text:unverified-address", codes="5..",
         text=r"^(?!.*(unknown (user|address)|user unknown)).*(unverified address|address verification)",
         kind=ReplyClass.SYSTEM, effect=Effect.DEFER, plain="The server could not check the address."),

    # Full mailboxes defer until they expire; one that stays full is given up.
    Rule(name="text:full-and-inactive", codes="5..", suppress=True,
         text=r"(full|quota|out of storage).{0,60}inactive|inactive.{0,60}(full|quota|out of storage)",
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
         text=MAILBOX_FULL,
         kind=ReplyClass.MAILBOX_FULL, effect=Effect.DEFER, plain="The mailbox is full."),
    Rule(name="552", codes="552", enhanced="none", phases=_RCPT,
         kind=ReplyClass.MAILBOX_FULL, effect=Effect.DEFER, plain="The mailbox is full."),

    # Transient replies: greylisting, throttling, and servers in trouble. All defer; the class says why.
    Rule(name="text:greylisted", codes="4..", text=r"gr[ae]y.?list", phases=MESSAGE,
         kind=ReplyClass.GREYLISTED, plain="The server asks unknown senders to come again later (greylisting)."),
    Rule(name="text:rate", codes="4..", phases=MESSAGE,
         text=r"\brate\b|rate.?limit|throttl|too (fast|many (connections|messages|e?-?mails|concurrent))|concurrent"
              r"|\[?\bTSS?\d\d\b|\bRP-00\d|\b4\.7\.65[01]\b|unusual (rate|amount)",
         kind=ReplyClass.RATE, relay=_BACK_OFF, plain="The server wants our mail more slowly."),
    Rule(name="4.7.28", codes="4..", enhanced="4.7.28 4.7.650 4.7.651", phases=MESSAGE,
         kind=ReplyClass.RATE, relay=_BACK_OFF, plain="The server wants our mail more slowly."),
    Rule(name="4.7.23-32", codes="4..", phases=MESSAGE,
         enhanced="4.7.9 4.7.15 4.7.20 4.7.21 4.7.22 4.7.23 4.7.24 4.7.25 4.7.26 4.7.27 4.7.29 4.7.30 4.7.31 4.7.32"
                  " 4.7.40",
         kind=ReplyClass.AUTHENTICATION,
         plain="The server could not confirm who we are (SPF, DKIM, DMARC, PTR or TLS)."),
    Rule(name="4.3.1", codes="4..", enhanced="4.3.1", phases=_MAIL | _CONTENT,
         kind=ReplyClass.RELAY, relay=_BACK_OFF, plain="The server has no room at the moment."),
    Rule(name="text:no-storage", codes="4..", phases=_MAIL | _CONTENT,
         text=r"insufficient (system )?(storage|resources)",
         kind=ReplyClass.RELAY, relay=_BACK_OFF, plain="The server has no room at the moment."),
    Rule(name="4.3.x", codes="4..", enhanced="4.3.x 4.4.x", phases=MESSAGE,
         kind=ReplyClass.SYSTEM, plain="The server is busy or cannot be reached at the moment."),
    Rule(name="text:blocked-4yz", codes="4..", text=BLOCKED,
         kind=ReplyClass.POLICY, plain="The server blocks our mail at the moment."),
    Rule(name="text:gave-up-4yz", codes="4..", enhanced="none 4.0.0 4.1.0 4.5.0", phases=_RCPT,
         text=GAVE_UP_FOR_NOW,
         kind=ReplyClass.SYSTEM, plain="A server on the way cannot deliver at the moment."),
    Rule(name="4.2.1", codes="4..", enhanced="4.2.0 4.2.1",
         kind=ReplyClass.SOFT, plain="The mailbox takes no mail at the moment."),
    Rule(name="4.7.0", codes="4..", enhanced="4.7.0 4.7.1",
         kind=ReplyClass.GREYLISTED, plain="The server asks us to come again later."),
    Rule(name="421", codes="421", phases=MESSAGE,
         kind=ReplyClass.RELAY, relay=_BACK_OFF, plain="The server is closing the connection."),
    Rule(name="454", codes="454", phases=MESSAGE,
         kind=ReplyClass.RELAY, relay=_BACK_OFF, plain="The relay cannot take mail at the moment."),
    Rule(name="phase:rcpt-450", codes="45[01]", enhanced="none", phases=_RCPT,
         kind=ReplyClass.GREYLISTED, plain="The server asks us to come again later."),
    Rule(name="4.1.7", codes="4..", enhanced="4.1.7 4.1.8",
         kind=ReplyClass.CONFIGURATION, relay=_BACK_OFF, plain="Our sender address is not taken at the moment."),
    Rule(name="text:sender-4yz", codes="4..", phases=MESSAGE, text=SENDER_REFUSED,
         kind=ReplyClass.CONFIGURATION, relay=_BACK_OFF, plain="Our sender address is not taken at the moment."),
    Rule(name="4.1.x", codes="4..", enhanced="4.1.x 4.2.x 5.1.1",
         kind=ReplyClass.SOFT, plain="The mailbox takes no mail at the moment."),
    Rule(name="phase:any-4yz", codes="4..", phases=MESSAGE,
         kind=ReplyClass.SYSTEM, plain="The server cannot take the message at the moment."),

    # Blocks, before anything that ends a subscription: no reader loses it because we, or our relay, are on a list.
    Rule(name="5.7.26", codes="5..",
         enhanced="5.7.9 5.7.15 5.7.20 5.7.21 5.7.22 5.7.23 5.7.24 5.7.25 5.7.26 5.7.29 5.7.30 5.7.31 5.7.32 5.7.40"
                  " 5.7.515",
         kind=ReplyClass.AUTHENTICATION,
         plain="The server could not confirm who we are (SPF, DKIM, DMARC, PTR or TLS)."),
    Rule(name="text:unknown-here", codes="5..", enhanced="5.1.1", text=USER_UNKNOWN, suppress=True,
         kind=ReplyClass.HARD, plain="The mailbox does not exist."),
    Rule(name="text:blocked", codes="5..",
         text=BLOCKED,
         kind=ReplyClass.POLICY, plain="The server blocks our mail."),
    Rule(name="text:relay-denied", codes="5..",
         text=r"relay(ing)? (access )?(is )?(denied|not (permitted|allowed))|unable to relay"
              r"|not (permitted|allowed|authori[sz]ed|configured) to relay|we do not relay|list of allowed rcpthosts",
         kind=ReplyClass.CONFIGURATION, effect=_REQUEUE, relay=_PAUSE,
         plain="The relay does not let us send to this address (relaying denied)."),
    Rule(name="text:format", codes="5..", enhanced="none x.0.0 5.7.1",
         text=r"(invalid|missing|duplicate|malformed|multiple|encoded-word).{0,40}headers?\b"
              r"|not RFC.?(5322|2822|822) compliant",
         kind=ReplyClass.CONTENT, effect=_REQUEUE, relay=_PAUSE,
         plain="The server objects to how the message is built."),

    # The mailbox is gone: the only rules that end a subscription.
    Rule(name="5.1.1", codes="5..", enhanced="5.1.1", suppress=True,
         kind=ReplyClass.HARD, plain="The mailbox does not exist."),
    Rule(name="5.1.3", codes="5..", enhanced="5.1.3", suppress=True,
         kind=ReplyClass.HARD, plain="The address is malformed."),
    Rule(name="text:outlook-not-found", codes="550", enhanced="none 5.5.0", suppress=True,
         text=r"mailbox unavailable \(S\d{10}\)",
         kind=ReplyClass.HARD, plain="The mailbox does not exist."),
    Rule(name="text:exchange-not-found", codes="5..", enhanced="5.1.10", text=r"RecipientNotFound|recipient not found",
         suppress=True,
         kind=ReplyClass.HARD, plain="The mailbox does not exist."),
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
    Rule(name="5.2.1-disabled", codes="5..", enhanced="5.2.0 5.2.1",
         text=r"disabled|inactiv(e|ity)|deactivated|closed",
         suppress=True,
         kind=ReplyClass.HARD, plain="The mailbox is disabled."),
    Rule(name="text:disabled", codes="55[0134]", enhanced="none 5.0.0 5.1.0 5.5.0", suppress=True,
         text=r"^(?!.*\b(sender|sending|your (\w+ )?(account|mail ?box|user)|helo)\b).*"
              r"\b(user|mail ?box|account)\b.{0,30}\b(disabled|deactivated|terminated)",
         kind=ReplyClass.HARD, plain="The mailbox is disabled."),
    Rule(name="text:user-unknown", codes="511|55[0134]", suppress=True,
         enhanced="none 5.0.0 5.1.0 5.2.0 5.2.1 5.3.0 5.4.1 5.5.0 5.1.351 5.7.1",
         text=USER_UNKNOWN,
         kind=ReplyClass.HARD, plain="The mailbox does not exist."),
    Rule(name="5.1.2", codes="5..", enhanced="5.1.2 5.4.4",
         kind=ReplyClass.HARD_DOMAIN, plain="The domain does not exist or takes no mail."),
    Rule(name="text:domain-unknown", codes="55[0134]", enhanced="none 5.0.0 5.1.0 5.5.0",
         text=r"^(?!.*\b(helo|ehlo|try again|your (host|domain|server))\b).*"
              r"(\b(host|domain)\b.{0,30}\b(unknown|not found|(does not|doesn'?t) exist)"
              r"|\bno such (host|domain)\b|\bunknown (host|domain)\b"
              r"|unroute?able (mail |e-?mail )?(address|domain)|NXDOMAIN|dns lookup failure)",
         kind=ReplyClass.HARD_DOMAIN, plain="The domain does not exist or takes no mail."),

    # No word of the mailbox: a server could not deliver, or has rules about us.
    Rule(name="4.x.x-5yz", codes="5..", enhanced="4.3.x 4.4.x",
         kind=ReplyClass.SYSTEM, plain="A server on the way could not deliver and gave up."),
    Rule(name="text:gave-up", codes="5..", phases=_RCPT, enhanced="none 5.0.0 5.1.0 5.2.0 5.5.0", text=GAVE_UP,
         kind=ReplyClass.SYSTEM, plain="A server on the way could not deliver and gave up."),
    Rule(name="text:policy", codes="5..", enhanced="none 5.0.0 5.1.0 5.2.0 5.5.0", text=POLICY_REFUSED,
         kind=ReplyClass.POLICY, plain="The server's rules refuse our mail."),
    Rule(name="text:content-step", codes="5..", enhanced="none 5.0.0 5.1.0 5.2.0 5.5.0", phases=_RCPT,
         text=r"in reply to (end of )?(DATA|MAIL FROM|EHLO|HELO)"
              r"|after (end of data|DATA|MAIL FROM|EHLO|HELO|initial conn)",
         kind=ReplyClass.POLICY, plain="The server refuses this message, not this address."),

    # Refused for good, this time: only who is refused again and again is suppressed (`core/bounce_count.py`).
    Rule(name="5.2.1", codes="5..", enhanced="5.2.0 5.2.1",
         kind=ReplyClass.PROVISIONAL, plain="The mailbox takes no mail."),
    Rule(name="text:exchange-denied", codes="5..", enhanced="5.4.1", text=r"recipient address rejected",
         kind=ReplyClass.PROVISIONAL, plain="The server knows no such recipient, or takes no mail for this one."),
    Rule(name="text:unavailable", codes="55[0134]", enhanced="none 5.0.0 5.1.0 5.5.0",
         text=r"mail ?box (is )?(currently )?unavailable|address rejected|recipient rejected",
         kind=ReplyClass.PROVISIONAL, plain="The mailbox takes no mail."),
    Rule(name="5.1.4", codes="5..", enhanced="5.1.4 5.2.4 5.7.2",
         kind=ReplyClass.SOFT, plain="The address is ambiguous, or a list that we may not write to."),
    Rule(name="5.3.2", codes="5..", enhanced="5.3.2 5.4.7",
         kind=ReplyClass.SYSTEM, effect=Effect.DEFER, plain="The receiving system takes no mail at the moment."),
    Rule(name="5.6.7", codes="5..", enhanced="5.6.7 5.6.8 5.6.9",
         kind=ReplyClass.CAPABILITY, plain="The address needs international mail (SMTPUTF8), which a server lacks."),
    Rule(name="5.6.x", codes="5..", enhanced="5.6.x",
         kind=ReplyClass.CONTENT, effect=_REQUEUE, relay=_PAUSE,
         plain="The server objects to how the message is built."),
    Rule(name="5.7.x", codes="5..", enhanced="5.7.x",
         kind=ReplyClass.POLICY, plain="The server's rules refuse our mail."),
    Rule(name="5.x.x", codes="5..", enhanced="5.1.9 5.3.x 5.4.x 5.5.x",
         kind=ReplyClass.SYSTEM, plain="The receiving system made a mistake or could not deliver."),
    Rule(name="503", codes="50.", kind=ReplyClass.SYSTEM, plain="The server did not understand us."),
    Rule(name="phase:content-5yz", codes="5..", phases=_CONTENT,
         kind=ReplyClass.POLICY, plain="The server refuses this message."),
    Rule(name="text:server-fault", codes="5..", phases=_RCPT, text=SERVER_FAULT,
         kind=ReplyClass.SYSTEM, plain="The receiving system made a mistake or could not deliver."),
    Rule(name="text:not-the-mailbox", codes="5..", phases=_RCPT, text=NOT_THE_MAILBOX,
         kind=ReplyClass.POLICY, plain="The server's rules refuse our mail."),
    Rule(name="phase:rcpt-5yz", codes="5..", phases=_RCPT,
         kind=ReplyClass.PROVISIONAL, plain="The server refuses this address without a reason that we know."),

    # Nonsense: after the dot the outcome is unknown; before it nothing was delivered. The session is out of step.
    Rule(name="phase:dot-nonsense", phases=frozenset({Phase.DOT}),
         kind=ReplyClass.UNKNOWN, effect=Effect.UNKNOWN, relay=_BACK_OFF,
         plain="The server's answer to the whole message makes no sense: it may or may not have arrived."),
    Rule(name="phase:nonsense", phases=MESSAGE,
         kind=ReplyClass.RELAY, effect=Effect.DEFER, relay=_RECONNECT,
         plain="The server's answer makes no sense: the message was not delivered."),
)
"""In order of evidence: phase and loss, the provider's own words, enhanced code, reply code, at last the unknown."""
# fmt: on
