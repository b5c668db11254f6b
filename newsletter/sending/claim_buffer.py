"""The claims of one process, shared by its connections: deliveries that any of them may send next.

In: claims from the committer; results, and claims that no connection can send, from the connections. Out: one claim at
a time to the connection that asks, and to the committer all that the next transaction records. One buffer for all
connections, since what one transaction costs is shared by as many messages as possible (decision 22).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from newsletter.clock import Clock
from newsletter.core.delivery import DeliveryId
from newsletter.core.reply import Reply
from newsletter.event_loop import new_event
from newsletter.sending.attempt import AcceptedReply, AcceptedTexts, AttemptResult
from newsletter.sending.pass_state import PassState
from newsletter.store.claims import ClaimedDelivery

if TYPE_CHECKING:
    from gevent.event import Event

CLAIMS_MAX = 200
"""Claims of one process of which nothing was sent. With the messages in flight, one for each connection, these are the
people whom a power loss can leave uncertain."""

FIRST_CLAIMS_COUNT = 4
"""Claims for each connection before any message was answered."""

BUFFER_SECONDS = 0.5
"""The buffer holds about what the connections send in this time, so that a slow worker holds few claims."""

LOW_WATER_SHARE = 0.25
"""Further claims are made once the claims that wait are no more than this share of the buffer's size."""

QUOTA_WAIT_MAX_SECONDS = 5.0
"""A connection sleeps through a quota wait of at most this; beyond it the worker ends and reports the wait."""

CHANGE_WAIT_SECONDS = 0.5
"""How long a connection without claims waits until it looks whether the pass has ended."""


@dataclass(slots=True, eq=False)
class Claim:
    """A delivery that this process may send, unless it is revoked."""

    person: ClaimedDelivery
    not_before: float
    """On the monotonic clock: when the rate per second allows it."""
    revoked: bool = False
    """Set by the revocation watcher. Claimed anew, the delivery has another `Claim`."""


@dataclass(frozen=True, slots=True)
class CommitBatch:
    """The results and claims that one transaction of the committer records and returns."""

    results: Sequence[AttemptResult]
    accepted: AcceptedTexts
    unused: Sequence[DeliveryId]
    """Claimed, and never handed to a server."""

    def recorded(self) -> list[DeliveryId]:
        """Return the deliveries with an outcome."""
        return [*(result.delivery for result in self.results), *chain.from_iterable(self.accepted.values())]

    def only(self, marked: Container[DeliveryId]) -> CommitBatch:
        """Return the part that concerns these deliveries."""
        return replace(
            self,
            results=[result for result in self.results if result.delivery in marked],
            accepted={
                reply: {delivery: text for delivery, text in texts.items() if delivery in marked}
                for reply, texts in self.accepted.items()
            },
        )


@dataclass(slots=True, kw_only=True)
class ClaimBuffer:
    """Claims and results between the connections of a pass and its committer, which are greenlets of one thread."""

    clock: Clock
    pass_state: PassState
    lease_until: float = 0.0
    """On the monotonic clock: after this, another worker may have the reserved blocks."""
    work: Event = field(default_factory=new_event)
    """Set when the committer has something to do."""
    answered: int = 0
    """Messages answered since the last commit."""
    _claims: deque[Claim] = field(default_factory=deque)
    """For the next connection that takes a claim."""
    _taken: set[Claim] = field(default_factory=set)
    """With a connection, which has sent nothing of it yet."""
    _results: list[AttemptResult] = field(default_factory=list)
    _accepted: defaultdict[AcceptedReply, dict[DeliveryId, str]] = field(default_factory=lambda: defaultdict(dict))
    _unused: list[DeliveryId] = field(default_factory=list)
    _size: int = 0
    """How many claims the buffer should hold."""
    _sized_at: float = 0.0
    _changed: Event = field(default_factory=new_event)
    """Set when a connection that waits should look again."""
    _queue_empty: bool = False
    """The last commit found nothing to claim, and no quota was the reason."""
    _quota_until: float = 0.0
    """On the monotonic clock: before this no quota or rate allows more claims."""

    # For the connections

    def take(self) -> Claim | None:
        """Return the next claim that may be sent; None when there is none at this moment."""
        while self._claims:
            claim = self._claims.popleft()
            if self.is_low:
                self.work.set()
            if self.may_send(claim):
                self._taken.add(claim)
                return claim
            self._unused.append(claim.person.id)
        return None

    @property
    def is_low(self) -> bool:
        """Tell whether further claims should be made now."""
        return len(self._claims) <= self._size * LOW_WATER_SHARE

    @property
    def is_dry(self) -> bool:
        """Tell whether there is no claim, and the last commit found none either."""
        return not self._claims and self._queue_empty

    def may_send(self, claim: Claim) -> bool:
        """Tell whether a claim may be sent now."""
        return (
            not claim.revoked
            and claim.person.edition not in self.pass_state.paused
            and self.clock.monotonic() < self.lease_until
        )

    def sent(self, claim: Claim) -> None:
        """Note that the server may have part of this message: the claim ends with a result and is not put back."""
        self._taken.discard(claim)
        if not self._taken:
            self._changed.set()

    def put_back(self, claim: Claim) -> None:
        """Take back a claim of which nothing was sent, for the next connection."""
        self._taken.discard(claim)
        self._claims.appendleft(claim)
        self._changed.set()

    def add_result(self, result: AttemptResult) -> None:
        """Keep a result for the next commit."""
        self._results.append(result)
        self.answered += 1

    def add_accepted(self, person: ClaimedDelivery, reply: Reply) -> None:
        """Keep for the next commit that a server took a message, without an object for each of a million."""
        self._accepted[AcceptedReply(person.edition, reply.code, reply.enhanced)][person.id] = reply.text
        self.answered += 1

    def wait(self) -> bool:
        """Wait for claims after `take` had none; False when this pass has no further one for the caller."""
        if self.pass_state.ended:
            return False
        seconds = self._quota_until - self.clock.monotonic()
        if seconds > QUOTA_WAIT_MAX_SECONDS:
            self.pass_state.wait_for(seconds)
            return False
        if seconds > 0:
            self.clock.wait(self.pass_state.stop, seconds)
            self.work.set()
            return True
        if self._queue_empty and not self._taken:
            self.pass_state.queue_empty.set()
            return False
        self._changed.clear()
        if not self._queue_empty:
            self.work.set()
        # Where the queue is empty, another connection may still be lost, and its claims come back.
        self._changed.wait(CHANGE_WAIT_SECONDS)
        return True

    # For the revocation watcher

    def held(self) -> list[Claim]:
        """Return the claims of which nothing was sent."""
        return [*self._claims, *self._taken]

    def drop_revoked(self) -> None:
        """Give revoked claims back; those with a connection follow when that connection looks at them."""
        kept = [claim for claim in self._claims if not claim.revoked]
        self._unused += [claim.person.id for claim in self._claims if claim.revoked]
        self._claims = deque(kept)

    # For the committer

    def room(self) -> int:
        """Return how many further claims the buffer should hold: more where messages are answered faster."""
        now = self.clock.monotonic()
        size = FIRST_CLAIMS_COUNT * max(1, self.pass_state.connected)
        if self.answered:
            seconds = now - self._sized_at
            by_rate = int(self.answered / seconds * BUFFER_SECONDS) if seconds > 0 else CLAIMS_MAX
            size = max(min(size, 2 * self.pass_state.connected), min(by_rate, 2 * max(self._size, size)))
            self._sized_at, self.answered = now, 0
        elif not self._size:
            self._sized_at = now
        self._size = min(CLAIMS_MAX, size)
        return max(0, self._size - len(self._claims) - len(self._taken))

    def drain(self) -> CommitBatch:
        """Take the results and claims that the next transaction records."""
        batch = CommitBatch(self._results, self._accepted, self._unused)
        self._results, self._accepted, self._unused = [], defaultdict(dict), []
        return batch

    def restore(self, batch: CommitBatch) -> None:
        """Keep results that could not be recorded, for the last commit of the pass."""
        self._results = [*batch.results, *self._results]
        for reply, texts in batch.accepted.items():
            self._accepted[reply].update(texts)
        self._unused = [*batch.unused, *self._unused]

    def put(self, claims: Sequence[Claim], *, quota_wait: float) -> None:
        """Take new claims after their commit, or the seconds until there may be any."""
        self._claims.extend(claims)
        self._queue_empty = not claims and not quota_wait
        self._quota_until = self.clock.monotonic() + quota_wait if quota_wait else 0.0
        self.wake()

    def wake(self) -> None:
        """Let the connections that wait look again."""
        self._changed.set()

    def revoke_all(self) -> None:
        """Revoke every claim: the lease under which they were made is over."""
        for claim in self.held():
            claim.revoked = True

    def close(self) -> None:
        """Give back every claim that is left. A connection that has not ended keeps its own: it may be sending them."""
        self._unused += [claim.person.id for claim in self._claims]
        self._claims.clear()

    @property
    def unrecorded(self) -> CommitBatch:
        """Return the results that no commit has recorded."""
        return CommitBatch(self._results, self._accepted, self._unused)
