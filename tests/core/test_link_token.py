"""Tokens of links for one person, codes, stamps and the hashes of limits."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.token import (
    Keyring,
    LinkPurpose,
    LinkToken,
    confirmation_code,
    is_confirmation_code,
    limit_hash,
    make_form_stamp,
    make_link_token,
    read_form_stamp,
    read_link_token,
)
from newsletter.testing.clocks import START
from tests.conftest import SECRET

KEYRING = Keyring(current=SECRET)
OTHER = Keyring(current="another secret of enough characters", old=(SECRET,))


@given(st.integers(0, 2**40 - 1), st.integers(0, 255), st.sampled_from(LinkPurpose))
def test_a_link_is_read_as_it_was_made(number: int, detail: int, purpose: LinkPurpose) -> None:
    """Forty characters, and all of it comes back; a token of another key or purpose does not."""
    link = LinkToken(purpose=purpose, id=number, detail=detail, expires_at=START + timedelta(days=7))
    token = make_link_token(KEYRING, link)
    assert len(token) == 40
    assert read_link_token(KEYRING, token, purpose) == link
    assert read_link_token(OTHER, token, purpose) is None
    assert all(read_link_token(KEYRING, token, other) is None for other in LinkPurpose if other is not purpose)


@given(st.integers(0, 39), st.sampled_from("ABCabc019-_"))
def test_a_changed_link_is_refused(place: int, letter: str) -> None:
    """No letter of a token can be another one."""
    link = LinkToken(purpose=LinkPurpose.CONFIRM, id=1, expires_at=START)
    token = make_link_token(KEYRING, link)
    changed = token[:place] + letter + token[place + 1 :]
    assert (read_link_token(KEYRING, changed, LinkPurpose.CONFIRM) is not None) == (changed == token)


@pytest.mark.parametrize("junk", ["", "x" * 40, "é" * 40, "A" * 39, "A" * 41, "AAAA AAAA" * 4])
def test_junk_is_no_link(junk: str) -> None:
    """Whatever a stranger sends is read without an exception."""
    assert read_link_token(KEYRING, junk, LinkPurpose.CONFIRM) is None


def test_the_code_is_typed_by_people() -> None:
    """Capitals, blanks, the hyphen, and letters that look like digits do not matter."""
    code = confirmation_code(KEYRING, 12)
    assert len(code) == 9
    for typed in (code, code.lower(), code.replace("-", " "), f" {code.replace('-', '')} "):
        assert is_confirmation_code(KEYRING, 12, typed)
    assert is_confirmation_code(KEYRING, 12, code.replace("0", "O").replace("1", "l"))
    for typed in ("", "é", confirmation_code(KEYRING, 13), code[:8]):
        assert not is_confirmation_code(KEYRING, 12, typed)


def test_a_stamp_is_ours() -> None:
    """The time at which a form was shown cannot be made up."""
    stamp = make_form_stamp(KEYRING, START)
    assert read_form_stamp(KEYRING, stamp) == START
    seconds, _, tag = stamp.partition(".")
    for forged in ("", "x", f"{int(seconds) - 60}.{tag}", f"{seconds}.{'0' * 16}", make_form_stamp(OTHER, START)):
        assert read_form_stamp(KEYRING, forged) is None


def test_a_limit_names_nobody() -> None:
    """The key of a window shows neither the address nor the network, and differs by what is limited."""
    assert "ada" not in limit_hash(KEYRING, "victim", "ada@example.org")
    assert limit_hash(KEYRING, "victim", "x") != limit_hash(KEYRING, "domain", "x")
    assert limit_hash(KEYRING, "victim", "x") != limit_hash(OTHER, "victim", "x")
