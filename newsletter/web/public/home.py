"""The home page: what the newsletter promises, the form, the next date, the latest tip whole and the ones before it.

In: a request. Out: the page; before the first tip it has the promise and the form alone. A form that is sent to it goes
the way of every sign-up.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from newsletter.core.cadence import describe_instant
from newsletter.core.token import make_form_stamp
from newsletter.flows.next_issue import next_issue_at
from newsletter.store import page_list
from newsletter.store.page import find_pages
from newsletter.store.page_list import ArchiveCounts
from newsletter.store.unit import Tx
from newsletter.web.public.archive import Archive, ArchiveView
from newsletter.web.public.archive_values import (
    PAGE_ENTRIES_COUNT,
    article_values,
    entries_values,
    page_count,
    pager_values,
    series_values,
)
from newsletter.web.public.signup_form import SignupForm
from newsletter.web.public.subscribe import SubscribePages


class ArchiveHome:
    """The answers of `/`."""

    def __init__(self, archive: Archive, subscribing: SubscribePages) -> None:
        self._archive = archive
        self._subscribing = subscribing

    async def show(self, request: Request) -> Response:
        """Answer one request."""
        if request.method not in {"GET", "HEAD"}:
            return await self._subscribing.form(request)
        if "p" in request.query_params or "page_id" in request.query_params:
            # An address of WordPress without names; this page itself takes no such value.
            return await self._archive.missing(request)
        site, now = self._archive.site, self._archive.site.clock.now()
        zone = site.plan_rules.cadence.zone

        def show(tx: Tx, counts: ArchiveCounts) -> ArchiveView:
            next_at = next_issue_at(tx, site.plan_rules.cadence, "", now=now)
            latest_id = page_list.latest_sent(tx)
            latest = find_pages(tx, [latest_id])[0] if latest_id is not None else None
            entries = [entry for entry in page_list.newest(tx, count=PAGE_ENTRIES_COUNT) if entry.id != latest_id]
            frame = self._archive.frame
            facts = {"next": frame.words("subscribe", "next", day=describe_instant(next_at, zone)), "latest": ""}
            values: dict[str, object] = {
                **self._subscribing.form_values(SignupForm(), facts),
                "stamp": make_form_stamp(site.keyring, now),
                "home": frame.section("home"),
                "latest": "",
                "series": "",
                "entries": entries_values(frame, entries),
                "pager": pager_values("/", 1, page_count(counts.pages)),
            }
            if latest is not None:
                parts = page_list.of_series(tx, latest.series) if latest.series else ()
                values["latest"] = article_values(frame, latest, page_list.neighbours(tx, latest.entry))
                values["series"] = series_values(frame, latest, parts)
            article = latest.html if latest is not None else ""
            return ArchiveView(template="home", path="/", values=values, scripted=True, article=article)

        # The signed time in the form is never older than an hour, and a date that passed is not shown.
        state = now.strftime("%Y-%m-%dT%H")
        return await self._archive.answer(request, show, about="home", state=state)
