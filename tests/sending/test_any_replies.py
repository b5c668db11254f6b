"""Whatever a mail server answers, in any order: the receipt balances and every row says what really happened."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.delivery import DeliveryState, UncertainPolicy
from newsletter.core.edition import Edition, EditionStatus
from newsletter.flows import hold
from newsletter.flows.freeze import RenderContext, freeze
from newsletter.sending.sender import Sender
from newsletter.store import block as blocks
from newsletter.store import claims, report
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import worker as workers
from newsletter.store.database import connect, open_unit
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from newsletter.transport.base import ConnectFailure
from tests.edition_fixtures import TUESDAY, add_people, add_tip, first_slot, make_sender, work
from tests.sending.scripted import ABSENT, ANSWERS, TAKEN, WRONG_LOGIN, Answer, Server
from tests.store.delivery_fixtures import LEASE

PEOPLE = 4
ROUNDS = 200
"""Far more passes than an edition can take: most turn the clock by hours, and after 72 hours everything has ended."""


@pytest.fixture(scope="module")
def prepared(sqlite_template: Path, render_context: RenderContext, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database with a frozen edition, which is copied for each example."""
    path = tmp_path_factory.mktemp("frozen") / "newsletter.db"
    shutil.copy(sqlite_template, path)
    engine = connect(f"sqlite:///{path}")
    unit = open_unit(engine)
    add_people(unit, PEOPLE)
    add_tip(unit)
    assert freeze(unit, render_context, first_slot(), now=TUESDAY).new
    engine.dispose()
    return path


Step = Answer | ConnectFailure | str
STEPS = st.lists(st.sampled_from([*ANSWERS, ABSENT, WRONG_LOGIN, "die", "pause"]), min_size=1, max_size=25)


def play(server: Server, steps: Iterator[Step]) -> None:
    """Let a server act out the answers and failed openings, in whatever order the connections come by them."""
    waiting: list[Answer] = []

    def opening() -> ConnectFailure | None:
        with server.lock:
            step = next(steps, None)
            if isinstance(step, ConnectFailure):
                return step
            if isinstance(step, Answer):
                waiting.append(step)
            return None

    def script(_address: str, _nth: int) -> Answer:
        with server.lock:
            if waiting:
                return waiting.pop(0)
            step = next(steps, TAKEN)
            return step if isinstance(step, Answer) else TAKEN

    server.opening, server.script = opening, script


def die(unit: Unit, sender: Sender) -> None:
    """Mark somebody as a sender does whose journal is lost, and leave it at that; then start again."""
    now = sender.clock.now()
    with unit.write() as tx:
        who = workers.start(tx, name="one that dies", machine="", now=now)
        while (block_id := blocks.claim(tx, who, now=now, lease=LEASE)) is not None:
            claims.claim(tx, claims.queued(tx, block_id)[:1], who=who, now=now)
    sender.recover()


def check(unit: Unit, edition: Edition, server: Server, policy: UncertainPolicy) -> EditionStatus:
    """Compare the rows with what the server has, and return where the edition stands."""
    with unit.read() as tx:
        current = editions.by_id(tx, edition.id)
        receipt = report.receipt(tx, current)
        rows = {row.email: row for row in report.rows(tx, edition_id=edition.id)}
    assert receipt.balances
    assert receipt.edition.audience == len(rows) == PEOPLE
    for email, row in rows.items():
        copies = server.accepted[email]
        if policy is UncertainPolicy.HOLD:
            assert copies <= 1, email
            if row.state is not DeliveryState.UNCERTAIN:
                assert copies == (row.state is DeliveryState.ACCEPTED), (email, row)
        elif row.state is DeliveryState.ACCEPTED:
            assert copies >= 1, email
        assert row.state is not DeliveryState.SENDING
        assert (row.next_attempt_at is not None) == (row.state is DeliveryState.DEFERRED)
        assert row.reason or row.state is DeliveryState.QUEUED, row
        assert len(set(server.contents.get(email, [b""]))) == 1, "a second try is another message"
    return current.status


@pytest.mark.slow
@given(steps=STEPS, connections=st.integers(1, 3), policy=st.sampled_from(UncertainPolicy))
def test_any_sequence_of_replies(prepared: Path, steps: list[Step], connections: int, policy: UncertainPolicy) -> None:
    """After every pass the books balance and no row claims what the server does not know; in the end all is settled."""
    with tempfile.TemporaryDirectory() as folder:
        path = shutil.copy(prepared, Path(folder) / "newsletter.db")
        engine = connect(f"sqlite:///{path}")
        try:
            run(open_unit(engine), steps, SimpleNamespace(connections=connections, policy=policy))
        finally:
            engine.dispose()


def run(unit: Unit, steps: list[Step], how: SimpleNamespace) -> None:
    """Work off the edition pass by pass, acting in between as the steps say, until it is finished."""
    clock = FixedClock(TUESDAY)
    server = Server()
    play(server, iter([step for step in steps if not isinstance(step, str)]))
    between = [step for step in steps if isinstance(step, str)]
    sender = make_sender(unit, clock, server.connect, connections=how.connections, uncertain_policy=how.policy)
    with unit.read() as tx:
        [edition] = editions.latest(tx)
    for _ in range(ROUNDS):
        work(sender)
        status = check(unit, edition, server, how.policy)
        if status is EditionStatus.FINISHED:
            break
        if status is EditionStatus.PAUSED:
            assert hold.resume_edition(unit, edition, who="ann", now=clock.now())
        if between:
            act = between.pop()
            if act == "die":
                die(unit, sender)
            else:
                hold.pause_edition(unit, edition, who="ann", why="", now=clock.now())
        clock.turn(minutes=40)
    with unit.read() as tx:
        totals = editions.totals(tx, edition.id)
        counts = deliveries.counts(tx, edition.id)
        closed = editions.by_id(tx, edition.id)
    assert closed.status is EditionStatus.FINISHED
    assert totals == counts
    assert clock.now() - TUESDAY <= timedelta(hours=72 + 12)
