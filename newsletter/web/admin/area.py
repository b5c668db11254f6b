"""The admin area put together: its pages, their routes, and the guard in front of each.

In: the parts of the application. Out: the table of its routes, and endpoints for the web part. To add a page, write one
module with a class that has `routes`, and add it to the pages here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from newsletter.core.access import Needed
from newsletter.web.admin.frame import AdminFrame
from newsletter.web.admin.guard import Guard
from newsletter.web.admin.home import HomePage
from newsletter.web.admin.log import LogPage
from newsletter.web.admin.queue import QueuePages
from newsletter.web.admin.route import AdminRequest, AdminRoute
from newsletter.web.admin.sessions import SessionPages
from newsletter.web.admin.settings import SettingsPages
from newsletter.web.admin.sign_in import SignInPages
from newsletter.web.admin.tools import AdminTools
from newsletter.web.assets import Assets
from newsletter.web.site import Parts, Site


class AdminPage(Protocol):
    """A module of the area: one page with what belongs to it."""

    @property
    def routes(self) -> tuple[AdminRoute, ...]:
        """Its addresses."""
        ...


Endpoint = Callable[[Request], Awaitable[Response]]


class AdminArea:
    """Every page of the admin area."""

    def __init__(self, site: Site, parts: Parts, assets: Assets, tools: AdminTools | None) -> None:
        self._frame = AdminFrame(site, parts.templates, parts.publication, assets)
        self.guard = Guard(site, self._frame, parts.web_options.roster)
        pages: list[AdminPage] = [
            SignInPages(site, self._frame, parts.keyring),
            HomePage(site, self._frame),
            LogPage(site, self._frame),
            QueuePages(site, self._frame),
            SessionPages(site, self._frame),
        ]
        if tools is not None:
            pages.append(SettingsPages(self._frame, tools))
        elsewhere = AdminRoute(path="/admin/{rest:path}", handler=self._miss, needed=Needed.EDITOR)
        self.routes: Sequence[AdminRoute] = (*(route for page in pages for route in page.routes), elsewhere)
        """Every address, with what it needs; the last one is that of what is not there."""
        self._frame.learn_routes(route.path for route in self.routes)

    def endpoints(self) -> Iterator[tuple[AdminRoute, Endpoint]]:
        """Yield each route with its guarded endpoint."""
        for route in self.routes:
            yield route, self.guard.guarded(route)

    async def _miss(self, asked: AdminRequest) -> Response:
        return self._frame.message("not_found", asked=asked).response(404)
