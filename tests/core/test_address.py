"""Addresses: one person, one canonical form, and a plain reason for what is refused."""

from __future__ import annotations

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given
from hypothesis import strategies as st

from newsletter.core.address import Address, domain_hint, parse_address
from newsletter.errors import InputError


def test_the_forms_of_an_address() -> None:
    """The address is kept as typed; the compared form is folded, the SMTP form keeps the case of the local part."""
    assert parse_address("  Ada.L+tips@EXAMPLE.org\t") == Address(
        email="Ada.L+tips@EXAMPLE.org",
        canonical="ada.l+tips@example.org",
        smtp="Ada.L+tips@example.org",
        needs_smtputf8=False,
    )


@pytest.mark.parametrize(
    "spelling",
    [
        "ada@bücher.example.org",
        "Ada@BÜCHER.example.org",
        "ada@xn--bcher-kva.example.org",
        "ada@bu\u0308cher.example.org",
        "\ufeffada@bücher\uff0eexample.org\u200b",
    ],
)
def test_an_international_domain_has_one_canonical_form(spelling: str) -> None:
    """The Unicode form, the A-label, another case and another normalisation are the same person."""
    address = parse_address(spelling)
    assert address.canonical == "ada@xn--bcher-kva.example.org"
    assert address.smtp.endswith("@xn--bcher-kva.example.org")
    assert address.needs_smtputf8 is False


def test_an_international_local_part_needs_smtputf8() -> None:
    """A local part that is not ASCII is taken, in NFC, and marked."""
    address = parse_address("Zoe\u0308@example.org")
    assert (address.smtp, address.canonical, address.needs_smtputf8) == ("Zoë@example.org", "zoë@example.org", True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        ("   ", "it is empty"),
        ("ada", "there is no @ sign"),
        ("a@b@example.org", "more than one @ sign"),
        ("@example.org", "nothing stands before"),
        ("ada@", "nothing stands after"),
        ("ada lovelace@example.org", "a blank inside"),
        ("ada\u00a0l@example.org", "a blank inside"),
        ("ada@example.org, bob@example.org", "a comma"),
        ("ada@example.org;bob@example.org", "a semicolon"),
        ("Ada <ada@example.org>", "angle brackets"),
        ("<ada@example.org>", "angle brackets"),
        ('"ada"@example.org', "quoted"),
        ("ada@[192.0.2.1]", "brackets"),
        ("mailto:ada@example.org", "the character : is not allowed"),
        ("ada\r\nRCPT TO:bob@example.org", "control character"),
        ("ada\x00@example.org", r"control character \(U\+0000\)"),
        ("ada\u2028@example.org", "control character"),
        ("ada@example", "not an e-mail address: .*period"),
        ("ada..l@example.org", "not an e-mail address"),
        (".ada@example.org", "not an e-mail address"),
        ("ada@-example.org", "not an e-mail address"),
        ("ada@localhost", "not an e-mail address"),
        ("a" * 65 + "@example.org", "not an e-mail address"),
        ("a@" + ".".join(["b" * 60] * 4) + ".example.org", "longer than 254"),
        ("é" * 60 + "@" + ".".join(["b" * 60] * 3) + ".org", "not an e-mail address"),
    ],
)
def test_what_is_refused(text: str, reason: str) -> None:
    """A wrong address is refused in one plain line, which never repeats a control character."""
    with pytest.raises(InputError, match=reason) as caught:
        parse_address(text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("domain", ["example.com", "example.org", "example.net", "mail.example.co"])
def test_documentation_domains_are_taken(domain: str) -> None:
    """The domains of RFC 2606 are taken: tests and samples live there."""
    assert parse_address(f"ada@{domain}").canonical == f"ada@{domain}"


local_parts = st.text("abcXYZ019.!#$%&'*+/=?^_`{|}~-\"() \\äßİ\u0308", min_size=1, max_size=70)
domains = st.sampled_from(
    ["example.org", "EXAMPLE.com", "bücher.example.org", "nodot", "-a.example.org", "a..example.org"]
)


@given(local_parts, domains)
@example("postmaster", "example.org")
@example("a" * 64, "example.org")
def test_the_verdict_is_that_of_email_validator(local: str, domain: str) -> None:
    """What is matched here for speed is taken or refused exactly as the library does it."""
    text = f"{local}@{domain}".strip()
    try:
        validate_email(text, strict=True, check_deliverability=False)
        good = True
    except EmailNotValidError:
        good = False
    try:
        parse_address(text)
    except InputError:
        assert not good
    else:
        assert good


@given(st.builds("{}@{}".format, local_parts, domains) | st.builds("{}@{}".format, local_parts, local_parts))
def test_the_short_way_reads_the_same(text: str) -> None:
    """An ordinary address reads the same as one with an invisible mark before it, which goes the general way."""
    readings: list[object] = []
    for spelling in (text, f"\ufeff{text}"):
        try:
            readings.append(parse_address(spelling))
        except InputError as fault:
            readings.append(str(fault))
    assert readings[0] == readings[1]


@given(st.text(max_size=40) | st.builds("{}@{}".format, local_parts, domains))
def test_the_canonical_form_is_stable(text: str) -> None:
    """Whatever is typed is refused with `InputError` or has a canonical form that is its own canonical form."""
    try:
        address = parse_address(text)
    except InputError:
        return
    assert parse_address(address.canonical).canonical == address.canonical
    assert parse_address(address.smtp).canonical == address.canonical
    assert address.smtp.isascii() == (not address.needs_smtputf8)


@pytest.mark.parametrize(
    ("domain", "hint"),
    [
        ("gmial.com", "gmail.com"),
        ("gmal.com", "gmail.com"),
        ("hotmial.com", "hotmail.com"),
        ("yahooo.com", "yahoo.com"),
        *((right, None) for right in ("gmail.com", "mail.com", "ymail.com", "yahoo.ie", "example.org", "gmx.at")),
    ],
)
def test_a_misspelt_domain(domain: str, hint: str | None) -> None:
    """One wrong, missing, further or swapped letter of a common domain gives a hint, a domain of its own does not."""
    assert domain_hint(f"ada@{domain}") == hint
