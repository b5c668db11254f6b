"""A tick reads only the dates that are not settled, and decides as if it had read all of them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from random import Random

import pytest

from newsletter.core.cadence import Slot, SlotState, extra_slot
from newsletter.flows.freeze import RenderContext
from newsletter.operations.ticker import FULL_LOOK_EVERY, SettledDates, Ticker
from newsletter.store import alert as alerts
from newsletter.store import edition as editions
from newsletter.store import slot as slots
from newsletter.store.database import connect, open_unit
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START, FixedClock
from tests.edition_fixtures import CADENCE, TUESDAY, add_people, add_tip

STEPS = (
    *(timedelta(seconds=5), timedelta(minutes=30), timedelta(days=6), timedelta(days=25)),
    *([timedelta(hours=9)] * 4 + [timedelta(days=1)] * 3),
    *(timedelta(days=-2), timedelta(days=-30)),
)


def make_ticker(unit: Unit, clock: FixedClock, render_context: RenderContext) -> Ticker:
    """Return a ticker whose dates may be a day late."""
    return Ticker(
        unit=unit,
        clock=clock,
        cadence=CADENCE,
        grace=timedelta(hours=36),
        render_context=render_context,
        process="test 1",
    )


def outcome(unit: Unit) -> tuple[Sequence[Slot], list[tuple[date, str]], set[tuple[str, str]]]:
    """Return the dates, the editions and the open alerts."""
    with unit.read() as tx:
        sent = [(item.date, item.tip.slug) for item in editions.latest(tx, count=100)]
        return slots.since(tx, None), sent, {(alert.kind, alert.about) for alert in alerts.open_alerts(tx)}


def disturb(unit: Unit, clock: FixedClock, chance: Random) -> None:
    """Do to some date near the present what a person may do, or nothing."""
    day = clock.now().date() + timedelta(days=chance.randrange(-20, 30))
    with unit.write() as tx:
        match chance.randrange(6):
            case 0:
                slots.add(tx, extra_slot(CADENCE, day), now=clock.now())
            case 1:
                skipped = replace(extra_slot(CADENCE, day), extra=chance.random() < 0.5, state=SlotState.SKIPPED)
                slots.add(tx, skipped, now=clock.now())
            case 2:
                slots.move(tx, day, was=SlotState.SKIPPED, to=SlotState.OPEN, reason="", now=clock.now())
            case 3:
                slots.remove(tx, day)


@pytest.mark.parametrize("seed", range(3))
def test_the_same_is_decided_as_from_all_dates(
    sqlite_url: str, tmp_path: Path, render_context: RenderContext, seed: int
) -> None:
    """Through jumps of the clock in both directions, skips and extra dates, both send and miss the same dates."""
    copy = tmp_path / "copy.db"
    shutil.copy(sqlite_url.removeprefix("sqlite:///"), copy)
    engines = [connect(sqlite_url), connect(f"sqlite:///{copy}")]
    units = [open_unit(engine) for engine in engines]
    chances, clocks = [Random(seed) for _ in units], [FixedClock(START) for _ in units]
    tickers = [make_ticker(unit, clock, render_context) for unit, clock in zip(units, clocks, strict=True)]
    for unit in units:
        add_people(unit, 2)
        for number in range(12):
            add_tip(unit, f"tip-{number}")
    for _ in range(40):
        for place, (unit, clock, chance) in enumerate(zip(units, clocks, chances, strict=True)):
            clock.set(max(START, clock.now() + chance.choice(STEPS)))
            disturb(unit, clock, chance)
            tickers[place].tick()
        tickers[1] = replace(tickers[1], settled=SettledDates())
        assert outcome(units[0]) == outcome(units[1])
    assert outcome(units[0])[1]
    for engine in engines:
        engine.dispose()


def test_a_tick_does_not_read_what_is_settled(unit: Unit, clock: FixedClock, ticker: Ticker) -> None:
    """After a year of dates a tick reads those of the last days, and once an hour all of them."""
    add_people(unit, 2)
    ticker.tick()
    clock.set(TUESDAY + timedelta(weeks=52, days=3))
    ticker.tick()
    with unit.read() as tx:
        assert len(slots.since(tx, None)) == 53
        near = slots.unsettled(
            tx, since=START - timedelta(days=8), settled=clock.now() - timedelta(days=8), now=clock.now()
        )
        assert [slot.date for slot in near] == [(TUESDAY + timedelta(weeks=52)).date()]
    start = clock.now() - timedelta(days=8)
    assert ticker.settled.start(START, clock.now()) == start
    clock.turn(hours=FULL_LOOK_EVERY.total_seconds() / 3600)
    assert ticker.settled.start(START, clock.now()) == START
