"""What search engines read first: which addresses they shall leave alone, and where the tips are.

In: a request. Out: `robots.txt`, the index of the sitemap, and its parts of 5,000 tips each.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from html import escape

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from newsletter.store import page_list
from newsletter.store.page_list import ArchiveCounts
from newsletter.store.unit import Tx
from newsletter.web.public.archive import ARCHIVE_METHODS, Archive, ArchiveDocument
from newsletter.web.public.archive_values import tip_path, topic_values
from newsletter.web.responses import KIND_HEADERS, ResponseKind

SITEMAP_ENTRIES_MAX = 5_000
"""Of a part; the protocol allows 50,000 (sitemaps.org), which would take a second to write."""

_MEDIA_TYPE = "application/xml; charset=utf-8"
_DISALLOWED = ("/u/", "/c/", "/p/", "/me/", "/a/", "/undo/", "/address/", "/block/", "/admin/", "/search", "/puzzle")


class SitemapPages:
    """The answers of `/sitemap.xml`, `/sitemap/N.xml` and `/robots.txt`."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        base_path = archive.frame.base_path
        lines = [f"Disallow: {base_path}{path}" for path in _DISALLOWED]
        self._robots = "\n".join(["User-agent: *", *lines, "", f"Sitemap: {archive.address}/sitemap.xml", ""])

    async def robots(self, request: Request) -> Response:
        """Answer `/robots.txt`, which a search engine reads at the top of a host alone."""
        headers = KIND_HEADERS[ResponseKind.PUBLIC]
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={**headers, "Allow": ", ".join(ARCHIVE_METHODS)})
        return PlainTextResponse(self._robots, headers=headers)

    async def index(self, request: Request) -> Response:
        """Answer `/sitemap.xml`: the parts, with the lists in the first of them."""

        def show(_tx: Tx, counts: ArchiveCounts) -> ArchiveDocument:
            numbers = range(1, _parts(counts) + 1)
            urls = (_url("sitemap", f"{self._archive.address}/sitemap/{number}.xml") for number in numbers)
            return _document("sitemapindex", urls)

        return await self._archive.answer(request, show, about="sitemap")

    async def part(self, request: Request) -> Response:
        """Answer `/sitemap/N.xml`."""
        number = request.path_params["number"]

        def show(tx: Tx, counts: ArchiveCounts) -> ArchiveDocument | None:
            if not 1 <= number <= _parts(counts):
                return None
            skip = (number - 1) * SITEMAP_ENTRIES_MAX
            tips = page_list.addresses(tx, count=SITEMAP_ENTRIES_MAX, skip=skip)
            urls = [self._page(tip_path(tip.slug), tip.changed_on) for tip in tips]
            return _document("urlset", [*(self._lists(counts) if number == 1 else []), *urls])

        return await self._archive.answer(request, show, about="sitemap, part")

    def _lists(self, counts: ArchiveCounts) -> list[str]:
        paths = ["/", "/topics/", *(str(topic_values(item.topic)["path"]) for item in counts.topics)]
        return [self._page(path) for path in (*paths, *(f"/{year}/" for year, _ in counts.years))]

    def _page(self, path: str, changed_on: date | None = None) -> str:
        return _url("url", f"{self._archive.address}{path}", changed_on)


def _parts(counts: ArchiveCounts) -> int:
    return max(1, -(-counts.pages // SITEMAP_ENTRIES_MAX))


def _url(element: str, address: str, changed_on: date | None = None) -> str:
    changed = f"<lastmod>{changed_on.isoformat()}</lastmod>" if changed_on else ""
    return f"<{element}><loc>{escape(address)}</loc>{changed}</{element}>"


def _document(root: str, urls: Iterable[str]) -> ArchiveDocument:
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<{root} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">',
        *urls,
        f"</{root}>\n",
    ]
    return ArchiveDocument(render=lambda: "\n".join(lines), media_type=_MEDIA_TYPE)
