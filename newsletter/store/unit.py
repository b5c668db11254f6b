"""The one door for transactions.

`with unit.read() as tx` sees one consistent state; `with unit.write() as tx` commits when it is left normally and
rolls back on any exception. Never nested. Store functions take `tx` and never commit. Foreign errors leave as ours,
with the cause kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from newsletter.errors import NewsletterError, NotNow, Stop
from newsletter.event_loop import current, run_in_thread

Tx = Connection
"""What a store function is handed: a connection inside a transaction."""


Committed = Callable[[Sequence[object]], None]

_LEFT = "left for after the commit"

_FLUSH_TIMEOUT_MS = 1_000
"""How long emptying the write-ahead log waits for readers and writers."""

ASLEEP_SECONDS = 20
"""A process that falls silent in the middle of a write loses it: its locks must not hold up the others for longer."""


def after_commit(tx: Tx, event: object) -> None:
    """Leave something for the listener of `Unit`, who hears it once this transaction is committed, and else never."""
    tx.info.setdefault(_LEFT, []).append(event)


class Unit:
    """Transactions on one database; safe to share between threads."""

    def __init__(self, engine: Engine, *, committed: Committed | None = None) -> None:
        """Take an engine from `database.connect`; `committed` hears what transactions left for after their commit."""
        self._engine = engine
        self._committed = committed
        # PostgreSQL shows each statement the newest state unless it is asked for one state of all.
        steady = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        postgres = engine.dialect.name == "postgresql"
        self._reader = engine.execution_options(readonly=True, **(steady if postgres else {}))
        self._open: set[object] = set()
        """Greenlets and threads with a transaction under way."""

    @property
    def dialect(self) -> str:
        """Return the kind of database: `sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """Give a transaction that only reads, and sees one state from its first statement to its last."""
        with self._alone(), translated(), run_in_thread(self._reader.connect) as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """Give a transaction that may write; leaving it normally commits, an exception rolls back."""
        left: list[object] = []
        with self._alone(), translated(), ExitStack() as stack:
            # Another process may be writing, and a disk may take its time; other greenlets go on meanwhile.
            connection = run_in_thread(lambda: stack.enter_context(self._engine.begin()))
            connection.info[_LEFT] = left
            if connection.dialect.name == "postgresql":
                # A machine that is paused, or cut off, keeps its locks for as long as the server lets it.
                connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{ASLEEP_SECONDS}s'")
            yield connection
            run_in_thread(stack.close)
        if left and self._committed is not None:
            self._committed(left)

    def flush(self) -> bool:
        """Bring what was deleted out of the file's write-ahead log too; tell whether it is empty now.

        Until then old pages, with an erased person's address, may lie in it. It waits a moment for others and then
        leaves it to the next time; PostgreSQL has its own ways.
        """
        if self._engine.dialect.name != "sqlite":
            return True
        with self._alone(), translated(), closing(self._engine.raw_connection()) as connection:
            cursor = connection.cursor()
            [usual] = cursor.execute("PRAGMA busy_timeout").fetchone()
            cursor.execute(f"PRAGMA busy_timeout={_FLUSH_TIMEOUT_MS}")
            [busy, *_] = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            cursor.execute(f"PRAGMA busy_timeout={usual}")
            return not busy

    @contextmanager
    def _alone(self) -> Iterator[None]:
        # A second transaction of the same greenlet would wait for the first for ever on SQLite.
        owner = current()
        if owner in self._open:
            message = "a transaction inside a transaction"
            raise RuntimeError(message)
        self._open.add(owner)
        try:
            yield
        finally:
            self._open.discard(owner)


@contextmanager
def translated() -> Iterator[None]:
    """Let what a driver says leave as an error of ours."""
    try:
        yield
    except DBAPIError as error:
        ours = translate(error)
        if ours is None:
            raise
        raise ours from error


_FULL = "The disk that holds the database is full; free some space. Nothing was lost: what was not recorded waits."
_OWNER = "The database cannot be opened for writing: check its path, and who owns the file and its folder."

# What a driver says → what a person should do. SQLite's words are from its result codes (sqlite.org/rescode.html).
_STOP = {
    "database or disk is full": _FULL,
    "no space left on device": _FULL,
    "readonly database": _OWNER,
    "unable to open database file": _OWNER,
    "disk i/o error": "The disk that holds the database is full or fails: free some space, or read the system's log.",
    "database disk image is malformed": "The database file is damaged; stop the service and restore a backup.",
    "file is not a database": "The file is not a database of this program; check NEWSLETTER_DATABASE_URL.",
    "password authentication failed": "The database refuses the login; check NEWSLETTER_DATABASE_URL.",
}


def translate(error: DBAPIError) -> NewsletterError | None:
    """Say in our words what a database error asks of the reader; None for what must stay a bug."""
    words = str(error.orig).lower()
    for sign, message in _STOP.items():
        if sign in words:
            return Stop(message)
    if "database is locked" in words:
        return NotNow("The database is busy: another process has been writing for over 30 seconds. Try again.")
    if "deadlock detected" in words:
        return NotNow("The database ended one of two changes that waited for each other. Try again.")
    if error.connection_invalidated or (isinstance(error, OperationalError) and "connection" in words):
        first = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else "no answer"
        return NotNow(f"The database does not answer ({first}). Check that it runs and NEWSLETTER_DATABASE_URL.")
    return None
