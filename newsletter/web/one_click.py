"""The opt-out: `/u/{token}`, for people by a page with one button, for mail providers by RFC 8058.

In: a request by anybody. Out: 200 once the opt-out is committed. GET, HEAD and OPTIONS never change anything, since
scanners open every link of a mail. No redirect, no cookie, no check of where the request comes from: RFC 8058 §3.1
promises that it carries nothing but the token. The token is never logged.
"""

from __future__ import annotations

import logging
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from newsletter.core.subscriber import SubscriberId
from newsletter.core.token import read_unsubscribe_token
from newsletter.flows.opt_out import opt_out
from newsletter.web.forms import path_token, read_beginning
from newsletter.web.pages import METHODS, Page, Pages
from newsletter.web.public.leaving import LeavingPages
from newsletter.web.responses import KIND_HEADERS, RETRY_SECONDS, ResponseKind
from newsletter.web.site import Area, Busy, Site

logger = logging.getLogger(__name__)

BODY_BYTES = 64 * 1024
"""Bytes of a body that are looked at; RFC 8058's own body has 26."""
BODY_SECONDS = 5.0
"""How long a body may take to come; what counts is the token, which is here already."""


class OneClickEndpoint:
    """The answers of `/u/{token}`."""

    def __init__(self, site: Site, pages: Pages, leaving: LeavingPages | None = None) -> None:
        self._site = site
        self._pages = pages
        self._leaving = leaving

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={**KIND_HEADERS[ResponseKind.SECRET], "Allow": ", ".join(METHODS)})
        token = path_token(request)
        # Checked before the database is asked: a page for a forged link costs no query.
        link = read_unsubscribe_token(self._site.keyring, token)
        if link is None:
            return self._pages.unknown.response(404)
        if request.method != "POST":
            return (await self._button(link.subscriber_id)).response(200)
        return await self._leave(request, token, link.subscriber_id)

    async def _button(self, subscriber_id: SubscriberId) -> Page:
        """Return the page with the button: with the address where the database answers, and without it otherwise."""
        if self._leaving is None:
            return self._pages.unsubscribe
        try:
            return await self._leaving.ask(subscriber_id)
        except Busy:
            return self._pages.unsubscribe

    async def _leave(self, request: Request, token: str, who: SubscriberId) -> Response:
        # The wish to leave arrived with the first line of the request, so whatever is wrong with the body, it goes on.
        body = await read_beginning(request, bytes_max=BODY_BYTES, seconds_max=BODY_SECONDS)
        channel = "page" if _from_page(request, body) else "one-click"
        about = f"opt-out by {channel}, subscriber {who}"
        site = self._site
        try:
            response = await site.ask(
                lambda: opt_out(site.unit, site.keyring, token, channel=channel, now=site.clock.now()),
                about=about,
                area=Area.OPT_OUT,
            )
        except Busy:
            return self._pages.trouble.response(503, {"Retry-After": str(RETRY_SECONDS)})
        # Once a person: who has the link must not be able to fill the disk with lines.
        if response.changed:
            logger.info("%s", about)
        page = self._pages.unsubscribed if self._leaving is None else self._leaving.left(response)
        return page.response(200)


def _from_page(request: Request, body: bytes) -> bool:
    """Tell whether the button of our page was pressed: it adds a field that mail providers do not send."""
    if not request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        return False
    try:
        fields = parse_qs(body.decode("latin-1"), max_num_fields=10)
    except ValueError:
        return False
    return fields.get("by") == ["page"]
