"""Lists of public pages: by date, year, topic and series, ten at a time.

In: a transaction. Out: entries without their text, and counts. A deep page of a list reads the index alone up to its
ids, and the rows of these ids only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Select, and_, extract, func, or_, select

from newsletter.core.archive_page import PageEntry, PageId, PageLink, Topic, TopicKind
from newsletter.store.page import ENTRY_COLUMNS, entry_of
from newsletter.store.schema import page, page_topic
from newsletter.store.unit import Tx

_NEWEST_FIRST = (page.c.published_on.desc(), page.c.id.desc())
_LINK_COLUMNS = (page.c.slug, page.c.title, page.c.part)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicCount:
    """A topic, and how many listed pages it has."""

    topic: Topic
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveCounts:
    """How many pages are listed, in all, in each year and on each topic; true for one `archive_version`."""

    version: int
    pages: int
    years: tuple[tuple[int, int], ...]
    """Year and number of pages, the newest first."""
    topics: tuple[TopicCount, ...]
    """In alphabetical order."""

    def of_topic(self, slug: str) -> TopicCount | None:
        """Return the topic of an address."""
        return next((item for item in self.topics if item.topic.slug == slug), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """The pages before and after a page in the order of their dates."""

    older: PageLink | None
    newer: PageLink | None


def latest_sent(tx: Tx) -> PageId | None:
    """Return the listed page that went out last, an evergreen included."""
    query = select(page.c.id).where(page.c.listed)
    value = tx.execute(
        query.order_by(page.c.sent_on.desc(), page.c.published_on.desc(), page.c.id.desc()).limit(1)
    ).scalar()
    return None if value is None else PageId(value)


def newest(tx: Tx, *, count: int, skip: int = 0) -> Sequence[PageEntry]:
    """Return listed pages by their date, the newest first."""
    return _entries(tx, select(page.c.id).where(page.c.listed).order_by(*_NEWEST_FIRST).limit(count).offset(skip))


def newest_ids(tx: Tx, *, count: int, skip: int = 0, topic: str = "") -> Sequence[PageId]:
    """Return the ids of the newest listed pages, of a topic if one is given."""
    query = _of_topic(topic) if topic else select(page.c.id).where(page.c.listed).order_by(*_NEWEST_FIRST)
    return [PageId(value) for value in tx.execute(query.limit(count).offset(skip)).scalars()]


def of_year(tx: Tx, year: int) -> Sequence[PageEntry]:
    """Return the listed pages of a year, the newest first."""
    first, last = date(year, 1, 1), date(year, 12, 31)
    ids = select(page.c.id).where(page.c.listed, page.c.published_on.between(first, last))
    return _entries(tx, ids.order_by(*_NEWEST_FIRST))


def of_topic(tx: Tx, topic: str, *, count: int, skip: int = 0) -> Sequence[PageEntry]:
    """Return the listed pages of a topic, the newest first."""
    return _entries(tx, _of_topic(topic).limit(count).offset(skip))


def of_series(tx: Tx, series: str) -> Sequence[PageEntry]:
    """Return the listed parts of a series in their order."""
    ids = select(page.c.id).where(page.c.series == series, page.c.listed).order_by(page.c.part, page.c.id)
    return _entries(tx, ids)


def find_entries(tx: Tx, page_ids: Sequence[PageId]) -> Sequence[PageEntry]:
    """Return pages without their text, in the order of their ids as they are given."""
    rows = tx.execute(select(*ENTRY_COLUMNS).where(page.c.id.in_(page_ids)))
    entries = {row.id: entry_of(row) for row in rows}
    return [entries[page_id] for page_id in page_ids if page_id in entries]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageAddress:
    """A listed page as a sitemap has it."""

    slug: str
    changed_on: date


def addresses(tx: Tx, *, count: int, skip: int = 0) -> Sequence[PageAddress]:
    """Return the names of listed pages, the newest first, with the day of their last change."""
    query = select(page.c.slug, page.c.changed_at).where(page.c.listed).order_by(*_NEWEST_FIRST)
    rows = tx.execute(query.limit(count).offset(skip))
    return [PageAddress(slug=row.slug, changed_on=row.changed_at.date()) for row in rows]


def neighbours(tx: Tx, entry: PageEntry) -> Neighbours:
    """Return the listed pages directly before and after a page."""
    listed = select(*_LINK_COLUMNS).where(page.c.listed)
    on, page_id = entry.published_on, entry.id
    older = or_(page.c.published_on < on, and_(page.c.published_on == on, page.c.id < page_id))
    newer = or_(page.c.published_on > on, and_(page.c.published_on == on, page.c.id > page_id))
    return Neighbours(
        # The first condition lets the index begin at the date; the OR alone would not.
        older=_link(tx, listed.where(page.c.published_on <= on, older).order_by(*_NEWEST_FIRST)),
        newer=_link(tx, listed.where(page.c.published_on >= on, newer).order_by(page.c.published_on, page.c.id)),
    )


def counts(tx: Tx, *, version: int) -> ArchiveCounts:
    """Count the listed pages; `version` is the `archive_version` of this transaction."""
    year = extract("year", page.c.published_on)
    years = tx.execute(select(year, func.count()).where(page.c.listed).group_by(year).order_by(year.desc())).all()
    columns = (page_topic.c.topic, func.max(page_topic.c.title), func.max(page_topic.c.kind), func.count())
    topics = [
        TopicCount(topic=Topic(slug=slug, title=title, kind=TopicKind(kind)), count=count)
        for slug, title, kind, count in tx.execute(select(*columns).group_by(page_topic.c.topic))
    ]
    return ArchiveCounts(
        version=version,
        pages=sum(count for _, count in years),
        years=tuple((int(number), count) for number, count in years),
        topics=tuple(sorted(topics, key=lambda item: item.topic.title.casefold())),
    )


def _of_topic(topic: str) -> Select[Any]:
    order = (page_topic.c.published_on.desc(), page_topic.c.page_id.desc())
    return select(page_topic.c.page_id.label("id")).where(page_topic.c.topic == topic).order_by(*order)


def _entries(tx: Tx, ids: Select[Any]) -> Sequence[PageEntry]:
    return find_entries(tx, [PageId(value) for value in tx.execute(ids).scalars()])


def _link(tx: Tx, query: Select[Any]) -> PageLink | None:
    row = tx.execute(query.limit(1)).first()
    return None if row is None else PageLink(slug=row.slug, title=row.title, part=row.part)
