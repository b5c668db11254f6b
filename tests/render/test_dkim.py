"""Our DKIM signatures before a verifier that is not ours: every message passes, and no change does."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from dkim.canonicalization import Relaxed
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.message import Publication, Recipient
from newsletter.core.notice import NoticeKind
from newsletter.render.dkim import OVERSIGNED, SIGNED, Signer, SigningKey, canonical_body
from newsletter.render.dkim_key import make_rsa
from newsletter.render.mime import CompiledMessage
from newsletter.render.notice import NoticeBody, Stamp, Words, compose_plainly
from tests.render.dkim_fixtures import AT, DOMAIN, records, seals, signer, verified

Edit = Callable[..., CompiledMessage]

BODY = "Dear {{ first_name|friend }} of {{ field.company name|nowhere }},\n\n    two  blanks and a tab\tin code  \n"
CHINESE = "{{ first_name|朋友}}你好。" + "这是一个有用的提示。" * 400
NAMES = (
    "",
    "Ann",
    "Zoë Müller",
    "山田 太郎",
    "=?utf-8?q?Bcc=3A_all=40example.org?=",
    "Eve\r\nBcc: everybody@example.org",
    "trailing space \t ",
    "two  blanks   and four    more",
    "é" * 900,
    "word " * 400,
    ".leading dot",
)


def fields_of(message: bytes) -> list[bytes]:
    """Return the header fields of a message, folded as they are."""
    return re.split(rb"\r\n(?![ \t])", message.partition(b"\r\n\r\n")[0])


def tags(field: bytes) -> dict[str, str]:
    """Return the tags of a signature, without any blanks."""
    text = re.sub(r"\s+", "", field.decode().partition(":")[2])
    return dict(tag.split("=", 1) for tag in text.split(";") if tag)


@pytest.mark.parametrize("body", [BODY, CHINESE], ids=["quoted-printable", "base64"])
@pytest.mark.parametrize("name", NAMES)
def test_every_message_verifies(edit: Edit, recipient: Recipient, body: str, name: str) -> None:
    """Whatever a reader is called and however the body is encoded, both signatures are right."""
    compiled = edit(body, subject="{{ first_name|friend }}, this subject is long enough for two lines of a header")
    person = replace(recipient, name=name, fields={"first_name": name, "Company-Name": name})
    message = compiled.splice(person)
    signed = signer()(message)
    assert signed.endswith(message)
    assert verified(signed) == [True, True]


@given(name=st.text(max_size=80), company=st.text(max_size=80))
def test_any_message_verifies_and_is_canonical(edit: Edit, recipient: Recipient, name: str, company: str) -> None:
    """For any Unicode the body we write is its own relaxed form, so that signing rewrites nothing."""
    compiled = edit(BODY, subject="{{ first_name|friend }}, a tip")
    message = compiled.splice(replace(recipient, name=name, fields={"first_name": name, "Company-Name": company}))
    body = message.partition(b"\r\n\r\n")[2]
    assert canonical_body(body) is body
    assert body == Relaxed.canonicalize_body(body)
    assert verified(signer()(message)) == [True, True]


@given(
    text=st.text(st.sampled_from(" \t\n\r.a=é-"), max_size=300),
    name=st.text(st.sampled_from(" \tä\u3042x"), max_size=40),
)
def test_a_body_of_odd_blanks_is_canonical(edit: Edit, recipient: Recipient, text: str, name: str) -> None:
    """Blanks at line ends, in runs, and round a merge field are encoded away, in both transfer encodings."""
    for tail in ("", "这是一个有用的提示。" * 200):
        compiled = edit(f"x {{{{ first_name| }}}} {text} {{{{ first_name|a  b }}}}\n\n{tail}")
        body = compiled.splice(replace(recipient, fields={"first_name": name})).partition(b"\r\n\r\n")[2]
        assert canonical_body(body) is body


@given(st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b".", b"bc"]), max_size=40).map(b"".join))
def test_any_body_is_brought_into_the_relaxed_form(body: bytes) -> None:
    """Also a body that somebody else wrote: as dkimpy canonicalises it."""
    assert canonical_body(body) == Relaxed.canonicalize_body(body)


@pytest.mark.parametrize("tail", [b"", b"\r\n", b"\r\n\r\n\r\n", b"no end", b"two  blanks \r\n\r\n", b"\t\r\n"])
def test_a_message_of_other_hands_verifies(tail: bytes) -> None:
    """Folds, tabs, capitals, runs of blanks and empty bodies are signed in their relaxed form."""
    message = b"FROM:  A\tB  <a@news.example.com> \r\nSubject: two\r\n\t lines \r\n  here\r\nX-Y: z\r\n\r\n" + tail
    assert verified(signer()(message)) == [True, True]


def test_a_notice_verifies(publication: Publication) -> None:
    """What the people who run it are sent is signed as what the readers get."""
    letter = NoticeBody(kind=NoticeKind.ALERT, subject="Zürich", heading="Trouble", lead=[Words("Run `x`.")])
    stamp = Stamp(to="ann@example.org", message_id="n1@news.example.com", date=AT)
    assert verified(signer()(compose_plainly(letter, publication, stamp).encode())) == [True, True]


def test_a_header_in_utf_8_verifies(edit: Edit, recipient: Recipient) -> None:
    """An address with a non-ASCII local part stands in UTF-8 (RFC 8616)."""
    message = edit().splice(replace(recipient, name="", email="jörg@example.org"))
    assert verified(signer()(message)) == [True, True]


def test_a_changed_byte_breaks_it(edit: Edit, recipient: Recipient) -> None:
    """One letter of the body, or of a signed header, and both signatures are wrong."""
    signed = signer()(edit("Pay Ann ten.").splice(recipient))
    for before, after in (
        (b"Pay Ann ten", b"Pay Eve ten"),
        (b"Subject: A tip", b"Subject: A top"),
        (b"/u/AbCd", b"/u/AbCe"),
        (b"Feedback-ID: 2026", b"Feedback-ID: 2027"),
    ):
        assert before in signed
        assert verified(signed.replace(before, after)) == [False, False], before
    assert verified(signed + b"More.\r\n") == [False, False]


@pytest.mark.parametrize("name", OVERSIGNED)
def test_no_second_header_can_be_added(edit: Edit, recipient: Recipient, name: str) -> None:
    """A second From, Subject or List-Unsubscribe, above or below the real one, breaks both signatures."""
    signed = signer()(edit().splice(recipient))
    assert verified(signed) == [True, True]
    extra = f"{name.title()}: Eve <eve@example.org>\r\n".encode()
    assert verified(extra + signed) == [False, False]
    assert verified(signed.replace(b"MIME-Version:", extra + b"MIME-Version:", 1)) == [False, False]


def test_a_missing_header_cannot_be_added(publication: Publication) -> None:
    """A notice has no List-Unsubscribe, and nobody on the way can give it one."""
    letter = NoticeBody(kind=NoticeKind.ALERT, subject="x", heading="x", lead=[])
    stamp = Stamp(to="ann@example.org", message_id="n1@news.example.com", date=AT)
    signed = signer()(compose_plainly(letter, publication, stamp).encode())
    assert verified(b"List-Unsubscribe: <https://example.org/u>\r\n" + signed) == [False, False]


def test_what_servers_add_on_the_way_breaks_nothing(edit: Edit, recipient: Recipient) -> None:
    """Trace headers come on top, and folds and blanks may change."""
    signed = signer()(edit(subject="One tip for today").splice(recipient))
    relayed = b"Return-Path: <>\r\nReceived: by mx.example.org\r\n" + signed
    relayed = relayed.replace(b"Subject: One tip for today", b"Subject:  One tip\r\n\tfor today ")
    assert verified(relayed) == [True, True]


def test_the_tags_are_those_of_the_profile(edit: Edit, recipient: Recipient) -> None:
    """Relaxed, SHA-256, no length limit, no end, and each header that receivers want covered, some once too often."""
    message = edit().splice(recipient)
    rsa, ed25519 = (tags(field) for field in fields_of(signer()(message))[:2])
    assert (rsa["a"], ed25519["a"]) == ("rsa-sha256", "ed25519-sha256")
    assert (rsa["s"], ed25519["s"]) == ("s1", "e1")
    for key in (rsa, ed25519):
        assert (key["v"], key["c"], key["d"]) == ("1", "relaxed/relaxed", DOMAIN)
        assert key["t"] == str(int(AT.timestamp()))
        assert not {"l", "x", "i"} & key.keys()
        present = {field.partition(b":")[0].decode().lower() for field in fields_of(message)}
        expected = [name for name in (*OVERSIGNED, *SIGNED) for _ in range((name in present) + (name in OVERSIGNED))]
        assert key["h"].split(":") == expected
        assert {"list-unsubscribe", "list-unsubscribe-post", "from"} <= set(key["h"].split(":"))


@pytest.mark.parametrize("domain", ["a.example", f"{'long-label-' * 5}x.{'another-label-' * 4}y.example.com"])
def test_lines_of_the_signature_are_short(edit: Edit, recipient: Recipient, domain: str) -> None:
    """No line is longer than 76 columns unless a single name is; all end in CRLF, and there are no empty ones."""
    long_signer = Signer([replace(seal, domain=domain, selector="s" * 60) for seal in seals()], now=lambda: AT)
    message = edit().splice(recipient)
    added = long_signer(message)[: -len(message)]
    assert added.endswith(b"\r\n")
    lines = added.decode().removesuffix("\r\n").split("\r\n")
    assert not [line for line in lines if "\n" in line or "\r" in line or not line.strip()]
    assert not [line for line in lines if len(line) > 76 and domain not in line]


def test_one_key_makes_one_signature(edit: Edit, recipient: Recipient) -> None:
    """Without the second key there is the RSA signature alone."""
    rsa, _ = seals()
    assert verified(Signer([rsa], now=lambda: AT)(edit().splice(recipient))) == [True]


def test_another_key_does_not_verify(edit: Edit, recipient: Recipient) -> None:
    """The record of another key under the name of ours finds the signature wrong."""
    _, ed25519 = seals()
    other = SigningKey(domain=DOMAIN, selector="s1", key=make_rsa())
    signed = Signer([other, ed25519], now=lambda: AT)(edit().splice(recipient))
    assert verified(signed, records()) == [False, True]


def test_the_time_is_that_of_signing(edit: Edit, recipient: Recipient) -> None:
    """A message that waited two days bears the time at which it was signed, and its own date."""
    later = datetime(2024, 1, 4, tzinfo=UTC)
    field = fields_of(Signer(seals()[:1], now=lambda: later)(edit().splice(recipient)))[0]
    assert tags(field)["t"] == str(int(later.timestamp()))


def test_half_a_message_is_refused() -> None:
    """Without an empty line behind the header there is nothing whose signature would mean anything."""
    with pytest.raises(ValueError, match="empty line"):
        signer()(b"From: a@news.example.com\r\n")
