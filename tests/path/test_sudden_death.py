"""Senders die without a word, again and again; what the mail server received is the judge of what that did.

`make torture` runs the same with many more deaths (`ordeal.py`).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.path.conftest import MakeHome
from tests.path.crash_test import SEED, CrashTest, people_for, share
from tests.path.recorder import Recorder

SLOWNESS = 0.002
"""Of an answer, at most, for each connection: so most deaths fall between the last byte and the answer."""


def on_both() -> pytest.MarkDecorator:
    """Run a test on SQLite and on PostgreSQL."""
    return pytest.mark.parametrize(
        "make",
        [
            pytest.param("make_sqlite_home", id="sqlite"),
            pytest.param("make_postgres_home", id="postgres", marks=pytest.mark.postgres),
        ],
        indirect=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("connections", "part"), [(1, 0.15), (10, 0.2)])
@on_both()
def test_kill_9_at_random_moments(make: MakeHome, tmp_path: Path, connections: int, part: float) -> None:
    """However often it is killed, nobody gets two mails, and at most one per connection and kill is unsure."""
    kills = share(part)
    people = people_for(kills)
    with Recorder(tmp_path, slowness=SLOWNESS * connections, seed=SEED) as recorder:
        home = make(recorder.port, people, SMTP_CONNECTIONS=connections)
        ordeal = CrashTest(home=home, recorder=recorder, people=people, connections=connections)
        ordeal.run(kills)
        ordeal.nobody_twice_and_nobody_forgotten()


@pytest.mark.slow
@pytest.mark.parametrize("connections", [1, 10])
def test_kill_9_where_uncertain_is_retried(make_sqlite_home: MakeHome, tmp_path: Path, connections: int) -> None:
    """With NEWSLETTER_UNCERTAIN=retry nobody is left out, and whoever gets two gets the very same message twice."""
    kills = share(0.1)
    people = people_for(kills)
    with Recorder(tmp_path, slowness=SLOWNESS * connections, seed=SEED) as recorder:
        home = make_sqlite_home(recorder.port, people, SMTP_CONNECTIONS=connections, UNCERTAIN="retry")
        ordeal = CrashTest(home=home, recorder=recorder, people=people, connections=connections)
        ordeal.run(kills)
        assert home.receipt().counts.uncertain == 0
        # What waits a few minutes before it is tried again need not be waited for.
        home.run("edition", "retry", "last")
        assert home.run("edition", "send", "last", "--yes")[0] == 0
        ordeal.everybody_and_repeats_alike()


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("connections", [1, 10])
def test_kill_9_of_one_among_three(make_postgres_home: MakeHome, tmp_path: Path, connections: int) -> None:
    """Of three that send at once one dies at a time: the others take over, nobody gets two and nobody is left out."""
    kills = share(0.15)
    people = people_for(kills)
    with Recorder(tmp_path, slowness=SLOWNESS * connections, seed=SEED) as recorder:
        home = make_postgres_home(recorder.port, people, SMTP_CONNECTIONS=connections)
        ordeal = CrashTest(home=home, recorder=recorder, people=people, connections=connections)
        ordeal.endure_as_workers(kills, workers=3)
        ordeal.nobody_twice_and_nobody_forgotten()
