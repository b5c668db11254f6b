"""What replaces an edition in waves: whose hour has not come keeps it."""

from __future__ import annotations

from datetime import date, time, timedelta

import pytest
from sqlalchemy import update

from newsletter.core.edition import Edition
from newsletter.core.wave import PassedZones
from newsletter.flows.change_slot import add_slot
from newsletter.flows.queue_tip import TipValidation
from newsletter.flows.replace_edition import replace_edition
from newsletter.store import delivery as deliveries
from newsletter.store import tip as tips
from newsletter.store import wave as waves
from newsletter.store.schema import delivery, subscriber
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from tests.flows.tip_fixtures import RENDER_CONTEXT, queue, tip_file
from tests.sending.wave_fixtures import (
    AUCKLAND,
    BERLIN,
    CADENCE,
    HONOLULU,
    NEW_YORK,
    WORLD,
    add_readers,
    begun,
    local_bell,
    render_context,
    standings,
)


@pytest.fixture
def world(unit: Unit) -> Unit:
    """Return a database with readers all over the world, and two tips."""
    add_readers(unit, WORLD)
    queue(unit, tip_file("first"), tip_file("second"))
    return unit


@pytest.mark.parametrize("extra", [False, True], ids=["a weekly date", "an extra date"])
def test_what_replaces_an_edition_keeps_its_waves(world: Unit, clock: FixedClock, *, extra: bool) -> None:
    """A wrong tip is stopped after Auckland's wave: the right one goes to everybody else at their own hour."""
    at = timedelta()
    if extra:
        at = timedelta(days=-1, hours=3)
        local_bell(world, clock).tick()
        review = TipValidation(render_context=RENDER_CONTEXT, cadence=CADENCE, now=clock.now())
        add_slot(world, date(2026, 11, 2), time(12), review, tip=None, who="t")
    wrong = begun(world, clock, AUCKLAND + at)
    with world.write() as tx:
        tx.execute(
            update(delivery).where(delivery.c.block < waves.WAVE_STRIDE_NUMBER).values(state="accepted", attempts=1)
        )
        [tip] = [one for one in tips.all_tips(tx) if one.slug == "second"]
    now = AUCKLAND + at + timedelta(hours=1)
    right = replace_edition(world, render_context(), wrong, tip, who="t", why="a slip", now=now).edition

    assert (right.name, right.local) == (f"{wrong.date}.2", True)
    assert standings(world, right) == [
        ("Europe/Berlin", BERLIN + at, 3),
        ("America/New_York", NEW_YORK + at, 5),
        ("Pacific/Honolulu", HONOLULU + at, 5),
    ]


def begun_on_an_extra_date(world: Unit, clock: FixedClock, *, passed: PassedZones = PassedZones.AT_ONCE) -> Edition:
    """Freeze the extra Monday of 2 November at noon, on time, when it begins in Auckland."""
    local_bell(world, clock, passed=passed).tick()
    review = TipValidation(render_context=RENDER_CONTEXT, cadence=CADENCE, now=clock.now())
    add_slot(world, date(2026, 11, 2), time(12), review, tip=None, who="t")
    return begun(world, clock, AUCKLAND - timedelta(hours=21), passed=passed)


def test_what_replaces_an_extra_date_that_is_tried_again_everywhere(world: Unit, clock: FixedClock) -> None:
    """The mail server put everybody off, so that nobody is in a wave any more: the right tip goes out at once."""
    wrong = begun_on_an_extra_date(world, clock)
    now = HONOLULU - timedelta(hours=20)
    with world.write() as tx:
        tx.execute(update(delivery).values(state="deferred", attempts=1, next_attempt_at=now))
    with world.write() as tx:
        deliveries.gather(tx, wrong.id, now=now)
        [tip] = [one for one in tips.all_tips(tx) if one.slug == "second"]
    right = replace_edition(world, render_context(), wrong, tip, who="t", why="a slip", now=now).edition

    assert right.audience == 15


def test_the_hour_of_an_extra_date_is_not_that_of_zones_already_past(world: Unit, clock: FixedClock) -> None:
    """Begun late, Kiritimati gets it with New York, at 07:00 there; what replaces it keeps to noon elsewhere."""
    with world.write() as tx:
        moved = update(subscriber).where(subscriber.c.time_zone == "Pacific/Honolulu")
        tx.execute(moved.values(time_zone="Pacific/Kiritimati"))
    wrong = begun_on_an_extra_date(world, clock, passed=PassedZones.WITH_PUBLICATION)
    with world.read() as tx:
        [tip] = [one for one in tips.all_tips(tx) if one.slug == "second"]
    before = standings(world, wrong)
    served = render_context(passed=PassedZones.WITH_PUBLICATION)
    now = AUCKLAND - timedelta(hours=21)
    right = replace_edition(world, served, wrong, tip, who="t", why="a slip", now=now).edition

    assert before[-1][0] == "Pacific/Kiritimati"
    assert standings(world, right) == before
