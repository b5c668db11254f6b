"""The guard of the admin area: each route names what it needs, and the guard lets in only who has it.

In: a request and the route it is for. Out: the answer of the page, with the person who asks; or the way to sign in; or
a refusal. A page never looks at cookies or roles by itself.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from newsletter.core.access import Access, Roster, is_live, judge_access
from newsletter.flows.use_session import use_session
from newsletter.web.admin.frame import AdminFrame
from newsletter.web.admin.route import CONFIRM_PATH, HOME_PATH, SIGN_IN_PATH, AdminRequest, AdminRoute
from newsletter.web.responses import KIND_HEADERS, RETRY_SECONDS, ResponseKind
from newsletter.web.site import Area, Busy, Site

logger = logging.getLogger(__name__)

SESSION_COOKIE = "__Host-admin"
"""The prefix makes browsers refuse it without https, and from any other host (RFC 6265bis)."""

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


class Guard:
    """Lets requests through to the pages, or not."""

    def __init__(self, site: Site, frame: AdminFrame, roster: Roster) -> None:
        self._site = site
        self._frame = frame
        self._roster = roster
        self._own_host = urlsplit(frame.publication.base_url).hostname or ""

    def guarded(self, route: AdminRoute) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of a route."""

        async def answer(request: Request) -> Response:
            try:
                return await self._answer(request, route)
            except Busy:
                return self._frame.trouble().response(503, {"Retry-After": str(RETRY_SECONDS)})
            except Exception:
                # The log has the bug; the page shows no trace of it (OWASP ASVS 5.0, 16.5.1).
                logger.exception("%s %s: a bug", request.method, route.path)
                return self._frame.trouble().response(503, {"Retry-After": str(RETRY_SECONDS)})

        return answer

    async def _answer(self, request: Request, route: AdminRoute) -> Response:
        if not self._at_own_host(request):
            return self._frame.message("wrong_host", url=f"{self._frame.publication.base_url}{HOME_PATH}").response(421)
        asked = await self._identify(request)
        match judge_access(route.needed, asked.session, asked.role, now=asked.now):
            case Access.ALLOWED:
                return await route.handler(asked)
            case Access.FORBIDDEN:
                return self._frame.message("forbidden", asked=asked).response(403)
            case Access.CONFIRM:
                return self._redirect(CONFIRM_PATH, request)
            case Access.SIGN_IN:
                return self._redirect(SIGN_IN_PATH, request)

    async def _identify(self, request: Request) -> AdminRequest:
        site, now = self._site, self._site.clock.now()
        cookie = request.cookies.get(SESSION_COOKIE, "")
        session = None
        if cookie:
            hashed = hash_of_session(cookie)
            session = await site.ask(lambda: use_session(site.unit, hashed, now=now), about="session", area=Area.ADMIN)
        if session is not None and not is_live(session, now=now):
            session = None
        role = self._roster.role(session.email) if session is not None else None
        # A session of an address that the settings no longer name is none.
        known = session if role is not None else None
        return AdminRequest(request=request, now=now, session=known, role=role, roster=self._roster)

    def _redirect(self, path: str, request: Request) -> Response:
        """Send the browser to a page that leads back to this one, where reading it changes nothing."""
        # A form is not sent again by itself: its page is what to return to.
        safe = request.method in {"GET", "HEAD"}
        url = request.url if safe else urlsplit(request.headers.get("Referer", ""))
        target = (request.scope["path"] if safe else url.path.removeprefix(self._frame.base_path)) + (
            f"?{url.query}" if url.query else ""
        )
        back = "" if target in {"", HOME_PATH, "/admin"} else f"?back={quote(target, safe='')}"
        headers = dict(KIND_HEADERS[ResponseKind.ADMIN])
        return RedirectResponse(f"{self._frame.base_path}{path}{back}", status_code=303, headers=headers)

    def _at_own_host(self, request: Request) -> bool:
        """Tell whether the browser came by the public address, or from this machine.

        Browsers take the cookies of the admin area at no other plain-http host, and a foreign name that points to this
        machine (DNS rebinding) is none of ours.
        """
        host = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
        return host == self._own_host or host in _LOOPBACK_NAMES


def hash_of_session(cookie: str) -> str:
    """Return what the database keeps of the cookie of a session."""
    return hashlib.sha256(cookie.encode()).hexdigest()
