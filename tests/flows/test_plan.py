"""The forecast: the coming dates with their tips, and what people are told about them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from newsletter.core.delivery import DeliveryCounts
from newsletter.core.edition import EditionStatus
from newsletter.core.lineup import LineupRules, Source
from newsletter.core.pace import Limits
from newsletter.flows.change_slot import add_slot, skip_slot
from newsletter.flows.change_tip import approve_tips
from newsletter.flows.plan import Outlook, expected_time, outlook
from newsletter.store import edition as editions
from newsletter.store.unit import Unit
from tests.flows.tip_fixtures import (
    NOW,
    RULES,
    TUESDAYS,
    WHO,
    begin,
    freeze_on,
    queue,
    review,
    stored,
    subscribe,
    tip_file,
)

AT_NINE = datetime(2026, 11, 3, 14, tzinfo=UTC)
"""09:00 in New York on the first Tuesday."""


def shown(ahead: Outlook) -> list[tuple[date, str | None, Source]]:
    """Return the lineup in short."""
    return [(one.slot.date, one.tip.slug if one.tip else None, one.source) for one in ahead.choices]


def test_the_coming_weeks_have_their_tips(unit: Unit) -> None:
    """Pinned, queued and empty dates stand in order, without a row in the store for any of them."""
    subscribe(unit, "ada", "ben")
    queue(unit, tip_file("a", f"pin: {TUESDAYS[1]}"), tip_file("b"))
    ahead = outlook(unit, RULES, weeks=3, now=NOW)
    assert shown(ahead) == [
        (TUESDAYS[0], "b", Source.QUEUE),
        (TUESDAYS[1], "a", Source.PINNED),
        (TUESDAYS[2], None, Source.NONE),
    ]
    assert [ahead.audience_of(one) for one in ahead.choices] == [2, 2, 0]
    assert "approved tips end on Tuesday 10 November 2026" in ahead.warnings


def test_skipped_and_extra_dates_are_shown(unit: Unit) -> None:
    """A skipped date keeps its line with the reason, an extra one stands where it belongs and is warned of."""
    subscribe(unit, "ada")
    queue(unit, tip_file("a"), tip_file("b"), tip_file("c"))
    skip_slot(unit, TUESDAYS[0], RULES, who=WHO, because="fair", now=NOW)
    add_slot(unit, date(2026, 11, 12), None, review(), tip=stored(unit)["c"], who=WHO)
    ahead = outlook(unit, RULES, weeks=3, now=NOW)
    assert shown(ahead) == [
        (TUESDAYS[0], None, Source.SKIPPED),
        (TUESDAYS[1], "a", Source.QUEUE),
        (date(2026, 11, 12), "c", Source.PINNED),
        (TUESDAYS[2], "b", Source.QUEUE),
    ]
    assert ahead.choices[0].why == "skipped on purpose: fair"
    assert "2026-11-12: only 2 days after the edition of 2026-11-10" in ahead.warnings


def test_a_tip_whose_date_was_skipped_is_stranded(unit: Unit) -> None:
    """It is named with the reason, as it goes out only after a person acts."""
    queue(unit, tip_file("a", f"pin: {TUESDAYS[0]}"))
    slot_change = skip_slot(unit, TUESDAYS[0], RULES, who=WHO, because="fair", now=NOW)
    assert slot_change.tip is not None
    assert slot_change.tip.slug == "a"
    stranded_tips = outlook(unit, RULES, weeks=3, now=NOW).stranded
    assert [(one.tip.slug, one.why) for one in stranded_tips] == [("a", "Tuesday 3 November 2026 was skipped: fair")]


def test_a_pinned_tip_whose_date_is_due_is_not_stranded(unit: Unit) -> None:
    """While the service is down over the hour, the tip pinned to that date still goes out when it is back."""
    begin(unit)
    subscribe(unit, "ada")
    queue(unit, tip_file("a", f"pin: {TUESDAYS[0]}"))
    ahead = outlook(unit, RULES, weeks=1, now=AT_NINE + timedelta(hours=1))
    assert shown(ahead)[0] == (TUESDAYS[0], "a", Source.PINNED)
    assert ahead.stranded == []


def test_what_was_sent_is_no_longer_ahead(unit: Unit) -> None:
    """The forecast begins with the first date that is still open."""
    subscribe(unit, "ada")
    queue(unit, tip_file("a"), tip_file("b"))
    freeze_on(unit, TUESDAYS[0])
    ahead = outlook(unit, RULES, weeks=2, now=NOW)
    assert shown(ahead) == [(TUESDAYS[1], "b", Source.QUEUE), (TUESDAYS[2], None, Source.NONE)]
    assert [slot.date for slot in ahead.gone] == [TUESDAYS[0]]


def test_stock_is_of_the_dates_that_are_left(unit: Unit) -> None:
    """Editions that were sent early and dates that are skipped take no week from the stock."""
    subscribe(unit, "ada")
    queue(unit, *(tip_file(slug) for slug in "abcdefghi"))
    rules = replace(RULES, lineup=LineupRules(low_stock_weeks=2))
    for day in TUESDAYS[:3]:
        freeze_on(unit, day)
    for day in TUESDAYS[3:5]:
        skip_slot(unit, day, RULES, who=WHO, because="fair", now=NOW)
    ahead = outlook(unit, rules, weeks=4, now=NOW)
    assert [one.slot.date for one in ahead.choices] == [TUESDAYS[3] + timedelta(weeks=week) for week in range(4)]
    assert ahead.stock.fresh == 4
    assert not [one for one in ahead.warnings if "stock" in one]


def test_an_empty_date_is_due_until_its_grace_is_over(unit: Unit) -> None:
    """Approving a tip in time fills it; after 36 hours it is gone and the tip waits for the next one."""
    begin(unit)
    queue(unit, tip_file("a", status="draft"))
    late = AT_NINE + timedelta(hours=35)
    ahead = outlook(unit, RULES, weeks=1, now=late)
    assert ahead.due is not None
    assert shown(ahead) == [(TUESDAYS[0], None, Source.NONE), (TUESDAYS[1], None, Source.NONE)]
    approve_tips(unit, list(stored(unit).values()), review(late), who=WHO)
    assert shown(outlook(unit, RULES, weeks=1, now=late))[0] == (TUESDAYS[0], "a", Source.QUEUE)
    over = outlook(unit, RULES, weeks=1, now=AT_NINE + timedelta(hours=36))
    assert over.due is None
    assert shown(over) == [(TUESDAYS[1], "a", Source.QUEUE)]


@pytest.mark.parametrize("first_tick", [None, AT_NINE + timedelta(hours=1)])
def test_nothing_is_due_before_the_first_tick(unit: Unit, first_tick: datetime | None) -> None:
    """A fresh installation mails nobody by surprise, and its forecast does not say so either."""
    if first_tick is not None:
        begin(unit, first_tick)
    queue(unit, tip_file("a"))
    ahead = outlook(unit, RULES, weeks=1, now=AT_NINE + timedelta(hours=2))
    assert ahead.due is None
    assert shown(ahead) == [(TUESDAYS[1], "a", Source.QUEUE)]


def test_a_changed_schedule_makes_nothing_due(unit: Unit) -> None:
    """Until the next tick has noted it, a date that the new schedule puts into the past is not announced."""
    begin(unit)
    queue(unit, tip_file("a"))
    moved = replace(RULES, cadence=replace(RULES.cadence, weekday=0))
    ahead = outlook(unit, moved, weeks=1, now=AT_NINE + timedelta(hours=1))
    assert ahead.due is None
    assert shown(ahead) == [(date(2026, 11, 9), "a", Source.QUEUE)]


def test_a_clock_that_stepped_back_shows_nothing_that_cannot_be_sent(unit: Unit) -> None:
    """Dates before the first tick, which lies ahead now, are never due; the forecast leaves them out."""
    begin(unit, NOW + timedelta(days=10))
    queue(unit, tip_file("a"))
    assert shown(outlook(unit, RULES, weeks=3, now=NOW)) == [(TUESDAYS[2], "a", Source.QUEUE)]


def test_low_stock_is_seen_beyond_the_weeks_shown(unit: Unit) -> None:
    """A look at one week still tells that three weeks later nothing is left."""
    subscribe(unit, "ada")
    queue(unit, tip_file("a"), tip_file("b"))
    rules = replace(RULES, lineup=LineupRules(low_stock_weeks=4))
    ahead = outlook(unit, rules, weeks=1, now=NOW)
    assert len(ahead.choices) == 1
    assert ahead.stock.fresh == 2
    assert "low stock: 2 fresh tips for the next 4 weeks" in ahead.warnings


def test_an_empty_list_is_a_warning(unit: Unit) -> None:
    """Without a subscriber nothing would go out, however full the queue is."""
    assert outlook(unit, RULES, weeks=1, now=NOW).warnings[0] == "no subscriber is active, so nothing would go out"


def test_the_time_is_that_of_the_last_editions(unit: Unit) -> None:
    """Two first tries in ten seconds make three people fifteen, however late the last retry; unsent knows no speed."""
    subscribe(unit, "ada", "ben")
    assert outlook(unit, RULES, weeks=1, now=NOW).takes is None
    queue(unit, tip_file("a"))
    edition = freeze_on(unit, TUESDAYS[0])
    with unit.write() as tx:
        assert editions.set_tried(tx, edition.id, now=NOW + timedelta(seconds=10))
        assert not editions.set_tried(tx, edition.id, now=NOW + timedelta(days=1))
        editions.close(tx, edition.id, totals=DeliveryCounts(), now=NOW + timedelta(days=3))
        assert editions.by_id(tx, edition.id).status is EditionStatus.FINISHED
    subscribe(unit, "cyd")
    assert outlook(unit, RULES, weeks=1, now=NOW).takes == timedelta(seconds=15)


@pytest.mark.parametrize(
    ("audience", "per_second", "limits", "speed", "seconds"),
    [
        (1_000, 10, Limits(), None, 100),
        (1_000, 10, Limits(), 5.0, 200),
        (1_000, None, Limits(per_hour=100), None, 10 * 3_600),
        (95, None, Limits(per_hour=100), 95.0, 1),
        (95, None, Limits(per_hour=100), None, None),
        (1_000, None, Limits(per_day=500), None, 2 * 86_400),
        (0, 10, Limits(), None, None),
        (1_000, None, Limits(), None, None),
    ],
)
def test_quotas_and_speed_give_the_time(
    audience: int, per_second: int | None, limits: Limits, speed: float | None, seconds: int | None
) -> None:
    """The slowest limit decides; what a quota lets through at once takes no hour, and nothing known says nothing."""
    rules = replace(RULES, per_second=per_second, limits=limits)
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert expected_time(audience, rules, speed) == expected
