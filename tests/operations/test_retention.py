"""What is kept for a time only: who got an edition, the servers' words, the text of notices."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import Edition
from newsletter.core.evidence import may_suppress
from newsletter.core.notice import NoticeKey, NoticeKind
from newsletter.errors import InputError
from newsletter.flows import resolve
from newsletter.operations.retention import EVERY, KEEP_REPLIES, STEPS_PER_TICK, RetentionJob
from newsletter.operations.ticker import Ticker
from newsletter.store import alert as alerts
from newsletter.store import check, evidence, report, retention
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import job_run as job_runs
from newsletter.store import notice as notices
from newsletter.store import worker as workers
from newsletter.store.alert import Alert, AlertKind
from newsletter.store.job_run import JobName
from newsletter.store.schema import alert, block, bounce_window, delivery, notice, worker
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START, FixedClock
from tests.edition_fixtures import add_people
from tests.flows.people_fixtures import begin_edition, put, set_delivery

KEEP = timedelta(days=730)
ENDED = datetime(2026, 11, 3, 15, tzinfo=UTC)


def make(unit: Unit, keep: timedelta = KEEP) -> RetentionJob:
    """Return a purge."""
    return RetentionJob(unit=unit, keep_deliveries=keep, process="test 1")


def run(unit: Unit, now: datetime, keep: timedelta = KEEP) -> int:
    """Do a whole run, of a clock that was doubted yesterday if it leapt; return how many rows it touched."""
    retention, deleted_rows = make(unit, keep), 0
    with unit.write() as tx:
        job_runs.record_doubt(tx, JobName.RETENTION, now=now - EVERY, process="test 1")
    while True:
        deleted_rows += retention.work(now)
        if retention._left is None:
            return deleted_rows


def closed_edition(unit: Unit, on: date = date(2026, 11, 3), *, ended: datetime = ENDED, **more: int) -> Edition:
    """Freeze an edition, bring its rows into end states, and close it."""
    edition = begin_edition(unit, on)
    with unit.write() as tx:
        rows = list(tx.execute(select(delivery.c.id).where(delivery.c.edition_id == edition.id)).scalars())
        states = [DeliveryState(state) for state, count in more.items() for _ in range(count)]
        states += [DeliveryState.ACCEPTED] * (len(rows) - len(states))
        for row, state in zip(rows, states, strict=True):
            values = {"state": state.value, "reply_text": "250 queued", "attempts": 1, "last_attempt_at": ended}
            tx.execute(update(delivery).where(delivery.c.id == row).values(**values))
        tx.execute(update(block).where(block.c.edition_id == edition.id).values(state="closed"))
        counts = deliveries.counts(tx, edition.id)
        editions.close(tx, edition.id, totals=counts, now=ended)
        return editions.by_id(tx, edition.id)


def rows_of(unit: Unit, sent_edition: Edition) -> int:
    """Return how many rows an edition has."""
    with unit.read() as tx:
        return tx.execute(select(func.count()).where(delivery.c.edition_id == sent_edition.id)).scalar_one()


def words_of(unit: Unit, sent_edition: Edition) -> set[str]:
    """Return what servers said in an edition."""
    with unit.read() as tx:
        return set(tx.execute(select(delivery.c.reply_text).where(delivery.c.edition_id == sent_edition.id)).scalars())


def faults(unit: Unit) -> list[str]:
    """Return what `db check` finds."""
    with unit.read() as tx:
        return [fault for one in check.all_books(tx) for fault in one.faults]


def test_rows_go_and_totals_stay(unit: Unit) -> None:
    """After two years nobody knows any more who got an edition, and its report still adds up."""
    add_people(unit, 5)
    edition = closed_edition(unit, rejected=2)
    assert run(unit, ENDED + KEEP - timedelta(minutes=1)) == 5  # the servers' words
    assert rows_of(unit, edition) == 5
    run(unit, ENDED + KEEP + timedelta(days=1))
    assert rows_of(unit, edition) == 0
    with unit.read() as tx:
        receipt = report.receipt(tx, edition)
    assert (receipt.edition.audience, receipt.counts.accepted, receipt.counts.rejected, receipt.gap) == (5, 3, 2, 0)
    assert faults(unit) == []


def test_half_a_purge_is_no_fault(unit: Unit) -> None:
    """While an edition's rows are going, and after a run that was cut short, its books still balance."""
    add_people(unit, 5)
    edition = closed_edition(unit, rejected=2)
    with unit.write() as tx:
        [stretch] = retention.closed_before(tx, ENDED + KEEP)
        first, last = stretch.first, stretch.first + 1
        gone = retention.drop_deliveries(tx, edition.id, first=first, last=last, closed_before=ENDED + KEEP)
    assert gone == 2
    assert faults(unit) == []
    run(unit, ENDED + KEEP + timedelta(days=1))
    assert rows_of(unit, edition) == 0
    assert faults(unit) == []


def test_a_row_too_many_of_a_state_is_still_a_fault(unit: Unit) -> None:
    """A purge explains missing rows, and not a row that tells another story than the totals."""
    add_people(unit, 3)
    edition = closed_edition(unit)
    with unit.write() as tx:
        rows = list(tx.execute(select(delivery.c.id).where(delivery.c.edition_id == edition.id)).scalars())
        tx.execute(delivery.delete().where(delivery.c.id == rows[0]))
        tx.execute(update(delivery).where(delivery.c.id == rows[1]).values(state="rejected"))
    assert faults(unit) == ["its rows differ from its stored totals"]


def test_an_open_edition_keeps_its_rows(unit: Unit) -> None:
    """However long an edition is paused, nobody is lost from it; only old words of servers are forgotten."""
    ada, ben = put(unit, "ada@example.com"), put(unit, "ben@example.com")
    edition = begin_edition(unit)
    reply_columns = {"reply_text": "451 later", "last_attempt_at": ENDED}
    set_delivery(unit, edition, ada, DeliveryState.REJECTED, **reply_columns)
    set_delivery(unit, edition, ben, DeliveryState.DEFERRED, next_attempt_at=ENDED, **reply_columns)
    assert run(unit, ENDED + 2 * KEEP) == 1
    assert rows_of(unit, edition) == 2
    assert words_of(unit, edition) == {"", "451 later"}


def test_the_words_of_servers_are_kept_for_a_season(unit: Unit) -> None:
    """What a server said is there for 90 days after the end of its edition, and not after them."""
    add_people(unit, 2)
    edition = closed_edition(unit)
    run(unit, ENDED + KEEP_REPLIES)
    assert words_of(unit, edition) == {"250 queued"}
    run(unit, ENDED + KEEP_REPLIES + timedelta(days=1))
    assert words_of(unit, edition) == {""}


def test_words_that_a_run_came_late_for(unit: Unit) -> None:
    """After weeks without a run, the next one still finds every edition that fell due meanwhile."""
    add_people(unit, 1)
    first = closed_edition(unit)
    second = closed_edition(unit, date(2026, 11, 10), ended=ENDED + timedelta(days=7))
    run(unit, ENDED + KEEP_REPLIES)
    run(unit, ENDED + KEEP_REPLIES + timedelta(days=40))
    assert words_of(unit, first) == words_of(unit, second) == {""}


def test_a_run_a_day(unit: Unit) -> None:
    """Ticks find nothing to do until a day has passed; a sign of life from the future does not stop it."""
    add_people(unit, 1)
    edition = closed_edition(unit)
    run(unit, ENDED + KEEP_REPLIES - timedelta(hours=1))
    assert run(unit, ENDED + KEEP_REPLIES + timedelta(hours=1)) == 0
    assert words_of(unit, edition) == {"250 queued"}
    with unit.write() as tx:
        job_runs.record_end(tx, JobName.RETENTION, now=ENDED + 10 * KEEP, process="a clock that was wrong")
    assert run(unit, ENDED + KEEP_REPLIES + timedelta(hours=1)) == 1


def test_small_steps(unit: Unit) -> None:
    """A tick does a few small transactions, and the next one goes on where it stopped."""
    add_people(unit, 11)
    edition = closed_edition(unit)
    retention = RetentionJob(unit=unit, keep_deliveries=KEEP, process="test 1", step_rows=2)
    after = ENDED + KEEP + timedelta(days=1)
    assert retention.work(after) == 2 * STEPS_PER_TICK
    assert rows_of(unit, edition) == 11 - 2 * STEPS_PER_TICK
    assert retention.work(after) == 3
    assert rows_of(unit, edition) == 0


def test_the_tick_purges(ticker: Ticker, unit: Unit, clock: FixedClock) -> None:
    """The service does it by itself, when nothing else is due."""
    add_people(unit, 2)
    edition = closed_edition(unit)
    ringing = Ticker(
        unit=unit, clock=clock, cadence=ticker.cadence, grace=ticker.grace, render_context=ticker.render_context,
        process="test 1",
        retention=make(unit),
    )  # fmt: skip
    clock.set(ENDED + KEEP + timedelta(days=1))
    ringing.tick()
    assert rows_of(unit, edition) == 0


def test_ids_are_never_used_again(unit: Unit) -> None:
    """Message-IDs and bounce addresses bear the id of a delivery: a later edition has none of the deleted ones."""
    add_people(unit, 3)
    closed_edition(unit)
    with unit.read() as tx:
        highest = tx.execute(select(func.max(delivery.c.id))).scalar_one()
    run(unit, ENDED + KEEP + timedelta(days=1))
    begin_edition(unit, date(2029, 1, 2))
    with unit.read() as tx:
        assert tx.execute(select(func.min(delivery.c.id))).scalar_one() > highest


def test_nothing_is_sent_again_to_half_an_edition(unit: Unit) -> None:
    """Once rows are gone an edition cannot be opened again, and what is settled moves within the stored totals."""
    add_people(unit, 4)
    edition = closed_edition(unit, accepted=2, uncertain=2)
    with unit.write() as tx:
        [stretch] = retention.closed_before(tx, ENDED + KEEP)
        retention.drop_deliveries(tx, edition.id, first=stretch.first, last=stretch.first, closed_before=ENDED + KEEP)
    with pytest.raises(InputError, match="NEWSLETTER_KEEP_DELIVERIES_DAYS"):
        resolve.resend(unit, edition, only=None, who="pat", now=START)
    to = DeliveryState.REJECTED
    assert resolve.settle_uncertain(unit, edition, to, only=None, because="the log", who="pat", now=START) == 2
    with unit.read() as tx:
        receipt = report.receipt(tx, edition)
    assert (receipt.counts.accepted, receipt.counts.rejected, receipt.counts.uncertain, receipt.gap) == (2, 2, 0, 0)


def test_old_notices(unit: Unit) -> None:
    """A notice loses its text after a season and goes after two years; one about an open alert, or waiting, stays."""
    with unit.write() as tx:
        trouble = Alert(kind=AlertKind.LOW_STOCK, about="stock", message="low", raised_at=START)
        alerts.raise_alert(tx, trouble)
        number = str(tx.execute(select(alert.c.id)).scalar_one())
        for kind, about in (("proof", "2026-11-03"), ("alert", number), ("report", "2026-11-03"), ("alert", "999")):
            key = NoticeKey(kind=NoticeKind(kind), about=about)
            notices.add(tx, key, recipient="ops@example.com", message="Hello\r\n", now=START)
        tx.execute(update(notice).where(notice.c.kind != "report").values(state="accepted"))
    run(unit, START + KEEP_REPLIES + timedelta(days=1))
    with unit.read() as tx:
        texts = tx.execute(select(notice.c.message).order_by(notice.c.id)).scalars().all()
    assert texts == ["", "", "Hello\r\n", ""]
    run(unit, START + KEEP + timedelta(days=1))
    with unit.read() as tx:
        left = tx.execute(select(notice.c.kind, notice.c.about).order_by(notice.c.id)).all()
    assert [tuple(row) for row in left] == [("alert", number), ("report", "2026-11-03")]


def test_a_clock_that_leaps_for_a_moment_deletes_nothing(unit: Unit) -> None:
    """A wrong clock of an hour costs no record of who got what; a clock that stays there is believed."""
    put(unit, "ada@example.com")
    edition = closed_edition(unit)
    run(unit, ENDED + timedelta(days=1))
    wrong = ENDED + timedelta(days=3650)
    retention = make(unit)
    assert retention.work(wrong) == retention.work(wrong + timedelta(hours=2)) == 0
    assert retention.work(ENDED + timedelta(days=2)) == 0
    with unit.read() as tx:
        assert deliveries.counts(tx, edition.id)[DeliveryState.ACCEPTED] == 1
    assert retention.work(wrong) == 0
    assert retention.work(wrong + EVERY) > 0


def test_what_is_known_of_senders_of_long_ago_goes(sqlite_unit: Unit) -> None:
    """A sender that ended over ninety days ago is forgotten, one that ended since is not."""
    with sqlite_unit.write() as tx:
        for name, days in (("old", 91), ("late", 89)):
            who = workers.start(tx, name=name, machine="one", now=ENDED)
            workers.end(tx, who, now=ENDED + EVERY - timedelta(days=days))
    run(sqlite_unit, ENDED + EVERY)
    with sqlite_unit.read() as tx:
        assert [one for (one,) in tx.execute(select(worker.c.name))] == ["late"]


def test_what_was_remembered_of_a_flood_of_bounces_goes(sqlite_unit: Unit) -> None:
    """How many came back in the last minutes is asked for a few minutes, and kept for a day at the most."""
    edition = closed_edition(sqlite_unit)
    with sqlite_unit.write() as tx:
        evidence.save_recent(tx, edition.id, may_suppress({}, now=ENDED, audience=1)[0])
        assert evidence.recent(tx, edition.id)
    run(sqlite_unit, ENDED + EVERY)
    with sqlite_unit.read() as tx:
        assert tx.execute(select(bounce_window.c.edition_id)).all() == []
