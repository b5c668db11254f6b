"""Full-text search of the listed pages, newest first or by how well they fit.

In: phrases of words. Out: entries, each with the part of its text that has the words, and which of it are the words.
The index itself is described in `store/page_index.py`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Text, bindparam, text

from newsletter.core.archive_page import PageEntry, PageId
from newsletter.core.search_words import Phrase
from newsletter.store.page_index import STEMMERS
from newsletter.store.page_list import find_entries
from newsletter.store.unit import Tx

RANKED_PAGES_MAX = 1_000
"""By fit, the newest so many pages that have the words are compared."""

_BEGIN, _END = "\x02", "\x03"
"""What the database puts around the words; no stored page has these characters."""

# The plus signs keep SQLite from looking up one page or one hit at a time: it walks the index by date, and ranks in one
# pass (20,000 pages that have the word: 2 and 4 ms instead of 46 and 340).
_SQLITE_NEWEST = """
SELECT id FROM page WHERE listed = 1 AND +id IN (SELECT rowid FROM page_search WHERE page_search MATCH :query)
ORDER BY published_on DESC, id DESC LIMIT :count OFFSET :skip
"""
_SQLITE_BY_FIT = """
SELECT rowid FROM page_search WHERE page_search MATCH :query AND +rowid IN (
    SELECT id FROM page WHERE listed = 1 AND +id IN (SELECT rowid FROM page_search WHERE page_search MATCH :query)
    ORDER BY published_on DESC, id DESC LIMIT :most
) ORDER BY bm25(page_search, 5.0, 1.0), rowid DESC LIMIT :count OFFSET :skip
"""
_SQLITE_SNIPPET = """
SELECT rowid, snippet(page_search, 1, char(2), char(3), '…', 40) FROM page_search
WHERE page_search MATCH :query AND rowid = :id
"""

_POSTGRESQL_NEWEST = """
SELECT id FROM page WHERE listed AND search @@ CAST(:query AS tsquery)
ORDER BY published_on DESC, id DESC LIMIT :count OFFSET :skip
"""
_POSTGRESQL_BY_FIT = """
SELECT id FROM (
    SELECT id, search FROM page WHERE listed AND search @@ CAST(:query AS tsquery)
    ORDER BY published_on DESC, id DESC LIMIT :most
) AS newest ORDER BY ts_rank(search, CAST(:query AS tsquery)) DESC, id DESC LIMIT :count OFFSET :skip
"""
_POSTGRESQL_SNIPPET = """
SELECT id, ts_headline(CAST(:stemmer AS regconfig), left(text, 50000), CAST(:query AS tsquery),
    'StartSel=' || chr(2) || ', StopSel=' || chr(3) || ', MaxWords=40, MinWords=30, MaxFragments=1')
FROM page WHERE id = :id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHit:
    """A page that has the words."""

    entry: PageEntry
    snippet: tuple[tuple[str, bool], ...]
    """Pieces of its text, and whether a piece is one of the words."""


def search_pages(
    tx: Tx, phrases: Sequence[Phrase], *, language: str, count: int, skip: int = 0, by_fit: bool = False
) -> Sequence[SearchHit]:
    """Return the listed pages that have all the phrases."""
    if not phrases:
        return []
    sqlite = tx.dialect.name == "sqlite"
    stemmer = STEMMERS.get(language.partition("-")[0].lower(), "simple")
    query = _sqlite_query(phrases) if sqlite else _postgresql_query(tx, phrases, stemmer)
    if not query:
        return []
    statements = (_SQLITE_NEWEST, _SQLITE_BY_FIT) if sqlite else (_POSTGRESQL_NEWEST, _POSTGRESQL_BY_FIT)
    values = {"query": query, "count": count, "skip": skip} | ({"most": RANKED_PAGES_MAX} if by_fit else {})
    ids = [PageId(value) for value in tx.execute(text(statements[by_fit]), values).scalars()]
    statement = text(_SQLITE_SNIPPET if sqlite else _POSTGRESQL_SNIPPET)
    more = {} if sqlite else {"stemmer": stemmer}
    snippets = {}
    for page_id in ids:
        row = tx.execute(statement, {"query": query, "id": page_id, **more}).first()
        snippets[page_id] = "" if row is None else str(row[1])
    return [SearchHit(entry=entry, snippet=_pieces(snippets[entry.id])) for entry in find_entries(tx, ids)]


def _sqlite_query(phrases: Sequence[Phrase]) -> str:
    """Return an FTS5 query of quoted strings: within quotation marks every character is text (FTS5 section 3.1)."""
    return " ".join('"' + " ".join(phrase).replace('"', "") + '"' for phrase in phrases)


def _postgresql_query(tx: Tx, phrases: Sequence[Phrase], stemmer: str) -> str:
    """Return a query as PostgreSQL writes it; empty where every word is one that its index leaves out."""
    names = [f"phrase_{number}" for number in range(len(phrases))]
    parts = " && ".join(f"phraseto_tsquery(CAST(:stemmer AS regconfig), :{name})" for name in names)
    values = {name: _folded(" ".join(phrase)) for name, phrase in zip(names, phrases, strict=True)}
    statement = text(f"SELECT CAST({parts} AS text)").bindparams(*(bindparam(name, type_=Text) for name in names))
    return str(tx.execute(statement, {"stemmer": stemmer, **values}).scalar_one())


def _folded(words: str) -> str:
    """Return words without their accents, as PostgreSQL's index has them."""
    return "".join(letter for letter in unicodedata.normalize("NFD", words) if not unicodedata.combining(letter))


def _pieces(snippet: str) -> tuple[tuple[str, bool], ...]:
    pieces: list[tuple[str, bool]] = []
    for number, part in enumerate(snippet.split(_BEGIN)):
        marked, end, rest = part.partition(_END) if number else ("", "", part)
        pieces += [(marked, True)] if end else []
        pieces += [(rest if end or not number else marked, False)]
    return tuple(piece for piece in pieces if piece[0])
