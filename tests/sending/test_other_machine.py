"""A database on another machine: a file is held until adopted, a server is used from many."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from newsletter.flows.freeze import RenderContext
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import TUESDAY, add_people, add_tip
from tests.sending.copied_fixtures import MONDAY, close_all, open_newsletter
from tests.sending.test_adopt import adopted


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


def test_a_file_that_wakes_on_another_machine_is_held(
    sqlite_url: str, tmp_path: Path, clock: FixedClock, render_context: RenderContext
) -> None:
    """A moved SQLite database sends nothing before somebody says that the other machine does not."""
    home_newsletter = open_newsletter(sqlite_url, tmp_path / "journal", clock, render_context)
    add_people(home_newsletter.unit, 2)
    add_tip(home_newsletter.unit)
    clock.set(MONDAY)
    home_newsletter.ticker.tick()
    there = open_newsletter(sqlite_url, tmp_path / "elsewhere", clock, render_context, machine="another machine")
    clock.set(TUESDAY)
    assert there.ticker.tick() is None
    assert there.held() == (
        "This database is from Monday 2 November 2026, 09:00 EST (UTC\N{MINUS SIGN}5). "
        "It was last used on another machine, which "
        "must not send any more. Nothing is sent until you say: `newsletter db adopt`."
    )
    adoption = adopted(there)
    assert (adoption.editions, adoption.paused, adoption.left) == ([], [], 0)
    edition = there.ticker.tick()
    assert edition is not None
    assert edition.name == date(2026, 11, 3).isoformat()


def test_a_server_database_may_be_used_from_many_machines(
    postgres_url: str, tmp_path: Path, clock: FixedClock, render_context: RenderContext
) -> None:
    """PostgreSQL does not live where the process does."""
    open_newsletter(postgres_url, tmp_path / "a", clock, render_context, machine="one").ticker.tick()
    other = open_newsletter(postgres_url, tmp_path / "b", clock, render_context, machine="two")
    assert other.held() == ""
