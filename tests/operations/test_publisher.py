"""The publisher on a real store: when the tip of an edition is found, when it is listed, and when neither."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import delete, update

from newsletter.core.archive_page import ArchivePage
from newsletter.core.edition import Edition
from newsletter.core.tip import draft_of
from newsletter.core.tip_file import render_tip_file
from newsletter.core.wave import WaveRules
from newsletter.flows.freeze import RenderContext, freeze
from newsletter.flows.hold import cancel_edition, pause_edition, resume_edition
from newsletter.flows.queue_tip import TipText, TipValidation, edit_tip
from newsletter.flows.replace_edition import replace_edition
from newsletter.operations.publisher import PAGES_PER_ROUND_MAX, Publisher
from newsletter.operations.ticker import Ticker
from newsletter.store import edition as editions
from newsletter.store import page as pages
from newsletter.store import page_list, redirect
from newsletter.store import tip as tips
from newsletter.store.schema import delivery, edition, page, slot, subscriber
from newsletter.store.schema import tip as tip_table
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START, FixedClock
from tests.edition_fixtures import CADENCE, PUBLICATION, TUESDAY, add_people, add_tip, first_slot
from tests.store.page_fixtures import add_pages, new_page

DAY = TUESDAY.date()

Frozen = Callable[[int], Edition]


@pytest.fixture
def publisher(unit: Unit) -> Publisher:
    """Return a publisher without a delay."""
    return Publisher(unit=unit, publication=PUBLICATION)


def find(unit: Unit, slug: str = "name-your-branches") -> ArchivePage | None:
    """Return the page of a name."""
    with unit.read() as tx:
        return pages.find_page(tx, slug)


def listed(unit: Unit) -> list[str]:
    """Return the names in the list of the archive."""
    with unit.read() as tx:
        return [entry.slug for entry in page_list.newest(tx, count=100)]


def test_the_address_works_for_the_first_reader_and_the_list_follows(
    unit: Unit, frozen: Frozen, publisher: Publisher, clock: FixedClock
) -> None:
    """The page is there when the edition is; the publisher enters it into the list, once."""
    frozen(3)
    page_of_mail = find(unit)
    assert page_of_mail is not None
    assert page_of_mail.html == "<p>Hello there,</p>\n<p>a short name says more than a number.</p>"
    assert (page_of_mail.listed, listed(unit)) == (False, [])
    assert publisher.work(clock.now()) == 1
    assert listed(unit) == ["name-your-branches"]
    assert publisher.work(clock.now()) == 0


def test_a_delay_holds_back_the_list_alone(unit: Unit, frozen: Frozen, clock: FixedClock) -> None:
    """Readers of the mail have the tip at once, the public after the hours of the setting."""
    publisher = Publisher(unit=unit, publication=PUBLICATION, delay=timedelta(hours=24))
    frozen(3)
    clock.turn(seconds=24 * 3600 - 1)
    publisher.work(clock.now())
    assert (listed(unit), find(unit) is not None) == ([], True)
    clock.turn(seconds=1)
    publisher.work(clock.now())
    assert listed(unit) == ["name-your-branches"]


def test_the_list_waits_for_the_last_wave(
    unit: Unit, clock: FixedClock, render_context: RenderContext, publisher: Publisher
) -> None:
    """Where each reader has their own hour, the tip is listed when the last of these hours has come."""
    add_people(unit, 2)
    add_tip(unit)
    with unit.write() as tx:
        tx.execute(update(subscriber).where(subscriber.c.id == 1).values(time_zone="Asia/Tokyo"))
        tx.execute(update(subscriber).where(subscriber.c.id == 2).values(time_zone="Pacific/Honolulu"))
    local = replace(CADENCE, locally=True)
    slot_of_day = replace(first_slot(), sends_at=TUESDAY - timedelta(hours=14), home=TUESDAY)
    waves = WaveRules(cadence=local, grace=timedelta(hours=36))
    clock.set(slot_of_day.sends_at)
    freeze(unit, replace(render_context, waves=waves), slot_of_day, now=clock.now())
    assert find(unit) is not None
    clock.set(TUESDAY + timedelta(hours=4))
    publisher.work(clock.now())
    assert listed(unit) == []
    clock.set(TUESDAY + timedelta(hours=5))
    publisher.work(clock.now())
    assert listed(unit) == ["name-your-branches"]


def test_a_pause_holds_back_the_list(unit: Unit, frozen: Frozen, publisher: Publisher, clock: FixedClock) -> None:
    """A person who pauses an edition has found something wrong; the list waits for what they decide."""
    held = frozen(3)
    pause_edition(unit, held, who="ada", why="a typo", now=clock.now())
    publisher.work(clock.now())
    assert listed(unit) == []
    resume_edition(unit, held, who="ada", now=clock.now())
    publisher.work(clock.now())
    assert listed(unit) == ["name-your-branches"]


def test_a_cancelled_edition_that_reached_no_reader_has_no_page(
    unit: Unit, frozen: Frozen, publisher: Publisher, clock: FixedClock
) -> None:
    """The page that was written for its mail goes at once, and nothing is published."""
    cancel_edition(unit, frozen(3), who="ada", why="", now=clock.now())
    assert find(unit) is None
    publisher.work(clock.now())
    assert (listed(unit), find(unit)) == ([], None)


def reach_one(unit: Unit) -> None:
    """Let one reader have got it."""
    with unit.write() as tx:
        tx.execute(update(delivery).where(delivery.c.id == 1).values(state="accepted", attempts=1))


def test_a_cancelled_edition_that_reached_a_reader_is_published(
    unit: Unit, frozen: Frozen, publisher: Publisher, clock: FixedClock
) -> None:
    """The address stands in a mail that somebody has."""
    held = frozen(3)
    reach_one(unit)
    cancel_edition(unit, held, who="ada", why="", now=clock.now())
    publisher.work(clock.now())
    assert listed(unit) == ["name-your-branches"]


def test_a_replaced_edition_changes_the_text(
    unit: Unit, frozen: Frozen, publisher: Publisher, clock: FixedClock, render_context: RenderContext
) -> None:
    """The wrong tip is gone from the archive at once, and its address leads to the right one."""
    wrong = frozen(3)
    reach_one(unit)
    publisher.work(clock.now())
    add_tip(unit, "the-right-tip")
    with unit.read() as tx:
        right = tips.by_slug(tx, "the-right-tip")
    assert right is not None
    replace_edition(unit, render_context, wrong, right, who="ada", why="", now=clock.now())
    assert (find(unit), listed(unit)) == (None, [])
    publisher.work(clock.now())
    assert listed(unit) == ["the-right-tip"]
    with unit.read() as tx:
        assert redirect.find(tx, "/tips/name-your-branches") == "the-right-tip"


def test_a_tip_that_was_replaced_before_the_list_never_gets_there(
    unit: Unit, frozen: Frozen, publisher: Publisher, clock: FixedClock, render_context: RenderContext
) -> None:
    """A person pauses, then replaces: the archive had not decided about the wrong tip, and never publishes it.

    Nor does the archive of an installation that replaced it before there was one.
    """
    wrong = frozen(3)
    reach_one(unit)
    pause_edition(unit, wrong, who="ada", why="a wrong tip", now=clock.now())
    publisher.work(clock.now())
    add_tip(unit, "the-right-tip")
    with unit.read() as tx:
        wrong, right = editions.by_id(tx, wrong.id), tips.by_slug(tx, "the-right-tip")
    assert right is not None
    replace_edition(unit, render_context, wrong, right, who="ada", why="", now=clock.now())
    publisher.work(clock.now())
    assert (find(unit), listed(unit)) == (None, ["the-right-tip"])
    with unit.write() as tx:
        tx.execute(update(edition).values(archived=False))
    publisher.work(clock.now())
    assert (find(unit), listed(unit)) == (None, ["the-right-tip"])


def test_a_replaced_evergreen_keeps_the_page_of_its_first_date(
    unit: Unit, publisher: Publisher, clock: FixedClock, render_context: RenderContext
) -> None:
    """What the public had before the wrong edition stays where it was."""
    add_people(unit, 3)
    add_tip(unit, evergreen=True, first_published=date(2020, 1, 7))
    clock.set(TUESDAY)
    wrong = freeze(unit, render_context, first_slot(), now=clock.now()).edition
    assert wrong is not None
    reach_one(unit)
    add_tip(unit, "the-right-tip")
    with unit.read() as tx:
        right = tips.by_slug(tx, "the-right-tip")
    assert right is not None
    replace_edition(unit, render_context, wrong, right, who="ada", why="", now=clock.now())
    publisher.work(clock.now())
    assert listed(unit) == ["the-right-tip", "name-your-branches"]


def test_an_evergreen_has_its_first_and_its_last_date(
    unit: Unit, publisher: Publisher, clock: FixedClock, render_context: RenderContext
) -> None:
    """A tip from before this program keeps its date, and tells when it went out last."""
    add_people(unit, 1)
    add_tip(unit, evergreen=True, first_published=date(2014, 7, 8))
    clock.set(TUESDAY)
    freeze(unit, render_context, first_slot(), now=clock.now())
    publisher.work(clock.now())
    evergreen = find(unit)
    assert evergreen is not None
    assert (evergreen.entry.published_on, evergreen.entry.sent_on) == (date(2014, 7, 8), DAY)


def test_a_tip_may_stay_out_of_the_lists(
    unit: Unit, publisher: Publisher, clock: FixedClock, render_context: RenderContext
) -> None:
    """`listed: false` keeps the address of its mail, and no list ever has it."""
    add_people(unit, 1)
    add_tip(unit, listed=False)
    clock.set(TUESDAY)
    freeze(unit, render_context, first_slot(), now=clock.now())
    publisher.work(clock.now())
    assert (listed(unit), find(unit) is not None) == ([], True)


def test_the_page_of_an_import_becomes_the_page_of_its_tip(
    unit: Unit, frozen: Frozen, publisher: Publisher, clock: FixedClock
) -> None:
    """An imported page keeps its date and its place when the tip of the same name goes out."""
    add_pages(unit, new_page("name-your-branches", date(2012, 1, 3)))
    frozen(1)
    publisher.work(clock.now())
    known = find(unit)
    assert known is not None
    assert known.html.startswith("<p>Hello there,")
    assert (known.entry.published_on, known.entry.sent_on, known.listed) == (date(2012, 1, 3), DAY, True)


def add_old_editions(unit: Unit, count: int, *, body: str = "One idea.") -> None:
    """Write editions as an installation without an archive has them: tips that were sent, and no page."""
    days = [date(2020, 1, 7) + timedelta(weeks=week) for week in range(count)]
    with unit.write() as tx:
        for number, day in enumerate(days, start=1):
            tx.execute(slot.insert().values(date=day, sends_at=START, extra=False, state="frozen", changed_at=START))
            tx.execute(tip_table.insert().values(
                id=number, slug=f"old-{number}", title=f"Old {number}", subject="x", evergreen=False, status="sent",
                body=body, position=number, changed_at=START,
            ))  # fmt: skip
            tx.execute(edition.insert().values(
                date=day, number=1, tip_id=number, tip_slug=f"old-{number}", title=f"Old {number}", source="queue",
                why="", status="finished", audience=1, content="{}", nonce="a", sends_at=START, started_at=START,
                finished_at=START, tip_used=True, totals={},
            ))  # fmt: skip


def test_earlier_editions_are_published_some_at_a_time(unit: Unit, publisher: Publisher, clock: FixedClock) -> None:
    """An installation from before the archive has all its tips there after a few rounds, each with its date."""
    add_old_editions(unit, PAGES_PER_ROUND_MAX + 3)
    assert publisher.work(clock.now()) == PAGES_PER_ROUND_MAX
    assert len(listed(unit)) == PAGES_PER_ROUND_MAX
    assert publisher.work(clock.now()) == 3
    assert publisher.work(clock.now()) == 0
    oldest = find(unit, "old-1")
    assert oldest is not None
    assert (oldest.entry.published_on, oldest.entry.sent_on) == (date(2020, 1, 7), date(2020, 1, 7))


def test_a_tip_that_cannot_be_rendered_holds_up_no_other(
    unit: Unit, publisher: Publisher, clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is named in the log once, and has no page."""
    add_old_editions(unit, 2)
    with unit.write() as tx:
        tx.execute(update(tip_table).where(tip_table.c.id == 1).values(body="{{ nonsense }}"))
    publisher.work(clock.now())
    assert listed(unit) == ["old-2"]
    assert publisher.work(clock.now()) == 0
    assert [record.message for record in caplog.records if "old-1" in record.message] != []


def test_the_tick_publishes(unit: Unit, ticker: Ticker, clock: FixedClock) -> None:
    """A service that ticks has its tip in the archive after the tick that froze it."""
    add_people(unit, 1)
    add_tip(unit)
    ticker = replace(ticker, publisher=Publisher(unit=unit, publication=PUBLICATION))
    ticker.tick()
    clock.set(TUESDAY)
    ticker.tick()
    assert listed(unit) == ["name-your-branches"]


def test_two_publishers_publish_once(unit: Unit, frozen: Frozen, publisher: Publisher, clock: FixedClock) -> None:
    """The mark on the edition decides: what one process did, another does not do again."""
    held = frozen(1)
    with unit.write() as tx:
        assert editions.mark_archived(tx, held.id)
        assert not editions.mark_archived(tx, held.id)
    assert publisher.work(clock.now()) == 0


def test_a_tip_can_be_deleted_beside_its_page(unit: Unit) -> None:
    """A page of an import outlives the tip that was made from the same post."""
    add_tip(unit)
    with unit.write() as tx:
        known = tips.by_slug(tx, "name-your-branches")
        assert known is not None
        pages.add_page(tx, new_page("a", tip_id=known.id), now=START)
        tx.execute(delete(tip_table).where(tip_table.c.id == known.id))
        assert tx.execute(page.select()).one().tip_id is None


def edit(unit: Unit, render_context: RenderContext, clock: FixedClock, **changes: object) -> None:
    """Edit the file of the tip as a person does."""
    with unit.read() as tx:
        known = tips.by_slug(tx, "name-your-branches")
    assert known is not None
    draft = replace(draft_of(known), **changes)  # type: ignore[arg-type]
    review = TipValidation(render_context=render_context, cadence=CADENCE, now=clock.now())
    edit_tip(unit, known, TipText(name="a.md", text=render_tip_file(draft)), review, who="ada")


def test_a_corrected_tip_corrects_its_page(
    unit: Unit, frozen: Frozen, publisher: Publisher, clock: FixedClock, render_context: RenderContext
) -> None:
    """A person who mends the file of a tip that went out mends its page, which says when; its place stays."""
    frozen(1)
    publisher.work(clock.now())
    clock.turn(seconds=3 * 86_400)
    edit(unit, render_context, clock, body="A *right* word.")
    mended = find(unit)
    assert mended is not None
    assert (mended.html, mended.corrected_on) == ("<p>A <em>right</em> word.</p>", DAY + timedelta(days=3))
    assert (mended.entry.published_on, listed(unit)) == (DAY, ["name-your-branches"])


def test_other_topics_are_no_correction(
    unit: Unit, frozen: Frozen, publisher: Publisher, clock: FixedClock, render_context: RenderContext
) -> None:
    """A page whose text is the same has its new topics and says nothing; it leaves the lists and comes back."""
    frozen(1)
    publisher.work(clock.now())
    edit(unit, render_context, clock, tags=("names",), listed=False)
    hidden = find(unit)
    assert hidden is not None
    assert (hidden.corrected_on, [topic.slug for topic in hidden.entry.topics], listed(unit)) == (None, ["names"], [])
    edit(unit, render_context, clock, listed=True)
    assert listed(unit) == ["name-your-branches"]
    with unit.read() as tx:
        assert [entry.slug for entry in page_list.of_topic(tx, "names", count=10)] == ["name-your-branches"]


def test_a_correction_before_the_list_does_not_hurry_it(
    unit: Unit, frozen: Frozen, clock: FixedClock, render_context: RenderContext
) -> None:
    """A page that waits for its hour has its new text and waits on."""
    publisher = Publisher(unit=unit, publication=PUBLICATION, delay=timedelta(hours=24))
    frozen(1)
    edit(unit, render_context, clock, body="Right.")
    mended = find(unit)
    assert mended is not None
    assert (mended.html, listed(unit)) == ("<p>Right.</p>", [])
    clock.turn(seconds=86_400)
    publisher.work(clock.now())
    assert listed(unit) == ["name-your-branches"]


def test_the_page_of_an_evergreen_waits_for_its_next_mail(
    unit: Unit, publisher: Publisher, clock: FixedClock, render_context: RenderContext
) -> None:
    """A text that no reader has yet, as that of an evergreen between two dates, is on no page."""
    add_people(unit, 1)
    add_tip(unit, evergreen=True)
    clock.set(TUESDAY)
    freeze(unit, render_context, first_slot(), now=clock.now())
    publisher.work(clock.now())
    edit(unit, render_context, clock, body="A draft.")
    shown = find(unit)
    assert shown is not None
    assert "A draft" not in shown.html
