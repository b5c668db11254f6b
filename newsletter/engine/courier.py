"""A courier: one thread, one connection, one message at a time.

In: jobs from the desk. Out: settled outcomes to the desk. The message is spliced here; what a reply means is judged
in the core.
"""

from __future__ import annotations

import logging
import re
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
from newsletter.core.pace import next_send_at
from newsletter.core.reply import Effect, Phase, RelayAction, Reply, ReplyClass, Verdict, judge
from newsletter.core.token import Keyring, make_unsubscribe_token, make_verp_sender, message_id
from newsletter.engine.desk import Desk, Job, Settled, Wait
from newsletter.errors import NewsletterError
from newsletter.flows.hold import pause_for_trouble
from newsletter.render.mime import CompiledMessage
from newsletter.store import edition as editions
from newsletter.store.delivery import Marked
from newsletter.store.unit import Unit
from newsletter.transport.base import ConnectFailure, Connection, Envelope

logger = logging.getLogger(__name__)

PATIENCE = 10
"""Connections in a row that may be lost before one reply comes through; then the relay is in trouble."""

DOUBTS = 3
"""Messages in a row without an answer after the last dot; then going on would only make more people uncertain."""

RETURNS = 3
"""How often a message may go straight back to the queue because the connection was lost; then it waits its turn."""

REFUSALS = 20
"""People in a row whom the server refuses for what we are or send; deliverability people call 25 alike a block."""

OURS = frozenset({ReplyClass.POLICY, ReplyClass.CONTENT, ReplyClass.AUTHENTICATION, ReplyClass.CONFIGURATION})
"""Refusals that may concern us and not the person."""

SHORT_WAIT = 5.0
"""Seconds of quota that a courier waits out; for longer it goes home, and what waits is said."""


@dataclass(slots=True, kw_only=True)
class Shared:
    """What the couriers of one pass tell one another."""

    stop: threading.Event
    free_at: float
    """When the rate per second allows the next message, on the monotonic clock."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)
    """Set when one of them found that going on makes no sense."""
    trouble: str = ""
    needs_person: bool = False
    wait: float = 0.0
    refusing: threading.Lock = field(default_factory=threading.Lock)
    refused: int = 0
    """People refused for what is ours since the server last took a message."""

    @property
    def ended(self) -> bool:
        """Tell whether no courier should take another job."""
        return self.stop.is_set() or self.over.is_set()

    def end(self, trouble: str, *, needs_person: bool = False) -> None:
        """Let everybody finish what they hold and go home."""
        with self.lock:
            self.trouble = self.trouble or trouble
            self.needs_person = self.needs_person or needs_person
        self.over.set()

    def note(self, verdict: Verdict, pause: Callable[[], None]) -> None:
        """Count refusals that may be meant for us; at the last one that is bearable, `pause`.

        The others wait here meanwhile, so that nobody takes another job before the edition is paused.
        """
        with self.refusing:
            if verdict.effect is Effect.ACCEPT:
                self.refused = 0
            elif verdict.effect is Effect.REJECT and verdict.kind in OURS:
                self.refused += 1
                if self.refused >= REFUSALS:
                    pause()
                    self.refused = 0


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
    rate: float | None
    returns: Counter[DeliveryId]
    """How often each message went straight back to the queue."""
    sign: Callable[[bytes], bytes] | None = None
    """What puts a DKIM signature in front of each message; None: the relay does."""
    _compiled: dict[EditionId, tuple[CompiledMessage, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def envelope(self, job: Job) -> Envelope:
        """Splice the message of one person."""
        compiled, nonce = self.compiled(job.edition)
        person = job.person
        # Almost every address is ASCII already; the others need their domain as the wire writes it.
        address = person.email if person.email.isascii() else parse_address(person.email).smtp
        domain = self.publication.from_email.rpartition("@")[2]
        content = compiled.splice(
            Recipient(
                email=address,
                name=person.name,
                fields=_fields(person),
                unsubscribe_url=f"{self.publication.base_url}/u/"
                + make_unsubscribe_token(self.keyring, person.subscriber_id, job.edition),
                message_id=message_id(job.edition, person.id, nonce, domain),
                date=person.first_attempt_at,
            ),
        )
        if self.sign is not None:
            content = self.sign(content)
        bounces = self.publication.bounce_domain
        sender = make_verp_sender(self.keyring, person.id, bounces) if bounces else self.publication.from_email
        return Envelope(mail_from=sender, rcpt_to=address, content=content, smtputf8=not address.isascii())

    def compiled(self, edition: EditionId) -> tuple[CompiledMessage, str]:
        """Return the frozen message of an edition, encoded once per pass, and its nonce."""
        with self._lock:
            if edition not in self._compiled:
                with self.unit.read() as tx:
                    content = editions.content(tx, edition)
                    nonce = editions.by_id(tx, edition).nonce
                self._compiled[edition] = (CompiledMessage.from_json(content), nonce)
            return self._compiled[edition]

    def settled(self, job: Job, reply: Reply, verdict: Verdict) -> Settled:
        """Turn what was said into what is recorded."""
        person = job.person
        verdict = self._once_more(person.id, verdict)
        outcome = settle(
            Delivery(
                id=person.id,
                edition_id=job.edition,
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
        return Settled(delivery=person.id, outcome=outcome, subscriber=person.subscriber_id, why=verdict.plain)

    def _once_more(self, delivery: DeliveryId, verdict: Verdict) -> Verdict:
        """Let a message whose connections keep being lost wait its turn, so that it cannot hold up the others."""
        if verdict.effect is not Effect.REQUEUE:
            return verdict
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


def _refuses_all(reply: Reply, job: Job) -> str:
    # It is about everybody: whose turn it happened to be is left out.
    said = re.sub(re.escape(job.person.email), "…", reply.text, flags=re.IGNORECASE)
    if not reply.code:
        return f"{REFUSALS} people in a row were refused and nobody was accepted: {said}."
    words = " ".join(part for part in (str(reply.code), reply.enhanced, said) if part)
    return f'The mail server refused {REFUSALS} people in a row and accepted nobody: it said "{words}".'


@dataclass(slots=True, kw_only=True)
class Courier:
    """One thread of the sender."""

    desk: Desk
    post: Post
    shared: Shared
    connect: Callable[[], Connection | ConnectFailure]
    bug: Exception | None = None
    """What should never have been raised; the sender raises it again."""
    torn: bool = False
    """True when the database failed it: an outcome may be in the log only, and its row still marked."""
    _connection: Connection | None = None
    _lost: int = 0
    _doubts: int = 0
    _in_flight: bool = False
    _aborted: bool = False
    _unanswered: int = 0

    def run(self) -> None:
        """Work until there is nothing to do, the relay is in trouble, or a stop is asked for."""
        try:
            self._work()
        except NewsletterError as error:
            self.torn = True
            self.shared.end(str(error))
        except Exception as error:  # noqa: BLE001 it is raised again in the thread that waits for this one
            self.bug = error
            self.shared.end("a fault in this program")
        finally:
            if self._connection is not None:
                self._connection.close()

    def abort(self) -> None:
        """Hang up from another thread."""
        self._aborted = True
        if self._connection is not None:
            self._connection.abort()

    @property
    def unanswered(self) -> int:
        """Return how many messages may or may not have arrived because of an abort."""
        return self._unanswered + int(self._in_flight)

    def _work(self) -> None:
        settled: Settled | None = None
        while True:
            if self.post.rate:
                # With a rate the outcome is handed in first: it must not wait for the next turn.
                self._hand_in(settled)
                settled = None
                self._keep_pace()
            ready = not self.shared.ended and self._is_connected()
            answer = self.desk.exchange(settled, wants=ready) if ready or settled else None
            settled = None
            if isinstance(answer, Wait):
                if not self._wait_out(answer.seconds):
                    return
            elif answer is None:
                return
            else:
                settled = self._deliver(answer)

    def _hand_in(self, settled: Settled | None) -> None:
        if settled is not None:
            self.desk.exchange(settled, wants=False)

    def _keep_pace(self) -> None:
        clock = self.post.clock
        with self.shared.lock:
            start, self.shared.free_at = next_send_at(self.shared.free_at, self.post.rate, clock.monotonic())
        if start > clock.monotonic():
            clock.wait(self.shared.stop, start - clock.monotonic())

    def _wait_out(self, seconds: float) -> bool:
        if seconds > SHORT_WAIT:
            with self.shared.lock:
                self.shared.wait = max(self.shared.wait, seconds)
            return False
        self.post.clock.wait(self.shared.stop, seconds)
        return True

    def _is_connected(self) -> bool:
        """Open a connection, or a fresh one, before a job is taken: a job in hand is a mark in the database."""
        if self._connection is not None and not self._connection.needs_recycling:
            return True
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._lost >= PATIENCE:
            self.shared.end(f"The mail server hung up {self._lost} times in a row.")
            return False
        opened = self.connect()
        if isinstance(opened, ConnectFailure):
            verdict = judge(opened.reply)
            self.shared.end(opened.plain, needs_person=verdict.relay is RelayAction.STOP)
            return False
        self._connection = opened
        return True

    def _deliver(self, job: Job) -> Settled:
        assert self._connection is not None  # noqa: S101 `_is_connected` was asked before the job was taken
        try:
            envelope = self.post.envelope(job)
        except Exception as error:
            # One person's odd data must not stop everybody else's mail; nothing was sent, and the log has the trace.
            logger.exception("the message of delivery %s cannot be made", job.person.id)
            reply = Reply(phase=Phase.MAIL, text=f"the message cannot be made: {error}"[:1000])
            verdict = Verdict(
                effect=Effect.REJECT,
                kind=ReplyClass.CONTENT,
                rule="own:unmade",
                plain="The message could not be made; see the log of the program.",
            )
            self._note(job, reply, verdict)
            return self.post.settled(job, reply, verdict)
        self._in_flight = True
        reply = self._connection.send(envelope)
        self._in_flight = False
        # Only what was cut off behind the dot is in doubt; before it the message goes back to the queue.
        self._unanswered += int(self._aborted and reply.may_be_delivered)
        verdict = judge(reply)
        self._react(job, verdict)
        self._note(job, reply, verdict)
        self._lost = 0 if reply.code else self._lost + 1
        self._doubts = self._doubts + 1 if reply.may_be_delivered else 0
        if self._doubts >= DOUBTS:
            self.shared.end(f"The mail server took {DOUBTS} messages in a row and did not answer.")
        return self.post.settled(job, reply, verdict)

    def _react(self, job: Job, verdict: Verdict) -> None:
        match verdict.relay:
            case RelayAction.GO_ON:
                return
            case RelayAction.RECONNECT:
                self._hang_up()
            case RelayAction.BACK_OFF:
                self._hang_up()
                self.shared.end(verdict.plain)
            case RelayAction.STOP:
                self._hang_up()
                self.shared.end(verdict.plain, needs_person=True)
            case RelayAction.PAUSE_EDITION:
                pause_for_trouble(self.post.unit, job.edition, why=verdict.plain, now=self.post.clock.now())

    def _note(self, job: Job, reply: Reply, verdict: Verdict) -> None:
        def pause() -> None:
            pause_for_trouble(self.post.unit, job.edition, why=_refuses_all(reply, job), now=self.post.clock.now())

        self.shared.note(verdict, pause)

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
