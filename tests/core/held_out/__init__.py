"""Replies, reports and mails that were written before the rules were looked at, each with what it is.

In: the three text files beside this module. Out: what the rules make of each. `python -m tests.core.held_out` prints
the figures of docs/bounces.md, and every sample that is judged otherwise than its label says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from newsletter.core.bounce_count import COUNTED
from newsletter.core.mail_report import ReportKind, read_report
from newsletter.core.reply import Phase, Reply, Verdict, judge_delivery, parse_reply
from tests.core.bounce_corpus import report

FOLDER = Path(__file__).parent
RECIPIENT = "ann@example.org"
SENDER = "tips@example.com"
MAILBOX_OWN = frozenset({"hard", "domain", "full"})
"""What may count against the reader; everything else is another's fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """One sample and its verdict."""

    label: str
    text: str
    """The line, or the beginning of the mail."""
    verdict: Verdict | None
    """None when no refusal was read in it."""

    @property
    def is_hard(self) -> bool:
        """Whether it ends the subscription at once."""
        return self.verdict is not None and self.verdict.suppress

    @property
    def agrees(self) -> bool:
        """Whether hard and everything else are told apart as the label says."""
        return self.is_hard == (self.label == "hard")

    @property
    def is_blamed(self) -> bool:
        """Whether it counts against the reader although it is another's fault."""
        counted = self.verdict is not None and (self.verdict.suppress or self.verdict.kind in COUNTED)
        return counted and self.label not in MAILBOX_OWN


def samples() -> list[HeldOut]:
    """Return all of them, judged."""
    return [*_replies(), *_reports(), *_mails()]


def _replies() -> Iterator[HeldOut]:
    for label, step, text in _lines("replies.txt", 3):
        code, words = text.split(" ", 1)
        reply = parse_reply(int(code), [words], phase=Phase(step))
        yield HeldOut(label=label, text=f"{step} {text}", verdict=_verdict(reply))


def _reports() -> Iterator[HeldOut]:
    for label, action, status, diagnostic in _lines("reports.txt", 4):
        fields = [f"Final-Recipient: rfc822; {RECIPIENT}", f"Action: {action}", f"Status: {status}"]
        fields += [f"Diagnostic-Code: {diagnostic}"] if diagnostic else []
        text = report(status="Reporting-MTA: dns; mx.example.net\n\n" + "\n".join(fields) + "\n")
        yield _read(label, f"{action} {status} {diagnostic}", text)


def _mails() -> Iterator[HeldOut]:
    for block in (FOLDER / "mails.txt").read_text(encoding="utf-8").split("\n=== ")[1:]:
        head, _, body = block.partition("\n")
        label, sender, subject = (part.strip() for part in head.split(" | "))
        path = f"<{sender}>" if label in {"auto", "letter"} else "<>"
        text = (
            f"Return-Path: {path}\nFrom: {sender}\nTo: {SENDER}\nSubject: {subject}\n"
            f"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n{body}\n"
        )
        yield _read(label, f"{subject}: {' '.join(body.split())[:160]}", text)


def _read(label: str, summary: str, text: str) -> HeldOut:
    mail = read_report(text.replace("\n", "\r\n").encode())
    failed = mail.kind is ReportKind.FAILED and mail.reply is not None
    return HeldOut(label=label, text=summary, verdict=_verdict(mail.reply) if failed and mail.reply else None)


def _verdict(reply: Reply) -> Verdict:
    return judge_delivery(reply, sender=SENDER, recipient=RECIPIENT)


def _lines(name: str, parts: int) -> Iterator[list[str]]:
    for line in (FOLDER / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            fields = [part.strip() for part in line.split("|", parts - 1)]
            yield fields + [""] * (parts - len(fields))
