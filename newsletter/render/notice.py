"""A notice as bytes: a mail to the operators and editors, or to a reader who asked for something.

In: a `NoticeBody` in plain words, with the real mail below it when it is a proof. Out: the whole message, ASCII, CRLF.
It is the same for each recipient, so it has no placeholders, and no one-click unsubscribe headers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from jinja2 import Environment
from markupsafe import Markup, escape

from newsletter.core.message import Publication
from newsletter.core.notice import NoticeKind
from newsletter.render.encoding import base64_lines, header_text, mailbox, quoted_printable
from newsletter.render.environment import render_template
from newsletter.render.headers import list_id
from newsletter.render.inline import inline_css

_BODY = re.compile(r"<body\b[^>]*>", re.IGNORECASE)
_CODE = re.compile(r"`([^`]+)`")


class Words(str):
    """A sentence in which commands stand between backticks; `html` has them set in their own type."""

    __slots__ = ()

    @property
    def html(self) -> Markup:
        """Return the sentence for an HTML body."""
        return Markup(_CODE.sub(r"<code>\1</code>", str(escape(str(self)))))  # noqa: S704 - escaped first


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of a small table."""

    label: str
    value: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A link that opens a page with one button."""

    label: str
    url: str
    note: str
    """What the button does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What can be done at a terminal."""

    purpose: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeBody:
    """The contents of a notice, before it is rendered."""

    kind: NoticeKind
    subject: str
    """The subject line after the name of the newsletter."""
    heading: str
    lead: Sequence[Words]
    """Paragraphs."""
    facts: Sequence[Fact] = ()
    actions: Sequence[Action] = ()
    commands: Sequence[Command] = ()
    label: str = ""
    """What stands above the heading of a reader's mail."""
    reading_title: str = ""
    reading: Sequence[Action] = ()
    """Tips of the archive, at the end of a reader's mail."""
    footer: str = ""
    """Why a reader gets the mail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The mail that a proof shows, as one reader gets it."""

    text: str
    html: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """The header values of one notice."""

    to: str
    message_id: str
    """Without the angle brackets."""
    date: datetime


def compose(
    letter: NoticeBody,
    publication: Publication,
    templates: Environment,
    stamp: Stamp,
    *,
    original: Original | None = None,
) -> str:
    """Return a notice as a message; raise `InputError` for a template that is wrong."""
    values = {"letter": letter, "publication": publication, "original": original is not None}
    folder = f"email/{letter.kind.value}"
    subject = " ".join(render_template(templates, f"{folder}/subject.txt", values).split())
    values["subject"] = subject
    text = _tidy(render_template(templates, f"{folder}/body.txt", values))
    html = render_template(templates, f"{folder}/body.html", values)
    if original is None:
        html = inline_css(html)
    else:
        text = f"{text}\n{original.text}"
        html = _above(html, original.html)
    return _message(publication, stamp, subject=subject, parts=(("plain", text), ("html", html)))


def compose_plainly(letter: NoticeBody, publication: Publication, stamp: Stamp) -> str:
    """Return a notice without any template: a faulty template must not lose an alert."""
    lines = [letter.heading, "", *letter.lead, "", *(f"{fact.label}: {fact.value}" for fact in letter.facts)]
    lines += [f"{action.label}: {action.url}" for action in letter.actions]
    lines += [f"{command.purpose}: {command.line}" for command in letter.commands]
    subject = f"[{publication.name}] {letter.subject}"
    return _message(publication, stamp, subject=subject, parts=(("plain", "\n".join(lines) + "\n"),))


def _above(panel: str, html: str) -> str:
    """Put the panel of a proof at the top of the real mail, before its hidden preview text."""
    body = _BODY.search(html)
    at = body.end() if body else 0
    return f"{html[:at]}\n{panel}\n{html[at:]}"


def _tidy(text: str) -> str:
    """Return text with no blanks at line ends and at most one empty line in a row."""
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").strip().split("\n")]
    return "\n".join(line for at, line in enumerate(lines) if line or lines[at - 1]) + "\n"


def _message(publication: Publication, stamp: Stamp, *, subject: str, parts: Sequence[tuple[str, str]]) -> str:
    boundary = "=_" + hashlib.sha256(f"boundary {stamp.message_id}".encode()).hexdigest()[:24]
    headers = [
        ("From", mailbox(publication.name, publication.from_email, header="From")),
        ("To", mailbox("", stamp.to, header="To")),
        ("Reply-To", publication.reply_to),
        ("Subject", header_text(subject, name="Subject")),
        ("Date", format_datetime(stamp.date)),
        ("Message-ID", f"<{stamp.message_id}>"),
        ("MIME-Version", "1.0"),
        ("List-Id", list_id(publication)),
        # A machine wrote it, unasked (RFC 3834 §5); an edition bears no such header, since a person wrote the tip.
        ("Auto-Submitted", "auto-generated"),
        ("Precedence", "bulk"),
        ("X-Auto-Response-Suppress", "OOF, DR, RN, NRN, AutoReply"),
        ("Content-Type", f'multipart/alternative; boundary="{boundary}"'),
    ]
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    body = "".join(f"--{boundary}\r\n{_part(subtype, text)}\r\n" for subtype, text in parts)
    return f"{head}\r\n{body}--{boundary}--\r\n"


def _part(subtype: str, text: str) -> str:
    """Encode one part, the shorter way."""
    quoted = quoted_printable(text)
    based = base64_lines(text.replace("\n", "\r\n").encode())
    encoding, data = ("base64", based) if len(based) < len(quoted) else ("quoted-printable", quoted)
    head = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head + data.decode("ascii")
