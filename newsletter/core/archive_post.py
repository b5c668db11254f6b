"""One entry of an old archive, as its file has it: a WordPress export, or an RSS, Atom or JSON feed.

In: what the readers found. Out: values, and the addresses by which the old site knew a post. Nothing here is cleaned or
trusted yet: titles may hold markup, bodies anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from urllib.parse import SplitResult, urlsplit

WEB_SCHEMES = ("http", "https")


class PostStatus(StrEnum):
    """The state of a post on the old site."""

    PUBLISHED = "published"
    DRAFT = "draft"
    SCHEDULED = "scheduled"
    PRIVATE = "private"
    DELETED = "deleted"


class ArchiveKind(StrEnum):
    """The kinds of files that are read, in words."""

    WORDPRESS = "WordPress export"
    RSS = "RSS feed"
    ATOM = "Atom feed"
    JSON = "JSON Feed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedPost:
    """One entry of the file."""

    number: int
    """Place in the file, from 1."""
    kind: str = "post"
    """`post`, or what else an export holds: `page`, `attachment`, `nav_menu_item`."""
    status: PostStatus = PostStatus.PUBLISHED
    title: str
    """May hold entities and markup."""
    slug: str = ""
    addresses: tuple[str, ...] = ()
    """Where the old site showed it, the permanent address first."""
    published_on: date | None = None
    content: str
    """HTML, or what WordPress keeps of it."""
    excerpt: str = ""
    author: str = ""
    topics: tuple[PostTopic, ...] = ()
    comment_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PostTopic:
    """A category or a tag."""

    name: str
    is_category: bool = False


def split_address(url: str) -> SplitResult | None:
    """Return the parts of a web address; None for anything else."""
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme.lower() in WEB_SCHEMES and parts.hostname else None


def same_site(url: str, site: str) -> bool:
    """Tell whether an address is of the old site; `www.` and the scheme make no difference."""
    parts, own = split_address(url), split_address(site)
    if parts is None or own is None:
        return False
    return (parts.hostname or "").removeprefix("www.") == (own.hostname or "").removeprefix("www.")
