"""A page of the public archive, and the topics that it belongs to.

In: what a page is made of: a tip that went out, or a post of an archive before this one. Out: frozen values. A page
holds text that is ready to be shown; it has no person and no draft in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NewType

from newsletter.core.edition import EditionId
from newsletter.core.tip import SLUG_LIMIT, TipId, slug_from

PageId = NewType("PageId", int)

_WORDS = re.compile(r"\w+")


class TopicKind(StrEnum):
    """A tag, or a category of an archive that had both."""

    TAG = "tag"
    CATEGORY = "category"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """What a page is about, with a list of its own."""

    slug: str
    title: str
    kind: TopicKind = TopicKind.TAG


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPage:
    """A page that is to be written."""

    slug: str
    title: str
    html: str
    """From `render/article.py`, which lets no script and no style through."""
    text: str
    """The words of the page without markup: for the search, and for the beginning that lists show."""
    language: str
    published_on: date
    topics: tuple[Topic, ...] = ()
    author: str = ""
    series: str | None = None
    part: int | None = None
    listed: bool = True
    """False: the page is found by its address alone, and is in no list, feed, sitemap or search."""
    tip_id: TipId | None = None
    """None for a page without a tip, as an import makes them."""
    edition_id: EditionId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageEntry:
    """A page in a list."""

    id: PageId
    slug: str
    title: str
    excerpt: str
    reading_minutes: int
    topics: tuple[Topic, ...]
    published_on: date
    sent_on: date
    """When it went out last; later than `published_on` for an evergreen that went out again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePage:
    """A page as its own address shows it."""

    entry: PageEntry
    html: str
    text: str
    author: str
    language: str
    series: str | None
    part: int | None
    corrected_on: date | None
    listed: bool
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLink:
    """Another page, by its title."""

    slug: str
    title: str
    part: int | None = None


def topic_slug(title: str) -> str:
    """Return the name that a topic bears in addresses; empty for a title without letters and digits."""
    return slug_from(title) or "-".join(_WORDS.findall(title.casefold()))[:SLUG_LIMIT].strip("-_")


def topics_of(titles: Iterable[str], kind: TopicKind = TopicKind.TAG) -> tuple[Topic, ...]:
    """Return the topics with these titles; two titles of one address are one topic."""
    topics = {slug: Topic(slug=slug, title=title, kind=kind) for title in titles if (slug := topic_slug(title))}
    return tuple(topics.values())


def series_title(series: str) -> str:
    """Return the words of a series, whose name has hyphens: `three-steps` is `Three steps`."""
    return series.replace("-", " ").capitalize()
