"""The search of the archive: words in, pages out, with the words marked.

In: what a person typed, which is never a query language. Out: ten pages, newest first or by how well they fit. Nonsense
finds nothing and is no error.
"""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from newsletter.core.search_words import QUERY_LENGTH_MAX, search_phrases
from newsletter.store.page_list import ArchiveCounts, TopicCount
from newsletter.store.page_search import SearchHit, search_pages
from newsletter.store.unit import Tx
from newsletter.web.public.archive import Archive, ArchiveView
from newsletter.web.public.archive_values import PAGE_ENTRIES_COUNT, Values, entry_values, query_number, topic_values

SEARCH_PAGE_NUMBER_MAX = 100
"""Beyond a thousand hits another word helps more than another page."""
_TOPICS_SHOWN_MAX = 30


class SearchPage:
    """The answers of `/search`."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def show(self, request: Request) -> Response:
        """Answer one request."""
        typed = request.query_params.get("q", "")[:QUERY_LENGTH_MAX].strip()
        by_fit = request.query_params.get("by") == "fit"
        number = query_number(request, most=SEARCH_PAGE_NUMBER_MAX)
        phrases = search_phrases(typed)
        language = self._archive.frame.publication.language

        def show(tx: Tx, counts: ArchiveCounts) -> ArchiveView:
            skip = (number - 1) * PAGE_ENTRIES_COUNT
            hits = search_pages(tx, phrases, language=language, count=PAGE_ENTRIES_COUNT + 1, skip=skip, by_fit=by_fit)
            more = len(hits) > PAGE_ENTRIES_COUNT and number < SEARCH_PAGE_NUMBER_MAX
            values = {
                "typed": typed,
                "asked": bool(typed),
                "by_fit": by_fit,
                "hits": [self._hit(hit) for hit in hits[:PAGE_ENTRIES_COUNT]],
                "newer": _path(typed, number - 1, by_fit=by_fit) if number > 1 else "",
                "older": _path(typed, number + 1, by_fit=by_fit) if more else "",
                "other_order": _path(typed, 1, by_fit=not by_fit),
                "topics": [topic_values(item.topic) for item in _frequent(counts)],
            }
            return ArchiveView(template="search", path="/search", values=values, indexed=False)

        return await self._archive.answer(request, show, about="archive, search")

    def _hit(self, hit: SearchHit) -> Values:
        pieces = [{"text": text, "marked": marked} for text, marked in hit.snippet]
        return {**entry_values(self._archive.frame, hit.entry), "pieces": pieces}


def _path(typed: str, number: int, *, by_fit: bool) -> str:
    query = {"q": typed} | ({"by": "fit"} if by_fit else {}) | ({"page": str(number)} if number > 1 else {})
    return f"/search?{urlencode(query)}"


def _frequent(counts: ArchiveCounts) -> list[TopicCount]:
    """Return the topics with the most pages, in alphabetical order."""
    frequent = sorted(counts.topics, key=lambda item: -item.count)[:_TOPICS_SHOWN_MAX]
    return [item for item in counts.topics if item in frequent]
