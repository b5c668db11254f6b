"""A simulation run: the real scheduler, sender and notices, from one interesting instant to the next.

In: an application on a throwaway database, a clock, a mail server in memory and a script. Out: a diary. Between two
instants nothing can happen: the speed of a run is that of the database.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import takewhile

from newsletter.core.alert import COMMAND_AFTER, COMMAND_GRACE, EVENT_STANDS, PASSED_AFTER
from newsletter.core.cadence import Slot, SlotState, describe_date, describe_span, local, next_slots, retimed
from newsletter.core.delivery import DeliveryState
from newsletter.core.due import LATE_SLOT_AFTER, last_start
from newsletter.core.edition import Edition
from newsletter.core.monitor import EMPTY_AHEAD, REPORT_AFTER, SENDING_AFTER, SETTLING_IN, ServicePart
from newsletter.core.notice import NoticeState
from newsletter.core.proof import PROOF_AHEAD
from newsletter.flows.plan import outlook
from newsletter.operations.monitor import Monitor
from newsletter.operations.notice_writer import NoticeWriter
from newsletter.operations.ticker import Ticker
from newsletter.sending.notice_sender import NoticeSender
from newsletter.sending.sender import Sender
from newsletter.simulation.diary import Diary, DiaryDay, EntryKind, diary_entries
from newsletter.simulation.script import MemoryRelay, Script
from newsletter.store import alert as alerts
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import heartbeat as heartbeats
from newsletter.store import notice as notices
from newsletter.store import report as reports
from newsletter.store import slot as slots
from newsletter.store import wave as waves
from newsletter.store.reader_zone import with_readers
from newsletter.store.unit import Tx
from newsletter.testing.clocks import JumpingClock
from newsletter.transport.pool import Pool
from newsletter.wiring import Application
from newsletter.wording import people_words, plural

RARELY = timedelta(days=2)
RUN_NOW_WORDS = timedelta(seconds=5)
"""As often as the service ticks."""
OPEN_NOTICE_STATES = (timedelta(minutes=1), timedelta(minutes=5))
"""How often is looked while something waits: at first, and after a while."""
A_WHILE = timedelta(minutes=20)
IDLE_STEPS_MAX = 3
"""Dates in a row with nothing to send, after which one knows how it goes on."""


@dataclass(kw_only=True)
class _Service:
    """One life of the service, from a start of the machine to its end."""

    ticker: Ticker
    sender: Sender
    posting: NoticeSender
    listening: Monitor


@dataclass(kw_only=True)
class _Written:
    """How much of what happened is in the diary already."""

    names: set[str] = field(default_factory=set)
    """Editions, dates and outages by name."""
    events: int = 0
    """Events of the script."""
    mails: int = 0
    """Mails of the relay."""
    empty_in_a_row: int = 0
    """Dates without a tip since the last edition."""


@dataclass(kw_only=True)
class SimulationRun:
    """One simulation."""

    application: Application
    clock: JumpingClock
    relay: MemoryRelay
    script: Script
    until: datetime
    diary: Diary
    _service: _Service | None = None
    _written: _Written = field(default_factory=_Written)
    _begun: datetime = datetime.min  # noqa: DTZ901 - set before it is read
    _past: set[date] = field(default_factory=set)
    _waiting_since: datetime | None = None
    _state: object = None
    _wait: timedelta | None = None

    def run(self) -> Diary:
        """Run from the clock's present to the end of the script."""
        self._begun = self.clock.now()
        with self.application.unit.read() as tx:
            # Events before the beginning are not part of the diary.
            self._written.names = {f"edition {item.name}" for item in editions.latest(tx, count=10_000)}
            over = [
                item
                for item in slots.since(tx, None)
                if item.sends_at <= self._begun and item.state is not SlotState.OPEN
            ]
            self._written.names |= {f"date {item.date}" for item in over}
            self._past = {item.date for item in over}
        at: datetime | None = self._begun
        while at is not None and not self._dry():
            self.clock.set(at)
            self._moment()
            at = self._next()
        self._settle_accounts()
        return self.diary

    # One instant

    def _moment(self) -> None:
        now = self.clock.now()
        self._record_outages(now)
        for event in takewhile(lambda event: event.at <= now, self.script.acts[self._written.events :]):
            self.diary.add(now, EntryKind.PERSON, event.words)
            event.do(self.application)
            self._written.events += 1
        if any(span.holds(now) for span in self.script.outages):
            self._service = None
            return
        self._serve()

    def _record_outages(self, now: datetime) -> None:
        for spans, begins, ends in (
            (self.script.outages, "the machine goes down", "the machine is back after {}"),
            (self.script.relay_dead, "the mail server goes down", "the mail server is back after {}"),
        ):
            for span in spans:
                for at, words in ((span.begins, begins), (span.ends, ends)):
                    key = f"{words} {at}"
                    if at <= now and key not in self._written.names:
                        self._written.names.add(key)
                        self.diary.add(at, EntryKind.WORLD, words.format(describe_span(span.ends - span.begins)))

    def _serve(self) -> None:
        """Run each part of the service once."""
        service = self._service = self._service or self._start()
        now, unit = self.clock.now(), self.application.unit
        with unit.write() as tx:
            heartbeats.record(tx, ServicePart.SENDER, now=now, process=service.sender.host.process)
        service.ticker.tick()
        self._slots(now)
        stop = threading.Event()
        result = service.sender.work(stop)
        self._wait = timedelta(seconds=result.wait) if result.wait else None
        service.posting.work(stop)
        service.listening.listen(self.clock.now())
        prefix = f"[{self.application.publication.name}] "
        diary_entries(self.diary, self.relay.mails[self._written.mails :], prefix=prefix)
        self._written.mails = len(self.relay.mails)

    def _start(self) -> _Service:
        app, diary = self.application, self.diary

        def command(text: str) -> None:
            headline, *rest = text.strip().splitlines()
            diary.add(self.clock.now(), EntryKind.COMMAND, headline, *rest)

        notice_writer = NoticeWriter(
            unit=app.unit, notice_context=app.notice_context, command=command if app.settings.alert_command else None
        )
        sender = app.sender()
        # Chance would make two diaries of the same weeks differ. A copy, since a sender reads its options once.
        sender = replace(
            sender,
            connect=self.relay.connect,
            rules=replace(sender.rules, jitter=lambda: 0.0),
            pool=Pool(
                app.relays,
                connections=sender.rules.connections,
                clock=self.clock,
                jitter=lambda: 0.0,
                dial=lambda _: self.relay.connect(),
            ),
        )
        sender.recover()
        posting = NoticeSender.beside(sender)
        posting.recover()
        ticker = replace(app.ticker, monitor=Monitor(notice_writer=notice_writer))
        return _Service(ticker=ticker, sender=sender, posting=posting, listening=Monitor(notice_writer=notice_writer))

    def _slots(self, now: datetime) -> None:
        """Write down which dates came to something, or to nothing."""
        with self.application.unit.read() as tx:
            fresh = [item for item in editions.latest(tx, count=3) if f"edition {item.name}" not in self._written.names]
            known = [item for item in slots.since(tx, now - timedelta(days=40)) if item.sends_at <= now]
            early = {item.date: chosen for item in known if (chosen := _sent_before(tx, item)) is not None}
        for edition in fresh:
            self._written.names.add(f"edition {edition.name}")
            self._written.empty_in_a_row = 0
            self.diary.folding = False
            people = people_words(edition.audience)
            lateness = edition.started_at - edition.sends_at
            late = f", {describe_span(lateness)} late" if lateness > LATE_SLOT_AFTER else ""
            self.diary.add(now, EntryKind.EDITION, f"“{edition.title}” to {people}{late}: {edition.tip.why}")
        for slot in known:
            if slot.state in _NOTHING and f"date {slot.date}" not in self._written.names:
                self._written.names.add(f"date {slot.date}")
                self._written.empty_in_a_row += slot.state is SlotState.EMPTY
                why = f": {slot.reason}" if slot.reason else ""
                self.diary.add(now, EntryKind.NOTHING, f"{describe_date(slot.date)} is {slot.state.value}{why}")

            elif slot.date in early and f"date {slot.date}" not in self._written.names:
                self._written.names.add(f"date {slot.date}")
                chosen = early[slot.date]
                day = describe_date(local(chosen.started_at, self.diary.zone).date())
                words = f"{describe_date(slot.date)} was sent early: “{chosen.title}”, on {day}"
                self.diary.add(now, EntryKind.NOTHING, words)

    # The next instant

    def _next(self) -> datetime | None:
        now = self.clock.now()
        ahead = [at for at in self._instants(now) if at > now]
        earliest = min(ahead, default=None)
        return earliest if earliest is not None and earliest <= self.until else None

    def _instants(self, now: datetime) -> Iterator[datetime]:
        script = self.script
        yield from (act.at for act in script.acts)
        yield from (at for span in (*script.outages, *script.relay_dead) for at in (span.begins, span.ends))
        yield now + RARELY
        yield self._begun + SETTLING_IN
        if self._service is None:
            # Nothing can happen while the machine is off, other than what people do.
            return
        if self._wait is not None:
            yield now + self._wait
        with self.application.unit.read() as tx:
            state = self._fingerprint(tx)
            if state != self._state:
                self._state = state
                yield now + RUN_NOW_WORDS
            yield from self._of_slots(tx, now)
            yield from self._of_alerts(tx)
            yield from self._of_what_waits(tx, now)

    def _fingerprint(self, tx: Tx) -> object:
        known = [(item.id, item.cleared_at) for item in alerts.unclosed(tx)]
        return (
            known,
            notices.counts(tx),
            [(item.name, item.status) for item in editions.latest(tx, count=3)],
            self._written.events,
        )

    def _of_slots(self, tx: Tx, now: datetime) -> Iterator[datetime]:
        grace = self.application.grace
        cadence = with_readers(tx, self.application.cadence)
        weekly = next_slots(cadence, now - grace, 3)
        extra = [retimed(cadence, item) or item for item in slots.since(tx, now - grace) if item.extra]
        for slot in (*weekly, *extra):
            ends = last_start(slot, grace)
            yield from (slot.sends_at - EMPTY_AHEAD, slot.sends_at - PROOF_AHEAD, slot.sends_at, ends)

    def _of_alerts(self, tx: Tx) -> Iterator[datetime]:
        for alert in alerts.unclosed(tx):
            yield alert.raised_at + COMMAND_AFTER
            yield alert.raised_at + EVENT_STANDS
            yield from (alert.raised_at + patience for patience in COMMAND_GRACE.values())
            if alert.cleared_at is not None:
                yield alert.cleared_at + PASSED_AFTER

    def _of_what_waits(self, tx: Tx, now: datetime) -> Iterator[datetime]:
        under_way = editions.unfinished(tx)
        for edition in under_way:
            yield edition.started_at + SENDING_AFTER
            yield edition.started_at + REPORT_AFTER
        due = deliveries.next_due(tx)
        if due is not None:
            yield max(due, now + RUN_NOW_WORDS)
        if (wave := waves.coming(tx, now=now)) is not None:
            yield wave.not_before
        count = notices.counts(tx)
        waits = count[NoticeState.QUEUED] + count[NoticeState.DEFERRED]
        if not waits and not waves.any_ready(tx, [item.id for item in under_way], now=now):
            self._waiting_since = None
            return
        self._waiting_since = self._waiting_since or now
        yield now + OPEN_NOTICE_STATES[now - self._waiting_since >= A_WHILE]

    # The end

    def _dry(self) -> bool:
        """Tell whether all is said: nothing went out for a while, and nothing will."""
        written = self._written
        if self.diary.folding or written.empty_in_a_row < IDLE_STEPS_MAX or written.events < len(self.script.acts):
            return False
        now = self.clock.now()
        weeks = max(1, (self.until - now).days // 7)
        ahead = outlook(self.application.unit, self.application.plan_rules, weeks=weeks, now=now).choices
        following = next((item.slot for item in ahead if item.tip), None)
        if following is None:
            words = "there is no tip for any later date, so the diary ends: each week would be like these"
            self.diary.add(now, EntryKind.NOTHING, words)
            self.until = now
            return True
        until = describe_date(following.date)
        self.diary.add(
            now, EntryKind.NOTHING, f"there is no tip before {until}; further alerts about that are left out"
        )
        self.diary.folding = True
        return False

    def _settle_accounts(self) -> None:
        with self.application.unit.read() as tx:
            stored = {slot.date: slot for slot in slots.since(tx, None) if slot.date not in self._past}
            for slot in next_slots(self.application.cadence, self._begun, 1_000):
                if slot.sends_at > self.until:
                    break
                stored.setdefault(slot.date, slot)
            days = [self._day(tx, slot) for _, slot in sorted(stored.items()) if slot.sends_at <= self.until]
        self.diary.days = days
        self.diary.warnings += [*_unbalanced(days), *self._twice_a_week()]

    def _twice_a_week(self) -> Iterator[str]:
        """Name the weeks, from Monday to Sunday, in which somebody got two tips."""
        zone = self.application.cadence.zone
        got: dict[tuple[int, int], Counter[str]] = {}
        for at, address in self.relay.readers:
            got.setdefault(local(at, zone).isocalendar()[:2], Counter())[address] += 1
        for (year, week), people in got.items():
            if max(people.values()) > 1:
                monday = date.fromisocalendar(year, week, 1)
                twice = sum(count > 1 for count in people.values())
                readers = plural(twice, "person gets", "people get")
                yield f"{readers} more than one mail in the week of {describe_date(monday)}"

    def _day(self, tx: Tx, slot: Slot) -> DiaryDay:
        # A date whose edition was cancelled before anybody had it is as open, or as skipped, as it says.
        edition = editions.by_date(tx, slot.date) if slot.state is SlotState.FROZEN else None
        if edition is None:
            return DiaryDay(
                date=slot.date,
                extra=slot.extra,
                outcome=slot.state.value,
                tip=None,
                audience=0,
                counts={},
                why=slot.reason,
            )
        receipt = reports.receipt(tx, edition)
        late = edition.started_at - edition.sends_at > LATE_SLOT_AFTER
        return DiaryDay(
            date=slot.date,
            extra=slot.extra,
            outcome="late" if late else "early" if _is_early(edition) else "sent",
            tip=edition.title,
            audience=edition.audience,
            counts={state.value: receipt.counts[state] for state in DeliveryState if receipt.counts[state]},
            why=edition.tip.why,
        )


_NOTHING = (SlotState.SKIPPED, SlotState.MISSED, SlotState.EMPTY)


def _sent_before(tx: Tx, slot: Slot) -> Edition | None:
    """Return the edition of a date that somebody sent before its time."""
    edition = editions.by_date(tx, slot.date) if slot.state is SlotState.FROZEN else None
    return edition if edition is not None and _is_early(edition) else None


def _is_early(edition: Edition) -> bool:
    return edition.started_at < edition.sends_at


def _unbalanced(days: list[DiaryDay]) -> Iterator[str]:
    for day in days:
        if day.tip is not None and sum(day.counts.values()) != day.audience:
            yield f"the report of {day.date} does not add up"
