"""The addresses of the archive, each with what answers it.

In: the frame of the archive. Out: paths and endpoints. A list answers with and without its closing slash, since no
address here redirects but an old one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from starlette.requests import Request
from starlette.responses import Response

from newsletter.web.public.archive import Archive
from newsletter.web.public.feeds import FEED_NAMES, FeedPages
from newsletter.web.public.lists import ListPages
from newsletter.web.public.search import SearchPage
from newsletter.web.public.sitemap import SitemapPages
from newsletter.web.public.tip import TipPage

Endpoint = Callable[[Request], Awaitable[Response]]


def archive_endpoints(archive: Archive) -> Iterator[tuple[str, Endpoint]]:
    """Yield the path and the endpoint of each page but the home page."""
    lists = ListPages(archive)
    yield "/page/{number:int}", lists.numbered
    yield "/tips/{slug}", TipPage(archive).show
    yield "/search", SearchPage(archive).show
    sitemap, feeds = SitemapPages(archive), FeedPages(archive)
    yield "/robots.txt", sitemap.robots
    yield "/sitemap.xml", sitemap.index
    yield "/sitemap/{number:int}.xml", sitemap.part
    for name in FEED_NAMES:
        yield f"/{name}", feeds.show
        yield f"/topics/{{slug}}/{name}", feeds.show
    for slash in ("", "/"):
        yield f"/{{year:int}}{slash}", lists.year
        yield f"/topics{slash}", lists.topics
        yield f"/topics/{{slug}}{slash}", lists.topic
        yield f"/series/{{slug}}{slash}", lists.series
    yield "/topics/{slug}/page/{number:int}", lists.topic
