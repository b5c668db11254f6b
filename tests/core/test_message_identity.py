"""The postmark: prepared once, and the same texts as the tokens, for ever."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.delivery import DeliveryId
from newsletter.core.edition import EditionId
from newsletter.core.message import Publication
from newsletter.core.message_identity import MessageIdentity
from newsletter.core.subscriber import SubscriberId
from newsletter.core.token import Keyring, make_unsubscribe_token, make_verp_sender, message_id

PUBLICATION = Publication(
    name="Tips",
    from_email="tips@news.example.org",
    reply_to="tips@news.example.org",
    postal_address="Example",
    base_url="https://news.example.org",
    bounce_domain="bounces.example.org",
)
RING = Keyring("the first secret of this test")


@given(
    subscriber=st.integers(1, 2**40 - 1).map(SubscriberId),
    delivery=st.integers(1, 2**40 - 1).map(DeliveryId),
    edition=st.integers(1, 2**24 - 1).map(EditionId),
    nonce=st.text(max_size=70),
    secret=st.binary(min_size=16, max_size=90),
)
def test_a_postmark_is_what_the_tokens_are(
    subscriber: SubscriberId, delivery: DeliveryId, edition: EditionId, nonce: str, secret: bytes
) -> None:
    """For any ids, nonce and secret the prepared way makes the very texts of the plain way."""
    ring = Keyring(secret, (b"a secret of old times",))
    mark = MessageIdentity(PUBLICATION, ring, edition, nonce)
    token = make_unsubscribe_token(ring, subscriber, edition)
    assert mark.unsubscribe_url(subscriber) == f"https://news.example.org/u/{token}"
    assert mark.message_id(delivery) == message_id(edition, delivery, nonce, "news.example.org")
    assert mark.envelope(delivery)[0] == make_verp_sender(ring, delivery, "bounces.example.org")


def test_a_postmark_is_frozen() -> None:
    """The links and Message-IDs of mail that went out years ago come out again."""
    mark = MessageIdentity(PUBLICATION, RING, EditionId(48), "n0nce")
    assert mark.unsubscribe_url(SubscriberId(1204)).endswith("/u/AQzJAAAABLQAADAirNYkB6zljM65_03puMRx")
    assert mark.message_id(DeliveryId(1204)) == "48.5t53de1hwtrbdznee8xsv1x6@news.example.org"
    assert mark.envelope(DeliveryId(1204))[0] == "b+0000015m1zvpevzsb3rww@bounces.example.org"


def test_without_a_bounce_domain_all_share_one_sender() -> None:
    """Bounces then go to the address of the newsletter."""
    mark = MessageIdentity(replace(PUBLICATION, bounce_domain=""), RING, EditionId(48), "n0nce")
    assert mark.envelope(DeliveryId(1204))[0] == PUBLICATION.from_email
