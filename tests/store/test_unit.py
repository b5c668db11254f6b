"""The one door for transactions."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, make_url, select
from sqlalchemy.exc import DBAPIError

from newsletter.core.monitor import ServicePart
from newsletter.errors import NewsletterError, NotNow
from newsletter.store import heartbeat as heartbeats
from newsletter.store import log as logs
from newsletter.store import quota as quotas
from newsletter.store.database import connect, open_unit
from newsletter.store.schema import log
from newsletter.store.unit import ASLEEP_SECONDS, Tx, Unit
from newsletter.testing.clocks import START

ENTRY = logs.LogEntry(at=START, who="ann", what="test", about="nothing")


def count(tx: Tx) -> int:
    """Return how many entries the log has."""
    return tx.execute(select(func.count()).select_from(log)).scalar_one()


def test_a_read_sees_one_state(unit: Unit, database_url: str) -> None:
    """What another process commits in the middle of a read does not show before its end."""
    engine = connect(database_url)
    other = open_unit(engine)
    with unit.read() as tx:
        before = count(tx)
        with other.write() as their_tx:
            logs.add(their_tx, ENTRY)
        assert count(tx) == before
    with unit.read() as tx:
        assert count(tx) == before + 1
    engine.dispose()


def test_a_read_cannot_write(unit: Unit) -> None:
    """A write inside a read is refused, and the next write works."""
    with pytest.raises((DBAPIError, NewsletterError)), unit.read() as tx:
        logs.add(tx, ENTRY)
    with unit.write() as tx:
        logs.add(tx, ENTRY)
        assert count(tx) == 1


def test_an_exception_takes_everything_back(unit: Unit) -> None:
    """Half a write is no write."""

    def fail(tx: Tx) -> None:
        logs.add(tx, ENTRY)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), unit.write() as tx:
        fail(tx)
    with unit.read() as tx:
        assert count(tx) == 0


def test_a_transaction_inside_a_transaction_is_a_bug(unit: Unit) -> None:
    """It would wait for itself for ever on SQLite, so it is refused at once."""
    with unit.write(), pytest.raises(RuntimeError), unit.read():
        pass


@pytest.mark.postgres
def test_a_sleeper_loses_what_it_was_writing(postgres_url: str) -> None:
    """PostgreSQL ends the write of a process that fell silent in it, whose locks would hold up all others."""
    engine = connect(postgres_url)
    unit = open_unit(engine)

    def fall_asleep(tx: Tx) -> None:
        assert tx.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar() == f"{ASLEEP_SECONDS}s"
        logs.add(tx, ENTRY)
        tx.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = '20ms'")
        threading.Event().wait(0.5)
        logs.add(tx, ENTRY)

    with pytest.raises(NotNow, match="does not answer"), unit.write() as tx:
        fall_asleep(tx)
    with unit.read() as tx:
        assert count(tx) == 0
        assert tx.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar() == "0"
    engine.dispose()


@pytest.mark.postgres
def test_two_that_wait_for_each_other(postgres_url: str) -> None:
    """PostgreSQL ends one of two writes that hold what the other wants; it may be tried again, and is no fault."""
    engine = connect(postgres_url)
    unit = open_unit(engine)
    with unit.write() as tx:
        for part in ServicePart:
            heartbeats.record(tx, part, now=START, process="test")
    both = threading.Barrier(2)
    ended: list[BaseException | None] = []

    def write(*parts: ServicePart) -> None:
        try:
            with unit.write() as tx:
                for part in parts:
                    heartbeats.record(tx, part, now=START, process="test")
                    if part == parts[0]:
                        both.wait(20)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is compared below
            ended.append(error)
        else:
            ended.append(None)

    scheduler, sender = ServicePart
    threads = [threading.Thread(target=write, args=parts) for parts in ((scheduler, sender), (sender, scheduler))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.dispose()
    assert {type(one) for one in ended} == {NotNow, type(None)}


@pytest.mark.postgres
def test_a_server_that_is_cut_off_is_given_up(postgres_url: str) -> None:
    """A thread waits no longer for it than a stop may take, unless the URL says so."""
    words = {"tcp_user_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count", "connect_timeout"}
    engine = connect(postgres_url)
    own = connect(
        make_url(postgres_url).update_query_dict({"keepalives_idle": "7"}).render_as_string(hide_password=False)
    )
    for cut_engine, idle in ((engine, "10"), (own, "7")):
        with cut_engine.connect() as connection:
            set_ = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
        cut_engine.dispose()
        assert words <= set_.keys()
        assert set_["keepalives_idle"] == idle
        assert int(set_["tcp_user_timeout"]) <= 25_000
        assert int(set_["keepalives_interval"]) * int(set_["keepalives_count"]) + int(idle) <= 25


def test_two_that_begin_a_quota(unit: Unit, database_url: str) -> None:
    """The second one knows what the first one took, though there was no row yet when both looked."""
    engine = connect(database_url)
    other = open_unit(engine)
    looked = threading.Event()
    quota_rows: list[str | None] = []

    def take() -> None:
        with other.write() as tx:
            quota_rows.append(quotas.load_quota(tx, "relay"))
            looked.set()
            quotas.save_quota(tx, "relay", "second")

    thread = threading.Thread(target=take)
    with unit.write() as tx:
        assert quotas.load_quota(tx, "relay") is None
        thread.start()
        # It does not get that far before this one has committed.
        assert not looked.wait(0.5)
        quotas.save_quota(tx, "relay", "first")
    thread.join()
    engine.dispose()
    assert quota_rows == ["first"]
