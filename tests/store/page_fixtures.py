"""Pages of few words, for the tests of the archive."""

from __future__ import annotations

from datetime import date, timedelta

from newsletter.core.archive_page import NewPage, PageId, topics_of
from newsletter.store.page import add_page
from newsletter.store.unit import Unit
from newsletter.testing.clocks import START

FIRST_DAY = date(2020, 1, 7)


def new_page(slug: str, on: date = FIRST_DAY, **changes: object) -> NewPage:
    """Return a page that is named after its slug."""
    text = str(changes.pop("text", f"Text of {slug}."))
    tags = changes.pop("tags", ())
    values: dict[str, object] = {
        "slug": slug,
        "title": slug.replace("-", " ").capitalize(),
        "html": f"<p>{text}</p>",
        "text": text,
        "language": "en",
        "published_on": on,
        "topics": topics_of(tags),  # type: ignore[arg-type]
    }
    return NewPage(**(values | changes))  # type: ignore[arg-type]


def add_pages(unit: Unit, *pages: NewPage) -> list[PageId]:
    """Write pages and return their ids."""
    with unit.write() as tx:
        ids = [add_page(tx, page, now=START) for page in pages]
    return [page_id for page_id in ids if page_id is not None]


def weekly(count: int, **changes: object) -> list[NewPage]:
    """Return pages of consecutive weeks, the oldest first."""
    return [new_page(f"tip-{n}", FIRST_DAY + timedelta(weeks=n), **changes) for n in range(count)]
