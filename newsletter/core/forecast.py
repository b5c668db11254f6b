"""The forecast: what is wrong, or soon will be, with a lineup as a whole.

In: the choices of a lineup, or tips with the stored slots and what was sent. Out: warnings in words, the stock in
weeks, and the tips that cannot go out without a person. It raises no alert: the caller decides what to do with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from newsletter.core.cadence import (
    Cadence,
    Slot,
    SlotState,
    describe_date,
    local,
    nearest_slots,
    next_slots,
    slot_on,
)
from newsletter.core.lineup import Choice, LineupRules, Sending, Source, last_sent
from newsletter.core.tip import Tip, TipStatus
from newsletter.wording import people_words, plural


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranded:
    """An approved tip that will not go out until a person acts."""

    tip: Tip
    why: str
    """One clause: `its slot of Tuesday 22 December 2026 was skipped: holidays`."""


def stranded(
    tips: Iterable[Tip], slots: Iterable[Slot], history: Iterable[Sending], *, cadence: Cadence, now: datetime
) -> list[Stranded]:
    """Return the approved tips that no coming slot will take, by their place in the queue.

    Most are pinned to a date whose slot was missed, skipped or cancelled, or never was; two pinned to one date cannot
    both go; and one that was sent already and is no evergreen does not go again. `slots` are the stored ones in any
    state, at least around the pinned dates. A pin on a coming weekly date that is not among them waits: it is not
    stranded.
    """
    tips, history = list(tips), list(history)
    last = last_sent(tips, history)
    spent = {(sending.tip, sending.date) for sending in history}
    by_date = {slot.date: slot for slot in slots}
    holders: dict[date, Tip] = {}
    rows = []
    for tip in sorted(tips, key=lambda tip: tip.position):
        if tip.status is not TipStatus.APPROVED:
            continue
        why = ""
        if tip.id in last and not tip.evergreen:
            why = f"it went out on {describe_date(last[tip.id])} and is no evergreen"
        elif tip.pin is not None and (tip.id, tip.pin) not in spent:
            why = _why_no_slot(tip.pin, by_date.get(tip.pin), history, cadence, now)
            holder = holders.setdefault(tip.pin, tip)
            if not why and holder is not tip:
                why = f"'{holder.slug}' is pinned to {describe_date(tip.pin)} too and goes first"
        if why:
            rows.append(Stranded(tip=tip, why=why))
    return rows


def _why_no_slot(pin: date, slot: Slot | None, history: Iterable[Sending], cadence: Cadence, now: datetime) -> str:
    day = describe_date(pin)
    if slot is None:
        return _why_no_date(pin, cadence, now)
    if slot.state is SlotState.OPEN:
        return ""
    if slot.state is SlotState.FROZEN:
        claimed = any(sending.date == pin for sending in history)
        return f"{day} took another tip" if claimed else f"the edition of {day} was cancelled"
    noun = "stayed empty" if slot.state is SlotState.EMPTY else f"was {slot.state.value}"
    return f"{day} {noun}" + (f": {slot.reason}" if slot.reason else "")


def _why_no_date(pin: date, cadence: Cadence, now: datetime) -> str:
    weekly = slot_on(cadence, pin)
    if weekly is not None and weekly.sends_at > now:
        return ""
    if weekly is not None or pin < local(now, cadence.zone).date():
        return f"{describe_date(pin)} has passed"
    before, after = (describe_date(slot.date) for slot in nearest_slots(cadence, pin))
    return f"no edition goes out on {describe_date(pin)}; the nearest are {before} and {after}"


def weeks_end(
    cadence: Cadence, stored: Iterable[Slot], *, after: datetime, weeks: int, to_fill: bool = False
) -> datetime:
    """Return when the last of the next `weeks` weekly slots sends.

    What went out early is behind us, though its date is not: it takes no place among them. With `to_fill` neither do
    the skipped ones, so that so many are left which need a tip. Else a stock would end where the looking does.
    """
    today = local(after, cadence.zone).date() - _MARGIN
    ahead = [slot for slot in stored if slot.date >= today]
    counts = {SlotState.OPEN} if to_fill else {SlotState.OPEN, SlotState.SKIPPED}
    occupied = {slot.date for slot in ahead if slot.state not in counts or (to_fill and slot.extra)}
    weekly = [slot for slot in next_slots(cadence, after, weeks + len(occupied)) if slot.date not in occupied]
    return weekly[weeks - 1].sends_at


_MARGIN = timedelta(days=2)
"""By some reader's clock a slot may begin a day before or after its date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """The weekly slots in a row that will have a tip, before the first that has none."""

    fresh: int = 0
    """Filled by tips that were never sent."""
    evergreen: int = 0
    """Filled by tips that are sent again."""

    @property
    def weeks(self) -> int:
        """Return how many slots have a tip of either kind."""
        return self.fresh + self.evergreen

    def describe(self) -> str:
        """Return `1 fresh tip, then 16 evergreens` and the like."""
        fresh = plural(self.fresh, "fresh tip") if self.fresh else "no fresh tip"
        evergreens = plural(self.evergreen, "evergreen")
        return f"{fresh}, then {evergreens}" if self.evergreen else fresh


def stock_of(choices: Sequence[Choice]) -> Stock:
    """Count the tips of the weekly slots before the first that has none.

    Skipped slots and extra dates do not count. When no choice is empty it is a lower bound: look further ahead.
    """
    sources = [choice.source for choice in choices[: _first_empty(choices)] if choice.tip and not choice.slot.extra]
    evergreen = sources.count(Source.EVERGREEN)
    return Stock(fresh=len(sources) - evergreen, evergreen=evergreen)


def forecast_warnings(choices: Sequence[Choice], rules: LineupRules) -> list[str]:
    """Return what a person should know about a lineup, the most urgent first, then the warnings of each date."""
    warnings = [f"{choice.slot.date}: {warning}" for choice in choices for warning in choice.warnings]
    return _about_stock(choices, rules) + _about_evergreens(choices) + warnings


def pace_warnings(choices: Sequence[Choice], *, audience: int, takes: timedelta | None, ramp: int | None) -> list[str]:
    """Return what a person should know about how long an edition takes: the ramp in force, and one that is too long.

    `ramp` is the cap of 24 hours while a fresh list grows, None when there is none.
    """
    warnings = []
    if ramp is not None and takes is not None:
        warnings.append(
            f"the list grows slowly (NEWSLETTER_RAMP_START): {ramp:,} mails in 24 hours now, twice as many after "
            f"a clean edition; one to {people_words(audience)} takes {_days(takes)}"
        )
    dates = [choice.slot.sends_at for choice in choices if choice.tip is not None][:2]
    if takes is not None and len(dates) > 1 and takes > dates[1] - dates[0]:
        warnings.append(
            f"an edition takes {_days(takes)}, and the next begins {_days(dates[1] - dates[0])} after it: "
            "people not reached by then are given up"
        )
    return warnings


def _days(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    if hours < _DAY_AND_HALF_HOURS:
        return f"about {plural(max(1, round(hours)), 'hour')}"
    return f"about {round(hours / 24)} days"


_DAY_AND_HALF_HOURS = 36


def _about_stock(choices: Sequence[Choice], rules: LineupRules) -> list[str]:
    stock = stock_of(choices)
    # Where every slot has a fresh tip, more of them may follow behind the last one.
    ends = stock.evergreen > 0 or _first_empty(choices) < len(choices)
    low = ends and stock.fresh < rules.low_stock_weeks
    text = f"low stock: {stock.describe()} for the next {rules.low_stock_weeks} weeks"
    return _about_gap(choices) + ([text] if low else [])


def _about_gap(choices: Sequence[Choice]) -> list[str]:
    end = _first_empty(choices)
    if end == len(choices):
        return []
    covered = [choice for choice in choices[:end] if choice.tip is not None]
    day = describe_date(choices[end].slot.date)
    if not covered:
        return [f"no approved tip for the next edition, {day}"]
    if any(choice.tip is not None for choice in choices[end:]):
        return [f"no approved tip for {day}"]
    return [f"approved tips end on {describe_date(covered[-1].slot.date)}"]


def _about_evergreens(choices: Sequence[Choice]) -> list[str]:
    filled = [choice for choice in choices if choice.tip is not None]
    fresh = [place for place, choice in enumerate(filled, start=1) if choice.source is not Source.EVERGREEN]
    tail = filled[fresh[-1] if fresh else 0 :]
    return [f"only evergreens are left from {describe_date(tail[0].slot.date)} on"] if tail else []


def _first_empty(choices: Sequence[Choice]) -> int:
    return next((place for place, choice in enumerate(choices) if choice.source is Source.NONE), len(choices))
