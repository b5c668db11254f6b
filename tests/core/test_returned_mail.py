"""What a bounce returns of our own mail is never read as the words of a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.evidence import read_back, written
from newsletter.core.mail_report import ReportKind, TraceKind, read_report
from newsletter.core.reply import ReplyClass, judge
from newsletter.core.returned_mail import part_returned
from tests.core.bounce_corpus import MESSAGE_ID, OPT_OUT, report

INTRODUCTIONS = (
    "Below is a copy of the original message:",
    "Message headers follow.",
    "------ This is a copy of the message's headers. ------",
    "--- Below this line is a copy of the message.",
    "Included is a copy of the message header:",
    "   ----- Unsent message follows -----",
    "Kopie der Nachricht:",
    "",
)
MISLEADING = (
    "What 550 5.1.1 means, and other numbers",
    "No such user: the story of a mailbox not found",
    "The message will be retried, only a warning",
    "Feedback-Type: abuse",
    "Relay access denied by policy",
)


def bounce(*, reason: str, introduction: str, fields: str, body: str = "", indent: str = "") -> bytes:
    """Return a bounce in plain words that quotes our mail."""
    quoted = "\n".join(indent + line for line in f"{fields}\n\n{body}".splitlines())
    return (
        "From: Mail Delivery System <MAILER-DAEMON@mx.example.net>\nTo: tips@example.com\n"
        "Subject: Mail delivery failed\nContent-Type: text/plain; charset=utf-8\n\n"
        f"Your message could not be delivered to:\n\nann@example.org: {reason}\n\n{introduction}\n\n{quoted}\n"
    ).encode()


def our_mail(subject: str, *extra: str) -> str:
    """Return the header of a mail of ours."""
    return "\n".join(("From: Tips <tips@example.com>", "To: ann@example.org", f"Subject: {subject}", *extra))


TRACES = (
    f"Message-ID: <{MESSAGE_ID}>",
    f"List-Unsubscribe: <https://news.example.com/u/{OPT_OUT}>",
    "Return-Path: <b+0123456789abcdefghjkm@bounces.example.com>",
)


@pytest.mark.parametrize("introduction", INTRODUCTIONS)
@pytest.mark.parametrize("subject", MISLEADING)
@pytest.mark.parametrize("indent", ["", "> ", "    "])
def test_our_own_words_are_no_reply(introduction: str, subject: str, indent: str) -> None:
    """Whatever line announces it, and however it is quoted: the subject of a tip says nothing about a mailbox."""
    raw = bounce(
        reason="Envelope expired", introduction=introduction, fields=our_mail(subject, TRACES[0]), indent=indent
    )
    report = read_report(raw)
    assert report.kind is ReportKind.FAILED
    assert report.reply is not None
    assert judge(report.reply).kind is ReplyClass.SYSTEM
    assert TraceKind.MESSAGE_ID in {trace.kind for trace in report.traces}


@given(
    reason=st.sampled_from(["Envelope expired", "550 5.1.1 user unknown", "552 5.2.2 mailbox full", "no reason"]),
    introduction=st.sampled_from(INTRODUCTIONS),
    trace=st.sampled_from(TRACES),
    subject=st.sampled_from(MISLEADING) | st.text(max_size=40).map(lambda text: " ".join(text.split())),
    body=st.sampled_from(MISLEADING) | st.text(max_size=80),
    indent=st.sampled_from(["", "> ", "\t"]),
)
def test_the_returned_part_never_changes_the_verdict(
    reason: str, introduction: str, trace: str, subject: str, body: str, *, indent: str
) -> None:
    """A mail that bears our tokens is ours: its subject and body never decide."""
    plain = read_report(
        bounce(reason=reason, introduction=introduction, fields=our_mail("A tip", trace), indent=indent)
    )
    other = read_report(
        bounce(reason=reason, introduction=introduction, fields=our_mail(subject, trace), body=body, indent=indent)
    )
    assert (plain.kind, plain.reply) == (other.kind, other.reply)


@pytest.mark.parametrize(
    "quotation",
    [
        "*** Your original message was ***\n\n550 5.1.1 User unknown, explained",
        "===== Message text follows =====\n\nWhat 550 No such user means",
        "--- Wortlaut Ihrer Nachricht ---\n\nWas 550 5.1.1 User unknown bedeutet",
        "Die ersten Zeilen Ihrer Nachricht:\n\nBetreff: 550 5.1.1 User unknown\nVon: tips@example.com\n",
        "Objet : 550 5.1.1 User unknown\nDe : tips@example.com\n",
        "件名\uff1a550 5.1.1 User unknown\n差出人\uff1atips@example.com\n",
        'The message with the subject "550 5.1.1 no such user" is removed.',
        "Ihre Nachricht mit dem Betreff „550 5.1.1 User unknown“ wird entfernt.",
    ],
)
def test_a_quotation_in_other_words_is_no_reply(quotation: str) -> None:
    """A ruled line, fields in the language of the server, or our subject within its own sentence."""
    head = "From: Mail Delivery System <MAILER-DAEMON@mx.example.net>\nSubject: Mail delivery failed\n"
    kind = "Content-Type: text/plain; charset=utf-8\n\n"
    report = read_report(f"{head}{kind}ann@example.org: the connection timed out.\n\n{quotation}\n".encode())
    assert report.reply is not None
    assert judge(report.reply).kind is ReplyClass.SYSTEM


def test_a_transcript_that_is_ruled_off_is_the_servers_own() -> None:
    """Sendmail rules off its transcript as it rules off our mail."""
    text = "----- Transcript of session follows -----\n550 5.1.1 <ann@example.org>... User unknown\n"
    assert part_returned(text) == (text.rstrip("\n"), "")


def test_a_summary_for_people_is_no_returned_mail() -> None:
    """Exchange and Domino name our mail before they give the reason: the reason is read, our subject is not."""
    text = (
        "Your message\n\n  To: ann@example.org\n  Subject: The mailbox is full\n  Sent: Tue, 24 Nov 2026\n\n"
        "did not reach the following recipient:\n\nUser ann not listed in Domino Directory\n"
    )
    words, returned = part_returned(text)
    assert returned == ""
    assert "not listed in Domino Directory" in words
    assert "full" not in words


def test_a_forwarded_header_without_our_tokens_is_returned_mail_too() -> None:
    """A list that strips our tokens leaves fields that no summary has."""
    words, returned = part_returned("It failed.\n\nReceived: from x\nSubject: 550 5.1.1\nMIME-Version: 1.0\n\n550\n")
    assert words.strip() == "It failed."
    assert returned.startswith("Received:")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("550 5.1.1 <b+0123456789abcdefghjkm@bounces.example.com> user unknown", ReplyClass.CONFIGURATION),
        ("550 5.1.1 <tips@example.com>: invalid address", ReplyClass.CONFIGURATION),
        ("550 tips@example.com is unknown here", ReplyClass.CONFIGURATION),
        ("550 5.1.1 <ann@example.org>: user unknown, said to tips@example.com", ReplyClass.HARD),
        ("550 5.1.1 <forwarded@example.net>: user unknown", ReplyClass.HARD),
    ],
)
def test_a_report_that_names_our_address_refuses_the_sender(words: str, kind: ReplyClass) -> None:
    """As at our own door: the address in the reply is ours, so no subscription ends (promise 13)."""
    text = report(
        status="Final-Recipient: rfc822; ann@example.org\nAction: failed\nStatus: 5.1.1\n"
        f"Diagnostic-Code: smtp; {words}\n"
    )
    raw = text.replace("{verp}", "b+0123456789abcdefghjkm@bounces.example.com").encode()
    reply = read_report(raw).reply
    assert reply is not None
    assert judge(read_back(written(reply))).kind is kind
