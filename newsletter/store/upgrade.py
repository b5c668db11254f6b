"""Creating a database and bringing an older one to this version.

All revisions run in one transaction, on PostgreSQL with those of the job queue: a failed upgrade leaves the database as
it was.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from newsletter.errors import Stop
from newsletter.store import job_schema
from newsletter.store.database import HEAD, current_revision, sqlite_path
from newsletter.store.unit import translate


def upgrade(engine: Engine, *, target: str = HEAD) -> tuple[str | None, str]:
    """Create or upgrade the tables; return the revision before and after.

    Raises `Stop` when the database is newer than the program or cannot be written.
    """
    before = current_revision(engine)
    if before is not None and before > HEAD:
        message = (
            f"The database is of a newer version ({before}, this program knows {HEAD}); install the newer program."
        )
        raise Stop(message)
    path = sqlite_path(engine)
    try:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            # It will hold addresses: only its owner may read a fresh one, and the files SQLite puts beside it follow.
            path.touch(mode=0o600)
        with engine.connect() as connection:
            _run(connection, target)
    except CommandError as error:
        message = f"The database is of a version that this program does not know ({before}); nothing was changed."
        raise Stop(message) from error
    except OSError as error:
        message = f"{error.filename} cannot be made ({error.strerror}); check who owns the folder."
        raise Stop(message) from error
    except DBAPIError as error:
        raise (translate(error) or error) from error
    return before, target


def queue_is_behind(engine: Engine) -> bool:
    """Tell whether the job queue waits for an upgrade, as it does when its library got a newer version."""
    if sqlite_path(engine) is not None:
        return False
    try:
        with engine.connect() as connection:
            return bool(job_schema.missing(connection))
    except DBAPIError as error:
        raise (translate(error) or error) from error


def _run(connection: Connection, target: str) -> None:
    sqlite = connection.dialect.name == "sqlite"
    if sqlite:
        # A batch migration drops and remakes a table; with foreign keys on, SQLite then deletes the rows that refer to
        # it. The switch works only outside a transaction, so it is thrown on the driver's own connection.
        driver = connection.connection.driver_connection
        driver.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
    try:
        with connection.begin():
            config = Config()
            config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
            config.attributes["connection"] = connection
            command.upgrade(config, target)
            job_schema.apply(connection)
            if sqlite:
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
                if broken:
                    message = f"The upgrade would break {len(broken)} references between rows; nothing was changed."
                    raise Stop(message)
    finally:
        if sqlite:
            driver.execute("PRAGMA foreign_keys=ON")  # type: ignore[union-attr]
