"""Waves: one edition at the publication's hour in each reader's own zone.

In: a slot, the zones of its readers with their numbers, and the present instant. Out: waves, each with the instant
before which nothing of it goes out. Who is in which is written down at the freeze (`store/wave.py`); the audience is
frozen once. All local time is computed by `core/cadence.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum

from newsletter.core.cadence import Cadence, ReaderZone, Slot, instant, is_zone, local, wall_time
from newsletter.core.due import LATE_SLOT_AFTER

WORLD = timedelta(hours=26)
"""From the first clock that shows an hour of a date, at UTC+14, to the last, at UTC-12."""

MORNING, EVENING = time(7), time(21)
"""What is late waits for these hours of the reader's day: no telephone rings at night for a tip."""


class PassedZones(StrEnum):
    """When those get an edition in whose zone its hour is past as it is frozen."""

    AT_ONCE = "at-once"
    WITH_PUBLICATION = "with-publication"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveRules:
    """What the operator decided about waves."""

    cadence: Cadence
    grace: timedelta
    passed: PassedZones = PassedZones.AT_ONCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Readers who get an edition at one instant, all with the same time on their clocks."""

    not_before: datetime
    """UTC; a past one is due."""
    zones: tuple[str, ...]
    """As they stand with the readers, the most frequent first; '' is no zone, and an unknown one is as good as none."""
    people: int
    clock: str
    """The zone by whose clock this wave goes: that of most of its readers, the publication's for those without one."""

    @property
    def label(self) -> str:
        """Return `Europe/Berlin`, or `Europe/Berlin +3` when three further zones go with it."""
        further = sum(zone != self.clock and is_zone(zone) for zone in self.zones)
        return f"{self.clock} +{further}" if further else self.clock


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveStanding:
    """One wave of an edition, as far as it is."""

    label: str
    not_before: datetime
    people: int
    """Without those who are tried again: they are in blocks of their own."""
    waiting: int
    """Of them, people without an outcome."""

    def to_dict(self) -> dict[str, str | int]:
        """Return what `edition show --json` prints of it."""
        return {
            "wave": self.label,
            "not_before": self.not_before.isoformat(timespec="milliseconds"),
            "local": local(self.not_before, zone_of(self.label)).isoformat(),
            "people": self.people,
            "waiting": self.waiting,
        }


def next_wave(standings: Iterable[WaveStanding], now: datetime) -> WaveStanding | None:
    """Return the wave that goes out next, None when the hour of all has come."""
    ahead = [wave for wave in standings if wave.waiting and wave.not_before > now]
    return min(ahead, key=lambda wave: wave.not_before, default=None)


def zone_of(label: str) -> str:
    """Return the zone by whose clock a wave of this label goes."""
    return label.partition(" ")[0]


def waves(rules: WaveRules, slot: Slot, readers: Iterable[ReaderZone], *, now: datetime) -> list[Wave]:
    """Return the waves of an edition that is frozen now, in order of time; zones of one instant and clock go together.

    A zone whose hour has not come yet gets it then. One whose hour is past gets it at once, or at the publication's
    hour, as the operator decided. If all of it begins late (the machine was down), what would go out at once waits for
    07:00 to 21:00 on the reader's own clock, as far as the grace reaches from their hour on; where it does not, the
    edition comes at once rather than never. A clock that repeats or leaves out the hour follows `cadence.instant`, and
    so does a date that a zone left out.
    """
    rows: dict[tuple[datetime, str], list[tuple[ReaderZone, str]]] = {}
    for reader in readers:
        clock = reader.zone if is_zone(reader.zone) else rules.cadence.zone
        begins = _begins(rules, slot, clock, now)
        # Readers whose clocks differ may share an instant, as when all that is past goes out at once.
        rows.setdefault((begins, local(begins, clock).strftime("%z")), []).append((reader, clock))
    return [_wave(begins, members) for (begins, _), members in sorted(rows.items())]


def forecast_waves(rules: WaveRules, slot: Slot, readers: Iterable[ReaderZone], *, now: datetime) -> list[Wave]:
    """Return the waves of a slot that still lies ahead, as its freeze would make them of the readers of today."""
    return waves(rules, slot, readers, now=max(now, slot.sends_at))


def waking_hour(moment: datetime, zone: str) -> datetime:
    """Return the first instant from a moment on that lies between 07:00 and 21:00 on the clocks of a zone."""
    there = local(moment, zone)
    if MORNING <= there.time() < EVENING:
        return moment
    day = there.date() if there.time() < MORNING else there.date() + timedelta(days=1)
    return instant(day, MORNING, zone)


def rested(moment: datetime, zone: str, *, until: datetime) -> datetime:
    """Return when what is late goes out: in the reader's day, if that begins before `until`; else at once."""
    awake = waking_hour(moment, zone)
    return awake if awake < until else moment


def _begins(rules: WaveRules, slot: Slot, clock: str, now: datetime) -> datetime:
    own = instant(slot.date, wall_time(rules.cadence, slot), clock)
    if now - own <= LATE_SLOT_AFTER:
        return own
    if rules.passed is PassedZones.WITH_PUBLICATION and slot.at_home > now:
        return slot.at_home
    if now - slot.sends_at <= LATE_SLOT_AFTER:
        return now
    return rested(now, clock, until=own + rules.grace)


def _wave(begins: datetime, members: list[tuple[ReaderZone, str]]) -> Wave:
    by_size = sorted(members, key=lambda member: (-member[0].people, member[0].zone))
    return Wave(
        not_before=begins,
        zones=tuple(one.zone for one, _ in by_size),
        people=sum(one.people for one, _ in by_size),
        clock=_loudest(by_size),
    )


def _loudest(members: Iterable[tuple[ReaderZone, str]]) -> str:
    people: dict[str, int] = {}
    for member, clock in members:
        people[clock] = people.get(clock, 0) + member.people
    return min(people, key=lambda clock: (-people[clock], clock))


def spread(waves: Iterable[Wave]) -> Iterator[tuple[str, int]]:
    """Give each zone with the number of its wave, counted from 0; what is not among them goes with the publication."""
    for number, wave in enumerate(waves):
        yield from ((zone, number) for zone in wave.zones)
