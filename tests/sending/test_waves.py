"""Waves at the freeze: one edition for everybody, in blocks that wait for the hour of each zone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from sqlalchemy import func, select, update

from newsletter.core.cadence import SlotState, slot_on
from newsletter.core.proof import Change
from newsletter.core.token import Keyring
from newsletter.core.wave import PassedZones
from newsletter.flows.change_slot import add_slot, skip_slot, unskip_slot
from newsletter.flows.freeze import freeze
from newsletter.flows.plan import PlanRules, outlook
from newsletter.flows.proof import NoticeContext, make_proof
from newsletter.flows.queue_tip import TipValidation
from newsletter.flows.send_now import early_slot
from newsletter.sending.housekeeping import defer_late_waves
from newsletter.store import edition as editions
from newsletter.store import slot as slots
from newsletter.store import wave as waves
from newsletter.store.edition import BLOCK_SIZE
from newsletter.store.schema import block, delivery, subscriber
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START, FixedClock
from tests.conftest import SECRET
from tests.flows.tip_fixtures import RENDER_CONTEXT, queue, tip_file
from tests.sending.wave_fixtures import (
    AUCKLAND,
    BERLIN,
    CADENCE,
    GRACE,
    HONOLULU,
    NEW_YORK,
    WORLD,
    add_readers,
    begun,
    local_bell,
    render_context,
    standings,
)

TUESDAY = date(2026, 11, 3)
RULES = PlanRules(cadence=CADENCE, lineup=RENDER_CONTEXT.rules, grace=GRACE)


@pytest.fixture
def world(unit: Unit) -> Unit:
    """Return a database with readers all over the world, and two tips."""
    add_readers(unit, WORLD)
    queue(unit, tip_file("first"), tip_file("second"))
    return unit


def test_the_first_wave_freezes_the_edition(world: Unit, clock: FixedClock) -> None:
    """Nothing happens a second before Auckland's nine; then one edition is frozen, for everybody, in four waves."""
    ticker = local_bell(world, clock)
    assert ticker.tick() is None
    clock.set(AUCKLAND - timedelta(seconds=1))
    assert ticker.tick() is None
    clock.set(AUCKLAND)
    edition = ticker.tick()

    assert edition is not None
    assert (edition.date, edition.sends_at, edition.audience, edition.local) == (TUESDAY, AUCKLAND, 15, True)
    assert standings(world, edition) == [
        ("Pacific/Auckland", AUCKLAND, 2),
        ("Europe/Berlin", BERLIN, 3),
        ("America/New_York", NEW_YORK, 5),
        ("Pacific/Honolulu", HONOLULU, 5),
    ]
    for later in (BERLIN, NEW_YORK, HONOLULU, NEW_YORK + timedelta(days=2)):
        clock.set(later)
        assert ticker.tick() is None


def test_each_person_is_in_the_block_of_their_zone(world: Unit, clock: FixedClock) -> None:
    """The block of each delivery waits for nine o'clock of that person's zone."""
    begun(world, clock, AUCKLAND)
    query = (
        select(subscriber.c.time_zone, block.c.not_before, func.count())
        .select_from(delivery)
        .join(block, (block.c.edition_id == delivery.c.edition_id) & (block.c.number == delivery.c.block))
        .join(subscriber, subscriber.c.id == delivery.c.subscriber_id)
        .group_by(subscriber.c.time_zone, block.c.not_before)
    )
    with world.read() as tx:
        block_rows = {zone: (at, people) for zone, at, people in tx.execute(query)}

    assert block_rows == {
        "Pacific/Auckland": (AUCKLAND, 2),
        "Europe/Berlin": (BERLIN, 3),
        "America/New_York": (NEW_YORK, 4),
        "": (NEW_YORK, 1),
        "Pacific/Honolulu": (HONOLULU, 5),
    }


def test_large_waves_have_several_blocks(unit: Unit, clock: FixedClock) -> None:
    """A wave has as many blocks as its people need, none of them too large, and no two waves share one."""
    add_readers(unit, {"Europe/Berlin": BLOCK_SIZE * 2 + 1, "Europe/Paris": BLOCK_SIZE - 1, "": BLOCK_SIZE + 1})
    queue(unit, tip_file("first"))
    edition = begun(unit, clock, BERLIN)
    with unit.read() as tx:
        query = select(delivery.c.block, func.count()).group_by(delivery.c.block).order_by(delivery.c.block)
        sizes = [count for _, count in tx.execute(query)]
        block_waves = tx.execute(select(block.c.wave).order_by(block.c.number)).scalars().all()

    assert sizes == [500, 500, 500, 500, 1]
    assert block_waves == ["Europe/Berlin +1"] * 3 + ["America/New_York"] * 2
    assert edition.audience == sum(sizes)


def test_without_the_setting_there_are_no_waves(world: Unit) -> None:
    """An edition at one instant has plain blocks, numbered from nought, that wait for nothing."""
    slot = slot_on(replace(CADENCE, locally=False), TUESDAY)
    assert slot is not None
    edition = freeze(world, RENDER_CONTEXT, slot, now=NEW_YORK).edition
    assert edition is not None
    with world.read() as tx:
        block_rows = tx.execute(select(block.c.number, block.c.not_before, block.c.wave)).all()

    assert [tuple(row) for row in block_rows] == [(0, None, "")]
    assert not edition.local
    assert standings(world, edition) == []


def test_a_new_reader_further_east_gets_it_at_once(world: Unit, clock: FixedClock) -> None:
    """Whoever joins where the hour is past gets the edition as it is frozen, and does not make it begin earlier."""
    with world.write() as tx:
        tx.execute(update(subscriber).where(subscriber.c.time_zone == "Pacific/Auckland").values(state="paused"))
    ticker = local_bell(world, clock)
    ticker.tick()
    clock.set(AUCKLAND + timedelta(hours=2))
    ticker.tick()
    add_readers(world, {"Pacific/Fiji": 1}, since=clock.now())
    clock.set(BERLIN - timedelta(minutes=2))
    assert ticker.tick() is None
    clock.set(BERLIN)
    edition = ticker.tick()

    assert edition is not None
    assert standings(world, edition)[0][1:] == (BERLIN, 3)
    assert ("Pacific/Fiji", BERLIN, 1) in standings(world, edition)


def test_past_zones_may_wait_for_the_publication(world: Unit, clock: FixedClock) -> None:
    """With the other setting, Auckland's readers of a start at Berlin's nine get it with New York's."""
    edition = begun(world, clock, BERLIN, passed=PassedZones.WITH_PUBLICATION)

    assert standings(world, edition) == [
        ("Europe/Berlin", BERLIN, 3),
        ("America/New_York", NEW_YORK, 5),
        ("Pacific/Auckland", NEW_YORK, 2),
        ("Pacific/Honolulu", HONOLULU, 5),
    ]


def test_a_late_start_waits_for_the_readers_day(world: Unit, clock: FixedClock) -> None:
    """The machine was down for twelve hours: Auckland sleeps and gets it at seven, Berlin is awake."""
    edition = begun(world, clock, AUCKLAND + timedelta(hours=12, minutes=30))

    assert standings(world, edition) == [
        ("Europe/Berlin", AUCKLAND + timedelta(hours=12, minutes=30), 3),
        ("America/New_York", NEW_YORK, 5),
        ("Pacific/Auckland", datetime(2026, 11, 3, 18, tzinfo=UTC), 2),
        ("Pacific/Honolulu", HONOLULU, 5),
    ]


def test_a_first_start_between_the_waves_begins_with_the_next(world: Unit, clock: FixedClock) -> None:
    """Installed on Monday evening: Auckland's hour was before the first tick, so the date begins with Berlin."""
    clock.set(AUCKLAND + timedelta(hours=1))
    ticker = local_bell(world, clock)
    assert ticker.tick() is None
    clock.set(BERLIN - timedelta(seconds=10))
    assert ticker.tick() is None
    clock.set(BERLIN)
    edition = ticker.tick()

    assert edition is not None
    assert edition.sends_at == BERLIN


def test_turning_it_on_between_the_waves_surprises_nobody(world: Unit, clock: FixedClock) -> None:
    """The setting comes on Monday night: the Tuesday is neither missed nor begun at that moment."""
    plain = replace(local_bell(world, clock), cadence=replace(CADENCE, locally=False), render_context=RENDER_CONTEXT)
    plain.tick()
    clock.set(AUCKLAND + timedelta(hours=3))
    plain.tick()
    ticker = local_bell(world, clock)
    assert ticker.tick() is None
    clock.set(BERLIN)
    edition = ticker.tick()

    assert edition is not None
    assert edition.sends_at == BERLIN


def test_sending_early_means_everybody(world: Unit) -> None:
    """Whoever sends a date before its time sends it now, to all zones at one instant."""
    slot = early_slot(world, CADENCE, None, now=START)
    assert (slot.date, slot.sends_at, slot.home) == (TUESDAY, AUCKLAND, NEW_YORK)
    edition = freeze(world, render_context(), slot, now=START).edition

    assert edition is not None
    assert not edition.local
    assert standings(world, edition) == []


def test_the_next_edition_leaves_waves_alone_that_wait(world: Unit, clock: FixedClock) -> None:
    """An extra date on Wednesday begins in Auckland an hour after Honolulu's Tuesday: its readers get both."""
    first = begun(world, clock, AUCKLAND)
    add_slot(
        world,
        date(2026, 11, 4),
        None,
        TipValidation(render_context=RENDER_CONTEXT, cadence=CADENCE, now=clock.now()),
        tip=None,
        who="t",
    )
    clock.set(HONOLULU - timedelta(minutes=1))
    with world.write() as tx:
        tx.execute(
            update(block).where(block.c.wave == "Pacific/Honolulu").values(not_before=HONOLULU + timedelta(hours=2))
        )
    clock.set(AUCKLAND + timedelta(days=1))
    second = local_bell(world, clock).tick()

    assert second is not None
    assert second.date == date(2026, 11, 4)
    with world.read() as tx:
        states = dict(
            tx.execute(
                select(delivery.c.state, func.count())
                .where(delivery.c.edition_id == first.id)
                .group_by(delivery.c.state)
            ).all()
        )
    assert states == {"expired": 10, "queued": 5}


def test_an_extra_date_begins_with_its_first_reader(world: Unit, clock: FixedClock) -> None:
    """An extra Thursday is added, skipped and opened again, and begins in Auckland at its own hour."""
    ticker = local_bell(world, clock)
    ticker.tick()
    day, review = date(2026, 11, 5), TipValidation(render_context=RENDER_CONTEXT, cadence=CADENCE, now=clock.now())
    at = datetime(2026, 11, 4, 23, tzinfo=UTC)  # Noon of Thursday in Auckland.
    added = add_slot(world, day, time(12), review, tip=None, who="t")
    skip_slot(world, day, RULES, who="t", because="a try", now=clock.now())
    unskip_slot(world, day, CADENCE, who="t", now=clock.now())
    shown = outlook(world, RULES, weeks=2, now=clock.now())

    assert added.slot.sends_at == at
    assert [choice.slot.sends_at for choice in shown.choices][:2] == [AUCKLAND, at]
    clock.set(AUCKLAND)
    ticker.tick()
    clock.set(at)
    edition = ticker.tick()
    assert edition is not None
    assert (edition.date, edition.sends_at) == (day, at)
    with world.read() as tx:
        kept = slots.get(tx, day)
    assert kept is not None
    assert (kept.state, kept.sends_at) == (SlotState.FROZEN, at)


def test_the_forecast_shows_the_waves_of_the_next_edition(world: Unit) -> None:
    """The queue tells how many get the next edition at which instant."""
    ahead = outlook(world, RULES, weeks=3, now=START)

    assert [(wave.label, wave.not_before, wave.people) for wave in ahead.waves] == [
        ("Pacific/Auckland", AUCKLAND, 2),
        ("Europe/Berlin", BERLIN, 3),
        ("America/New_York", NEW_YORK, 5),
        ("Pacific/Honolulu", HONOLULU, 5),
    ]
    assert ahead.waves_of(ahead.choices[0]) == ahead.waves
    assert ahead.waves_of(ahead.choices[1]) == ()


def test_the_next_wave_is_known(world: Unit, clock: FixedClock) -> None:
    """At each moment the store tells which wave comes next, when, and to how many."""
    begun(world, clock, AUCKLAND)
    next_waves = []
    for now in (AUCKLAND, BERLIN, NEW_YORK, HONOLULU):
        with world.read() as tx:
            wave = waves.coming(tx, now=now)
        next_waves.append(wave and (wave.label, wave.not_before, wave.people))

    assert next_waves == [
        ("Europe/Berlin", BERLIN, 3),
        ("America/New_York", NEW_YORK, 5),
        ("Pacific/Honolulu", HONOLULU, 5),
        None,
    ]


# A wave that comes late by itself


def test_a_wave_that_is_late_waits_for_the_day(world: Unit, clock: FixedClock) -> None:
    """The machine slept through New York's Tuesday until 22:00: its wave goes out at seven on Wednesday."""
    edition = begun(world, clock, AUCKLAND)
    with world.write() as tx:
        tx.execute(
            update(delivery).where(delivery.c.block < 2 * waves.WAVE_STRIDE_NUMBER).values(state="accepted", attempts=1)
        )
    now = datetime(2026, 11, 4, 3, tzinfo=UTC)  # 22:00 in New York, 17:00 in Honolulu.

    assert defer_late_waves(world, grace=GRACE, now=now) == 1
    assert defer_late_waves(world, grace=GRACE, now=now) == 0
    assert standings(world, edition)[2:] == [
        ("Pacific/Honolulu", HONOLULU, 5),
        ("America/New_York", datetime(2026, 11, 4, 12, tzinfo=UTC), 5),
    ]


def test_a_wave_that_has_begun_goes_on_at_night(world: Unit, clock: FixedClock) -> None:
    """If only one mail of a wave went out before the machine went down, the rest follows as soon as it can."""
    edition = begun(world, clock, AUCKLAND)
    with world.write() as tx:
        first_delivery = (
            select(func.min(delivery.c.id)).where(delivery.c.block == 2 * waves.WAVE_STRIDE_NUMBER).scalar_subquery()
        )
        tx.execute(update(delivery).where(delivery.c.id == first_delivery).values(state="accepted", attempts=1))
        tx.execute(
            update(delivery).where(delivery.c.block < 2 * waves.WAVE_STRIDE_NUMBER).values(state="accepted", attempts=1)
        )
    before = standings(world, edition)

    assert defer_late_waves(world, grace=GRACE, now=datetime(2026, 11, 4, 3, tzinfo=UTC)) == 0
    assert standings(world, edition) == before


def test_a_late_wave_does_not_wait_beyond_the_grace(world: Unit, clock: FixedClock) -> None:
    """Where the day begins after the grace of its own hour, the wave goes out at night."""
    begun(world, clock, AUCKLAND)
    with world.write() as tx:
        tx.execute(
            update(delivery).where(delivery.c.block < 2 * waves.WAVE_STRIDE_NUMBER).values(state="accepted", attempts=1)
        )

    assert defer_late_waves(world, grace=timedelta(hours=20), now=datetime(2026, 11, 4, 3, tzinfo=UTC)) == 0


def test_many_zones_that_nobody_knows(unit: Unit, clock: FixedClock) -> None:
    """Hundreds of zones that do not exist go with the publication, and none of their readers is left out."""
    add_readers(unit, {f"Mars/Crater{number}": 1 for number in range(600)} | {"Asia/Tokyo": 1})
    queue(unit, tip_file("first"))
    edition = begun(unit, clock, datetime(2026, 11, 3, 0, tzinfo=UTC))

    assert [people for _, _, people in standings(unit, edition)] == [1, 600]
    with unit.read() as tx:
        assert editions.by_id(tx, edition.id).audience == 601


def test_the_proof_tells_the_waves(world: Unit) -> None:
    """Editors read when it begins, that each reader has their own hour, and how many are in each wave."""
    notice_context = NoticeContext(
        render_context=render_context(), keyring=Keyring(current=SECRET), plan=RULES, editors=("ed@example.com",)
    )
    ahead = outlook(world, RULES, weeks=1, now=AUCKLAND - timedelta(hours=20))
    letter = make_proof(
        notice_context, ahead.choices[0], ahead, Change.FIRST, now=AUCKLAND - timedelta(hours=20)
    ).letter
    facts = {fact.label: str(fact.value) for fact in letter.facts}

    assert "09:00 on each reader's own clock, beginning Monday 2 November 2026, 15:00 EST" in facts["When"]
    assert "(in 20 hours)" in facts["When"]
    assert "2 in Pacific/Auckland (Mon 2 Nov 2026, 15:00" in facts["In waves"]
    assert "5 in America/New_York" in facts["In waves"]
