"""Any sequence of replies, drops and silences on a real wire, with people leaving and editions stopped meanwhile.

After every pass the books balance, and each row says what the server knows.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from newsletter.core.delivery import DeliveryState, UncertainPolicy
from newsletter.core.edition import Edition, EditionStatus
from newsletter.core.token import Keyring, make_unsubscribe_token
from newsletter.errors import InputError
from newsletter.flows import hold
from newsletter.flows.freeze import RenderContext, freeze
from newsletter.flows.opt_out import opt_out
from newsletter.sending.sender import Sender
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import report
from newsletter.store import subscriber as subscribers
from newsletter.store.database import connect, open_unit
from newsletter.store.report import DeliveryRow
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from newsletter.transport.base import Relay, Security
from newsletter.transport.smtp import connect as dial
from tests.conftest import SECRET
from tests.edition_fixtures import TUESDAY, add_people, add_tip, first_slot, make_sender, work
from tests.sending.model_server import ModelServer, Move, Opening, Turn

PEOPLE = 8
ROUNDS = 150
"""Far more passes than an edition can take once all goes well."""
PASSES = 5
"""For one plan."""
SILENCE = 0.4
"""Seconds after which the sender gives up on a silent server."""
HANGS = {Move.KEEP_AND_HANG, Move.HANG_AT_RCPT}
CLOSED = {EditionStatus.FINISHED, EditionStatus.CANCELLED}

PLANS = st.lists(
    st.tuples(
        st.sampled_from([*Move, *[Move.TAKE] * 4]),
        st.sampled_from(["", "", "", "", "leave", "pause", "cancel", "die", "die"]),
        st.integers(0, PEOPLE - 1),
    ),
    min_size=2,
    max_size=16,
)
OPENINGS = st.lists(st.sampled_from([*Opening, Opening.AHEAD, Opening.IN_STEP]), max_size=5)


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


def address(number: int) -> str:
    """Return the address of a reader."""
    return f"p{number}@example.com"


class Mailing(RuleBasedStateMachine):
    """One edition to a few people, and all that may happen to it."""

    template: Path

    def __init__(self) -> None:
        """Copy the database and start the server."""
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.home = Path(self.folder.name) / "home"
        self.home.mkdir()
        (self.home / "journals").mkdir()
        shutil.copy(self.template, self.home / "newsletter.db")
        self.open()
        self.clock = FixedClock(TUESDAY)
        self.server = ModelServer()
        self.server.__enter__()
        self.hangs = 1
        self.sound = False
        """Nothing was found wrong so far; if something was, the end would only hide it."""
        self.left: set[str] = set()
        with self.unit.read() as tx:
            [edition] = editions.latest(tx)
        self.edition: Edition = edition

    @initialize(
        connections=st.sampled_from([1, 1, 2, 3]),
        policy=st.sampled_from([UncertainPolicy.HOLD, UncertainPolicy.HOLD, UncertainPolicy.RETRY]),
        openings=OPENINGS,
        plan=PLANS,
    )
    def begin(
        self, connections: int, policy: UncertainPolicy, openings: list[Opening], plan: list[tuple[Move, str, int]]
    ) -> None:
        """Decide how many connections there are, and what is done about doubt; then send."""
        self.connections, self.policy = connections, policy
        self.sender = self.another()
        self.play(openings, plan)

    @rule(openings=OPENINGS, plan=PLANS)
    def send(self, openings: list[Opening], plan: list[tuple[Move, str, int]]) -> None:
        """Go on with it."""
        self.play(openings, plan)

    @rule(act=st.sampled_from(["leave", "pause", "resume", "wait", "restart"]), who=st.integers(0, PEOPLE - 1))
    def act(self, act: str, who: int) -> None:
        """Let something happen between two passes."""
        match act:
            case "leave":
                self.opt_out(who)
            case "pause":
                self.hold(hold.pause_edition)
            case "resume":
                self.resume()
            case "wait":
                self.clock.turn(minutes=60 * who)
            case "restart":
                self.sender.retire()
                self.sender = self.another()

    def teardown(self) -> None:
        """Let all go well from now on: in the end everybody is accounted for."""
        try:
            if self.sound:
                self.finish()
        finally:
            if hasattr(self, "sender"):
                self.sender.retire()
            self.server.__exit__(None, None, None)
            self.engine.dispose()
            self.folder.cleanup()

    def play(self, openings: list[Opening], plan: list[tuple[Move, str, int]]) -> None:
        """Work off what is due while the server plays a plan; trouble ends a pass, and another one goes on with it."""
        turns = [Turn(self.bearable(move), self.meanwhile(act, who)) for move, act, who in plan]
        self.server.deal(openings, turns)
        for _ in range(PASSES):
            self.pass_over()
            if self.status() in CLOSED:
                return
            self.clock.turn(minutes=6)

    def resume(self) -> None:
        """Go on with a paused edition."""
        if self.status() is EditionStatus.PAUSED:
            hold.resume_edition(self.unit, self.edition, who="ann", now=self.clock.now())

    def finish(self) -> None:
        """Run passes in which all goes well until the edition is closed."""
        for _ in range(ROUNDS):
            self.resume()
            self.server.deal([], [])
            self.pass_over()
            if self.status() in CLOSED:
                break
            self.clock.turn(minutes=40)
        with self.unit.read() as tx:
            totals = editions.totals(tx, self.edition.id)
            counts = deliveries.counts(tx, self.edition.id)
        assert self.status() in CLOSED
        assert totals == counts
        assert not {DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.DEFERRED} & set(+Counter(counts))

    def another(self) -> Sender:
        """Return the sender of another process."""
        relay = Relay(
            host="127.0.0.1", port=self.server.port, security=Security.NONE, timeout=SILENCE, dot_timeout=SILENCE
        )
        sender = make_sender(
            self.unit,
            self.clock,
            lambda: dial(relay, monotonic=self.clock.monotonic),
            connections=self.connections,
            uncertain_policy=self.policy,
        )
        sender.host = replace(sender.host, journals=self.home / "journals")
        sender.recover()
        return sender

    def bearable(self, move: Move) -> Move:
        """Take a silence for a hang-up once there was one: each costs real time."""
        if move in HANGS:
            self.hangs -= 1
            if self.hangs < 0:
                return Move.KEEP_AND_DROP if move is Move.KEEP_AND_HANG else Move.DROP_AT_RCPT
        return move

    def meanwhile(self, act: str, who: int) -> Callable[[], None] | None:
        """Return what somebody does in the midst of the pass."""
        acts: dict[str, Callable[[], None]] = {
            "leave": lambda: self.opt_out(who),
            "pause": lambda: self.hold(hold.pause_edition),
            "die": self.die,
            # One in eight: after it there is nothing left to try.
            "cancel": (lambda: self.hold(hold.cancel_edition)) if who == 0 else lambda: None,
        }
        return acts.get(act)

    def die(self) -> None:
        """Keep what `kill -9` would leave of the process at this moment, in which it waits for an answer."""
        if self.connections > 1:
            # The others would go on meanwhile: no moment could be kept.
            return
        left = self.home.with_name("left")
        left.mkdir()
        shutil.copytree(self.home / "journals", left / "journals")
        with (
            closing(sqlite3.connect(self.home / "newsletter.db")) as source,
            closing(sqlite3.connect(left / "newsletter.db")) as target,
        ):
            source.backup(target)
        self.server.dead = True

    def rise(self) -> None:
        """Start again with what was left; what the killed one did after its death never was."""
        self.sender.retire()
        self.engine.dispose()
        shutil.rmtree(self.home)
        self.home.with_name("left").rename(self.home)
        self.open()
        self.server.dead = False
        self.sender = self.another()

    def open(self) -> None:
        """Open the database."""
        self.engine = connect(f"sqlite:///{self.home / 'newsletter.db'}")
        self.unit: Unit = open_unit(self.engine)

    def opt_out(self, who: int) -> None:
        """Let somebody leave by the link of the mail."""
        with self.unit.read() as tx:
            person = subscribers.by_canonical(tx, address(who))
        assert person is not None
        token = make_unsubscribe_token(Keyring(current=SECRET), person.id, self.edition.id)
        assert opt_out(self.unit, Keyring(current=SECRET), token, channel="page", now=self.clock.now()).genuine
        self.left.add(address(who))

    def hold(self, act: Callable[..., object]) -> None:
        """Pause or cancel, if there is still something to stop."""
        try:
            act(self.unit, self.edition, who="ann", why="", now=self.clock.now())
        except InputError:
            assert self.status() in CLOSED

    def status(self) -> EditionStatus:
        """Return where the edition stands."""
        with self.unit.read() as tx:
            return editions.by_id(tx, self.edition.id).status

    def pass_over(self) -> None:
        """Run one pass; nobody who had left, and nothing of what was stopped, may be offered in it."""
        before = Counter(self.server.truth.offered)
        left, status = set(self.left), self.status()
        self.sound = False
        work(self.sender)
        if self.server.dead:
            self.rise()
        offered = Counter(self.server.truth.offered)
        assert not [who for who in left if offered[who] > before[who]], "somebody who had left"
        assert status is EditionStatus.SENDING or offered == before, "of an edition that was stopped"
        self.check()
        self.sound = True

    def check(self) -> None:
        """Compare the rows with what the server knows."""
        with self.unit.read() as tx:
            current = editions.by_id(tx, self.edition.id)
            receipt = report.receipt(tx, current)
            rows = {row.email: row for row in report.rows(tx, edition_id=self.edition.id)}
        assert receipt.balances
        assert receipt.edition.audience == len(rows) == PEOPLE
        for email, row in rows.items():
            self.check_row(email, row)

    def check_row(self, email: str, row: DeliveryRow) -> None:
        """Compare one row with what the server kept and said."""
        truth = self.server.truth
        timed_out = "time-out" in f"{row.reason} {row.reply}"
        assert row.state is not DeliveryState.SENDING
        assert (row.next_attempt_at is not None) == (row.state is DeliveryState.DEFERRED)
        assert len(truth.ids.get(email, [b""])) == 1, "a second try is another message"
        if row.state is DeliveryState.ACCEPTED:
            assert truth.confirmed[email] >= 1, (row, truth)
        if row.state is DeliveryState.REJECTED:
            assert truth.refused[email] >= 1, ("somebody else's refusal", row, truth)
        if self.policy is UncertainPolicy.RETRY:
            return
        assert truth.kept[email] <= 1, (row, truth)
        if row.state is DeliveryState.UNCERTAIN:
            assert truth.doubtful[email] or timed_out, ("needless doubt", row, truth)
        elif truth.confirmed[email]:
            assert row.state is DeliveryState.ACCEPTED, (row, truth)
        else:
            assert truth.kept[email] == 0, (row, truth)


@pytest.mark.slow
def test_whatever_happens_on_the_wire_the_books_are_right(prepared: Path) -> None:
    """Accepted is whom the server said 250 for; under `hold` nobody gets it twice, and doubt is never needless."""

    class Prepared(Mailing):
        template = prepared

    run_state_machine_as_test(Prepared, settings=settings(stateful_step_count=4))
