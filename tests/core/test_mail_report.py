"""What came back: real shapes of bounces and complaints are understood, and nothing at all makes us stumble."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.bounce_count import COUNTED
from newsletter.core.evidence import read_back, written
from newsletter.core.mail_parts import DEPTH_LIMIT, MESSAGE_SIZE_LIMIT, PARTS_LIMIT, take_apart
from newsletter.core.mail_report import ReportKind, TraceKind, read_report
from newsletter.core.reply import judge
from tests.core.bounce_corpus import MESSAGE_ID, OPT_OUT, RETURNED, SAMPLES, VERP, Sample
from tests.core.bounce_corpus import report as make_report

NAMES = [sample.name for sample in SAMPLES]


@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_what_it_is(sample: Sample) -> None:
    """The kind of the mail, and for a bounce the server's code, words and what the table of replies makes of them."""
    report = read_report(sample.raw())
    assert report.kind == sample.kind
    if sample.kind == ReportKind.FAILED:
        assert report.reply is not None
        assert (report.reply.code, report.reply.enhanced) == (sample.code, sample.enhanced)
        assert sample.words in report.reply.text
    if sample.rule_kind:
        assert report.reply is not None
        assert judge(report.reply).kind == sample.rule_kind


@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_whose_it_is(sample: Sample) -> None:
    """The bounce address is found wherever it stands; by any line end, too."""
    for raw in (sample.raw(), sample.raw().replace(b"\r\n", b"\n")):
        verp = [trace.text for trace in read_report(raw).traces if trace.kind is TraceKind.VERP]
        assert verp == ([VERP.partition("@")[0]] if sample.traced else [])


def by_name(name: str) -> Sample:
    """Return a sample."""
    return next(sample for sample in SAMPLES if sample.name == name)


def test_traces_stand_in_the_order_of_trust() -> None:
    """The address it came to goes before what the returned mail says, and each is named once."""
    other = "b-zzzzzzzzzzzzzzzzzzzzz@bounces.example.com"
    traces = read_report(by_name("postfix").raw(), recipient=other).traces
    assert [(trace.kind, trace.text) for trace in traces] == [
        (TraceKind.VERP, other.partition("@")[0]),
        (TraceKind.VERP, VERP.partition("@")[0]),
        (TraceKind.UNSUBSCRIBE, OPT_OUT),
        (TraceKind.MESSAGE_ID, MESSAGE_ID),
    ]
    assert [trace.text for trace in read_report(by_name("traced by the envelope id alone").raw()).traces] == [
        VERP.partition("@")[0].removeprefix("b+")
    ]
    assert [trace.kind for trace in read_report(by_name("complaint without anybody's address").raw()).traces] == [
        TraceKind.UNSUBSCRIBE
    ]
    assert [trace.kind for trace in read_report(by_name("complaint by its Message-ID").raw()).traces] == [
        TraceKind.MESSAGE_ID
    ]


def test_a_postmaster_who_is_away_is_no_bounce() -> None:
    """The subject tells a holiday notice, whatever its words say of what is not delivered meanwhile."""
    raw = (
        b"From: postmaster@example.org\nSubject: Out of office\nAuto-Submitted: auto-replied\n\n"
        b"Mail to me will not be delivered: 550 5.1.1 no such user until Monday.\n"
    )
    assert read_report(raw).kind is ReportKind.AUTO_REPLY


def test_who_gave_up_early_proves_nothing_about_the_address() -> None:
    """A report that says 5 of what the server itself answered with 4 is judged by the server's own words."""
    raw = by_name("postfix").raw()
    diagnostic_line = re.search(rb"(?m)^Diagnostic-Code:.*\n(?:[ \t].*\n)*", raw)
    assert diagnostic_line is not None
    report = read_report(raw.replace(diagnostic_line[0], b"Diagnostic-Code: smtp; 421 4.7.0 Try again later\r\n"))
    assert report.reply is not None
    assert (report.reply.code, report.reply.enhanced) == (421, "4.7.0")
    assert not judge(report.reply).suppress


NUMBERS = ("smtp; 250 2.6.0 Message accepted, 512 bytes", "smtp; 250 OK 540 KB/s", "smtp; 250 ok, Example 4.94.2")


@pytest.mark.parametrize(
    ("status", "diagnostic"),
    [
        *(
            (status, diagnostic)
            for status in ("2.0.0", "2.1.5")
            for diagnostic in ("", "smtp; 250 2.0.0 Ok: queued", "smtp; user unknown", "X-Unix; 2", *NUMBERS)
        ),
        # Nor what nobody gave a status, or one that says nothing.
        *((status, diagnostic) for status in ("", "Success", "5.0.0") for diagnostic in NUMBERS),
    ],
)
def test_a_failure_with_a_status_of_success_is_undetermined(status: str, diagnostic: str) -> None:
    """`Action` tells that it came back; what says at once that it arrived proves nothing against the address."""
    report = read_report(bounce(status=status, diagnostic=diagnostic))
    assert report.kind is ReportKind.FAILED
    assert report.reply is not None
    verdict = judge(report.reply)
    assert (verdict.kind in COUNTED, verdict.suppress) == (False, False)
    # As it is judged again from what is stored.
    again = judge(read_back(written(report.reply)))
    assert (again.kind, again.suppress) == (verdict.kind, False)


@pytest.mark.parametrize("status", ["2.0.0", "2.1.5"])
def test_a_refusal_in_the_words_of_the_server_goes_before_the_status(status: str) -> None:
    """What the last server said is quoted: a status that contradicts it is the reporter's own slip."""
    report = read_report(bounce(status=status, diagnostic="smtp; 550 5.1.1 user unknown"))
    assert report.reply is not None
    assert (report.reply.code, report.reply.enhanced, judge(report.reply).kind) == (550, "5.1.1", "hard")


def bounce(*, status: str, diagnostic: str) -> bytes:
    """Return a report of a failure with this status, and these words of the server."""
    diagnostic_header = f"Diagnostic-Code: {diagnostic}\n" if diagnostic else ""
    block = f"Final-Recipient: rfc822; ann@example.org\nAction: failed\nStatus: {status}\n{diagnostic_header}"
    return Sample(name="", kind="failed", text=make_report(status=block)).raw()


def test_the_returned_mail_is_not_the_reply_of_the_server() -> None:
    """A tip about the number 550 5.1.1 does not make a bounce hard."""
    text = (
        "From: MAILER-DAEMON@mx.example.net\nTo: {verp}\nSubject: Undelivered mail\n\nThe mailbox is full.\n\n"
        "--- Below this line is a copy of the message.\n\n" + RETURNED + "\n550 5.1.1 user unknown\n"
    )
    report = read_report(Sample(name="", kind="", text=text).raw())
    assert report.reply is not None
    assert judge(report.reply).kind == "mailbox-full"


@given(st.data())
def test_garbled_mails(data: st.DataObject) -> None:
    """Cut, doubled, overwritten and glued mails are read as something."""
    raw = bytearray(data.draw(st.sampled_from(SAMPLES)).raw())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw)))
        match data.draw(st.sampled_from(["cut", "insert", "overwrite", "double"])):
            case "cut":
                del raw[at : at + data.draw(st.integers(0, 400))]
            case "insert":
                raw[at:at] = data.draw(st.binary(max_size=40) | st.sampled_from(ODDITIES))
            case "overwrite":
                raw[at : at + 8] = data.draw(st.binary(min_size=8, max_size=8))
            case _:
                raw[at:at] = raw[: data.draw(st.integers(0, 400))]
    report = read_report(bytes(raw))
    assert isinstance(report.kind, ReportKind)
    if report.reply is not None:
        assert judge(report.reply).plain
        assert len(report.reply.text) <= 500


ODDITIES = [
    b"\n\n",
    b"Content-Type: multipart/mixed; boundary=x\n\n--x\n",
    b"Content-Type: text/plain; charset=idna\n",
    b"Content-Type: text/plain; charset=undefined\n",
    b"Content-Transfer-Encoding: base64\n",
    b"=?utf-16?b?AAA?=",
    b"=?unknown-8bit?q?=FF?=",
    b"Diagnostic-Code: smtp;\n",
    b"Status: 9.9.9\nAction: \n",
    b"\x00" * 30,
    "Ünï \u2028".encode(),
    b"--AB.1/mx\n",
]


@given(st.binary(max_size=2_000))
def test_any_bytes(raw: bytes) -> None:
    """What is no mail at all is strange, and that is all."""
    assert isinstance(read_report(raw).kind, ReportKind)


DEAR = b"From: mailer-daemon@x\nSubject: undelivered\n\n"
BOMBS = {
    "deep": "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(20_000)).encode(),
    "wide": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 100_000,
    "headers": b"X-A: b\n" * 140_000 + b"\nbody",
    "folded": b"Subject: a\n" + b" b\n" * 330_000 + b"\nbody",
    "long line": b"Subject: " + b"=?utf-8?q?" * 100_000 + b"\n\nbody",
    "return addresses": b"From: MAILER-DAEMON\nTo: " + VERP.encode() * 20_000 + b"\n\n",
    "words": DEAR + b"user mailbox inbox full quota 4 5 " * 30_000,
    "blanks": DEAR + b" " * 500_000 + b"<" * 400_000,
    "tags": DEAR.rstrip() + b"\nContent-Type: text/html\n\n" + b"<style " * 140_000,
    "dashes": DEAR + b"-" * 900_000,
    "huge": by_name("postfix").raw() + b"x" * 20 * MESSAGE_SIZE_LIMIT,
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name: str) -> None:
    """A mail made to harm costs a moment."""
    raw = BOMBS[name]
    began = time.process_time()
    report = read_report(raw)
    mail = take_apart(raw)
    assert time.process_time() - began < 2
    assert len(mail.parts) <= PARTS_LIMIT
    assert len(report.traces) < 100
    if name == "huge":
        assert report.kind is ReportKind.FAILED


def test_depth_has_an_end() -> None:
    """What is nested too deep is left in its wrapping; what is within is read."""

    def nested(levels: int) -> bytes:
        head = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(levels))
        return f"{head}Content-Type: message/feedback-report\n\nFeedback-Type: abuse\n".encode()

    assert read_report(nested(DEPTH_LIMIT)).kind is ReportKind.COMPLAINT
    assert read_report(nested(DEPTH_LIMIT + 1)).kind is ReportKind.STRANGE


@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_any_line_end_will_do(sample: Sample) -> None:
    """A bare CR ends a line as CRLF and LF do."""
    reports = [read_report(sample.raw().replace(b"\r\n", end)) for end in (b"\r\n", b"\n", b"\r")]
    assert reports[0] == reports[1] == reports[2]


RETURNED_MAIL = f"From: tips@example.com\nMessage-ID: <{MESSAGE_ID}>\nSubject: A tip\n\nHello\n"
INFORMAL_COMPLAINTS = (
    (
        "Subject: complaint about message from 192.0.2.1\nContent-Type: multipart/mixed; boundary=c\n\n--c\n"
        f"Content-Type: message/rfc822\n\n{RETURNED_MAIL}--c--\n"
    ),
    (
        "Subject: FW: A tip\nContent-Type: multipart/mixed; boundary=c\n\n--c\n"
        f"Content-Type: message/rfc822\n\nX-HmXmrOriginalRecipient: ann@example.org\n{RETURNED_MAIL}--c--\n"
    ),
    f"Subject: Report\n\nFeedback-Type: abuse\nUser-Agent: X/1.0\nVersion: 1\n\n{RETURNED_MAIL}",
    (
        "Subject: A tip\nContent-Type: multipart/report; report-type=feedback-report; boundary=c\n\n--c\n"
        f"Content-Type: text/plain\n\nA reader complains.\n--c\nContent-Type: message/rfc822\n\n{RETURNED_MAIL}--c--\n"
    ),
)


@pytest.mark.parametrize("text", INFORMAL_COMPLAINTS, ids=["subject", "header", "fields in the text", "type alone"])
def test_a_complaint_without_a_feedback_part(text: str) -> None:
    """Some providers attach our mail and say in the subject, a field or the type alone that it is a complaint."""
    report = read_report(f"From: staff@example.net\nTo: complaints@example.com\n{text}".encode())
    assert (report.kind, report.summary) == (ReportKind.COMPLAINT, "abuse")
    assert [trace.kind for trace in report.traces] == [TraceKind.MESSAGE_ID]


def test_a_letter_that_attaches_our_mail_is_no_complaint() -> None:
    """A reader who forwards a tip has nothing against it."""
    text = f"Content-Type: multipart/mixed; boundary=c\n\n--c\nContent-Type: message/rfc822\n\n{RETURNED_MAIL}--c--\n"
    raw = f"From: ann@example.org\nTo: tips@example.com\nSubject: Fwd: A tip\n{text}".encode()
    assert read_report(raw).kind is ReportKind.STRANGE


def test_an_automatic_answer_of_a_postmaster_is_no_bounce() -> None:
    """A header of an automatic answer goes before words that look like a failure."""
    raw = (
        b"From: postmaster@example.org\nSubject: Re: A tip\nX-Autoreply: yes\nPrecedence: auto_reply\n\n"
        b"Your mail is not delivered to a person: 550 no such user.\n"
    )
    assert read_report(raw).kind is ReportKind.AUTO_REPLY
