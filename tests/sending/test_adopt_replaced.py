"""A copy that was made while a wrong tip went out, and is adopted after that tip was replaced."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from newsletter.core.edition import EditionStatus
from newsletter.core.tip import TipStatus
from newsletter.flows.adopt import adopt_database
from newsletter.flows.freeze import RenderContext
from newsletter.flows.replace_edition import replace_edition
from newsletter.store import edition as editions
from newsletter.store import tip as tips
from newsletter.testing.catcher import Catcher
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import TUESDAY, add_people, add_tip, work
from tests.sending.copied_fixtures import KEYRING, MONDAY, close_all, copy_database, open_newsletter


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


def test_the_wrong_tip_is_not_resumed(
    database_url: str, tmp_path: Path, clock: FixedClock, render_context: RenderContext, catcher: Catcher
) -> None:
    """The ledger tells the copy that its edition was replaced: it is cancelled there, and nobody is asked to resume."""
    original = open_newsletter(database_url, tmp_path / "journal", clock, render_context)
    add_people(original.unit, 5)
    for slug in ("wrong", "right", "next"):
        add_tip(original.unit, slug)
    clock.set(MONDAY)
    original.ticker.tick()
    clock.set(TUESDAY)
    edition = original.ticker.tick()
    assert edition is not None
    backup = copy_database(original.url)
    with original.unit.read() as tx:
        right = tips.by_slug(tx, "right")
    assert right is not None
    replace_edition(original.unit, render_context, edition, right, who="ann", why="", now=clock.now())

    clock.turn(hours=1)
    copy = open_newsletter(backup, tmp_path / "journal", clock, render_context)
    assert copy.held()
    adoption = adopt_database(copy.unit, copy.home, KEYRING, who="pat", now=clock.now() + timedelta(minutes=1))
    assert adoption is not None
    assert (list(adoption.editions), list(adoption.paused)) == (["2026-11-03.2"], [])
    with copy.unit.read() as tx:
        wrong = editions.by_id(tx, edition.id)
        used = tips.by_slug(tx, "right")
    assert (wrong.status, wrong.status_why) == (
        EditionStatus.CANCELLED,
        "replaced by 2026-11-03.2, as the ledger says",
    )
    assert used is not None
    assert used.status is TipStatus.SENT
    work(copy.sender(catcher.port))
    assert not catcher.accepted
