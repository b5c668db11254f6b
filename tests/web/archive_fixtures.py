"""An archive on the web: a few pages of every kind, and a web part that shows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import pytest

from newsletter.core.message import PublicationLinks
from newsletter.store import page as pages
from newsletter.testing.clocks import START
from tests.store.page_fixtures import FIRST_DAY, add_pages, new_page, weekly
from tests.web.conftest import PUBLIC, PUBLICATION, Ask, Stage, WebParts, asking

ARCHIVE = replace(PUBLIC, archive=True)
ARCHIVE_PUBLICATION = replace(
    PUBLICATION,
    links=PublicationLinks(archive_url="https://news.example.com/", tips_url="https://news.example.com/tips"),
)
LAST_DAY = FIRST_DAY + timedelta(weeks=24)
"""Of the newest page: 25 weekly ones from `tip-0` on."""


@pytest.fixture
def archive_parts(parts: WebParts) -> WebParts:
    """Return the parts of an installation whose archive has 28 listed pages and one that is not."""
    ids = add_pages(
        parts.unit,
        *weekly(25, tags=("upset", "Co-Worker")),
        new_page("first-step", date(2019, 1, 1), series="three-steps", part=1),
        new_page("second-step", date(2019, 1, 8), series="three-steps", part=2),
        new_page(
            "pictures",
            date(2018, 1, 2),
            html='<p>A <img src="https://pictures.example.net/a.png" alt="lamp"> and <em>more</em> branches.</p>',
            text="A lamp and more branches.",
            author="The desk",
        ),
        new_page("hidden", date(2020, 5, 5), listed=False, tags=("secret",), text="Hidden branches."),
    )
    with parts.unit.write() as tx:
        pages.record_sending(tx, ids[25], date(2026, 10, 27), now=START)
    return replace(parts, web_options=ARCHIVE, publication=ARCHIVE_PUBLICATION)


@pytest.fixture
def ask_archive(stage: tuple[Stage, str], archive_parts: WebParts) -> Iterator[Ask]:
    """Return a function that asks a web part with an archive."""
    yield from asking(stage, archive_parts)
