"""The home of the admin area: the next date, and what needs a person.

In: a person who is signed in. Out: the values of `newsletter status`, from the same read model (`flows/overview.py`).
"""

from __future__ import annotations

from starlette.responses import Response

from newsletter.core.access import Needed
from newsletter.core.cadence import describe_slot
from newsletter.flows.overview import Overview, overview
from newsletter.web.admin.frame import AdminFrame
from newsletter.web.admin.route import HOME_PATH, AdminRequest, AdminRoute
from newsletter.web.site import Site


class HomePage:
    """The answer of `/admin/`."""

    def __init__(self, site: Site, frame: AdminFrame) -> None:
        self._site = site
        self._frame = frame
        frame.page("home", words=frame.section("home"), needs=[], next="", tip="")

    @property
    def routes(self) -> tuple[AdminRoute, ...]:
        """Return the routes of this page; without the slash it is the same page."""
        return (
            AdminRoute(path=HOME_PATH, handler=self.show, needed=Needed.EDITOR),
            AdminRoute(path="/admin", handler=self.show, needed=Needed.EDITOR),
        )

    async def show(self, asked: AdminRequest) -> Response:
        """Show how things stand."""
        site, frame = self._site, self._frame

        def question() -> Overview:
            with site.unit.read() as tx:
                return overview(tx, site.plan_rules, now=asked.now)

        summary = await frame.read(question, about="admin home")
        coming = summary.next
        page = frame.page(
            "home",
            asked,
            words=frame.section("home"),
            needs=list(summary.needs),
            next=describe_slot(coming.slot, frame.zone) if coming else "",
            tip=f"“{coming.tip.title}”: {coming.why}" if coming and coming.tip else "",
        )
        return page.response(200)
