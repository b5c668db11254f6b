"""What a dead worker had marked: settled by its journal where there is one, in doubt where nobody can know."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from newsletter.core.delivery import DeliveryState, UncertainPolicy
from newsletter.core.reply import Phase, Reply
from newsletter.journal.writer import Journal
from newsletter.sending.recovery import SILENT_WORKER_AGE, Recovery
from newsletter.store import block as blocks
from newsletter.store import claims
from newsletter.store import installation as installations
from newsletter.store import tally as tallies
from newsletter.store import worker as workers
from newsletter.store.claims import ClaimedDelivery
from newsletter.store.unit import Unit
from newsletter.store.worker import WorkerId
from newsletter.testing.clocks import FixedClock
from tests.flows.follow_up_fixtures import SOON
from tests.store.delivery_fixtures import LEASE, Rows, claimable, make_rows

TAKEN = Reply(phase=Phase.DOT, code=250, enhanced="2.0.0", text="Ok")
REFUSED = Reply(phase=Phase.RCPT, code=550, enhanced="5.1.1", text="No such user")


@pytest.fixture
def rows(unit: Unit, clock: FixedClock) -> Rows:
    """Return ten people in two blocks."""
    clock.set(SOON)
    return make_rows(unit)


def recovery(rows: Rows, folder: Path, clock: FixedClock, *, sole: bool = False) -> Recovery:
    """Return what settles, by default where others may live."""
    return Recovery(
        unit=rows.unit,
        folder=folder,
        sole=sole,
        now=clock.now,
        jitter=lambda: 0.0,
        expire_after=timedelta(hours=72),
        uncertain_policy=UncertainPolicy.HOLD,
    )


def die(rows: Rows, folder: Path, *, boot: str | None = None) -> list[ClaimedDelivery]:
    """Let a worker die with five people marked: two answered, one handed over, two not begun."""
    rows.claim(rows.ann)
    marked = list(rows.claim_rows(rows.ann, *range(5)))
    with rows.unit.read() as tx:
        identity = installations.get(tx).identity
    journal = Journal.open(folder, identity=identity, worker=rows.ann, boot=boot)
    for person, reply in ((marked[0], TAKEN), (marked[1], REFUSED)):
        journal.handed(person.id, person.attempts)
        journal.answered(person.id, person.attempts, reply, SOON)
    journal.handed(marked[2].id, marked[2].attempts)
    journal.close()
    return marked


def states(rows: Rows) -> list[str]:
    """Return where the first five stand."""
    return [rows.row(place).state.value for place in range(5)]


def test_a_journal_tells_what_became_of_each(rows: Rows, tmp_path: Path, clock: FixedClock) -> None:
    """What was not begun is queued untried, what was answered has its answer, and what was handed over is in doubt."""
    die(rows, tmp_path)
    settling = recovery(rows, tmp_path, clock)
    assert settling.adopt() == 5
    assert states(rows) == ["accepted", "rejected", "uncertain", "queued", "queued"]
    assert [(row.attempts, row.first_attempt_at) for row in map(rows.row, (3, 4))] == [(0, None), (0, None)]
    assert rows.row(1).reply_text == "No such user"
    with rows.unit.read() as tx:
        counted = tallies.of_edition(tx, rows.world.wrong.id)
        assert (counted.accepted, counted.hard, counted.uncertain) == (1, 1, 1)
        assert [one.id for one in workers.alive(tx, now=SOON)] == [rows.bob]
    with rows.unit.write() as tx:
        assert list(claimable(tx, rows.bob, now=SOON)) == list(rows.blocks)
    assert list(tmp_path.glob("*.journal")) == []
    assert settling.adopt() == 0


def test_after_a_power_loss_what_is_missing_is_in_doubt(rows: Rows, tmp_path: Path, clock: FixedClock) -> None:
    """Of another run of the machine what the journal says is true, and what it does not say may have happened."""
    die(rows, tmp_path, boot="another run of the machine")
    assert recovery(rows, tmp_path, clock).adopt() == 5
    assert states(rows) == ["accepted", "rejected", "uncertain", "uncertain", "uncertain"]


def test_a_journal_of_an_earlier_try_says_nothing(rows: Rows, tmp_path: Path, clock: FixedClock) -> None:
    """An answer to an earlier try does not settle the next one, which was never begun."""
    marked = die(rows, tmp_path)
    with rows.unit.write() as tx:
        claims.give_back(tx, [marked[0].id], who=rows.ann)
        claims.claim(tx, [marked[0].id], who=rows.ann, now=SOON)
        tx.exec_driver_sql("UPDATE delivery SET attempts = 2 WHERE id = 1")
    recovery(rows, tmp_path, clock).adopt()
    assert rows.row(0).state is DeliveryState.QUEUED
    assert rows.row(0).attempts == 1


def test_a_journal_of_the_living_is_left_alone(rows: Rows, tmp_path: Path, clock: FixedClock) -> None:
    """While a worker lives nobody takes its journal or its rows."""
    rows.claim_rows(rows.ann, 0, 1)
    with rows.unit.read() as tx:
        identity = installations.get(tx).identity
    with Journal.open(tmp_path, identity=identity, worker=rows.ann):
        settling = recovery(rows, tmp_path, clock)
        clock.turn(hours=2)
        beat(rows, rows.ann, clock)
        assert (settling.adopt(), settling.settle_lost()) == (0, 0)
    assert states(rows)[:2] == ["sending", "sending"]


def beat(rows: Rows, who: WorkerId, clock: FixedClock) -> None:
    """Give a sign of life."""
    with rows.unit.write() as tx:
        workers.beat(tx, who, now=clock.now())


def test_who_died_on_another_machine_has_an_hour_to_come_back(rows: Rows, tmp_path: Path, clock: FixedClock) -> None:
    """Without a journal rows wait for it; after an hour they are in doubt. Queued people wait for the lease alone."""
    rows.claim(rows.ann)
    rows.claim_rows(rows.ann, 0, 1)
    with rows.unit.write() as tx:
        workers.end(tx, rows.ann, now=clock.now())
    settling = recovery(rows, tmp_path, clock)
    clock.turn(seconds=SILENT_WORKER_AGE.total_seconds() - 1)
    assert settling.settle_lost() == 0
    rows.end_lease(rows.blocks[0])
    with rows.unit.write() as tx:
        assert blocks.claim(tx, rows.bob, now=clock.now(), lease=LEASE) == rows.blocks[0]
    clock.turn(seconds=2)
    assert settling.settle_lost() == 2
    assert states(rows) == ["uncertain", "uncertain", "queued", "queued", "queued"]


@pytest.mark.parametrize("mine", [True, False])
def test_whoever_is_alone_need_not_wait(
    rows: Rows,
    tmp_path: Path,
    clock: FixedClock,
    mine: bool,  # noqa: FBT001
) -> None:
    """Where no other worker can be alive all that is marked is settled at once, but for what is one's own."""
    rows.claim(rows.ann)
    rows.claim_rows(rows.ann, 0, 1)
    settle: Callable[[], int] = lambda: recovery(rows, tmp_path, clock, sole=True).settle_lost(  # noqa: E731
        rows.ann if mine else None
    )
    assert settle() == (0 if mine else 2)
    assert states(rows)[:3] == (["sending", "sending", "queued"] if mine else ["uncertain", "uncertain", "queued"])
