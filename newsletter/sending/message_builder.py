"""The post: how a marked delivery becomes an envelope, and what was said of it an outcome.

In: a person of an edition. Out: the message as it goes over the wire, spliced out of the frozen bytes: no template is
called, no message object built, nothing asked of the database per person. One for all connections of a pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from newsletter.clock import Clock
from newsletter.core.address import parse_address
from newsletter.core.delivery import Delivery, DeliveryId, DeliveryState, UncertainPolicy, accepted_outcome, settle
from newsletter.core.edition import EditionId
from newsletter.core.message import Publication
from newsletter.core.message_identity import MessageIdentity
from newsletter.core.reply import Effect, Reply, ReplyClass, Verdict
from newsletter.core.token import Keyring
from newsletter.event_loop import run_in_thread
from newsletter.render.mime import CompiledMessage
from newsletter.sending.committer import AttemptResult
from newsletter.store import edition as editions
from newsletter.store.claims import ClaimedDelivery
from newsletter.store.unit import Unit
from newsletter.transport.base import Envelope

RETURNS_MAX = 3
"""How often a message may go straight back to the queue because the connection was lost; then it waits its turn."""


class FrozenEdition(NamedTuple):
    """What is the same for everybody of an edition."""

    compiled: CompiledMessage
    message_identity: MessageIdentity


@dataclass(slots=True, kw_only=True)
class MessageBuilder:
    """How a job becomes an envelope, and a reply an outcome; shared, and the same for every connection."""

    unit: Unit
    clock: Clock
    publication: Publication
    keyring: Keyring
    expire_after: timedelta
    uncertain_policy: UncertainPolicy
    jitter: Callable[[], float]
    returns: Counter[DeliveryId]
    """How often each message went straight back to the queue."""
    sign: Callable[[bytes], bytes] | None = None
    """Puts a DKIM signature in front of a message."""
    _frozen: dict[EditionId, FrozenEdition] = field(default_factory=dict)

    def envelope(self, person: ClaimedDelivery) -> Envelope:
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

    def settled(self, person: ClaimedDelivery, reply: Reply, verdict: Verdict) -> AttemptResult:
        """Turn what was said into what is recorded."""
        if verdict.effect is Effect.ACCEPT:
            # A million in a row take this way: nothing is made but what is recorded.
            outcome = accepted_outcome(
                verdict, reply, attempts=person.attempts, begun=person.first_attempt_at, now=self.clock.now()
            )
            return AttemptResult(person.id, person.edition, person.subscriber_id, outcome, verdict.kind, verdict.plain)
        if verdict.effect is Effect.REQUEUE:
            verdict = self._once_more(person.id, verdict)
        outcome = settle(
            Delivery(
                id=person.id,
                edition_id=person.edition,
                subscriber_id=person.subscriber_id,
                state=DeliveryState.SENDING,
                # The mark has counted this attempt already; `settle` counts it too.
                attempts=person.attempts - 1,
                first_attempt_at=person.first_attempt_at,
            ),
            verdict,
            reply=reply,
            now=self.clock.now(),
            jitter=self.jitter(),
            expire_after=self.expire_after,
            uncertain_policy=self.uncertain_policy,
        )
        return AttemptResult(person.id, person.edition, person.subscriber_id, outcome, verdict.kind, verdict.plain)

    def _once_more(self, delivery: DeliveryId, verdict: Verdict) -> Verdict:
        """Let a message whose connections keep being lost wait its turn, so that it cannot hold up the others."""
        self.returns[delivery] += 1
        if self.returns[delivery] < RETURNS_MAX:
            return verdict
        return Verdict(
            effect=Effect.DEFER,
            kind=ReplyClass.SYSTEM,
            relay=verdict.relay,
            rule="lost-again",
            plain=f"The connection was lost {RETURNS_MAX} times in a row at this message.",
        )
