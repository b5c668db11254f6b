"""Pages as templates see them: addresses, dates in words, topics with their links.

In: entries and pages of the archive. Out: values of plain text; the HTML of an article is the only markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from markupsafe import Markup
from starlette.requests import Request

from newsletter.core.archive_page import ArchivePage, PageEntry, PageLink, Topic, series_title
from newsletter.core.mail_words import date_words
from newsletter.store.page_list import Neighbours
from newsletter.web.public.frame import PublicFrame

PAGE_ENTRIES_COUNT = 10
PAGER_REACH_NUMBER = 2
"""How many numbers the pager shows on either side of the present one."""

Values = Mapping[str, object]


def entry_values(frame: PublicFrame, entry: PageEntry) -> Values:
    """Return a page of a list."""
    language = frame.publication.language
    sent_again = entry.sent_on > entry.published_on
    return {
        "title": entry.title,
        "path": tip_path(entry.slug),
        "excerpt": entry.excerpt,
        "date": date_words(entry.published_on, language),
        "iso_date": entry.published_on.isoformat(),
        "minutes": frame.words("archive", "minutes", minutes=str(entry.reading_minutes)),
        "topics": [topic_values(topic) for topic in entry.topics],
        "sent_again": frame.words(
            "archive",
            "sent_again",
            first=date_words(entry.published_on, language),
            last=date_words(entry.sent_on, language),
        )
        if sent_again
        else "",
    }


def entries_values(frame: PublicFrame, entries: Sequence[PageEntry]) -> list[Values]:
    """Return the pages of a list."""
    return [entry_values(frame, entry) for entry in entries]


def article_values(frame: PublicFrame, page: ArchivePage, beside: Neighbours) -> Values:
    """Return a page with its text, its author, its correction, and the pages before and after it."""
    corrected = page.corrected_on
    language = frame.publication.language
    return {
        **entry_values(frame, page.entry),
        "html": Markup(page.html),  # noqa: S704 - from the allow-list of `render/article.py`.
        "author": page.author,
        "language": page.language,
        "changed": frame.words("archive", "changed", day=date_words(corrected, language)) if corrected else "",
        "older": link_values(beside.older),
        "newer": link_values(beside.newer),
    }


def series_values(frame: PublicFrame, page: ArchivePage, parts: Sequence[PageEntry]) -> Values | str:
    """Return the place of a page in its series, with the other parts; empty for a page of no series."""
    if page.series is None or page.part is None:
        return ""
    place = next((number for number, part in enumerate(parts, start=1) if part.id == page.entry.id), page.part)
    title = series_title(page.series)
    return {
        "title": title,
        "path": f"/series/{quote(page.series, safe='')}/",
        "place": frame.words("archive", "part", part=str(place), parts=str(max(len(parts), place)), series=title),
        "parts": [
            {"title": part.title, "path": tip_path(part.slug), "current": part.id == page.entry.id} for part in parts
        ],
    }


def topic_values(topic: Topic) -> Values:
    """Return a topic with its link."""
    return {"title": topic.title, "path": f"/topics/{quote(topic.slug, safe='')}/", "kind": topic.kind.value}


def link_values(link: PageLink | None) -> Values | str:
    """Return a link to another page; empty where there is none."""
    return "" if link is None else {"title": link.title, "path": tip_path(link.slug)}


def tip_path(slug: str) -> str:
    """Return the path of a page below the public address."""
    return f"/tips/{quote(slug, safe='')}"


def pager_values(path: str, number: int, count: int) -> Values | str:
    """Return the links to the other pages of a list; empty for a list of one page.

    `path` is that of the first page, and the others are below it.
    """
    if count <= 1:
        return ""
    first, last = max(1, number - PAGER_REACH_NUMBER), min(count, number + PAGER_REACH_NUMBER)
    numbers = sorted({1, count, *range(first, last + 1)})
    return {
        "numbers": [
            {"number": item, "path": list_path(path, item), "current": item == number, "gap": item - before > 1}
            for before, item in zip([0, *numbers], numbers, strict=False)
        ],
        "newer": list_path(path, number - 1) if number > 1 else "",
        "older": list_path(path, number + 1) if number < count else "",
    }


def list_path(path: str, number: int) -> str:
    """Return the address of a page of a list."""
    return f"{path}page/{number}" if number > 1 else path


def query_number(request: Request, *, most: int) -> int:
    """Return the `page` of a query, 1 for none and for nonsense."""
    text = request.query_params.get("page", "1")[:7]
    return max(1, min(int(text), most)) if text.isascii() and text.isdigit() else 1


def page_count(entries: int) -> int:
    """Return how many pages a list has."""
    return max(1, -(-entries // PAGE_ENTRIES_COUNT))
