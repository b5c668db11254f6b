"""Hold the public archive: pages with their topics, old addresses and full-text index.

Revision ID: 0017
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from newsletter.store.schema import Utc

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_LISTED, _LISTED_POSTGRESQL = sa.text("listed = 1"), sa.text("listed")
_SERIES = sa.text("series IS NOT NULL")

_OLD = "INSERT INTO page_search (page_search, rowid, title, text) VALUES ('delete', old.id, old.title, old.text);"
_NEW = "INSERT INTO page_search (rowid, title, text) VALUES (new.id, new.title, new.text);"
_TABLE = (
    "CREATE VIRTUAL TABLE page_search USING fts5("
    "title, text, content='page', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2')"
)
_SQLITE = (
    _TABLE,
    f"CREATE TRIGGER page_search_insert AFTER INSERT ON page BEGIN {_NEW} END",
    f"CREATE TRIGGER page_search_delete AFTER DELETE ON page BEGIN {_OLD} END",
    f"CREATE TRIGGER page_search_update AFTER UPDATE OF title, text ON page BEGIN {_OLD} {_NEW} END",
)

_STEMMERS = {
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
_CASES = " ".join(f"WHEN '{language}' THEN '{name}'::regconfig" for language, name in _STEMMERS.items())
_CONFIG = f"CASE split_part(lower(language), '-', 1) {_CASES} ELSE 'simple'::regconfig END"


def _vector(text: str, weight: str) -> str:
    folded = f"regexp_replace(normalize(left({text}, 100000), NFD), U&'[\\0300-\\036F]', '', 'g')"
    return f"setweight(to_tsvector({_CONFIG}, {folded}), '{weight}')"


_COLUMN = (
    f"ALTER TABLE page ADD COLUMN search tsvector GENERATED ALWAYS AS ({_vector('title', 'A')} || "
    f"{_vector('text', 'B')}) STORED"
)
_POSTGRESQL = (
    _COLUMN,
    "CREATE INDEX ix_page_search ON page USING gin (search)",
)


def upgrade() -> None:
    """Add the tables; the pages of earlier editions are written by the service, some at a time."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    op.add_column("installation", sa.Column("archive_version", sa.Integer(), server_default="0", nullable=False))
    op.add_column("tip", sa.Column("listed", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column("edition", sa.Column("archived", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index(
        "ix_edition_unarchived",
        "edition",
        ["id"],
        sqlite_where=sa.text("archived = 0"),
        postgresql_where=sa.text("NOT archived"),
    )
    op.create_table(
        "page",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("tip_id", sa.Integer(), nullable=True),
        sa.Column("edition_id", sa.Integer(), nullable=True),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("excerpt", sa.Text(), nullable=False),
        sa.Column("reading_minutes", sa.Integer(), nullable=False),
        sa.Column("author", sa.Text(), server_default="", nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("topics", sa.JSON(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("series", sa.Text(), nullable=True),
        sa.Column("part", sa.Integer(), nullable=True),
        sa.Column("published_on", sa.Date(), nullable=False),
        sa.Column("sent_on", sa.Date(), nullable=False),
        sa.Column("corrected_on", sa.Date(), nullable=True),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column("changed_at", Utc(), nullable=False),
        sa.ForeignKeyConstraint(["tip_id"], ["tip.id"], name=op.f("fk_page_tip_id_tip"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["edition_id"], ["edition.id"], name=op.f("fk_page_edition_id_edition")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_page")),
        sa.UniqueConstraint("tip_id", name=op.f("uq_page_tip_id")),
        sa.UniqueConstraint("slug", name=op.f("uq_page_slug")),
    )
    op.create_index(
        "ix_page_published_on",
        "page",
        ["published_on", "id"],
        sqlite_where=_LISTED,
        postgresql_where=_LISTED_POSTGRESQL,
    )
    op.create_index(
        "ix_page_sent_on",
        "page",
        ["sent_on", "published_on", "id"],
        sqlite_where=_LISTED,
        postgresql_where=_LISTED_POSTGRESQL,
    )
    op.create_index("ix_page_series", "page", ["series", "part"], sqlite_where=_SERIES, postgresql_where=_SERIES)
    op.create_table(
        "page_topic",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("published_on", sa.Date(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["page_id"], ["page.id"], name=op.f("fk_page_topic_page_id_page"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("topic", "published_on", "page_id", name=op.f("pk_page_topic")),
        sa.CheckConstraint("kind IN ('tag', 'category')", name=op.f("ck_page_topic_kind")),
    )
    op.create_index(op.f("ix_page_topic_page_id"), "page_topic", ["page_id"], unique=False)
    op.create_table(
        "redirect",
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("page_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["page_id"], ["page.id"], name=op.f("fk_redirect_page_id_page"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_redirect")),
    )
    op.create_index(op.f("ix_redirect_page_id"), "redirect", ["page_id"], unique=False)
    for statement in _SQLITE if sqlite else _POSTGRESQL:
        op.execute(statement)
