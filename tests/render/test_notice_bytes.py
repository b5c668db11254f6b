"""A notice as it goes over the wire: headers, encodings, and what hostile words come to."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_string, policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.message import Publication
from newsletter.core.notice import READER_KINDS, NoticeKind
from newsletter.render.environment import make_environment
from newsletter.render.notice import Action, Command, Fact, NoticeBody, Original, Stamp, Words, compose, compose_plainly

PUBLICATION = Publication(
    name="Tip of the Week",
    from_email="tips@news.example.com",
    reply_to="hello@news.example.com",
    postal_address="Example Society",
    base_url="https://news.example.com",
)
TEMPLATES = make_environment(None)
STAMP = Stamp(
    to="admin@example.org", message_id="notice.abc@news.example.com", date=datetime(2026, 11, 23, 14, tzinfo=UTC)
)


def letter(
    kind: NoticeKind = NoticeKind.ALERT, words: str = "Run `newsletter queue`, it is <b>urgent</b>."
) -> NoticeBody:
    """Return a letter that has everything."""
    return NoticeBody(
        kind=kind,
        subject="mail cannot be sent",
        heading="Mail cannot be sent",
        lead=[Words(words)],
        facts=[Fact(label="Since", value=Words("Tuesday"))],
        actions=[Action(label="Skip", url="https://news.example.com/a/x", note="No mail goes out.")],
        commands=[Command(purpose="Look", line="newsletter queue")],
    )


def read(text: str) -> EmailMessage:
    """Parse a message as a mail program does."""
    return message_from_string(text, policy=policy.SMTP)  # type: ignore[return-value]


def parts(message: EmailMessage) -> tuple[str, str]:
    """Return the text and the HTML."""
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    return str(text.get_content()) if text else "", str(html.get_content()) if html else ""


@pytest.mark.parametrize("kind", [kind for kind in NoticeKind if kind is not NoticeKind.MISSED_TIP])
def test_every_kind_is_a_whole_message(kind: NoticeKind) -> None:
    """Each kind has its three templates; headers say that a machine wrote it, and offer no opt-out."""
    original = Original(text="The tip.\n", html="<html><body bgcolor='x'><p>The tip.</p></body></html>")
    raw = compose(letter(kind), PUBLICATION, TEMPLATES, STAMP, original=original if kind is NoticeKind.PROOF else None)
    message = read(raw)
    assert raw.isascii()
    assert all(len(line) <= 998 for line in raw.split("\r\n"))
    assert message["Message-ID"] == "<notice.abc@news.example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Precedence"] == "bulk"
    assert message["List-Id"] == '"Tip of the Week" <tips.list-id.news.example.com>'
    assert message["Subject"].startswith("[Tip of the Week] ") == (kind not in READER_KINDS)
    assert not [name for name in message if name.startswith("List-Unsubscribe")]
    text, html = parts(message)
    # A reader has no terminal, and needs the postal address.
    expected = ("Example Society",) if kind in READER_KINDS else ("newsletter queue", "Tuesday")
    for words in ("https://news.example.com/a/x", *expected):
        assert words in text
        assert words in html
    assert ("The tip." in text) == ("The tip." in html) == (kind is NoticeKind.PROOF)


def test_the_panel_stands_above_the_real_mail() -> None:
    """The real mail is left as it is, byte for byte, below the panel; without a body tag the panel comes first."""
    for start in ("<html><body>", ""):
        original = Original(text="x", html=f"{start}<p>The tip.</p>")
        raw = compose(letter(NoticeKind.PROOF), PUBLICATION, TEMPLATES, STAMP, original=original)
        html = parts(read(raw))[1]
        assert html.startswith(start)
        assert html.index("your readers do not get this part") < html.index("<p>The tip.</p>")


def test_words_are_escaped_and_commands_marked() -> None:
    """What a tip or a server said cannot write HTML; what stands between backticks is set as a command."""
    html = parts(read(compose(letter(), PUBLICATION, TEMPLATES, STAMP)))[1]
    assert "&lt;b&gt;urgent&lt;/b&gt;" in html
    assert ">newsletter queue</code>" in html


@given(st.text(st.characters(codec="utf-8"), max_size=200), st.text(st.characters(codec="utf-8"), max_size=80))
def test_any_words_make_a_message(words: str, subject: str) -> None:
    """Titles and server replies may hold anything: the headers stay ours, and the lines stay legal."""
    body = NoticeBody(kind=NoticeKind.ALERT, subject=subject, heading=subject or "x", lead=[Words(words)])
    for raw in (compose(body, PUBLICATION, TEMPLATES, STAMP), compose_plainly(body, PUBLICATION, STAMP)):
        assert raw.isascii()
        assert raw.replace("\r\n", "").count("\n") == raw.replace("\r\n", "").count("\r") == 0
        assert raw.endswith("\r\n")
        assert "\n." not in raw
        message = read(raw)
        assert message["To"] == "admin@example.org"
        assert message["Bcc"] is None
        assert len(message.get_all("Subject") or []) == 1


def test_the_plain_form_needs_no_template() -> None:
    """Without templates the same facts, links and commands stand in a text."""
    message = read(compose_plainly(letter(), PUBLICATION, STAMP))
    text, html = parts(message)
    assert html == ""
    for words in ("Since: Tuesday", "Skip: https://news.example.com/a/x", "Look: newsletter queue"):
        assert words in text
