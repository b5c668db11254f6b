"""The whole message as bytes: headers, parts, and what no subscriber's value can do to them."""

from __future__ import annotations

import email
import json
import re
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP, default
from html import escape
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.core.message import Publication, PublicationLinks, Recipient, full_name, merge_fields, plain_value
from newsletter.errors import InputError, Stop
from newsletter.render.mime import CompiledMessage
from newsletter.render.preview import preview_files

Edit = Callable[..., CompiledMessage]

SAMPLES = Path(__file__).parent / "samples"
PERSONAL_BODY = """\
Dear {{ first_name|friend }} of `{{ field.company name|your company }}`,

> [Your page](https://example.com/?who={{ first_name|friend }}&n={{ email }} "For {{ first_name|friend }}")
"""
EVERY_FIELD = """
{{ name|you }} {{ last_name| }} {{ field.name|none }} {{ field.email|none }} {{ field.first_name|none }} \\{{ x }}
"""
anything = st.text(st.characters(), max_size=80)
common = st.text("aF.-@ &'=~<ü", max_size=80)


def parsed(raw: bytes) -> EmailMessage:
    """Parse a message as a mail program would."""
    message = email.message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def part(raw: bytes, subtype: str) -> str:
    """Return one decoded part, lines ending in LF."""
    body = parsed(raw).get_body((subtype,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def check_wire(raw: bytes) -> None:
    """Assert what must hold for every message on the wire."""
    assert raw.endswith(b"--\r\n")
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    assert raw.isascii()
    assert not re.search(rb"^\.", raw, re.MULTILINE)
    head, _, body = raw.partition(b"\r\n\r\n")
    assert all(len(line) <= 998 for line in head.split(b"\r\n"))
    assert all(len(line) <= 76 for line in body.split(b"\r\n"))
    assert not re.search(rb"^List-[^\n]*=\?", head, re.MULTILINE)
    assert all(len(word) <= 75 for word in re.findall(rb"=\?[^\s]*\?=", head))


def test_each_header_is_there_once(edit: Edit, recipient: Recipient) -> None:
    """The headers that providers ask of bulk mail, in order, none twice and none besides."""
    message = parsed(edit().splice(recipient))
    assert message.keys() == [
        "From",
        "To",
        "Reply-To",
        "Subject",
        "Date",
        "Message-ID",
        "MIME-Version",
        "List-Id",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
        "List-Help",
        "List-Archive",
        "List-Post",
        "Precedence",
        "X-Auto-Response-Suppress",
        "Feedback-ID",
        "CFBL-Address",
        "CFBL-Feedback-ID",
        "Content-Type",
    ]
    assert message["List-Unsubscribe"] == "<https://news.example.com/u/AbCd-EfGh_123>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Id"] == '"Tip of the Week" <tips.list-id.news.example.com>'
    assert message["Message-ID"] == "<2026-11-24.42.abc123@news.example.com>"
    assert message["Date"] == "Tue, 24 Nov 2026 14:00:03 +0000"
    edition, name, stream, sender = message["Feedback-ID"].split(":")
    assert (edition, name, stream) == ("2026-11-24", "list-tips", "newsletter")
    assert 5 <= len(sender) <= 15


def test_a_mail_leads_to_its_page(edit: Edit, publication: Publication, recipient: Recipient) -> None:
    """Where the archive is on, both parts link to the page of the tip, with nothing personal in the address."""
    links = replace(publication.links, tips_url="https://news.example.com/tips")
    raw = edit(about=replace(publication, links=links)).splice(recipient)
    assert '<a href="https://news.example.com/tips/a-tip"' in part(raw, "html")
    assert "View in browser: https://news.example.com/tips/a-tip\n" in part(raw, "plain")
    assert "View in browser" not in part(edit().splice(recipient), "plain")


def test_a_mail_is_addressed_to_the_whole_name(edit: Edit, recipient: Recipient) -> None:
    """A person with a first and a last name and no display name has both in `To:` and in `{{ name|x }}`."""

    @dataclass(frozen=True)
    class Row:
        email: str = "ann@example.org"
        name: str = ""
        first_name: str = "Ann"
        last_name: str = "Example"
        fields: dict[str, str] = field(default_factory=dict)

    def sent_to(row: Row) -> EmailMessage:
        spliced = edit("Dear {{ name|reader }}.").personal(
            row,
            address=row.email,
            unsubscribe_url=recipient.unsubscribe_url,
            message_id=recipient.message_id,
            date=recipient.date,
        )
        return parsed(spliced.content)

    assert sent_to(Row())["To"] == "Ann Example <ann@example.org>"
    assert "Dear Ann Example." in part(sent_to(Row()).as_bytes(), "plain")
    assert sent_to(Row(name="Dr. Ann"))["To"] == '"Dr. Ann" <ann@example.org>'
    assert sent_to(Row(last_name=""))["To"] == "Ann <ann@example.org>"
    assert sent_to(Row(first_name="", last_name=""))["To"] == "ann@example.org"
    assert merge_fields(Row())["name"] == "Ann Example"


def test_headers_without_a_value_are_left_out(edit: Edit, publication: Publication, recipient: Recipient) -> None:
    """No archive, no complaint mailbox, no contact page: no header that points nowhere, and help by mail."""
    bare = replace(publication, links=PublicationLinks(), cfbl_address="", base_url="http://127.0.0.1:8080")
    message = parsed(edit(about=bare).splice(recipient))
    assert not {"List-Archive", "CFBL-Address", "CFBL-Feedback-ID", "List-Unsubscribe-Post"} & set(message.keys())
    assert message["List-Help"] == "<mailto:hello@example.com>"


@pytest.mark.parametrize(
    ("name", "list_id"),
    [
        ("Tipp für Zürich", "<tips.list-id.news.example.com>"),
        ('Ann\'s "best" <tips>, weekly', '"Ann\'s best tips, weekly" <tips.list-id.news.example.com>'),
        ("=?utf-8?q?x?=", '"utf-8qx" <tips.list-id.news.example.com>'),
    ],
)
def test_a_list_id_is_ascii_and_unbroken(
    edit: Edit, publication: Publication, recipient: Recipient, name: str, list_id: str
) -> None:
    """A name that the header cannot bear is left out of it or loses its odd signs; the label never changes."""
    raw = edit(about=replace(publication, name=name)).splice(recipient)
    check_wire(raw)
    assert f"\r\nList-Id: {list_id}\r\n".encode() in raw


def test_text_comes_before_html(edit: Edit, recipient: Recipient) -> None:
    """The richest alternative is the last (RFC 2046 §5.1.4), and neither part is 8bit."""
    message = parsed(edit().splice(recipient))
    parts = list(message.iter_parts())
    assert [one.get_content_type() for one in parts] == ["text/plain", "text/html"]
    assert {one["Content-Transfer-Encoding"] for one in parts} == {"quoted-printable"}


def test_what_is_not_latin_is_sent_in_base64(edit: Edit, recipient: Recipient) -> None:
    """Where quoted-printable would triple the text, base64 is used, and the values are still spliced in."""
    compiled = edit("{{ first_name|朋友}}你好。" + "这是一个有用的提示。" * 400)
    for name in ("安", "安妮", "Ann", "Zoë"):
        raw = compiled.splice(replace(recipient, fields={"first_name": name}))
        check_wire(raw)
        assert b"Content-Transfer-Encoding: base64" in raw
        assert part(raw, "plain") == compiled.text(replace(recipient, fields={"first_name": name}))
        assert f"{name}你好。" in part(raw, "html")


@settings(deadline=None)
@given(name=anything, first_name=anything, company=anything)
def test_any_name_and_field_arrive_as_they_are(
    edit: Edit, recipient: Recipient, name: str, first_name: str, company: str
) -> None:
    """For any Unicode the decoded message equals the edition rendered with the escaped values, and nothing is added."""
    compiled = edit(PERSONAL_BODY, subject="{{ first_name|friend }}, a tip", title="For {{ first_name|friend }}")
    person = replace(recipient, name=name, fields={"first_name": first_name, "Company-Name": company})
    raw = compiled.splice(person)
    check_wire(raw)
    assert parsed(raw).keys() == parsed(compiled.splice(recipient)).keys()
    who, works_at = plain_value(first_name) or "friend", plain_value(company) or "your company"
    html, text = part(raw, "html"), part(raw, "plain")
    assert html == compiled.html(person)
    assert text == compiled.text(person)
    assert f"Dear {escape(who)} of <code" in html
    assert f">{escape(works_at)}</code>" in html
    assert f'href="https://example.com/?who={quote(who, safe="")}&amp;n=ann%40example.org"' in html
    assert f'title="For {escape(who)}"' in html
    assert f"https://example.com/?who={quote(who, safe='')}&n=ann%40example.org" in text
    assert f"For {who}\n" in text


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A person as a query returns one."""

    email: str = "ann@example.org"
    name: str = ""
    first_name: str = ""
    last_name: str = ""
    fields: dict[str, str] = field(default_factory=dict)


@settings(deadline=None)
@given(
    person=st.builds(
        Row,
        email=st.emails() | anything,
        name=common | anything,
        first_name=common | anything,
        last_name=common | anything,
        fields=st.dictionaries(
            st.sampled_from(["Company-Name", "company name", "name", "email", "x"]), common | anything
        ),
    ),
    # The link is ours, from a base URL that was checked: whatever it holds can be encoded.
    link=st.just("https://news.example.com/u/AbCd-EfGh_123")
    | common
    | st.text(st.characters(codec="utf-8"), max_size=80),
    more=st.just("") | st.just("朋友你好。" * 900),
)
def test_a_row_of_the_database_makes_the_same_message(edit: Edit, person: Row, link: str, more: str) -> None:
    """The way of a million people, without a `Recipient`, ends in the bytes of the way of a preview, for any values."""
    body = PERSONAL_BODY + EVERY_FIELD + more
    compiled = edit(body, subject="{{ first_name|friend }}, a tip")
    date = datetime(2026, 11, 24, 14, 0, 3, 250_000, tzinfo=UTC)
    address = plain_value(person.email)
    recipient = Recipient(
        email=address,
        name=full_name(person),
        fields=merge_fields(person),
        unsubscribe_url=link,
        message_id="1.x@example.com",
        date=date,
    )
    personal_message = compiled.personal(
        person, address=address, unsubscribe_url=link, message_id="1.x@example.com", date=date
    )
    assert personal_message.content == compiled.splice(recipient)
    assert part(personal_message.content, "plain") == compiled.text(recipient)
    assert part(personal_message.content, "html") == compiled.html(recipient)
    # Nobody's odd value may end the message for the server; what is called fit is not looked through again.
    assert b"\n." not in personal_message.content


@pytest.mark.parametrize("name", ["Ann Example", "Zoë, 朋友"])
def test_nothing_is_rendered_or_asked_for_one_person(edit: Edit, name: str) -> None:
    """A message is spliced without a template, an `EmailMessage` or a query: a million of them would take hours."""
    compiled = edit(PERSONAL_BODY + EVERY_FIELD, subject="{{ first_name|friend }}, a tip")
    person = Row(name=name, first_name=name, fields={"Company-Name": name})
    called: set[str] = set()
    sys.setprofile(lambda frame, *_: called.add(frame.f_code.co_filename))
    try:
        personal_message = compiled.personal(
            person,
            address=person.email,
            unsubscribe_url="https://example.com/u/x",
            message_id="1.x@example.com",
            date=datetime(2026, 11, 24, tzinfo=UTC),
        )
    finally:
        sys.setprofile(None)
    assert personal_message.fit
    places = {Path(file).parent.name + "/" + Path(file).stem for file in called}
    assert "render/mime" in places
    assert not {place for place in places if place.split("/")[0] in {"jinja2", "premailer", "sqlalchemy", "lxml"}}
    assert not {"email/message", "email/generator", "email/contentmanager"} & places
    assert not {place for place in places if place.startswith(("store/", "engine/"))}


def test_a_message_equals_its_stored_sample(edit: Edit, recipient: Recipient, tmp_path: Path) -> None:
    """A whole message is byte for byte the sample: a changed library or template shows here first."""
    compiled = edit(
        (SAMPLES / "tip.md").read_text(encoding="utf-8"),
        title="Name your branches after the work",
        subject="Name your branches, {{ first_name|friend }}: “fix2” says nothing",
        preheader="Three small habits, and nobody asks what fix2 was.",
    )
    raw = compiled.splice(recipient)
    check_wire(raw)
    written_file = tmp_path / "message.eml"
    written_file.write_bytes(raw)
    stored = SAMPLES / "message.eml"
    assert raw == stored.read_bytes(), f"look at the difference, and if it is wanted: cp {written_file} {stored}"


def test_stdlib_reads_and_writes_the_message_back(edit: Edit, recipient: Recipient) -> None:
    """Python's own strict policy parses the message without a defect."""
    message = email.message_from_bytes(edit(subject="Zwölf Boxkämpfer").splice(recipient), policy=SMTP)
    assert not message.defects
    assert message["Subject"] == "Zwölf Boxkämpfer"
    assert all(not one.defects for one in message.walk())
    assert all(not header.defects for header in message.values())


def test_a_frozen_edition_splices_the_same_bytes(edit: Edit, recipient: Recipient) -> None:
    """What comes back from the row of the edition makes the message that was frozen, to the byte."""
    compiled = edit(PERSONAL_BODY, subject="{{ first_name|friend }}, a tip")
    again = CompiledMessage.from_json(compiled.to_json())
    assert again.splice(recipient) == compiled.splice(recipient)
    assert again.content == compiled.content


def test_a_frozen_edition_of_another_format_is_not_guessed_at(edit: Edit) -> None:
    """A format this version does not know stops, since half a mailing must not look different."""
    frozen = json.loads(edit().to_json()) | {"format": 99}
    with pytest.raises(Stop, match="another version"):
        CompiledMessage.from_json(json.dumps(frozen))


def test_a_non_ascii_local_part_stands_in_utf_8(edit: Edit, recipient: Recipient) -> None:
    """Such an address cannot be written in ASCII (RFC 6531); it is the only 8-bit text there ever is."""
    raw = edit().splice(replace(recipient, name="", email="jörg@example.org"))
    assert b"\r\nTo: j\xc3\xb6rg@example.org\r\n" in raw
    assert b"".join(raw.split(b"To: j\xc3\xb6rg", 1)).isascii()


def test_a_link_cannot_break_out_of_its_header(edit: Edit, recipient: Recipient) -> None:
    """An unsubscribe link with brackets and line breaks stays one link, and adds no header."""
    raw = edit().splice(replace(recipient, unsubscribe_url="https://example.com/u/x>\r\nBcc: b@example.org"))
    message = parsed(raw)
    assert "Bcc" not in message
    assert message["List-Unsubscribe"] == "<https://example.com/u/x%3E%0D%0ABcc:%20b@example.org>"


def test_a_sender_address_that_is_no_address_is_refused(edit: Edit, publication: Publication) -> None:
    """A sender such as `Tips <tips@example.com>` in the wrong setting is named before anything is frozen."""
    with pytest.raises(InputError, match="NEWSLETTER_FROM"):
        edit(about=replace(publication, from_email="Tips <tips@example.com>"))


def test_a_preview_is_three_files(edit: Edit, recipient: Recipient) -> None:
    """A browser, an editor and a mail program each get a file of what one person will see."""
    files = preview_files(edit(), recipient)
    assert sorted(files) == ["preview.eml", "preview.html", "preview.txt"]
    assert part(files["preview.eml"], "html").encode() == files["preview.html"]
    assert b"Hello Ann." in files["preview.txt"]


def test_threads_share_an_edition(edit: Edit, recipient: Recipient) -> None:
    """Many connections splice at once, and no message holds a value of another person."""
    compiled = edit(PERSONAL_BODY)
    people = [replace(recipient, email=f"p{n}@example.org", fields={"first_name": f"Person{n}"}) for n in range(400)]
    alone = [compiled.splice(person) for person in people]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            together = list(threads.map(compiled.splice, people))
    finally:
        sys.setswitchinterval(before)
    assert together == alone


def test_two_people_get_two_messages(edit: Edit, recipient: Recipient) -> None:
    """Nothing of one person's message is left in the next one's."""
    compiled = edit()
    other = replace(
        recipient,
        email="bo@example.net",
        name="",
        fields={},
        unsubscribe_url="https://news.example.com/u/other",
        message_id="other@news.example.com",
        date=datetime(2026, 11, 25, tzinfo=UTC),
    )
    first = compiled.splice(recipient)
    assert not re.search(rb"[Aa]nn|AbCd|24\.42", compiled.splice(other))
    assert compiled.splice(recipient) == first
