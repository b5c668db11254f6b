"""A ledger that is lost in every place: it is written again from the database, and people are told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from newsletter.core.alert import AlertKind
from newsletter.flows.adopt import adopt_database
from newsletter.flows.freeze import RenderContext
from newsletter.store.ledger import LedgerKind
from newsletter.testing.catcher import Catcher
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import TUESDAY, add_people, add_tip
from tests.sending.copied_fixtures import KEYRING, MONDAY, Newsletter, close_all, copy_database, open_newsletter
from tests.sending.test_adopt import alerted, identity


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture
def original(database_url: str, tmp_path: Path, clock: FixedClock, render_context: RenderContext) -> Newsletter:
    """Return a newsletter with five people on Monday."""
    newsletter = open_newsletter(
        database_url, tmp_path / "journal", clock, render_context, state=tmp_path / "other machine state"
    )
    add_people(newsletter.unit, 5)
    for number in range(2):
        add_tip(newsletter.unit, f"tip-{number}")
    clock.set(MONDAY)
    newsletter.ticker.tick()
    return newsletter


def lose(original: Newsletter) -> None:
    """Delete both files."""
    ledger = original.home.ledger
    assert ledger.anchor is not None
    ledger.path.unlink()
    ledger.anchor.ledger.unlink()


def test_a_backup_still_learns_who_left(original: Newsletter, catcher: Catcher, tmp_path: Path) -> None:
    """After the loss a copy from before Tuesday catches up with the edition, an opt-out and an erasure."""
    backup = copy_database(original.url)
    original.clock.set(TUESDAY)
    assert original.ticker.tick() is not None
    original.sender(catcher.port).work(threading.Event())
    original.leaves("p1@example.com")
    original.erase("p2@example.com")
    lose(original)
    original.ticker.tick()
    assert not original.home.ledger.path.exists()
    original.ticker.tick()
    kinds = [entry.kind for entry in original.home.ledger.look().unknown(identity(original), 3)]
    assert sorted(kinds) == [LedgerKind.EDITION, LedgerKind.ERASED, LedgerKind.LEFT]
    assert "It was written again from the database (3 lines)" in alerted(original)[AlertKind.DATABASE]
    assert original.held() == ""
    copy = open_newsletter(backup, tmp_path / "journal", original.clock, original.render_context)
    copy.ticker.tick()
    caught_up = adopt_database(copy.unit, copy.home, KEYRING, who="pat", now=copy.clock.now())
    assert caught_up is not None
    assert (list(caught_up.editions), caught_up.left, caught_up.erased) == (["2026-11-03"], 1, 1)
    assert (copy.state_of("p1@example.com"), copy.state_of("p2@example.com")) == ("unsubscribed", "gone")


def test_the_alert_is_over_after_a_day(original: Newsletter) -> None:
    """It stays long enough to be read, and the ledger is not written a third time."""
    original.leaves("p1@example.com")
    lose(original)
    for _ in range(4):
        original.ticker.tick()
    assert AlertKind.DATABASE in alerted(original)
    assert original.home.ledger.path.read_bytes().count(b"\n") == 1
    original.clock.set(MONDAY + timedelta(hours=25))
    original.ticker.tick()
    assert AlertKind.DATABASE not in alerted(original)


def test_a_line_that_is_on_its_way_is_not_lost(original: Newsletter) -> None:
    """Between the commit of another process and its line one look proves nothing."""
    original.leaves("p1@example.com")
    ledger = original.home.ledger
    lines = ledger.path.read_bytes()
    lose(original)
    original.ticker.tick()
    ledger.path.write_bytes(lines)
    original.ticker.tick()
    assert ledger.path.read_bytes() == lines
    assert alerted(original) == {}
