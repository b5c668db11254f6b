"""Pages of the archive in the store, on both databases: written once, found by name, listed in order."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from newsletter.core.archive_page import NewPage, topics_of
from newsletter.core.old_path import old_path
from newsletter.store import page as pages
from newsletter.store import page_list, redirect
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.store.page_fixtures import FIRST_DAY, add_pages, new_page, weekly


def slugs(unit: Unit, *, skip: int = 0, count: int = 10) -> list[str]:
    """Return the listed pages, the newest first."""
    with unit.read() as tx:
        return [entry.slug for entry in page_list.newest(tx, count=count, skip=skip)]


def version(unit: Unit) -> int:
    """Return the number that changes of pages raise."""
    with unit.read() as tx:
        return pages.archive_version(tx)


def test_a_page_comes_back_as_it_was_written(unit: Unit) -> None:
    """Text, topics, series and dates are kept; the beginning for lists and the minutes are counted from the text."""
    new = new_page(
        "say-no", text="word " * 300, tags=("upset", "Co-Worker"), author="The desk", series="three-steps", part=2
    )
    add_pages(unit, new)
    with unit.read() as tx:
        page = pages.find_page(tx, "say-no")
    assert page is not None
    assert (page.entry.title, page.html, page.author, page.series, page.part) == (
        "Say no",
        new.html,
        "The desk",
        "three-steps",
        2,
    )
    assert (page.entry.excerpt, page.entry.reading_minutes) == ("word " * 55 + "…", 1)
    assert page.entry.topics == topics_of(["upset", "Co-Worker"])
    assert (page.entry.published_on, page.entry.sent_on, page.corrected_on) == (FIRST_DAY, FIRST_DAY, None)


def test_a_name_has_one_page(unit: Unit) -> None:
    """A second page of a name is not written, and the first one stays as it is."""
    [first] = add_pages(unit, new_page("a"))
    assert add_pages(unit, new_page("a", text="Other.")) == []
    with unit.read() as tx:
        page = pages.find_page(tx, "a")
    assert page is not None
    assert (page.entry.id, page.text) == (first, "Text of a.")


def test_lists_are_newest_first_and_ten_at_a_time(unit: Unit) -> None:
    """Pages of one day stand in the order in which they were written; a deep page has the next ten."""
    add_pages(unit, *weekly(23), new_page("same-day", FIRST_DAY))
    assert slugs(unit) == [f"tip-{n}" for n in range(22, 12, -1)]
    assert slugs(unit, skip=20) == ["tip-2", "tip-1", "same-day", "tip-0"]


def test_an_unlisted_page_has_its_address_alone(unit: Unit) -> None:
    """It is in no list, year, topic or count, and not between two neighbours, until it is listed."""
    _, hidden, _ = add_pages(
        unit, new_page("a"), new_page("b", listed=False, tags=("upset",), on=FIRST_DAY), new_page("c")
    )
    with unit.write() as tx:
        assert pages.find_page(tx, "b") is not None
        counts = page_list.counts(tx, version=1)
        assert (counts.pages, counts.topics, page_list.of_topic(tx, "upset", count=10)) == (2, (), [])
        assert [entry.slug for entry in page_list.of_year(tx, 2020)] == ["c", "a"]
        first = pages.find_page(tx, "a")
        assert first is not None
        newer = page_list.neighbours(tx, first.entry).newer
        assert newer is not None
        assert newer.slug == "c"
        assert pages.list_page(tx, hidden, now=START)
        assert not pages.list_page(tx, hidden, now=START)
        assert [entry.slug for entry in page_list.of_topic(tx, "upset", count=10)] == ["b"]
    assert slugs(unit) == ["c", "b", "a"]


def test_counts_are_by_year_and_topic(unit: Unit) -> None:
    """Years stand newest first and topics in alphabetical order, each with the number of its pages."""
    add_pages(
        unit,
        new_page("a", date(2010, 7, 8), tags=("upset", "Étiquette")),
        new_page("b", date(2014, 7, 8), tags=("upset",)),
        new_page("c", date(2014, 7, 15)),
    )
    with unit.read() as tx:
        counts = page_list.counts(tx, version=3)
    assert (counts.pages, counts.years) == (3, ((2014, 2), (2010, 1)))
    assert [(item.topic.slug, item.topic.title, item.count) for item in counts.topics] == [
        ("upset", "upset", 2),
        ("etiquette", "Étiquette", 1),
    ]
    assert counts.of_topic("elsewhere") is None


def test_neighbours_are_those_of_the_same_list(unit: Unit) -> None:
    """Each page's older and newer one are what stands below and above it; the ends have one neighbour."""
    add_pages(unit, *weekly(4), new_page("twin", FIRST_DAY + timedelta(weeks=2)))
    order = slugs(unit)
    with unit.read() as tx:
        for place, slug in enumerate(order):
            page = pages.find_page(tx, slug)
            assert page is not None
            beside = page_list.neighbours(tx, page.entry)
            assert (beside.newer.slug if beside.newer else None) == (order[place - 1] if place else None)
            assert (beside.older.slug if beside.older else None) == (order[place + 1] if order[place + 1 :] else None)


def test_parts_of_a_series_keep_their_order(unit: Unit) -> None:
    """Part one comes first, whatever its date."""
    add_pages(
        unit,
        new_page("b", FIRST_DAY, series="steps", part=2),
        new_page("a", date(2021, 1, 1), series="steps", part=1),
    )
    with unit.read() as tx:
        assert [entry.slug for entry in page_list.of_series(tx, "steps")] == ["a", "b"]


def test_what_went_out_last_may_be_an_old_page(unit: Unit) -> None:
    """An evergreen that is sent again keeps its place in the lists, and is the last one that went out."""
    first, *_ = add_pages(unit, *weekly(3))
    with unit.write() as tx:
        pages.record_sending(tx, first, date(2026, 11, 3), now=START)
        assert page_list.latest_sent(tx) == first
        page = pages.find_page(tx, "tip-0")
    assert page is not None
    assert (page.entry.published_on, page.entry.sent_on) == (FIRST_DAY, date(2026, 11, 3))
    assert slugs(unit)[-1] == "tip-0"


def test_another_text_keeps_the_place_of_a_page(unit: Unit) -> None:
    """A corrected page has its new text and topics, its old dates, and the day of the correction."""
    [page_id] = add_pages(unit, new_page("a", tags=("upset",)))
    with unit.write() as tx:
        changed = new_page("a", date(2026, 1, 1), text="Right.", tags=("calm",))
        pages.rewrite_page(tx, page_id, changed, corrected_on=date(2026, 11, 3), now=START)
        page = pages.find_page(tx, "a")
        assert page is not None
        assert (page.text, page.entry.published_on, page.corrected_on) == ("Right.", FIRST_DAY, date(2026, 11, 3))
        assert page_list.of_topic(tx, "upset", count=10) == []
        assert [entry.slug for entry in page_list.of_topic(tx, "calm", count=10)] == ["a"]


def test_a_page_that_is_renamed_is_found_by_both_names(unit: Unit) -> None:
    """The old address leads to the new one; a name that another page has is not taken."""
    first, _ = add_pages(unit, new_page("a"), new_page("b"))
    with unit.write() as tx:
        pages.rewrite_page(tx, first, new_page("c"), now=START)
        assert pages.find_page(tx, "a") is None
        assert redirect.find(tx, "/tips/a") == "c"
        pages.rewrite_page(tx, first, new_page("b", text="Mine."), now=START)
        page = pages.find_page(tx, "c")
        assert page is not None
        assert page.text == "Mine."


def test_every_change_raises_the_version(unit: Unit) -> None:
    """A cache that has the same number as the database has the same pages."""
    numbers = [version(unit)]
    [page_id] = add_pages(unit, new_page("a", listed=False))
    numbers.append(version(unit))
    changes = [
        lambda tx: pages.list_page(tx, page_id, now=START),
        lambda tx: pages.record_sending(tx, page_id, date(2026, 1, 1), now=START),
        lambda tx: pages.rewrite_page(tx, page_id, new_page("a"), now=START),
        lambda tx: pages.remove_page(tx, page_id),
    ]
    for change in changes:
        with unit.write() as tx:
            change(tx)
        numbers.append(version(unit))
    assert numbers == sorted(set(numbers))
    assert slugs(unit) == []


def test_old_addresses_lead_to_a_page(unit: Unit) -> None:
    """An address of an archive before this one is found however it is written; it goes with its page."""
    with unit.write() as tx:
        paths = [old_path("https://www.example.com/2014/07/Defend-Without/"), old_path("/?p=123")]
        page_id = pages.add_page(tx, new_page("defend"), now=START, old_paths=paths)
        assert page_id is not None
        assert redirect.find(tx, old_path("/2014/07/defend-without")) == "defend"
        assert redirect.find(tx, old_path("/?p=123&utm_source=mail")) == "defend"
        assert redirect.find(tx, old_path("/2014/07/other")) is None
        assert redirect.all_redirects(tx) == [("/2014/07/defend-without", "defend"), ("/?p=123", "defend")]
        pages.remove_page(tx, page_id)
        assert redirect.all_redirects(tx) == []


@given(address=st.text(max_size=60))
def test_any_address_has_one_form(address: str) -> None:
    """Whatever is asked for has a form of its own, which is the form of that form."""
    stored = old_path(address)
    assert "\0" not in stored
    assert len(stored) <= 500


def test_characters_that_no_page_shows_are_dropped(unit: Unit) -> None:
    """Control characters and half surrogates of a hostile import are stored on neither database."""
    add_pages(unit, NewPage(
        slug="a", title="A\x00b\n c\ud800", html="<p>\x02\x0b</p>", text="x\x1fy", language="en",
        published_on=FIRST_DAY,
    ))  # fmt: skip
    with unit.read() as tx:
        page = pages.find_page(tx, "a")
    assert page is not None
    assert (page.entry.title, page.html, page.text) == ("Ab c?", "<p></p>", "xy")
