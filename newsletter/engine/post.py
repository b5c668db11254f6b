"""The post: how a marked delivery becomes an envelope, and what was said of it an outcome.

In: a person of an edition. Out: the message as it goes over the wire, spliced out of the frozen bytes: no template is
called, no message object built, nothing asked of the database per person. One for all connections of a pass.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from newsletter.clock import Clock
from newsletter.core.address import parse_address
from newsletter.core.delivery import Delivery, DeliveryId, DeliveryState, UncertainPolicy, settle
from newsletter.core.edition import EditionId
from newsletter.core.message import Publication, Recipient
from newsletter.core.reply import Effect, Reply, ReplyClass, Verdict
from newsletter.core.token import Keyring, make_unsubscribe_token, make_verp_sender, message_id
from newsletter.engine.desk import Settled
from newsletter.render.mime import CompiledMessage
from newsletter.store import edition as editions
from newsletter.store.run import Marked
from newsletter.store.unit import Unit
from newsletter.transport.base import Envelope

RETURNS = 3
"""How often a message may go straight back to the queue because the connection was lost; then it waits its turn."""


@dataclass(slots=True, kw_only=True)
class Post:
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
    _compiled: dict[EditionId, tuple[CompiledMessage, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def envelope(self, person: Marked) -> Envelope:
        """Splice the message of one person."""
        compiled, nonce = self._compiled.get(person.edition) or self.compiled(person.edition)
        # Almost every address is ASCII already; the others need their domain as the wire writes it.
        address = person.email if person.email.isascii() else parse_address(person.email).smtp
        domain = self.publication.from_email.rpartition("@")[2]
        content = compiled.splice(
            Recipient(
                email=address,
                name=person.name,
                fields=_fields(person),
                unsubscribe_url=f"{self.publication.base_url}/u/"
                + make_unsubscribe_token(self.keyring, person.subscriber_id, person.edition),
                message_id=message_id(person.edition, person.id, nonce, domain),
                date=person.first_attempt_at,
            ),
        )
        bounces = self.publication.bounce_domain
        sender = make_verp_sender(self.keyring, person.id, bounces) if bounces else self.publication.from_email
        return Envelope(
            mail_from=sender,
            rcpt_to=address,
            content=content if self.sign is None else self.sign(content),
            smtputf8=not address.isascii(),
            envelope_id=str(person.id),
        )

    def compiled(self, edition: EditionId) -> tuple[CompiledMessage, str]:
        """Return the frozen message of an edition, encoded once per pass, and its nonce."""
        with self._lock:
            if edition not in self._compiled:
                with self.unit.read() as tx:
                    content = editions.content(tx, edition)
                    nonce = editions.by_id(tx, edition).nonce
                self._compiled[edition] = (CompiledMessage.from_json(content), nonce)
            return self._compiled[edition]

    def settled(self, person: Marked, reply: Reply, verdict: Verdict) -> Settled:
        """Turn what was said into what is recorded."""
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
        return Settled(person.id, person.edition, person.subscriber_id, outcome, verdict.kind, verdict.plain)

    def _once_more(self, delivery: DeliveryId, verdict: Verdict) -> Verdict:
        """Let a message whose connections keep being lost wait its turn, so that it cannot hold up the others."""
        with self._lock:
            self.returns[delivery] += 1
            if self.returns[delivery] < RETURNS:
                return verdict
        return Verdict(
            effect=Effect.DEFER,
            kind=ReplyClass.SYSTEM,
            relay=verdict.relay,
            rule="lost-again",
            plain=f"The connection was lost {RETURNS} times in a row at this message.",
        )


def _fields(person: Marked) -> dict[str, str]:
    # Own fields bear their bare heading: `field.` is how an author writes them (`core/message.py`).
    return {
        **person.fields,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "name": person.name,
        "email": person.email,
    }
