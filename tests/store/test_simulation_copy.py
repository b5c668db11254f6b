"""The excerpt of a database: what a rehearsal needs of it, and nobody's address."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from newsletter.core.cadence import Slot, SlotState
from newsletter.core.edition import EditionStatus, EditionTip
from newsletter.core.lineup import Source
from newsletter.core.notice import NoticeKey, NoticeKind, NoticeState
from newsletter.core.tip import TipDraft, TipStatus
from newsletter.store import edition as editions
from newsletter.store import installation, simulation_copy, slot, subscriber_count
from newsletter.store import notice as notices
from newsletter.store import tip as tips
from newsletter.store.database import connect, open_unit
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.conftest import create


def planted(
    known: simulation_copy.SimulationCopy, folder: Path, check: Callable[[Unit], None], *, fresh: bool = False
) -> None:
    """Plant an excerpt into a SQLite database of its own and look at it."""
    url = f"sqlite:///{folder / 'rehearsal.db'}"
    create(url)
    engine = connect(url)
    unit = open_unit(engine)
    with unit.write() as tx:
        simulation_copy.plant(tx, known, fresh=fresh)
    check(unit)
    engine.dispose()


def fill(unit: Unit) -> None:
    """Write a person, a tip that is going out, another that waits, and a report."""
    date = START.date()
    with unit.write() as tx:
        simulation_copy.plant_people(tx, 1, now=START)
        sent = tips.add(tx, TipDraft(slug="a", title="A", subject="A", body="a", status=TipStatus.SENT), now=START)
        tips.add(tx, TipDraft(slug="b", title="B", subject="B", body="b", tags=("x",)), now=START)
        slot.add(tx, Slot(date=date, sends_at=START, state=SlotState.FROZEN), now=START)
        editions.create(
            tx,
            editions.NewEdition(
                date=date,
                tip=EditionTip(id=sent.id, slug="a", title="A", source=Source.QUEUE, why="next"),
                content="secret",
                nonce="n",
                sends_at=START,
            ),
            now=START,
        )
        key = NoticeKey(kind=NoticeKind.REPORT, about=date.isoformat())
        notices.add(tx, key, recipient="admin@example.org", message="whole", now=START)
        installation.begin(tx, now=START, cadence="tuesday 09:00 America/New_York")


def test_it_names_nobody_and_sends_nothing_again(unit: Unit, tmp_path: Path) -> None:
    """Tips, dates and history are the same on either database; what was under way is over, and said to be reported."""
    fill(unit)
    with unit.read() as tx:
        known = simulation_copy.take(tx)
        every = tips.all_tips(tx)
    assert known.active == 1
    assert not [word for word in ("example.org", "secret", "whole") if word in repr(known)]

    def check(copy: Unit) -> None:
        with copy.read() as tx:
            assert tips.all_tips(tx) == every
            assert subscriber_count.active(tx) == 0
            [edition] = editions.latest(tx)
            assert (edition.status, edition.title) == (EditionStatus.FINISHED, "A")
            notice = notices.last(tx, [NoticeKind.REPORT], START.date().isoformat())
            assert notice is not None
            assert notice.state is NoticeState.WITHDRAWN
            assert installation.get(tx).first_tick_at == START

    planted(known, tmp_path, check)


def test_a_fresh_schedule_begins_anew(unit: Unit, tmp_path: Path) -> None:
    """Planted as fresh, the database has seen no tick, so no date before the first one is missed."""
    fill(unit)
    with unit.read() as tx:
        known = simulation_copy.take(tx)

    def check(copy: Unit) -> None:
        with copy.read() as tx:
            assert installation.get(tx).first_tick_at is None

    planted(known, tmp_path, check, fresh=True)
