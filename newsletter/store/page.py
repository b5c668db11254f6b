"""Pages of the public archive: written once when a tip is published or an archive is imported, and found by their name.

In: a transaction and pages. Out: rows. Every change raises `archive_version`, by which caches know that a list is the
same. The full-text index follows by itself (`store/page_index.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from newsletter.core.archive_page import ArchivePage, NewPage, PageEntry, PageId, Topic, TopicKind
from newsletter.core.excerpt import excerpt, reading_minutes
from newsletter.core.tip import TipId
from newsletter.store import redirect as redirects
from newsletter.store.in_ids import in_ids
from newsletter.store.schema import installation, page, page_topic
from newsletter.store.unit import Tx
from newsletter.store.upsert import upsert

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""No page shows them, PostgreSQL stores no NUL, and two of them mark the hits of a search."""

ENTRY_COLUMNS = [
    page.c[name] for name in ("id", "slug", "title", "excerpt", "reading_minutes", "topics", "published_on", "sent_on")
]
"""What a list reads of a page: all but its text."""
_OTHER_COLUMNS = [
    page.c[name]
    for name in ("html", "text", "author", "language", "series", "part", "corrected_on", "listed", "changed_at")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOfTip:
    """What publishing needs of the page that a tip has."""

    id: PageId
    slug: str
    published_on: date
    listed: bool


def add_page(tx: Tx, new: NewPage, *, now: datetime, old_paths: Iterable[str] = ()) -> PageId | None:
    """Write a page with its topics and old addresses; None when its name or its tip has a page already.

    `old_paths` are as `core.old_path.old_path` writes them.
    """
    values = _values(new) | {
        "published_on": new.published_on,
        "sent_on": new.published_on,
        "listed": new.listed,
        "changed_at": now,
    }
    statement = upsert(page, tx.dialect.name).values(values).on_conflict_do_nothing().returning(page.c.id)
    page_id = tx.execute(statement).scalar()
    if page_id is None:
        return None
    if new.listed:
        _add_topics(tx, page_id, new.published_on, new.topics)
    redirects.add(tx, old_paths, PageId(page_id))
    raise_version(tx)
    return PageId(page_id)


def rewrite_page(tx: Tx, page_id: PageId, new: NewPage, *, corrected_on: date | None = None, now: datetime) -> None:
    """Give a page another text, title and topics; its dates and its place in the lists stay.

    Where its name changes, the old address leads to the new one. A name that another page has is not taken.
    """
    values = _values(new) | {"changed_at": now}
    old = tx.execute(select(page.c.slug).where(page.c.id == page_id)).scalar_one()
    namesake = tx.execute(select(page.c.id).where(page.c.slug == new.slug, page.c.id != page_id)).first()
    if new.edition_id is None:
        del values["edition_id"]
    if namesake is not None:
        values["slug"] = old
    elif old != new.slug:
        redirects.add(tx, [f"/tips/{old}"], page_id)
    if corrected_on is not None:
        values["corrected_on"] = corrected_on
    row = tx.execute(
        update(page).where(page.c.id == page_id).values(values).returning(page.c.listed, page.c.published_on)
    ).one()
    tx.execute(delete(page_topic).where(page_topic.c.page_id == page_id))
    if row.listed:
        _add_topics(tx, page_id, row.published_on, new.topics)
    raise_version(tx)


def list_page(tx: Tx, page_id: PageId, *, now: datetime) -> bool:
    """Enter a page into lists, feeds and search; tell whether it was not there yet."""
    row = tx.execute(
        update(page)
        .where(page.c.id == page_id, ~page.c.listed)
        .values(listed=True, changed_at=now)
        .returning(page.c.published_on, page.c.topics)
    ).first()
    if row is None:
        return False
    _add_topics(tx, page_id, row.published_on, _topics(row.topics))
    raise_version(tx)
    return True


def unlist_page(tx: Tx, page_id: PageId, *, now: datetime) -> bool:
    """Take a page out of lists, feeds and search, so that its address alone is left; tell whether it was there."""
    unlisted = update(page).where(page.c.id == page_id, page.c.listed).values(listed=False, changed_at=now)
    if not tx.execute(unlisted).rowcount:
        return False
    tx.execute(delete(page_topic).where(page_topic.c.page_id == page_id))
    raise_version(tx)
    return True


def record_sending(tx: Tx, page_id: PageId, on: date, *, now: datetime) -> None:
    """Record that the tip of a page went out on a date, once more or for the first time here."""
    changed = update(page).where(page.c.id == page_id, page.c.sent_on < on).values(sent_on=on, changed_at=now)
    if tx.execute(changed).rowcount:
        raise_version(tx)


def remove_page(tx: Tx, page_id: PageId) -> None:
    """Delete a page with its topics and its old addresses."""
    tx.execute(delete(page).where(page.c.id == page_id))
    raise_version(tx)


def find_page(tx: Tx, slug: str) -> ArchivePage | None:
    """Return the page of a name, listed or not."""
    row = tx.execute(select(*ENTRY_COLUMNS, *_OTHER_COLUMNS).where(page.c.slug == slug)).first()
    return None if row is None else _from_row(row)


def find_pages(tx: Tx, page_ids: Sequence[PageId]) -> Sequence[ArchivePage]:
    """Return pages with their text, in the order of their ids as they are given."""
    rows = tx.execute(select(*ENTRY_COLUMNS, *_OTHER_COLUMNS).where(page.c.id.in_(page_ids)))
    pages = {row.id: _from_row(row) for row in rows}
    return [pages[page_id] for page_id in page_ids if page_id in pages]


def of_tip(tx: Tx, tip_id: TipId) -> PageOfTip | None:
    """Return the page of a tip."""
    columns = (page.c.id, page.c.slug, page.c.published_on, page.c.listed)
    row = tx.execute(select(*columns).where(page.c.tip_id == tip_id)).first()
    if row is None:
        return None
    return PageOfTip(id=PageId(row.id), slug=row.slug, published_on=row.published_on, listed=row.listed)


def without_tip(tx: Tx, slug: str) -> PageId | None:
    """Return the page of a name that an import wrote and that has no tip yet."""
    value = tx.execute(select(page.c.id).where(page.c.slug == slug, page.c.tip_id.is_(None))).scalar()
    return None if value is None else PageId(value)


def by_slugs(tx: Tx, slugs: Iterable[str]) -> Mapping[str, tuple[PageId, bool]]:
    """Return the pages with these names: the id of each, and whether a tip belongs to it."""
    query = select(page.c.slug, page.c.id, page.c.tip_id).where(in_ids(page.c.slug, "slugs"))
    rows = tx.execute(query, {"slugs": list(slugs)})
    return {row.slug: (PageId(row.id), row.tip_id is not None) for row in rows}


def raise_version(tx: Tx) -> None:
    """Tell caches that a public page has changed."""
    tx.execute(update(installation).values(archive_version=installation.c.archive_version + 1))


def archive_version(tx: Tx) -> int:
    """Return the number that every change of a public page raises."""
    value = tx.execute(select(installation.c.archive_version)).scalar()
    return int(value or 0)


def entry_of(row: Row[Any]) -> PageEntry:
    """Return a page in a list from a row that has `ENTRY_COLUMNS`."""
    return PageEntry(
        id=PageId(row.id),
        slug=row.slug,
        title=row.title,
        excerpt=row.excerpt,
        reading_minutes=row.reading_minutes,
        topics=_topics(row.topics),
        published_on=row.published_on,
        sent_on=row.sent_on,
    )


def _from_row(row: Row[Any]) -> ArchivePage:
    return ArchivePage(
        entry=entry_of(row),
        html=row.html,
        text=row.text,
        author=row.author,
        language=row.language,
        series=row.series,
        part=row.part,
        corrected_on=row.corrected_on,
        listed=row.listed,
        changed_at=row.changed_at,
    )


def _values(new: NewPage) -> dict[str, Any]:
    text = _clean(new.text)
    return {
        "slug": new.slug,
        "title": " ".join(_clean(new.title).split()),
        "html": _clean(new.html),
        "text": text,
        "excerpt": excerpt(text),
        "reading_minutes": reading_minutes(text),
        "author": _clean(new.author),
        "language": new.language,
        "topics": [asdict(topic) for topic in new.topics],
        "series": new.series,
        "part": new.part,
        "tip_id": new.tip_id,
        "edition_id": new.edition_id,
    }


def _clean(text: str) -> str:
    return _CONTROL.sub("", text).encode("utf-8", "replace").decode()


def _topics(rows: Iterable[dict[str, str]]) -> tuple[Topic, ...]:
    return tuple(Topic(slug=row["slug"], title=row["title"], kind=TopicKind(row["kind"])) for row in rows)


def _add_topics(tx: Tx, page_id: PageId, published_on: date, topics: Iterable[Topic]) -> None:
    # Two kinds may share an address, and its list shows a page once.
    rows = {topic.slug: topic for topic in topics}
    if rows:
        tx.execute(
            insert(page_topic),
            [
                {
                    "topic": topic.slug,
                    "published_on": published_on,
                    "page_id": page_id,
                    "kind": topic.kind.value,
                    "title": topic.title,
                }
                for topic in rows.values()
            ],
        )
