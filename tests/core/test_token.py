"""Tokens: short, genuine or nothing, and good for twenty years."""

from __future__ import annotations

import base64
import hmac
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from newsletter.core.delivery import DeliveryId
from newsletter.core.edition import EditionId
from newsletter.core.subscriber import SubscriberId
from newsletter.core.token import (
    Keyring,
    UnsubscribeToken,
    key_fingerprint,
    make_unsubscribe_token,
    make_verp_sender,
    message_id,
    read_unsubscribe_token,
    read_verp_token,
    suppression_hash,
    suppression_hashes,
)
from newsletter.errors import InputError

FIRST = "the first secret of this test"
SECOND = "the second secret of this test"
RING = Keyring(FIRST)

subscriber_ids = st.integers(1, 2**40 - 1).map(SubscriberId)
edition_ids = st.integers(1, 2**24 - 1).map(EditionId)
delivery_ids = st.integers(1, 2**40 - 1).map(DeliveryId)


@given(subscriber_ids, st.none() | edition_ids)
def test_unsubscribe_round_trip(subscriber: SubscriberId, edition: EditionId | None) -> None:
    """An opt-out token is 36 URL-safe characters and says who and which edition."""
    token = make_unsubscribe_token(RING, subscriber, edition)
    assert re.fullmatch(r"[A-Za-z0-9_-]{36}", token)
    assert read_unsubscribe_token(RING, token) == UnsubscribeToken(subscriber, edition)


def test_unsubscribe_format_is_frozen() -> None:
    """A token that stands in mail already sent is read for ever."""
    token = make_unsubscribe_token(RING, SubscriberId(1204), EditionId(48))
    assert token == "AQzJAAAABLQAADAirNYkB6zljM65_03puMRx"
    assert read_unsubscribe_token(RING, token) == UnsubscribeToken(SubscriberId(1204), EditionId(48))


def test_verp_and_other_formats_are_frozen() -> None:
    """A bounce address, a suppression hash and a fingerprint made years ago still match."""
    assert (
        make_verp_sender(RING, DeliveryId(1204), "bounces.example.org") == "b+0000015m1zvpevzsb3rww@bounces.example.org"
    )
    assert suppression_hash(RING, "ada@example.org").startswith("71ff8ba5779bfeeb")
    assert key_fingerprint(FIRST) == "af549f22acc0ced9"
    assert (
        message_id(EditionId(48), DeliveryId(1204), "n0nce", "news.example.org")
        == "48.5t53de1hwtrbdznee8xsv1x6@news.example.org"
    )


@given(st.integers(0, 26), st.integers(1, 255))
def test_any_changed_byte_voids_a_token(place: int, change: int) -> None:
    """A token with any one byte changed is nobody's."""
    raw = bytearray(base64.urlsafe_b64decode(make_unsubscribe_token(RING, SubscriberId(7), EditionId(3))))
    raw[place] ^= change
    assert read_unsubscribe_token(RING, base64.urlsafe_b64encode(raw).decode()) is None


def test_another_version_is_not_guessed_at() -> None:
    """A token of a later format is nobody's, even with a genuine tag: its bytes may mean something else."""
    payload = b"\x02" + base64.urlsafe_b64decode(make_unsubscribe_token(RING, SubscriberId(7), EditionId(3)))[1:11]
    tag = hmac.digest(RING.derived[0].unsubscribe, payload, "sha256")[:16]
    assert read_unsubscribe_token(RING, base64.urlsafe_b64encode(payload + tag).decode()) is None


@given(st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9_-]{36}", fullmatch=True))
def test_garbage_is_read_as_nothing(text: str) -> None:
    """Whatever a stranger sends is None, never an exception."""
    assert read_unsubscribe_token(RING, text) is None
    assert read_verp_token(RING, text) is None


@pytest.mark.parametrize("noise", ["{}=", " {}", "{}\n", "{}.", "={}"])
def test_a_token_has_one_spelling(noise: str) -> None:
    """Characters that a base64 decoder would skip void a token."""
    assert read_unsubscribe_token(RING, noise.format(make_unsubscribe_token(RING, SubscriberId(7)))) is None


def test_old_secrets_only_verify() -> None:
    """After a rotation old links work, new ones bear the new secret, and a dropped secret is a stranger's."""
    old_link = make_unsubscribe_token(RING, SubscriberId(7), EditionId(3))
    old_sender = make_verp_sender(RING, DeliveryId(9), "example.org")
    rotated = Keyring(SECOND, (FIRST,))
    assert read_unsubscribe_token(rotated, old_link) == UnsubscribeToken(SubscriberId(7), EditionId(3))
    assert read_verp_token(rotated, old_sender) == DeliveryId(9)
    assert make_unsubscribe_token(rotated, SubscriberId(7), EditionId(3)) != old_link
    assert read_unsubscribe_token(Keyring(SECOND), old_link) is None
    assert read_verp_token(Keyring(SECOND), old_sender) is None


def test_suppression_survives_a_rotation() -> None:
    """The hash under an old secret is still among those that are looked up."""
    before = suppression_hash(RING, "ada@example.org")
    rotated = Keyring(SECOND, (FIRST,))
    assert suppression_hashes(rotated, "ada@example.org") == (suppression_hash(rotated, "ada@example.org"), before)
    assert before != suppression_hash(RING, "grace@example.org")


@given(delivery_ids)
def test_verp_round_trip(delivery: DeliveryId) -> None:
    """A bounce address fits into 64 octets, is lower case, and is read back in upper case and with confused letters."""
    sender = make_verp_sender(RING, delivery, "bounces.example.org")
    local = sender.partition("@")[0]
    token = local.partition("+")[2]
    assert re.fullmatch(r"b\+[0-9abcdefghjkmnpqrstvwxyz]{21}", local)
    confused = token.replace("0", "O").replace("1", "l")
    for spelling in (sender, sender.upper(), local, token, token.upper(), confused, token.replace("1", "I")):
        assert read_verp_token(RING, spelling) == delivery


@given(delivery_ids, delivery_ids)
def test_a_bounce_cannot_be_forged(mine: DeliveryId, other: DeliveryId) -> None:
    """The tag of one delivery does not fit another."""
    assume(mine != other)
    token = make_verp_sender(RING, mine, "example.org")[2:23]
    target = make_verp_sender(RING, other, "example.org")[2:23]
    assert read_verp_token(RING, target[:9] + token[9:]) in {None, mine}


def test_the_unused_letter_is_refused() -> None:
    """A token with the letter u, which the alphabet lacks, is nobody's."""
    token = make_verp_sender(RING, DeliveryId(9), "example.org")[2:23]
    assert read_verp_token(RING, "u" + token[1:]) is None


def test_secrets_do_not_print() -> None:
    """Neither a secret nor a key derived from it stands in a repr."""
    ring = Keyring(FIRST, (SECOND,))
    assert repr(ring) == "Keyring()"


def test_a_short_secret_is_refused() -> None:
    """A secret that can be guessed is wrong input."""
    with pytest.raises(InputError, match="too short"):
        Keyring("secret")
    with pytest.raises(InputError, match="too short"):
        Keyring(FIRST, ("",))


def test_a_fingerprint_tells_secrets_apart() -> None:
    """Text and bytes of one secret have one fingerprint; another secret has another."""
    assert key_fingerprint(FIRST) == key_fingerprint(FIRST.encode())
    assert key_fingerprint(FIRST) != key_fingerprint(SECOND)
    assert re.fullmatch(r"[0-9a-f]{16}", key_fingerprint(FIRST))


@given(edition_ids, delivery_ids, delivery_ids, st.text(max_size=20))
def test_message_ids(edition: EditionId, first: DeliveryId, other: DeliveryId, nonce: str) -> None:
    """A Message-ID is a dot-atom, the same on a retry, and another for another person or nonce."""
    identifier = message_id(edition, first, nonce, "news.example.org")
    assert re.fullmatch(r"[0-9]+\.[0-9a-z]{24}@news\.example\.org", identifier)
    assert identifier == message_id(edition, first, nonce, "news.example.org")
    assert identifier != message_id(edition, first, nonce + "x", "news.example.org")
    assert (identifier == message_id(edition, other, nonce, "news.example.org")) == (first == other)
