"""A run: what may be marked, by whom, and what becomes of the rows afterwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, update

from newsletter.core.delivery import DeliveryState, Outcome
from newsletter.core.edition import EditionStatus
from newsletter.core.reply import ReplyClass
from newsletter.flows import hold
from newsletter.store import claims
from newsletter.store.schema import delivery
from newsletter.store.unit import Unit
from tests.flows.follow_up_fixtures import SOON
from tests.store.delivery_fixtures import Rows, make_rows

TAKEN = Outcome(
    state=DeliveryState.ACCEPTED,
    reason="",
    attempts=1,
    first_attempt_at=SOON,
    last_attempt_at=SOON,
    reply_code=250,
    reply_enhanced="2.0.0",
    reply_text='Ok: "queued" as ä',
)
LATER = Outcome(
    state=DeliveryState.DEFERRED,
    reason="later",
    attempts=1,
    first_attempt_at=SOON,
    last_attempt_at=SOON,
    next_attempt_at=SOON + timedelta(minutes=5),
    reply_code=451,
    reply_text="come again",
)


@pytest.fixture
def rows(unit: Unit) -> Rows:
    """Return ten people in two blocks."""
    return make_rows(unit)


def test_what_is_marked_is_durable_and_counts_as_a_try(rows: Rows) -> None:
    """A mark names the worker, counts the attempt and dates the first one, in the order of the queue."""
    rows.claim(rows.ann)
    marked = rows.claim_rows(rows.ann, 2, 0)
    assert [(one.id, one.attempts, one.email) for one in marked] == [
        (rows.ids[0], 1, "p0@example.com"),
        (rows.ids[2], 1, "p2@example.com"),
    ]
    row = rows.row(0)
    assert (row.state, row.attempts, row.first_attempt_at) == (DeliveryState.SENDING, 1, SOON)
    with rows.unit.read() as tx:
        assert [one.id for one in claims.marked_by(tx, rows.ann)] == [rows.ids[0], rows.ids[2]]
        assert claims.marked_by(tx, rows.bob) == []


def test_nobody_is_marked_twice(rows: Rows) -> None:
    """Of two workers who believe in the same block each row goes to one."""
    assert len(rows.claim_rows(rows.ann, 0, 1, 2)) == 3
    assert [one.id for one in rows.claim_rows(rows.bob, 0, 1, 2, 3)] == [rows.ids[3]]


def test_who_left_is_skipped_and_not_marked(rows: Rows) -> None:
    """Whoever left before the mark is accounted for as skipped, and no try is counted."""
    rows.leave(1)
    assert [one.id for one in rows.claim_rows(rows.ann, 0, 1)] == [rows.ids[0]]
    row = rows.row(1)
    assert (row.state, row.attempts, row.reason) == (DeliveryState.SKIPPED, 0, claims.LEFT_REASON)


@pytest.mark.parametrize("act", [hold.pause_edition, hold.cancel_edition])
def test_an_edition_that_is_held_is_not_marked(rows: Rows, act: object) -> None:
    """Nothing of a paused or cancelled edition is marked."""
    act(rows.unit, rows.world.wrong, who="ann", why="", now=SOON)  # type: ignore[operator]
    assert rows.claim_rows(rows.ann, 0, 1) == []


def test_giving_back_undoes_the_mark(rows: Rows) -> None:
    """A first try that never began leaves no trace; a later one leaves those before it."""
    rows.claim_rows(rows.ann, 0, 1)
    with rows.unit.write() as tx:
        tx.execute(update(delivery).where(delivery.c.id == rows.ids[1]).values(attempts=3))
        claims.give_back(tx, rows.ids[:2], who=rows.ann)
        assert claims.queued(tx, rows.blocks[0]) == rows.ids[:5]
    first, again = rows.row(0), rows.row(1)
    assert (first.state, first.attempts, first.first_attempt_at) == (DeliveryState.QUEUED, 0, None)
    assert (again.state, again.attempts, again.first_attempt_at) == (DeliveryState.QUEUED, 2, SOON)


def test_nobody_gives_back_what_another_has(rows: Rows) -> None:
    """A worker that believes in rows of another, or in settled ones, changes nothing of them."""
    rows.claim_rows(rows.ann, 0, 1)
    with rows.unit.write() as tx:
        claims.record(tx, [(rows.ids[1], TAKEN, ReplyClass.OK)])
        claims.give_back(tx, rows.ids[:2], who=rows.bob)
        claims.give_back(tx, rows.ids[1:2], who=rows.ann)
    assert [rows.row(place).state for place in (0, 1)] == [DeliveryState.SENDING, DeliveryState.ACCEPTED]


def test_who_left_meanwhile_is_not_queued_again(rows: Rows) -> None:
    """What is given back of somebody who left is skipped."""
    rows.claim_rows(rows.ann, 0, 1)
    rows.leave(1)
    with rows.unit.write() as tx:
        claims.give_back(tx, rows.ids[:2], who=rows.ann)
    assert [rows.row(place).state for place in (0, 1)] == [DeliveryState.QUEUED, DeliveryState.SKIPPED]


def test_what_may_still_go_out(rows: Rows) -> None:
    """Of a worker's marked rows those stay good whose person is there and whose edition is sending."""
    rows.claim_rows(rows.ann, 0, 1, 2)
    rows.claim_rows(rows.bob, 3)
    rows.leave(1)
    with rows.unit.read() as tx:
        assert claims.still_good(tx, rows.ids[:5], who=rows.ann) == {rows.ids[0], rows.ids[2]}
    hold.pause_edition(rows.unit, rows.world.wrong, who="ann", why="", now=SOON)
    assert rows.world.edition().status is EditionStatus.PAUSED
    with rows.unit.read() as tx:
        assert claims.still_good(tx, rows.ids, who=rows.ann) == set()


def test_outcomes_are_written_together(rows: Rows) -> None:
    """What was taken and what was not is written in one go, each with the words of the server."""
    rows.claim_rows(rows.ann, 0, 1, 2)
    with rows.unit.write() as tx:
        claims.record(
            tx,
            [
                (rows.ids[0], TAKEN, ReplyClass.OK),
                (rows.ids[1], LATER, ReplyClass.GREYLISTED),
                (rows.ids[2], TAKEN, ReplyClass.OK),
            ],
        )
    taken_rows, later = rows.row(0), rows.row(1)
    assert (taken_rows.state, taken_rows.reply_code, taken_rows.reply_text) == (
        DeliveryState.ACCEPTED,
        250,
        'Ok: "queued" as ä',
    )
    assert (later.state, later.reply_code, later.next_attempt_at) == (
        DeliveryState.DEFERRED,
        451,
        SOON + timedelta(minutes=5),
    )
    assert rows.row(2).state is DeliveryState.ACCEPTED


@pytest.mark.parametrize("outcome", [TAKEN, LATER])
def test_a_late_answer_settles_what_was_given_up(rows: Rows, outcome: Outcome) -> None:
    """The reply that did come is evidence, also for a row that another process took for uncertain."""
    rows.claim_rows(rows.ann, 0)
    with rows.unit.write() as tx:
        tx.execute(update(delivery).where(delivery.c.id == rows.ids[0]).values(state="uncertain"))
        claims.record(tx, [(rows.ids[0], outcome, ReplyClass.OK)])
    assert rows.row(0).state is outcome.state


@pytest.mark.parametrize("outcome", [TAKEN, LATER])
@pytest.mark.parametrize("state", ["queued", "skipped", "accepted", "rejected", "expired"])
def test_an_outcome_changes_nothing_that_is_settled(rows: Rows, state: str, outcome: Outcome) -> None:
    """A row that somebody moved in the meantime stays where it was put."""
    with rows.unit.write() as tx:
        tx.execute(update(delivery).where(delivery.c.id == rows.ids[0]).values(state=state, reply_text="as it was"))
        claims.record(tx, [(rows.ids[0], outcome, ReplyClass.OK)])
    row = rows.row(0)
    assert (row.state.value, row.reply_text) == (state, "as it was")


def test_what_the_dead_left(rows: Rows) -> None:
    """Rows of nobody who lives are found, on wish only those that were marked before a time."""
    rows.claim(rows.ann)
    rows.claim_rows(rows.ann, 0)
    rows.claim_rows(rows.bob, 1)
    with rows.unit.write() as tx:
        tx.execute(update(delivery).where(delivery.c.id == rows.ids[2]).values(state="sending", last_attempt_at=SOON))
    with rows.unit.read() as tx:
        assert [one.id for one in claims.marked_by_none_of(tx, [rows.ann])] == rows.ids[1:3]
        assert len(claims.marked_by_none_of(tx, [])) == 3
        assert claims.marked_by_none_of(tx, [rows.ann], before=SOON) == []
        assert len(claims.marked_by_none_of(tx, [rows.ann], before=SOON + timedelta(seconds=1))) == 2


def test_what_the_dead_left_is_found_without_reading_everybody(sqlite_unit: Unit) -> None:
    """Of the deliveries SQLite reads the blocks that somebody began, however many editions there are."""
    rows = make_rows(sqlite_unit)
    asked: list[tuple[str, object]] = []
    engine = sqlite_unit._engine
    event.listen(engine, "before_cursor_execute", lambda _c, _k, words, values, *_: asked.append((words, values)))
    with sqlite_unit.read() as tx:
        claims.marked_by(tx, rows.ann)
        claims.marked_by_none_of(tx, [rows.ann, rows.bob], before=SOON)
        plans = [
            [row.detail for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}", values)]
            for words, values in list(asked)
            if words.startswith("SELECT")
        ]
    assert len(plans) == 4
    for blocks, rows_of_them in zip(plans[::2], plans[1::2], strict=True):
        assert "INDEX ix_block_begun" in blocks[0], blocks
        assert rows_of_them[0].startswith("SEARCH delivery USING INDEX ix_delivery_edition_id_block"), rows_of_them


def test_not_begun_is_no_news_of_what_was_given_up(rows: Rows) -> None:
    """Whoever slept for so long that it was given up puts nothing back into a block that may be closed by now."""
    rows.claim_rows(rows.ann, 0)
    with rows.unit.write() as tx:
        tx.execute(update(delivery).where(delivery.c.id == rows.ids[0]).values(state=DeliveryState.UNCERTAIN.value))
        again = replace(LATER, state=DeliveryState.QUEUED, next_attempt_at=None)
        claims.record(tx, [(rows.ids[0], again, ReplyClass.UNKNOWN)], who=rows.ann)
    assert rows.row(0).state is DeliveryState.UNCERTAIN


def test_a_late_word_about_what_another_has(rows: Rows) -> None:
    """What moved on to another worker stays there, whatever the first one heard; that it was taken is always news."""
    for place, outcome, state in ((0, LATER, DeliveryState.SENDING), (1, TAKEN, DeliveryState.ACCEPTED)):
        rows.claim_rows(rows.ann, place)
        with rows.unit.write() as tx:
            # It was given up, and queued again at a person's word.
            tx.execute(
                update(delivery).where(delivery.c.id == rows.ids[place]).values(state=DeliveryState.QUEUED.value)
            )
        rows.claim_rows(rows.bob, place)
        with rows.unit.write() as tx:
            claims.record(tx, [(rows.ids[place], outcome, ReplyClass.SYSTEM)], who=rows.ann)
        assert rows.row(place).state is state
    with rows.unit.write() as tx:
        claims.record(tx, [(rows.ids[0], LATER, ReplyClass.SYSTEM)], who=rows.bob)
    assert rows.row(0).state is DeliveryState.DEFERRED
