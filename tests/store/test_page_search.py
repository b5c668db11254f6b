"""The search of the archive on both databases: words find pages, and no text of a query is a command."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from newsletter.core.search_words import search_phrases
from newsletter.store import page as pages
from newsletter.store.database import connect, open_unit
from newsletter.store.page_search import (
    _SQLITE_BY_FIT,
    _SQLITE_NEWEST,
    RANKED_PAGES_MAX,
    SearchHit,
    search_pages,
)
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START
from tests.store.page_fixtures import add_pages, new_page


@pytest.fixture
def archive(unit: Unit) -> Unit:
    """Return a database with a few pages."""
    add_pages(
        unit,
        new_page("branches", date(2014, 1, 7), text="Name your branches: a café on the corner, said the customers."),
        new_page("queue", date(2020, 1, 7), text="Customers who queue want to know how long. " * 30),
        new_page("hidden", date(2021, 1, 5), text="Customers of a hidden page.", listed=False),
        new_page("garten", date(2022, 1, 4), text="Die Gärten der Häuser.", language="de"),
    )
    return unit


def search(unit: Unit, text: str, *, language: str = "en", by_fit: bool = False) -> list[SearchHit]:
    """Return the pages that have what was typed."""
    with unit.read() as tx:
        return list(search_pages(tx, search_phrases(text), language=language, count=10, by_fit=by_fit))


@pytest.mark.parametrize(
    ("query", "slugs"),
    [
        ("customer", ["queue", "branches"]),
        ("customers naming", ["branches"]),
        ("cafe", ["branches"]),
        ("CAFÉ", ["branches"]),
        ('"name your branches"', ["branches"]),
        ('"branches your name"', []),
        ("queue", ["queue"]),
        ("unheard", []),
        ("customer AND unheard", []),
        ("custom*", ["queue", "branches"]),
        ("* OR NEAR( ^ : -", []),
        ("", []),
        ("'; DROP TABLE page; --", []),
        ('"', []),
        ("%", []),
    ],
)
@pytest.mark.parametrize("by_fit", [False, True])
def test_words_find_pages(archive: Unit, query: str, slugs: list[str], *, by_fit: bool) -> None:
    """Stems and letters without accents count; phrases keep their order; signs and operators mean nothing."""
    hits = search(archive, query, by_fit=by_fit)
    assert sorted(hit.entry.slug for hit in hits) == sorted(slugs)
    if not by_fit:
        assert [hit.entry.slug for hit in hits] == slugs


def test_a_hit_shows_its_words(archive: Unit) -> None:
    """The part of the text that has the words is shown, in pieces, with the words marked."""
    [hit] = search(archive, "branches")
    assert [piece for piece, marked in hit.snippet if marked] == ["branches"]
    assert "".join(piece for piece, _ in hit.snippet).startswith("Name your branches: a café")
    long, _ = search(archive, "customer")
    assert len("".join(piece for piece, _ in long.snippet).split()) <= 45


def test_a_language_has_its_own_stems_on_postgresql(archive: Unit) -> None:
    """A German page is found by another form of its word where the database knows German."""
    assert [hit.entry.slug for hit in search(archive, "Gärten", language="de")] == ["garten"]
    if archive.dialect == "postgresql":
        assert [hit.entry.slug for hit in search(archive, "Haus", language="de")] == ["garten"]


def test_the_index_follows_its_pages(archive: Unit) -> None:
    """A text that changed is found by its new words alone, and a page that is gone by none."""
    with archive.write() as tx:
        page = pages.find_page(tx, "branches")
        assert page is not None
        pages.rewrite_page(tx, page.entry.id, new_page("branches", text="Elsewhere now."), now=START)
    assert search(archive, "cafe") == []
    assert [hit.entry.slug for hit in search(archive, "elsewhere")] == ["branches"]
    with archive.write() as tx:
        pages.remove_page(tx, page.entry.id)
    assert search(archive, "elsewhere") == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(query=st.one_of(st.text(max_size=40), st.text(alphabet='abc"*:^()-+{}[]ANDORTE \x00\x02é', max_size=40)))
def test_no_query_is_an_error(archive: Unit, query: str) -> None:
    """Every text is words or nothing; each hit can be shown."""
    for hit in search(archive, query):
        assert all("\x02" not in piece and "\x03" not in piece for piece, _ in hit.snippet)


def test_a_search_reads_its_hits_at_once(sqlite_url: str) -> None:
    """On SQLite the newest hits come from the index by date, and no plan looks up every page that has the word."""
    engine = connect(sqlite_url)
    values = {"query": '"customer"', "count": 10, "skip": 0, "most": RANKED_PAGES_MAX}
    with open_unit(engine).read() as tx:
        newest, by_fit = (
            [row[3] for row in tx.execute(text(f"EXPLAIN QUERY PLAN {statement}"), values)]
            for statement in (_SQLITE_NEWEST, _SQLITE_BY_FIT)
        )
    engine.dispose()
    assert "SCAN page USING INDEX ix_page_published_on" in newest
    assert not [step for step in newest if "TEMP B-TREE" in step]
    # `=` in the index of FTS5 is a look-up of one row at a time.
    assert not [step for step in by_fit if "INDEX 0:=" in step]
