"""Complaints, automatic answers and letters, as they come to a bounce address; see `bounce_corpus.py`."""

from __future__ import annotations

from tests.core.returned_mail import RETURNED, Sample

ANSWERS = (
    Sample(
        name="complaint",
        kind="complaint",
        text=(
            "From: feedback@arf.example.net\nTo: {verp}\nSubject: FW: A tip\n"
            'Content-Type: multipart/report; report-type=feedback-report; boundary="f1"\n\n--f1\n\n'
            "This is a complaint about a mail from 192.0.2.1.\n--f1\nContent-Type: message/feedback-report\n\n"
            "Feedback-Type: abuse\nUser-Agent: Example/1.0\nVersion: 1\nOriginal-Mail-From: <{verp}>\n"
            "Original-Rcpt-To: ann@example.org\n\n--f1\nContent-Type: message/rfc822\n\n"
            + RETURNED
            + "\nHello\n--f1--\n"
        ),
    ),
    Sample(
        name="complaint without anybody's address",
        kind="complaint",
        traced=False,
        text=(
            "From: feedback@arf.example.net\nTo: complaints@example.com\nSubject: complaint\n"
            'Content-Type: multipart/report; report-type=feedback-report; boundary="f1"\n\n--f1\n'
            "Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: X\nVersion: 1\n\n"
            "--f1\nContent-Type: text/rfc822-headers\n\nFrom: tips@example.com\nTo: redacted@example.org\n"
            "List-Unsubscribe:\n <https://news.example.com/u/{optout}>\n--f1--\n"
        ),
    ),
    Sample(
        name="complaint by its Message-ID",
        kind="complaint",
        traced=False,
        text=(
            "From: feedback@arf.example.net\nTo: complaints@example.com\nSubject: complaint\n"
            'Content-Type: multipart/report; report-type=feedback-report; boundary="f1"\n\n--f1\n'
            "Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: X\nVersion: 1\n"
            "CFBL-Feedback-ID: {id}\n\n--f1--\n"
        ),
    ),
    Sample(
        name="not spam after all",
        kind="other-feedback",
        text=(
            "From: feedback@arf.example.net\nTo: {verp}\nContent-Type: multipart/report; boundary=f1\n\n--f1\n"
            "Content-Type: message/feedback-report\n\nFeedback-Type: not-spam\nVersion: 1\n--f1--\n"
        ),
    ),
    Sample(
        name="opt-out by a provider",
        kind="left",
        text=(
            "From: feedback@arf.example.net\nTo: {verp}\nContent-Type: multipart/report; boundary=f1\n\n--f1\n"
            "Content-Type: message/feedback-report\n\nFeedback-Type: opt-out\nVersion: 1\n--f1--\n"
        ),
    ),
    Sample(
        name="out of office",
        kind="auto-reply",
        text=(
            "From: Ann <ann@example.org>\nTo: {verp}\nSubject: Automatic reply: A tip\n"
            "Auto-Submitted: auto-replied (vacation)\n\nI am away for 550 days. Mail is not delivered.\n"
        ),
    ),
    Sample(
        name="abwesend",
        kind="auto-reply",
        text="From: ann@example.org\nTo: {verp}\nSubject: =?utf-8?q?Abwesenheitsnotiz=3A_Tipp?=\n\nBin weg.\n",
    ),
    Sample(
        name="a read receipt",
        kind="auto-reply",
        text=(
            "From: ann@example.org\nTo: {verp}\nSubject: Read: A tip\n"
            "Content-Type: multipart/report; report-type=disposition-notification; boundary=r\n\n--r\n"
            "Content-Type: message/disposition-notification\n\nDisposition: manual-action; displayed\n--r--\n"
        ),
    ),
    Sample(
        name="a letter",
        kind="strange",
        text="From: Ann <ann@example.org>\nTo: {verp}\nSubject: Re: A tip\n\nThank you, 550 5.1.1 is my number.\n",
    ),
)
