"""Cadence: which instants are slots. The only module in which local time exists.

In: a weekday, a wall-clock time and a zone. Out: slots, each keyed by its local date, with its instant in UTC; instants
and dates in words, for and from people. It must never read the clock, and nothing else may turn a local time into an
instant or back. Which slot is due is decided by `core/due.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from enum import StrEnum
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from newsletter.wording import MONTHS, WEEKDAYS, plural, weekday_name

_WEEK = timedelta(days=7)
_LOCALLY = "locally"
_NOT_A_PLACE = ("localtime", "Factory", "posix/", "right/")
"""Keys that zoneinfo may open and that name no place: the first changes with the machine, the last has leap seconds."""


class SlotState(StrEnum):
    """`open → frozen / skipped / empty / missed`."""

    OPEN = "open"
    FROZEN = "frozen"
    SKIPPED = "skipped"
    EMPTY = "empty"
    MISSED = "missed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """Once a week, on one weekday, at one wall-clock time of one zone."""

    weekday: int
    """0 is Monday, as in `date.weekday()`."""
    at: time
    """Wall-clock time, naive."""
    zone: str
    """IANA name, such as `America/New_York`."""
    locally: bool = False
    """Whether each reader gets it at this time of their own zone."""
    readers: tuple[ReaderZone, ...] = ()
    """The zones of the readers, as far as they are known where this is used; unused without `locally`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderZone:
    """A zone in which readers live, as they or an import wrote it; empty for those who have none."""

    zone: str
    people: int
    since: datetime
    """The first of them came then. A slot whose time there was earlier does not begin because of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One send date."""

    date: date
    """Local date in the zone of the cadence: the key."""
    sends_at: datetime
    """The instant, UTC: when it is frozen, and the first mail goes out."""
    home: datetime | None = None
    """Where each reader gets it at their own time, the instant of the publication's zone; `sends_at` is never later."""
    extra: bool = False
    """An extra date, added by a person beside the weekly ones."""
    state: SlotState = SlotState.OPEN
    reason: str = ""
    """Why it was skipped, missed or empty, in words."""
    empty_since: datetime | None = None
    """When its time came and there was nothing to send; None while that has not happened."""

    @property
    def at_home(self) -> datetime:
        """Return the instant of its time in the publication's zone."""
        return self.home or self.sends_at


def instant(day: date, at: time, zone: str) -> datetime:
    """Return the one UTC instant of a wall-clock time on a local date, whatever the clocks of the zone do that day.

    Of a time that occurs twice it is the first; a time inside a gap moves forward by the length of the gap (PEP 495,
    fold 0), which at 23:30 may be past midnight (America/Nuuk in spring). A date that the zone left out altogether
    (Pacific/Apia 2011-12-30) is a gap of 24 hours and follows the same rule: the same time on the next day. It is not
    "no slot", as the promise is that no week passes in silence, and not the first instant that exists, as no reader
    asked for mail at midnight. So the answer is never None, and a weekly cadence never yields one instant twice.
    """
    return datetime.combine(day, at.replace(tzinfo=None, fold=0), tzinfo=ZoneInfo(zone)).astimezone(UTC)


def slot_on(cadence: Cadence, day: date) -> Slot | None:
    """Return the weekly slot of this local date, or None when the date is another weekday."""
    if day.weekday() != cadence.weekday:
        return None
    return _slot(cadence, day, cadence.at)


def extra_slot(cadence: Cadence, day: date, at: time | None = None) -> Slot:
    """Return an extra slot on any date, at the time of the cadence unless another is given."""
    return replace(_slot(cadence, day, at or cadence.at), extra=True)


def _slot(cadence: Cadence, day: date, at: time) -> Slot:
    home = instant(day, at, cadence.zone)
    if not cadence.locally:
        return Slot(date=day, sends_at=home)
    return Slot(date=day, sends_at=_first(cadence, day, at, home), home=home)


def _first(cadence: Cadence, day: date, at: time, home: datetime) -> datetime:
    """Return when a date begins for the first reader, at the latest at the publication's own time.

    A person who came to a zone in which the time of the date was past does not move it into the past: that person gets
    the edition later (`core/wave.py`), and no other reader gets it earlier for that.
    """
    known = [(instant(day, at, reader.zone), reader.since) for reader in cadence.readers if is_zone(reader.zone)]
    return min([home, *(begins for begins, since in known if begins > since)])


def slots_between(cadence: Cadence, after: datetime, until: datetime) -> list[Slot]:
    """Return the weekly slots with `after < sends_at <= until`, in order."""
    rows = []
    for slot in _slots_from(cadence, after):
        if slot.sends_at > until:
            break
        rows.append(slot)
    return rows


def next_slots(cadence: Cadence, after: datetime, count: int) -> list[Slot]:
    """Return the first `count` weekly slots after an instant."""
    return list(islice(_slots_from(cadence, after), count))


def nearest_slots(cadence: Cadence, day: date) -> tuple[Slot, Slot]:
    """Return the last weekly slot before a local date and the first after it; a slot on the date itself is neither."""
    back = (day.weekday() - cadence.weekday - 1) % 7 + 1
    on = (cadence.weekday - day.weekday() - 1) % 7 + 1
    before, after = day - timedelta(days=back), day + timedelta(days=on)
    return _slot(cadence, before, cadence.at), _slot(cadence, after, cadence.at)


def calendar(cadence: Cadence, stored: Iterable[Slot], *, after: datetime, until: datetime) -> list[Slot]:
    """Return the weekly slots of `(after, until]` with the stored ones laid over them by date, in order.

    Stored slots are kept wherever they lie up to `until`, so that an open one is never forgotten. A weekly one that is
    open or skipped follows the cadence of today: its instant is computed anew, and it is left out when its date is no
    longer a slot. What was frozen, missed or found empty is history and stays as it is.
    """
    by_date = {slot.date: slot for slot in slots_between(cadence, after, until)}
    for slot in stored:
        current = retimed(cadence, slot)
        if current is not None and current.sends_at <= until:
            by_date[current.date] = current
        else:
            by_date.pop(slot.date, None)
    return sorted(by_date.values(), key=slot_order)


def retimed(cadence: Cadence, slot: Slot) -> Slot | None:
    """Return a stored slot with the instant it has under this cadence, or None when its date is foreign to it."""
    if slot.state not in (SlotState.OPEN, SlotState.SKIPPED):
        return slot
    if slot.extra:
        # An extra date that is still ahead is stored with the publication's own time.
        home = slot.at_home
        first = _first(cadence, slot.date, wall_time(cadence, slot), home) if cadence.locally else home
        return replace(slot, sends_at=first, home=home if cadence.locally else None)
    weekly = slot_on(cadence, slot.date)
    return replace(slot, sends_at=weekly.sends_at, home=weekly.home) if weekly else None


def wall_time(cadence: Cadence, slot: Slot) -> time:
    """Return the time of day at which each reader of a slot gets it: that of the cadence, or an extra date's own."""
    if not slot.extra or instant(slot.date, cadence.at, cadence.zone) == slot.at_home:
        # Not read off the clock at home, which may have left this hour out on this day.
        return cadence.at
    return local(slot.at_home, cadence.zone).time()


def _slots_from(cadence: Cadence, after: datetime) -> Iterator[Slot]:
    # Two days of margin: a slot can lie up to a day after its own date (the gap rule of `instant`).
    day = local(after, cadence.zone).date() - timedelta(days=2)
    day += timedelta(days=(cadence.weekday - day.weekday()) % 7)
    while True:
        slot = _slot(cadence, day, cadence.at)
        if slot.sends_at > after:
            yield slot
        day += _WEEK


def slot_order(slot: Slot) -> tuple[datetime, date]:
    """Return the sort key that puts slots in order of time."""
    return slot.sends_at, slot.date


def local(moment: datetime, zone: str) -> datetime:
    """Return an aware instant as local time, for display only."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone")
    return moment.astimezone(ZoneInfo(zone))


def describe_instant(moment: datetime, zone: str) -> str:
    """Return `Tuesday 24 November 2026, 09:00 CET (UTC+1)` and the like; without an abbreviation, the offset only."""
    there = local(moment, zone)
    # zoneinfo names such a zone by its offset, `-03`, which would say the same thing twice.
    name = there.tzname() or ""
    offset = _describe_offset(there.utcoffset() or timedelta())
    label = "UTC" if name == "UTC" else f"{name} ({offset})" if name.isalpha() else f"({offset})"
    return f"{describe_date(there.date())}, {there:%H:%M} {label}"


def brief_instant(moment: datetime, zone: str) -> str:
    """Return `Tue 24 Nov 2026, 09:00 UTC+1`: the same for a column of a table, where each line bears one."""
    there = local(moment, zone)
    return f"{brief_date(there.date())}, {there:%H:%M} {_describe_offset(there.utcoffset() or timedelta())}"


def describe_slot(slot: Slot, zone: str) -> str:
    """Return when a slot goes out, in words; where each reader has their own hour, that and when it begins."""
    if slot.home is None:
        return describe_instant(slot.sends_at, zone)
    time_there = local(slot.home, zone).strftime("%H:%M")
    begins = describe_instant(slot.sends_at, zone)
    return f"{describe_date(slot.date)}, {time_there} on each reader's own clock, beginning {begins}"


def brief_slot(slot: Slot, zone: str) -> str:
    """Return the same for a column of a table; the sign of the local hour is explained below such a table."""
    if slot.home is None:
        return brief_instant(slot.sends_at, zone)
    return f"{brief_date(slot.date)}, {local(slot.home, zone):%H:%M} local"


def brief_date(day: date) -> str:
    """Return `Tue 24 Nov 2026`."""
    return f"{weekday_name(day.weekday())[:3]} {day.day} {MONTHS[day.month - 1][:3]} {day.year}"


def describe_date(day: date) -> str:
    """Return `Tuesday 24 November 2026`, in English whatever the locale."""
    return f"{weekday_name(day.weekday())} {day.day} {MONTHS[day.month - 1]} {day.year}"


def describe_span(span: timedelta) -> str:
    """Return a length of time in its two largest units: `36 hours`, `21 days 3 hours`, `2 hours 10 minutes`."""
    minutes = int(abs(span).total_seconds()) // 60
    days, hours = divmod(minutes // 60, 24)
    if abs(span) < timedelta(days=2):  # Up to there people count in hours: a grace is "36 hours".
        days, hours = 0, minutes // 60
    parts = [(days, "day"), (hours, "hour"), (0 if days else minutes % 60, "minute")]
    text = [plural(number, unit) for number, unit in parts if number]
    return " ".join(text) or "less than a minute"


def _describe_offset(offset: timedelta) -> str:
    sign = "\N{MINUS SIGN}" if offset < timedelta() else "+"
    hours, minutes = divmod(int(abs(offset).total_seconds()) // 60, 60)
    return f"UTC{sign}{hours}:{minutes:02}" if minutes else f"UTC{sign}{hours}"


def parse_cadence(day: str, at: str, zone: str) -> Cadence:
    """Return the cadence of three settings, or raise ValueError naming what is accepted."""
    return Cadence(weekday=parse_weekday(day), at=parse_time(at), zone=parse_zone(zone))


def cadence_text(cadence: Cadence) -> str:
    """Return `tuesday 09:00 America/New_York`: stable, stored, and compared to find out that the schedule changed."""
    own = f" {_LOCALLY}" if cadence.locally else ""
    return f"{WEEKDAYS[cadence.weekday]} {cadence.at:%H:%M} {cadence.zone}{own}"


def parse_cadence_text(text: str) -> Cadence:
    """Return the cadence that `cadence_text` wrote."""
    day, at, zone, *own = text.split(" ")
    return replace(parse_cadence(day, at, zone), locally=own == [_LOCALLY])


def parse_local(day: str, at: str, zone: str) -> datetime:
    """Return the UTC instant of a date and a time as a person types them, or raise ValueError."""
    return instant(parse_date(day), parse_time(at), parse_zone(zone))


def parse_weekday(text: str) -> int:
    """Return 0 for `monday`, `Mon` and so on; numbers are refused, as schedulers disagree on what 2 means."""
    name = text.strip().casefold()
    for number, weekday in enumerate(WEEKDAYS):
        if name in (weekday, weekday[:3]):
            return number
    raise ValueError(f"{text!r} is not a day: use one of {', '.join(WEEKDAYS)}")


def parse_time(text: str) -> time:
    """Return the time of `09:00` or `9:00`, from 00:00 to 23:59."""
    if match := re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", text.strip()):
        return time(int(match[1]), int(match[2]))
    raise ValueError(f"{text!r} is not a time: use hours and minutes from 00:00 to 23:59, such as 09:00")


def parse_date(text: str) -> date:
    """Return the date of `2026-11-24`; years from 2000 to 2199, since anything else is a slip of the keyboard."""
    if re.fullmatch(r"2[01][0-9]{2}-[0-9]{2}-[0-9]{2}", text.strip()):
        try:
            return date.fromisoformat(text.strip())
        except ValueError:
            pass  # Such as 2026-02-30: told below, like any other.
    raise ValueError(f"{text!r} is not a date: use year-month-day, such as 2026-11-24")


def is_zone(text: str) -> bool:
    """Tell whether a text names a zone of which this machine has the rules."""
    try:
        return not text.startswith(_NOT_A_PLACE) and bool(ZoneInfo(text).key)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False  # An absent name, one that is no relative path, and a folder such as `America`.


def parse_zone(text: str) -> str:
    """Return the IANA name of a zone of which this machine has the rules."""
    name = text.strip()
    if is_zone(name):
        return name
    known = {zone.casefold(): zone for zone in available_timezones()}
    close = get_close_matches(name.casefold().replace(" ", "_"), known, n=1)
    hint = f" (did you mean {known[close[0]]}?)" if close else ""
    raise ValueError(f"{text!r} is not a time zone{hint}: use an IANA name such as America/New_York")
