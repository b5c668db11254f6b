"""A feed: one value of which RSS, Atom and JSON Feed are written.

In: pages of the archive. Out: frozen values whose text has nothing in it that XML forbids: one such character and a
reader's program rejects the whole feed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 (section 2.2, production 2) allows is all but these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedLinks:
    """The pages of a feed (RFC 5005, section 3); empty where there is none."""

    self_url: str
    first_url: str
    newer_url: str
    older_url: str
    last_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedItem:
    """A page in a feed, with its whole text."""

    id: str
    """A `tag:` address (RFC 4151), which stays the same when the page or the site moves."""
    url: str
    title: str
    html: str
    summary: str
    author: str
    tags: tuple[str, ...]
    published_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A page of a feed."""

    id: str
    title: str
    home_url: str
    language: str
    links: FeedLinks
    changed_at: datetime
    items: tuple[FeedItem, ...]


def xml_text(text: str) -> str:
    """Return a text without the characters that no XML document may have."""
    return _FORBIDDEN.sub("", text)
