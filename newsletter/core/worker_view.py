"""What a worker says of itself, and how its mail servers stand: for people who watch.

In: what a worker wrote about itself, as JSON. Out: values and words. It is read with patience: words of an older or a
newer version show less, never something wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from newsletter.core.cadence import brief_date, local
from newsletter.core.liveness import Liveness, judge_heartbeat
from newsletter.wording import plural


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayView:
    """One mail server as one worker, or all of them together, see it."""

    name: str
    connections: int
    allowed: int
    most: int
    trouble: str = ""
    """Its last complaint in words; empty while all is well."""
    again_at: datetime | None = None
    """When it is tried again."""

    @property
    def away(self) -> bool:
        """Tell whether it takes nothing at present."""
        return bool(self.trouble) and not self.connections

    def words(self, zone: str, now: datetime) -> str:
        """Say how it stands."""
        bound = f" of {self.most}" if self.allowed >= self.most else f" of {self.allowed} (of {self.most})"
        noun = "connection" if self.connections == 1 and self.allowed >= self.most == 1 else "connections"
        text = f"{self.connections}{bound} {noun}"
        if self.again_at is not None:
            text += f", tried again at {clock_words(self.again_at, zone, now)}"
        return f"{text}: {self.trouble}" if self.trouble else text


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerView:
    """One process that sends."""

    name: str
    """Host and process."""
    machine: str
    """Its id, for programs."""
    seen_at: datetime
    connections: int = 0
    per_second: float | None = None
    relays: tuple[RelayView, ...] = ()

    def silent(self, now: datetime) -> bool:
        """Tell whether it has not been heard of for too long."""
        return judge_heartbeat(self.seen_at, now) is not Liveness.ALIVE

    def words(self, now: datetime) -> str:
        """Say what it is at."""
        if self.silent(now):
            return f"silent for {span_words((now - self.seen_at).total_seconds())}"
        rate = "" if self.per_second is None else f", {rate_words(self.per_second)}"
        return f"{plural(self.connections, 'connection')}{rate}"


def together(relays: Iterable[RelayView]) -> tuple[RelayView, ...]:
    """Add up what several workers say of the same mail server."""
    rows: dict[str, RelayView] = {}
    for relay in relays:
        known = rows.get(relay.name)
        if known is None:
            rows[relay.name] = relay
            continue
        rows[relay.name] = RelayView(
            name=relay.name,
            connections=known.connections + relay.connections,
            allowed=known.allowed + relay.allowed,
            most=known.most + relay.most,
            trouble=relay.trouble or known.trouble,
            again_at=max((at for at in (relay.again_at, known.again_at) if at is not None), default=None),
        )
    return tuple(rows.values())


def read_relays(report: Mapping[str, Any]) -> tuple[RelayView, ...]:
    """Return the mail servers in what a worker wrote about itself; what it does not say is left out."""
    listed = report.get("relays")
    rows = []
    for item in listed if isinstance(listed, Sequence) and not isinstance(listed, str) else ():
        if not isinstance(item, Mapping) or not item.get("name"):
            continue
        connections = _count(item.get("connections"))
        allowed = _count(item.get("allowed"), connections)
        again_at = item.get("again_at")
        rows.append(
            RelayView(
                name=str(item["name"]),
                connections=connections,
                allowed=allowed,
                most=_count(item.get("most"), allowed),
                trouble=str(item.get("trouble") or ""),
                again_at=datetime.fromisoformat(again_at) if isinstance(again_at, str) and again_at else None,
            )
        )
    return tuple(rows)


def read_rate(report: Mapping[str, Any]) -> float | None:
    """Return the messages a second that a worker says of itself."""
    rate = report.get("rate")
    return float(rate) if isinstance(rate, int | float) else None


def _count(value: object, otherwise: int = 0) -> int:
    return int(value) if isinstance(value, int | float) else otherwise


def rate_words(per_second: float) -> str:
    """Return `3,210/s`, or `0.4/s` where whole numbers would say too little."""
    return f"{per_second:,.0f}/s" if per_second >= 10 or per_second == 0 else f"{per_second:.1f}/s"  # noqa: PLR2004


def clock_words(at: datetime, zone: str, now: datetime) -> str:
    """Return `14:35:10`, or `09:00 on Wed 25 Nov 2026` when that is another day."""
    there = local(at, zone)
    if there.date() == local(now, zone).date():
        return f"{there:%H:%M:%S}"
    return f"{there:%H:%M} on {brief_date(there.date())}"


def span_words(seconds: float) -> str:
    """Return `12 s`, `2 min 5 s` or `3 h 20 min`."""
    whole = max(1, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
