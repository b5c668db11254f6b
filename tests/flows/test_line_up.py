"""The lineup is the same whether all tips were read or only those that it needs; an archive adds nothing to read."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, time, timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, text, update

from newsletter.core.cadence import Cadence, Slot, next_slots
from newsletter.core.forecast import stranded
from newsletter.core.lineup import LineupRules, lineup
from newsletter.core.tip import Season, TipDraft, TipId, TipPart, TipStatus
from newsletter.flows.line_up import find_stranded, line_up
from newsletter.flows.plan import PlanRules, look_ahead
from newsletter.store import edition as editions
from newsletter.store import slot as slots
from newsletter.store import tip as tips
from newsletter.store.schema import edition, slot
from newsletter.store.unit import Tx, Unit
from newsletter.testing.clocks import START

RULES = LineupRules()
TUESDAYS = Cadence(weekday=1, at=time(9), zone="Europe/Berlin")
PLAN = PlanRules(cadence=TUESDAYS, lineup=RULES, grace=timedelta(hours=36))
SUMMER = Season(first=(6, 1), last=(8, 31))
WEEK = timedelta(days=7)


def ahead(weeks: int) -> list[Slot]:
    """Return the coming dates."""
    return next_slots(TUESDAYS, START, weeks)


def draft(number: int, **changes: object) -> TipDraft:
    """Return an approved tip."""
    name = f"tip-{number}"
    plain: dict[str, Any] = {"slug": name, "title": name, "subject": name, "body": "Text."}
    return TipDraft(**plain | {"status": TipStatus.APPROVED} | changes)


def send(tx: Tx, tip_id: TipId, on: date, *, number: int = 1) -> None:
    """Write an edition of the past that is closed."""
    slots.add(tx, Slot(date=on, sends_at=START - timedelta(days=(START.date() - on).days)), now=START)
    slots_row = update(slot).where(slot.c.date == on).values(state="frozen")
    tx.execute(slots_row)
    values = {"date": on, "number": number, "tip_id": tip_id, "tip_slug": "x", "title": "X", "source": "queue"}
    times = {"sends_at": START, "started_at": START, "finished_at": START}
    rest = {"why": "", "status": "finished", "audience": 1, "content": "x" * 9000, "nonce": "a", "tip_used": True}
    tx.execute(insert(edition).values(**values, **times, **rest, totals={"accepted": 1}))
    tips.update_last_sent(tx, tip_id)


def fill(tx: Tx, chance: random.Random) -> None:
    """Write tips of every kind, some of which went out."""
    pins = iter(chance.sample([slot.date for slot in ahead(40)], 20))
    on = START.date() - timedelta(weeks=200)
    for number in range(chance.choice((5, 40, 90))):
        series = chance.choice([None, None, None, "a", "b"])
        known = tips.add(
            tx,
            draft(
                number,
                evergreen=chance.random() < 0.3,
                season=chance.choice([None, None, SUMMER]),
                pin=next(pins, None) if chance.random() < 0.1 else None,
                part=TipPart(series=series, number=number) if series else None,
                first_published=date(2019, 1, 1) + number * WEEK if chance.random() < 0.05 else None,
                status=chance.choice([TipStatus.APPROVED] * 4 + [TipStatus.DRAFT, TipStatus.RETIRED]),
            ),
            now=START,
        )
        if chance.random() < 0.3:
            on += WEEK
            send(tx, known.id, on)
            if chance.random() < 0.8 and not known.evergreen:
                tips.set_status(tx, known, TipStatus.SENT, now=START)


@pytest.mark.parametrize("seed", range(12))
def test_the_lineup_of_the_candidates_is_that_of_all_tips(unit: Unit, seed: int) -> None:
    """Tips, sources, reasons and warnings are the same, and so is what is stranded."""
    with unit.write() as tx:
        fill(tx, random.Random(seed))
    with unit.read() as tx:
        every, history = tips.all_tips(tx), editions.history(tx)
        for weeks in (1, 6, 30):
            assert line_up(tx, ahead(weeks), RULES) == lineup(ahead(weeks), every, history, RULES)
        known = slots.since(tx, None)
        expected = stranded(every, known, history, cadence=TUESDAYS, now=START)
        assert find_stranded(tx, None, TUESDAYS, now=START) == expected


def test_a_long_queue_that_waits_is_read_to_its_end(unit: Unit) -> None:
    """Where a hundred parts wait for a draft, the tip behind all of them goes out."""
    with unit.write() as tx:
        tips.add(tx, draft(1, part=TipPart(series="a", number=1), status=TipStatus.DRAFT), now=START)
        for number in range(2, 120):
            tips.add(tx, draft(number, part=TipPart(series="a", number=number)), now=START)
        tips.add(tx, draft(200), now=START)
    with unit.read() as tx:
        [choice] = line_up(tx, ahead(1), RULES)
        assert choice == lineup(ahead(1), tips.all_tips(tx), [], RULES)[0]
    assert choice.tip is not None
    assert choice.tip.slug == "tip-200"


def test_the_last_sending_follows_the_editions(unit: Unit) -> None:
    """A tip that is given back to the queue was not sent; one that was first published long ago was sent then."""
    with unit.write() as tx:
        known = tips.add(tx, draft(1, first_published=date(2020, 1, 7)), now=START)
        send(tx, known.id, date(2026, 10, 27))
        assert tx.execute(text("SELECT count(*) FROM tip WHERE last_sent_on = '2026-10-27'")).scalar() == 1
        edition_id = editions.latest(tx)[0].id
        editions.give_tip_back(tx, edition_id)
        assert tx.execute(text("SELECT count(*) FROM tip WHERE last_sent_on = '2020-01-07'")).scalar() == 1


@contextmanager
def statements(tx: Tx) -> Iterator[list[tuple[str, Any]]]:
    """Give the statements that run on a connection meanwhile."""
    rows: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_rest: object) -> None:
        rows.append((statement, parameters))

    event.listen(tx, "before_cursor_execute", note)
    try:
        yield rows
    finally:
        event.remove(tx, "before_cursor_execute", note)


def test_the_forecast_reads_no_table_that_grows(unit: Unit) -> None:
    """Neither tips, editions nor people are read row by row, however many there are."""
    with unit.write() as tx:
        if tx.dialect.name != "sqlite":
            pytest.skip("PostgreSQL reads a small table whole, whatever its indexes")
        fill(tx, random.Random(1))
    with unit.read() as tx:
        with statements(tx) as rows:
            look_ahead(tx, PLAN, weeks=12, now=START)
            editions.unfinished(tx)
            editions.unclosed(tx)
            tips.count_by_status(tx, TipStatus.DRAFT)
        plans = {
            step.detail: statement
            for statement, parameters in rows
            for step in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        }
    by_missing_pin = {"SEARCH tip USING INDEX sqlite_autoindex_tip_1 (pin=?)"}
    whole = plans.keys() & ({"SCAN tip", "SCAN edition", "SCAN subscriber"} | by_missing_pin)
    assert rows
    assert whole == set(), [plans[detail] for detail in whole]


def test_a_tip_is_moved_without_reading_the_others(unit: Unit) -> None:
    """A move takes the same few statements among ten tips and among a hundred, and keeps the order of the others."""
    with unit.write() as tx:
        for number in range(100):
            tips.add(tx, draft(number), now=START)
        for _ in range(30):
            # Each time between the same two, until there is no room left.
            last, second = tips.by_slug(tx, "tip-99"), tips.by_slug(tx, "tip-1")
            other = tips.by_slug(tx, "tip-98")
            assert last is not None
            assert second is not None
            assert other is not None
            with statements(tx) as rows:
                tips.place(tx, last, before=second, now=START)
            assert len(rows) <= 3
            tips.place(tx, other, before=tips.by_slug(tx, "tip-99"), now=START)
        order = [known.slug for known in tips.all_tips(tx)]
    assert order == ["tip-0", "tip-98", "tip-99", *(f"tip-{number}" for number in range(1, 98))]
