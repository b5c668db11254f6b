"""What the tests of waves share: readers by their zones, and a bell that goes by their clocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from newsletter.core.cadence import Cadence
from newsletter.core.edition import Edition
from newsletter.core.wave import PassedZones, WaveRules
from newsletter.flows.freeze import RenderContext
from newsletter.operations.ticker import Ticker
from newsletter.store import wave as waves
from newsletter.store.schema import subscriber
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from tests.flows.tip_fixtures import RENDER_CONTEXT

CADENCE = Cadence(weekday=1, at=time(9), zone="America/New_York", locally=True)
GRACE = timedelta(hours=36)
WORLD = {"Pacific/Auckland": 2, "Europe/Berlin": 3, "America/New_York": 4, "": 1, "Pacific/Honolulu": 5}
BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
AUCKLAND = datetime(2026, 11, 2, 20, tzinfo=UTC)
BERLIN = datetime(2026, 11, 3, 8, tzinfo=UTC)
NEW_YORK = datetime(2026, 11, 3, 14, tzinfo=UTC)
HONOLULU = datetime(2026, 11, 3, 19, tzinfo=UTC)
"""09:00 of Tuesday 3 November 2026, in each of these zones."""


def render_context(*, passed: PassedZones = PassedZones.AT_ONCE, grace: timedelta = GRACE) -> RenderContext:
    """Return a render context that freezes in waves."""
    return replace(RENDER_CONTEXT, waves=WaveRules(cadence=CADENCE, grace=grace, passed=passed))


def local_bell(unit: Unit, clock: FixedClock, *, passed: PassedZones = PassedZones.AT_ONCE) -> Ticker:
    """Return a bell that goes by the clocks of the readers."""
    return Ticker(
        unit=unit,
        clock=clock,
        cadence=CADENCE,
        grace=GRACE,
        render_context=render_context(passed=passed),
        process="test 1",
    )


def add_readers(unit: Unit, zones: Mapping[str, int], *, since: datetime = BEFORE) -> None:
    """Add so many active people of each zone, named after the place."""
    rows = []
    for zone, count in zones.items():
        place = zone.rpartition("/")[2].lower() or "nowhere"
        for number in range(count):
            email = f"{place}{number}@example.com"
            rows.append(
                {"email": email, "canonical": email, "time_zone": zone, "tags": [], "fields": {}, "state": "active"}
                | {"state_since": since, "created_at": since}
            )
    with unit.write() as tx:
        tx.execute(subscriber.insert(), rows)


def standings(unit: Unit, edition: Edition) -> list[tuple[str, datetime, int]]:
    """Return label, instant and people of each wave."""
    with unit.read() as tx:
        return [(one.label, one.not_before, one.people) for one in waves.standings(tx, edition.id)]


def begun(unit: Unit, clock: FixedClock, at: datetime, *, passed: PassedZones = PassedZones.AT_ONCE) -> Edition:
    """Let the service start at noon on 1 November, and tick at an instant; return the edition this froze."""
    ticker = local_bell(unit, clock, passed=passed)
    assert ticker.tick() is None
    clock.set(at)
    edition = ticker.tick()
    assert edition is not None
    return edition
