"""The log: who changed what, when and why, the newest first.

In: a request of an admin, with a word or an address to look for. Out: the entries of `newsletter log`, page by page by
the id of the last one, so that no page gets slower as the log grows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.responses import Response

from newsletter.core.access import Needed
from newsletter.core.address import parse_address
from newsletter.core.cadence import describe_instant
from newsletter.errors import InputError
from newsletter.store import log as logs
from newsletter.store import subscriber as subscribers
from newsletter.store.log import LogEntry
from newsletter.store.log_people import addresses_of
from newsletter.store.unit import Tx, Unit
from newsletter.web.admin.frame import AdminFrame
from newsletter.web.admin.route import AdminRequest, AdminRoute
from newsletter.web.pages import Page
from newsletter.web.site import Site

LOG_PATH = "/admin/log"
LOG_ENTRIES_PER_PAGE = 50
_SEARCH_LENGTH_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LogExtract:
    """One page of the log."""

    entries: Sequence[LogEntry] = ()
    addresses: Mapping[str, str]
    """Of the people it is about, by their name in the log."""
    more: bool = False


class LogPage:
    """The answer of `/admin/log`."""

    def __init__(self, site: Site, frame: AdminFrame) -> None:
        self._site = site
        self._frame = frame
        self._draw(None, LogExtract(addresses={}), "")

    @property
    def routes(self) -> tuple[AdminRoute, ...]:
        """Return the route of this page."""
        return (AdminRoute(path=LOG_PATH, handler=self.show, needed=Needed.ADMIN),)

    async def show(self, asked: AdminRequest) -> Response:
        """Show a page of the log."""
        query = asked.request.query_params
        about = query.get("about", "").strip()[:_SEARCH_LENGTH_MAX]
        position = query.get("before", "")
        before = int(position) if position.isascii() and position.isdigit() and len(position) < 16 else None  # noqa: PLR2004
        extract = await self._frame.read(lambda: _read(self._site.unit, about, before), about="log")
        return self._draw(asked, extract, about).response(200)

    def _draw(self, asked: AdminRequest | None, extract: LogExtract, about: str) -> Page:
        rows = [
            {
                "what": entry.what,
                "about": extract.addresses.get(entry.about, entry.about),
                "who": entry.who,
                "when": describe_instant(entry.at, self._frame.zone),
                "why": entry.why,
            }
            for entry in extract.entries
        ]
        further = {"before": extract.entries[-1].id} if extract.more else {}
        older = urlencode({**({"about": about} if about else {}), **further}) if extract.more else ""
        return self._frame.page(
            "log", asked, words=self._frame.section("log"), rows=rows, about=about, older=older, path=LOG_PATH
        )


def _read(unit: Unit, about: str, before: int | None) -> LogExtract:
    with unit.read() as tx:
        thing = _thing(tx, about)
        if thing is None:
            return LogExtract(addresses={})
        containing = "" if thing else about
        entries = logs.latest(tx, count=LOG_ENTRIES_PER_PAGE + 1, containing=containing, about=thing, before=before)
        shown = entries[:LOG_ENTRIES_PER_PAGE]
        more = len(entries) > LOG_ENTRIES_PER_PAGE
        return LogExtract(entries=shown, addresses=addresses_of(tx, shown), more=more)


def _thing(tx: Tx, about: str) -> str | None:
    """Return what the log calls a person whose address was typed; empty for any other word, None for a stranger."""
    if "@" not in about:
        return ""
    try:
        person = subscribers.by_canonical(tx, parse_address(about).canonical)
    except InputError:
        return None
    return None if person is None else f"subscriber {person.id}"
