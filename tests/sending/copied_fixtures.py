"""A newsletter that can be copied as it stands, and what happened after that: the world of the tests of copies."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, create_engine, make_url, text

from newsletter.core.subscriber import SubscriberId
from newsletter.core.token import Keyring, suppression_hash
from newsletter.flows.adopt import Hold, Home, hold
from newsletter.flows.change_subscriber import unsubscribe_subscriber
from newsletter.flows.erase_subscriber import erase_subscriber
from newsletter.flows.freeze import RenderContext
from newsletter.operations.ticker import Ticker
from newsletter.sending.sender import Sender
from newsletter.store import subscriber as subscribers
from newsletter.store.anchor import Anchor
from newsletter.store.database import connect, open_unit, sqlite_path
from newsletter.store.ledger import Ledger
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from tests.conftest import SECRET
from tests.edition_fixtures import CADENCE, make_sender

KEYRING = Keyring(current=SECRET)
ZONE = CADENCE.zone
MONDAY = datetime(2026, 11, 2, 14, tzinfo=UTC)
"""09:00 in New York; the clock's change was on Sunday."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Newsletter:
    """One database with a ledger beside it, on one machine."""

    url: str
    unit: Unit
    home: Home
    clock: FixedClock
    render_context: RenderContext

    def hold(self) -> Hold | None:
        """Return what holds it."""
        return hold(self.unit, self.home, ZONE, now=self.clock.now())

    def held(self) -> str:
        """Return why nothing may be sent."""
        held = self.hold()
        return held.words if held is not None else ""

    @property
    def ticker(self) -> Ticker:
        """Return the bell."""
        return Ticker(
            unit=self.unit,
            clock=self.clock,
            cadence=CADENCE,
            grace=timedelta(hours=36),
            render_context=self.render_context,
            process="test 1",
            hold=self.hold,
        )

    def sender(self, port: int) -> Sender:
        """Return a sender to a port of this machine."""
        return replace(make_sender(self.unit, self.clock, port), held=self.held)

    def leaves(self, email: str) -> None:
        """Let somebody go."""
        unsubscribe_subscriber(self.unit, self.id_of(email), who="pat", why="", now=self.clock.now())

    def erase(self, email: str) -> None:
        """Forget somebody."""
        erase_subscriber(self.unit, KEYRING, self.id_of(email), who="pat", now=self.clock.now())

    def id_of(self, email: str) -> SubscriberId:
        """Return the id of somebody who must be there."""
        with self.unit.read() as tx:
            person = subscribers.by_canonical(tx, email)
        assert person is not None
        return person.id

    def state_of(self, email: str) -> str:
        """Return the state of somebody, `gone` for nobody."""
        with self.unit.read() as tx:
            person = subscribers.by_canonical(tx, email)
        return "gone" if person is None else person.state.value


_opened: list[Engine] = []


def close_all() -> None:
    """Close every database that was opened here."""
    while _opened:
        _opened.pop().dispose()


def open_newsletter(
    url: str,
    journal: Path,
    clock: FixedClock,
    render_context: RenderContext,
    *,
    machine: str = "this machine",
    state: Path | None = None,
) -> Newsletter:
    """Open a database as a process of a machine does, by default one without a state folder."""
    hashed = lambda canonical: suppression_hash(KEYRING, canonical)  # noqa: E731
    engine = connect(url)
    anchor = None if state is None else Anchor(state, file=sqlite_path(engine))
    ledger = Ledger(journal, hashed=hashed, anchor=anchor)
    _opened.append(engine)
    unit = open_unit(engine, committed=ledger.append)
    home = Home(ledger=ledger, machine=machine, bound=sqlite_path(engine) is not None)
    return Newsletter(url=url, unit=unit, home=home, clock=clock, render_context=render_context)


def copy_database(url: str) -> str:
    """Copy a database as a backup does, and return the URL of the copy."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    engine = connect(url)
    path = sqlite_path(engine)
    # PostgreSQL copies only what nobody has open; the pools open again by themselves.
    for newsletter in _opened:
        newsletter.dispose()
    if path is not None:
        with engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql("BEGIN")
        engine.dispose()
        to = path.with_name(f"{name}.db")
        shutil.copy(path, to)
        return f"sqlite:///{to}"
    engine.dispose()
    source = make_url(url)
    run = create_engine(source.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with run.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {source.database}"))
    run.dispose()
    return source.set(database=name).render_as_string(hide_password=False)
