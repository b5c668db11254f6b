"""Mails as they come back to a bounce address, written after the manner of the servers that send them.

A mail bears `{verp}` where the bounce address stands, `{optout}` for the token of the opt-out link, `{id}` for the
Message-ID. Each tells what it is and what it says.
"""

from __future__ import annotations

from textwrap import dedent

from tests.core.answer_corpus import ANSWERS
from tests.core.returned_mail import MESSAGE_ID, OPT_OUT, RETURNED, VERP, Sample

__all__ = ["MESSAGE_ID", "OPT_OUT", "RETURNED", "SAMPLES", "VERP", "Sample", "report"]


def report(
    *,
    sender: str = "MAILER-DAEMON@mx.example.net (Mail Delivery System)",
    subject: str = "Undelivered Mail Returned to Sender",
    words: str = "I'm sorry to have to inform you that your message could not be delivered.",
    status: str,
    returned: str = RETURNED,
    to: str = "{verp}",
) -> str:
    """Return a report as RFC 3464 wants it."""
    return (
        f"Return-Path: <>\nFrom: {sender}\nTo: {to}\nSubject: {subject}\nAuto-Submitted: auto-replied\n"
        'MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status;\n\tboundary="AB.1/mx"\n\n'
        "This is a MIME-encapsulated message.\n\n--AB.1/mx\nContent-Type: text/plain; charset=us-ascii\n\n"
        f"{words}\n\n--AB.1/mx\nContent-Description: Delivery report\nContent-Type: message/delivery-status\n\n"
        f"{dedent(status)}\n--AB.1/mx\nContent-Type: text/rfc822-headers\n\n{returned}\n--AB.1/mx--\n"
    )


POSTFIX = report(
    status="""\
    Reporting-MTA: dns; mx.example.net
    X-Postfix-Queue-ID: 4F2A1
    Arrival-Date: Tue, 24 Nov 2026 09:00:01 +0000 (UTC)

    Final-Recipient: rfc822; ann@example.org
    Original-Recipient: rfc822;ann@example.org
    Action: failed
    Status: 5.1.1
    Remote-MTA: dns; in.example.org
    Diagnostic-Code: smtp; 550 5.1.1 <ann@example.org>: Recipient address rejected:
        User unknown in virtual mailbox table
    """
)

BOUNCES = (
    Sample(
        name="postfix", kind="failed", code=550, enhanced="5.1.1", words="User unknown", rule_kind="hard", text=POSTFIX
    ),
    Sample(
        name="postfix gave up",
        kind="failed",
        code=451,
        enhanced="4.3.0",
        words="Temporary failure",
        rule_kind="system",
        text=report(
            status="""\
            Reporting-MTA: dns; mx.example.net

            Final-Recipient: rfc822; ann@example.org
            Action: failed
            Status: 4.3.0
            Diagnostic-Code: smtp; 451 4.3.0 Temporary failure in the filter
            """
        ),
    ),
    Sample(
        name="postfix delayed",
        kind="delayed",
        code=452,
        enhanced="4.2.2",
        words="over quota",
        rule_kind="mailbox-full",
        text=report(
            subject="Delayed Mail (still being retried)",
            status="""\
            Reporting-MTA: dns; mx.example.net

            Final-Recipient: rfc822; ann@example.org
            Action: delayed
            Status: 4.2.2
            Diagnostic-Code: smtp; 452 4.2.2 The mailbox is over quota
            Will-Retry-Until: Sun, 29 Nov 2026 09:00:01 +0000 (UTC)
            """,
        ),
    ),
    Sample(
        name="relayed to a server without reports",
        kind="arrived",
        code=250,
        text=report(
            subject="Successful Mail Delivery Report",
            status="""\
            Reporting-MTA: dns; mx.example.net

            Final-Recipient: rfc822; ann@example.org
            Action: relayed
            Status: 2.0.0
            """,
        ),
    ),
    Sample(
        name="exchange online",
        kind="failed",
        code=550,
        enhanced="5.1.10",
        words="RecipientNotFound",
        rule_kind="hard",
        text=report(
            sender="Microsoft Outlook <MicrosoftExchange329e@example.net>",
            subject="Undeliverable: A tip",
            words="Your message to ann@example.org couldn't be delivered.",
            status="""\
            Reporting-MTA: dns;AM0PR01.example.net
            Received-From-MTA: dns;mail.example.com

            Final-Recipient: rfc822;ann@example.org
            Action: failed
            Status: 5.1.10
            Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found
            """,
        ),
    ),
    Sample(
        name="exchange with a vague status",
        kind="failed",
        code=550,
        enhanced="5.7.26",
        words="not authenticated",
        rule_kind="authentication",
        text=report(
            status="""\
            Reporting-MTA: dns;mx.example.net

            Final-Recipient: rfc822;ann@example.org
            Action: failed
            Status: 5.0.0
            Diagnostic-Code: smtp;550-5.7.26 This mail has been blocked because the sender is not authenticated
            """
        ),
    ),
    Sample(
        name="gmail full and inactive",
        kind="failed",
        code=552,
        enhanced="5.2.2",
        words="inactive",
        rule_kind="hard",
        text=report(
            sender="Mail Delivery Subsystem <mailer-daemon@example.net>",
            subject="Delivery Status Notification (Failure)",
            words="** Address not found **",
            status="""\
            Reporting-MTA: dns; example.net
            Arrival-Date: Tue, 24 Nov 2026 01:00:05 -0800 (PST)
            X-Original-Message-ID: <{id}>

            Final-Recipient: rfc822; ann@example.org
            Action: failed
            Status: 5.2.2
            Diagnostic-Code: smtp; 552-5.2.2 The email account that you tried to reach is over quota and inactive.
            Last-Attempt-Date: Tue, 24 Nov 2026 01:00:06 -0800 (PST)
            """,
        ),
    ),
    Sample(
        name="exim",
        kind="failed",
        code=550,
        enhanced="",
        words="No such user here",
        rule_kind="hard",
        text=(
            "Return-path: <>\nX-Failed-Recipients: ann@example.org\nAuto-Submitted: auto-replied\n"
            "From: Mail Delivery System <Mailer-Daemon@mx.example.net>\nTo: {verp}\n"
            "Subject: Mail delivery failed: returning message to sender\n\n"
            "This message was created automatically by mail delivery software.\n\n"
            "A message that you sent could not be delivered to one or more of its\nrecipients. "
            "This is a permanent error. The following address(es) failed:\n\n  ann@example.org\n"
            "    host in.example.org [192.0.2.7]\n"
            "    SMTP error from remote mail server after RCPT TO:<ann@example.org>:\n    550 No such user here\n\n"
            "------ This is a copy of the message's headers. ------\n\n" + RETURNED
        ),
    ),
    Sample(
        name="exim warning",
        kind="delayed",
        code=550,
        text=(
            "From: Mail Delivery System <Mailer-Daemon@mx.example.net>\nTo: {verp}\n"
            "X-Failed-Recipients: ann@example.org\nSubject: Warning: message 1abc-02 delayed 24 hours\n\n"
            "This message was created automatically.\n"
            "A message that you sent has not yet been delivered to one or more of its recipients after\n"
            "more than 24 hours on the queue.\nNo action is required on your part.\n"
        ),
    ),
    Sample(
        name="qmail",
        kind="failed",
        code=550,
        enhanced="5.1.1",
        words="no mailbox here by that name",
        rule_kind="hard",
        text=(
            "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net\nTo: {verp}\nSubject: failure notice\n\n"
            "Hi. This is the qmail-send program at mx.example.net.\n"
            "I'm afraid I wasn't able to deliver your message to the following addresses.\n"
            "This is a permanent error; I've given up. Sorry it didn't work out.\n\n"
            "<ann@example.org>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n"
            "--- Below this line is a copy of the message.\n\n" + RETURNED
        ),
    ),
    Sample(
        name="several recipients, one arrived",
        kind="arrived",
        code=250,
        text=report(
            status="""\
            Reporting-MTA: dns; mx.example.net

            Final-Recipient: rfc822; team-a@example.net
            Action: failed
            Status: 5.1.1

            Final-Recipient: rfc822; team-b@example.net
            Action: delivered
            Status: 2.0.0
            """
        ),
    ),
    Sample(
        name="several recipients, all failed",
        kind="failed",
        code=550,
        enhanced="5.1.1",
        rule_kind="hard",
        text=report(
            status="""\
            Reporting-MTA: dns; mx.example.net

            Final-Recipient: rfc822; team-a@example.net
            Action: failed
            Status: 5.1.1

            Final-Recipient: rfc822; team-b@example.net
            Action: failed
            Status: 5.2.2
            """
        ),
    ),
    Sample(
        name="without the per-message fields and without an action",
        kind="failed",
        code=554,
        enhanced="5.7.1",
        words="spam",
        rule_kind="policy",
        text=report(
            status="""\
            Final-Recipient: rfc822; ann@example.org
            Status: 5.7.1
            Diagnostic-Code: X-Notes; 554 5.7.1 This looks like spam
            """
        ),
    ),
    Sample(
        name="an empty report with words",
        kind="failed",
        code=550,
        enhanced="5.1.1",
        words="unknown",
        rule_kind="hard",
        text=report(words="<ann@example.org>: host said: 550 5.1.1 user unknown", status="Reporting-MTA: dns; x\n"),
    ),
    Sample(
        name="base64, and not in ASCII",
        kind="failed",
        code=550,
        enhanced="5.1.1",
        words="Empfänger unbekannt",
        rule_kind="hard",
        text=(
            "From: =?utf-8?q?Postmaster_f=C3=BCr_alle?= <postmaster@mx.example.net>\nTo: {verp}\n"
            "Subject: =?utf-8?b?VW56dXN0ZWxsYmFyZSBOYWNocmljaHQ=?=\n"
            "Content-Type: multipart/report; boundary=xx; report-type=delivery-status\n\n--xx\n"
            "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n"
            "Der Empf=E4nger\n--xx\nContent-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\n"
            "UmVwb3J0aW5nLU1UQTogZG5zOyBteC5leGFtcGxlLm5ldAoKRmluYWwtUmVjaXBpZW50OiByZmM4\n"
            "MjI7IGFubkBleGFtcGxlLm9yZwpBY3Rpb246IGZhaWxlZApTdGF0dXM6IDUuMS4xCkRpYWdub3N0\n"
            "aWMtQ29kZTogc210cDsgNTUwIDUuMS4xIEVtcGbDpG5nZXIgdW5iZWthbm50Cg==\n--xx--\n"
        ),
    ),
    Sample(
        name="traced by the envelope id alone",
        kind="failed",
        code=550,
        enhanced="5.1.1",
        rule_kind="hard",
        traced=False,
        text=report(
            to="somebody@example.com",
            returned="Subject: Hello\n",
            status="""\
            Reporting-MTA: dns; mx.example.net
            Original-Envelope-Id: 0123456789abcdefghjkm

            Final-Recipient: rfc822; ann@example.org
            Action: failed
            Status: 5.1.1
            """,
        ),
    ),
    Sample(
        name="cut off in the middle",
        kind="failed",
        code=550,
        enhanced="5.1.1",
        rule_kind="hard",
        text=POSTFIX[: POSTFIX.index("Remote-MTA")],
    ),
)

SAMPLES = (*BOUNCES, *ANSWERS)
