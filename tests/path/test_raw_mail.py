"""Every byte of a whole run: what left the program is a mail that any reader parses, and belongs to its reader."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from urllib.parse import urlsplit

import pytest
from sqlalchemy import update

from newsletter.core.token import Keyring, read_unsubscribe_token, read_verp_token
from newsletter.store.schema import delivery, subscriber
from newsletter.testing.catcher import Catcher, Caught
from tests.conftest import SECRET
from tests.path.conftest import MakeHome
from tests.path.home import Home

KEYRING = Keyring(current=SECRET)
NAMES = (
    "",
    "Ann",
    "Zoë Müller",
    "山田 太郎",
    "Ivan 'Johnny' \"Quote\" \\ Back",
    "=?utf-8?q?Bcc=3A_all=40example.org?=",
    "A =?us-ascii?b?Zm9v?= B",
    "<script>alert(1)</script> & <b>bold</b>",
    "{{ email }} {% raw %} {{ first_name|there }}",
    "Eve\r\nBcc: everybody@example.org",
    "Eve\nX-Injected: yes\n\nA body of her own",
    "Dot\r\n.\r\nMAIL FROM:<eve@example.org>",
    ".leading dot",
    "NUL\x00 and \x1b[31mred\x1b[0m",
    "line\u2028separator\u2029and\x85next",
    "\u202eright to left",
    "Comma, Semi; Colon: <angle@example.org>",
    "tips@news.example.com",
    "x" * 3000,
    "é" * 900,
    "word " * 400,
    "=" * 200,
    "a=20b=0D=0Ac=",
    "\U0001f600" * 60,
    "trailing space \t ",
    "%s %(name)s {0} $HOME `id`",
    "\ufeffmark",
)


def headers(raw: bytes) -> list[bytes]:
    """Return the header fields of a message, unfolded."""
    return re.sub(rb"\r\n(?=[ \t])", b"", raw.partition(b"\r\n\r\n")[0]).split(b"\r\n")


@pytest.fixture
def run(make_sqlite_home: MakeHome) -> tuple[Home, list[Caught]]:
    """Send one edition to people with the strangest names, and return everything the server received."""
    with Catcher() as catcher:
        home = make_sqlite_home(catcher.port, len(NAMES), BOUNCE_DOMAIN="bounces.example.org")
        with home.unit.write() as tx:
            for number, name in enumerate(NAMES):
                tx.execute(
                    update(subscriber)
                    .where(subscriber.c.email == f"p{number}@example.com")
                    .values(name=name, first_name=name.split(" ")[0], last_name=name[-20:], fields={"city": name})
                )
        code, words = home.run("edition", "send", "--now", "--yes")
        assert code == 0, words
        return home, catcher.caught


def ids(home: Home) -> dict[str, tuple[int, int]]:
    """Return the subscriber and the delivery of each address."""
    query = delivery.join(subscriber, subscriber.c.id == delivery.c.subscriber_id).select()
    with home.unit.read() as tx:
        rows = tx.execute(query.with_only_columns(subscriber.c.email, subscriber.c.id, delivery.c.id)).all()
    return {email: (person, number) for email, person, number in rows}


def test_everybody_gets_one_sound_mail(run: tuple[Home, list[Caught]]) -> None:
    """No name, however hostile, keeps a mail back, repeats it, or adds a recipient."""
    _, caught = run
    assert sorted(one.rcpt_to for one in caught) == sorted(f"p{n}@example.com" for n in range(len(NAMES)))


def test_lines_and_headers(run: tuple[Home, list[Caught]]) -> None:
    """Each header stands once, no line is too long, and no list header holds an encoded word."""
    for mail in run[1]:
        raw = mail.content
        assert b"\n" not in raw.replace(b"\r\n", b""), mail.rcpt_to
        assert b"\r" not in raw.replace(b"\r\n", b""), mail.rcpt_to
        assert b"\x00" not in raw
        assert max(len(line) for line in raw.split(b"\r\n")) <= 998
        fields = headers(raw)
        names = [field.split(b":")[0].lower() for field in fields]
        assert len(names) == len(set(names)), (mail.rcpt_to, names)
        assert {b"from", b"to", b"subject", b"date", b"message-id", b"list-unsubscribe", b"mime-version"} <= set(names)
        assert not {b"bcc", b"cc", b"x-injected"} & set(names)
        assert not [field for field in fields if field.lower().startswith(b"list-") and b"=?" in field]
        assert all(len(word) <= 75 for word in re.findall(rb"=\?[^ ]+\?=", raw.partition(b"\r\n\r\n")[0]))


def parse(raw: bytes) -> EmailMessage:
    """Read a message as a mail program does."""
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_parts(run: tuple[Home, list[Caught]]) -> None:
    """Text stands before HTML, both in quoted-printable of at most 76 columns, and no part has a defect."""
    for mail in run[1]:
        message = parse(mail.content)
        assert [part.defects for part in message.walk()] == [[]] * 3
        text, html = message.iter_parts()
        assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
        for part in (text, html):
            assert part["Content-Transfer-Encoding"] == "quoted-printable"
            assert max(len(line) for line in part.get_payload().splitlines()) <= 76
            assert "a short name says more than a number" in part.get_content()
            assert "{{" not in part.get_content() or "{{" in NAMES[int(mail.rcpt_to[1:].partition("@")[0])]
        assert "<script" not in html.get_content()


def test_each_mail_belongs_to_its_reader(run: tuple[Home, list[Caught]]) -> None:
    """To, the unsubscribe links and the return address of each mail lead to the person who got it, and nobody else."""
    home, caught = run
    people = ids(home)
    seen: set[str] = set()
    for mail in caught:
        message = parse(mail.content)
        person, number = people[mail.rcpt_to]
        [to] = message["To"].addresses
        assert to.addr_spec == mail.rcpt_to
        links = re.findall(r"<([^>]+)>", str(message["List-Unsubscribe"]))
        web = [link for link in links if link.startswith("https:")]
        tokens = {urlsplit(link).path.rpartition("/")[2] for link in web}
        text, html = (part.get_content() for part in message.iter_parts())
        tokens |= set(re.findall(r"https://news\.example\.com/u/([\w-]+)", text + html))
        assert len(tokens) == 1
        read = read_unsubscribe_token(KEYRING, tokens.pop())
        assert read is not None
        assert read.subscriber_id == person
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert read_verp_token(KEYRING, mail.mail_from) == number
        seen.add(str(message["Message-ID"]))
    assert len(seen) == len(caught)
