"""A connection pooler in transaction mode is refused in one sentence; a direct connection is not asked twice."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import make_url

from newsletter.errors import Stop
from newsletter.store.database import connect, open_unit
from tests.store.transaction_pooler import pooling

pytestmark = pytest.mark.postgres


def test_a_transaction_pooler_is_refused(postgres_url: str) -> None:
    """Behind a pooler that gives each transaction another backend nothing is opened, and the message says why."""
    url = make_url(postgres_url)
    socket_file = Path(str(url.query["host"])) / f".s.PGSQL.{url.port or 5432}"
    with pooling(socket_file) as port:
        engine = connect(str(url.set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)))
        with pytest.raises(Stop, match="connection pooler in transaction mode"):
            open_unit(engine)
        engine.dispose()


def test_an_idle_process_keeps_few_backends(postgres_url: str) -> None:
    """Of six transactions at once two connections stay open."""
    engine = connect(postgres_url)
    unit = open_unit(engine)
    together = threading.Barrier(6)

    def read() -> None:
        with unit.read():
            together.wait(30)

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not together.broken
    assert engine.pool.checkedin() == 2
    engine.dispose()


def test_a_direct_connection_is_opened(postgres_url: str) -> None:
    """Without a pooler the server's process is the one that the connection was promised."""
    engine = connect(postgres_url)
    with open_unit(engine).read() as tx:
        assert tx.exec_driver_sql("SELECT 1").scalar() == 1
    engine.dispose()
