"""Lists of the archive: numbered pages, years, topics and series.

In: a request. Out: ten pages with title, date and first words, and the way to the others.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from newsletter.core.archive_page import PageEntry, TopicKind, series_title
from newsletter.store import page_list
from newsletter.store.page_list import ArchiveCounts
from newsletter.store.unit import Tx
from newsletter.web.public.archive import Archive, ArchiveView
from newsletter.web.public.archive_values import (
    PAGE_ENTRIES_COUNT,
    entries_values,
    list_path,
    page_count,
    pager_values,
    topic_values,
)

PAGE_NUMBER_MAX = 1_000_000
YEAR_MAX = 9999


class ListPages:
    """The answers of `/page/N`, `/YEAR/`, `/topics/`, `/topics/SLUG/` and `/series/SLUG/`."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._frame = archive.frame

    async def numbered(self, request: Request) -> Response:
        """Answer `/page/N`."""
        number = request.path_params["number"]

        def show(tx: Tx, counts: ArchiveCounts) -> ArchiveView | None:
            if not 1 <= number <= page_count(counts.pages):
                return None
            entries = page_list.newest(tx, count=PAGE_ENTRIES_COUNT, skip=(number - 1) * PAGE_ENTRIES_COUNT)
            heading = self._words("all", number=str(number), count=str(page_count(counts.pages)))
            return self._list("/", heading, entries, number=number, count=counts.pages)

        return await self._archive.answer(request, show, about="archive, list")

    async def year(self, request: Request) -> Response:
        """Answer `/YEAR/`."""
        year = request.path_params["year"]

        def show(tx: Tx, counts: ArchiveCounts) -> ArchiveView | None:
            if not 1 <= year <= YEAR_MAX or year not in dict(counts.years):
                return None
            return self._list(f"/{year}/", self._words("of_year", year=str(year)), page_list.of_year(tx, year))

        return await self._archive.answer(request, show, about="archive, year")

    async def topics(self, request: Request) -> Response:
        """Answer `/topics/`: every topic and every year, with the number of its pages."""

        def show(_tx: Tx, counts: ArchiveCounts) -> ArchiveView:
            topics = [{**topic_values(item.topic), "count": item.count} for item in counts.topics]
            values = {
                "categories": [topic for topic in topics if topic["kind"] == TopicKind.CATEGORY.value],
                "tags": [topic for topic in topics if topic["kind"] == TopicKind.TAG.value],
                "years": [{"title": str(year), "path": f"/{year}/", "count": count} for year, count in counts.years],
            }
            return ArchiveView(template="topics", path="/topics/", values=values)

        return await self._archive.answer(request, show, about="archive, topics")

    async def topic(self, request: Request) -> Response:
        """Answer `/topics/SLUG/` and its further pages."""
        slug, number = request.path_params["slug"], request.path_params.get("number", 1)

        def show(tx: Tx, counts: ArchiveCounts) -> ArchiveView | None:
            known = counts.of_topic(slug)
            if known is None or not 1 <= number <= page_count(known.count):
                return None
            skip = (number - 1) * PAGE_ENTRIES_COUNT
            entries = page_list.of_topic(tx, slug, count=PAGE_ENTRIES_COUNT, skip=skip)
            path = str(topic_values(known.topic)["path"])
            heading = self._words("on_topic", topic=known.topic.title)
            return self._list(path, heading, entries, number=number, count=known.count, feeds=path)

        return await self._archive.answer(request, show, about="archive, topic")

    async def series(self, request: Request) -> Response:
        """Answer `/series/SLUG/`."""
        slug = request.path_params["slug"]

        def show(tx: Tx, _counts: ArchiveCounts) -> ArchiveView | None:
            entries = page_list.of_series(tx, slug)
            if not entries:
                return None
            heading = self._words("of_series", series=series_title(slug))
            return self._list(f"/series/{slug}/", heading, entries)

        return await self._archive.answer(request, show, about="archive, series")

    def _list(
        self,
        path: str,
        heading: str,
        entries: Sequence[PageEntry],
        *,
        number: int = 1,
        count: int = 0,
        feeds: str = "/",
    ) -> ArchiveView:
        values = {
            "heading": heading,
            "entries": entries_values(self._frame, entries),
            "pager": pager_values(path, number, page_count(count)),
            "feeds": feeds,
        }
        return ArchiveView(template="list", path=list_path(path, number), values=values)

    def _words(self, key: str, **values: str) -> str:
        return self._frame.words("archive", key, **values)
