"""What a reply means: the table against the words of real servers, its promises against any reply."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.reply import RULES, Effect, Phase, RelayAction, Reply, ReplyClass, judge, parse_reply

MESSAGE = [Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.DOT]
SESSION = [phase for phase in Phase if phase not in MESSAGE]


def said(line: str, phase: Phase = Phase.RCPT) -> Reply:
    """Read one line as it stands in a transcript."""
    return parse_reply(int(line[:3]), [line[4:]], phase=phase)


ENHANCED = st.one_of(
    st.just(""),
    st.builds("{}.{}.{}".format, st.sampled_from("245"), st.integers(0, 9), st.integers(0, 60)),
    st.text(max_size=10),
)
WORDS = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            [
                "mailbox",
                "full",
                "user",
                "unknown",
                "does",
                "not",
                "exist",
                "spam",
                "blocked",
                "listed",
                "quota",
                "exceeded",
                "daily",
                "message",
                "too",
                "many",
                "recipients",
                "greylisted",
                "rate",
                "over",
                "inactive",
                "disabled",
                "size",
                "large",
                "sender",
                "relay",
                "5.1.1",
                "connection",
            ]
        ),
        max_size=8,
    ).map(" ".join),
)


@given(phase=st.sampled_from(Phase), code=st.integers(-5, 10_000), enhanced=ENHANCED, text=WORDS, maybe=st.booleans())
def test_every_reply_has_a_verdict(phase: Phase, code: int, enhanced: str, text: str, *, maybe: bool) -> None:
    """Nothing that a server says makes us stumble, and no verdict breaks a promise of the design."""
    verdict = judge(Reply(phase=phase, code=code, enhanced=enhanced, text=text, may_be_delivered=maybe))
    assert verdict.plain.endswith(".")
    assert verdict.plain[0].isupper()
    if maybe:
        assert verdict.effect is Effect.UNKNOWN
    if verdict.effect is Effect.ACCEPT:
        assert (phase, code // 100, maybe) == (Phase.DOT, 2, False)
    if verdict.suppress:
        assert (verdict.kind, verdict.effect) == (ReplyClass.HARD, Effect.REJECT)
    if phase in SESSION and not maybe:
        assert verdict.effect is Effect.REQUEUE
    if verdict.effect in {Effect.REQUEUE, Effect.UNKNOWN}:
        # What costs the person nothing must not be repeated at once on the same session: it would never end.
        assert verdict.relay is not RelayAction.GO_ON


@given(phase=st.sampled_from(MESSAGE), code=st.integers(400, 499), enhanced=ENHANCED, text=WORDS)
def test_a_4yz_always_defers(phase: Phase, code: int, enhanced: str, text: str) -> None:
    """Whatever the words and the enhanced code say: the first digit promises another chance, and it is taken."""
    assert judge(Reply(phase=phase, code=code, enhanced=enhanced, text=text)).effect is Effect.DEFER


@given(code=st.integers(500, 599), enhanced=ENHANCED, text=WORDS)
def test_a_5yz_to_mail_blames_no_recipient(code: int, enhanced: str, text: str) -> None:
    """The first person of the list must not pay for our sender's fault; a quota defers, anything else stops to ask."""
    verdict = judge(Reply(phase=Phase.MAIL, code=code, enhanced=enhanced, text=text))
    assert verdict.effect in {Effect.REQUEUE, Effect.DEFER}
    assert verdict.effect is Effect.DEFER or verdict.relay in {RelayAction.PAUSE_EDITION, RelayAction.STOP}


@given(code=st.integers(500, 599), enhanced=ENHANCED, text=WORDS)
def test_a_5yz_to_auth_stops(code: int, enhanced: str, text: str) -> None:
    """A refused login is an operator's business."""
    assert judge(Reply(phase=Phase.AUTH, code=code, enhanced=enhanced, text=text)).relay is RelayAction.STOP


@given(code=st.integers(0, 999), lines=st.lists(st.text(max_size=2000), max_size=5), phase=st.sampled_from(Phase))
def test_every_reply_can_be_read(code: int, lines: list[str], phase: Phase) -> None:
    """The text is one line without control characters, at most 1,000 characters, fit for a log and a terminal."""
    reply = parse_reply(code, lines, phase=phase)
    assert len(reply.text) <= 1000
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", reply.text)
    assert re.fullmatch(r"|[245]\.[0-9]{1,3}\.[0-9]{1,3}", reply.enhanced)


@pytest.mark.parametrize("mark", ["\u202e", "\u2066", "\u200f", "\u061c", "\ufeff", "\x1b", "\n"])
def test_no_mark_can_turn_a_text_around(mark: str) -> None:
    """The words of a server are shown on pages and terminals: bidi marks and control characters are left out."""
    assert parse_reply(550, [f"no {mark}such user"], phase=Phase.RCPT).text == "no  such user"


def test_a_long_text_is_cut() -> None:
    """A server cannot fill the database."""
    assert parse_reply(550, ["no " * 1000], phase=Phase.RCPT).text == ("no " * 1000)[:1000]


@pytest.mark.parametrize(
    ("lines", "enhanced", "text"),
    [
        (["5.1.1 No such user"], "5.1.1", "No such user"),
        (["5.1.1 The account", "5.1.1 does not exist"], "5.1.1", "The account does not exist"),
        (["Ok, 2.0.0 it is"], "", "Ok, 2.0.0 it is"),
        (["4.7.1"], "4.7.1", ""),
        (["5.1.1: no such user"], "", "5.1.1: no such user"),
        (["5.1.1\tno such user"], "5.1.1", "no such user"),
        (["3.1.1 odd"], "", "3.1.1 odd"),
        ([], "", ""),
    ],
)
def test_the_enhanced_code_is_split_off(lines: list[str], enhanced: str, text: str) -> None:
    """It stands at the beginning of each line (RFC 2034 §4), or it is none."""
    reply = parse_reply(550, lines, phase=Phase.RCPT)
    assert (reply.enhanced, reply.text) == (enhanced, text)


@pytest.mark.parametrize(
    ("line", "rule", "effect", "kind"),
    [
        ("550 5.1.1 <x@example.org>: Recipient address rejected: User unknown", "text:unknown-here", "reject", "hard"),
        ("550 No such user here", "text:user-unknown", "reject", "hard"),
        ("550 5.5.0 Requested action not taken: mailbox does not exist", "text:user-unknown", "reject", "hard"),
        ("550 Sender verify failed: user unknown for sender", "text:sender-refused", "requeue", "configuration"),
        ("550 mailbox unavailable", "text:unavailable", "reject", "provisional"),
        ("550 No", "phase:rcpt-5yz", "reject", "provisional"),
        ("550 5.5.0 Requested action not taken: mailbox unavailable", "text:unavailable", "reject", "provisional"),
        ("550 5.4.1 Recipient address rejected: Access denied.", "text:exchange-denied", "reject", "provisional"),
        ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found by SMTP", "text:exchange-not-found", "reject", "hard"),
        ("554 delivery error: dd This user doesn't have an example.org account", "text:user-unknown", "reject", "hard"),
        ("554 delivery error: dd Not a valid recipient", "text:user-unknown", "reject", "hard"),
        ("554 The mailbox is disabled (554.30)", "text:disabled", "reject", "hard"),
        ("550 Your account has been disabled", "text:account", "requeue", "configuration"),
        ("554 5.7.1 Relay access denied", "text:relay-denied", "requeue", "configuration"),
        ("550 5.7.606 Access denied, banned sending IP", "text:blocked", "reject", "policy"),
        ("553 5.7.1 [BL21] Connections not accepted", "text:blocked", "reject", "policy"),
        ("550 5.7.27 This mail is not authenticated: SPF did not pass", "text:gmail-spf", "reject", "authentication"),
        ("550 5.7.27 The sender domain has a null MX", "5.1.7", "requeue", "configuration"),
        ("451 4.7.650 The mail server was temporarily limited", "4.7.28", "defer", "rate"),
        ("450 4.2.1 Try later", "4.2.1", "defer", "soft"),
        ("550 5.1.1 Blocked, see the block list at example.net", "text:blocked", "reject", "policy"),
        ("556 5.1.10 Domain does not accept mail (nullMX)", "5.1.10", "reject", "hard"),
        ("550 5.1.2 Bad destination system", "5.1.2", "reject", "hard-domain"),
        ("550 5.1.6 Recipient no longer here", "5.1.6", "reject", "hard"),
        ("550 5.1.8 Sender domain not found", "5.1.7", "requeue", "configuration"),
        ("550 5.2.1 The account that you tried to reach is disabled.", "5.2.1-disabled", "reject", "hard"),
        ("550 5.2.1 The account that you tried to reach is inactive.", "5.2.1-disabled", "reject", "hard"),
        ("550 5.2.1 The user is receiving mail at a rate that prevents more", "text:mailbox-rate", "defer", "rate"),
        ("450 4.2.1 The user is receiving mail too quickly", "text:mailbox-rate", "defer", "rate"),
        ("550 5.2.1 Go away", "5.2.1", "reject", "provisional"),
        ("552 5.2.2 The recipient's inbox is out of storage space", "x.2.2", "defer", "mailbox-full"),
        ("552 5.2.2 The account is over quota and inactive.", "text:full-and-inactive", "reject", "hard"),
        ("452 4.2.2 The account is over quota and inactive.", "x.2.2", "defer", "mailbox-full"),
        (
            "552 Requested mail action aborted: exceeded storage allocation",
            "text:mailbox-full",
            "defer",
            "mailbox-full",
        ),
        ("550 Mailbox size limit exceeded: mailbox is full", "text:mailbox-full", "defer", "mailbox-full"),
        ("552 No", "552", "defer", "mailbox-full"),
        ("552 5.3.4 Message size exceeds fixed limit", "x.3.4", "reject", "content"),
        ("452 4.5.3 Too many recipients", "x.5.3", "defer", "rate"),
        ("552 Too many recipients", "text:too-many-recipients", "defer", "rate"),
        ("451 4.7.1 Greylisted, come back in 5 minutes", "text:greylisted", "defer", "greylisted"),
        ("450 4.7.1 Try again later", "4.7.0", "defer", "greylisted"),
        ("451 Try again later", "phase:rcpt-450", "defer", "greylisted"),
        ("450 4.3.0 Mail system busy", "4.3.x", "defer", "system"),
        ("421 4.7.28 Unusual rate of mail from your address", "text:rate", "defer", "rate"),
        ("421 4.7.0 [TSS04] Messages temporarily deferred", "text:rate", "defer", "rate"),
        ("421 RP-001 Some connections were limited", "text:rate", "defer", "rate"),
        ("451 4.7.26 Needs SPF or DKIM", "4.7.23-32", "defer", "authentication"),
        ("550 5.7.26 Mail from this domain is not authenticated", "5.7.26", "reject", "authentication"),
        ("550 5.7.515 Access denied, domain does not meet the level", "5.7.26", "reject", "authentication"),
        ("550 5.7.1 Message content refused", "5.7.x", "reject", "policy"),
        ("550 SC-001 Mail rejected for policy reasons", "text:blocked", "reject", "policy"),
        ("550 5.6.7 Address needs SMTPUTF8", "5.6.7", "reject", "capability"),
        ("525 5.7.13 Account disabled", "5.7.13", "reject", "hard"),
        ("530 5.7.0 Authentication required", "530", "requeue", "configuration"),
        ("550 5.4.6 Routing loop", "5.x.x", "reject", "system"),
        ("550 4.2.2 Mailbox full", "x.2.2", "defer", "mailbox-full"),
        ("450 5.1.1 User unknown", "4.1.x", "defer", "soft"),
        ("450 4.1.1 Recipient address rejected: unknown", "4.1.x", "defer", "soft"),
        ("450 4.1.8 Sender address rejected: Domain not found", "4.1.7", "defer", "configuration"),
        ("450 4.5.0 Sender address rejected: Domain not found", "text:sender-4yz", "defer", "configuration"),
        ("499 What", "phase:any-4yz", "defer", "system"),
        ("250 Ok", "phase:nonsense", "defer", "relay"),
    ],
)
def test_replies_to_rcpt(line: str, rule: str, effect: str, kind: str) -> None:
    """What servers say about one recipient, and which rule understands it."""
    verdict = judge(said(line))
    assert (verdict.rule, verdict.effect, verdict.kind) == (rule, effect, kind)
    assert verdict.suppress == (kind == "hard")


@pytest.mark.parametrize(
    ("phase", "line", "rule", "effect", "relay"),
    [
        ("mail", "421 4.3.2 Shutting down", "4.3.x", "defer", "back-off"),
        ("mail", "451 4.3.0 Try later", "4.3.x", "defer", "back-off"),
        ("mail", "452 4.3.1 Insufficient system storage", "4.3.1", "defer", "back-off"),
        ("mail", "450 4.1.8 Sender domain not found", "text:sender-4yz", "defer", "back-off"),
        ("mail", "550 5.7.1 Not allowed to send as this user", "phase:mail-5yz", "requeue", "pause-edition"),
        ("mail", "552 5.3.4 Too big", "phase:mail-5yz", "requeue", "pause-edition"),
        ("mail", "530 5.7.0 Must issue a STARTTLS command first", "530", "requeue", "stop"),
        ("mail", "550 5.4.5 Daily user sending limit exceeded", "text:quota", "defer", "back-off"),
        ("rcpt", "450 4.2.9 Later", "4.1.x", "defer", "go-on"),
        ("dot", "451 The content could not be scanned", "phase:any-4yz", "defer", "go-on"),
        ("rcpt", "421 4.2.1 Later", "4.2.1", "defer", "back-off"),
        ("rcpt", "421 Later", "421", "defer", "back-off"),
        ("data", "454 Throttling failure: Maximum sending rate exceeded.", "text:quota-rate", "defer", "back-off"),
        ("dot", "454 Throttling failure: Daily message quota exceeded.", "text:quota", "defer", "back-off"),
        ("dot", "421 4.7.0 Too many messages in this connection", "text:messages-per-connection", "defer", "reconnect"),
        ("dot", "421 Too many concurrent SMTP connections", "text:rate", "defer", "back-off"),
        ("dot", "451 Timeout waiting for data from client.", "text:idle", "defer", "reconnect"),
        ("dot", "452 Insufficient system storage", "text:no-storage", "defer", "back-off"),
        ("dot", "550 5.1.1 User unknown", "text:unknown-here", "reject", "go-on"),
        ("dot", "554 5.6.0 Invalid Subject header", "5.6.x", "requeue", "pause-edition"),
        ("dot", "552 Error: Too much mail data", "text:too-large", "reject", "go-on"),
        ("dot", "554 Message rejected: Email address is not verified.", "text:sender-refused", "requeue",
         "pause-edition"),
        ("dot", "554 Message not accepted. Invalid Subject header", "text:format", "requeue", "pause-edition"),
        ("dot", "554 Transaction failed", "phase:content-5yz", "reject", "go-on"),
        ("dot", "250 2.0.0 Ok: queued as 4F2A", "phase:dot-2yz", "accept", "go-on"),
        ("dot", "354 More?", "phase:dot-nonsense", "unknown", "back-off"),
        ("data", "503 5.5.1 No valid recipients", "5.x.x", "reject", "go-on"),
        ("data", "250 Ok", "phase:nonsense", "defer", "reconnect"),
        ("connect", "554 5.7.1 No service", "phase:session", "requeue", "back-off"),
        ("connect", "421 4.3.2 Busy", "phase:session", "requeue", "back-off"),
        ("starttls", "454 4.7.0 TLS not available", "phase:session", "requeue", "back-off"),
        ("starttls", "501 5.5.4 No", "phase:starttls-5yz", "requeue", "stop"),
        ("auth", "535 5.7.8 Invalid credentials", "phase:auth-5yz", "requeue", "stop"),
        ("auth", "454 4.7.0 Temporary authentication failure", "phase:session", "requeue", "back-off"),
    ],
)  # fmt: skip
def test_replies_by_phase(phase: str, line: str, rule: str, effect: str, relay: str) -> None:
    """The same digits mean another thing at another step, and ask another thing of the relay."""
    verdict = judge(said(line, Phase(phase)))
    assert (verdict.rule, verdict.effect, verdict.relay) == (rule, effect, relay)


def test_the_usual_reply_is_judged_as_the_table_says() -> None:
    """What is answered without looking at the table says what its first line says."""
    first = RULES[0]
    verdict = judge(said("250 2.0.0 Ok", Phase.DOT))
    assert first.fits(said("250 2.0.0 Ok", Phase.DOT))
    assert (verdict.rule, verdict.kind, verdict.effect, verdict.relay, verdict.plain, verdict.suppress) == (
        first.name,
        first.kind,
        first.effect,
        first.relay,
        first.plain,
        first.suppress,
    )


@pytest.mark.parametrize("phase", [Phase.MAIL, Phase.RCPT, Phase.DATA])
def test_a_connection_lost_before_the_dot_goes_back_to_the_queue(phase: Phase) -> None:
    """It was certainly not delivered, and it is nobody's fault."""
    verdict = judge(Reply(phase=phase))
    assert (verdict.effect, verdict.relay) == (Effect.REQUEUE, RelayAction.RECONNECT)


def test_no_reply_to_the_dot_is_unknown_even_unmarked() -> None:
    """Whoever forgets to mark it must not make a duplicate of it."""
    assert judge(Reply(phase=Phase.DOT)).effect is Effect.UNKNOWN


def test_rules_have_names_of_their_own() -> None:
    """The name is stored with every reply: it must say which line of the table decided."""
    assert [name for name, count in Counter(rule.name for rule in RULES).items() if count > 1] == []


def test_only_hard_rules_suppress() -> None:
    """Nobody loses a subscription to a full mailbox, a block list or a mistake of ours."""
    assert {rule.kind for rule in RULES if rule.suppress} == {ReplyClass.HARD}
    assert all(rule.suppress for rule in RULES if rule.kind is ReplyClass.HARD)


def test_a_rule_that_could_reject_never_covers_a_4yz_by_force() -> None:
    """`effect` may soften what a server says; it may harden nothing."""
    hardened = [rule.name for rule in RULES if rule.effect is Effect.REJECT and re.fullmatch(rule.codes, "450")]
    assert hardened == []


@given(
    st.text(st.characters(), max_size=60)
    | st.from_regex(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}( [ -~]{0,40})?", fullmatch=True)
)
def test_a_reply_of_one_line_is_read_as_any_other(line: str) -> None:
    """The short way for the usual reply ends where the long one does; an empty second line says nothing more."""
    assert parse_reply(250, [line], phase=Phase.DOT) == parse_reply(250, [line, ""], phase=Phase.DOT)
