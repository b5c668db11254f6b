"""The full-text index of the public pages, which the database itself keeps equal to them.

In: nothing. Out: the statements that create it, for each database. SQLite has an FTS5 table with external content, so
that no text is stored twice, and three triggers; PostgreSQL has a stored `tsvector` and a GIN index.

The words of SQLite's index are English stems for every language, which only groups too much in others. PostgreSQL has a
stemmer for each of the languages below. Accents do not count in either: "cafe" finds "café".
"""

from __future__ import annotations

_OLD = "INSERT INTO page_search (page_search, rowid, title, text) VALUES ('delete', old.id, old.title, old.text);"
_NEW = "INSERT INTO page_search (rowid, title, text) VALUES (new.id, new.title, new.text);"
_TABLE = (
    "CREATE VIRTUAL TABLE page_search USING fts5("
    "title, text, content='page', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2')"
)

SQLITE_INDEX = (
    _TABLE,
    f"CREATE TRIGGER page_search_insert AFTER INSERT ON page BEGIN {_NEW} END",
    f"CREATE TRIGGER page_search_delete AFTER DELETE ON page BEGIN {_OLD} END",
    f"CREATE TRIGGER page_search_update AFTER UPDATE OF title, text ON page BEGIN {_OLD} {_NEW} END",
)

STEMMERS = {
    "da": "danish",
    "de": "german",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nb": "norwegian",
    "nl": "dutch",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "tr": "turkish",
}
"""The text search configuration of PostgreSQL by language; another language has `simple`, which stems nothing."""

_CASES = " ".join(f"WHEN '{language}' THEN '{name}'::regconfig" for language, name in STEMMERS.items())
_CONFIG = f"CASE split_part(lower(language), '-', 1) {_CASES} ELSE 'simple'::regconfig END"


def _vector(text: str, weight: str) -> str:
    # Letters are parted from their accents, and these dropped. A tsvector has at most 1 MB.
    folded = f"regexp_replace(normalize(left({text}, 100000), NFD), U&'[\\0300-\\036F]', '', 'g')"
    return f"setweight(to_tsvector({_CONFIG}, {folded}), '{weight}')"


_COLUMN = (
    f"ALTER TABLE page ADD COLUMN search tsvector GENERATED ALWAYS AS ({_vector('title', 'A')} || "
    f"{_vector('text', 'B')}) STORED"
)

POSTGRESQL_INDEX = (
    _COLUMN,
    "CREATE INDEX ix_page_search ON page USING gin (search)",
)
