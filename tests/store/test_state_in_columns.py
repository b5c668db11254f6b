"""Revision 0007: a database of revision 0005 in mid-edition keeps its state, and its edition is finished.

`revision_0005.sql` was written by the release before: 12 of 30 people have their mail, 2 are claimed by a worker that
died without a journal, 16 are queued under a used-up quota; one date is empty, another had no tip at its time.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Boolean, Engine, MetaData, create_engine, select, text
from sqlalchemy.types import TypeEngine

from newsletter.core.alert import AlertKind
from newsletter.core.cadence import SlotState
from newsletter.core.delivery import DeliveryState
from newsletter.core.edition import EditionId, EditionStatus
from newsletter.core.monitor import ServicePart
from newsletter.core.tally import Tally
from newsletter.flows.freeze import RenderContext
from newsletter.operations.ticker import Ticker
from newsletter.store import alert as alerts
from newsletter.store import delivery as deliveries
from newsletter.store import edition as editions
from newsletter.store import evidence
from newsletter.store import heartbeat as heartbeats
from newsletter.store import installation as installations
from newsletter.store import job_run as job_runs
from newsletter.store import slot as slots
from newsletter.store import tally as tallies
from newsletter.store.database import HEAD, connect, open_unit
from newsletter.store.heartbeat import Heartbeat
from newsletter.store.job_run import JobName, JobRun
from newsletter.store.schema import pace, quota
from newsletter.store.unit import Unit
from newsletter.store.upgrade import upgrade
from newsletter.testing.catcher import Catcher
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import CADENCE, make_sender, work

DUMP = Path(__file__).with_name("revision_0005.sql")
SENT = datetime(2026, 11, 10, 14, tzinfo=UTC)
WRITTEN = SENT + timedelta(minutes=2, microseconds=850_000)
EDITION = EditionId(1)
HAVE_IT = {f"p{number}@example.com" for number in range(12)}
CLAIMED = {f"p{number}@example.com" for number in (12, 13)}


@pytest.fixture
def old(tmp_path: Path, request: pytest.FixtureRequest, database: str) -> Iterator[Engine]:
    """Return a database of revision 0005 that holds what the dump holds."""
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as direct:
        direct.executescript(DUMP.read_text(encoding="utf-8"))
    direct.close()
    if database == "sqlite":
        engine = connect(f"sqlite:///{path}")
        yield engine
        engine.dispose()
        return
    server = create_engine(request.getfixturevalue("postgres_server"), isolation_level="AUTOCOMMIT")
    name = f"old_{uuid.uuid4().hex[:12]}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine = connect(server.url.set(database=name).render_as_string(hide_password=False))
    upgrade(engine, target="0005")
    _carry(create_engine(f"sqlite:///{path}"), engine)
    yield engine
    engine.dispose()
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


def _carry(source: Engine, target: Engine) -> None:
    """Copy every row of revision 0005 to the same tables on PostgreSQL."""
    tables, stored = MetaData(), MetaData()
    tables.reflect(target)
    stored.reflect(source)
    with source.connect() as reader, target.begin() as writer:
        for table in [table for table in tables.sorted_tables if table.name in stored.tables]:
            rows = [
                {column: _of_type(value, table.c[column].type) for column, value in row._mapping.items()}
                for row in reader.execute(select(stored.tables[table.name]))
            ]
            if not rows or table.name == "alembic_version":
                continue
            writer.execute(table.insert(), rows)
            if table.autoincrement_column is not None and "id" in table.c:
                sequence = {"name": table.name, "last": max(row["id"] for row in rows)}
                writer.execute(text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :last)"), sequence)
    source.dispose()


def _of_type(value: object, kind: TypeEngine[Any]) -> object:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    return bool(value) if isinstance(kind, Boolean) else value


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> str:
    """Return each kind of database."""
    kind: str = request.param
    return kind


def test_every_state_is_carried_into_its_column(old: Engine) -> None:
    """No value is lost: what was part of a text or a number below one is a column of its own."""
    assert upgrade(old) == ("0005", HEAD)
    unit = open_unit(old)
    with unit.write() as tx:
        assert evidence.recent(tx, EDITION) == {29000000: 2, 29000001: 1}
    with unit.read() as tx:
        empty, frozen, no_tip = slots.since(tx, None)
        assert (empty.state, empty.reason) == (SlotState.EMPTY, "the queue is empty")
        assert (frozen.state, frozen.empty_since) == (SlotState.FROZEN, None)
        assert (no_tip.state, no_tip.reason, no_tip.empty_since) == (SlotState.OPEN, "the queue was empty", WRITTEN)
        assert heartbeats.heartbeats(tx)[ServicePart.SCHEDULER] == Heartbeat(at=SENT, process="test 1")
        stopped = tx.execute(text("SELECT process, stopped_at IS NOT NULL FROM heartbeat WHERE name = 'sender'")).one()
        assert tuple(stopped) == ("test 1", True)
        assert job_runs.get(tx, JobName.RETENTION) == JobRun(
            ended_at=WRITTEN - timedelta(hours=3), clock_doubted_at=WRITTEN - timedelta(hours=2)
        )
        installation = installations.get(tx)
        assert (installation.copied, installation.held_last_used_at) == (False, WRITTEN - timedelta(days=1))
        assert tx.execute(select(quota.c.name)).scalars().all() == ["relay"]
        assert tx.execute(select(pace.c.free_at)).scalars().all() == [pytest.approx(1794319201.8)]
        assert tallies.of_edition(tx, EDITION) == Tally(accepted=11, policy=1)
        assert tallies.of_edition(tx, EDITION, bounces=False) == Tally(accepted=12)
        assert evidence.refused_for_us(tx, EDITION) == 1
        silent = [alert for alert in alerts.open_alerts(tx) if alert.kind is AlertKind.SCHEDULER_SILENT]
        assert [alert.about for alert in silent] == ["scheduler"]


def test_a_copy_stays_held(old: Engine) -> None:
    """A copy that waits for `db adopt` still waits for it after an upgrade."""
    with old.begin() as tx:
        tx.execute(text("UPDATE installation SET machine = 'a copy that nobody adopted'"))
    upgrade(old)
    with open_unit(old).read() as tx:
        assert (installations.get(tx).copied, installations.get(tx).machine) == (True, None)


def test_an_edition_under_way_is_finished(
    old: Engine, clock: FixedClock, catcher: Catcher, render_context: RenderContext
) -> None:
    """Everybody has the mail once, or is named as uncertain; the date that had no tip at its time ends empty."""
    with old.begin() as tx:
        # On PostgreSQL the clock of the server, which no test sets, decides how long a worker has been silent.
        tx.execute(text("UPDATE worker SET seen_at = '2001-01-01 00:00:00.000000'"))
    upgrade(old)
    unit: Unit = open_unit(old)
    clock.set(WRITTEN + timedelta(days=1))
    sender = make_sender(unit, clock, catcher.port)
    assert sender.recover() == len(CLAIMED)
    work(sender)
    everybody = {f"p{number}@example.com" for number in range(30)}
    assert dict(catcher.accepted) == dict.fromkeys(everybody - HAVE_IT - CLAIMED, 1)
    with unit.read() as tx:
        counts = deliveries.counts(tx, EDITION)
        assert +Counter(counts) == {DeliveryState.ACCEPTED: 28, DeliveryState.UNCERTAIN: 2}
        assert editions.by_id(tx, EDITION).status is EditionStatus.FINISHED
    ticker = Ticker(
        unit=unit,
        clock=clock,
        cadence=CADENCE,
        grace=timedelta(hours=36),
        render_context=render_context,
        process="test 1",
    )
    clock.set(SENT + timedelta(days=4))
    ticker.tick()
    with unit.read() as tx:
        no_tip = slots.get(tx, date(2026, 11, 11))
        assert no_tip is not None
        assert (no_tip.state, no_tip.reason) == (SlotState.EMPTY, "the queue was empty")
