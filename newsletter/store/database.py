"""Opening a database: the driver's settings, its version, and the lock of the one sending process.

In: a URL. Out: a `Unit`. It never creates a database by the way: only `newsletter init` and `newsletter db upgrade`
do.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from newsletter.errors import InputError, NewsletterError, NotNow, Stop
from newsletter.store.unit import Committed, Unit, translate

Database = Engine
"""What a URL names: opened for transactions by `open_unit`, created and upgraded by `store/upgrade.py`."""

HEAD = "0025"
"""The schema revision this version of the program works with."""

BUSY_TIMEOUT_MS = 30_000
"""How long a SQLite write waits for another process's write."""

POOL_WAIT_SECONDS = {
    "connect_timeout": 10,
    "tcp_user_timeout": 20_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}
"""How long a PostgreSQL server that is cut off from us may keep a thread waiting, in libpq's words: some 20 seconds.
Left to itself the system would wait for hours, and a stop with it. What the URL says of them wins."""

IDLE_CONNECTIONS_MAX = 2
"""Connections to PostgreSQL that a process keeps open while it does nothing; each is a server process of some MB."""
OVERFLOW_CONNECTIONS_MAX = 19
"""Connections beyond these; each is closed after its transaction."""

SENDER_LOCK_ID = 0x6E6C_7365_6E64
"""Key of the PostgreSQL advisory lock of the sending process: 'nlsend' in ASCII."""


def connect(url: str) -> Engine:
    """Make an engine; nothing is opened yet.

    Raises `InputError` for a URL that cannot be used.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
            message = "NEWSLETTER_DATABASE_URL must begin with sqlite:/// or postgresql://"
            raise InputError(message)
        if parsed.get_backend_name() == "sqlite":
            engine = create_engine(parsed, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
            _settle_sqlite(engine)
            return engine
        patience = {name: value for name, value in POOL_WAIT_SECONDS.items() if name not in parsed.query}
        return _postgresql(parsed.set(drivername="postgresql+psycopg"), connect_args=patience)
    except ArgumentError as error:
        message = "NEWSLETTER_DATABASE_URL is not a database URL; an example is sqlite:///data/newsletter.db"
        raise InputError(message) from error
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        message = (
            "PostgreSQL needs its driver: `pip install '.[postgres]'` at the top of the source (docs/dependencies.md)"
        )
        raise InputError(message) from error


def _settle_sqlite(engine: Engine) -> None:
    """Make SQLite durable, concurrent and strict.

    We begin transactions ourselves: the driver's own way opens none for a SELECT, so that a read followed by a write
    loses other processes' updates, and it commits a migration half way.
    """

    @event.listens_for(engine, "connect")
    def _(dbapi: object, _record: ConnectionPoolEntry) -> None:
        dbapi.isolation_level = None  # type: ignore[attr-defined]
        # What is deleted is overwritten, so that an erased person is in no free page; it costs nothing one can measure.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            dbapi.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        readonly = connection.get_execution_options().get("readonly")
        connection.exec_driver_sql(f"PRAGMA query_only={'ON' if readonly else 'OFF'}")
        connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")


def _postgresql(url: URL, *, connect_args: Mapping[str, object]) -> Engine:
    """Make an engine that lets others go on in the same thread while the server is waited for."""
    engine = create_engine(
        url,
        pool_pre_ping=True,
        pool_size=IDLE_CONNECTIONS_MAX,
        max_overflow=OVERFLOW_CONNECTIONS_MAX,
        connect_args=dict(connect_args),
    )
    from newsletter.store.driver_glue import LoopConnection  # noqa: PLC0415 - the driver is an extra.

    @event.listens_for(engine, "do_connect")
    def _(_dialect: object, _record: object, own: tuple[Any, ...], named: dict[str, Any]) -> object:
        return LoopConnection.connect(*own, **named)

    return engine


def current_revision(engine: Engine) -> str | None:
    """Return the schema revision of the database, None when it holds no tables of ours."""
    path = sqlite_path(engine)
    if path is not None and not _there(path):
        return None
    try:
        # Only read: looking at the version must not wait for another process that writes.
        with engine.execution_options(readonly=True).connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            # Not through Alembic, which takes as long to import as the rest of a command that only looks.
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except DBAPIError as error:
        raise (translate(error) or error) from error


def _there(path: Path) -> bool:
    """Tell whether there is such a file; a folder that this user may not enter says neither yes nor no."""
    try:
        return path.exists()
    except PermissionError as error:
        message = f"The folder of the database may not be entered by this user: check who owns {path.parent}."
        raise Stop(message) from error
    except OSError as error:
        raise InputError(f"{path} cannot be a database ({error.strerror}); check NEWSLETTER_DATABASE_URL.") from error


def open_unit(engine: Engine, *, committed: Committed | None = None) -> Unit:
    """Return the door to a database of exactly this version.

    Raises `Stop` when there is none yet, when it is older, and when it is newer than this program.
    """
    revision = current_revision(engine)
    if revision is None:
        message = f"There is no database at {engine.url.render_as_string()} yet; run `newsletter init`."
        raise Stop(message)
    if revision < HEAD:
        message = (
            f"The database is of an older version ({revision}, this program needs {HEAD}); run `newsletter db upgrade`."
        )
        raise Stop(message)
    if revision > HEAD:
        message = (
            f"The database is of a newer version ({revision}, this program knows {HEAD}); install the newer program."
        )
        raise Stop(message)
    if engine.dialect.name == "postgresql":
        try:
            _refuse_transaction_pooler(engine)
        except DBAPIError as error:
            raise (translate(error) or error) from error
    return Unit(engine, committed=committed)


_BACKEND = text("SELECT pg_backend_pid()")


def _refuse_transaction_pooler(engine: Engine) -> None:
    """Raise `Stop` where each transaction may run in another server process.

    A pooler announces a process number of its own. It is in transaction mode if a second client gets the process of the
    first one, or the first one another process meanwhile.
    """
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as first:
        process = first.scalar(_BACKEND)
        driver: Any = first.connection.dbapi_connection
        if process == driver.info.backend_pid:
            return
        with engine.connect() as second:
            if second.scalar(_BACKEND) != process and first.scalar(_BACKEND) == process:
                return
    message = (
        "NEWSLETTER_DATABASE_URL leads to a connection pooler in transaction mode (PgBouncer's pool_mode), which loses "
        "the lock of the sender, prepared statements and the wake-ups of jobs; name PostgreSQL itself, or a pool in "
        "session mode."
    )
    raise Stop(message)


def driver_words(engine: Engine) -> Mapping[str, Any]:
    """Return what PostgreSQL's driver is given to connect, for those who do so by themselves."""
    words: Mapping[str, Any] = engine.dialect.create_connect_args(engine.url)[1]
    return words


def sqlite_path(engine: Engine) -> Path | None:
    """Return the file of a SQLite database; None for another kind."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return None
    return Path(engine.url.database)


@contextmanager
def sender_lock(engine: Engine, *, shared: bool = False) -> Iterator[Callable[[], bool]]:
    """Hold the right to send, or the right that no other process does; it is free again when the process dies.

    On SQLite one process at a time has it. On PostgreSQL senders share it, and without `shared` it is only to be had
    while none is alive. What it gives tells whether it is still held: a server that restarts forgets its locks.
    Raises `NotNow` when it is not to be had.
    """
    path = sqlite_path(engine)
    with _file_lock(path) if path is not None else _advisory_lock(engine, "_shared" if shared else "") as still:
        yield still


@contextmanager
def _file_lock(path: Path) -> Iterator[Callable[[], bool]]:
    try:
        handle = os.open(path.with_name(path.name + ".sender.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        message = (
            f"The lock file beside the database cannot be opened ({error.strerror}); check who owns {path.parent}."
        )
        raise Stop(message) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _held() from error
        yield lambda: True
    finally:
        os.close(handle)


@contextmanager
def _advisory_lock(engine: Engine, kind: str) -> Iterator[Callable[[], bool]]:
    # A session of its own: the lock lives exactly as long as the connection does.
    try:
        connection = engine.execution_options(isolation_level="AUTOCOMMIT").connect()
    except DBAPIError as error:
        raise (translate(error) or error) from error
    with connection:
        if not connection.scalar(text(f"SELECT pg_try_advisory_lock{kind}(:key)"), {"key": SENDER_LOCK_ID}):
            raise _held()
        try:
            yield lambda: _answers(connection)
        finally:
            # A connection that is gone has taken its lock along.
            if _answers(connection):
                connection.scalar(text(f"SELECT pg_advisory_unlock{kind}(:key)"), {"key": SENDER_LOCK_ID})


def _answers(connection: Connection) -> bool:
    if connection.invalidated:
        # Asked again it would connect anew, without the lock.
        return False
    try:
        return bool(connection.scalar(text("SELECT 1")))
    except DBAPIError:
        return False


def _held() -> NewsletterError:
    return NotNow("Another process is sending; it goes on with what waits.")
