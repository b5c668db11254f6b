"""Monday's backup, started on Wednesday: it mails nobody until adopted, and then it knows who left (promise 12)."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from newsletter.core.address import parse_address
from newsletter.core.alert import AlertKind
from newsletter.core.cadence import SlotState
from newsletter.core.edition import EditionStatus
from newsletter.core.tip import TipStatus
from newsletter.errors import Stop
from newsletter.flows.adopt import adopt_database, ledger_gap
from newsletter.flows.catch_up import CaughtUp
from newsletter.flows.change_subscriber import Changes, edit_subscriber
from newsletter.flows.freeze import RenderContext
from newsletter.flows.import_subscribers import ImportFile, import_subscribers
from newsletter.store import alert as alerts
from newsletter.store import edition as editions
from newsletter.store import installation as installations
from newsletter.store import log as logs
from newsletter.store import slot as slots
from newsletter.store import tip as tips
from newsletter.store.ledger import LedgerEntry, LedgerKind
from newsletter.store.schema import tip as tip_table
from newsletter.testing.catcher import Catcher
from newsletter.testing.clocks import FixedClock
from tests.edition_fixtures import TUESDAY, add_people, add_tip
from tests.sending.copied_fixtures import KEYRING, MONDAY, Newsletter, close_all, copy_database, open_newsletter

WEDNESDAY = datetime(2026, 11, 4, 15, tzinfo=UTC)
WORDS = (
    "This database is from Monday 2 November 2026, 09:00 EST (UTC\N{MINUS SIGN}5). "
    "Since then the ledger knows of 1 edition and "
    "2 opt-outs. Nothing is sent until you say: `newsletter db adopt`."
)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture
def original(database_url: str, tmp_path: Path, clock: FixedClock, render_context: RenderContext) -> Newsletter:
    """Return a newsletter on Monday morning, with five people and three tips."""
    original_newsletter = open_newsletter(database_url, tmp_path / "journal", clock, render_context)
    add_people(original_newsletter.unit, 5)
    for number in range(3):
        add_tip(original_newsletter.unit, f"tip-{number}")
    clock.set(MONDAY - timedelta(days=1))
    original_newsletter.ticker.tick()
    clock.set(MONDAY)
    original_newsletter.ticker.tick()
    return original_newsletter


def tuesday(original: Newsletter, catcher: Catcher) -> None:
    """Let the original send its edition on Tuesday; two people leave after it."""
    original.clock.set(TUESDAY)
    assert original.ticker.tick() is not None
    original.sender(catcher.port).work(threading.Event())
    for email in ("p1@example.com", "p2@example.com"):
        original.leaves(email)


def on_wednesday(url: str, original: Newsletter, *, machine: str = "this machine") -> Newsletter:
    """Start a copy on Wednesday, in the place of the original."""
    original.clock.set(WEDNESDAY)
    return open_newsletter(
        url, original.home.ledger.path.parent, original.clock, original.render_context, machine=machine
    )


def adopted(copy: Newsletter) -> CaughtUp:
    """Adopt a copy that is held."""
    adoption = adopt_database(copy.unit, copy.home, KEYRING, who="pat", now=copy.clock.now())
    assert adoption is not None
    return adoption


def alerted(newsletter: Newsletter) -> dict[AlertKind, str]:
    """Return the open alerts."""
    with newsletter.unit.read() as tx:
        return {alert.kind: alert.message for alert in alerts.open_alerts(tx)}


def test_mondays_backup_mails_nobody_on_wednesday(original: Newsletter, catcher: Catcher) -> None:
    """Neither the tick nor the sender does anything; the words stay the same, whatever signs of life it gives."""
    backup = copy_database(original.url)
    tuesday(original, catcher)
    sent = catcher.accepted.total()
    copy = on_wednesday(backup, original)
    for _ in range(3):
        assert copy.ticker.tick() is None
        assert copy.held() == WORDS
        copy.clock.turn(hours=1)
    with pytest.raises(Stop, match="db adopt"):
        copy.sender(catcher.port).recover()
    assert alerted(copy) == {AlertKind.HELD: WORDS}
    with copy.unit.read() as tx:
        assert list(editions.latest(tx)) == []
        assert slots.get(tx, TUESDAY.date()) is None
    assert catcher.accepted.total() == sent


def test_the_original_is_not_held(original: Newsletter, catcher: Catcher) -> None:
    """A database that knows its ledger goes on without a question."""
    tuesday(original, catcher)
    assert original.held() == ""
    assert ledger_gap(original.unit, original.home) is None
    assert adopt_database(original.unit, original.home, KEYRING, who="pat", now=WEDNESDAY) is None
    assert catcher.accepted.total() == 5


def test_who_left_since_stays_away_and_nothing_goes_out_twice(original: Newsletter, catcher: Catcher) -> None:
    """After adopting, Tuesday counts as sent, its tip is used up, and the next edition goes to those who stayed."""
    backup = copy_database(original.url)
    tuesday(original, catcher)
    copy = on_wednesday(backup, original)
    copy.ticker.tick()
    adoption = adopted(copy)
    assert (list(adoption.editions), adoption.left, adoption.erased, adoption.kept_away) == (["2026-11-03"], 2, 0, 0)
    assert copy.held() == ""
    assert copy.ticker.tick() is None
    with copy.unit.read() as tx:
        slot = slots.get(tx, TUESDAY.date())
        assert [tip.status for tip in tips.all_tips(tx)] == [TipStatus.SENT, TipStatus.APPROVED, TipStatus.APPROVED]
    assert slot is not None
    assert slot.state is SlotState.FROZEN
    assert "as the ledger says" in slot.reason
    assert alerted(copy) == {}
    before = catcher.accepted.copy()
    copy.clock.set(TUESDAY + timedelta(weeks=1))
    edition = copy.ticker.tick()
    assert edition is not None
    assert edition.tip.slug == "tip-1"
    copy.sender(catcher.port).work(threading.Event())
    got = sorted((catcher.accepted - before).elements())
    assert got == ["p0@example.com", "p3@example.com", "p4@example.com"]


def test_the_original_is_held_once_a_copy_was_adopted(original: Newsletter, catcher: Catcher) -> None:
    """Two databases never send side by side: the one that was not adopted stands still and says why."""
    backup = copy_database(original.url)
    tuesday(original, catcher)
    adopted(on_wednesday(backup, original))
    assert "Another copy of it was made the one that counts" in original.held()
    assert original.ticker.tick() is None


def test_an_opt_out_from_a_held_copy_hides_nothing(original: Newsletter, catcher: Catcher) -> None:
    """People may leave while it is held; that their number was given before must not let it send."""
    backup = copy_database(original.url)
    tuesday(original, catcher)
    copy = on_wednesday(backup, original)
    for email in ("p3@example.com", "p4@example.com", "p0@example.com"):
        copy.leaves(email)
    assert "1 edition" in copy.held()
    adoption = adopted(copy)
    assert (list(adoption.editions), adoption.left) == (["2026-11-03"], 2)
    assert [copy.state_of(f"p{n}@example.com") for n in range(5)] == ["unsubscribed"] * 5
    assert copy.held() == ""
    assert "Another copy" in original.held()


def test_the_erased_are_erased_again(original: Newsletter) -> None:
    """No address of theirs is left, not in what people wrote either, and the address is never added again."""
    original.clock.set(MONDAY)
    with original.unit.write() as tx:
        logs.add(tx, logs.LogEntry(at=MONDAY, who="pat", what="note", about="p3@example.com", why="called us"))
    backup = copy_database(original.url)
    original.clock.set(TUESDAY)
    original.erase("p3@example.com")
    copy = on_wednesday(backup, original)
    assert "1 erasure." in copy.held()
    assert adopted(copy).erased == 1
    assert copy.state_of("p3@example.com") == "gone"
    with copy.unit.read() as tx:
        assert not [one for one in logs.latest(tx, count=100) if "p3@" in one.about + one.why]
    assert bring(copy, "email\np3@example.com\n") == "gone"


def bring(newsletter: Newsletter, content: str) -> str:
    """Import a file of one person; return the state that person is in."""
    file = ImportFile(stream=io.BytesIO(content.encode()), name="people.csv")
    import_subscribers(newsletter.unit, KEYRING, file, who="pat", now=newsletter.clock.now())
    return newsletter.state_of(content.rsplit(maxsplit=1)[-1])


def test_who_came_and_left_since_is_not_brought_back_by_a_file(original: Newsletter) -> None:
    """The copy has never heard of them; an old export must not make them readers again."""
    backup = copy_database(original.url)
    original.clock.set(TUESDAY)
    assert bring(original, "email\nnew@example.com\n") == "active"
    original.leaves("new@example.com")
    copy = on_wednesday(backup, original)
    adoption = adopted(copy)
    assert (adoption.left, adoption.kept_away) == (0, 1)
    assert bring(copy, "email\nnew@example.com\n") == "gone"


def test_a_file_that_was_imported_before_the_adopting_brings_nobody_back(original: Newsletter) -> None:
    """Whoever is here again is known by the address, and the one who has the former id now is left in peace."""
    backup = copy_database(original.url)
    original.clock.set(TUESDAY)
    bring(original, "email\nnew@example.com\n")
    original.leaves("new@example.com")
    copy = on_wednesday(backup, original)
    assert bring(copy, "email\nother@example.com\n") == "active"
    assert bring(copy, "email\nnew@example.com\n") == "active"
    assert copy.id_of("other@example.com") == original.id_of("new@example.com")
    assert adopted(copy).left == 1
    assert copy.state_of("new@example.com") == "unsubscribed"
    assert copy.state_of("other@example.com") == "active"


def test_who_changed_the_address_and_left_stays_away(original: Newsletter) -> None:
    """The copy knows them by their id, since it has never heard of the new address."""
    backup = copy_database(original.url)
    original.clock.set(TUESDAY)
    changes = Changes(address=parse_address("fresh@example.com"))
    edit_subscriber(
        original.unit, KEYRING, original.id_of("p1@example.com"), changes, who="pat", now=original.clock.now()
    )
    original.leaves("fresh@example.com")
    copy = on_wednesday(backup, original)
    assert adopted(copy).left == 1
    assert copy.state_of("p1@example.com") == "unsubscribed"


def test_an_edition_under_way_in_the_copy_is_paused_and_reported(original: Newsletter, catcher: Catcher) -> None:
    """Some of it may have gone out since; a person decides, and hears of it."""
    original.clock.set(TUESDAY)
    assert original.ticker.tick() is not None
    backup = copy_database(original.url)
    original.sender(catcher.port).work(threading.Event())
    original.leaves("p1@example.com")
    copy = on_wednesday(backup, original)
    adoption = adopted(copy)
    assert (list(adoption.paused), list(adoption.editions), adoption.left) == (["2026-11-03"], [], 1)
    with copy.unit.read() as tx:
        (paused_edition,) = editions.latest(tx)
    assert paused_edition.status is EditionStatus.PAUSED
    assert "edition resume 2026-11-03" in alerted(copy)[AlertKind.EDITION_PAUSED]
    before = catcher.accepted.copy()
    copy.sender(catcher.port).work(threading.Event())
    assert catcher.accepted == before


def test_an_evergreen_that_went_out_since_rests(original: Newsletter, catcher: Catcher) -> None:
    """It is not sent again the week after; its pin on that date has had its day."""
    with original.unit.write() as tx:
        values = {"evergreen": True, "pin": TUESDAY.date()}
        tx.execute(tip_table.update().where(tip_table.c.slug == "tip-0").values(**values))
    backup = copy_database(original.url)
    tuesday(original, catcher)
    copy = on_wednesday(backup, original)
    adopted(copy)
    with copy.unit.read() as tx:
        tip = tips.by_slug(tx, "tip-0")
    assert tip is not None
    assert (tip.first_published, tip.pin, tip.status) == (TUESDAY.date(), None, TipStatus.APPROVED)


def test_a_tip_that_was_written_since_is_named(original: Newsletter, catcher: Catcher) -> None:
    """It went out and is not here: added again it would go out twice, so it is told."""
    backup = copy_database(original.url)
    add_tip(original.unit, "fresh", pin=TUESDAY.date())
    tuesday(original, catcher)
    adoption = adopted(on_wednesday(backup, original))
    assert list(adoption.lost_tips) == ["fresh"]


def test_adopting_twice_does_nothing_the_second_time(original: Newsletter, catcher: Catcher) -> None:
    """Once is enough, and the log says who did it."""
    backup = copy_database(original.url)
    tuesday(original, catcher)
    copy = on_wednesday(backup, original)
    adopted(copy)
    assert adopt_database(copy.unit, copy.home, KEYRING, who="pat", now=WEDNESDAY) is None
    with copy.unit.read() as tx:
        (entry,) = [one for one in logs.latest(tx, count=10) if one.what == "db adopt"]
    assert (entry.who, entry.why) == ("pat", "1 edition and 2 opt-outs from the ledger; editions paused: none")


def test_a_backup_that_is_older_than_an_adopted_copy_is_held_too(original: Newsletter, catcher: Catcher) -> None:
    """The same backup, put back a second time, lags behind what was adopted."""
    backup = copy_database(original.url)
    again = copy_database(original.url)
    tuesday(original, catcher)
    adopted(on_wednesday(backup, original))
    copy = on_wednesday(again, original)
    assert copy.held() != ""
    assert adopted(copy).left == 2


def test_a_ledger_that_is_put_right_by_hand_lets_go(original: Newsletter, catcher: Catcher) -> None:
    """What held is gone, and the alert with it."""
    backup = copy_database(original.url)
    tuesday(original, catcher)
    copy = on_wednesday(backup, original)
    assert copy.held() == WORDS
    copy.home.ledger.path.unlink()
    assert copy.held() == ""
    assert alerted(copy) == {}


def test_a_ledger_that_cannot_be_written_is_reported(original: Newsletter) -> None:
    """Whoever leaves has left; the people who run this hear that the ledger is not kept, and that it is again."""
    journal = original.home.ledger.path.parent
    aside = journal.with_name("aside")
    if journal.exists():
        journal.rename(aside)
    journal.write_text("in the way")
    original.leaves("p1@example.com")
    assert original.state_of("p1@example.com") == "unsubscribed"
    assert original.held() == ""
    assert "cannot be written" in alerted(original)[AlertKind.DATABASE]
    journal.unlink()
    assert original.held() == ""
    assert alerted(original) == {}
    assert original.home.ledger.look().top(identity(original)) == 1


def identity(newsletter: Newsletter) -> str:
    """Return the name that the ledger knows a database by."""
    with newsletter.unit.read() as tx:
        return installations.get(tx).identity


def test_an_opt_out_between_two_looks_holds_nothing(original: Newsletter) -> None:
    """The ledger is looked at first: what it bears then, the database knows."""
    original.leaves("p1@example.com")
    seen = original.home.ledger.look

    def busy() -> object:
        identity_seen = seen()
        original.leaves("p2@example.com")
        return identity_seen

    real = original.home.ledger
    kept = {name: getattr(real, name) for name in ("fault", "even_out", "is_lost", "original", "occupy")}
    ledger = type("Busy", (), {"look": staticmethod(busy)} | kept)()
    racing = replace(original, home=replace(original.home, ledger=ledger))
    assert racing.held() == ""


def test_holding_costs_one_read_when_all_is_well(original: Newsletter) -> None:
    """With a hundred thousand lines a tick reads none of them and writes nothing."""
    name = identity(original)
    lines = [
        LedgerEntry(database=name, seq=number, kind=LedgerKind.LEFT, at=MONDAY, about=str(number), canonical="p@q")
        for number in range(1, 2_001)
    ]
    original.home.ledger.append(lines)
    with original.unit.write() as tx:
        installations.settle_in(tx, machine="this machine", ledger_seq=2_000)
    assert original.held() == ""
    first = original.home.ledger.look()
    commands_run: list[str] = []
    event.listen(original.unit._engine, "before_cursor_execute", lambda *a: commands_run.append(a[2]))
    assert original.held() == ""
    assert original.home.ledger.look() is first
    assert len([one for one in commands_run if one.startswith("SELECT")]) <= 3
    assert not [one for one in commands_run if one.startswith(("INSERT", "UPDATE"))]
