"""Builds the message of one person, and the result of an attempt at it.

In: a claimed delivery. Out: the envelope with the message spliced out of the frozen bytes: no template is called, no
message object built, no query made for each person. All connections of a pass share one builder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from newsletter.core.address import parse_address
from newsletter.core.delivery import Delivery, DeliveryState
from newsletter.core.edition import EditionId
from newsletter.core.message import Publication
from newsletter.core.message_identity import MessageIdentity
from newsletter.core.reply import Reply, Verdict
from newsletter.core.token import Keyring
from newsletter.event_loop import run_in_thread
from newsletter.render.mime import CompiledMessage
from newsletter.sending.attempt import AttemptResult, AttemptSettler
from newsletter.store import edition as editions
from newsletter.store.claims import ClaimedDelivery
from newsletter.store.unit import Unit
from newsletter.transport.base import Envelope


class FrozenEdition(NamedTuple):
    """The part of a message that all readers of an edition share."""

    compiled: CompiledMessage
    message_identity: MessageIdentity


@dataclass(slots=True, kw_only=True)
class MessageBuilder:
    """Builds envelopes, and results from replies."""

    unit: Unit
    publication: Publication
    keyring: Keyring
    settler: AttemptSettler
    sign: Callable[[bytes], bytes] | None = None
    """Puts a DKIM signature in front of a message."""
    _frozen: dict[EditionId, FrozenEdition] = field(default_factory=dict)

    def build(self, person: ClaimedDelivery) -> Envelope:
        """Splice the message of one person."""
        frozen = self._frozen.get(person.edition) or self._load(person.edition)
        # Almost every address is ASCII already; the others need their domain as the wire writes it.
        address = person.email if person.email.isascii() else parse_address(person.email).smtp
        spliced = frozen.compiled.personal(
            person,
            address=address,
            unsubscribe_url=frozen.message_identity.unsubscribe_url(person.subscriber_id),
            message_id=frozen.message_identity.message_id(person.id),
            date=person.first_attempt_at,
        )
        sign = self.sign
        mail_from, token = frozen.message_identity.envelope(person.id)
        return Envelope(
            mail_from=mail_from,
            rcpt_to=address,
            content=spliced.content if sign is None else run_in_thread(lambda: sign(spliced.content)),
            fit=spliced.fit and sign is None,
            smtputf8=not address.isascii(),
            envelope_id=token,
        )

    def _load(self, edition: EditionId) -> FrozenEdition:
        """Read the frozen message of an edition, once per pass."""
        with self.unit.read() as tx:
            content = editions.content(tx, edition)
            nonce = editions.by_id(tx, edition).nonce
        message_identity = MessageIdentity(self.publication, self.keyring, edition, nonce)
        self._frozen[edition] = FrozenEdition(CompiledMessage.from_json(content), message_identity)
        return self._frozen[edition]

    def result(self, person: ClaimedDelivery, reply: Reply, verdict: Verdict) -> AttemptResult:
        """Return the record of an attempt that was not accepted."""
        delivery = Delivery(
            id=person.id,
            edition_id=person.edition,
            subscriber_id=person.subscriber_id,
            state=DeliveryState.SENDING,
            attempts=person.attempts,
            first_attempt_at=person.first_attempt_at,
        )
        outcome, verdict = self.settler.settle(delivery, reply, verdict)
        return AttemptResult(person.id, person.edition, person.subscriber_id, outcome, verdict.kind, verdict.plain)
