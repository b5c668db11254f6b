"""Feeds as text: RSS 2.0, Atom (RFC 4287) and JSON Feed 1.1, each with the whole text of its items.

In: a feed. Out: a document. The XML comes from templates, which an operator may replace; every value is escaped there,
and is cleaned before of what XML forbids.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import format_datetime
from enum import Enum
from html import escape
from typing import Any

from jinja2 import Environment

from newsletter.core.feed import Feed, FeedItem, xml_text
from newsletter.render.environment import render_template


class FeedFormat(Enum):
    """A format, with the type that a browser is told."""

    RSS = "application/rss+xml; charset=utf-8"
    ATOM = "application/atom+xml; charset=utf-8"
    JSON = "application/feed+json; charset=utf-8"


_TEMPLATES = {FeedFormat.RSS: "web/feed/rss.xml", FeedFormat.ATOM: "web/feed/atom.xml"}


def render_feed(feed: Feed, feed_format: FeedFormat, templates: Environment) -> str:
    """Return a feed in one of the formats."""
    if feed_format is FeedFormat.JSON:
        return _json(feed)
    values = {
        "feed": {
            "id": feed.id,
            "title": xml_text(feed.title),
            "home_url": feed.home_url,
            "language": feed.language,
            "changed": feed.changed_at.isoformat(timespec="seconds"),
            "changed_rfc_822": format_datetime(feed.changed_at),
        },
        "links": {
            "self_url": feed.links.self_url,
            "first_url": feed.links.first_url,
            "newer_url": feed.links.newer_url,
            "older_url": feed.links.older_url,
            "last_url": feed.links.last_url,
        },
        "items": [_item_values(item) for item in feed.items],
    }
    return render_template(templates, _TEMPLATES[feed_format], values)


def _item_values(item: FeedItem) -> Mapping[str, object]:
    return {
        "id": item.id,
        "url": item.url,
        "title": xml_text(item.title),
        "html": xml_text(item.html),
        "summary": xml_text(item.summary),
        # Readers take the description of RSS for HTML, in which the words of a tip about `<script>` would be one.
        "summary_html": escape(xml_text(item.summary)),
        "author": xml_text(item.author),
        "tags": [xml_text(tag) for tag in item.tags],
        "published": item.published_at.isoformat(timespec="seconds"),
        "published_rfc_822": format_datetime(item.published_at),
        "changed": item.changed_at.isoformat(timespec="seconds"),
    }


def _json(feed: Feed) -> str:
    document: dict[str, Any] = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": xml_text(feed.title),
        "home_page_url": feed.home_url,
        "feed_url": feed.links.self_url,
        "language": feed.language,
    }
    if feed.links.older_url:
        document["next_url"] = feed.links.older_url
    document["items"] = [_json_item(item) for item in feed.items]
    return json.dumps(document, ensure_ascii=False, indent=1)


def _json_item(item: FeedItem) -> dict[str, Any]:
    authors = {"authors": [{"name": xml_text(item.author)}]} if item.author else {}
    return {
        "id": item.id,
        "url": item.url,
        "title": xml_text(item.title),
        "content_html": xml_text(item.html),
        "summary": xml_text(item.summary),
        "date_published": item.published_at.isoformat(timespec="seconds"),
        "date_modified": item.changed_at.isoformat(timespec="seconds"),
        "tags": [xml_text(tag) for tag in item.tags],
        **authors,
    }
