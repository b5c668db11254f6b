"""The feeds of the archive and of each topic, twenty tips a page, the newest first.

In: a request. Out: RSS, Atom or JSON Feed with the whole text; `?page=2` has the twenty before them (RFC 5005).
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from newsletter.core.archive_page import ArchivePage
from newsletter.core.cadence import instant
from newsletter.core.feed import Feed, FeedItem, FeedLinks
from newsletter.render.feeds import FeedFormat, render_feed
from newsletter.store import page_list
from newsletter.store.page import find_pages
from newsletter.store.page_list import ArchiveCounts
from newsletter.store.unit import Tx
from newsletter.web.public.archive import Archive, ArchiveDocument
from newsletter.web.public.archive_values import query_number, tip_path, topic_values

FEED_ITEMS_COUNT = 20
FEED_PAGE_NUMBER_MAX = 100_000
_NO_PAGE_AT = datetime(1970, 1, 1, tzinfo=UTC)
FEED_NAMES = {"feed.xml": FeedFormat.RSS, "atom.xml": FeedFormat.ATOM, "feed.json": FeedFormat.JSON}


class FeedPages:
    """The answers of `/feed.xml`, `/atom.xml`, `/feed.json`, and of the same below a topic."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def show(self, request: Request) -> Response:
        """Answer one request."""
        name = request.scope["path"].rpartition("/")[2]
        slug = request.path_params.get("slug", "")
        number = query_number(request, most=FEED_PAGE_NUMBER_MAX)
        templates = self._archive.frame.templates

        def show(tx: Tx, counts: ArchiveCounts) -> ArchiveDocument | None:
            feed = self._feed(tx, counts, slug, name, number)
            if feed is None:
                return None
            feed_format = FEED_NAMES[name]
            return ArchiveDocument(
                render=lambda: render_feed(feed, feed_format, templates), media_type=feed_format.value
            )

        return await self._archive.answer(request, show, about="feed")

    def _feed(self, tx: Tx, counts: ArchiveCounts, slug: str, name: str, number: int) -> Feed | None:
        known = counts.of_topic(slug) if slug else None
        if slug and known is None:
            return None
        pages_max = max(1, -(-(known.count if known else counts.pages) // FEED_ITEMS_COUNT))
        if number > pages_max:
            return None
        publication, address = self._archive.frame.publication, self._archive.address
        below = str(topic_values(known.topic)["path"]) if known else "/"
        ids = page_list.newest_ids(tx, count=FEED_ITEMS_COUNT, skip=(number - 1) * FEED_ITEMS_COUNT, topic=slug)
        pages = find_pages(tx, ids)

        def url(page_number: int) -> str:
            return f"{address}{below}{name}" + (f"?page={page_number}" if page_number > 1 else "")

        return Feed(
            id=f"{address}{below}",
            title=f"{publication.name}: {known.topic.title}" if known else publication.name,
            home_url=f"{address}{below}",
            language=publication.language,
            links=FeedLinks(
                self_url=url(number),
                first_url=url(1),
                newer_url=url(number - 1) if number > 1 else "",
                older_url=url(number + 1) if number < pages_max else "",
                last_url=url(pages_max),
            ),
            changed_at=max((page.changed_at for page in pages), default=_NO_PAGE_AT),
            items=tuple(self._item(page) for page in pages),
        )

    def _item(self, page: ArchivePage) -> FeedItem:
        host, entry = urlsplit(self._archive.address).hostname or "localhost", page.entry
        return FeedItem(
            id=f"tag:{host},{entry.published_on.isoformat()}:page/{entry.id}",
            url=f"{self._archive.address}{tip_path(entry.slug)}",
            title=entry.title,
            html=page.html,
            summary=entry.excerpt,
            author=page.author,
            tags=tuple(topic.title for topic in entry.topics),
            published_at=self._instant(entry.published_on),
            changed_at=page.changed_at,
        )

    def _instant(self, on: date) -> datetime:
        """Return the hour of a date's mail: a feed has instants, and a page has its day."""
        cadence = self._archive.site.plan_rules.cadence
        return instant(on, cadence.at, cadence.zone)
