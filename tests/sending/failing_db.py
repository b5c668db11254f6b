"""What makes trouble happen at a chosen moment: a clock, a log and a database that fail on purpose."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from newsletter.store.database import connect, open_unit
from newsletter.store.unit import Unit
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import TUESDAY


class Patient(FixedClock):
    """A clock that does something at the nth wait."""

    def __init__(self, act: Callable[[], None], *, at: int) -> None:
        """Count from the first wait on."""
        super().__init__(TUESDAY)
        self._act = act
        self._left = at

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Count."""
        self._left -= 1
        if self._left == 0:
            self._act()
        return super().wait(event, seconds)


class ScriptedEvent(logging.Handler):
    """Does something when certain words are logged."""

    def __init__(self, act: Callable[[], object], *, on: str) -> None:
        """Listen."""
        super().__init__()
        self._act, self._on = act, on

    def emit(self, record: logging.LogRecord) -> None:
        """Compare the words."""
        if self._on in record.getMessage():
            self._act()


@contextmanager
def fragile(url: str, *, busy_ms: int = 20) -> Iterator[tuple[Unit, Any]]:
    """Open a SQLite database that waits hardly at all for others; give its engine too."""
    engine = connect(url)

    @event.listens_for(engine, "connect")
    def _(dbapi: sqlite3.Connection, _record: object) -> None:
        dbapi.execute(f"PRAGMA busy_timeout={busy_ms}")

    yield open_unit(engine), engine
    engine.dispose()
