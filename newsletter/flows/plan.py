"""The plan: what the coming dates will bring, as people see it in the queue.

In: the database, the cadence and the rules. Out: an `Outlook`: the lineup of the coming slots, who would get it, how
long that would take, and what is wrong with it. It changes nothing, and freezes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from newsletter.core.cadence import (
    Cadence,
    Slot,
    SlotState,
    cadence_text,
    calendar,
    local,
    next_slots,
    slot_order,
)
from newsletter.core.due import judge_slots
from newsletter.core.forecast import Stock, Stranded, forecast_warnings, pace_warnings, stock_of, weeks_end
from newsletter.core.lineup import Choice, LineupRules, Source
from newsletter.core.pace import Limits
from newsletter.core.ramp import smaller
from newsletter.core.wave import PassedZones, Wave, WaveRules, forecast_waves
from newsletter.flows.line_up import find_stranded, line_up
from newsletter.flows.ramp import RampRules, day_limit
from newsletter.store import edition as editions
from newsletter.store import installation as installations
from newsletter.store import slot as slots
from newsletter.store import subscriber_count
from newsletter.store.reader_zone import with_readers
from newsletter.store.unit import Tx, Unit

_RATED_EDITIONS_MAX = 10
"""Past editions whose speed is looked at."""
_WIDEST = timedelta(days=2)
"""More than lies between the first clock of the world that shows an hour and the last."""
_EDITION_SHARE = 0.95
"""An edition leaves 5 % of each quota to notices (`core/pace.py`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRules:
    """What the operator decided, as far as a plan cares."""

    cadence: Cadence
    lineup: LineupRules
    grace: timedelta
    per_second: int | None = None
    limits: Limits = field(default_factory=Limits)
    ramp: RampRules = field(default_factory=RampRules)
    passed_zones: PassedZones = PassedZones.AT_ONCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """The coming dates."""

    choices: Sequence[Choice]
    """One per slot that is open or skipped, in order of time; the first may be due already."""
    due: Slot | None
    """The slot whose time has come and that is still open: it goes out as soon as it has a tip and the service runs."""
    audience: int
    """People who would get an edition frozen now."""
    takes: timedelta | None
    """How long an edition would take; None while nothing is known about it."""
    stock: Stock
    """Weeks in a row that have a tip, within the weeks asked for."""
    stranded: Sequence[Stranded]
    warnings: Sequence[str]
    gone: Sequence[Slot] = ()
    """Slots that lie between the coming ones, or before them, and went out early: nothing comes on these dates."""
    waves: Sequence[Wave] = ()
    """How the next edition goes out by the readers' own clocks; empty where all get it at one instant."""

    def audience_of(self, choice: Choice) -> int:
        """Return how many people are expected on a date."""
        return self.audience if choice.source not in {Source.NONE, Source.SKIPPED} else 0

    def waves_of(self, choice: Choice) -> Sequence[Wave]:
        """Return the waves of a date, which are worked out for the next edition only."""
        coming = next((item for item in self.choices if item.tip is not None), None)
        return self.waves if coming is not None and coming.slot.date == choice.slot.date else ()


def outlook(unit: Unit, rules: PlanRules, *, weeks: int, now: datetime) -> Outlook:
    """Work out the lineup of the next `weeks` weekly slots, and of all extra dates up to the last of them.

    A slot that went out early is none of them, however far ahead its date is.
    """
    with unit.read() as tx:
        return look_ahead(tx, rules, weeks=weeks, now=now)


def look_ahead(tx: Tx, rules: PlanRules, *, weeks: int, now: datetime) -> Outlook:
    """Do the same within a transaction that is open already."""
    rules = replace(rules, cadence=with_readers(tx, rules.cadence))
    stored = _near_slots(tx, rules, now)
    # Stock is judged over the weeks the operator cares about, even when fewer are shown.
    far = max(weeks, rules.lineup.low_stock_weeks, 1)
    last = weeks_end(rules.cadence, stored, after=now, weeks=weeks)
    until = max(last, weeks_end(rules.cadence, stored, after=now, weeks=far, to_fill=True))
    coming, due = _coming(tx, rules, stored, until=until, now=now)
    choices = line_up(tx, coming, rules.lineup)
    audience = subscriber_count.active(tx)
    cap = day_limit(tx, rules.ramp)
    rules = replace(rules, limits=replace(rules.limits, per_day=smaller(rules.limits.per_day, cap)))
    takes = expected_time(audience, rules, _speed(tx))
    no_audience = [] if audience else ["no subscriber is active, so nothing would go out"]
    return Outlook(
        choices=[choice for choice in choices if choice.slot.sends_at <= last],
        due=due,
        audience=audience,
        takes=takes,
        stock=stock_of(choices),
        stranded=find_stranded(tx, due, rules.cadence, now=now),
        warnings=[
            *no_audience,
            *pace_warnings(choices, audience=audience, takes=takes, ramp=cap),
            *forecast_warnings(choices, rules.lineup),
        ],
        gone=[slot for slot in coming if slot.state is SlotState.FROZEN and slot.sends_at <= last],
        waves=_waves(rules, choices, now),
    )


def _waves(rules: PlanRules, choices: Sequence[Choice], now: datetime) -> Sequence[Wave]:
    coming = next((choice.slot for choice in choices if choice.tip is not None), None)
    if coming is None or not rules.cadence.locally:
        return ()
    wave_rules = WaveRules(cadence=rules.cadence, grace=rules.grace, passed=rules.passed_zones)
    return forecast_waves(wave_rules, coming, rules.cadence.readers, now=now)


def _near_slots(tx: Tx, rules: PlanRules, now: datetime) -> Sequence[Slot]:
    """Return the stored slots that can still matter: those of the last days, all later ones, and the open ones."""
    back = max(rules.grace, _WIDEST) + _WIDEST
    return slots.from_date(tx, local(now - back, rules.cadence.zone).date())


def _coming(
    tx: Tx, rules: PlanRules, stored: Sequence[Slot], *, until: datetime, now: datetime
) -> tuple[list[Slot], Slot | None]:
    """Return the slot that is due, if any, and those ahead, in order and in any state."""
    not_before = _not_before(tx, rules.cadence, now)
    # Of a date that began by the readers' clocks the publication's own hour may lie further ahead than a short grace.
    back = max(rules.grace, _WIDEST) if rules.cadence.locally else rules.grace
    known = calendar(rules.cadence, stored, after=now - back, until=until)
    due = judge_slots(known, now=now, not_before=not_before, grace=rules.grace, zone=rules.cadence.zone).due
    ahead = [slot for slot in known if slot.sends_at > max(now, not_before)]
    return sorted([*([due] if due else []), *ahead], key=slot_order), due


def _not_before(tx: Tx, cadence: Cadence, now: datetime) -> datetime:
    """Return the instant up to which nothing is ever due; before the first tick of a schedule that is the present."""
    installation = installations.get(tx)
    if installation.not_before is None or installation.cadence != cadence_text(cadence):
        return now
    return installation.not_before


def judged(tx: Tx, rules: PlanRules, slot: Slot, *, now: datetime) -> bool:
    """Tell whether a slot may still go out: it lies ahead, or is due within its grace."""
    if slot.state is not SlotState.OPEN:
        return False
    rules = replace(rules, cadence=with_readers(tx, rules.cadence))
    near = next_slots(rules.cadence, now, 1)[-1].sends_at
    due = _coming(tx, rules, _near_slots(tx, rules, now), until=near, now=now)[1]
    return slot.sends_at > now or (due is not None and due.date == slot.date)


def expected_time(audience: int, rules: PlanRules, speed: float | None) -> timedelta | None:
    """Return how long an edition takes at the speed of the last ones and under the quotas; None when neither is known.

    A quota of an hour lets its whole hour go at once and then makes the rest wait, hour by hour.
    """
    known = [audience / rate for rate in (rules.per_second, speed) if rate]
    limits = ((rules.limits.per_hour, 3_600), (rules.limits.per_day, 86_400))
    known += [(max(0, audience - 1) // max(1, int(limit * _EDITION_SHARE))) * span for limit, span in limits if limit]
    if not known or not audience:
        return None
    # A quota that is never reached says nothing about the speed.
    return timedelta(seconds=max(known)) if max(known) > 0 else None


def _speed(tx: Tx) -> float | None:
    """Return the first tries a second of the fastest among the last editions: a retry says nothing about the rate."""
    rates = [
        edition.audience / span
        for edition in editions.latest(tx, count=_RATED_EDITIONS_MAX)
        if edition.tried_at is not None and (span := (edition.tried_at - edition.started_at).total_seconds()) > 0
    ]
    return max(rates, default=None)
