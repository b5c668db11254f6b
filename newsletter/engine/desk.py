"""The desk: where connections hand in outcomes and are handed the next delivery.

Marks and outcomes are committed in groups.

In: what became of one message. Out: the next one, durably marked as going out before its data is written (promise 5).
The first thread to come commits for all that came meanwhile, so that one disk flush serves every connection.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from newsletter.clock import Clock
from newsletter.core.delivery import DeliveryId, DeliveryState, Outcome
from newsletter.core.edition import EditionId
from newsletter.core.pace import Limits, Window, reserve
from newsletter.core.subscriber import SubscriberId
from newsletter.engine.feed import Feed, Next
from newsletter.errors import NewsletterError
from newsletter.flows.bounce import suppress
from newsletter.store import delivery as deliveries
from newsletter.store import installation as installations
from newsletter.store.delivery import Marked
from newsletter.store.unit import Tx, Unit

logger = logging.getLogger(__name__)

QUOTA = "relay"
BEAT_SECONDS = 5.0
PATIENCE = 60.0
"""Seconds for which a failing database is asked again, while outcomes that nobody else knows wait to be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of one message."""

    delivery: DeliveryId
    outcome: Outcome
    subscriber: SubscriberId
    why: str = ""
    """In plain words, for the person's own history."""


def record(tx: Tx, settled: Sequence[Settled], *, now: datetime) -> None:
    """Write what became of messages, and of the people whose address is no more."""
    deliveries.record(tx, [(one.delivery, one.outcome) for one in settled])
    for one in settled:
        if one.outcome.suppress:
            suppress(tx, one.subscriber, why=one.why, now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One delivery, marked: it may go out now."""

    edition: EditionId
    person: Marked


@dataclass(frozen=True, slots=True)
class Wait:
    """A quota is used up; nothing may go out for so many seconds."""

    seconds: float


@dataclass(slots=True)
class _Ticket:
    settled: Settled | None
    wants: bool
    answer: Job | Wait | None = None
    done: bool = False
    error: NewsletterError | None = None
    called: threading.Lock = field(default_factory=threading.Lock)
    """Held until there is an answer, or until it is this one's turn to commit for all that wait."""

    def __post_init__(self) -> None:
        self.called.acquire()


@dataclass(slots=True)
class Desk:
    """One pass of the sender; shared by its connections."""

    unit: Unit
    clock: Clock
    limits: Limits
    process: str
    on_commit: Callable[[Counter[DeliveryState]], None]
    still_mine: Callable[[], bool] = lambda: True
    """Whether the right to send is still held; asked every few seconds."""
    lost: bool = False
    """True once it was not: outcomes are recorded, and nothing more is handed out."""
    feed: Feed = field(default_factory=Feed)
    counts: Counter[DeliveryState] = field(default_factory=Counter)
    """Outcomes of this pass."""
    unrecorded: list[Settled] = field(default_factory=list)
    """Outcomes that the database refused for a minute; they stand in the log file too."""
    busy_seconds: float = 0.0
    """Time spent in transactions."""
    _waiting: list[_Ticket] = field(default_factory=list)
    _led: bool = False
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _beat_at: float = -BEAT_SECONDS

    def exchange(self, settled: Settled | None, *, wants: bool) -> Job | Wait | None:
        """Hand in an outcome and take the next delivery; None when there is none.

        Raises what the database raises once it has failed for a minute; the outcomes are then in the log file.
        """
        ticket = _Ticket(settled, wants)
        with self._turn:
            self._waiting.append(ticket)
            leads = not self._led
            self._led = True
        if not leads:
            ticket.called.acquire()
        if not ticket.done:
            self._lead()
        if ticket.error is not None:
            raise ticket.error
        return ticket.answer

    def _lead(self) -> None:
        """Commit for all that wait, then call the first of those that came meanwhile to do the same."""
        with self._turn:
            group, self._waiting = self._waiting, []
        failure: NewsletterError | None = None
        try:
            self._commit_patiently(group)
        except NewsletterError as error:
            failure = error
        finally:
            with self._turn:
                heir = self._waiting[0] if self._waiting else None
                self._led = heir is not None
            if heir is not None:
                heir.called.release()
            for ticket in group:
                ticket.error = failure
                ticket.done = True
                ticket.called.release()

    def _commit_patiently(self, group: list[_Ticket]) -> None:
        """Commit; where the database fails and there are outcomes to lose, ask again for a minute."""
        began = self.clock.monotonic()
        never = threading.Event()
        while True:
            try:
                self._commit(group)
            except NewsletterError as error:
                outcomes = [ticket.settled for ticket in group if ticket.settled is not None]
                if not outcomes or self.clock.monotonic() - began > PATIENCE:
                    for one in outcomes:
                        logger.exception(
                            "not recorded: delivery %s is %s (%s)",
                            one.delivery,
                            one.outcome.state,
                            one.outcome.reply_text,
                        )
                    self.unrecorded += outcomes
                    raise
                logger.error("%s (%s outcomes wait to be recorded)", error, len(outcomes))  # noqa: TRY400 - no bug, so no trace
                self.clock.wait(never, 2.0)
            else:
                return

    def _commit(self, group: list[_Ticket]) -> None:
        began = self.clock.monotonic()
        now = self.clock.now()
        settled = [ticket.settled for ticket in group if ticket.settled is not None]
        wanting = [ticket for ticket in group if ticket.wants]
        beats = began - self._beat_at >= BEAT_SECONDS
        self.lost = self.lost or (beats and not self.still_mine())
        with self.unit.write() as tx:
            record(tx, settled, now=now)
            answers = self._next(tx, len(wanting)) if wanting and not self.lost else []
            if beats:
                installations.beat(tx, "sender", now=now, process=self.process)
        # Only what is committed is told: a job whose mark was rolled back must not go out.
        for ticket, answer in zip(wanting, answers, strict=False):
            ticket.answer = answer
        if beats:
            self._beat_at = began
        self.counts.update(one.outcome.state for one in settled)
        self.busy_seconds += self.clock.monotonic() - began
        self.on_commit(self.counts)

    def _next(self, tx: Tx, count: int) -> list[Job | Wait]:
        jobs: list[Job | Wait] = []
        while len(jobs) < count:
            taken = self.feed.take(tx, count - len(jobs))
            if not taken:
                break
            granted, wait = self._reserve(tx, len(taken))
            self.feed.give_back(taken[granted:])
            marked = self._mark(tx, taken[:granted])
            if len(marked) < granted:
                self.feed.look_again(tx)
            jobs += marked
            if granted < len(taken):
                jobs += [Wait(wait.total_seconds())] * (count - len(jobs))
        return jobs

    def _mark(self, tx: Tx, taken: list[Next]) -> list[Job]:
        if not taken:
            return []
        edition_of = {one.delivery: one.edition for one in taken}
        marked = deliveries.mark(tx, list(edition_of), now=self.clock.now())
        return [Job(edition=edition_of[one.id], person=one) for one in marked]

    def _reserve(self, tx: Tx, count: int) -> tuple[int, timedelta]:
        if self.limits.per_hour is None and self.limits.per_day is None:
            return count, timedelta()
        stored = installations.load_quota(tx, QUOTA)
        window = Window() if stored is None else Window.from_json(stored)
        reserved = reserve(window, count, self.clock.now(), limits=self.limits)
        installations.save_quota(tx, QUOTA, reserved.window.to_json())
        return reserved.granted, reserved.wait
