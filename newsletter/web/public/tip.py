"""The page of a tip at its own address: also what "View in browser" in its mail leads to.

In: the name of a page. Out: its text, its place in a series, and the pages before and after it. It has no personal
data, and it is there from the moment of the first mail, also while no list has it yet.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from newsletter.store import page_list
from newsletter.store.page import find_page
from newsletter.store.page_list import ArchiveCounts, Neighbours
from newsletter.store.unit import Tx
from newsletter.web.public.archive import Archive, ArchiveView
from newsletter.web.public.archive_values import article_values, series_values, tip_path


class TipPage:
    """The answers of `/tips/SLUG`."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def show(self, request: Request) -> Response:
        """Answer one request."""
        slug = request.path_params["slug"]
        frame = self._archive.frame

        def show(tx: Tx, _counts: ArchiveCounts) -> ArchiveView | None:
            page = find_page(tx, slug)
            if page is None:
                return None
            beside = page_list.neighbours(tx, page.entry) if page.listed else Neighbours(older=None, newer=None)
            parts = page_list.of_series(tx, page.series) if page.series else ()
            values = {
                "tip": article_values(frame, page, beside),
                "series": series_values(frame, page, parts),
                "description": page.entry.excerpt,
            }
            return ArchiveView(
                template="tip", path=tip_path(slug), values=values, indexed=page.listed, article=page.html
            )

        return await self._archive.answer(request, show, about="archive, tip")
