"""Dates that people skip, open again and add."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from sqlalchemy import update

from newsletter.core.cadence import SlotState
from newsletter.core.delivery import DeliveryCounts, DeliveryState
from newsletter.errors import InputError, NotNow
from newsletter.flows.change_slot import add_slot, skip_slot, unskip_slot
from newsletter.flows.change_tip import pin_tip
from newsletter.flows.hold import cancel_edition
from newsletter.store import alert as alerts
from newsletter.store import edition as editions
from newsletter.store import slot as slots
from newsletter.store.alert import Alert, AlertKind
from newsletter.store.schema import delivery
from newsletter.store.unit import Unit
from tests.flows.tip_fixtures import (
    CADENCE,
    NOW,
    RULES,
    TUESDAYS,
    WHO,
    begin,
    freeze_on,
    logged,
    queue,
    review,
    stored,
    subscribe,
    tip_file,
)

THURSDAY = date(2026, 11, 12)
AT_NINE = datetime(2026, 11, 3, 14, tzinfo=UTC)


def skip(unit: Unit, day: date, *, now: datetime = NOW) -> bool:
    """Skip a date; tell whether that was new."""
    return skip_slot(unit, day, RULES, who=WHO, because="fair", now=now).new


def state_of(unit: Unit, day: date) -> SlotState | None:
    """Return how a date is stored."""
    with unit.read() as tx:
        stored_slot = slots.get(tx, day)
    return stored_slot.state if stored_slot is not None else None


def test_a_date_is_skipped_once_and_opened_again(unit: Unit) -> None:
    """Each change is logged once, with its reason kept on the slot; asking again changes nothing."""
    assert [skip(unit, TUESDAYS[0]), skip(unit, TUESDAYS[0])] == [True, False]
    assert state_of(unit, TUESDAYS[0]) is SlotState.SKIPPED
    opened = [unskip_slot(unit, TUESDAYS[0], CADENCE, who=WHO, now=NOW).new for _ in range(2)]
    assert opened == [True, False]
    assert state_of(unit, TUESDAYS[0]) is SlotState.OPEN
    assert logged(unit) == [("slot skip", "2026-11-03"), ("slot unskip", "2026-11-03")]


def test_only_a_date_that_is_to_come_can_be_skipped(unit: Unit) -> None:
    """Past dates, other weekdays and editions that have begun are refused, and nothing is written."""
    subscribe(unit, "ada")
    queue(unit, tip_file("a"))
    freeze_on(unit, TUESDAYS[0])
    with pytest.raises(InputError, match="newsletter edition cancel 2026-11-03"):
        skip(unit, TUESDAYS[0])
    with pytest.raises(InputError, match="is over"):
        skip(unit, date(2026, 10, 27))
    with pytest.raises(InputError, match="near it: Tuesday 10 November 2026, Tuesday 17 November 2026"):
        skip(unit, THURSDAY)
    assert [state_of(unit, day) for day in (date(2026, 10, 27), THURSDAY)] == [None, None]


def test_a_due_date_that_stayed_empty_can_be_skipped(unit: Unit) -> None:
    """Within its grace a tip would still go out late; a person may prevent that, and not after the grace."""
    begin(unit)
    with pytest.raises(InputError, match="is over"):
        skip(unit, TUESDAYS[0], now=AT_NINE + timedelta(hours=36))
    assert skip(unit, TUESDAYS[0], now=AT_NINE + timedelta(hours=35))


def test_skipping_ends_the_alert_of_an_empty_date(unit: Unit) -> None:
    """Somebody has acted, so nobody needs to be told any more."""
    begin(unit)
    alert = Alert(kind=AlertKind.EMPTY_SLOT, about="2026-11-03", message="Nothing to send.", raised_at=AT_NINE)
    with unit.write() as tx:
        alerts.raise_alert(tx, alert)
    skip(unit, TUESDAYS[0], now=AT_NINE + timedelta(hours=1))
    with unit.read() as tx:
        assert alerts.open_alerts(tx) == []


def test_a_date_whose_time_has_come_is_not_opened_again(unit: Unit) -> None:
    """An unskip makes nothing due: a minute late is too late, a minute early is not."""
    begin(unit)
    skip(unit, TUESDAYS[0])
    with pytest.raises(InputError, match="is past, so nothing would go out"):
        unskip_slot(unit, TUESDAYS[0], CADENCE, who=WHO, now=AT_NINE)
    assert state_of(unit, TUESDAYS[0]) is SlotState.SKIPPED
    assert unskip_slot(unit, TUESDAYS[0], CADENCE, who=WHO, now=AT_NINE - timedelta(minutes=1)).new


def test_an_unskip_follows_the_schedule_of_today(unit: Unit) -> None:
    """A date that was skipped at nine and would now be at noon is judged by noon."""
    skip(unit, TUESDAYS[0])
    noon = replace(CADENCE, at=time(12))
    slot_change = unskip_slot(unit, TUESDAYS[0], noon, who=WHO, now=AT_NINE + timedelta(hours=1))
    assert slot_change.slot.sends_at == AT_NINE + timedelta(hours=3)


def test_the_date_of_a_cancelled_edition_is_not_opened_again(unit: Unit) -> None:
    """A date has one edition; its tip needs another date."""
    subscribe(unit, "ada")
    queue(unit, tip_file("a"))
    edition = freeze_on(unit, TUESDAYS[0])
    cancel_edition(unit, edition, who=WHO, why="", now=NOW)
    with pytest.raises(InputError, match="was cancelled"):
        unskip_slot(unit, TUESDAYS[0], CADENCE, who=WHO, now=NOW)


def test_unskip_names_what_a_date_is_instead(unit: Unit) -> None:
    """A date in the past that was never skipped is not called open."""
    with pytest.raises(InputError, match="is not skipped, and its time is past"):
        unskip_slot(unit, date(2026, 10, 27), CADENCE, who=WHO, now=NOW)


def test_an_extra_date_takes_its_tip_along(unit: Unit) -> None:
    """The slot has the time that was asked for, and the tip is pinned to it, in one transaction."""
    queue(unit, tip_file("a"))
    slot_change = add_slot(unit, THURSDAY, time(14, 30), review(), tip=stored(unit)["a"], who=WHO)
    assert slot_change.slot.sends_at == datetime(2026, 11, 12, 19, 30, tzinfo=UTC)
    assert slot_change.slot.extra
    assert stored(unit)["a"].pin == THURSDAY
    assert logged(unit)[-1] == ("slot add", "2026-11-12")


def test_a_date_cannot_be_added_twice_nor_in_the_past(unit: Unit) -> None:
    """Weekly, extra, skipped and past dates are refused, each with what to do instead."""
    add_slot(unit, THURSDAY, None, review(), tip=None, who=WHO)
    skip(unit, TUESDAYS[2])
    for day, words in (
        (TUESDAYS[1], "is a weekly date already"),
        (THURSDAY, "is an extra date already"),
        (TUESDAYS[2], "newsletter slot unskip 2026-11-17"),
        (date(2026, 10, 29), "is past"),
    ):
        with pytest.raises(InputError, match=words):
            add_slot(unit, day, None, review(), tip=None, who=WHO)


def test_a_weekly_date_whose_hour_is_past_names_the_way_to_send_today(unit: Unit) -> None:
    """On the evening of a weekly date no tip can be pinned to it any more: what can be done is named instead."""
    evening = replace(review(), now=AT_NINE + timedelta(hours=8))
    with pytest.raises(InputError, match="its time is past; `newsletter edition send --now`"):
        add_slot(unit, TUESDAYS[0], time(23, 0), evening, tip=None, who=WHO)


def test_a_second_skip_may_bring_the_reason(unit: Unit) -> None:
    """A date that was skipped without a word takes the reason of a later skip; without one, its reason stays."""
    for because in ("", "fair", ""):
        skip_slot(unit, TUESDAYS[1], RULES, who=WHO, because=because, now=NOW)
    with unit.read() as tx:
        slot = slots.get(tx, TUESDAYS[1])
    assert slot is not None
    assert slot.reason == "fair"
    assert logged(unit) == [("slot skip", "2026-11-10"), ("slot skip", "2026-11-10")]


def test_a_date_whose_edition_is_over_is_not_skipped(unit: Unit) -> None:
    """The command that stops an edition is named only while that can be stopped."""
    subscribe(unit, "ada")
    queue(unit, tip_file("a"), tip_file("b"))
    for day, words in ((TUESDAYS[0], "has gone out already"), (TUESDAYS[1], "was cancelled already")):
        edition = freeze_on(unit, day)
        with pytest.raises(InputError, match="`newsletter edition cancel"):
            skip(unit, day)
        with unit.write() as tx:
            tx.execute(update(delivery).values(state=DeliveryState.ACCEPTED.value))
        if day == TUESDAYS[0]:
            with unit.write() as tx:
                editions.close(tx, edition.id, totals=DeliveryCounts(accepted=1), now=NOW)
        else:
            cancel_edition(unit, edition, who=WHO, why="", now=NOW)
        with pytest.raises(InputError, match=words):
            skip(unit, day)


def test_a_date_whose_tip_cannot_be_had_is_not_added(unit: Unit) -> None:
    """When the tip changed meanwhile, the date is not left behind without it."""
    queue(unit, tip_file("a"))
    seen = stored(unit)["a"]
    pin_tip(unit, seen, TUESDAYS[2], review(), who=WHO)
    with pytest.raises(NotNow):
        add_slot(unit, THURSDAY, None, review(), tip=seen, who=WHO)
    assert state_of(unit, THURSDAY) is None


def test_a_date_left_by_an_earlier_schedule_can_be_added(unit: Unit) -> None:
    """A Tuesday that was skipped before the mail moved to Monday is no date any more, and becomes an extra one."""
    skip(unit, TUESDAYS[1])
    mondays = replace(CADENCE, weekday=0)
    slot_change = add_slot(unit, TUESDAYS[1], None, replace(review(), cadence=mondays), tip=None, who=WHO)
    assert slot_change.slot.extra
    assert state_of(unit, TUESDAYS[1]) is SlotState.OPEN


def test_an_extra_date_can_be_skipped(unit: Unit) -> None:
    """That is how one takes it away again."""
    add_slot(unit, THURSDAY, None, review(), tip=None, who=WHO)
    assert skip(unit, THURSDAY)
