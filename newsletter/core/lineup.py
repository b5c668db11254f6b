"""The lineup: which tip goes to which slot, and why. Computed, never stored, until a slot is frozen.

In: slots, tips, what was sent when. Out: one `Choice` per slot, with its reason. It never changes a tip or a slot.
`core/forecast.py` finds the faults of a lineup as a whole. `Candidates` may hold the front of a long queue only;
a lineup that would have to look beyond it raises `MoreCandidatesNeeded`.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from itertools import takewhile

from newsletter.core.cadence import Slot, SlotState, describe_date, slot_order
from newsletter.core.tip import Season, Tip, TipId, TipStatus
from newsletter.wording import plural

_WEEK = timedelta(days=7)
_DONE = (TipStatus.SENT, TipStatus.RETIRED)


class Source(StrEnum):
    """Where the tip of a slot comes from."""

    SKIPPED = "skipped"
    PINNED = "pinned"
    QUEUE = "queue"
    EVERGREEN = "evergreen"
    NONE = "none"
    CHOSEN = "chosen"
    """A person named it, for an edition that replaces or corrects another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One past edition, as far as the lineup cares: this tip went out for this date.

    An edition that was cancelled before anything was handed to a server is none.
    """

    tip: TipId
    date: date


@dataclass(frozen=True, slots=True, kw_only=True)
class LineupRules:
    """What the operator decided."""

    evergreen_rest_weeks: int = 52
    low_stock_weeks: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What one slot gets."""

    slot: Slot
    tip: Tip | None
    source: Source
    why: str
    """One clause a person understands: `pinned to this date`, `next in the queue (2nd of 7)`."""
    warnings: tuple[str, ...] = ()


class MoreCandidatesNeeded(Exception):  # noqa: N818 - a request to the caller, which reads more, and no fault
    """The lineup depends on tips that were not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Omitted:
    """What the candidates leave out of the queue and of the evergreens, both read in order up to a limit."""

    queue_length: int
    """Of the whole queue, for `2nd of 7`."""
    queue_limit: int | None = None
    """Position of the last queued tip that was read; None when all were."""
    evergreens: int = 0
    """How many were not read."""
    evergreen_limit: tuple[date, int] | None = None
    """Last sending and position of the last evergreen that was read; None when all were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The tips that can still go out, with what went out of them and lately."""

    tips: Sequence[Tip]
    history: Sequence[Sending]
    omitted: Omitted | None = None
    """None: nothing is left out."""


def lineup_of(slots: Iterable[Slot], candidates: Candidates, rules: LineupRules) -> list[Choice]:
    """Return the lineup of these candidates; raise `MoreCandidatesNeeded` when it depends on others."""
    return lineup(slots, candidates.tips, candidates.history, rules, omitted=candidates.omitted)


def lineup(
    slots: Iterable[Slot],
    tips: Iterable[Tip],
    history: Iterable[Sending],
    rules: LineupRules,
    *,
    omitted: Omitted | None = None,
) -> list[Choice]:
    """Return one choice per slot that is open or skipped, in order of time; other slots are history and get none.

    The first source that yields an approved tip decides: pinned to this date, next in the queue, evergreen. A tip that
    is not evergreen goes out once. A part of a series waits until every lower part was sent, was retired, or stands
    earlier in this lineup. So it waits, and others go before it, while a lower part is a draft, is pinned to a later
    date or is stranded: a series told out of order is worse than a late one, and a warning names what it waits for.
    Only a person's own pin may break the order, with a warning.
    """
    selection = _Selection(tips, history, rules, omitted)
    ahead = [slot for slot in slots if slot.state in (SlotState.OPEN, SlotState.SKIPPED)]
    return [selection.choose(slot) for slot in sorted(ahead, key=slot_order)]


def in_season(season: Season | None, day: date) -> bool:
    """Tell whether a date lies in a season, which may run over the new year; no season is the whole year."""
    if season is None:
        return True
    today = (day.month, day.day)
    if season.first <= season.last:
        return season.first <= today <= season.last
    return today >= season.first or today <= season.last


def last_sent(tips: Iterable[Tip], history: Iterable[Sending]) -> dict[TipId, date]:
    """Return the last date for which each tip was sent; a first-published date counts."""
    last = {tip.id: tip.first_published for tip in tips if tip.first_published is not None}
    for sending in history:
        last[sending.tip] = max(sending.date, last.get(sending.tip, sending.date))
    return last


class _Selection:
    """What is left to choose from while one lineup is worked out, slot by slot."""

    def __init__(
        self, tips: Iterable[Tip], history: Iterable[Sending], rules: LineupRules, omitted: Omitted | None
    ) -> None:
        tips = sorted(tips, key=lambda tip: tip.position)
        past = sorted(history, key=lambda sending: (sending.date, sending.tip))
        self.rest = rules.evergreen_rest_weeks * _WEEK
        self.last = last_sent(tips, past)
        self.dates = [sending.date for sending in past]
        self.order = [sending.tip for sending in past]
        self.told: set[TipId] = set()
        """Tips for which a warning was given that they keep others waiting."""
        self.series: dict[str, list[Tip]] = {}
        self.pins: dict[date, list[Tip]] = {}
        self.queue: dict[TipId, Tip] = {}
        self.evergreens: list[Tip] = []
        spent = {(sending.tip, sending.date) for sending in past}
        for tip in tips:
            if tip.part is not None:
                self.series.setdefault(tip.part.series, []).append(tip)
            # The pin of an evergreen that went out on its date has done its work: it is an evergreen like any other.
            pinned = tip.pin is not None and (tip.id, tip.pin) not in spent
            self._put(tip, pinned=pinned)
        for parts in self.series.values():
            parts.sort(key=_part_number)
        self.undone = {name: list(parts) for name, parts in self.series.items()}
        self.evergreens.sort(key=self._least_recent)
        self.places = {tip.id: place for place, tip in enumerate(self.queue.values(), start=1)}
        self.omitted = omitted or Omitted(queue_length=len(self.queue))

    def _put(self, tip: Tip, *, pinned: bool) -> None:
        if tip.pin is not None and pinned and tip.status in (TipStatus.APPROVED, TipStatus.DRAFT):
            if tip.evergreen or tip.id not in self.last:
                self.pins.setdefault(tip.pin, []).append(tip)
        elif tip.status is TipStatus.APPROVED and tip.evergreen:
            self.evergreens.append(tip)
        elif tip.status is TipStatus.APPROVED and tip.id not in self.last:
            self.queue[tip.id] = tip

    def choose(self, slot: Slot) -> Choice:
        """Return the choice for this slot, and take its tip out of the selection."""
        pins = self.pins.get(slot.date, [])
        if slot.state is SlotState.SKIPPED:
            why = f"skipped on purpose: {slot.reason}" if slot.reason else "skipped on purpose"
            idle = tuple(f"'{tip.slug}' is pinned to this date and will not go out" for tip in pins)
            return Choice(slot=slot, tip=None, source=Source.SKIPPED, why=why, warnings=idle)
        holder = next((tip for tip in pins if tip.status is TipStatus.APPROVED), None)
        warnings = [
            f"'{tip.slug}' is pinned to this date {'but is a draft' if tip.status is TipStatus.DRAFT else 'too'}"
            for tip in pins
            if tip is not holder
        ]
        if holder is not None:
            choice = Choice(slot=slot, tip=holder, source=Source.PINNED, why="pinned to this date")
            warnings += self._against_pin(holder, slot.date)
        else:
            choice, waiting = self._unpinned(slot)
            warnings += waiting
        if choice.tip is not None:
            warnings += self._about(choice.tip, slot.date)
            self._take(choice.tip, slot.date)
        return replace(choice, warnings=tuple(warnings))

    def _unpinned(self, slot: Slot) -> tuple[Choice, list[str]]:
        warnings: list[str] = []
        waiting = 0
        for tip in self.queue.values():
            if self.omitted.queue_limit is not None and tip.position > self.omitted.queue_limit:
                raise MoreCandidatesNeeded
            lower = self._lower_part(tip)
            if lower is None:
                why = f"next in the queue ({_ordinal(self.places[tip.id])} of {self.omitted.queue_length})"
                return Choice(slot=slot, tip=tip, source=Source.QUEUE, why=why), warnings
            waiting += 1
            if lower.id not in self.told:
                self.told.add(lower.id)
                warnings.append(f"'{tip.slug}' waits for part {_part_number(lower)} of its series, {_standing(lower)}")
        if self.omitted.queue_limit is not None:
            raise MoreCandidatesNeeded
        return self._evergreen(slot, waiting), warnings

    def _evergreen(self, slot: Slot, waiting: int) -> Choice:
        """Return the choice for a slot that gets nothing from the queue, of which `waiting` tips wait in a series."""
        queue = "no queued tip can go yet" if waiting else "the queue is empty"
        for tip in takewhile(lambda tip: self._rested(tip, slot.date), self.evergreens):
            if self._beyond_limit(tip):
                raise MoreCandidatesNeeded
            if in_season(tip.season, slot.date) and self._lower_part(tip) is None:
                why = f"{queue}: an evergreen, {self._sent_before(tip)}"
                return Choice(slot=slot, tip=tip, source=Source.EVERGREEN, why=why)
        if self.omitted.evergreen_limit is not None:
            raise MoreCandidatesNeeded
        if waiting:
            queue += f" ({waiting} waiting for an earlier part of a series)"
        count = len(self.evergreens) + self.omitted.evergreens
        evergreens = f" and no evergreen of {count} is rested and in season" if count else ""
        return Choice(slot=slot, tip=None, source=Source.NONE, why=queue + evergreens)

    def _take(self, tip: Tip, day: date) -> None:
        if tip.evergreen:
            # Taken out before its date changes, as the list is ordered by that date.
            self.evergreens = [other for other in self.evergreens if other is not tip]
        self.queue.pop(tip.id, None)
        self.last[tip.id] = max(day, self.last.get(tip.id, day))
        self.order.append(tip.id)
        insort(self.dates, day)
        if tip.evergreen:
            insort(self.evergreens, tip, key=self._least_recent)

    def _least_recent(self, tip: Tip) -> tuple[date, int]:
        return self.last.get(tip.id, date.min), tip.position

    def _beyond_limit(self, tip: Tip) -> bool:
        limit = self.omitted.evergreen_limit
        return limit is not None and self._least_recent(tip) > limit

    def _rested(self, tip: Tip, day: date) -> bool:
        return tip.id not in self.last or day - self.last[tip.id] >= self.rest

    def _sent_before(self, tip: Tip) -> str:
        return f"last sent {describe_date(self.last[tip.id])}" if tip.id in self.last else "never sent before"

    def _lower_part(self, tip: Tip) -> Tip | None:
        """Return the first part of the series that should have gone before this one and has not."""
        if tip.part is None:
            return None
        parts = self.undone[tip.part.series]
        # What is done stays done, so each part is looked at once in a lineup and not once for each slot.
        while parts and (parts[0].status in _DONE or parts[0].id in self.last):
            parts.pop(0)
        return parts[0] if parts and _part_number(parts[0]) < tip.part.number else None

    def _against_pin(self, tip: Tip, day: date) -> list[str]:
        parts = []
        lower = self._lower_part(tip)
        if lower is not None:
            parts.append(f"out of order: part {_part_number(lower)} of its series has not gone out, {_standing(lower)}")
        if tip.evergreen and not self._rested(tip, day):
            parts.append(f"an evergreen that has not rested, {self._sent_before(tip)}")
        return parts

    def _about(self, tip: Tip, day: date) -> list[str]:
        parts = []
        if not in_season(tip.season, day):
            parts.append("out of season")
        earlier = self.dates[bisect_left(self.dates, day) - 1] if self.dates and self.dates[0] < day else None
        if earlier is not None and day - earlier < _WEEK:
            parts.append(f"only {_count((day - earlier).days, 'day')} after the edition of {earlier}")
        return parts + self._about_series(tip)

    def _about_series(self, tip: Tip) -> list[str]:
        if tip.part is None or tip.id in self.last:
            return []
        before = tip.part.number - 1
        lower = [part for part in self.series[tip.part.series] if _part_number(part) <= before]
        if not lower or _part_number(lower[-1]) < before:
            return [f"part {before} of its series is not among the tips"] if before else []
        if lower[-1].id not in self.order:
            return []
        between = self.order[::-1].index(lower[-1].id)
        return [f"{_count(between, 'other tip')} between it and part {before} of its series"] if between else []


def _part_number(tip: Tip) -> int:
    return tip.part.number if tip.part is not None else 0


def _standing(tip: Tip) -> str:
    if tip.status is TipStatus.DRAFT:
        return f"'{tip.slug}', which is a draft"
    if tip.pin is not None:
        return f"'{tip.slug}', which is pinned to {tip.pin}"
    if tip.evergreen:
        return f"'{tip.slug}', which is an evergreen and takes no queue place"
    return f"'{tip.slug}', which is behind it in the queue"


def _count(number: int, noun: str) -> str:
    return plural(number, noun)


def _ordinal(number: int) -> str:
    teens = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
